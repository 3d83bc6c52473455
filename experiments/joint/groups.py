"""Scores sample paths of several targets that are drawn together, beside those drawn apart.

python experiments/joint/groups.py

For groups of series on one grid (the seven series of ETT, 12 sensors of one station, load and
temperatures): the energy score of all targets and points of an item together, and the CRPS of the
sum of the targets, each in units of the seasonal error. `apart` are paths of the targets one at a
time; `joint` are paths with the dependence that `inference.dependence` estimates; `matched` are
these with one-pass distributions.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.errors import require
from lagllama_jax.evaluation.datasets import ett, parquet_series, together
from lagllama_jax.evaluation.joint import group_energy
from lagllama_jax.evaluation.windows import EvaluationWindows, cut
from lagllama_jax.files import write_rows
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
NUM_SAMPLES = 100
SENSORS = ("CO(GT)", "C6H6(GT)", "NOx(GT)", "NO2(GT)", "PT08.S1(CO)", "PT08.S5(O3)", "T", "RH")
LOADS = ("load/zone1", "load/zone2", "load/zone3", "load/zone15", "temp/station1", "temp/station5")


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: Folder of the model, or `box`.
      limit: Number of windows per group.
      output: CSV file to write.
    """

    model: str = "box"
    limit: int = 20
    output: Path = HERE / "groups.csv"


def grouped(series: SeriesDataset) -> SeriesDataset:
    """One item with all series of one length as its targets, without missing values at the end."""
    joined = together(series)
    whole = np.isfinite(joined.targets[0]).all(axis=0)
    return joined.truncate(np.array([np.flatnonzero(whole).max() + 1]))


def groups() -> dict[str, tuple[Callable[[], SeriesDataset], int]]:
    """Readers of the groups, with their horizons."""
    evaluation, corpus = SHARED / "data/evaluation", SHARED / "data/corpus"
    found: dict[str, tuple[Callable[[], SeriesDataset], int]] = {}
    for number in (1, 2):
        for frequency, steps in (("15T", 48), ("H", 48), ("D", 30)):
            path = evaluation / f"ETTm{number}.csv.gz"
            found[f"ett{number}/{frequency}"] = partial(ett, path, frequency), steps
    for name, items in (("airqualityuci", SENSORS), ("gefcom2012", LOADS)):
        path = corpus / f"{name}.parquet"
        found[name] = partial(parquet_series, path, "h", items), 48
    return found


def sum_crps(windows: EvaluationWindows, samples: np.ndarray) -> float:
    """Mean CRPS of the sum of the targets of an item, each in units of its seasonal error."""
    variates = len(windows.dataset.target_names)
    unit = windows.seasonal_error.reshape(-1, variates, 1)
    truth = (windows.target.reshape(*unit.shape[:2], -1) / unit).sum(axis=1)
    paths = samples.reshape(*unit.shape[:2], *samples.shape[1:]) / unit[..., None]
    rules = require("scoringrules", "joint")
    scores = rules.crps_ensemble(truth, paths.sum(axis=1), m_axis=1)
    return float(np.nanmean(scores) / variates)


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    predictor = ModelPredictor(model.parameters, model.config)
    config = ForecastConfig(method="paths", num_samples=NUM_SAMPLES)
    rows = []
    for name, (read, steps) in groups().items():
        series = read()
        if name == "gefcom2012":
            series = replace(series, targets=[target[:, :39_000] for target in series.targets])
        windows = cut(grouped(series), steps, arguments.limit)
        apart = predictor.predict(windows.dataset.variates(), steps, config).samples
        joint = predictor.predict(windows.dataset, steps, config).samples
        matched = predictor.predict(
            windows.dataset, steps, config.replace(method="one_pass")
        ).samples
        for way, samples in (("apart", apart), ("joint", joint), ("matched", matched)):
            energy, total = group_energy(windows, samples), sum_crps(windows, samples)
            scores = {"energy_score": f"{energy:.5g}", "sum_crps": f"{total:.5g}"}
            rows.append({"group": name, "way": way} | scores)
            print(rows[-1], flush=True)
        write_rows(arguments.output, rows, list(rows[0]))
    for way in ("joint", "matched"):
        ratios = {}
        for score in ("energy_score", "sum_crps"):
            pairs = zip(
                (row for row in rows if row["way"] == way),
                (row for row in rows if row["way"] == "apart"),
                strict=True,
            )
            logs = [np.log(float(one[score]) / float(other[score])) for one, other in pairs]
            ratios[score] = round(float(np.exp(np.mean(logs))), 3)
        print(f"{way} relative to apart: {ratios}")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
