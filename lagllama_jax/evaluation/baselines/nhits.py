"""N-HiTS of neuralforecast (extra `nhits`), which is trained on the series and is not zero-shot."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lagllama_jax.errors import require
from lagllama_jax.evaluation.baselines.baseline import Asked, Baseline
from lagllama_jax.evaluation.baselines.deepar import training_pasts
from lagllama_jax.evaluation.baselines.statistical import filled
from lagllama_jax.typing import Float

STEPS, BATCH = 1000, 32
SHORTEST_PAST = 2
"""Number of horizons, or of seasons if these are longer, that a forecast reads."""


@dataclass(frozen=True)
class NHiTS(Baseline):
    """Trains N-HiTS (Challu et al. 2023), a successor of N-BEATS, on the pasts by quantile losses.

    Missing values are interpolated.

    Attributes:
      season: See `Baseline`. It determines the length of the input.
      seed: Random seed of the weights and batches. The random states of Python, NumPy and PyTorch
        are left as they were.
    """

    seed: int = 0
    name: ClassVar[str] = "nhits"

    def quantiles(self, asked: Asked) -> Float[np.ndarray, "B Q P"]:
        """See `Baseline.quantiles`."""
        pasts, steps, season, levels, _ = asked
        seeding = require("pytorch_lightning.utilities.seed", "nhits")
        reach = SHORTEST_PAST * max(steps, season)
        with seeding.isolate_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its parts, about one another
            model = _model(steps, reach, levels, self.seed)
            model.fit(_frame([filled(past, None) for past in training_pasts(pasts)]), val_size=0)
            found = model.predict(df=_frame([filled(past, reach) for past in pasts]))
        values = found.drop(columns=["unique_id", "ds"]).to_numpy(np.float64)
        values = values.reshape(len(pasts), steps, len(levels))
        return np.sort(np.moveaxis(values, 2, 1), axis=1)


def _frame(pasts: Sequence[Float[np.ndarray, "T"]]) -> Any:
    """A long table on a grid of whole numbers: the model is given no calendar features."""
    import pandas as pd

    number = np.repeat(np.arange(len(pasts)), [len(past) for past in pasts])
    step = np.concatenate([np.arange(len(past)) for past in pasts])
    return pd.DataFrame({"unique_id": number, "ds": step, "y": np.concatenate(pasts)})


def _model(prediction_length: int, reach: int, levels: Sequence[float], seed: int) -> Any:
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    losses = require("neuralforecast.losses.pytorch", "nhits")
    quiet = dict.fromkeys(
        ("enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"), False
    )
    model = require("neuralforecast.models", "nhits").NHITS(
        h=prediction_length,
        input_size=reach,
        loss=losses.MQLoss(quantiles=list(levels)),
        max_steps=STEPS,
        val_check_steps=STEPS,
        batch_size=BATCH,
        scaler_type="robust",
        start_padding_enabled=True,
        random_seed=seed,
        accelerator="cpu",
        **quiet,
    )
    return require("neuralforecast", "nhits").NeuralForecast(models=[model], freq=1)
