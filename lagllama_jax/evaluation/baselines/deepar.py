"""DeepAR of gluonts (extra `deepar`), which is trained on the series and is not zero-shot."""

import logging
import tempfile
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.evaluation.baselines.baseline import Asked, Baseline, Pasts
from lagllama_jax.typing import Float

EPOCHS, BATCHES = 20, 50  # the batches, of 32 windows each, are those of one epoch


@dataclass(frozen=True)
class DeepAR(Baseline):
    """Trains DeepAR (Salinas et al. 2020) on the pasts and draws 100 sample paths of each series.

    Attributes:
      season: See `Baseline`. It determines the lags.
      seed: Random seed of the weights, batches and draws. The random states of Python, NumPy and
        PyTorch are left as they were.
    """

    seed: int = 0
    name: ClassVar[str] = "deepar"

    def quantiles(self, asked: Asked) -> Float[np.ndarray, "B Q P"]:
        """See `Baseline.quantiles`."""
        seeding = require("lightning.pytorch.utilities.seed", "deepar")
        train = training_pasts(asked.pasts)
        lags = _lags(asked.season, max(1, min(map(len, train)) // 2))
        with seeding.isolate_rng():
            require("lightning", "deepar").seed_everything(self.seed, verbose=False)
            with tempfile.TemporaryDirectory() as folder:  # gluonts keeps its best epoch in a file
                estimator = _estimator(asked.prediction_length, lags, folder)
                predictor = estimator.train(_entries(train))
            forecasts = predictor.predict(_entries(asked.pasts), num_samples=100)
            samples = [forecast.samples for forecast in forecasts]
        return np.stack([np.quantile(paths, asked.levels, axis=0) for paths in samples])


def training_pasts(pasts: Pasts) -> list[Float[np.ndarray, "T"]]:
    """The pasts to train on: of several windows of one series, only the earliest.

    A longer past of the same series contains the points that an earlier window must forecast.
    Two pasts are of the same series if they agree in as many points as the shortest past has.
    """
    shortest = min(map(len, pasts))
    earliest: dict[bytes, Float[np.ndarray, T]] = {}
    for values in sorted(pasts, key=len):
        start = np.ascontiguousarray(values[:shortest], np.float64)
        earliest.setdefault(start.tobytes(), values)
    return list(earliest.values())


def _lags(season: int, longest: int) -> list[int]:
    """Lags 1 to 7, and those of the last three seasons and their neighbours, up to `longest`."""
    around = [k * season + d for k in (1, 2, 3) for d in (-1, 0, 1)]
    return sorted({lag for lag in [1, 2, 3, 4, 5, 6, 7, *around] if 1 <= lag <= longest})


def _entries(pasts: Pasts) -> Any:
    """A gluonts data set on a nominal hourly grid: the model is given no calendar features."""
    import pandas as pd

    start = pd.Period("2000-01-01", freq="h")
    entries = [{"start": start, "target": np.asarray(past, np.float32)} for past in pasts]
    return require("gluonts.dataset.common", "deepar").ListDataset(entries, freq="h")


def _estimator(prediction_length: int, lags: list[int], folder: str) -> Any:
    require("lightning", "deepar")
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    trainer = {"max_epochs": EPOCHS, "accelerator": "cpu", "default_root_dir": folder}
    quiet = dict.fromkeys(("enable_progress_bar", "enable_model_summary", "logger"), False)
    return require("gluonts.torch", "deepar").DeepAREstimator(
        freq="h",
        prediction_length=prediction_length,
        context_length=2 * prediction_length,
        lags_seq=lags,
        time_features=[],
        num_batches_per_epoch=BATCHES,
        trainer_kwargs=trainer | quiet,
    )
