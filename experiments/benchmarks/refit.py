"""Measures a fine-tuning, and later ones in the same process.

python experiments/benchmarks/refit.py
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from record import save

from lagllama_jax import LagLlama

RESULTS = Path(__file__).resolve().parent / "results" / "refit.csv"
STEPS = 24
LATER: dict[str, tuple[int, dict[str, Any]]] = {
    "first": (300, {}),
    "the same again": (300, {}),
    "30 points later": (330, {}),
    "another learning rate": (330, {"learning_rate": 1e-5}),
    "another context": (330, {"context_length": 96}),
}
"""Number of points of each of 5 series, and options."""


def main() -> None:
    """Times each fine-tuning of 10 steps, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS)
    output = parser.parse_args().output
    warnings.simplefilter("ignore")
    model, rows = LagLlama.from_pretrained(), []
    walks = np.random.default_rng(0).normal(size=(5, 330)).cumsum(axis=1)
    for name, (points, options) in LATER.items():
        begun = time.perf_counter()
        data = walks[:, :points]
        model.fit(data, STEPS, epochs=1, steps_per_epoch=10, progress=False, **options)
        rows.append({"what": name, "seconds": time.perf_counter() - begun})
        print(f"{name}: {rows[-1]['seconds']:.1f} s")
    save(rows, output, digits=1)


if __name__ == "__main__":
    main()
