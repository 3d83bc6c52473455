"""Scores the real series of the Numenta Anomaly Benchmark. They were trained on: an illustration.

python experiments/insight/nab.py
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
from lagllama_jax.files import write_rows

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared"))


@dataclass(frozen=True)
class Arguments:
    """What is scored.

    Attributes:
      model: `box` for the bundled weights, or a folder.
      data: The Parquet file.
      drawn: Parts of the names of the series that are drawn.
      threshold: Tail probability below which a value is an anomaly.
      output: Folder for the tables and the picture.
    """

    model: str = "box"
    data: Path = SHARED / "data/corpus/nab.parquet"
    drawn: tuple[str, ...] = ("nyc_taxi", "ambient_temperature", "rds_cpu_utilization_e47b3b")
    threshold: float = 1e-4
    output: Path = HERE / "results"


def main(arguments: Arguments) -> None:
    model = LagLlama.from_pretrained(arguments.model)
    dataset = read_parquet(arguments.data)
    scores = model.score(dataset, threshold=arguments.threshold)
    table = scores.to_frame()
    table["group"] = table["item_id"].str.split("/").str[0]
    scored = table[table["tail_probability"].notna()]
    groups = scored.groupby("group").agg(
        series=("item_id", "nunique"), steps=("anomaly", "size"), anomalies=("anomaly", "sum")
    )
    groups["share"] = (groups["anomalies"] / groups["steps"]).map("{:.5f}".format)
    print(groups)
    write_rows(
        arguments.output / "nab.csv",
        groups.reset_index().to_dict("records"),
        ["group", *groups.columns],
    )
    names = [next(i for i in scores.item_ids if part in i) for part in arguments.drawn]
    scores.plot(names).savefig(arguments.output / "nab.png", dpi=90)
    taxi = scores.anomalies()
    taxi = taxi[taxi["item_id"] == names[0]]
    by_day = taxi.groupby(taxi["timestamp"].dt.date)["tail_probability"].agg(["size", "min"])
    with pd.option_context("display.max_rows", None):
        print(by_day.sort_values("min"))
    print(np.isfinite(scored["tail_probability"]).sum(), "steps")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
