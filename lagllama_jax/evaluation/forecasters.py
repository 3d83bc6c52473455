"""What can be evaluated: baselines and Lag-Llama weights behind the `Forecaster` protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.protocols import Windows
from lagllama_jax.typing import Parameters


class Prediction(NamedTuple):
    """What a forecaster returns for some windows, in the units of the series."""

    quantiles: Float[np.ndarray, "B Q P"]
    mean: Float[np.ndarray, "B P"]


class Forecaster(Protocol):
    """Anything that can be evaluated: this package's model, a baseline, or a user's own."""

    @property
    def name(self) -> str:
        """The model's name in tables."""
        ...

    def __call__(self, windows: Windows, levels: Sequence[float]) -> Prediction:
        """Forecasts every window at the given quantile levels."""
        ...


@dataclass(frozen=True)
class BaselineForecaster:
    """A baseline by its name; its median stands for the mean."""

    name: str

    def __call__(self, windows: Windows, levels: Sequence[float]) -> Prediction:
        """Forecasts every window at the given quantile levels."""
        asked = sorted({0.5, *levels})
        forecast = baseline(self.name)
        quantiles = forecast(windows.past, windows.prediction_length, windows.season, asked)
        kept = [asked.index(level) for level in levels]
        return Prediction(quantiles[:, kept], quantiles[:, asked.index(0.5)])


@dataclass(frozen=True)
class ModelForecaster:
    """Lag-Llama weights.

    Attributes:
      parameters: the weights.
      model_config: their architecture.
      forecast_config: how forecasts are drawn.
      name: of the model, in tables.
      dated: give the model the windows' wall clocks; `False`: neutral calendar features.
      progress: a function of windows done and in all; `True`, `False`, `None`: a bar, none, or
        one where it is long work in a terminal.
    """

    parameters: Parameters = field(repr=False)
    model_config: ModelConfig
    forecast_config: ForecastConfig = ForecastConfig()
    name: str = "lagllama_jax"
    dated: bool = True
    progress: bool | Callable[[int, int], None] | None = field(default=False, repr=False)

    def __call__(self, windows: Windows, levels: Sequence[float]) -> Prediction:
        """Forecasts every window at the given quantile levels."""
        samples = self.samples(windows)
        quantiles = np.quantile(samples, levels, axis=1)
        return Prediction(np.moveaxis(quantiles, 0, 1), samples.mean(1, dtype=np.float64))

    def samples(self, windows: Windows) -> np.ndarray:
        """Sample paths `[B, S, P]` of every window."""
        from lagllama_jax.forecasting.progress import progress_bar
        from lagllama_jax.forecasting.resolution import sample_paths

        with progress_bar(self.progress) as progress:
            return sample_paths(
                self.parameters,
                self.model_config,
                windows.series(dated=self.dated),
                windows.prediction_length,
                self.forecast_config,
                progress,
            )


def as_forecaster(model: Any) -> Forecaster:
    """The forecaster of a baseline's name, or of a model with `parameters` and `config`."""
    if isinstance(model, str):
        return BaselineForecaster(model)
    if hasattr(model, "parameters") and hasattr(model, "config"):
        return ModelForecaster(model.parameters, model.config)
    forecaster: Forecaster = model
    return forecaster
