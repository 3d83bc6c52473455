"""The negative binomial head, for counts."""

import distrax
import flax.linen as nn
import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.layers import Linear
from lagllama_jax.typing import Array, Float, Int, Key

LARGE_RATE = 1e6
"""Above this rate, Poisson draws are rounded normal draws, since JAX draws Poisson in int32."""


def poisson(key: Key, rate: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Draws from Poisson distributions as floats, for rates of any size."""
    small_key, large_key = jax.random.split(key)
    small = jax.random.poisson(small_key, jnp.minimum(rate, LARGE_RATE)).astype(rate.dtype)
    normal = jax.random.normal(large_key, rate.shape)
    return jnp.where(rate > LARGE_RATE, jnp.round(rate + jnp.sqrt(rate) * normal), small)


class NegativeBinomial(distrax.Distribution):
    """Negative binomial distribution of counts, parametrised by `total_count` and `logits`.

    The mean is `total_count * exp(logits)` and the variance `mean * (1 + exp(logits))`.
    """

    def __init__(self, total_count: Float[Array, "*b"], logits: Float[Array, "*b"]):
        """Creates the distribution.

        Args:
          total_count: Number of failures, a positive real number.
          logits: Log odds of success.
        """
        super().__init__()
        self.total_count, self.logits = total_count, logits

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event, which is a scalar."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The common shape of the parameters after broadcasting."""
        return jnp.broadcast_shapes(self.total_count.shape, self.logits.shape)

    def _sample_n(self, key: Key, n: int) -> Float[Array, "n *b"]:
        gamma_key, poisson_key = jax.random.split(key)
        shape = (n, *self.batch_shape)
        rate = jax.random.gamma(gamma_key, jnp.broadcast_to(self.total_count, shape))
        return poisson(poisson_key, rate * jnp.exp(self.logits))

    def log_prob(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Log probability of a count. It is `-inf` for a negative or fractional value.

        `gammaln(r + x) - gammaln(x + 1) - gammaln(r)` equals `-log x - betaln(r, x)` for `x > 0`,
        which stays accurate in float32 for large counts, and 0 for `x = 0`.

        >>> law = NegativeBinomial(jnp.array(2.0), jnp.array(0.0))
        >>> jnp.exp(law.log_prob(jnp.array([0.0, 1.0, -1.0, 0.5]))).round(3).tolist()
        [0.25, 0.25, 0.0, 0.0]
        """
        possible = (value >= 0) & (value < jnp.inf) & (value == jnp.floor(value))
        count = jnp.where(possible, value, 0)
        positive = jnp.maximum(count, 1)
        beta = -jnp.log(positive) - jax.scipy.special.betaln(self.total_count, positive)
        combinations = jnp.where(count > 0, beta, 0.0)
        failure = self.total_count * jax.nn.log_sigmoid(-self.logits)
        found = failure + count * jax.nn.log_sigmoid(self.logits) + combinations
        return jnp.where(possible, found, -jnp.inf)

    def mean(self) -> Float[Array, "*b"]:
        """The mean, `total_count * exp(logits)`."""
        return self.total_count * jnp.exp(self.logits)

    def variance(self) -> Float[Array, "*b"]:
        """The variance, `mean * (1 + exp(logits))`."""
        return self.mean() * (1 + jnp.exp(self.logits))

    def cdf(self, value: Float[Array, "*b"]) -> Float[Array, "*b"]:
        """Probability of at most `value`, from the regularised incomplete beta function."""
        failure = jax.nn.sigmoid(-self.logits)
        below = jax.scipy.special.betainc(
            self.total_count, jnp.maximum(jnp.floor(value), 0) + 1, failure
        )
        return jnp.where(value < 0, 0.0, below)

    def quantile(self, level: Float[Array, "*b"] | float) -> Float[Array, "*b"]:
        """The smallest count whose `cdf` is at least `level`, found by bisection."""
        level = jnp.asarray(level, self.logits.dtype)
        shape = jnp.broadcast_shapes(level.shape, self.batch_shape)
        deviation = jnp.sqrt(self.variance())
        high = jnp.ceil(self.mean() + deviation * jnp.sqrt(level / (1 - level))) + 1
        bounds = (jnp.full(shape, -1.0), jnp.broadcast_to(high, shape))

        def halve(_: Int[Array, ""], bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = jnp.floor((low + high) / 2)
            enough = self.cdf(middle) >= level
            return jnp.where(enough, low, middle), jnp.where(enough, middle, high)

        return jax.lax.fori_loop(0, 48, halve, bounds)[1]


class NegativeBinomialHead(nn.Module):
    """Maps hidden states to negative binomial distributions.

    The logarithm of the scale of the series is added to the logits. Loc is ignored.

    Attributes:
      config: The architecture.
    """

    config: ModelConfig

    def setup(self) -> None:
        """Makes the layers."""
        self.total_count = Linear(1, use_bias=True)
        self.logits = Linear(1, use_bias=True)

    def __call__(
        self,
        hidden: Float[Array, "*b D"],
        loc: Float[Array, "*c"] | float = 0.0,
        scale: Float[Array, "*c"] | float = 1.0,
    ) -> NegativeBinomial:
        """The distribution in the units of the series, or in scaled units without `scale`."""
        total_count = jax.nn.softplus(self.total_count(hidden)[..., 0])
        return NegativeBinomial(total_count, self.logits(hidden)[..., 0] + jnp.log(scale))

    def loss(
        self,
        hidden: Float[Array, "*b D"],
        target: Float[Array, "*b"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key | None = None,
    ) -> Float[Array, "*b"]:
        """Negative log likelihood of each target."""
        return -self(hidden, loc, scale).log_prob(target)

    @staticmethod
    def rescale_loss(losses: Float[Array, "*b"], factor: Float[Array, "*c"]) -> Float[Array, "*b"]:
        """Returns the losses as they are, because the probability of a count has no unit."""
        return losses

    def sample(
        self,
        hidden: Float[Array, "*b D"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key,
        stratified: bool = False,
    ) -> Float[Array, "*b"]:
        """Draws one count per hidden state. Draws of counts are never stratified."""
        return self(hidden, loc, scale).sample(seed=key)
