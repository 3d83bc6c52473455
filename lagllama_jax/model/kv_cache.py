"""Keys and values for decoding: a prefix that all samples share and a ring of each sample's own.

A cache is a value: functions here take one and return another. Under `jit`, inside a loop that
carries it, the ring is updated in place.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float, Int


class KVCache(NamedTuple):
    """One layer's keys (rotated by their absolute positions) and values.

    Attributes:
      prefix_key: Keys of the context, one set per series.
      prefix_value: Values of the context.
      key: Keys of each sample's own tokens; own token t lies in slot `t % R`. Samples are last,
        so that a token is written, and slots are read, in long runs.
      value: Values of each sample's own tokens.
    """

    prefix_key: Float[Array, "B K C H"]
    prefix_value: Float[Array, "B K C H"]
    key: Float[Array, "B K R H S"]
    value: Float[Array, "B K R H S"]


def ring_block(slots: int) -> int:
    """Slots that are read together: few in a short ring, most of which is not yet written."""
    return 8 if slots < 64 else 16


def ring_slots(window: int, capacity: int) -> int:
    """Slots of a ring: own tokens that a token can see, itself included, in whole blocks."""
    needed = min(window, capacity)
    block = ring_block(needed)
    return -(-needed // block) * block


def start_cache(
    prefix_key: Float[Array, "B C K H"],
    prefix_value: Float[Array, "B C K H"],
    num_samples: int,
    slots: int,
) -> KVCache:
    """A cache with the context's keys and values and an empty ring."""
    batch, _, heads, width = prefix_key.shape
    ring = jnp.zeros((batch, heads, slots, width, num_samples), prefix_key.dtype)
    return KVCache(prefix_key.swapaxes(1, 2), prefix_value.swapaxes(1, 2), ring, ring)


def append(
    cache: KVCache,
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    step: Int[Array, ""],
) -> KVCache:
    """Writes own token `step` over the oldest slot."""

    def write(ring: Array, new: Array) -> Array:
        entry = new.transpose(0, 2, 3, 1)[:, :, None]
        return jax.lax.dynamic_update_slice_in_dim(ring, entry, step % ring.shape[2], 2)

    return cache._replace(key=write(cache.key, key), value=write(cache.value, value))


def visible(
    cache: KVCache, step: Int[Array, ""], window: int
) -> tuple[Bool[Array, "C"], Bool[Array, "R"]]:
    """What own token `step` sees of the prefix and of the ring that it has been written to."""
    context, slots = cache.prefix_key.shape[2], cache.key.shape[2]
    prefix = context + step - jnp.arange(context) < window
    age = (step - jnp.arange(slots)) % slots
    return prefix, (age <= step) & (age < window)
