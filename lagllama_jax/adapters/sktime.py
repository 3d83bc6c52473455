"""`LagLlamaForecaster`: the model as a forecaster of sktime (extra `sktime`)."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.config import ForecastConfig
from lagllama_jax.errors import require
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.inference.marginals import middle_levels
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.dataset import SeriesDataset

require("sktime", "sktime")

from sktime.forecasting.base import BaseForecaster, ForecastingHorizon  # noqa: E402 (must follow the check)

DRAWS = 200
"""Number of evenly spaced quantiles that stand for a distribution with a point mass."""


class LagLlamaForecaster(BaseForecaster):
    """A forecaster of sktime, for one series or for panels and hierarchies of them.

    Point forecasts are medians. `predict_quantiles`, `predict_interval` and `predict_proba` give
    the distributions of the single points. `fit` only keeps the series, as the model forecasts
    without training. Columns of `X` are known covariates. A model that `LagLlama.fit` has
    fine-tuned is given as `model`.

    Args:
      model: A `LagLlama`, or where to load it from. `None`: the bundled weights.
      seed: Seed of the random numbers.
      options: Further fields of `ForecastConfig`, such as `num_samples` or `context_length`.

    Examples:
      >>> import pandas as pd
      >>> from lagllama_jax.adapters.sktime import LagLlamaForecaster
      >>> index = pd.period_range("2020-01", periods=60, freq="M")
      >>> y = pd.Series([float(month % 12) for month in range(60)], index, name="sales")
      >>> forecaster = LagLlamaForecaster().fit(y, fh=[1, 2, 3])
      >>> forecaster.predict().index.astype(str).tolist()
      ['2025-01', '2025-02', '2025-03']
    """

    _tags = {
        "authors": ["lagllama_jax"],
        "maintainers": ["lagllama_jax"],
        "python_dependencies": None,
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:insample": False,
        "capability:missing_values": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
        "capability:unequal_length": True,
        "requires-fh-in-fit": False,
    }

    def __init__(
        self,
        model: LagLlama | str | None = None,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ):
        self.model = model
        self.seed = seed
        self.options = options
        super().__init__()

    def _fit(self, y: pd.DataFrame, X: Any, fh: Any) -> "LagLlamaForecaster":
        ForecastConfig.of(seed=self.seed, **(self.options or {}))
        self._past, self._past_X = y, X
        return self

    def _update(
        self, y: pd.DataFrame, X: Any = None, update_params: bool = True
    ) -> "LagLlamaForecaster":
        self._past = y.combine_first(self._past)
        if X is not None:
            self._past_X = X if self._past_X is None else X.combine_first(self._past_X)
        return self

    def _predict(self, fh: Any, X: Any = None) -> pd.DataFrame:
        drawn, steps, index = self._drawn(fh, X)
        return pd.DataFrame(picked(drawn.median, steps), index, self._past.columns)

    def _predict_quantiles(self, fh: Any, X: Any, alpha: list[float]) -> pd.DataFrame:
        drawn, steps, index = self._drawn(fh, X)
        quantiles = drawn.quantiles([float(level) for level in alpha])
        values = [picked(quantiles[:, number], steps) for number in range(len(alpha))]
        names = pd.MultiIndex.from_product([self._get_varnames(), alpha])
        return pd.DataFrame(np.concatenate(values, axis=1), index, names)

    def _predict_proba(self, fh: Any, X: Any, marginal: bool = True) -> Any:
        """The distributions of the single points: Student-t, or those of draws."""
        drawn, steps, index = self._drawn(fh, X)
        if drawn.marginals is not None and not drawn.marginals.has_mass.any():
            law = require("skpro.distributions.t", "sktime").TDistribution
            df, loc, scale = (picked(part, steps) for part in drawn.marginals[:3])
            return law(loc, np.maximum(scale, 1e-12), df, index=index, columns=self._past.columns)
        law = require("skpro.distributions.empirical", "sktime").Empirical
        draws = drawn.samples
        if draws is None:
            draws = drawn.quantiles(middle_levels(DRAWS))
        paths = np.moveaxis(draws, 1, 0)
        parts = [pd.DataFrame(picked(path, steps), index, self._past.columns) for path in paths]
        return law(pd.concat(parts, keys=range(len(parts))), time_indep=drawn.samples is None)

    def _drawn(self, fh: Any, X: Any) -> tuple[Forecast, np.ndarray, pd.Index]:
        """The forecast, the steps of each series that are asked for, and their index."""
        groups = parts_of(self._past)
        relative = [fh.to_relative(part.index[-1:]).to_numpy() for _, part in groups]
        steps = np.array(relative, dtype=np.int64)
        index = [fh.to_absolute_index(part.index[-1:]) for _, part in groups]
        if isinstance(self._past.index, pd.MultiIndex):
            rows = [(*key, at) for (key, _), ats in zip(groups, index, strict=True) for at in ats]
            joined: pd.Index = pd.MultiIndex.from_tuples(rows, names=self._past.index.names)
        else:
            joined = index[0]
        options, length = dict(self.options or {}), int(steps.max())
        known = None
        if X is not None and self._past_X is not None and X.shape[1] > 0:
            known = known_covariates(groups, pd.concat([self._past_X, X]), length)
        drawn = _loaded(self.model).predict(
            dataset_of(self._past),
            length,
            known_covariates=known,
            seed=self.seed,
            progress=False,
            **options,
        )
        return drawn, steps, joined

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters for tests: a small model of random weights."""
        paths = {"method": "paths", "num_samples": 4}
        return [{"model": _small_model()}, {"model": _small_model(), "seed": 1, "options": paths}]


