"""A decoder block: pre-norm attention and SwiGLU, each added to the residual stream."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.attention import Attention
from lagllama_jax.model.kv_cache import KVCache
from lagllama_jax.model.layers import RMSNorm, SwiGLU
from lagllama_jax.model.rope import Turn
from lagllama_jax.typing import Array, Float, Int


class Block(nn.Module):
    """A decoder block: `x += attention(norm(x)); x += mlp(norm(x))`.

    Attributes:
      config: The architecture.
      dtype: Data type of the computation.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Makes the layers."""
        self.attention_norm = RMSNorm(self.dtype)
        self.attention = Attention(self.config, self.dtype)
        self.mlp_norm = RMSNorm(self.dtype)
        self.mlp = SwiGLU(self.config, self.dtype)
        self.drop = nn.Dropout(self.config.dropout)

    def feed_forward(self, x: Float[Array, "*b D"], deterministic: bool) -> Float[Array, "*b D"]:
        """The second half of the block: norm, SwiGLU and dropout, added to `x`."""
        return x + self.drop(self.mlp(self.mlp_norm(x)), deterministic=deterministic)

    def __call__(
        self, x: Float[Array, "B T D"], deterministic: bool, window: int | None
    ) -> Float[Array, "B T D"]:
        """Applies the block to a whole sequence.

        Args:
          x: Hidden states.
          deterministic: Whether to leave out dropout.
          window: Number of tokens that a token attends to, itself included. `None`: all.
        """
        mixed = self.attention(self.attention_norm(x), window)
        x = x + self.drop(mixed, deterministic=deterministic)
        return self.feed_forward(x, deterministic)

    def prefill(
        self, x: Float[Array, "B C D"], window: int
    ) -> tuple[Float[Array, "B C D"], tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]]:
        """Applies the block to the context, and returns its keys and values as well.

        See `Attention.prefill`.
        """
        mixed, cache = self.attention.prefill(self.attention_norm(x), window)
        return self.feed_forward(x + mixed, deterministic=True), cache

    def extend(
        self,
        x: Float[Array, "B S D"],
        cache: KVCache,
        step: Int[Array, ""],
        turn: Turn,
        window: int,
    ) -> tuple[Float[Array, "B S D"], KVCache]:
        """Applies the block to point `step` of each sample path, and extends the cache.

        See `Attention.extend`.
        """
        mixed, cache = self.attention.extend(self.attention_norm(x), cache, step, turn, window)
        return self.feed_forward(x + mixed, deterministic=True), cache
