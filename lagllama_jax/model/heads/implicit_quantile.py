"""The implicit quantile head (arXiv 2107.03743): maps a hidden state and a level to a quantile."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads.draws import SamplePart, uniforms
from lagllama_jax.model.layers import Linear
from lagllama_jax.typing import Array, Float, Key

NUM_COSINES = 64


class ImplicitQuantileHead(nn.Module):
    """Predicts the quantile of the next value at any level. It has no density.

    Attributes:
      config: The architecture.
    """

    config: ModelConfig

    def setup(self) -> None:
        """Makes the layers."""
        width = self.config.width
        slope = nn.initializers.constant(0.25)
        self.cosine = Linear(NUM_COSINES, use_bias=True)
        self.cosine_slope = self.param("cosine_slope", slope, (1,))
        self.embedding = Linear(width, use_bias=True)
        self.hidden = Linear(width, use_bias=True)
        self.hidden_slope = self.param("hidden_slope", slope, (1,))
        self.output = Linear(1, use_bias=True)

    def __call__(
        self, hidden: Float[Array, "*b D"], level: Float[Array, "*b"]
    ) -> Float[Array, "*b"]:
        """The quantile at `level` (between 0 and 1), in scaled units."""
        cosines = jnp.cos(jnp.pi * level[..., None] * jnp.arange(NUM_COSINES))
        embedded = self.embedding(prelu(self.cosine(cosines), self.cosine_slope))
        mixed = prelu(self.hidden(hidden * (1 + embedded)), self.hidden_slope)
        return self.output(mixed)[..., 0]

    def loss(
        self,
        hidden: Float[Array, "*b D"],
        target: Float[Array, "*b"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key | None = None,
    ) -> Float[Array, "*b"]:
        """Quantile loss at one random level per target, in the units of the series.

        The loss is not multiplied by 2.
        """
        level = jax.random.uniform(jax.random.key(0) if key is None else key, target.shape)
        return self.level_loss(hidden, target, loc, scale, level)

    def level_loss(
        self,
        hidden: Float[Array, "*b D"],
        target: Float[Array, "*b"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        level: Float[Array, "*b"],
    ) -> Float[Array, "*b"]:
        """Quantile loss at given levels, in the units of the series."""
        quantile = self(hidden, level) * scale + loc
        return (level - (target < quantile)) * (target - quantile)

    @staticmethod
    def rescale_loss(losses: Float[Array, "*b"], factor: Float[Array, "*c"]) -> Float[Array, "*b"]:
        """Converts losses of series to losses of the same series multiplied by `factor`.

        A quantile loss has the units of the series, so it is multiplied by the factor.
        """
        return losses * factor

    def sample(
        self,
        hidden: Float[Array, "*b D"],
        loc: Float[Array, "*c"],
        scale: Float[Array, "*c"],
        key: Key,
        stratified: bool = False,
        part: SamplePart | None = None,
    ) -> Float[Array, "*b"]:
        """Draws one value per hidden state, with the samples along the last axis.

        The draw is the quantile at a random level, in the units of the series.
        """
        return self(hidden, uniforms(key, hidden.shape[:-1], stratified, part)) * scale + loc


def prelu(x: Float[Array, "*b"], slope: Float[Array, "1"]) -> Float[Array, "*b"]:
    """Parametric ReLU: `x` where it is not negative, `slope * x` elsewhere."""
    return jnp.where(x >= 0, x, slope * x)
