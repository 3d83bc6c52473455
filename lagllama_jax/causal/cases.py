"""The units of a dataset, one by one, for estimators that need no model."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float

DEFAULT_SAMPLES = 200
HARMONICS = 2


class Case(NamedTuple):
    """One unit: its past, its controls, and what follows.

    Attributes:
      target: The past, up to its last observed point.
      controls: The controls at all points, also at those that follow.
      season: Columns of the seasonal cycle at all points. There may be none.
      gap: Number of missing points at the end of the past.
      rng: Source of random numbers, which depends on the seed and the name of the unit.
    """

    target: Float[np.ndarray, "T"]
    controls: Float[np.ndarray, "N K"]
    season: Float[np.ndarray, "N H"]
    gap: int
    rng: np.random.Generator


def cases(dataset: SeriesDataset, steps: int, config: ForecastConfig) -> Iterator[Case]:
    """The units of a dataset.

    Raises:
      DataError: If a control has a missing value, or a unit has several targets.
    """
    if len(dataset.target_names) > 1:
        raise DataError("The units have several targets: give each target as a unit.")
    for row, item in enumerate(dataset):
        length, end = item.target.shape[1], dataset.observed_end(row)
        controls = np.zeros((length + steps, 0))
        if item.known_covariates is not None:
            controls = item.known_covariates[:, : length + steps].T
        missing = ~np.isfinite(controls)
        if missing.any():
            place, column = (int(index[0]) for index in np.nonzero(missing))
            raise DataError(
                f"Series {item.item_id!r}, control {dataset.known_names[column]!r}: position "
                f"{place} is missing. Fill it, or leave the control out."
            )
        rng = np.random.default_rng((config.seed, identity(item.item_id)))
        period = 1 if item.frequency is None else item.frequency.cycle
        waves = _waves(period, length + steps, end)
        yield Case(item.target[0, :end].astype(float), controls, waves, length - end, rng)


def _waves(season: int, count: int, past: int) -> Float[np.ndarray, "N H"]:
    """Harmonics of a seasonal cycle of which the past has at least three."""
    if season < 2 or past < 3 * season:
        return np.zeros((count, 0))
    angles = [2 * np.pi * n / season * np.arange(count) for n in range(1, HARMONICS + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    return np.stack([wave for wave in waves if wave.std() > 1e-6], axis=1)


def forecast_of(
    dataset: SeriesDataset,
    steps: int,
    config: ForecastConfig,
    draw: Callable[[Case, int, int], Float[np.ndarray, "S n"]],
) -> Forecast:
    """The forecast whose sample paths `draw` makes from a case, a count and a number of steps."""
    count = config.num_samples or DEFAULT_SAMPLES
    drawn = [
        draw(case, count, case.gap + steps)[:, case.gap :] for case in cases(dataset, steps, config)
    ]
    lowest = 0.0 if config.nonnegative else -np.inf
    return Forecast(
        dataset, np.maximum(np.stack(drawn), lowest), config.quantile_levels, lowest=lowest
    )
