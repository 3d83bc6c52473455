"""The configurations, with one file per configuration."""

from lagllama_jax.config.base import Count, check, checked
from lagllama_jax.config.data import DataConfig
from lagllama_jax.config.fit import FitConfig
from lagllama_jax.config.forecast import DEFAULT_LEVELS, ForecastConfig, check_levels, level_names
from lagllama_jax.config.loop import LoopConfig
from lagllama_jax.config.model import LAGS, ModelConfig
from lagllama_jax.config.train import TrainConfig

__all__ = [
    "DEFAULT_LEVELS",
    "LAGS",
    "Count",
    "DataConfig",
    "FitConfig",
    "ForecastConfig",
    "LoopConfig",
    "ModelConfig",
    "TrainConfig",
    "check",
    "check_levels",
    "level_names",
    "checked",
]
