"""Causal self-attention with rotary positions; the mathematics are pure functions."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.kv_cache import KVCache, append, visible
from lagllama_jax.model.layers import Linear
from lagllama_jax.model.rope import Turn, rope_angles, rotate
from lagllama_jax.typing import Array, Bool, Float, Int


def causal_mask(num_tokens: int, window: int | None = None) -> Bool[Array, "T T"]:
    """Who may look at whom: token t at itself and at the `window - 1` tokens before it."""
    distance = jnp.arange(num_tokens)[:, None] - jnp.arange(num_tokens)[None, :]
    return (distance >= 0) & (distance < (num_tokens if window is None else window))


def attend(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B U K H"],
    value: Float[Array, "B U K H"],
    mask: Bool[Array, "T U"],
) -> Float[Array, "B T N H"]:
    """Scaled dot-product attention, softmax in float32; query heads share key heads in groups."""
    batch, length, heads, width = query.shape
    grouped = query.reshape(batch, length, key.shape[2], -1, width) * width**-0.5
    scores = jnp.einsum("btkgh,bukh->bkgtu", grouped, key).astype(jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1).astype(value.dtype)
    return jnp.einsum("bkgtu,bukh->btkgh", weights, value).reshape(batch, length, heads, width)


SHORTEST_BLOCK, MOST_BLOCKS = 32, 8
"""Queries are taken in blocks of at least 32 tokens, and in at most 8 blocks."""


def attend_causal(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B T K H"],
    value: Float[Array, "B T K H"],
    window: int | None = None,
) -> Float[Array, "B T N H"]:
    """`attend` under `causal_mask`, a block of queries at a time against the keys it may see.

    With heads ahead of tokens the products are plain batched matrices, what lies above the
    diagonal is mostly never computed, and the softmax divides the mixed values, which are fewer
    than its weights: on the CPU a fourth of the time of `attend` at 128 tokens.
    """
    batch, length, heads, width = query.shape
    groups = heads // key.shape[2]
    major = query.reshape(batch, length, -1, groups, width).transpose(0, 2, 3, 1, 4) * width**-0.5
    keys, values = key.transpose(0, 2, 1, 3), value.transpose(0, 2, 1, 3)
    mask = causal_mask(length, window)
    block = max(SHORTEST_BLOCK, -(-length // MOST_BLOCKS))
    mixed = []
    for begin in range(0, length, block):
        end = min(begin + block, length)
        first = 0 if window is None else max(0, begin - window + 1)
        rows = major[:, :, :, begin:end].reshape(batch, key.shape[2], -1, width)
        scores = jnp.einsum("bkth,bkuh->bktu", rows, keys[:, :, first:end]).astype(jnp.float32)
        scores = scores.reshape(batch, -1, groups, end - begin, end - first)
        scores = jnp.where(mask[begin:end, first:end], scores, -jnp.inf)
        weights = jnp.exp(scores - jax.lax.stop_gradient(scores).max(-1, keepdims=True))
        total = weights.sum(-1, keepdims=True).astype(value.dtype)
        flat = weights.astype(value.dtype).reshape(batch, key.shape[2], -1, end - first)
        out = jnp.einsum("bktu,bkuh->bkth", flat, values[:, :, first:end])
        mixed.append(out.reshape(batch, -1, groups, end - begin, width) / total)
    return jnp.concatenate(mixed, axis=3).transpose(0, 3, 1, 2, 4).reshape(query.shape)


def attend_fused(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B U K H"],
    value: Float[Array, "B U K H"],
    window: int | None,
) -> Float[Array, "B T N H"]:
    """`attend` through cuDNN's fused kernel, causal, for bfloat16 on NVIDIA GPUs."""
    local = None if window is None or window >= query.shape[1] else (window - 1, 0)
    return jax.nn.dot_product_attention(
        query, key, value, is_causal=True, local_window_size=local, implementation="cudnn"
    )


