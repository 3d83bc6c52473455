"""The simulated cases with the package bsts-causalimpact, in an environment of its own.

pip install bsts-causalimpact
python experiments/causal/simulate.py --corpus FOLDER --cases cases.npz   # in the usual one
python experiments/causal/peers.py cases.npz --output peers.csv
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from causal_impact import CausalImpact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "peers.csv")
    options = parser.parse_args()
    data = np.load(options.cases)
    names = [name for name in data.files if name != "before"]
    rows = []
    for name, before in zip(names, data["before"].tolist(), strict=True):
        values = data[name].T
        frame = pd.DataFrame(values, columns=["y", *(f"c{n}" for n in range(values.shape[1] - 1))])
        unit = float(np.std(values[:before, 0]))
        bounds = [0, before - 1], [before, len(values) - 1]
        row = {"case": name, "method": "bsts-causalimpact"}
        for suffix, alpha in (("", 0.1), ("95", 0.05)):
            result = CausalImpact(frame, *bounds, alpha=alpha)._results
            row["effect"] = result.point_effect_mean / unit
            row[f"low{suffix}"], row[f"high{suffix}"] = (
                result.ci_lower / unit,
                result.ci_upper / unit,
            )
        row["tail_probability"] = result.p_value
        rows.append(row)
    pd.DataFrame(rows).to_csv(options.output, index=False)


if __name__ == "__main__":
    main()