@functools.lru_cache(maxsize=2)
def _loaded(model: LagLlama | str | None) -> LagLlama:
    return model if isinstance(model, LagLlama) else LagLlama.from_pretrained(model)


@functools.cache
def _small_model() -> LagLlama:
    import jax

    from lagllama_jax.config import ModelConfig
    from lagllama_jax.model.network import init_parameters

    config = ModelConfig.tiny(
        context_length=8,
        attention_window=16,
        lags=(0, 1, 2),
        imputation="loc",
        scale_features="relative",
        observed_features=True,
        one_pass=True,
    )
    return LagLlama(init_parameters(config, jax.random.key(0)), config)


def parts_of(
    y: pd.DataFrame, with_freqs: bool = True
) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The series of a data frame with their names, in its order, each with an index of times."""
    if not isinstance(y.index, pd.MultiIndex):
        return [((), y)]
    levels = list(range(y.index.nlevels - 1))
    groups = y.groupby(level=levels if len(levels) > 1 else 0, sort=False)
    parts = []
    for key, part in groups:
        names = key if isinstance(key, tuple) else (key,)
        times = part.index.get_level_values(-1)
        times = with_freq(times) if with_freqs else times
        parts.append((names, part.set_axis(times, axis=0)))
    return parts


def known_covariates(
    groups: list[tuple[tuple[Any, ...], pd.DataFrame]], X: pd.DataFrame, length: int
) -> list[dict[str, np.ndarray]]:
    """The covariates of each series in the past and in the horizon, NaN where `X` has no row."""
    covariates = {key: part for key, part in parts_of(X, with_freqs=False)}
    horizon = ForecastingHorizon(np.arange(1, length + 1))
    known = []
    for key, part in groups:
        rows = covariates[key]
        rows = rows[~rows.index.duplicated(keep="last")]
        times = part.index.append(horizon.to_absolute_index(part.index[-1:]))
        known.append({str(name): rows[name].reindex(times).to_numpy(np.float64) for name in rows})
    return known


def with_freq(times: pd.Index) -> pd.Index:
    """An index of times with its frequency, as an index of a panel has none."""
    if isinstance(times, pd.DatetimeIndex) and times.freq is None:
        freq: Any = pd.infer_freq(times) if len(times) > 2 else None
        return pd.DatetimeIndex(times, freq=freq)
    return times


def dataset_of(y: pd.DataFrame) -> SeriesDataset:
    """The series of a data frame with one column."""
    parts = parts_of(y)
    names = ["/".join(map(str, key)) or str(y.columns[0]) for key, _ in parts]
    arrays = [part.iloc[:, 0].to_numpy(np.float64) for _, part in parts]
    index: list[Any] = [part.index for _, part in parts]
    if all(getattr(one, "freqstr", None) for one in index):
        starts = [one[0].start_time if isinstance(one, pd.PeriodIndex) else one[0] for one in index]
        return read_arrays(arrays, starts, [one.freqstr for one in index], names)
    return read_arrays(arrays, item_ids=names)


def picked(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The values of some steps of each series, as one column."""
    return np.take_along_axis(values, steps - 1, axis=1).reshape(-1, 1)
