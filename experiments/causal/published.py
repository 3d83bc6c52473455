"""The published examples by each method, beside what others report.

python experiments/causal/published.py --data FOLDER

Rows that the output has already are kept.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from data import examples

from lagllama_jax.causal import Effect, impact
from lagllama_jax.causal.estimators import METHODS
from lagllama_jax.forecaster import LagLlama

HERE = Path(__file__).parent


def row_of(effect: Effect) -> dict[str, float]:
    """The result, and `width`, by which `auto` chooses: in standard deviations of the past."""
    low, high = effect.average_interval
    past = [trial.error for trial in effect.trials if trial.kind == "time"]
    return {
        "effect": effect.average_effect,
        "low": low,
        "high": high,
        "p_value": effect.p_value,
        "relative": effect.relative_effect,
        "tail_probability": effect.tail_probability,
        "past_error": sum(past) / len(past),
        "width": effect.deviation / float(np.nanstd(effect.study.dataset.targets[0])),
        "factor": effect.null.factor,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=METHODS[::-1])
    parser.add_argument("--output", type=Path, default=HERE / "published.csv")
    parser.add_argument("--pictures", type=Path, help="folder of a picture per example and method")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = LagLlama.from_pretrained()
    done = set()
    if options.output.exists():
        rows = pd.read_csv(options.output)
        done = set(rows[["example", "method"]].itertuples(index=False, name=None))
    for method in options.methods:
        for example in examples(options.data):
            if (example.name, method) in done:
                continue
            start = time.perf_counter()
            effect = impact(example.frame, **example.arguments, method=method, predictor=model)
            row = {"example": example.name, "method": method} | row_of(effect)
            row["published"] = example.published[0]
            row["seconds"] = round(time.perf_counter() - start, 1)
            header = not options.output.exists()
            frame = pd.DataFrame([row])
            frame.to_csv(options.output, mode="a", header=header, index=False, float_format="%.5g")
            if options.pictures:
                effect.plot().savefig(options.pictures / f"{example.name}_{method}.png", dpi=70)


if __name__ == "__main__":
    main()
