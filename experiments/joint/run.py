"""Scores sample paths as a whole: own paths, matched ones, and draws from one-pass distributions.

python experiments/joint/run.py --model FOLDER

For each short task of the validation suite: energy score, variogram score, CRPS of the sum over the
horizon and mean weighted quantile loss of

* `paths`: the paths of the model;
* `matched`: the same paths with the one-pass distribution of each point (Schaake shuffle);
* `independent`: independent draws from the one-pass distributions;
* `copula`: draws from them that are joined by a Gaussian copula with AR(1) dependence (in the
  spirit of arXiv 2510.02224), whose coefficient is that of the normal scores of the true values in
  a forecast of one horizon earlier, over all windows of a task;
* `paths 25`: a quarter of the paths, stratified and independent (`random 25`).
"""

import csv
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from scipy import special

from lagllama_jax import Forecast, ForecastConfig, LagLlama
from lagllama_jax.evaluation import metrics
from lagllama_jax.evaluation.joint import joint_scores
from lagllama_jax.evaluation.validation import validation_tasks
from lagllama_jax.evaluation.windows import EvaluationWindows
from lagllama_jax.files import write_rows
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.predictor import ModelPredictor

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
NUM_SAMPLES = 100


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: Folder of the model, or `box`.
      data_dir: Folder of the Parquet files of the corpus.
      limit: Largest number of windows per task.
      output: CSV file to write.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data/corpus"
    limit: int = 40
    output: Path = HERE / "results.csv"


def persistence(predictor: ModelPredictor, windows: EvaluationWindows) -> float:
    """Lag-1 correlation of the normal scores of the last known points, forecast in one pass."""
    steps, dataset = windows.prediction_length, windows.dataset
    long = np.flatnonzero(dataset.lengths > 2 * steps)
    known = dataset.take(long.tolist())
    earlier = known.truncate(known.lengths - steps)
    law = predictor.predict(earlier, steps, ForecastConfig()).marginals
    truth = np.concatenate([target[:, -steps:] for target in known.targets])
    with np.errstate(invalid="ignore", divide="ignore"):
        level = special.stdtr(law.df, (truth - law.loc) / law.scale)
    scores = special.ndtri(np.clip(level, 0.001, 0.999))
    first, second = scores[:, :-1], scores[:, 1:]
    both = np.isfinite(first * second)
    return float(np.corrcoef(first[both], second[both])[0, 1])


def correlated_levels(
    shape: tuple[int, int, int], coefficient: float, rng: np.random.Generator
) -> np.ndarray:
    """Uniform levels whose normal scores are an AR(1) process along the last axis."""
    shocks = rng.normal(size=shape)
    scores = shocks.copy()
    for step in range(1, shape[2]):
        scores[..., step] = coefficient * scores[..., step - 1]
        scores[..., step] += np.sqrt(1 - coefficient**2) * shocks[..., step]
    return special.ndtr(scores)


def ways(
    predictor: ModelPredictor, windows: EvaluationWindows
) -> dict[str, tuple[Forecast, np.ndarray]]:
    """The forecast and the paths of each way."""
    steps, dataset = windows.prediction_length, windows.dataset
    rng = np.random.default_rng(0)

    def forecast(**options: object) -> Forecast:
        return predictor.predict(dataset, steps, ForecastConfig.of(**options))

    paths = forecast(method="paths", num_samples=NUM_SAMPLES)
    matched = forecast(num_samples=NUM_SAMPLES)
    law = matched.marginals
    assert isinstance(law, Marginals) and paths.samples is not None
    shape = paths.samples.shape
    coefficient = persistence(predictor, windows)
    few = forecast(method="paths", num_samples=25)
    random = forecast(method="paths", num_samples=25, sampling="random")
    both = replace(matched, samples=paths.samples, one_pass_share=0.5)
    return {
        "paths": (paths, paths.samples),
        "matched": (matched, matched.samples),
        "independent": (matched, law.at(rng.random(shape))),
        "copula": (matched, law.at(correlated_levels(shape, coefficient, rng))),
        "both": (both, paths.samples),
        "paths 25": (few, few.samples),
        "random 25": (random, random.samples),
    }


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    predictor = ModelPredictor(model.parameters, model.config)
    rows = []
    for task in validation_tasks(arguments.data_dir):
        if task.term != "short":
            continue
        windows = task.windows(arguments.limit)
        for way, (forecast, samples) in ways(predictor, windows).items():
            deciles = forecast.quantiles(metrics.LEVELS)
            loss = metrics.mean_weighted_quantile_loss(windows.target, deciles, metrics.LEVELS)
            scores = joint_scores(windows, samples) | {"quantile_loss": float(loss)}
            rows.append(
                {"task": task.name, "way": way} | {k: f"{v:.5g}" for k, v in scores.items()}
            )
        print(task.name, flush=True)
        write_rows(arguments.output, rows, list(rows[0]))
    summary(arguments.output)


def summary(path: Path) -> None:
    """Prints the geometric means over the tasks, divided by those of `paths`."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in ("task", "way")]

    def mean(way: str, name: str) -> float:
        return float(np.exp(np.mean([np.log(float(r[name])) for r in rows if r["way"] == way])))

    print("| way | " + " | ".join(names) + " |")
    for way in dict.fromkeys(row["way"] for row in rows):
        print(f"| {way} |", *(f"{mean(way, name) / mean('paths', name):.3f} |" for name in names))


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
