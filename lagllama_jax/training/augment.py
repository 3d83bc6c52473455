"""Augmentation in the frequency domain, with the gate and the rates of the reference."""

import jax
import jax.numpy as jnp

from lagllama_jax.training.sources.windows import Windows
from lagllama_jax.typing import Array, Float, Int, Key

MASK_RATE = 0.5
MIX_RATE = 0.25
PROTECTED = 2
"""Places of the argsort up to which a bin is not replaced."""


def augment(key: Key, windows: Windows, share: float) -> Windows:
    """Masks and then mixes frequencies in a share of the batches, and leaves the others alone."""
    if share == 0:
        return windows
    gate_key, change_key = jax.random.split(key)
    gate = jax.random.uniform(gate_key) < share
    return jax.lax.cond(gate, lambda w: in_frequency(change_key, w), lambda w: w, windows)


def in_frequency(key: Key, windows: Windows) -> Windows:
    """Masks frequencies, then mixes them. Missing values count as the mean of the others."""
    mask_key, mix_key, order_key = jax.random.split(key, 3)
    values = filled(windows)
    batch, length = values.shape
    bins = (batch, length // 2 + 1)
    values = mask_frequencies(values, jax.random.uniform(mask_key, bins), MASK_RATE)
    order = jax.random.permutation(order_key, batch)
    values = mix_frequencies(values, jax.random.uniform(mix_key, bins), order, MIX_RATE)
    return windows._replace(values=jnp.where(windows.observed, values, 0))


def filled(windows: Windows) -> Float[Array, "B U"]:
    """Values with the mean of a series in place of its missing ones."""
    count = jnp.maximum(windows.observed.sum(axis=1, keepdims=True), 1)
    mean = jnp.where(windows.observed, windows.values, 0).sum(axis=1, keepdims=True) / count
    return jnp.where(windows.observed, windows.values, mean)


def mask_frequencies(
    values: Float[Array, "B T"], uniform: Float[Array, "B F"], rate: float
) -> Float[Array, "B T"]:
    """Sets every frequency whose draw is below `rate` to zero (arXiv 2303.14254).

    Args:
      values: Whole windows, past and future.
      uniform: A draw for each of the T // 2 + 1 frequencies.
      rate: Share of frequencies.
    """
    spectrum = jnp.fft.rfft(values)
    return _back(jnp.where(uniform < rate, 0, spectrum), values)


def mix_frequencies(
    values: Float[Array, "B T"],
    uniform: Float[Array, "B F"],
    permutation: Int[Array, "B"],
    rate: float,
) -> Float[Array, "B T"]:
    """Takes every frequency whose draw is below `rate` from another series of the batch.

    The intention is that a series keeps its largest frequencies. As in the reference, however, the
    argsort of the magnitudes is used in place of their rank, so that others are kept instead.

    Args:
      values: Whole windows, past and future.
      uniform: A draw for each frequency.
      permutation: The index of the other series for each series.
      rate: Share of frequencies.
    """
    spectrum = jnp.fft.rfft(values)
    order = jnp.argsort(-jnp.abs(spectrum), axis=-1)
    replaced = (uniform < rate) & (order > PROTECTED)
    return _back(jnp.where(replaced, spectrum[permutation], spectrum), values)


def _back(spectrum: Float[Array, "B F"], values: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """To the time domain; an odd length is one short there and begins with its old first value."""
    back = jnp.fft.irfft(spectrum)
    if back.shape[1] == values.shape[1]:
        return back
    return jnp.concatenate([values[:, :1], back], axis=1)
