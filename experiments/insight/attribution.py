"""Checks attributions: do they add up, and do the points that they name matter to the forecast?

python experiments/insight/attribution.py
"""

import os
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import tyro

from lagllama_jax import LagLlama
from lagllama_jax.corpus.formats.parquet import read_parquet
from lagllama_jax.evaluation.datasets import ett
from lagllama_jax.files import write_rows
from lagllama_jax.insight.attribution import LagAttribution
from lagllama_jax.series.dataset import SeriesDataset

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))
STEPS, DRAWS = (1, 24), 5


@dataclass(frozen=True)
class Arguments:
    """What is checked.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data_dir: Folder of the evaluation sets.
      series: Number of series.
      removed: Number of past values that are removed.
      output: Folder for the tables and pictures.
    """

    model: str = "box"
    data_dir: Path = SHARED / "data/evaluation"
    series: int = 40
    removed: int = 10
    output: Path = HERE / "results"


def chosen(arguments: Arguments) -> SeriesDataset:
    """Half of the series are from ETTh1 and ETTh2, at several times, and half from m4_hourly."""
    m4 = read_parquet(arguments.data_dir / "m4_hourly.parquet")
    half = arguments.series // 2
    items = list(m4.take(np.linspace(0, len(m4) - 1, half).astype(int).tolist()))
    wholes = [ett(arguments.data_dir / f"ETTh{number}.csv.gz", "H") for number in (1, 2)]
    variables = [item for whole in wholes for item in whole]
    for number in range(arguments.series - half):
        item = variables[number % len(variables)]
        end = 4000 + 613 * number
        named = f"{item.item_id}/{number}"
        items.append(item._replace(item_id=named, target=item.target[:, :end]))
    return SeriesDataset.of(items)


def located(model: LagLlama, dataset: SeriesDataset, variants: list[np.ndarray], step: int):
    """The location of a step of the forecast, for variants of the values of one series."""
    whole = dataset.take([0] * len(variants))
    whole = SeriesDataset.of(
        item._replace(item_id=f"{number}", target=values[None])
        for number, (item, values) in enumerate(zip(whole, variants, strict=True))
    )
    forecast = model.predict(whole, step, coarsen=1, difference="none", progress=False)
    return forecast.mean[:, step - 1]


def without(values: np.ndarray, back: np.ndarray) -> np.ndarray:
    """The values, some of which are missing: those `back` steps before the end of the series."""
    values = values.copy()
    values[len(values) - 1 - back] = np.nan
    return values


def changes(
    model: LagLlama, one: SeriesDataset, found: dict[str, LagAttribution], row: int, removed: int
) -> dict[str, float]:
    """How far the forecast moves when some past values are removed, by how they are chosen.

    The last value is kept, as the forecast would begin earlier without it.
    """
    values, step = one.targets[0][0], STEPS[row]
    reach = min(len(values), found["median"].values.shape[1])
    ways = {}
    for name, attribution in found.items():
        size = np.abs(attribution.values[row] + attribution.observed[row])[::-1][:reach]
        ways[f"largest contributions ({name})"] = 1 + np.argsort(-size[1:])[:removed]
    seen = values[len(values) - reach :][::-1]
    far = np.abs(seen - np.nanmedian(seen))
    ways["furthest from the median"] = 1 + np.argsort(-np.nan_to_num(far[1:]))[:removed]
    ways["latest"] = np.arange(1, removed + 1)
    random = np.random.default_rng(0)
    for draw in range(DRAWS):
        ways[f"random {draw}"] = 1 + random.choice(reach - 1, removed, replace=False)
    variants = [values, *(without(values, back) for back in ways.values())]
    first, *moved = located(model, one, variants, step).tolist()
    scale = np.subtract(*np.nanquantile(seen, [0.75, 0.25])) or 1.0
    moves = {name: abs(at - first) / scale for name, at in zip(ways, moved, strict=True)}
    drawn = [moves.pop(f"random {draw}") for draw in range(DRAWS)]
    return moves | {"random": float(np.mean(drawn))}


def sales(model: LagLlama, output: Path) -> None:
    """Errors of the sums with known covariates, for made-up sales of 400 days."""
    rng, days, ahead = np.random.default_rng(0), 400, max(STEPS)
    price = rng.normal(3, 0.5, days + ahead)
    promotion = (rng.random(days + ahead) < 0.2).astype(float)
    sold = (60 - 4 * price + 6 * promotion + rng.normal(size=days + ahead))[:days]
    known = {"price": price, "promotion": promotion}
    dated = {"start": "2024-01-01", "freq": "D", "known_covariates": known}
    found = model.lag_attribution(sold, STEPS, **dated)
    apart = np.abs(found.total / (found.location - found.baseline) - 1)
    pairs = zip(STEPS, apart, strict=True)
    rows = [{"step": step, "relative_error": f"{error:.1e}"} for step, error in pairs]
    write_rows(output / "completeness_covariates.csv", rows, list(rows[0]))
    print(found.by_covariate(), rows)


def friday(model: LagLlama, arguments: Arguments) -> None:
    """Pictures of what the forecast of a Friday at 18:00 rests on."""
    dataset = ett(arguments.data_dir / "ETTh1.csv.gz", "H").take([0])
    end = int(np.flatnonzero(dataset.timestamps(0, -17420, 17420) == "2017-03-02 17:00")[0]) + 1
    past = dataset.truncate(np.array([end]))
    found = model.lag_attribution(past, [1, 25])
    found.plot(history=24 * 21).savefig(arguments.output / "attribution.png", dpi=100)
    model.attention(past, 48).plot().savefig(arguments.output / "attention.png", dpi=100)
    table = found.to_frame()
    table["day"] = table["source"].dt.date
    days = table.groupby(["timestamp", "day"])["attribution"].sum().unstack("timestamp")
    print(days[days.abs().max(axis=1) > 0.05].round(2))


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    dataset = chosen(arguments)
    errors, moves = [], []
    for number in range(len(dataset)):
        one = dataset.take([number])
        found = {
            name: model.lag_attribution(one, STEPS, baseline=name) for name in ("median", "missing")
        }
        for name, attribution in found.items():
            difference = attribution.location - attribution.baseline
            apart = np.abs(attribution.total - difference)
            errors += [
                {"baseline": name, "step": step, "relative_error": error}
                for step, error in zip(STEPS, apart / np.abs(difference), strict=True)
            ]
        for row, step in enumerate(STEPS):
            moved = changes(model, one, found, row, arguments.removed)
            moves.append({"series": one.item_ids[0], "step": step} | moved)
        print(moves[-1], flush=True)
    table = pd.DataFrame(errors).groupby(["baseline", "step"])["relative_error"]
    summary = table.agg(["median", "max"]).reset_index()
    print(summary)
    write_rows(
        arguments.output / "completeness.csv",
        [{k: f"{v:.1e}" if isinstance(v, float) else v for k, v in row.items()}
         for row in summary.to_dict("records")],
        list(summary.columns),
    )  # fmt: skip
    mean = pd.DataFrame(moves).drop(columns="series").groupby("step").mean().T
    median = pd.DataFrame(moves).drop(columns="series").groupby("step").median().T
    rows = [
        {"removed": name}
        | {f"mean change, step {step}": f"{mean.loc[name, step]:.3f}" for step in STEPS}
        | {f"median change, step {step}": f"{median.loc[name, step]:.3f}" for step in STEPS}
        for name in mean.index
    ]
    write_rows(arguments.output / "deletion.csv", rows, list(rows[0]))
    print(pd.DataFrame(rows))
    sales(model, arguments.output)
    friday(model, arguments)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
