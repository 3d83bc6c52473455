"""The same questions to the package bsts-causalimpact, in an environment of its own.

pip install bsts-causalimpact
python experiments/causal/peers.py --data FOLDER                          # published examples
python experiments/causal/simulate.py --corpus FOLDER --cases cases.npz   # in the usual one
python experiments/causal/peers.py --cases cases.npz                      # simulated cases
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from causal_impact import CausalImpact
from data import examples

HERE = Path(__file__).parent


def asked(frame: pd.DataFrame, before: int) -> dict[str, Any]:
    """Average effect with its intervals; the first column is the target."""
    bounds = [0, before - 1], [before, len(frame) - 1]
    row: dict[str, Any] = {"method": "bsts-causalimpact"}
    for suffix, alpha in (("", 0.1), ("95", 0.05)):
        result = CausalImpact(frame, *bounds, alpha=alpha)._results
        row["effect"] = result.point_effect_mean
        row[f"low{suffix}"], row[f"high{suffix}"] = result.ci_lower, result.ci_upper
    row["tail_probability"] = result.p_value
    return row


def published(folder: Path) -> pd.DataFrame:
    rows = []
    for example in examples(folder):
        columns = [example.arguments["target"], *example.arguments["controls"]]
        times = [name for name in example.frame if name not in columns]
        before = example.arguments["intervention"]
        if times:
            stamps = pd.to_datetime(example.frame[times[0]].astype(str))
            before = int((stamps < pd.Timestamp(str(before))).sum())
        frame = example.frame[columns].astype(float).reset_index(drop=True)
        rows.append({"example": example.name} | asked(frame, before))
    return pd.DataFrame(rows)


def simulated(cases: Path) -> pd.DataFrame:
    """In standard deviations of the past of the target."""
    data, rows = np.load(cases), []
    names = [name for name in data.files if name != "before"]
    for name, before in zip(names, data["before"].tolist(), strict=True):
        values = data[name].T / np.std(data[name][0, :before])
        columns = ["y", *(f"c{number}" for number in range(values.shape[1] - 1))]
        rows.append({"case": name} | asked(pd.DataFrame(values, columns=columns), before))
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of the published examples")
    parser.add_argument("--cases", type=Path, help="cases that simulate.py wrote")
    options = parser.parse_args()
    if options.data:
        table = published(options.data)
        table.to_csv(HERE / "published_peers.csv", index=False, float_format="%.5g")
    if options.cases:
        table = simulated(options.cases)
        table.to_csv(HERE / "simulated_peers.csv", index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
