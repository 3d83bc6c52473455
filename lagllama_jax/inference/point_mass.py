"""`WithPointMasses`: a predictor that gives rare values, such as sales of spare parts, their share.

The model scales a series and reads values relative to that scale. If most values are the same, it
takes the next ones to be the same for certain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.backtest import cheap, loss
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.method import TOGETHER
from lagllama_jax.inference.rare_values import by_place, cycle_of, recent, usual_value
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Bool, Float

HALF_LIFE = 64
"""Number of points after which a point counts half in the share of departures."""
SWITCHES = 0.6, 1.4
"""Smallest and largest number of changes to and from the usual value, as a part of that of
independent points. Departures come in runs below it, and regularly above it."""
LAST, IMPROBABLE = (8, 16, 32, 64), 1e-3
"""Numbers of last points, and the probability of their departures below which the share changed."""
NEAR = 1e-9
"""Distance from the usual value, as a part of the largest one, up to which it is rounding."""
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
JUDGED = (0.01, 0.05, *(number / 10 for number in range(1, 10)), 0.95, 0.99)
"""Quantile levels of this loss."""
FORESEEN = 1.5
"""Smallest loss in windows of the past, as a part of that of forecasts which foresee departures."""
WINDOWS, SHORTEST = 3, 16
"""Largest number of windows of the past that are forecast, and their smallest length."""


@dataclass(frozen=True)
class WithPointMasses:
    """Replaces forecasts of series that mostly have one value, and leave it unforeseeably.

    The new distribution of each point is a point mass at the usual value and a distribution of the
    departures from it (a hurdle model, https://doi.org/10.1016/0304-4076(86)90002-3). Its shares
    and sizes are those of the last `RECENT` points. As departures are independent, the values of
    sample paths are so, too.

    This is done if the departures do not come in runs or alternate, if their share did not change,
    and if the distribution has a smaller loss in the last points than the forecast, each compared
    with the steps at the same place of the day or the cycle. In the last windows of the past, its
    loss must not be much larger than that of forecasts of them, which may foresee departures.
    Forecasts of a network that sees several variates stay as they are.

    Attributes:
      predictor: Predictor of the series.
      judge: The same predictor, for forecasts of the past, whose progress is not reported.
    """

    predictor: Predictor
    judge: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast. `point_mass` says whether forecasts may be replaced.
        """
        plain = self.predictor.predict(dataset, prediction_length, config)
        if config.point_mass == "none" or config.covariates in TOGETHER:
            return plain
        variates, found = len(dataset.target_names), {}
        for row, past in enumerate(plain.past):
            law = departures(past, cycle_of(dataset.frequencies[row // variates]))
            if law is not None and describes(law, plain.quantiles(JUDGED, row)[0], past):
                found[row] = law
        foreseen = self._foreseen(dataset, list(found), prediction_length, config)
        laws = {row: law for row, law in found.items() if row not in foreseen}
        return _replaced(plain, laws, config) if laws else plain

    def _foreseen(
        self, dataset: SeriesDataset, rows: list[int], steps: int, config: ForecastConfig
    ) -> set[int]:
        """The rows whose departures in the last windows the predictor foresaw better."""
        variates, steps = len(dataset.target_names), max(steps, SHORTEST)
        cases: list[tuple[int, int, Marginals]] = []
        for row in rows:
            item, variate = divmod(row, variates)
            past, cycle = dataset.targets[item][variate], cycle_of(dataset.frequencies[item])
            for end in range(len(past) - steps, len(past) // 2, -steps)[:WINDOWS]:
                law = departures(past[:end], cycle)
                if law is not None and np.isfinite(past[end - SHORTEST : end]).any():
                    cases.append((row, end, law))
        if not cases:
            return set()
        items = [row // variates for row, _, _ in cases]
        before = dataset.take(items).truncate(np.array([end for _, end, _ in cases]))
        forecast = self.judge.predict(before, steps, cheap(config))
        windows: dict[int, list[Window]] = {}
        for case, (row, end, law) in enumerate(cases):
            item, variate = divmod(row, variates)
            truth = dataset.targets[item][variate, end : end + steps]
            quantiles = forecast.quantiles(JUDGED, case * variates + variate)[0]
            windows.setdefault(row, []).append(Window.of(law, quantiles, truth))
        return {row for row, found in windows.items() if foresaw(found)}


class Window(NamedTuple):
    """What a distribution with a point mass and a forecast have lost in a window.

    Attributes:
      own: Loss of the distribution.
      plain: Loss of the forecast.
      departed: Whether a value departed.
    """

    own: float
    plain: float
    departed: bool

    @classmethod
    def of(
        cls, law: Marginals, quantiles: Float[np.ndarray, "Q P"], truth: Float[np.ndarray, "P"]
    ) -> "Window":
        """The losses of a distribution at each place of a cycle, and of quantiles at `JUDGED`."""
        own = cycled(law, len(truth)).quantiles(JUDGED)[0]
        departed = np.isfinite(truth) & (truth != law.usual[0, 0])
        losses = _loss(own, truth[None]), _loss(quantiles, truth[None])
        return cls(*losses, bool(departed.any()))


def foresaw(windows: Sequence[Window]) -> bool:
    """Whether forecasts lost much less than distributions with a point mass.

    Without a departure, windows do not tell.
    """
    own, plain = (sum(getattr(window, name) for window in windows) for name in ("own", "plain"))
    return own > FORESEEN * plain and any(window.departed for window in windows)


def departures(past: Float[np.ndarray, "T"], cycle: int = 1) -> Marginals | None:
    """The distributions of the next points of a series that mostly has one value.

    Args:
      past: The series, up to the first step.
      cycle: Number of points of the cycle.

    Returns:
      The distribution at each place of the cycle. `None`: no value is usual, departures from it
      come in runs or alternate, or their share changed.

    >>> law = departures(np.array([0.0, 0, 3, 0, 0, 0, 3, 0, 3, 0, 0, 0, 0, 3, 0, 0, 0]))
    >>> law.share.round(2).item(), law.quantiles([0.5, 0.9]).round(1).ravel().tolist()
    (0.25, [0.0, 3.1])
    """
    usual = usual_value(past)
    if usual is None:
        return None
    values = recent(past)
    sizes = values - usual
    apart = np.abs(sizes) > NEAR * np.abs(sizes).max()
    if not _independent(apart):
        return None
    sizes, count = sizes[apart], apart.sum()
    unit = np.abs(sizes).mean()
    side = np.sign(sizes[0]) if len(np.unique(np.sign(sizes))) == 1 else 0.0
    drawn = np.log(np.abs(sizes)) if side else sizes / unit
    square = (((drawn - drawn.mean()) ** 2).sum() + SPREAD**2) / count
    scale = np.sqrt(square * (1 + 1 / count) * (DEGREES - 2) / DEGREES)
    loc = drawn.mean() if side else usual + unit * drawn.mean()
    shares = _shares(apart, by_place(past, cycle), usual)
    center = usual + sizes.mean()
    fields = DEGREES, loc, scale if side else unit * scale, shares, usual, side, center
    return Marginals(*(np.broadcast_to(number, (1, cycle)) for number in fields))


def _independent(apart: Bool[np.ndarray, "n"]) -> bool:
    """Whether departures look independent, and the last ones have the share of those before."""
    share = apart.mean()
    expected = 2 * share * (1 - share) * (len(apart) - 1)
    switches = (apart[1:] != apart[:-1]).sum() / expected
    if not SWITCHES[0] <= switches <= SWITCHES[1]:
        return False
    for points in LAST:
        if 2 * points > len(apart):
            break
        before, count = apart[:-points], apart[-points:].sum()
        whole = (before.sum() + DOUBT) / (len(before) + 2 * DOUBT)
        law = stats.binom(points, whole)
        if min(law.cdf(count), law.sf(count - 1)) < IMPROBABLE:
            return False
    return True


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
    law: Marginals, quantiles: Float[np.ndarray, "Q P"], past: Float[np.ndarray, "T"]
) -> bool:
    """Whether a distribution has a smaller loss in the last points than a forecast of the next.

    Args:
      law: Distribution at each place of a cycle.
      quantiles: Quantiles of the forecast at `JUDGED`.
      past: The series, up to the first step.
    """
    cycle = law.loc.shape[1]
    steps = min(cycle, quantiles.shape[1])
    last = by_place(past, cycle)[:, :steps]
    places = np.arange(quantiles.shape[1]) % cycle
    forecast = np.stack([quantiles[:, places == place].mean(axis=1) for place in range(steps)], 1)
    own = law.quantiles(JUDGED)[0, :, :steps]
    return _loss(own, last) < BETTER * _loss(forecast, last)


def _loss(quantiles: Float[np.ndarray, "Q n"], values: Float[np.ndarray, "N n"]) -> float:
    """The sum of the losses of the values that are not missing."""
    return float(loss(quantiles[None], values, JUDGED).sum())


def cycled(law: Marginals, steps: int) -> Marginals:
    """The distributions of some steps, from those at each place of a cycle."""
    return law.steps(np.arange(steps) % law.loc.shape[1])


def _replaced(forecast: Forecast, laws: dict[int, Marginals], config: ForecastConfig) -> Forecast:
    """A forecast with other distributions of some rows."""
    found = [cycled(law, forecast.prediction_length) for law in laws.values()]
    rows, changes = list(laws), dict[str, Any]()
    if forecast.marginals is not None:
        law = Marginals(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
        parts = [np.array(part) for part in forecast.marginals]
        for part, new in zip(parts, law, strict=True):
            part[rows] = new
        changes["marginals"] = Marginals(*parts)
    if forecast.samples is not None:
        samples, variates = forecast.samples.copy(), len(forecast.dataset.target_names)
        for row, law in zip(rows, found, strict=True):
            item, variate = divmod(row, variates)
            key = config.seed, identity(forecast.dataset.item_ids[item]), variate
            levels = _levels(samples.shape[1:], np.random.default_rng(key), config)
            samples[row] = np.maximum(law.at(levels[None])[0], forecast.lowest)
        changes["samples"] = samples
    return replace(forecast, **changes)


def _levels(
    shape: tuple[int, ...], rng: np.random.Generator, config: ForecastConfig
) -> Float[np.ndarray, "S P"]:
    """Random levels of the values of sample paths, which cover each step evenly if asked."""
    if config.sampling == "random":
        return rng.random(shape)
    levels = (np.arange(shape[0])[:, None] + rng.random(shape[1])) / shape[0]
    return rng.permuted(levels, axis=0)
