"""Prints the tables of the README from the results: `python experiments/causal/summary.py`."""

import argparse
from pathlib import Path

import pandas as pd
from scipy import stats
from simulate import EFFECTS

from lagllama_jax.causal.estimation import widening

HERE = Path(__file__).parent
DEVELOPMENT = 8
"""Number of first cases of each data set on which the calibration was chosen."""


def automatic(table: pd.DataFrame, methods: list[str], name: str) -> pd.DataFrame:
    """The rows that `auto` takes among some methods and widens, of the cases that all have."""
    some = table[table.method.isin(methods)]
    whole = some.groupby("case").method.transform("nunique") == len(methods)
    some = some[whole].assign(width=lambda rows: rows.deviation * rows.factor)
    wider = some.groupby("case").width.agg(widening)
    best = some.loc[some.groupby("case").width.idxmin()]
    print(name, "takes", best.method.value_counts().to_dict())
    return widened(best, best.case.map(wider)).assign(method=name)


def widened(rows: pd.DataFrame, factor: pd.Series) -> pd.DataFrame:
    """Rows whose calibrated intervals are wider by a factor."""
    middle = (rows.low + rows.high) / 2
    changes = {end: middle + factor * (rows[end] - middle) for end in ("low", "high")}
    for name in ("p", *(f"p_{effect}" for effect in EFFECTS)):
        score = stats.t.isf(rows[name] / 2, rows.df) / factor
        changes[name] = 2 * stats.t.sf(score, rows.df)
    return rows.assign(**changes)


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """One row per method: coverage of 90 %, false positives at 5 %, error, width and power."""
    shown = []
    for name, part in table.groupby("method", sort=False):
        row = {"method": name, "cases": len(part)}
        for prefix, words in (("raw_", "paths alone"), ("", "calibrated")):
            low, high = part[f"{prefix}low"], part[f"{prefix}high"]
            row[f"coverage, {words}"] = f"{((low <= 0) & (high >= 0)).mean():.0%}"
            row[f"false positives, {words}"] = f"{(part[f'{prefix}p'] < 0.05).mean():.1%}"
        row["error"] = f"{part.effect.abs().mean():.2f}"
        row["width"] = f"{(part.high - part.low).median():.2f}"
        for effect in EFFECTS:
            row[effect] = f"{(part[f'p_{effect}'] < 0.05).mean():.0%}"
        shown.append(row)
    return pd.DataFrame(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulated", type=Path, default=HERE / "simulated.csv")
    table = pd.read_csv(parser.parse_args().simulated)
    plain = ["ridge", "synthetic_control"]
    every = [*plain, "regression_network", "network"]
    table = pd.concat(
        [
            table,
            automatic(table, plain, "auto of both"),
            automatic(table, every[:3], "auto but network"),
            automatic(table, every, "auto"),
        ]
    )
    numbers = table.case.str.rsplit(n=1).str[1].astype(int)
    for words, part in (
        ("all cases", table),
        ("development", table[numbers < DEVELOPMENT]),
        ("held out", table[numbers >= DEVELOPMENT]),
        ("cases of auto", table[table.case.isin(table.case[table.method == "auto"])]),
    ):
        print(f"\n{words}\n{shares(part).to_string(index=False)}")
    peers = pd.read_csv(HERE / "simulated_peers.csv")
    inside = (peers.low <= 0) & (peers.high >= 0)
    outside = (peers.low95 > 0) | (peers.high95 < 0)
    peer = {"method": "bsts-causalimpact", "cases": len(peers)}
    peer |= {"coverage, paths alone": f"{inside.mean():.0%}"}
    peer |= {"false positives, paths alone": f"{outside.mean():.1%}"}
    peer |= {"error": f"{peers.effect.abs().mean():.2f}"}
    peer |= {"width": f"{(peers.high - peers.low).median():.2f}"}
    print(pd.DataFrame([peer]).to_string(index=False))
    sets = table.assign(dataset=table.case.str.rsplit(n=1).str[0], found=table.p < 0.05)
    print(sets.pivot_table(index="dataset", columns="method", values="found").round(3))
    answers = pd.read_csv(HERE / "published.csv")
    answers = pd.concat([answers, pd.read_csv(HERE / "published_peers.csv")])
    print(answers.sort_values("example", kind="stable").to_string(index=False))


if __name__ == "__main__":
    main()
