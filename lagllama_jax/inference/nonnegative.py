"""Tells of negative values of series whose forecasts are asked to have none."""

import warnings

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.series.dataset import SeriesDataset


def warn_of_negative(dataset: SeriesDataset, config: ForecastConfig) -> None:
    """Warns if `config.nonnegative` cuts off values that the past of a series has."""
    if not config.nonnegative:
        return
    lowest = np.array([np.nanmin(target, initial=0.0) for target in dataset.targets])
    count = int((lowest < 0).sum())
    if count:
        row = int(np.argmin(lowest))
        warnings.warn(
            f"nonnegative=True cuts forecasts off at 0, and {count} of {len(dataset)} series have "
            f"negative values, such as {lowest[row]:g} of {dataset.item_ids[row]!r}.",
            stacklevel=3,
        )
