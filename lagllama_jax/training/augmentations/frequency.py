"""Augmentation in the frequency domain: bins set to zero, or taken from another series."""

import jax.numpy as jnp

from lagllama_jax.typing import Array, Float, Int

PROTECTED = 2
"""Places of the argsort up to which a bin is not replaced."""


def mask_frequencies(
    values: Float[Array, "B T"], uniform: Float[Array, "B F"], rate: float
) -> Float[Array, "B T"]:
    """Sets every frequency whose draw is below `rate` to zero (arXiv 2303.14254).

    Args:
      values: whole windows, past and future.
      uniform: a draw for each of the T // 2 + 1 frequencies.
      rate: share of frequencies.
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

    Meant is that a series keeps its largest frequencies. As in the reference, though, the argsort
    of the magnitudes stands where their rank was meant, so that others are kept instead.

    Args:
      values: whole windows, past and future.
      uniform: a draw for each frequency.
      permutation: the other series of each.
      rate: share of frequencies.
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
