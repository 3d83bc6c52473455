"""Augmentation in the frequency domain, with the rates of the reference implementation."""

import jax
import jax.numpy as jnp

from lagllama_jax.model.batch import Batch, Rows, rows_of
from lagllama_jax.model.scalers import weighted_mean
from lagllama_jax.typing import Array, Float, Int, Key

MASK_RATE = 0.5
MIX_RATE = 0.25
PROTECTED = 2
"""Frequencies whose entry in the argsort is at most this are not replaced."""


def augment(key: Key, batch: Batch, share: float) -> Batch:
    """Masks and then mixes frequencies in a share of the batches. The others are unchanged."""
    if share == 0:
        return batch
    gate_key, change_key = jax.random.split(key)
    gate = jax.random.uniform(gate_key) < share
    return jax.lax.cond(gate, lambda b: in_frequency(change_key, b), lambda b: b, batch)


def in_frequency(key: Key, batch: Batch) -> Batch:
    """Masks frequencies of the raw values, then mixes them between the series of the batch.

    Missing values are replaced by the mean of the observed ones.
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
    """The values, with the mean of each series in place of its missing ones."""
    mean = weighted_mean(rows.values, rows.observed)
    return jnp.where(rows.observed, rows.values, mean)


def mask_frequencies(
    values: Float[Array, "B T"], uniform: Float[Array, "B F"], rate: float
) -> Float[Array, "B T"]:
    """Sets a share of the frequencies of each series to zero (arXiv 2303.14254).

    Args:
      values: Whole windows, past and future.
      uniform: A uniform number for each of the T // 2 + 1 frequencies. A frequency is masked if its
        number is below `rate`.
      rate: Share of frequencies to mask.
    """
    spectrum = jnp.fft.rfft(values)
    return _back(jnp.where(uniform < rate, 0, spectrum), values)


def mix_frequencies(
    values: Float[Array, "B T"],
    uniform: Float[Array, "B F"],
    permutation: Int[Array, "B"],
    rate: float,
) -> Float[Array, "B T"]:
    """Replaces a share of the frequencies of each series by those of another series of the batch.

    A series is meant to keep its largest frequencies. The reference uses the argsort of the
    magnitudes in place of their rank, so that it keeps others; this function does the same.

    Args:
      values: Whole windows, past and future.
      uniform: A uniform number for each frequency. A frequency is replaced if its number is below
        `rate`.
      permutation: Index of the other series for each series.
      rate: Share of frequencies to replace.
    """
    spectrum = jnp.fft.rfft(values)
    order = jnp.argsort(-jnp.abs(spectrum), axis=-1)
    replaced = (uniform < rate) & (order > PROTECTED)
    return _back(jnp.where(replaced, spectrum[permutation], spectrum), values)


def _back(spectrum: Float[Array, "B F"], values: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """Transforms back to `T` points. For an odd T, `irfft` gives T - 1; the first value is kept."""
    back = jnp.fft.irfft(spectrum)
    if back.shape[1] == values.shape[1]:
        return back
    return jnp.concatenate([values[:, :1], back], axis=1)
