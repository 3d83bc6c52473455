"""Measures the start-up time of the import and of a whole `lagllama forecast`.

python experiments/benchmarks/startup.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from record import save

RESULTS = Path(__file__).resolve().parent / "results" / "startup.csv"
REPETITIONS = 5


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Wall-clock time of a process."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - begun


def main() -> None:
    """Times the commands alternately, and writes the medians."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "data.csv"
        dates = pd.date_range("2026-01-01", periods=500, freq="h")
        values = np.sin(np.arange(500) / 4) + np.random.default_rng(0).normal(size=500)
        pd.DataFrame({"timestamp": dates, "target": values}).to_csv(table, index=False)
        program = [str(Path(sys.executable).parent / "lagllama"), "forecast", str(table)]
        program += ["--prediction-length", "24", "--output", str(Path(folder) / "out.csv")]
        commands = {
            "import jax": [sys.executable, "-c", "import jax"],
            "import jax, lagllama_jax": [sys.executable, "-c", "import jax, lagllama_jax"],
            "lagllama forecast, later runs": program,
            "lagllama forecast with a picture, later runs": [*program, "--plot", f"{folder}/a.png"],
        }
        environment = os.environ | {"LAGLLAMA_CACHE": str(Path(folder) / "cache")}
        first = seconds(program, environment)
        times = {name: [] for name in commands}
        for _ in range(REPETITIONS):
            for name, command in commands.items():
                times[name].append(seconds(command, environment))
    times = {"lagllama forecast, first run": [first], **times}
    rows = [
        {"what": name, "median_seconds": float(np.median(taken)), "least_seconds": min(taken)}
        for name, taken in times.items()
    ]
    save(rows, RESULTS, digits=2)
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
