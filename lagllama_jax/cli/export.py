"""`lagllama export`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")],
    /,
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    prediction_length: Annotated[int, tyro.conf.arg(aliases=["-p"], metavar="N")] = 64,
    platforms: tuple[Literal["cpu", "cuda", "tpu"], ...] = ("cpu", "cuda", "tpu"),
) -> None:
    """Writes the program of a model that forecasts in one pass, for use with JAX alone.

    The folder has the program with its weights, and loader.py, which needs JAX, flatbuffers and
    nothing of this package. The program takes any number of series.

    Args:
      source: Folder, authors' .ckpt file or hub id, or box for the bundled weights.
      output: Folder to write.
      prediction_length: Largest number of time steps that the program forecasts.
      platforms: Platforms that the program runs on. They need not be there now.
    """
    from lagllama_jax.export import export_model
    from lagllama_jax.files import check_outputs
    from lagllama_jax.forecaster import LagLlama

    check_outputs(folders=[output], inputs=[source])
    export_model(LagLlama.from_pretrained(source), output, prediction_length, platforms)
    size = sum(file.stat().st_size for file in output.iterdir()) / 1e6
    print(f"Wrote {output} ({size:.1f} MB). See {output / 'loader.py'}.")
