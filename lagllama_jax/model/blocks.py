"""A decoder block: pre-norm attention over time and across variates, and SwiGLU."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.attention import Attention
from lagllama_jax.model.causal_attention import KeysValues
from lagllama_jax.model.kv_cache import KVCache
from lagllama_jax.model.layers import RMSNorm, SwiGLU
from lagllama_jax.model.rope import Turn
from lagllama_jax.model.variate_attention import VariateAttention, Variates
from lagllama_jax.typing import Array, Bool, Float, Int


class Block(nn.Module):
    """A decoder block: `x += attention(norm(x)); x += mlp(norm(x))`.

    With `config.variate_attention`, attention across variates is added between the two. A variate
    alone passes it by (`variates` is `None`).

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
        if self.config.variate_attention:
            self.variate_norm = RMSNorm(self.dtype)
            self.variate_attention = VariateAttention(self.config, self.dtype)
        self.mlp_norm = RMSNorm(self.dtype)
        self.mlp = SwiGLU(self.config, self.dtype)
        self.drop = nn.Dropout(self.config.dropout)

    def feed_forward(self, x: Float[Array, "*b D"], deterministic: bool) -> Float[Array, "*b D"]:
        """The second half of the block: norm, SwiGLU and dropout, added to `x`."""
        return x + self.drop(self.mlp(self.mlp_norm(x)), deterministic=deterministic)

    def across(
        self,
        x: Float[Array, "B T D"],
        variates: Variates | None,
        deterministic: bool,
        others: KeysValues | None = None,
    ) -> tuple[Float[Array, "B T D"], KeysValues | None]:
        """The attention across variates, added to `x`, with the keys and values of the tokens.

        The arguments are those of `VariateAttention.__call__`.
        """
        if variates is None:
            return x, None
        mixed, keys_values = self.variate_attention(self.variate_norm(x), variates, others)
        return x + self.drop(mixed, deterministic=deterministic), keys_values

    def __call__(
        self,
        x: Float[Array, "B T D"],
        deterministic: bool,
        window: int | None,
        length: int | None = None,
        variates: Variates | None = None,
    ) -> tuple[Float[Array, "B T D"], KeysValues, KeysValues | None]:
        """Applies the block to whole sequences.

        Args:
          x: Hidden states.
          deterministic: Whether to leave out dropout.
          window: Number of tokens that a token attends to, itself included. `None`: all.
          length: As in `Attention.__call__`.
          variates: Which variates see which. `None`: each variate is alone.

        Returns:
          The hidden states, and the keys and values of both kinds of attention.
        """
        mixed, keys_values = self.attention(self.attention_norm(x), window, length)
        x = x + self.drop(mixed, deterministic=deterministic)
        x, across = self.across(x, variates, deterministic)
        return self.feed_forward(x, deterministic), keys_values, across

    def keys_values(self, x: Float[Array, "B T D"], length: int) -> KeysValues:
        """The keys and values of a sequence. See `Attention.keys_values`."""
        return self.attention.keys_values(self.attention_norm(x), length)

    def look(
        self,
        x: Float[Array, "B Q D"],
        context: KeysValues,
        seen: Bool[Array, "#B C"],
        positions: Int[Array, "#B Q"],
        length: int,
        deterministic: bool,
        variates: Variates | None = None,
    ) -> Float[Array, "B Q D"]:
        """Applies the block to tokens that each look at the context. See `Attention.look`."""
        mixed = self.attention.look(self.attention_norm(x), context, seen, positions, length)
        x = x + self.drop(mixed, deterministic=deterministic)
        return self.feed_forward(self.across(x, variates, deterministic)[0], deterministic)

    def extend(
        self,
        x: Float[Array, "B S D"],
        cache: KVCache,
        step: Int[Array, ""],
        turn: Turn,
        window: int,
        variates: Variates | None = None,
        others: KeysValues | None = None,
    ) -> tuple[Float[Array, "B S D"], KVCache]:
        """Applies the block to point `step` of each sample path, and extends the cache.

        See `Attention.extend` and `VariateAttention.__call__`.
        """
        mixed, cache = self.attention.extend(self.attention_norm(x), cache, step, turn, window)
        x, _ = self.across(x + mixed, variates, True, others)
        return self.feed_forward(x, deterministic=True), cache
