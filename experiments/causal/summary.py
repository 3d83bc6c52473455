"""Prints the tables of the README from the results: `python experiments/causal/summary.py`."""

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent


def automatic(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of that of ridge and synthetic control with the least error at false dates."""
    cheap = table[table.method.isin(["ridge", "synthetic_control"])]
    best = cheap.loc[cheap.groupby("case").time_error.idxmin()]
    return best.assign(method="the better of both in the past")


def main() -> None:
    table = pd.read_csv(HERE / "simulated.csv")
    table = pd.concat([table, automatic(table)])
    peers = pd.read_csv(HERE / "simulated_peers.csv")
    shown = []
    for name, part in table.groupby("method", sort=False):
        row = {"method": name, "cases": len(part)}
        for prefix, words in (("raw_", "paths alone"), ("", "calibrated")):
            low, high = part[f"{prefix}low"], part[f"{prefix}high"]
            row[f"coverage, {words}"] = f"{((low <= 0) & (high >= 0)).mean():.0%}"
            row[f"false positives, {words}"] = f"{(part[f'{prefix}p'] < 0.05).mean():.1%}"
        row["error"] = f"{part.effect.abs().mean():.2f}"
        row["width"] = f"{(part.high - part.low).median():.2f}"
        for effect in ("step", "ramp", "pulse", "delayed"):
            row[effect] = f"{(part[f'p_{effect}'] < 0.05).mean():.0%}"
        shown.append(row)
    inside = (peers.low <= 0) & (peers.high >= 0)
    outside = (peers.low95 > 0) | (peers.high95 < 0)
    peer = {"method": "bsts-causalimpact", "cases": len(peers)}
    peer |= {"coverage, paths alone": f"{inside.mean():.0%}"}
    peer |= {"false positives, paths alone": f"{outside.mean():.1%}"}
    peer |= {"error": f"{peers.effect.abs().mean():.2f}"}
    peer |= {"width": f"{(peers.high - peers.low).median():.2f}"}
    print(pd.DataFrame([*shown, peer]).fillna("").to_string(index=False))
    sets = table.assign(dataset=table.case.str.rsplit(n=1).str[0], found=table.p < 0.05)
    print(sets.pivot_table(index="dataset", columns="method", values="found").round(3))
    answers = pd.read_csv(HERE / "published.csv")
    answers = pd.concat([answers, pd.read_csv(HERE / "published_peers.csv")])
    print(answers.sort_values("example", kind="stable").to_string(index=False))


if __name__ == "__main__":
    main()
