"""Probabilistic forecasts of time series with Lag-Llama, in JAX."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lagllama_jax.config import ForecastConfig, ModelConfig, TrainConfig
    from lagllama_jax.forecaster import LagLlama
    from lagllama_jax.inference.forecast import Forecast

__version__ = "0.2.0"

__all__ = ["Forecast", "ForecastConfig", "LagLlama", "ModelConfig", "TrainConfig", "__version__"]

_HOMES = {
    "Forecast": "lagllama_jax.inference.forecast",
    "ForecastConfig": "lagllama_jax.config",
    "LagLlama": "lagllama_jax.forecaster",
    "ModelConfig": "lagllama_jax.config",
    "TrainConfig": "lagllama_jax.config",
}


def __getattr__(name: str) -> Any:
    """Imports a public name on first use: `import lagllama_jax` alone starts no JAX."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
