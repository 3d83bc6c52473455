"""What can be evaluated: baselines and Lag-Llama weights behind the `Forecaster` protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.evaluation.backtest import Prediction
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.protocols import Windows
from lagllama_jax.typing import Parameters


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
      progress: called with windows done and windows in all.
    """

    parameters: Parameters = field(repr=False)
    model_config: ModelConfig
    forecast_config: ForecastConfig = ForecastConfig()
    name: str = "lagllama_jax"
    dated: bool = True
    progress: Callable[[int, int], None] | None = field(default=None, repr=False)

    def __call__(self, windows: Windows, levels: Sequence[float]) -> Prediction:
        """Forecasts every window at the given quantile levels."""
        samples = self.samples(windows)
        quantiles = np.quantile(samples, levels, axis=1)
        return Prediction(np.moveaxis(quantiles, 0, 1), samples.mean(1, dtype=np.float64))

    def samples(self, windows: Windows) -> np.ndarray:
        """Sample paths `[B, S, P]` of every window."""
        from lagllama_jax.forecasting.runner import forecast_samples

        context = self.forecast_config.context_length or self.model_config.context_length
        return forecast_samples(
            self.parameters,
            self.model_config,
            windows.past,
            windows.clocks(context) if self.dated else None,
            windows.item_ids,
            windows.prediction_length,
            self.forecast_config,
            self.progress,
        )
