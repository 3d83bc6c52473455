"""Baselines: established forecasting methods to compare a model with, each a `Predictor`."""

from lagllama_jax.errors import ConfigError
from lagllama_jax.evaluation.baselines.baseline import Baseline
from lagllama_jax.evaluation.baselines.deepar import DeepAR
from lagllama_jax.evaluation.baselines.naive import Naive, SeasonalNaive
from lagllama_jax.evaluation.baselines.nhits import NHiTS
from lagllama_jax.evaluation.baselines.statistical import AutoARIMA, AutoETS, AutoTheta

_CLASSES = (Naive, SeasonalNaive, AutoETS, AutoTheta, AutoARIMA, DeepAR, NHiTS)
_TRAINED = (DeepAR, NHiTS)
BASELINES = tuple(one.name for one in _CLASSES)


def baseline(name: str, season: int | None = None, seed: int = 0) -> Baseline:
    """Looks up a baseline by its name, one of `BASELINES`, with the arguments of its class.

    The `auto_` models need the extra `baselines`, and `deepar` and `nhits`, which alone use the
    `seed`, need the extras of their names.

    Raises:
      ConfigError: If there is no such baseline, or the season is not a whole number of at least 1.

    Examples:
      >>> baseline("seasonal_naive", season=7)
      SeasonalNaive(season=7)
    """
    found = next((one for one in _CLASSES if one.name == name), None)
    if found is None:
        raise ConfigError(f"{name!r} is not a baseline. Choose from {', '.join(BASELINES)}.")
    return found(season, seed) if found in _TRAINED else found(season)


__all__ = [
    "BASELINES", "AutoARIMA", "AutoETS", "AutoTheta", "Baseline", "DeepAR", "NHiTS",
    "Naive", "SeasonalNaive", "baseline",
]  # fmt: skip
