"""The key-value cache for decoding: a prefix shared by all samples, and a ring buffer per sample.

The cache is immutable: functions take a cache and return a new one. Under `jit`, in a loop that
carries the cache, XLA updates the ring buffer in place.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int


class KVCache(NamedTuple):
    """The keys and values of one layer. Keys are rotated by their absolute positions.

    Attributes:
      prefix_key: Keys of the context, shared by the samples of a series.
      prefix_value: Values of the context.
      key: Keys of the tokens that each sample has decoded. Decoded token t is in slot `t % R`. The
        sample axis is the last one, so that memory is read and written in long contiguous runs.
      value: Values of the tokens that each sample has decoded.
    """

    prefix_key: Float[Array, "B K C H"]
    prefix_value: Float[Array, "B K C H"]
    key: Float[Array, "B K R H S"]
    value: Float[Array, "B K R H S"]


def ring_block(slots: int) -> int:
    """Number of slots that are read together.

    It is smaller in a short ring, most of which has not been written yet.
    """
    return 8 if slots < 64 else 16


def ring_slots(window: int, capacity: int) -> int:
    """Number of slots of a ring, a multiple of `ring_block`.

    Args:
      window: Number of tokens that a token attends to, itself included.
      capacity: Largest number of tokens that a sample decodes.
    """
    needed = min(window, capacity)
    block = ring_block(needed)
    return -(-needed // block) * block


def start_cache(
    prefix_key: Float[Array, "B C K H"],
    prefix_value: Float[Array, "B C K H"],
    num_samples: int,
    slots: int,
) -> KVCache:
    """A cache with the keys and values of the context and an empty ring of `slots` slots."""
    batch, _, heads, width = prefix_key.shape
    ring = jnp.zeros((batch, heads, slots, width, num_samples), prefix_key.dtype)
    return KVCache(prefix_key.swapaxes(1, 2), prefix_value.swapaxes(1, 2), ring, ring)


def append(
    cache: KVCache,
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    step: Int[Array, ""],
) -> KVCache:
    """Writes decoded token `step` into the ring, over the oldest token if the ring is full."""

    def write(ring: Array, new: Array) -> Array:
        entry = new.transpose(0, 2, 3, 1)[:, :, None]
        return jax.lax.dynamic_update_slice_in_dim(ring, entry, step % ring.shape[2], 2)

    return cache._replace(key=write(cache.key, key), value=write(cache.value, value))


def visible(
    cache: KVCache, step: Int[Array, ""], window: int
) -> tuple[Bool[Array, "C"], Bool[Array, "R"]]:
    """Attention masks of decoded token `step` over the prefix and over the ring.

    The token must have been written to the ring already (`append`).

    Args:
      cache: The cache.
      step: Number of the decoded token.
      window: Number of tokens that a token attends to, itself included.
    """
    context, slots = cache.prefix_key.shape[2], cache.key.shape[2]
    prefix = context + step - jnp.arange(context) < window
    age = (step - jnp.arange(slots)) % slots
    return prefix, (age <= step) & (age < window)
