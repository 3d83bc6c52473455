"""`LagLlamaPredictor`: the model as a predictor of GluonTS (extra `gluonts`)."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lagllama_jax.config import Count, ForecastConfig, check_levels, checked
from lagllama_jax.errors import DataError, require
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.covariates import with_covariates
from lagllama_jax.series.dataset import SeriesDataset

require("gluonts", "gluonts")

from gluonts.model.forecast import (  # noqa: E402 (must follow the check)
    QuantileForecast,
    SampleForecast,
)
from gluonts.model.predictor import RepresentablePredictor  # noqa: E402

CHUNK = 1024
"""Number of entries that are forecast at once, so that a dataset need not fit into memory."""
COVARIATES = {"feat_dynamic_real": "known", "past_feat_dynamic_real": "past"}
"""Fields of covariates, and their roles. Static fields and categories are not used."""


class LagLlamaPredictor(RepresentablePredictor):
    """A predictor of GluonTS, for `make_evaluation_predictions`, `Evaluator` and its datasets.

    Without sample paths, it gives `QuantileForecast`s of the given levels and the mean, otherwise
    `SampleForecast`s. An entry without `item_id` is named by its position. `feat_dynamic_real` are
    known covariates, and a target of two dimensions has several variates.

    Attributes:
      prediction_length: Number of time steps to forecast.
      model: The model.
      config: Configuration of the forecasts.

    Raises:
      ConfigError: If a length, a level or an option is invalid.
      CheckpointError: If the model cannot be loaded.

    Examples:
      >>> import pandas as pd
      >>> entries = [{"start": pd.Period("2026-01-01", "D"), "target": [1.0, 2.0, 3.0] * 20}]
      >>> (forecast,) = LagLlamaPredictor(prediction_length=7).predict(entries)
      >>> forecast.start_date, forecast.quantile(0.9).shape
      (Period('2026-03-02', 'D'), (7,))
    """

    def __init__(
        self,
        prediction_length: int,
        model: LagLlama | str | None = None,
        quantile_levels: Sequence[float] = ForecastConfig.quantile_levels,
        **options: Any,
    ):
        super().__init__(int(checked("prediction_length", prediction_length, Count)))
        self.model = model if isinstance(model, LagLlama) else LagLlama.from_pretrained(model)
        self.config = ForecastConfig.of(quantile_levels=check_levels(quantile_levels), **options)

    def predict(
        self, dataset: Iterable[Mapping[str, Any]], num_samples: int | None = None, **options: Any
    ) -> Iterator[Any]:
        """Forecasts the entries of a dataset, in its order.

        Args:
          dataset: Entries with `start` (a Period) and `target`.
          num_samples: Number of sample paths. `None`: as `config` says.
          **options: Further fields of `ForecastConfig`.

        Raises:
          DataError: If an entry is invalid. The message names its `item_id` or position.
        """
        given = options if num_samples is None else {"num_samples": num_samples, **options}
        config = ForecastConfig.of(**(vars(self.config) | given))
        entries = enumerate(dataset)
        while some := list(itertools.islice(entries, CHUNK)):
            series = dataset_of(some)
            steps = self.prediction_length
            drawn = self.model.predict(series, steps, progress=False, **vars(config))
            for row, (_, entry) in enumerate(some):
                yield converted(drawn, row, entry, config.quantile_levels)

    def predict_item(self, item: Mapping[str, Any]) -> Any:
        """Forecasts one entry."""
        return next(self.predict([item]))

    def serialize(self, path: Path) -> None:
        """Writes the weights and the options to a folder, from which `deserialize` loads."""
        super(RepresentablePredictor, self).serialize(path)
        self.model.save_pretrained(path / "model")
        options = {"prediction_length": self.prediction_length, "forecast": self._options()}
        (path / "predictor.json").write_text(json.dumps(options))

    @classmethod
    def deserialize(cls, path: Path, **kwargs: Any) -> "LagLlamaPredictor":
        """Loads a predictor that `serialize` wrote. Further arguments are not used."""
        options = json.loads((path / "predictor.json").read_text())
        model = LagLlama.from_pretrained(str(path / "model"))
        return cls(options["prediction_length"], model, **options["forecast"])

    def __eq__(self, other: object) -> bool:
        """Whether another predictor has the same weights and options."""
        if not isinstance(other, LagLlamaPredictor):
            return NotImplemented
        mine, others = (jax.tree.leaves(one.model.parameters) for one in (self, other))
        plain = self.prediction_length == other.prediction_length and self.config == other.config
        same = plain and self.model.config == other.model.config and len(mine) == len(others)
        return same and all(map(np.array_equal, mine, others))

    __hash__ = None  # type: ignore[assignment]

    def _options(self) -> dict[str, Any]:
        return json.loads(self.config.to_json())


def dataset_of(entries: Sequence[tuple[int, Mapping[str, Any]]]) -> SeriesDataset:
    """The series of numbered entries, with their covariates.

    Raises:
      DataError: If an entry is invalid, or some entries have covariates that others have not.
    """
    names = [str(entry.get("item_id", position)) for position, entry in entries]
    some = [entry for _, entry in entries]
    starts = [entry["start"] for entry in some]
    steps = [start.freqstr for start in starts]
    series = read_arrays([np.asarray(entry["target"]) for entry in some], starts, steps, names)
    given: dict[str, Any] = {}
    for field, role in COVARIATES.items():
        there = [entry.get(field) is not None for entry in some]
        if any(there) and not all(there):
            name = names[there.index(False)]
            raise DataError(f"Series {name!r} has no {field}, and others have: give all or none.")
        if all(there):
            given[role] = [np.atleast_2d(entry[field]) for entry in some]
    return with_covariates(series, **given)


def converted(
    drawn: Forecast, row: int, entry: Mapping[str, Any], levels: Sequence[float]
) -> QuantileForecast | SampleForecast:
    """One row of a forecast as a forecast of GluonTS."""
    first = entry["start"] + np.shape(entry["target"])[-1]
    named = {"start_date": first, "item_id": entry.get("item_id")}
    variates = len(drawn.dataset.target_names)
    rows = slice(row * variates, (row + 1) * variates)

    def shaped(values: np.ndarray) -> np.ndarray:
        """The values `[V, S, P]` of an item as `[S, P]`, or `[S, P, V]` for several variates."""
        return values[0] if variates == 1 else np.moveaxis(values, 0, -1)

    if drawn.samples is not None:
        return SampleForecast(samples=shaped(drawn.samples[rows]), **named)
    parts = [drawn.quantiles(levels, one) for one in range(rows.start, rows.stop)]
    values = np.concatenate([np.concatenate(parts), drawn.mean[rows][:, None]], axis=1)
    keys = [*map(str, levels), "mean"]
    return QuantileForecast(forecast_arrays=shaped(values), forecast_keys=keys, **named)
