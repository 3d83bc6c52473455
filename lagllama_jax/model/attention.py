"""The attention layer over time, with rotary position encoding."""

import jax.numpy as jnp

from lagllama_jax.model.cached_attention import attend_cached
from lagllama_jax.model.causal_attention import (
    KeysValues,
    attend_apart,
    attend_causal,
    one_hot_values,
)
from lagllama_jax.model.kv_cache import KVCache, append
from lagllama_jax.model.projections import Projections
from lagllama_jax.model.rope import Turn, rope_angles, rotate
from lagllama_jax.typing import Array, Bool, Float, Int

WEIGHTS = "attention"
"""Collection of named outputs. If it is mutable, attention within a sequence and of queries adds
its weights `[B T N U]` to it. Otherwise they are not computed."""


class Attention(Projections):
    """Causal attention with several heads and rotary position encoding, without biases."""

    def rotate(
        self, x: Float[Array, "*b N H"], positions: Int[Array, "*t"], length: int
    ) -> Float[Array, "*b N H"]:
        """Rotates queries or keys by their positions in a sequence of `length` tokens."""
        if self.config.rope == "none":
            return x
        return rotate(x, rope_angles(self.config, positions, length)[..., None, :])

    def __call__(
        self, x: Float[Array, "B T D"], window: int | None = None, length: int | None = None
    ) -> tuple[Float[Array, "B T D"], KeysValues]:
        """Applies causal attention within a sequence, and returns its keys and values as well.

        Args:
          x: Hidden states.
          window: As in `causal_mask`.
          length: Number of tokens on which the rotation angles of `rope="dynamic"` depend. `None`:
            that of the sequence.
        """
        positions = jnp.arange(x.shape[1])
        query, key, value = self.project(x)
        length = x.shape[1] if length is None else length
        query, key = self.rotate(query, positions, length), self.rotate(key, positions, length)
        mixed = attend_causal(query, key, value, window)
        if self.is_mutable_collection(WEIGHTS):
            hot = one_hot_values(value, 0, x.shape[1])
            self.sow(WEIGHTS, "weights", attend_causal(query, key, hot, window))
        return self.output(mixed.reshape(x.shape)), KeysValues(key, value)

    def keys_values(self, x: Float[Array, "B T D"], length: int) -> KeysValues:
        """The rotated keys and the values of a sequence. `length` is as in `__call__`."""
        _, key, value = self.project(x)
        return KeysValues(self.rotate(key, jnp.arange(x.shape[1]), length), value)

    def look(
        self,
        x: Float[Array, "B Q D"],
        context: KeysValues,
        seen: Bool[Array, "#B C"],
        positions: Int[Array, "#B Q"],
        length: int,
    ) -> Float[Array, "B Q D"]:
        """Applies attention to tokens that each look at the context and at themselves only.

        Args:
          x: Hidden states of the tokens.
          context: Keys and values of the context.
          seen: Which tokens of the context are looked at.
          positions: Positions of the tokens in the sequence.
          length: As in `__call__`.
        """
        query, key, value = self.project(x)
        query, key = self.rotate(query, positions, length), self.rotate(key, positions, length)
        mixed = attend_apart(query, KeysValues(key, value), context, seen)
        if self.is_mutable_collection(WEIGHTS):
            count = context.key.shape[1]
            hot = KeysValues(context.key, one_hot_values(context.value, 0, count + 1))
            own = KeysValues(key, one_hot_values(value, count, count + 1))
            self.sow(WEIGHTS, "ahead", attend_apart(query, own, hot, seen))
        return self.output(mixed.reshape(x.shape))

    def extend(
        self,
        x: Float[Array, "B S D"],
        cache: KVCache,
        step: Int[Array, ""],
        turn: Turn,
        window: int,
    ) -> tuple[Float[Array, "B S D"], KVCache]:
        """Applies attention to decoded token `step` of each sample, and extends the cache.

        The token attends to the context and to the tokens that its sample decoded before.

        Args:
          x: Hidden states of the token.
          cache: The keys and values of the earlier tokens.
          step: Number of the decoded token, from 0.
          turn: Rotation by the absolute position of the token, so that cached keys stay valid.
          window: Number of tokens that a token attends to, itself included.

        Returns:
          The output of the layer and the extended cache.
        """
        query, key, value = self.project(x)
        cache = append(cache, turn(key), value, step)
        mixed = attend_cached(turn(query), cache, step, window)
        return self.output(mixed.reshape(x.shape)), cache
