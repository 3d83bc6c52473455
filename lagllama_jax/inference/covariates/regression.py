"""`CovariateRegression`: a predictor that regresses on known covariates around another one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import special

from lagllama_jax.config import DEFAULT_LEVELS, Count, ForecastConfig, checked
from lagllama_jax.inference.backtest import added, cheap, loss
from lagllama_jax.inference.batch import identity
from lagllama_jax.inference.covariates.checks import (
    check_covariates,
    report_network_use,
    report_use,
)
from lagllama_jax.inference.covariates.design import (
    Grid,
    controls,
    grid_of,
    joint_responses,
    responses,
)
from lagllama_jax.inference.covariates.hidden import hidden_pasts
from lagllama_jax.inference.covariates.hint import out_of_sample, with_hints
from lagllama_jax.inference.covariates.ridge import FEWEST_ROWS, effects
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.gaps import LONGEST_GAP, join
from lagllama_jax.inference.marginals import middle_levels
from lagllama_jax.inference.method import TOGETHER
from lagllama_jax.inference.point_mass import WithPointMasses, departures
from lagllama_jax.inference.rare_values import cycle_of
from lagllama_jax.series.blocks import daily_constants
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Bool, Float, Int

FEWEST_WINDOWS, MOST_WINDOWS, WINDOW_POINTS = 6, 12, 24
"""The backtest has as many windows as have about 24 points, but at least 6 and at most 12."""
SHARPNESS, DOUBT, EFFECTS = 8.0, 0.5, 2.0
"""Weights are proportional to p exp(-8 (d + e / 2)). In the windows of the backtest, d is the mean
difference of the loss to that without covariates, as a part of it, and e its standard error. p is 1
for no effect, and 2 for all others together, so that their number does not matter."""
MOST_POINTS = 4_000_000
"""Number of values of effects that are held at once."""
DAYS_REGRESSED, POINTS_REGRESSED = 366, (8192, 40_000)
"""The regression is fitted to the last 366 days, but at least 8,192 and at most 40,000 points."""
JOINT_YEARS, MOST_JOINT_POINTS = 3, 60_000
"""With joint responses, to three times as many points, but at most 60,000."""
JOINT_DRAWS = 2
"""Number of draws of the joint responses, whose effects are averaged."""
CANDIDATES = 5
"""No effect; the effect fitted to values, and to seasonal differences, of one covariate at a time;
and both with joint responses as well."""


@dataclass(frozen=True)
class CovariateRegression:
    """Forecasts what is left of a series after the effect of its known covariates is removed.

    The effect is a ridge regression with hinges and interactions (`design.responses`), and if the
    past is long enough also with joint responses (`design.joint_responses`), adjusted for trend and
    calendar. It is fitted to the values, and to their seasonal differences. Each of these is
    weighted against the predictor alone by the loss of their forecasts in the last windows of the
    past, per series, so that covariates that do not help have little effect. The weighted
    effect in the future is added to the forecast (`Forecast.effect`). The error of its coefficients
    and what missing values of the future leave open (`hidden`) are added to the width.

    With `ForecastConfig.covariates="network"`, there is no regression: the predictor gets the
    series with their covariates. With `"both"`, it gets the effect that is fitted to the values as
    one more known covariate per target, out of sample near the end of the past (`hint`), and
    nothing is removed from the series.

    Attributes:
      predictor: Predictor of series without covariates, or of groups of variates.
      judge: The same predictor, for forecasts of the past, whose progress is not reported.
    """

    predictor: Predictor
    judge: Predictor

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        """Forecasts the points that follow each item, in the units of the item.

        Args:
          dataset: The series, with their known covariates.
          prediction_length: Number of time steps to forecast.
          config: Options of the forecast. `covariates` says what is done with the covariates.

        Raises:
          ConfigError: If the network is to use covariates, and it cannot.
          DataError: If covariates do not have the points of the series and of the horizon, or have
            infinite values.
        """
        steps = int(checked("prediction_length", prediction_length, Count))
        check_covariates(dataset, steps)
        if config.covariates in TOGETHER:
            return self._together(dataset, steps, config)
        report_use(dataset, steps)
        if dataset.known_covariates is None or config.covariates == "none":
            forecast = self.predictor.predict(_alone(dataset), steps, config)
            return replace(forecast, dataset=dataset)
        parts = []
        for rows in _parts(dataset, steps):
            part = dataset.take(rows.tolist())
            parts.append((rows, self._predict(part, steps, config)))
        return join(dataset, parts)

    def _predict(self, dataset: SeriesDataset, steps: int, config: ForecastConfig) -> Forecast:
        fits = [_fit(dataset, row, steps) for row in range(len(dataset))]
        shares = self._shares(dataset, fits, steps, config)
        if isinstance(self.predictor, WithPointMasses) and config.point_mass != "none":
            shares = _unmixed(dataset, shares)
        values, deviations = [], []
        for fit, share in zip(fits, shares, strict=True):
            values.append(np.einsum("vc,vcn->vn", share, fit.values[:, :, -1]))
            deviations.append(np.einsum("vc,vcp->vp", share, fit.deviation))
        left = _alone(dataset, values)
        forecast = self.predictor.predict(left, steps, config.replace(nonnegative=False))
        effect, deviation = (
            np.concatenate([row[:, -steps:] for row in part]) for part in (values, deviations)
        )
        lowest = 0.0 if config.nonnegative else -np.inf
        normals = _normals(dataset, forecast, config.seed)
        whole = added(forecast, effect, lowest, deviation, normals)
        return replace(whole, dataset=dataset, effect=effect)

    def _together(self, dataset: SeriesDataset, steps: int, config: ForecastConfig) -> Forecast:
        """The forecast of a network that sees the covariates, and their fitted effect if asked."""
        report_network_use(dataset)
        given = dataset
        if config.covariates == "both" and dataset.known_covariates is not None:
            fits = (_fit(dataset, row, steps) for row in range(len(dataset)))
            given = with_hints(dataset, [_hint(fit) for fit in fits])
        return replace(self.predictor.predict(given, steps, config), dataset=dataset)

    def _shares(
        self, dataset: SeriesDataset, fits: "list[_Fit]", steps: int, config: ForecastConfig
    ) -> Float[np.ndarray, "n V C"]:
        """The weights of the candidates, from the losses of their forecasts in the last windows."""
        variates = len(dataset.target_names)
        cases = [
            (row, window, candidate)
            for row, fit in enumerate(fits)
            for window in range(len(fit.ends) - 1)
            for candidate in np.flatnonzero(fit.fitted.any(axis=0)).tolist()
        ]
        losses = [np.zeros((len(fit.ends) - 1, variates, CANDIDATES)) for fit in fits]
        if cases:
            rows = [row for row, _, _ in cases]
            removed = [fits[row].values[:, candidate, window] for row, window, candidate in cases]
            ends = np.array([fits[row].ends[window] for row, window, _ in cases])
            past = _alone(dataset.take(rows), removed).truncate(ends)
            quantiles = self.judge.predict(past, steps, cheap(config)).quantiles(DEFAULT_LEVELS)
            quantiles = quantiles.reshape(len(cases), variates, -1, steps)
            for (row, window, candidate), effect, end, found in zip(
                cases, removed, ends, quantiles, strict=True
            ):
                truth = dataset.targets[row] - effect[:, : dataset.targets[row].shape[1]]
                losses[row][window, :, candidate] = loss(found, truth[:, end : end + steps])
        return np.stack([_weights(*pair) for pair in zip(losses, fits, strict=True)])


def _unmixed(
    dataset: SeriesDataset, shares: Float[np.ndarray, "n V C"]
) -> Float[np.ndarray, "n V C"]:
    """The weights of the candidates, with a single one for targets that may have a point mass.

    A part of an effect would move the usual value, so that it were no point mass any more. It is no
    effect, if its weight is not below its prior, or the best of the others.
    """
    found = shares.copy()
    for item, target in enumerate(dataset.targets):
        cycle = cycle_of(dataset.frequencies[item])
        for variate, past in enumerate(target):
            if departures(past, cycle) is not None:
                share = shares[item, variate]
                none = share[0] >= 1 / (1 + EFFECTS) - 1e-9
                best = 0 if none else 1 + share[1:].argmax()
                found[item, variate] = np.eye(CANDIDATES)[best]
    return found


def _weights(losses: Float[np.ndarray, "W V C"], fit: "_Fit") -> Float[np.ndarray, "V C"]:
    """The weights of the candidates of one item, from their losses in its windows."""
    count = len(losses)
    weights = np.zeros((len(fit.values), CANDIDATES))
    weights[:, 0] = 1.0
    alone = losses[:, :, :1].mean(axis=0) if count > 1 else np.zeros((len(weights), 1))
    if (alone > 0).any():
        more = (losses - losses[:, :, :1]) / np.maximum(alone, 1e-300)
        error = more.std(axis=0, ddof=1) / np.sqrt(count)
        judged = np.exp(-SHARPNESS * (more.mean(axis=0) + DOUBT * error))
        judged[:, 1:] *= EFFECTS / np.maximum(fit.fitted[:, 1:].sum(axis=1, keepdims=True), 1)
        weights = np.where((alone > 0) & fit.fitted, judged, weights)
    return weights / weights.sum(axis=-1, keepdims=True)


class _Fit(NamedTuple):
    """The candidates of one item, at the ends of the past of its windows and of its whole past.

    Attributes:
      ends: Ascending ends of the past. The last one is that of the item.
      values: Effect of each candidate at each point, for each end.
      deviation: Standard deviation of the effect of each candidate in the future.
      fitted: Whether a candidate was fitted, or is no effect.
    """

    ends: Int[np.ndarray, "E"]
    values: Float[np.ndarray, "V C E N"]
    deviation: Float[np.ndarray, "V C P"]
    fitted: np.ndarray


def _hint(fit: _Fit) -> Float[np.ndarray, "V N"]:
    """The effect fitted to the values of each target. It is missing where nothing was fitted."""
    effect = out_of_sample(fit.values[:, 1], fit.ends)
    return np.where(fit.fitted[:, 1:2], effect, np.nan)


def _fit(dataset: SeriesDataset, row: int, steps: int) -> _Fit:
    """Fits the candidates of one item."""
    assert dataset.known_covariates is not None
    target = dataset.targets[row]
    length = target.shape[1]
    covariates = dataset.known_covariates[row][:, : length + steps]
    grid = grid_of(dataset, row, length + steps)
    calendar = controls(grid)
    hidden = hidden_pasts(covariates, length)
    covariates = np.concatenate([covariates, *hidden.covariates], axis=1)
    grid = grid._replace(calendar=grid.calendar[hidden.rows])
    windows = int(np.clip(-(-WINDOW_POINTS // steps), FEWEST_WINDOWS, MOST_WINDOWS))
    ends = length - steps * np.arange(windows, -1, -1)
    ends = ends[ends > 0]
    observed = np.isfinite(target).cumsum(axis=1).min(axis=0)
    ends = ends[(observed[ends - 1] >= FEWEST_ROWS) & ~_in_long_gap(target, ends)]
    if len(ends) < 2:
        ends = np.array([length])
    count = length + steps
    shape = len(target), CANDIDATES, len(ends), count
    values, deviation = np.zeros(shape), np.zeros((*shape[:2], steps))
    fitted = np.zeros(shape[:2], bool)
    fitted[:, 0] = True
    varying = [_varying_times(past, grid.day, count) for past in target]
    for joint, design in _designs(covariates, grid, length):
        recent, share = _recent(grid, joint), 1 / JOINT_DRAWS if joint else 1.0
        for variate, lag in np.ndindex(len(target), 2 if len(ends) > 1 else 0):
            found = effects(target[variate], design, calendar, ends, grid.lag * lag, recent)
            if found is not None:
                candidate, part = 1 + 2 * joint + lag, share * varying[variate]
                unknown = np.hypot(found.deviation[:steps], hidden.deviation(found.values[-1]))
                values[variate, candidate] += part * found.values[:, :count]
                deviation[variate, candidate] += part[length:] * unknown
                fitted[variate, candidate] = True
    return _Fit(ends, values, deviation, fitted)


def _designs(
    covariates: Float[np.ndarray, "K N"], grid: Grid, past: int
) -> Iterator[tuple[bool, Float[np.ndarray, "N F"]]]:
    """The columns of each regression, and whether there are joint responses among them."""
    apart = responses(covariates, grid, past)
    yield False, apart
    for draw in range(JOINT_DRAWS):
        joint = joint_responses(covariates, grid, past, draw)
        if joint.size:
            yield True, np.concatenate([apart, joint], axis=1)


def _recent(grid: Grid, joint: bool) -> int:
    """Number of points of the past to which the regression is fitted: a year, within bounds.

    A year has the weather of every season. Older points are left out, as relations change. The many
    joint responses need more points, such as further days of heat.
    """
    points = int(np.clip(DAYS_REGRESSED * grid.day, *POINTS_REGRESSED))
    return min(JOINT_YEARS * points, MOST_JOINT_POINTS) if joint else points


def _in_long_gap(
    target: Float[np.ndarray, "V T"], ends: Int[np.ndarray, "E"]
) -> Bool[np.ndarray, "E"]:
    """Whether a past before that of the item ends with too many missing points to be forecast."""
    place = np.arange(1, target.shape[1] + 1)
    observed = np.maximum.accumulate(np.where(np.isfinite(target).any(axis=0), place, 0))
    return (ends - observed[ends - 1] > LONGEST_GAP) & (ends < target.shape[1])


def _varying_times(past: Float[np.ndarray, "T"], day: int, count: int) -> Float[np.ndarray, "N"]:
    """0 at times of day at which the past is constant, as at night for solar power, otherwise 1."""
    constant = daily_constants(past, day, max(day, 1))
    places = (np.arange(count) - len(past)) % max(day, 1)
    return np.isnan(constant).astype(np.float64)[places]


def _alone(
    dataset: SeriesDataset, effect: list[Float[np.ndarray, "V _"]] | None = None
) -> SeriesDataset:
    """The series without covariates, and without the effect of covariates."""
    targets = dataset.targets
    if effect is not None:
        pairs = zip(targets, effect, strict=True)
        targets = [target - part[:, : target.shape[1]] for target, part in pairs]
    return replace(
        dataset,
        targets=targets,
        past_covariates=None,
        known_covariates=None,
        past_names=(),
        known_names=(),
    )


def _parts(dataset: SeriesDataset, steps: int) -> Iterator[Int[np.ndarray, "n"]]:
    """Indices of consecutive items whose effects have at most `MOST_POINTS` values, or of one."""
    each = (dataset.lengths + steps) * len(dataset.target_names) * CANDIDATES * FEWEST_WINDOWS
    parts = np.cumsum(each) // MOST_POINTS
    for number in np.unique(parts):
        yield np.flatnonzero(parts == number)


def _normals(
    dataset: SeriesDataset, forecast: Forecast, seed: int
) -> Float[np.ndarray, "B S"] | None:
    """One standard normal number per sample path, which covers the distribution evenly."""
    if forecast.samples is None:
        return None
    count, variates = forecast.samples.shape[1], len(dataset.target_names)
    drawn = []
    for name in dataset.item_ids:
        rng = np.random.default_rng((seed, identity(name)))
        drawn += [rng.permutation(count) for _ in range(variates)]
    return special.ndtri(np.array(middle_levels(count))[np.stack(drawn)])
