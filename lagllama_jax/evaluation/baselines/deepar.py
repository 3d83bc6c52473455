"""DeepAR through gluonts' torch models as a baseline (extra `deepar`): trained, not zero-shot."""

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lagllama_jax.errors import require
from lagllama_jax.evaluation.baselines.naive import Pasts

EPOCHS, BATCHES = 20, 50
"""Passes, and batches of 32 windows in each."""


def training_pasts(past: Pasts) -> list[Float[np.ndarray, "T"]]:
    """The pasts that may be trained on: of several windows of one series, the earliest alone.

    A longer past of the same series holds the points that an earlier window is asked for. Pasts
    that agree in as many points as the shortest has are taken for the same series.
    """
    shortest = min(map(len, past))
    earliest: dict[bytes, Float[np.ndarray, T]] = {}
    for values in sorted(past, key=len):
        start = np.ascontiguousarray(values[:shortest], np.float64)
        earliest.setdefault(start.tobytes(), values)
    return list(earliest.values())


def _lags(season: int, longest: int) -> list[int]:
    """The last few points and the neighbourhoods of the last three seasons, where there are any."""
    around = [k * season + d for k in (1, 2, 3) for d in (-1, 0, 1)]
    return sorted({lag for lag in [1, 2, 3, 4, 5, 6, 7, *around] if 1 <= lag <= longest})


def _dataset(pasts: Pasts) -> Any:
    """A gluonts data set on a nominal hourly grid: the model is given no calendar features."""
    import pandas as pd

    start = pd.Period("2000-01-01", freq="h")
    entries = [{"start": start, "target": np.asarray(past, np.float32)} for past in pasts]
    return require("gluonts.dataset.common", "deepar").ListDataset(entries, freq="h")


def deepar(
    past: Pasts, prediction_length: int, season: int, levels: Sequence[float], seed: int = 0
) -> Float[np.ndarray, "B Q P"]:
    """Trains DeepAR (Salinas et al. 2020) on the pasts and draws 100 paths of each.

    Args:
      past: of each window; what is trained on is `training_pasts`.
      prediction_length: points ahead.
      season: points of a season, for the lags.
      levels: quantile levels, in (0, 1).
      seed: decides first weights, batches and draws; the process' own random states, of Python,
        NumPy and PyTorch, are left as they were.

    Returns:
      Quantiles of each window, level and point, in the units of the series.

    Raises:
      MissingExtraError: gluonts, lightning or torch is not installed.
    """
    seeding = require("lightning.pytorch.utilities.seed", "deepar")
    train = training_pasts(past)
    lags = _lags(season, max(1, min(map(len, train)) // 2))
    with seeding.isolate_rng():
        require("lightning", "deepar").seed_everything(seed, verbose=False)
        with tempfile.TemporaryDirectory() as folder:  # gluonts keeps its best epoch in a file
            predictor = _estimator(prediction_length, lags, folder).train(_dataset(train))
        forecasts = predictor.predict(_dataset(past), num_samples=100)
        samples = [forecast.samples for forecast in forecasts]
    return np.stack([np.quantile(paths, levels, axis=0) for paths in samples])


def _estimator(prediction_length: int, lags: list[int], folder: str) -> Any:
    require("lightning", "deepar")
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return require("gluonts.torch", "deepar").DeepAREstimator(
        freq="h",
        prediction_length=prediction_length,
        context_length=2 * prediction_length,
        lags_seq=lags,
        time_features=[],
        num_batches_per_epoch=BATCHES,
        trainer_kwargs={
            "max_epochs": EPOCHS,
            "accelerator": "cpu",
            "default_root_dir": folder,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "logger": False,
        },
    )
