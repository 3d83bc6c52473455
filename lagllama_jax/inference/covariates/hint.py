"""The effect of covariates on each target, as further known covariates of the network."""

from dataclasses import replace

import numpy as np

from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float, Int


def with_hints(dataset: SeriesDataset, hints: list[Float[np.ndarray, "V _"]]) -> SeriesDataset:
    """A dataset in which a known covariate per target is added: a guess of what drives it.

    A hint has the sign and the units of its target, so that the network only has to learn how far
    to trust it.

    Args:
      dataset: The series, with known covariates.
      hints: The hints of each item, up to the end of the horizon; NaN where there is none.
    """
    assert dataset.known_covariates is not None
    known = [
        np.concatenate([rows[:, : hint.shape[1]], hint])
        for rows, hint in zip(dataset.known_covariates, hints, strict=True)
    ]
    names = tuple(f"effect on {name}" for name in dataset.target_names)
    return replace(dataset, known_covariates=known, known_names=(*dataset.known_names, *names))


def out_of_sample(
    effects: Float[np.ndarray, "V E N"], ends: Int[np.ndarray, "E"]
) -> Float[np.ndarray, "V N"]:
    """The effect at each point, by the last coefficients that were fitted to points before it.

    Points before the first end have the effect of the first coefficients.

    Args:
      effects: The effect at each point, by coefficients that were fitted to the points before each
        end.
      ends: The ends, ascending.

    >>> out_of_sample(np.array([[[1.0] * 4, [2.0] * 4]]), np.array([2, 3])).tolist()
    [[1.0, 1.0, 1.0, 2.0]]
    """
    points = np.arange(effects.shape[2])
    fit = np.maximum(np.searchsorted(ends, points, side="right") - 1, 0)
    return effects[:, fit, points]