def attend_cached(
    query: Float[Array, "B S N H"],
    cache: KVCache,
    prefix_mask: Bool[Array, "C"],
    ring_mask: Bool[Array, "R"],
) -> Float[Array, "B S N H"]:
    """Attention of one token a sample over the shared prefix and the sample's own ring.

    Axes are in the ring's order throughout: any other would copy the whole ring at every step.
    """
    batch, samples, heads, width = query.shape
    grouped = query.reshape(batch, samples, cache.key.shape[1], -1, width) * width**-0.5
    grouped = grouped.swapaxes(1, 2)
    prefix = jnp.einsum("bksgh,bkch->bksgc", grouped, cache.prefix_key).astype(jnp.float32)
    ring = jnp.einsum("bksgh,bkshr->bksgr", grouped, cache.key).astype(jnp.float32)
    prefix = jnp.where(prefix_mask, prefix, -jnp.inf)
    ring = jnp.where(ring_mask, ring, -jnp.inf)
    peak = jnp.maximum(prefix.max(-1, keepdims=True), ring.max(-1, keepdims=True))
    prefix, ring = jnp.exp(prefix - peak), jnp.exp(ring - peak)
    total = prefix.sum(-1, keepdims=True) + ring.sum(-1, keepdims=True)
    mixed = jnp.einsum("bksgc,bkch->bksgh", prefix.astype(query.dtype), cache.prefix_value)
    mixed = mixed + jnp.einsum("bksgr,bksrh->bksgh", ring.astype(query.dtype), cache.value)
    mixed = (mixed / total.astype(query.dtype)).swapaxes(1, 2)
    return mixed.reshape(query.shape)


class Attention(nn.Module):
    """Projections to queries, keys and values, rotation, attention, projection back; no biases."""

    config: ModelConfig
    dtype: DTypeLike = jnp.float32
    fused: bool = False

    def setup(self) -> None:
        """Makes the layers."""
        config = self.config
        self.query = Linear(config.width, dtype=self.dtype)
        self.key_value = Linear(2 * config.kv_heads * config.head_dim, dtype=self.dtype)
        self.output = Linear(config.width, dtype=self.dtype)

    def project(
        self, x: Float[Array, "*b D"]
    ) -> tuple[Float[Array, "*b N H"], Float[Array, "*b K H"], Float[Array, "*b K H"]]:
        """Queries, keys and values, not yet rotated."""
        config = self.config
        query = self.query(x).reshape(*x.shape[:-1], config.num_heads, config.head_dim)
        both = self.key_value(x).reshape(*x.shape[:-1], 2, config.kv_heads, config.head_dim)
        return query, both[..., 0, :, :], both[..., 1, :, :]

    def rotate(
        self, x: Float[Array, "*b N H"], positions: Int[Array, "*t"], length: int
    ) -> Float[Array, "*b N H"]:
        """Turns queries or keys by their positions in a sequence of `length` tokens."""
        if self.config.rope == "none":
            return x
        return rotate(x, rope_angles(self.config, positions, length)[..., None, :])

    def __call__(
        self, x: Float[Array, "B T D"], window: int | None = None
    ) -> tuple[Float[Array, "B T D"], tuple[Float[Array, "B T K H"], Float[Array, "B T K H"]]]:
        """Attention within one sequence; also returns its rotated keys and its values."""
        length = x.shape[1]
        positions = jnp.arange(length)
        query, key, value = self.project(x)
        query, key = self.rotate(query, positions, length), self.rotate(key, positions, length)
        if self.fused:
            mixed = attend_fused(query, key, value, window)
        else:
            mixed = attend_causal(query, key, value, window)
        return self.output(mixed.reshape(x.shape)), (key, value)

    def prefill(
        self, x: Float[Array, "B C D"], window: int
    ) -> tuple[Float[Array, "B C D"], tuple[Float[Array, "B C K H"], Float[Array, "B C K H"]]]:
        """As `__call__`, with the rotation of a sequence of `window` tokens whatever its length."""
        positions = jnp.arange(x.shape[1])
        query, key, value = self.project(x)
        query, key = self.rotate(query, positions, window), self.rotate(key, positions, window)
        mixed = attend(query, key, value, causal_mask(x.shape[1], window))
        return self.output(mixed.reshape(x.shape)), (key, value)

    def extend(
        self,
        x: Float[Array, "B S D"],
        cache: KVCache,
        step: Int[Array, ""],
        turn: Turn,
        window: int,
    ) -> tuple[Float[Array, "B S D"], KVCache]:
        """Own token `step` of every sample, which follows the prefix and the own tokens before it.

        `turn` rotates by the token's absolute position, so that cached keys stay valid.
        """
        query, key, value = self.project(x)
        cache = append(cache, turn(key), value, step)
        mixed = attend_cached(turn(query), cache, *visible(cache, step, window))
        return self.output(mixed.reshape(x.shape)), cache
