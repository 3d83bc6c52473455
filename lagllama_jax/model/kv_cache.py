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
      prefix_key: keys of the context, one set a series.
      prefix_value: values of the context.
      key: keys of each sample's own tokens, slots last, which the CPU multiplies up to four times
        as fast; own token t lies in slot `t % R`.
      value: values of each sample's own tokens.
    """

    prefix_key: Float[Array, "B K C H"]
    prefix_value: Float[Array, "B K C H"]
    key: Float[Array, "B K S H R"]
    value: Float[Array, "B K S R H"]


def ring_slots(window: int, capacity: int) -> int:
    """Slots of a ring: own tokens that a token can see, itself included."""
    return min(window, capacity)


def start_cache(
    prefix_key: Float[Array, "B C K H"],
    prefix_value: Float[Array, "B C K H"],
    num_samples: int,
    slots: int,
) -> KVCache:
    """A cache with the context's keys and values and an empty ring."""
    batch, _, heads, width = prefix_key.shape
    ring = jnp.zeros((batch, heads, num_samples, slots, width), prefix_key.dtype)
    prefix = prefix_key.swapaxes(1, 2), prefix_value.swapaxes(1, 2)
    return KVCache(*prefix, ring.swapaxes(3, 4), ring)


def append(
    cache: KVCache,
    key: Float[Array, "B S K H"],
    value: Float[Array, "B S K H"],
    step: Int[Array, ""],
) -> KVCache:
    """Writes own token `step` over the oldest slot."""
    slot = step % cache.value.shape[3]

    def write(ring: Array, new: Array, axis: int) -> Array:
        entry = jnp.expand_dims(new.swapaxes(1, 2), axis)
        return jax.lax.dynamic_update_slice_in_dim(ring, entry, slot, axis)

    return cache._replace(key=write(cache.key, key, 4), value=write(cache.value, value, 3))


def visible(
    cache: KVCache, step: Int[Array, ""], window: int
) -> tuple[Bool[Array, "C"], Bool[Array, "R"]]:
    """What own token `step` sees of the prefix and of the ring that it has been written to.

    The ring holds the last R <= `window` own tokens, so only slots not yet written are hidden.
    """
    context, slots = cache.prefix_key.shape[2], cache.value.shape[3]
    prefix = context + step - jnp.arange(context) < window
    return prefix, jnp.arange(slots) <= step
