"""Which batches are augmented, and by what; gates and rates are the reference's."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lagllama_jax.config import DataConfig
from lagllama_jax.training.augmentations import magnitude, timing
from lagllama_jax.training.augmentations.frequency import mask_frequencies, mix_frequencies
from lagllama_jax.training.sources.windows import Windows
from lagllama_jax.typing import Key

MASK_RATE = 0.5
MIX_RATE = 0.25

MAGNITUDE = {
    "jitter": magnitude.jitter,
    "scaling": magnitude.scaling,
    "rotation": magnitude.rotation,
    "magnitude_warp": magnitude.magnitude_warp,
}
TIMING = {
    "permutation": timing.permutation,
    "time_warp": timing.time_warp,
    "window_slice": timing.window_slice,
    "window_warp": timing.window_warp,
}


def augment(key: Key, windows: Windows, data: DataConfig) -> Windows:
    """Augments a batch or not.

    With probability `data.augmentation`, frequency masking and then mixing; with the same
    probability again, each of the others with its own.
    """
    if data.augmentation == 0:
        return windows
    frequency_key, others_key = jax.random.split(key)
    windows = _perhaps(frequency_key, data.augmentation, in_frequency, windows)
    chances = {name: getattr(data, name) for name in (*MAGNITUDE, *TIMING)}
    if not any(chances.values()):
        return windows

    def others(key: Key, windows: Windows) -> Windows:
        keys = jax.random.split(key, len(chances))
        for one, (name, chance) in zip(keys, chances.items(), strict=True):
            if chance > 0:
                windows = _perhaps(one, chance, _transform(name), windows)
        return windows

    return _perhaps(others_key, data.augmentation, others, windows)


def in_frequency(key: Key, windows: Windows) -> Windows:
    """Frequency masking, then mixing. Missing values count as the mean of the others."""
    mask_key, mix_key, order_key = jax.random.split(key, 3)
    values = filled(windows)
    batch, length = values.shape
    bins = (batch, length // 2 + 1)
    values = mask_frequencies(values, jax.random.uniform(mask_key, bins), MASK_RATE)
    order = jax.random.permutation(order_key, batch)
    values = mix_frequencies(values, jax.random.uniform(mix_key, bins), order, MIX_RATE)
    return windows._replace(values=jnp.where(windows.observed, values, 0))


def filled(windows: Windows) -> jax.Array:
    """Values with the mean of a series in place of its missing ones."""
    count = jnp.maximum(windows.observed.sum(axis=1, keepdims=True), 1)
    mean = jnp.where(windows.observed, windows.values, 0).sum(axis=1, keepdims=True) / count
    return jnp.where(windows.observed, windows.values, mean)


def _transform(name: str) -> Callable[[Key, Windows], Windows]:
    def transformed(key: Key, windows: Windows) -> Windows:
        values, observed = filled(windows), windows.observed
        if name in MAGNITUDE:
            values = MAGNITUDE[name](key, values)
        else:
            values, observed = timing.read_at(values, observed, TIMING[name](key, *values.shape))
        return windows._replace(values=jnp.where(observed, values, 0), observed=observed)

    return transformed


def _perhaps(
    key: Key, chance: float, change: Callable[[Key, Windows], Windows], windows: Windows
) -> Windows:
    gate_key, change_key = jax.random.split(key)
    gate = jax.random.uniform(gate_key) < chance
    return jax.lax.cond(gate, lambda w: change(change_key, w), lambda w: w, windows)
