"""`WithPointMasses`: a predictor that gives rare values, such as sales of spare parts, their share.

The model scales a series and reads values relative to that scale. If most values are the same, it
takes the next ones to be the same for certain.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.marginals import Marginals, middle_levels
from lagllama_jax.inference.method import TOGETHER
from lagllama_jax.inference.rare_values import by_place, cycle_of, recent, usual_value
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Bool, Float

HALF_LIFE = 64
"""Number of points after which a point counts half in the share of departures."""
SWITCHES = 0.6
"""Smallest number of changes to and from the usual value, as a part of that of independent points.
Below it, departures come in runs, which a share alone does not describe."""
DOUBT = 0.5
"""Number of points with and without a departure that are added to those of the past."""
SPREAD = 0.3
"""Deviation that one more departure would have: of the logarithm of its distance, or as a part of
the mean distance."""
DEGREES = 5.0
"""Degrees of freedom of departures. With more, counts such as 3 among ones and twos are taken for
anomalies."""
BETTER = 0.95
"""Largest loss in the past, as a part of that of the other forecast."""
LEVELS = (0.01, 0.05, *(number / 10 for number in range(1, 10)), 0.95, 0.99)
"""Quantile levels of this loss."""


@dataclass(frozen=True)
class WithPointMasses:
    """Replaces the forecasts of series that mostly have one value, if they leave the others out.

    The new distribution of each point is a point mass at the usual value and a distribution of the
    departures from it (a hurdle model, https://doi.org/10.1016/0304-4076(86)90002-3). Its shares
    and sizes are those of the last `RECENT` points. As departures are independent, the values of
    sample paths are so, too.

    A forecast is replaced if such a distribution would have described the last points better, each
    compared with the steps at the same place of the day or the cycle. Forecasts of solar power at
    night, of a shop that closes at weekends, or with departures that come in runs stay as they are,
    and so do those of a network that sees several variates.

    Attributes:
      predictor: Predictor of the series.
    """

    predictor: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast. `point_mass` says whether forecasts may be replaced.
        """
        usual = self.predictor.predict(dataset, prediction_length, config)
        if config.point_mass == "none" or config.covariates in TOGETHER:
            return usual
        variates, found = len(dataset.target_names), {}
        for row, past in enumerate(usual.past):
            law = departures(past, cycle_of(dataset.frequencies[row // variates]))
            if law is not None and describes(law, usual.quantiles(LEVELS, row)[0], past):
                found[row] = law
        return _replaced(usual, found, config.seed) if found else usual


def departures(past: Float[np.ndarray, "T"], cycle: int = 1) -> Marginals | None:
    """The distributions of the next points of a series that mostly has one value.

    Args:
      past: The series, up to the first step.
      cycle: Number of points of the cycle.

    Returns:
      The distribution at each place of the cycle. `None`: no value is usual, or departures from it
      come in runs.

    >>> law = departures(np.array([0.0, 0, 3, 0, 0, 0, 3, 0, 3, 0, 0, 0, 0, 3, 0, 0, 0]))
    >>> law.share.round(2).item(), law.quantiles([0.5, 0.9]).round(1).ravel().tolist()
    (0.25, [0.0, 3.1])
    """
    usual = usual_value(past)
    if usual is None:
        return None
    values = recent(past)
    apart = values != usual
    share, count = apart.mean(), apart.sum()
    expected = 2 * share * (1 - share) * (len(values) - 1)
    if (apart[1:] != apart[:-1]).sum() < SWITCHES * expected:
        return None
    sizes = values[apart] - usual
    side = np.sign(sizes[0]) if len(np.unique(np.sign(sizes))) == 1 else 0.0
    drawn = np.log(np.abs(sizes)) if side else values[apart]
    unit = SPREAD if side else SPREAD * np.abs(sizes).mean()
    square = (((drawn - drawn.mean()) ** 2).sum() + unit**2) / count
    scale = np.sqrt(square * (1 + 1 / count) * (DEGREES - 2) / DEGREES)
    shares = _shares(apart, by_place(past, cycle), usual)
    fields = DEGREES, drawn.mean(), scale, shares, usual, side
    return Marginals(*(np.broadcast_to(number, (1, cycle)) for number in fields))


def _shares(
    apart: Bool[np.ndarray, "n"], last: Float[np.ndarray, "N C"], usual: float
) -> Float[np.ndarray, "C"]:
    """The share of departures at each place of the cycle.

    It lies between that of all points, in which recent ones have more weight, and that of the
    place, by the variance between the places (DerSimonian and Laird,
    https://doi.org/10.1016/0197-2456(86)90046-2).

    Args:
      apart: Whether each of the last points departs from the usual value.
      last: Last points by place.
      usual: The usual value.
    """
    weight = 0.5 ** (np.arange(len(apart))[::-1] / HALF_LIFE)
    whole = (weight[apart].sum() + DOUBT) / (weight.sum() + 2 * DOUBT)
    count = np.isfinite(last).sum(axis=0)
    total, variance = count.sum(), whole * (1 - whole)
    part = (np.isfinite(last) & (last != usual)).sum(axis=0) / np.maximum(count, 1)
    mean = (count * part).sum() / max(total, 1)
    excess = (count * (part - mean) ** 2).sum() - (len(count) - 1) * variance
    between = max(excess, 0) / max(total - (count**2).sum() / max(total, 1), 1)
    return whole + count * between / (count * between + variance) * (part - whole)


def describes(
    law: Marginals,
    quantiles: Float[np.ndarray, "Q P"],
    past: Float[np.ndarray, "T"],
) -> bool:
    """Whether a distribution would have had a smaller loss in the last points than a forecast.

    Args:
      law: Distribution at each place of a cycle.
      quantiles: Quantiles of the forecast at `LEVELS`.
      past: The series, up to the first step.
    """
    cycle = law.loc.shape[1]
    steps = min(cycle, quantiles.shape[1])
    last = by_place(past, cycle)[:, :steps]
    places = np.arange(quantiles.shape[1]) % cycle
    forecast = np.stack([quantiles[:, places == place].mean(axis=1) for place in range(steps)], 1)
    own = law.quantiles(LEVELS)[0, :, :steps]
    losses = [_loss(part, last) for part in (own, forecast)]
    return bool(losses[0] < BETTER * losses[1])


def _loss(quantiles: Float[np.ndarray, "Q n"], values: Float[np.ndarray, "N n"]) -> float:
    """The sum of the quantile losses of the values that are not missing."""
    levels, error = np.array(LEVELS)[:, None], values[:, None] - quantiles
    return float(np.nansum(np.maximum(levels * error, (levels - 1) * error)))


def _replaced(forecast: Forecast, laws: dict[int, Marginals], seed: int) -> Forecast:
    """A forecast with other distributions of some rows."""
    steps = np.arange(forecast.prediction_length)
    found = [law.steps(steps % law.loc.shape[1]) for law in laws.values()]
    law = Marginals(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    rows, changes = list(laws), dict[str, Any]()
    if forecast.marginals is not None:
        parts = [np.array(part) for part in forecast.marginals]
        for part, new in zip(parts, law, strict=True):
            part[rows] = new
        changes["marginals"] = Marginals(*parts)
    if forecast.samples is not None:
        samples = forecast.samples.copy()
        levels = middle_levels(samples.shape[1])
        values = np.maximum(law.quantiles(levels), forecast.lowest)
        variates = len(forecast.dataset.target_names)
        for row, drawn in zip(rows, values, strict=True):
            item, variate = divmod(row, variates)
            key = seed, identity(forecast.dataset.item_ids[item]), variate
            rng = np.random.default_rng(key)
            samples[row] = rng.permuted(drawn, axis=0)
        changes["samples"] = samples
    return replace(forecast, **changes)
