"""The Student-t head: location, scale, and more than two degrees of freedom."""

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads.draws import uniforms
from lagllama_jax.model.layers import Linear
from lagllama_jax.typing import Array, Float, Key


def standard_draw(
    df: Float[Array, "*b"], radius: Float[Array, "*n"], turn: Float[Array, "*n"]
) -> Float[Array, "*n"]:
    """Standard Student-t draws from two uniforms in [0, 1): Bailey's polar method (1994)."""
    squared = df * jnp.expm1(-2 / df * jnp.log1p(-radius))
    return jnp.sqrt(squared) * jnp.cos(2 * jnp.pi * turn)


class StudentT(distrax.Distribution):
    """Student-t distribution with location and scale, exact in float32 for large `df`."""

    def __init__(self, df: Float[Array, "*b"], loc: Float[Array, "*b"], scale: Float[Array, "*b"]):
        """Args are degrees of freedom (above 2 for a finite variance), centre and scale."""
        super().__init__()
        self.df, self.loc, self.scale = df, loc, scale

    @property
    def event_shape(self) -> tuple[int, ...]:
        """A scalar."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the parameters, broadcast."""
        return jnp.broadcast_shapes(self.df.shape, self.loc.shape, self.scale.shape)

    def _sample_n(self, key: Key, n: int) -> Float[Array, "n *b"]:
        radius, turn = jax.random.uniform(key, (2, n, *self.batch_shape))
        return self.loc + self.scale * standard_draw(self.df, radius, turn)

    def log_prob(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Log density.

        The normalising constant is written with `betaln(1/2, df/2)`: a difference of two
        `gammaln` loses it in float32.
        """
        squared = ((value - self.loc) / self.scale) ** 2
        constant = jax.scipy.special.betaln(0.5, self.df / 2) + 0.5 * jnp.log(self.df)
        return -constant - jnp.log(self.scale) - (self.df + 1) / 2 * jnp.log1p(squared / self.df)

    def mean(self) -> Float[Array, "*b"]:
        """The location."""
        return jnp.broadcast_to(self.loc, self.batch_shape)

    def variance(self) -> Float[Array, "*b"]:
        """`scale^2 df / (df - 2)`."""
        return self.scale**2 * self.df / (self.df - 2)

    def cdf(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Probability of at most `value`."""
        from tensorflow_probability.substrates.jax.distributions.student_t import stdtr

        return stdtr(self.df, (value - self.loc) / self.scale)

    def quantile(self, level: Float[Array, "*b"] | float) -> Float[Array, "*b"]:
        """Inverse of `cdf`."""
        from tensorflow_probability.substrates.jax.distributions.student_t import stdtrit

        return self.loc + self.scale * stdtrit(self.df, jnp.asarray(level))


class StudentTHead(nn.Module):
    """Hidden states to a Student-t in the series' units; one linear layer a parameter."""

    config: ModelConfig

    def setup(self) -> None:
        """Makes the layers."""
        self.df = Linear(1, use_bias=True)
        self.loc = Linear(1, use_bias=True)
        self.scale = Linear(1, use_bias=True)

    def __call__(
        self,
        hidden: Float[Array, "*b D"],
        loc: Float[Array, "*c"] | float = 0.0,
        scale: Float[Array, "*c"] | float = 1.0,
    ) -> StudentT:
        """The distribution `loc + scale * t`; in scaled units where loc and scale are left out."""
        layers = self.df(hidden), self.loc(hidden), self.scale(hidden)
        # Of one array, so that the gradient's kernels are compiled once and not for each of them.
        raw = jnp.concatenate(layers, axis=-1)
        df = 2 + jax.nn.softplus(raw[..., 0])
        sigma = jnp.maximum(jax.nn.softplus(raw[..., 2]), self.config.min_sigma)
        return StudentT(df, loc + scale * raw[..., 1], scale * sigma)

    def loss(
        self,
        hidden: Float[Array, "*b D"],
        target: Float[Array, "*b"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key | None = None,
    ) -> Float[Array, "*b"]:
        """Negative log likelihood of each target, in the series' units."""
        standard = self(hidden)
        return jnp.log(scale) - standard.log_prob((target - loc) / scale)

    @staticmethod
    def rescale_loss(losses: Float[Array, "*b"], factor: Float[Array, "*c"]) -> Float[Array, "*b"]:
        """The losses of series times a factor. A density is divided by the factor."""
        return losses + jnp.log(factor)

    def sample(
        self,
        hidden: Float[Array, "*b D"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key,
        stratified: bool = False,
    ) -> Float[Array, "*b"]:
        """One draw for each hidden state; the last axis is that of the samples."""
        law = self(hidden, loc, scale)
        radius, turn = uniforms(key, (2, *law.batch_shape), stratified)
        return law.loc + law.scale * standard_draw(law.df, radius, turn)
