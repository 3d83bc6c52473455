"""Which weight of the loss of one pass, beside that of the next point, serves both methods best?

python experiments/pretrain/shares.py CORPUS PARQUET          # -> results/shares.csv

It trains the small models of `study.py`, and scores each by one pass and by sample paths on the
short tasks of the validation suite. Rows that the table already holds are not computed again.
"""

import dataclasses
from pathlib import Path

import tyro
from study import Ledger, provenance, recipe_of, short_tasks, train

from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.run import evaluate_tasks
from lagllama_jax.evaluation.scores import relative_score

PLAIN = ForecastConfig(coarsen=1, difference="none")
METHODS = {
    "one_pass": PLAIN,
    "paths": PLAIN.replace(method="paths", num_samples=40, match_marginals=False),
}


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The budget of every model.

    Attributes:
      corpus: Folder that `lagllama data corpus` wrote.
      parquet: Folder of the corpus' Parquet files, for the validation suite.
      shares: Weights of the loss of one pass; the rest is the weight of the loss of the next point.
      seeds: Random seeds of weights and windows, which all shares have in common.
      steps: Number of optimizer steps.
      limit: Largest number of windows per task.
      output: CSV file.
    """

    corpus: tyro.conf.Positional[Path]
    parquet: tyro.conf.Positional[Path]
    shares: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    seeds: tuple[int, ...] = (0, 1)
    steps: int = 800
    limit: int = 40
    output: Path = Path(__file__).resolve().parent / "results" / "shares.csv"


def measure(arguments: Arguments, share: float, seed: int) -> dict[str, str]:
    """Trains one model, and scores it relative to seasonal naive."""
    recipe = recipe_of({"train": {"one_pass_share": share}}, arguments.steps, seed)
    predictor = train(arguments.corpus, recipe).predictor()
    tasks = short_tasks(arguments.parquet)
    naive = evaluate_tasks(baseline("seasonal_naive"), tasks, limit=arguments.limit)
    scores = {}
    for method, config in METHODS.items():
        rows = evaluate_tasks(predictor, tasks, method, config, limit=arguments.limit)
        scores[method] = f"{relative_score(rows, naive):.4f}"
    return scores


def main(arguments: Arguments) -> None:
    ledger = Ledger(arguments.output, ("share", "seed", "steps", "limit"))
    for seed in arguments.seeds:
        for share in arguments.shares:
            asked = {"share": share, "seed": seed}
            asked |= {"steps": arguments.steps, "limit": arguments.limit}
            if ledger.select(asked).empty:
                ledger.add(asked | measure(arguments, share, seed) | provenance())
            row = ledger.select(asked).iloc[0]
            print(*(f"{name} {row[name]}" for name in (*asked, *METHODS)), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
