"""Scores weights on GIFT-Eval's ETT and m4_hourly tasks and on the paper's last windows.

python experiments/zero_shot/run.py                        # the bundled weights
python experiments/zero_shot/run.py --model lag-llama.ckpt --name "Lag-Llama here"
python experiments/zero_shot/run.py --model seasonal_naive # checks the protocol
python experiments/zero_shot/run.py --coarsen 1 --name coarsen_1
"""

import dataclasses
import os
from pathlib import Path
from typing import Literal

import tyro

from lagllama_jax.cli.evaluate import main as evaluate

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("LAGLLAMA_SHARED", HERE / "../../../shared")) / "data/evaluation"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments of `lagllama evaluate` that matter here."""

    model: str = "box"
    name: str | None = None
    data_dir: Path = DATA
    output_dir: Path = HERE / "results"
    num_samples: int = 100
    context_length: int | None = None
    coarsen: int | Literal["auto"] = "auto"
    overwrite: bool = False
    plots: bool = True


def main(arguments: Arguments) -> None:
    options = dataclasses.asdict(arguments)
    folder = options.pop("output_dir")
    for suite, name in (("all", "gift_eval"), ("paper", "paper")):
        published = HERE / "published.csv"
        evaluate(suite=suite, output_dir=folder / name, published=published, **options)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
