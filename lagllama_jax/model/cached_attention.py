"""Attention of decoded tokens over a key-value cache, as pure functions."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.model.causal_attention import HIDDEN
from lagllama_jax.model.kv_cache import KVCache, ring_block, visible
from lagllama_jax.typing import Array, Bool, Float, Int


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
