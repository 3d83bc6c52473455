"""What can be evaluated: baselines and Lag-Llama weights behind the `Forecaster` protocol."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Float

from lagllama_jax.config import ForecastConfig, ModelConfig
from lagllama_jax.evaluation.baselines.naive import SEEDED, baseline
from lagllama_jax.evaluation.windows import Windows
from lagllama_jax.typing import Parameters


class Prediction(NamedTuple):
    """What a forecaster returns for some windows, in the units of the series."""

    quantiles: Float[np.ndarray, "B Q P"]
    mean: Float[np.ndarray, "B P"]


class Forecaster(Protocol):
    """Anything that can be evaluated: this package's model, a baseline, or a user's own.

    One that also has `identity`, a text of all that decides its forecasts, is told by that from
    another of the same name (see `fingerprint`).
    """

    @property
    def name(self) -> str:
        """The model's name in tables."""
        ...

    def __call__(self, windows: Windows, levels: Sequence[float]) -> Prediction:
        """Forecasts every window at the given quantile levels."""
        ...


@dataclass(frozen=True)
class BaselineForecaster:
    """A baseline by its name; its median stands for the mean.

    Attributes:
      name: one of `baselines.BASELINES`.
      seed: of a baseline that is trained; see `baselines.baseline`.
    """

    name: str
    seed: int = 0

    @property
    def identity(self) -> str:
        """The name, and the seed where it decides anything."""
        return f"{self.name}, seed {self.seed}" if self.name in SEEDED else self.name

    def __call__(self, windows: Windows, levels: Sequence[float]) -> Prediction:
        """Forecasts every window at the given quantile levels."""
        asked = sorted({0.5, *levels})
        forecast = baseline(self.name, self.seed)
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

    @functools.cached_property
    def identity(self) -> str:
        """Architecture, a hash of the weights, and what decides how a forecast is drawn."""
        drawn = self.forecast_config.replace(batch_size=None)  # a matter of memory alone
        digest = _weights_digest(self.parameters)
        return f"{self.model_config.to_json()}{digest}{drawn.to_json()}dated {self.dated}"

    def samples(self, windows: Windows) -> Float[np.ndarray, "B S P"]:
        """Sample paths of every window, in the units of the series."""
        from lagllama_jax.inference.aggregation import sample_paths
        from lagllama_jax.progress import progress_bar

        with progress_bar(self.progress) as progress:
            return sample_paths(
                self.parameters,
                self.model_config,
                windows.series(dated=self.dated),
                windows.prediction_length,
                self.forecast_config,
                progress,
            )


def _weights_digest(parameters: Parameters) -> str:
    """A hash of every weight, its place and its shape; the same on every machine."""
    digest = hashlib.sha256()
    for path, weight in jax.tree_util.tree_leaves_with_path(parameters):
        digest.update(f"{jax.tree_util.keystr(path)}{np.shape(weight)}".encode())
        digest.update(np.ascontiguousarray(weight, "<f4").tobytes())
    return digest.hexdigest()


def as_forecaster(model: Any) -> Forecaster:
    """The forecaster of a baseline's name, or of a model with `parameters` and `config`."""
    if isinstance(model, str):
        return BaselineForecaster(model)
    if hasattr(model, "parameters") and hasattr(model, "config"):
        return ModelForecaster(model.parameters, model.config)
    forecaster: Forecaster = model
    return forecaster
