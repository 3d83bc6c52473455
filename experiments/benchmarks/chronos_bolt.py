"""Times Chronos-Bolt with random weights on the series of `one_pass.py`.

python -m venv .venv-chronos && .venv-chronos/bin/pip install . chronos-forecasting
.venv-chronos/bin/python experiments/benchmarks/chronos_bolt.py

No weights are fetched: the architectures of the tiny (9M) and small (48M) models are built from
their published sizes.
"""

import time
from pathlib import Path

import numpy as np
import torch
import tyro
from chronos.chronos_bolt import ChronosBoltModelForForecasting
from record import save
from transformers import T5Config

RESULTS = Path(__file__).resolve().parent / "results" / "chronos.csv"
CONTEXT, SERIES, STEPS, REPETITIONS = 512, 1000, 24, 3
SIZES = {
    "Chronos-Bolt tiny": {"d_model": 256, "d_ff": 1024, "num_layers": 4, "num_heads": 4},
    "Chronos-Bolt small": {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
}
FORECAST = {
    "context_length": 2048,
    "prediction_length": 64,
    "input_patch_size": 16,
    "input_patch_stride": 16,
    "quantiles": [round(0.1 * level, 1) for level in range(1, 10)],
    "use_reg_token": True,
}


def random_model(size: dict[str, int]) -> ChronosBoltModelForForecasting:
    """A model with random weights."""
    torch.manual_seed(0)
    config = T5Config(
        **size,
        d_kv=64,
        num_decoder_layers=size["num_layers"],
        feed_forward_proj="relu",
        vocab_size=2,
        pad_token_id=0,
        decoder_start_token_id=0,
        reg_token_id=1,
    )
    config.chronos_config = FORECAST
    return ChronosBoltModelForForecasting(config).eval()


def main(batch: int = 32, output: Path = RESULTS) -> None:
    """Times each model.

    Args:
      batch: Number of series per call.
      output: CSV file to write.
    """
    rng, rows = np.random.default_rng(0), []
    series = rng.normal(size=(SERIES, 2000)).cumsum(1)[:, -CONTEXT:]
    for name, size in SIZES.items():
        model = random_model(size)
        seconds = []
        for _ in range(REPETITIONS):
            begun = time.perf_counter()
            with torch.inference_mode():
                for first in range(0, SERIES, batch):
                    part = torch.tensor(series[first : first + batch], dtype=torch.float32)
                    quantiles = model(context=part).quantile_preds
            seconds.append(time.perf_counter() - begun)
        assert quantiles.shape[1:] == (9, 64)
        parameters = sum(weight.numel() for weight in model.parameters())
        rows.append(
            {
                "case": f"{name}, {SERIES} series",
                "parameters": parameters,
                "seconds": min(seconds),
                "series_per_second": SERIES / min(seconds),
            }
        )
        print(rows[-1], flush=True)
    save(rows, output)


if __name__ == "__main__":
    tyro.cli(main)
