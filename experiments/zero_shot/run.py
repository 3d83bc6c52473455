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
    """The options of `lagllama evaluate` that this experiment uses.

    Attributes:
      model: `box` for the bundled weights, a folder, an authors' .ckpt file, a hub id, or the name
        of a baseline.
      name: Name of the model in the tables. `None`: the name of `model`.
      data_dir: Folder of the evaluation sets.
      output_dir: Folder for the results, with one folder per suite.
      method: How forecasts are made, as in `ForecastConfig`.
      num_samples: Number of sample paths per series. `None`: as `method` needs.
      context_length: Number of past steps that the model attends to. `None`: as in training.
      coarsen: Number of points whose mean is one step of the model. 1: no aggregation.
      overwrite: Whether to evaluate tasks again whose results exist.
      plots: Whether to draw the pictures.
    """

    model: str = "box"
    name: str | None = None
    data_dir: Path = DATA
    output_dir: Path = HERE / "results"
    method: Literal["auto", "one_pass", "paths", "both"] = "auto"
    num_samples: int | None = None
    context_length: int | None = None
    coarsen: int | Literal["auto"] = "auto"
    overwrite: bool = False
    plots: bool = True


def main(arguments: Arguments) -> None:
    for suite, folder in (("all", "gift_eval"), ("paper", "paper")):
        evaluate(
            model=arguments.model,
            name=arguments.name,
            suite=suite,
            data_dir=arguments.data_dir,
            output_dir=arguments.output_dir / folder,
            published=HERE / "published.csv",
            forecast={
                "method": arguments.method,
                "num_samples": arguments.num_samples,
                "context_length": arguments.context_length,
                "coarsen": arguments.coarsen,
            },
            overwrite=arguments.overwrite,
            plots=arguments.plots,
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
