"""CRPS of forecasts of random walks, relative to that of the exact forecast.

python experiments/zero_shot/random_walks.py
python experiments/zero_shot/random_walks.py --models auto_ets auto_theta --pasts 60 300

The steps of the walks are standard normal, so the exact forecast of h steps is the last value with
a standard deviation of the root of h. `dated` series are daily; the others have no dates.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from scipy.stats import norm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import Ledger  # noqa: E402

from lagllama_jax import ForecastConfig, LagLlama  # noqa: E402
from lagllama_jax.evaluation.baselines import BASELINES, baseline  # noqa: E402
from lagllama_jax.evaluation.metrics import LEVELS  # noqa: E402
from lagllama_jax.series.arrays import read_arrays  # noqa: E402

STEPS = 30


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      models: Folders of models, `box`, or names of baselines.
      pasts: Numbers of points of the past.
      series: Number of random walks.
      output: CSV file, in which rows of these models and pasts are replaced.
    """

    models: tuple[str, ...] = ("box",)
    pasts: tuple[int, ...] = (60, 300, 1200)
    series: int = 2000
    output: Path = HERE / "results" / "random_walks.csv"


def losses(quantiles: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean quantile loss of each series and step."""
    levels = np.array(LEVELS)[:, None]
    error = truth[:, None] - quantiles
    return np.maximum(levels * error, (levels - 1) * error).mean(axis=1)


def main(arguments: Arguments) -> None:
    ledger = Ledger(arguments.output, ("model", "past", "dates"))
    config = ForecastConfig(quantile_levels=tuple(LEVELS))
    spread = norm.ppf(LEVELS)[:, None] * np.sqrt(np.arange(1, STEPS + 1))
    for model in arguments.models:
        known = model in BASELINES
        predictor = baseline(model) if known else LagLlama.from_pretrained(model).predictor()
        for length in arguments.pasts:
            rng = np.random.default_rng(length)
            walks = rng.standard_normal((arguments.series, length + STEPS)).cumsum(axis=1)
            past, truth = walks[:, :length], walks[:, length:]
            exact = losses(past[:, -1:, None] + spread, truth).mean(axis=0)
            for name, dates in (("dated", ("2020-01-01", "D")), ("undated", (None, None))):
                forecast = predictor.predict(read_arrays(past, *dates), STEPS, config)
                found = forecast.quantiles(LEVELS)
                ratio = losses(found, truth).mean(axis=0) / exact
                covered = (truth >= found[:, 0]) & (truth <= found[:, -1])
                row = {"model": model, "past": length, "dates": name}
                row |= {"first_step": f"{ratio[0]:.3f}", "last_step": f"{ratio[-1]:.3f}"}
                row["coverage_80"] = f"{covered.mean():.3f}"
                ledger.put(row)
                print(row, flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
