"""The decoder-only transformer: pre-norm blocks of attention and SwiGLU, one set of arrays each."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.attention import Attention
from lagllama_jax.model.kv_cache import KVCache
from lagllama_jax.model.layers import Linear, RMSNorm, SwiGLU
from lagllama_jax.model.rope import Turn
from lagllama_jax.typing import Array, Float, Int


class Block(nn.Module):
    """`x += attention(norm(x)); x += mlp(norm(x))`."""

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
        """The block's second half."""
        return x + self.drop(self.mlp(self.mlp_norm(x)), deterministic=deterministic)

    def __call__(
        self, x: Float[Array, "B T D"], deterministic: bool, window: int | None
    ) -> tuple[Float[Array, "B T D"], tuple[Float[Array, "B T K H"], Float[Array, "B T K H"]]]:
        """One block over a whole sequence; also returns its keys and values."""
        mixed, cache = self.attention(self.attention_norm(x), window)
        x = x + self.drop(mixed, deterministic=deterministic)
        return self.feed_forward(x, deterministic), cache

    def prefill(
        self, x: Float[Array, "B C D"], window: int
    ) -> tuple[Float[Array, "B C D"], tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]]:
        """One block over the context (`Attention.prefill`)."""
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
        """One block for own token `step` of every sample."""
        mixed, cache = self.attention.extend(self.attention_norm(x), cache, step, turn, window)
        return self.feed_forward(x + mixed, deterministic=True), cache


class Transformer(nn.Module):
    """Embedding of tokens, blocks, final norm.

    Attributes:
      config: the architecture.
      dtype: of the computation; parameters are float32.
      remat: recompute each block's activations in the backward pass instead of keeping them.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Makes the layers."""
        block = nn.remat(Block, static_argnums=(2, 3)) if self.remat else Block
        self.embedding = Linear(self.config.width, use_bias=True, dtype=self.dtype)
        self.blocks = [
            block(self.config, self.dtype, name=f"block_{i}") for i in range(self.config.num_layers)
        ]
        self.final_norm = RMSNorm(self.dtype)

    def __call__(
        self,
        features: Float[Array, "B T F"],
        deterministic: bool = True,
        window: int | None = None,
    ) -> tuple[
        Float[Array, "B T D"], list[tuple[Float[Array, "B T K H"], Float[Array, "B T K H"]]]
    ]:
        """Hidden states of every token, and each block's rotated keys and values."""
        x = self.embedding(features)
        caches = []
        for index, block in enumerate(self.blocks):
            x, cache = block(x, deterministic, window)
            self.sow("intermediates", f"block_{index}_output", x)
            caches.append(cache)
        return self.final_norm(x), caches

    def prefill(
        self, features: Float[Array, "B C F"], window: int
    ) -> tuple[
        Float[Array, "B C D"], list[tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]]
    ]:
        """Hidden states of the context's tokens, and each block's keys and values, for `extend`."""
        x = self.embedding(features)
        caches = []
        for block in self.blocks:
            x, cache = block.prefill(x, window)
            caches.append(cache)
        return self.final_norm(x), caches

    def extend(
        self,
        features: Float[Array, "B S F"],
        caches: list[KVCache],
        step: Int[Array, ""],
        turn: Turn,
        window: int,
    ) -> tuple[Float[Array, "B S D"], list[KVCache]]:
        """Hidden states of own token `step` of every sample, each looking back `window` tokens.

        Args:
          features: tokens.
          caches: of the tokens before.
          step: number of the own token.
          turn: rotation at its absolute position, the base being that of `window` tokens.
          window: tokens to look back over, itself included.
        """
        x = self.embedding(features)
        extended = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, cache = block.extend(x, cache, step, turn, window)
            extended.append(cache)
        return self.final_norm(x), extended
