"""The Student-t head: location, scale, and more than two degrees of freedom."""

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads.draws import SamplePart, uniforms
from lagllama_jax.model.layers import Linear
from lagllama_jax.typing import Array, Float, Int, Key


def standard_draw(
    df: Float[Array, "*b"], radius: Float[Array, "*n"], turn: Float[Array, "*n"]
) -> Float[Array, "*n"]:
    """Standard Student-t draws from two uniform numbers in [0, 1), by Bailey's method (1994)."""
    squared = df * jnp.expm1(-2 / df * jnp.log1p(-radius))
    return jnp.sqrt(squared) * jnp.cos(2 * jnp.pi * turn)


class StudentT(distrax.Distribution):
    """Student-t distribution with location and scale, accurate in float32 for large `df`."""

    def __init__(self, df: Float[Array, "*b"], loc: Float[Array, "*b"], scale: Float[Array, "*b"]):
        """Creates the distribution.

        Args:
          df: Degrees of freedom. The variance is finite if they are above 2.
          loc: Location.
          scale: Scale.
        """
        super().__init__()
        self.df, self.loc, self.scale = df, loc, scale

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event, which is a scalar."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The common shape of the parameters after broadcasting."""
        return jnp.broadcast_shapes(self.df.shape, self.loc.shape, self.scale.shape)

    def _sample_n(self, key: Key, n: int) -> Float[Array, "n *b"]:
        radius, turn = jax.random.uniform(key, (2, n, *self.batch_shape))
        return self.loc + self.scale * standard_draw(self.df, radius, turn)

    def log_prob(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Log density of a value.

        The normalising constant is computed with `betaln(1/2, df/2)`, because a difference of two
        `gammaln` is inaccurate in float32.
        """
        squared = ((value - self.loc) / self.scale) ** 2
        constant = jax.scipy.special.betaln(0.5, self.df / 2) + 0.5 * jnp.log(self.df)
        return -constant - jnp.log(self.scale) - (self.df + 1) / 2 * jnp.log1p(squared / self.df)

    def mean(self) -> Float[Array, "*b"]:
        """The mean, which is the location."""
        return jnp.broadcast_to(self.loc, self.batch_shape)

    def variance(self) -> Float[Array, "*b"]:
        """The variance, `scale^2 * df / (df - 2)`."""
        return self.scale**2 * self.df / (self.df - 2)

    def cdf(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Probability of at most `value`."""
        from tensorflow_probability.substrates.jax.distributions.student_t import stdtr

        return stdtr(self.df, (value - self.loc) / self.scale)

    def quantile(self, level: Float[Array, "*b"] | float) -> Float[Array, "*b"]:
        """The quantile at a level between 0 and 1, the inverse of `cdf`."""
        from tensorflow_probability.substrates.jax.distributions.student_t import stdtrit

        return self.loc + self.scale * stdtrit(self.df, jnp.asarray(level))


class StudentTHead(nn.Module):
    """Maps hidden states to Student-t distributions, with one linear layer per parameter.

    Attributes:
      config: The architecture.
    """

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
        """The distribution in the units of the series, or in scaled units without loc and scale."""
        layers = self.df(hidden), self.loc(hidden), self.scale(hidden)
        # Concatenated, so that the kernels of the gradient are compiled once, not three times.
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
        """Negative log likelihood of each target, in the units of the series."""
        standard = self(hidden)
        return jnp.log(scale) - standard.log_prob((target - loc) / scale)

    @staticmethod
    def rescale_loss(losses: Float[Array, "*b"], factor: Float[Array, "*c"]) -> Float[Array, "*b"]:
        """Converts losses of series to losses of the same series multiplied by `factor`.

        The density is divided by the factor, so the negative log likelihood grows by its logarithm.
        """
        return losses + jnp.log(factor)

    def sample(
        self,
        hidden: Float[Array, "*b D"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key,
        stratified: bool = False,
        part: SamplePart | None = None,
        ranks: Int[Array, "*b"] | None = None,
    ) -> Float[Array, "*b"]:
        """Draws one value per hidden state, with the samples along the last axis.

        With `ranks`, the random numbers are given to the samples so that their normal draws have
        these ranks. The Student-t draws have nearly the same.
        """
        law = self(hidden, loc, scale)
        shape = 2, *law.batch_shape
        if ranks is None:
            radius, turn = uniforms(key, shape, stratified, part)
        else:
            total = shape[-1] if part is None else part.total
            radius, turn = uniforms(key, (*shape[:-1], total), stratified)
            normal = jnp.sqrt(-2 * jnp.log1p(-radius)) * jnp.cos(2 * jnp.pi * turn)
            place = jnp.take_along_axis(jnp.argsort(normal, axis=-1), ranks, axis=-1)
            radius, turn = (jnp.take_along_axis(each, place, axis=-1) for each in (radius, turn))
        return law.loc + law.scale * standard_draw(law.df, radius, turn)
