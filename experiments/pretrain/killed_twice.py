"""Checks that a run that is killed twice gives the numbers of an uninterrupted run.

python experiments/pretrain/killed_twice.py CORPUS           # -> results/killed_twice.csv

The script trains the preset `small` for some steps without interruption. It then trains again in
another folder, where the process receives SIGKILL twice between checkpoints and is restarted. The
script exits with 1 if any number differs.
"""

import dataclasses
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import tyro

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from ledger import provenance  # noqa: E402

from lagllama_jax.files import write_rows  # noqa: E402

MEASURED = ["tokens_per_second", "utilisation", "seconds"]
"""Columns of metrics.csv that depend on the speed of the machine."""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The run, and when it is killed.

    Attributes:
      corpus: Folder of Parquet files, or one that `lagllama data corpus` wrote.
      preset: Name of the recipe.
      steps: Number of steps of the whole run.
      every: Number of steps from one checkpoint to the next.
      kills: Shares of the run after which the process is killed.
      output: CSV file to write.
    """

    corpus: tyro.conf.Positional[Path]
    preset: str = "small"
    steps: int = 200
    every: int = 20
    kills: tuple[float, ...] = (0.33, 0.71)
    output: Path = HERE / "results" / "killed_twice.csv"


def command(arguments: Arguments, folder: Path) -> list[str]:
    words = f"""pretrain {shlex.quote(str(arguments.corpus))} --output {shlex.quote(str(folder))}
      --preset {arguments.preset} --train.steps {arguments.steps} --loop.dispatch 1
      --loop.checkpoint-every {arguments.every} --validation suite --progress False"""
    return [sys.executable, "-m", "lagllama_jax.cli.main", *shlex.split(words)]


def last_step(folder: Path) -> int:
    """The step of the last row of metrics.csv; 0 if there is none."""
    file = folder / "metrics.csv"
    lines = file.read_text().splitlines()[1:] if file.exists() else []
    return int(lines[-1].split(",")[0]) if lines and lines[-1].split(",")[0] else 0


def run_killed(arguments: Arguments, folder: Path) -> list[int]:
    """Runs to the end with kills in between, and returns the steps at which they happened."""
    struck = []
    for share in arguments.kills:
        process = subprocess.Popen(command(arguments, folder))
        while last_step(folder) < share * arguments.steps:
            if process.poll() is not None:
                raise SystemExit(f"The run ended by itself with {process.returncode}.")
            time.sleep(0.01)
        process.kill()
        process.wait()
        struck.append(last_step(folder))
    subprocess.run(command(arguments, folder), check=True)
    return struck


def compare(whole: Path, killed: Path) -> dict[str, object]:
    """Compares the metrics and the weights of two runs, bit by bit."""
    ours, theirs = (
        pd.read_csv(folder / "metrics.csv").drop(columns=MEASURED) for folder in (whole, killed)
    )
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, killed)]
    return {
        "rows": len(ours),
        "rows_equal": len(theirs) == len(ours) and ours.equals(theirs),
        "weights_equal": weights[0] == weights[1],
        "last_loss": ours["loss"].iloc[-1],
        "last_loss_killed": theirs["loss"].iloc[-1],
        "last_validation_loss": ours["validation_loss"].dropna().iloc[-1],
        "last_validation_loss_killed": theirs["validation_loss"].dropna().iloc[-1],
    }


def main(arguments: Arguments) -> None:
    with tempfile.TemporaryDirectory() as name:
        whole, killed = Path(name) / "whole", Path(name) / "killed"
        subprocess.run(command(arguments, whole), check=True)
        struck = run_killed(arguments, killed)
        found = compare(whole, killed)
    row = {"preset": arguments.preset, "steps": arguments.steps, "every": arguments.every}
    row |= {"killed_after": " ".join(map(str, struck)), **found, **provenance()}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_rows(arguments.output, [row], list(row))
    print(pd.Series(row).to_string())
    if not (found["rows_equal"] and found["weights_equal"]):
        raise SystemExit("The two runs differ.")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
