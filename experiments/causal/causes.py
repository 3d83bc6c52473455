"""How often `predictive_causes` names a column that does not foretell, and one that does.

python experiments/causal/causes.py
"""

import argparse

import numpy as np
import pandas as pd

from lagllama_jax.causal import predictive_causes
from lagllama_jax.evaluation.baselines import baseline


def table(seed: int, effect: float, count: int = 250) -> pd.DataFrame:
    """Four columns with memory, of which the first drives a target with memory a step later."""
    rng = np.random.default_rng(seed)
    x, y = np.zeros((count, 4)), np.zeros(count)
    for t in range(1, count):
        x[t] = 0.8 * x[t - 1] + rng.normal(size=4)
        y[t] = 0.8 * y[t - 1] + effect * x[t - 1, 0] + rng.normal()
    days = pd.date_range("2026-01-01", periods=count)
    return pd.DataFrame({"day": days, "y": y} | {f"x{n}": x[:, n] for n in range(4)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    for effect in (0.0, 0.2, 0.4):
        found = [
            predictive_causes(
                table(seed, effect), "y", predictor=baseline("naive"), permutations=199
            )
            for seed in range(options.count)
        ]
        rows = pd.concat(found)
        idle = rows if effect == 0 else rows[rows.column != "x0"]
        print(
            f"effect {effect}: idle columns with p < 5 %: {(idle.p_value < 0.05).mean():.1%}; "
            f"tables with a corrected p < 5 % of an idle column: "
            f"{np.mean([(one.corrected[one.column != 'x0'] < 0.05).any() for one in found]):.1%}; "
            f"x0 found: {(rows[rows.column == 'x0'].corrected < 0.05).mean():.0%}"
        )


if __name__ == "__main__":
    main()
