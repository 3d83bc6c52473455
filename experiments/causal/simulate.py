"""Known effects on real series with real controls: coverage, false positives and power.

    python experiments/causal/simulate.py --corpus FOLDER

A run that is stopped goes on where it was when the command is given again.
Nothing happened to the series, so that every effect that is found is an error. A known effect is
added afterwards: no estimator sees the period after the intervention, so the error is the same for
every effect, and power is found by adding it to what happened.
"""

import argparse
import math
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lagllama_jax.causal import Effect, impact
from lagllama_jax.causal.calibration import Null
from lagllama_jax.causal.estimators import METHODS
from lagllama_jax.evaluation.datasets import parquet_series
from lagllama_jax.forecaster import LagLlama

HERE = Path(__file__).parent
SETS = (
    ("electricity", "W", 104, 13),
    ("pbs", "ME", 120, 12),
    ("wikipedia_page_visits", "D", 120, 28),
    ("aus_retail", "ME", 120, 24),
    ("tourism_au", "QE", 60, 12),
    ("kdd_cup_2018", "h", 336, 48),
)
"""Data set, frequency, and numbers of points before and after: the last ones of each series."""
CONTROLS, CANDIDATES = 4, 20
EFFECTS = {
    "step": lambda n: np.ones(n),
    "ramp": lambda n: np.arange(1, n + 1) / n,
    "pulse": lambda n: (np.arange(n) < max(n // 4, 1)).astype(float),
    "delayed": lambda n: (np.arange(n) >= n // 2).astype(float),
}


class Case(NamedTuple):
    """A series and its controls: the first column is the target."""

    name: str
    frame: pd.DataFrame
    before: int


def cases(corpus: Path, count: int, seed: int = 0) -> list[Case]:
    """`count` cases per data set. The controls are those of 20 that correlate most before."""
    found = []
    for dataset, frequency, before, after in SETS:
        read = parquet_series(corpus / f"{dataset}.parquet", frequency)
        length = before + after
        ends = {}
        for row in range(len(read)):
            values = read.targets[row][0]
            if len(values) >= length:
                stamp = read.timestamps(row, -1, 1)[0]
                part = values[-length:]
                if np.isfinite(part).all() and len(np.unique(part[:before])) > before // 4:
                    ends.setdefault(stamp, []).append(row)
        rows = max(ends.values(), key=len)
        rng = np.random.default_rng(seed)
        for number, row in enumerate(rng.permutation(rows)[:count].tolist()):
            others = rng.permutation([one for one in rows if one != row])[:CANDIDATES]
            target = read.targets[row][0][-length:]
            columns = [read.targets[one][0][-length:] for one in others]
            likeness = [abs(np.corrcoef(target[:before], one[:before])[0, 1]) for one in columns]
            best = np.argsort(likeness)[::-1][:CONTROLS]
            frame = pd.DataFrame({"time": read.timestamps(row, -length, length), "y": target})
            for control, place in enumerate(best):
                frame[f"c{control}"] = columns[place]
            found.append(Case(f"{dataset} {number}", frame, before))
    return found


def row_of(case: Case, method: str, effect: Effect, seconds: float) -> dict[str, Any]:
    """One row of the table: the error with and without calibration, and the power."""
    raw = replace(effect, nulls=[Null(), Null()])
    unit = float(np.std(case.frame.y[: case.before]))
    row: dict[str, Any] = {
        "case": case.name,
        "method": method,
        "effect": effect.average_effect / unit,
    }
    for name, one in (("", effect), ("raw_", raw)):
        low, high = one.interval(0.9)
        row |= {f"{name}low": low / unit, f"{name}high": high / unit, f"{name}p": one.p_value}
    for kind in ("time", "space"):
        trials = [trial for trial in effect.trials if trial.kind == kind]
        row[f"{kind}_trials"] = len(trials)
        row[f"{kind}_error"] = np.mean([trial.error for trial in trials]) if trials else np.nan
        row[f"{kind}_square"] = np.mean([trial.score**2 for trial in trials]) if trials else np.nan
    row["deviation"] = effect.deviation / effect.null.factor / unit
    row["factor"], row["df"], row["seconds"] = effect.null.factor, effect.null.df, round(seconds, 1)
    for name, shape in EFFECTS.items():
        added = effect.study.actual + unit * shape(effect.study.after)
        changed = replace(effect, study=replace(effect.study, actual=added))
        row[f"p_{name}"] = changed.p_value
    return row


def found(case: Case, method: str, num_samples: int, model: LagLlama | None) -> dict[str, Any]:
    """The row of one case and method."""
    controls = [name for name in case.frame if str(name).startswith("c")]
    start = time.perf_counter()
    effect = impact(
        case.frame,
        case.frame.time[case.before],
        "y",
        controls,
        predictor=model,
        method=method,
        num_samples=num_samples,
    )
    return row_of(case, method, effect, time.perf_counter() - start)


def simulate(
    every: list[Case], methods: list[str], num_samples: int, output: Path, seconds: float
) -> None:
    """Appends the rows of all cases and methods that the file lacks, for at most some seconds."""
    done, end = set(), time.monotonic() + seconds
    if output.exists():
        done = set(pd.read_csv(output)[["case", "method"]].itertuples(index=False, name=None))
    # The cases of all data sets in turn, so that a run that is stopped has some of each.
    every = sorted(every, key=lambda case: int(case.name.split()[-1]))
    model = LagLlama.from_pretrained() if {"network", "regression_network"} & {*methods} else None
    for case in every:
        rows = [
            found(case, method, num_samples, model)
            for method in methods
            if (case.name, method) not in done
        ]
        if rows:
            header = not output.exists()
            pd.DataFrame(rows).to_csv(output, mode="a", header=header, index=False)
        if time.monotonic() > end:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=METHODS[::-1])
    parser.add_argument("--count", type=int, default=40, help="cases per data set")
    parser.add_argument("--num-samples", type=int, default=200)
    parser.add_argument("--output", type=Path, default=HERE / "simulated.csv")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after this time")
    parser.add_argument("--cases", type=Path, help="write the cases to this npz file, and stop")
    options = parser.parse_args()
    every = cases(options.corpus, options.count)
    if options.cases:
        arrays = {one.name: one.frame.drop(columns="time").to_numpy().T for one in every}
        np.savez(options.cases, before=[one.before for one in every], **arrays)
        return
    warnings.simplefilter("ignore")
    simulate(every, options.methods, options.num_samples, options.output, options.seconds)


if __name__ == "__main__":
    main()
