"""Measures time and memory of decoding at the published size, and a matrix product beside it.

python experiments/benchmarks/decode.py

Every case runs in a process of its own, with random weights and without a compilation cache. Rates
count 4.9 MFLOP per sample and step, which the matrix products of the model need.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tyro
from record import save

RESULTS = Path(__file__).resolve().parent / "results" / "decode.csv"
FLOPS = 4.9e6
PRODUCT = (800, 144, 1024)


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of `LagLlama.predict`.

    Attributes:
      series: Number of series.
      samples: Number of sample paths per series.
      steps: Number of time steps to forecast.
      repetitions: Number of timed calls.
    """

    series: int
    samples: int = 100
    steps: int = 24
    repetitions: int = 5


CASES = {
    "1 series": Case(1),
    "8 series": Case(8),
    "1000 series": Case(1000, repetitions=1),
    "20 series, 720 steps": Case(20, steps=720, repetitions=1),
}


def product_rate() -> float:
    """FLOP/s of the float32 matrix product; the fastest of 100 runs."""
    import jax

    rows, inner, columns = PRODUCT
    keys = jax.random.split(jax.random.key(0))
    left = jax.random.normal(keys[0], (rows, inner))
    right = jax.random.normal(keys[1], (inner, columns))
    multiply = jax.jit(lambda a, b: a @ b)
    multiply(left, right).block_until_ready()
    best = np.inf
    for _ in range(100):
        begun = time.perf_counter()
        multiply(left, right).block_until_ready()
        best = min(best, time.perf_counter() - begun)
    return 2 * rows * inner * columns / best


def measure(case: Case) -> dict[str, float]:
    """Compiles, then times the case and the product alternately."""
    import jax

    from lagllama_jax import LagLlama, ModelConfig
    from lagllama_jax.model.network import init_parameters

    config = ModelConfig.released()
    model = LagLlama(init_parameters(config, jax.random.key(0)), config)
    rng = np.random.default_rng(0)
    lengths = 200 + np.arange(case.series) % 1000
    series = [rng.normal(size=length).cumsum() for length in lengths]

    def predict(chosen: list[np.ndarray], steps: int) -> float:
        begun = time.perf_counter()
        model.predict(chosen, steps, num_samples=case.samples, progress=False)
        return time.perf_counter() - begun

    few = series if case.repetitions > 1 else series[:20]
    first = predict(few, case.steps)
    seconds, rates = [], [product_rate()]
    for _ in range(case.repetitions):
        seconds.append(predict(series, case.steps))
        rates.append(product_rate())
    work = FLOPS * case.series * case.samples * case.steps
    return {
        "seconds": min(seconds),
        "first_call_extra_seconds": first - min(seconds) if case.repetitions > 1 else np.nan,
        "gflops": work / min(seconds) / 1e9,
        "product_gflops": max(rates) / 1e9,
        "share_of_product": work / min(seconds) / max(rates),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main(case: str | None = None, output: Path = RESULTS) -> None:
    """Runs all cases, or one of them, whose result is printed as JSON.

    Args:
      case: Name of one case.
      output: CSV file to write.
    """
    if case is not None:
        print(json.dumps(measure(CASES[case])))
        return
    rows = []
    for name, what in CASES.items():
        command = [sys.executable, __file__, "--case", name]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append({"case": name, **dataclasses.asdict(what), **json.loads(run.stdout)})
        print(rows[-1], flush=True)
        save(rows, output)


if __name__ == "__main__":
    tyro.cli(main)
