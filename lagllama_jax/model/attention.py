"""Causal self-attention with rotary position encoding, computed by pure functions."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.kv_cache import KVCache, append, ring_block, visible
from lagllama_jax.model.layers import Kernel, Linear, side_by_side
from lagllama_jax.model.rope import Turn, rope_angles, rotate
from lagllama_jax.typing import Array, Bool, Float, Int


def causal_mask(num_tokens: int, window: int | None = None) -> Bool[Array, "T T"]:
    """The causal attention mask: `mask[t, u]` is true where token t attends to token u.

    A token attends to itself and to the `window - 1` tokens before it. With `window=None`, it
    attends to all tokens before it.
    """
    distance = jnp.arange(num_tokens)[:, None] - jnp.arange(num_tokens)[None, :]
    return (distance >= 0) & (distance < (num_tokens if window is None else window))


def attend(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B U K H"],
    value: Float[Array, "B U K H"],
    mask: Bool[Array, "T U"],
) -> Float[Array, "B T N H"]:
    """Scaled dot-product attention with grouped key-value heads and a softmax in float32.

    Each of the K key-value heads serves N / K consecutive query heads (arXiv 2305.13245).
    """
    batch, length, heads, width = query.shape
    grouped = query.reshape(batch, length, key.shape[2], -1, width) * width**-0.5
    scores = jnp.einsum("btkgh,bukh->bkgtu", grouped, key).astype(jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1).astype(value.dtype)
    return jnp.einsum("bkgtu,bukh->btkgh", weights, value).reshape(batch, length, heads, width)


class KeysValues(NamedTuple):
    """The rotated keys and the values of some tokens.

    The width of the values is H, or that of `one_hot_values`.
    """

    key: Float[Array, "B U K H"]
    value: Float[Array, "B U K E"]


SHORTEST_BLOCK, MOST_BLOCKS = 32, 8
"""`attend_causal` processes queries in blocks of at least 32 tokens, and in at most 8 blocks."""


def attend_causal(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B T K H"],
    value: Float[Array, "B T K E"],
    window: int | None = None,
) -> Float[Array, "B T N E"]:
    """Equals `attend` with `causal_mask`, computed one block of queries at a time.

    On the CPU this takes a quarter of the time of `attend` at 128 tokens. The head axis comes
    before the token axis, so that the products are plain batched matrix products. Most scores
    above the diagonal are never computed. The weighted sums of the values are normalised instead
    of the attention weights, because there are fewer of them.
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
        mixed.append(out.reshape(batch, -1, groups, end - begin, value.shape[3]) / total)
    joined = jnp.concatenate(mixed, axis=3).transpose(0, 3, 1, 2, 4)
    return joined.reshape(batch, length, heads, value.shape[3])


def attend_apart(
    query: Float[Array, "B Q N H"],
    own: KeysValues,
    context: KeysValues,
    seen: Bool[Array, "#B C"],
) -> Float[Array, "B Q N E"]:
    """Attention of tokens that each see a part of a context and themselves, not one another.

    Args:
      query: Queries of the tokens.
      own: Keys and values of the tokens.
      context: Keys and values of the context.
      seen: Which tokens of the context are seen.
    """
    batch, count, heads, width = query.shape
    shape = batch, count, own.key.shape[2], heads // own.key.shape[2], width
    major = (query * width**-0.5).reshape(shape).transpose(0, 2, 3, 1, 4)
    flat = major.reshape(batch, shape[2], -1, width)
    keys, values = (part.transpose(0, 2, 1, 3) for part in context)
    own_key, own_value = (part.transpose(0, 2, 1, 3)[:, :, None] for part in own)
    scores = jnp.einsum("bkxh,bkch->bkxc", flat, keys).astype(jnp.float32)
    scores = jnp.where(seen[:, None, None], scores, HIDDEN)
    to_self = (major * own_key).sum(-1).astype(jnp.float32).reshape(*flat.shape[:3], 1)
    peak = jax.lax.stop_gradient(jnp.maximum(scores.max(-1, keepdims=True), to_self))
    weights, weight = jnp.exp(scores - peak), jnp.exp(to_self - peak)
    total = weights.sum(-1, keepdims=True) + weight
    mixed = jnp.einsum("bkxc,bkch->bkxh", weights.astype(values.dtype), values)
    mixed = mixed.reshape(*major.shape[:4], -1)
    weight, total = (
        part.astype(values.dtype).reshape(*major.shape[:4], 1) for part in (weight, total)
    )
    mixed = (mixed + weight * own_value) / total
    return mixed.transpose(0, 3, 1, 2, 4).reshape(batch, count, heads, -1)


def one_hot_values(
    tokens: Float[Array, "B U K H"], first: int, width: int
) -> Float[Array, "B U K E"]:
    """Values of which attention gives its own weights: that of token u is 1 at `first + u`.

    Attention is linear in the values, so its output for these values is the weight of each token.

    Args:
      tokens: The values that are replaced.
      first: Place of the first token.
      width: Number of places. Tokens that lie beyond the last one share it.
    """
    batch, count, heads, _ = tokens.shape
    place = jnp.minimum(first + jnp.arange(count), width - 1)
    hot = jax.nn.one_hot(place, width, dtype=tokens.dtype)
    return jnp.broadcast_to(hot[None, :, None], (batch, count, heads, width))


HIDDEN = -1e30
"""Score of a masked key. It is finite, so that masking all keys does not produce NaN."""


