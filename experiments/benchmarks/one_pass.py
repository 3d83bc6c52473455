"""Measures time and memory of forecasts in one pass, and a matrix product beside it.

python experiments/benchmarks/one_pass.py

Every case runs in a process of its own, without a compilation cache. The model has the size of the
bundled one, with random weights. Rates count 4.5 MFLOP per token, which the matrix products of the
model need (two per weight); a series has a token per point of its context and per further point of
its horizon. `chronos_bolt.py` times other models on the same series.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tyro
from decode import product_rate
from record import save

RESULTS = Path(__file__).resolve().parent / "results" / "one_pass.csv"
CONTEXT = 64


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of `LagLlama.predict`.

    Attributes:
      series: Number of series.
      steps: Number of time steps to forecast.
      repetitions: Number of times that calls and the product are timed.
      in_a_row: Number of timed calls, one after another, before each product.
    """

    series: int
    steps: int = 24
    repetitions: int = 5
    in_a_row: int = 1


CASES = {
    "1 series": Case(1, in_a_row=20),
    "1 series, other work before each call": Case(1, repetitions=20),
    "1000 series": Case(1000),
    "200 series, 336 steps": Case(200, 336, 3),
    "1000 series, 720 steps": Case(1000, 720, 1),
}
STREAM = "50,000 short series from Parquet"


def random_model(**changes: object) -> "LagLlama":  # noqa: F821
    """A model of the bundled size with random weights, and some other fields if given."""
    import jax

    from lagllama_jax import LagLlama
    from lagllama_jax.model.network import init_parameters
    from lagllama_jax.training.presets import PRESETS

    config = PRESETS["box"].model.replace(context_length=CONTEXT, **changes)
    return LagLlama(init_parameters(config, jax.random.key(0)), config)


def flops_per_token(model: "LagLlama") -> int:  # noqa: F821
    """Two operations per weight."""
    import jax

    return 2 * sum(leaf.size for leaf in jax.tree.leaves(model.parameters))


def row(work: float, seconds: float, rates: list[float], first: float) -> dict[str, float]:
    """The figures of one case."""
    return {
        "seconds": seconds,
        "first_call_seconds": first,
        "gflops": work / seconds / 1e9,
        "product_gflops": max(rates) / 1e9,
        "share_of_product": work / seconds / max(rates),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def measure(case: Case) -> dict[str, float]:
    """Compiles, then times the case and the product alternately."""
    model = random_model()
    rng = np.random.default_rng(0)
    series = [rng.normal(size=2000).cumsum() for _ in range(case.series)]

    def predict() -> float:
        begun = time.perf_counter()
        model.predict(series, case.steps, progress=False).quantiles([0.1, 0.5, 0.9])
        return time.perf_counter() - begun

    first = predict()
    seconds, rates = [], [product_rate()]
    for _ in range(case.repetitions):
        seconds += [predict() for _ in range(case.in_a_row)]
        rates.append(product_rate())
    work = flops_per_token(model) * case.series * (CONTEXT + case.steps - 1)
    return row(work, min(seconds), rates, first) | {"series_per_second": case.series / min(seconds)}


def stream(count: int = 50_000, length: int = 200, steps: int = 12) -> dict[str, float]:
    """Forecasts short series of a Parquet file, batch by batch, and writes the median."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    model, rng, each = random_model(), np.random.default_rng(0), 2000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.parquet"
        schema = pa.schema({"item_id": pa.string(), "target": pa.list_(pa.float32())})
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, count, each):
                values = rng.normal(size=(each, length)).cumsum(1).astype(np.float32)
                names = [str(first + number) for number in range(each)]
                writer.write_table(pa.table({"item_id": names, "target": list(values)}, schema))
        rates, begun, first_call = [product_rate()], time.perf_counter(), 0.0
        result = pa.schema({"item_id": pa.string(), "median": pa.list_(pa.float64())})
        with pq.ParquetWriter(Path(folder) / "forecasts.parquet", result) as writer:
            for batch in pq.ParquetFile(path).iter_batches(each):
                names = batch["item_id"].to_pylist()
                series = np.stack(batch["target"].to_numpy(zero_copy_only=False))
                forecast = model.predict(series, steps, item_ids=names, progress=False)
                first_call = first_call or time.perf_counter() - begun
                writer.write_table(pa.table({"item_id": names, "median": list(forecast.median)}))
        seconds = time.perf_counter() - begun
        rates.append(product_rate())
    work = flops_per_token(model) * count * (CONTEXT + steps - 1)
    return row(work, seconds, rates, first_call) | {"series_per_second": count / seconds}


def main(case: str | None = None, output: Path = RESULTS) -> None:
    """Runs all cases, or one of them, whose result is printed as JSON.

    Args:
      case: Name of one case.
      output: CSV file to write.
    """
    if case is not None:
        print(json.dumps(stream() if case == STREAM else measure(CASES[case])))
        return
    rows = []
    for name in (*CASES, STREAM):
        command = [sys.executable, __file__, "--case", name]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append({"case": name, **json.loads(run.stdout)})
        print(rows[-1], flush=True)
        save(rows, output, digits=4)


if __name__ == "__main__":
    tyro.cli(main)
