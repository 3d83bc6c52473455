"""Augmentation in the frequency domain, with the gate and the rates of the reference."""

import jax
import jax.numpy as jnp

from lagllama_jax.model.batch import Batch, Rows, rows_of
from lagllama_jax.model.scalers import weighted_mean
from lagllama_jax.typing import Array, Float, Int, Key

MASK_RATE = 0.5
MIX_RATE = 0.25
PROTECTED = 2
"""Places of the argsort up to which a bin is not replaced."""


def augment(key: Key, batch: Batch, share: float) -> Batch:
    """Masks and then mixes frequencies in a share of the batches, and leaves the others alone."""
    if share == 0:
        return batch
    gate_key, change_key = jax.random.split(key)
    gate = jax.random.uniform(gate_key) < share
    return jax.lax.cond(gate, lambda b: in_frequency(change_key, b), lambda b: b, batch)


def in_frequency(key: Key, batch: Batch) -> Batch:
    """Masks frequencies of the raw values, then mixes them between the series of the batch.

    Missing values count as the mean of the others.
    """
    mask_key, mix_key, order_key = jax.random.split(key, 3)
    rows = rows_of(batch)
    values = filled(rows.raw())
    count, length = values.shape
    bins = (count, length // 2 + 1)
    values = mask_frequencies(values, jax.random.uniform(mask_key, bins), MASK_RATE)
    order = jax.random.permutation(order_key, count)
    values = mix_frequencies(values, jax.random.uniform(mix_key, bins), order, MIX_RATE)
    values = (values / rows.unit - rows.level).reshape(batch.values.shape)
    return batch._replace(values=jnp.where(batch.observed, values, 0))


def filled(rows: Rows) -> Float[Array, "B U"]:
    """Values with the mean of a series in place of its missing ones."""
    mean = weighted_mean(rows.values, rows.observed)
    return jnp.where(rows.observed, rows.values, mean)


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