class Mixture(NamedTuple):
    """Attention over a part of the keys, to be combined with the other parts (arXiv 1805.02867).

    Attributes:
      peak: Largest score.
      total: Sum of the weights. The weight of a key is `exp(score - peak)`.
      mixed: Weighted sum of the values.
    """

    peak: Float[Array, "B K G S"]
    total: Float[Array, "B K G S"]
    mixed: Float[Array, "B K H G S"]


def attend_cached(
    query: Float[Array, "B S N H"], cache: KVCache, step: Int[Array, ""], window: int
) -> Float[Array, "B S N H"]:
    """Attention of decoded token `step` of each sample over the shared prefix and its own ring.

    Reading the ring takes most of the time. The CPU reads only the slots that have been written,
    block by block. An accelerator reads all slots at once.
    """
    batch, samples, _, width = query.shape
    major = (query * width**-0.5).reshape(batch, samples, cache.key.shape[1], -1, width)
    major = major.transpose(0, 2, 4, 3, 1)
    prefix_mask, ring_mask = visible(cache, step, window)
    start = attend_prefix(major, cache, prefix_mask)
    slots = ring_mask.shape[0]
    block = ring_block(slots)
    written = jnp.minimum(step, slots - 1) // block + 1

    def read(index: Int[Array, ""], so_far: Mixture) -> Mixture:
        cut = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=index * block)
        key, value = (cut(ring, slice_size=block, axis=2) for ring in (cache.key, cache.value))
        mask = cut(ring_mask, slice_size=block)
        return attend_ring(major, key, value, mask, so_far, unrolled=True)

    end = jax.lax.platform_dependent(
        start,
        cpu=lambda start: jax.lax.fori_loop(0, written, read, start),
        default=lambda start: attend_ring(major, cache.key, cache.value, ring_mask, start, False),
    )
    mixed = (end.mixed / end.total[:, :, None]).transpose(0, 4, 1, 3, 2)
    return mixed.reshape(query.shape).astype(query.dtype)


def attend_prefix(
    query: Float[Array, "B K H G S"], cache: KVCache, mask: Bool[Array, "C"]
) -> Mixture:
    """Attention over the context, whose keys and values are shared by all samples."""
    batch, heads, width, groups, samples = query.shape
    flat = query.reshape(batch, heads, width, -1)
    scores = jnp.einsum("bkch,bkhx->bkcx", cache.prefix_key, flat)
    scores = jnp.where(mask[:, None], scores, HIDDEN)
    peak = scores.max(2)
    weights = jnp.exp(scores - peak[:, :, None])
    mixed = jnp.einsum("bkch,bkcx->bkhx", cache.prefix_value, weights)
    shape = batch, heads, groups, samples
    return Mixture(peak.reshape(shape), weights.sum(2).reshape(shape), mixed.reshape(query.shape))


def attend_ring(
    query: Float[Array, "B K H G S"],
    key: Float[Array, "B K R H S"],
    value: Float[Array, "B K R H S"],
    mask: Bool[Array, "R"],
    so_far: Mixture,
    unrolled: bool,
) -> Mixture:
    """Adds the attention over some slots of the ring to the mixture `so_far`."""
    scores = contract(query[:, :, None], key[:, :, :, :, None], 3, unrolled)
    scores = jnp.where(mask[:, None, None], scores, HIDDEN)
    peak = jnp.maximum(so_far.peak, scores.max(2))
    weights = jnp.exp(scores - peak[:, :, None])
    shrink = jnp.exp(so_far.peak - peak)
    added = contract(weights[:, :, :, None], value[:, :, :, :, None], 2, unrolled)
    mixed = so_far.mixed * shrink[:, :, None] + added
    return Mixture(peak, so_far.total * shrink + weights.sum(2), mixed)


def contract(
    left: Float[Array, "..."], right: Float[Array, "..."], axis: int, unrolled: bool
) -> Float[Array, "..."]:
    """Sum of the products of `left` and `right` along an axis that is not the last one.

    If `unrolled`, the sum is written out term by term: the CPU then computes a vector of samples
    at a time, ten times as fast as by the reduction. GPUs and TPUs are faster with the reduction.
    """
    if not unrolled:
        return (left * right).sum(axis)
    at = functools.partial(jax.lax.index_in_dim, axis=axis, keepdims=False)
    return sum((at(left, i) * at(right, i) for i in range(left.shape[axis])), jnp.float32(0))


WEIGHTS = "attention"
"""Collection of named outputs. If it is mutable, attention within a sequence and of queries adds
its weights `[B T N U]` to it. Otherwise they are not computed."""


class Attention(nn.Module):
    """Multi-head attention with rotary position encoding, without biases.

    Attributes:
      config: The architecture.
      dtype: Data type of the computation.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Makes the layers."""
        config = self.config
        self.query = Kernel(config.width)
        self.key_value = Kernel(2 * config.kv_heads * config.head_dim)
        self.output = Linear(config.width, dtype=self.dtype)

    def project(
        self, x: Float[Array, "*b D"]
    ) -> tuple[Float[Array, "*b N H"], Float[Array, "*b K H"], Float[Array, "*b K H"]]:
        """The queries, keys and values of tokens, not yet rotated."""
        config = self.config
        query, both = side_by_side(x, (self.query, self.key_value), self.dtype)
        query = query.reshape(*x.shape[:-1], config.num_heads, config.head_dim)
        both = both.reshape(*x.shape[:-1], 2, config.kv_heads, config.head_dim)
        return query, both[..., 0, :, :], both[..., 1, :, :]

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
