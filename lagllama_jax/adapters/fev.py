"""`LagLlamaModel`: the model in the form of a submission to fev (extra `fev`)."""

from typing import Any

from lagllama_jax.errors import require
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.series.dataframe import read_frame

require("fev", "fev")

import datasets  # noqa: E402 (must follow the check)
import fev  # noqa: E402


class LagLlamaModel(fev.ForecastingModel):
    """A model for the tasks of fev, with known covariates and several targets.

    Point forecasts are medians. Covariates of the past alone and static ones are not used.

    Args:
      model: A `LagLlama`, or where to load it from. `None`: the bundled weights.
      **options: Fields of `ForecastConfig`, such as `seed` or `covariates`.
    """

    model_name = "lagllama_jax"
    # Data sets of fev-bench whose series, at any frequency, the bundled weights were trained on.
    trained_on_datasets = [
        "australian_tourism",
        "ercot_1D",
        "ercot_1H",
        "ercot_1M",
        "ercot_1W",
        "proenfo_gfc12",
        "proenfo_gfc14",
        "uci_air_quality_1D",
        "uci_air_quality_1H",
    ]

    def __init__(self, model: LagLlama | str | None = None, **options: Any):
        super().__init__()
        self.model = model if isinstance(model, LagLlama) else LagLlama.from_pretrained(model)
        self.options = options

    def _fit_predict(self, task: Any) -> list[Any]:
        return [self._window(task, window) for window in task.iter_windows()]

    def _window(self, task: Any, window: Any) -> Any:
        """The forecasts of one window: a data set per target, with a row per item."""
        past, future, _ = fev.convert_input_data(window, adapter="pandas")
        names = [task.id_column, task.timestamp_column]
        known, targets = list(task.known_dynamic_columns), list(task.target_columns)
        levels = tuple(sorted({0.5, *task.quantile_levels}))
        with self._record_inference_time():
            series = read_frame(
                past[[*names, *targets, *known]],
                future=future[[*names, *known]] if known else None,
                prediction_length=task.horizon,
                freq=task.freq,
                id_column=task.id_column,
                timestamp_column=task.timestamp_column,
                target=targets,
            )
            options = {"progress": False, **self.options}
            drawn = self.model.predict(series, task.horizon, quantile_levels=levels, **options)
            values = drawn.quantiles(levels)
        fields = {"predictions": levels.index(0.5)}
        fields |= {str(level): levels.index(level) for level in task.quantile_levels}
        return datasets.DatasetDict(
            {
                target: datasets.Dataset.from_dict(
                    {name: values[row :: len(targets), at] for name, at in fields.items()}
                )
                for row, target in enumerate(targets)
            }
        )
