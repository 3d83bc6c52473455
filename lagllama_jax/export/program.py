"""`export_model`: writes the one-pass program of a model for several platforms, and a loader."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from lagllama_jax import __version__
from lagllama_jax.config import Count, ModelConfig, checked
from lagllama_jax.config.base import check
from lagllama_jax.errors import require
from lagllama_jax.export.loader_file import loader_text
from lagllama_jax.files import AnyPath, check_outputs, make_folder, write_bytes
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.one_pass import distributions
from lagllama_jax.model.batch import TARGET, Batch
from lagllama_jax.typing import Array, Float, Parameters

PLATFORMS = ("cpu", "cuda", "tpu")


def export_model(
    model: LagLlama,
    folder: AnyPath,
    prediction_length: int = 64,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Writes the program that forecasts in one pass, with its weights, and a loader.

    The folder has `program.bin`, which `jax.export` reads, `config.json`, and `loader.py`, which
    needs JAX (with NumPy and SciPy, which JAX brings) and flatbuffers, by which JAX reads programs,
    and nothing of this package. The program takes any number of series. Forecasts through means of
    hours or days (`coarsen`) or seasonal differences (`difference`), covariates, sample paths and
    missing values at the end of a series are not part of it.

    Args:
      model: A model that forecasts in one pass.
      folder: The folder to write.
      prediction_length: Largest number of time steps that the program forecasts.
      platforms: Platforms that the program runs on, which need not be there now.

    Raises:
      ConfigError: If the model cannot forecast in one pass, or an option is invalid.
      DataError: If the folder cannot be written.
      MissingExtraError: If flatbuffers is not installed.
    """
    require("flatbuffers", "export")
    steps = int(checked("prediction_length", prediction_length, Count))
    check(
        model.config.one_pass,
        "These weights do not forecast in one pass, so there is no program to export: take the "
        "bundled weights, or others that were trained with one_pass=True.",
    )
    wrong = sorted(set(platforms) - set(PLATFORMS)) or (None if platforms else ["none"])
    check(not wrong, f"platforms={wrong} must be among {', '.join(PLATFORMS)}.")
    place = Path(folder)
    check_outputs(folders=[place])
    content = serialised(model.parameters, model.config, steps, platforms)
    config = {
        "context_length": model.config.context_length,
        "past_length": model.config.past_length,
        "prediction_length": steps,
        "reads_raw_values": model.config.reads_raw_values,
        "platforms": list(platforms),
        "jax": jax.__version__,
        "lagllama_jax": __version__,
    }
    make_folder(place)
    write_bytes(place / "program.bin", content)
    write_bytes(place / "loader.py", loader_text().encode())
    write_bytes(place / "config.json", (json.dumps(config, indent=1) + "\n").encode())


def serialised(
    parameters: Parameters, config: ModelConfig, steps: int, platforms: Sequence[str]
) -> bytes:
    """The program for a symbolic number of series, as `jax.export` serialises it."""
    with jax.default_matmul_precision("highest"):
        exported = export.export(jax.jit(one_pass(parameters, config, steps)), platforms=platforms)(
            *shapes(config, steps)
        )
    return bytes(exported.serialize())


def one_pass(parameters: Parameters, config: ModelConfig, steps: int) -> Any:
    """The function that is exported, with the weights in it."""

    def run(
        values: Float[Array, "B U"],
        observed: Float[Array, "B U"],
        time_features: Float[Array, "B T 6"],
        level: Float[Array, "B"],
        unit: Float[Array, "B"],
    ) -> Float[Array, "3 B P"]:
        count = values.shape[0]
        batch = Batch(
            values[:, None],
            observed[:, None],
            time_features,
            jnp.full((count, 1), TARGET, jnp.int32),
            jnp.full((count,), config.past_length, jnp.int32),
            level[:, None],
            unit[:, None],
            jnp.zeros((count,), jnp.uint32),
        )
        return distributions(parameters, config, batch, steps)[:, :, 0]

    return run


def shapes(config: ModelConfig, steps: int) -> list[jax.ShapeDtypeStruct]:
    """Shapes and types of the arguments of the program, for a symbolic number of series."""
    (count,) = export.symbolic_shape("B")
    past, tokens = config.past_length, config.context_length + steps
    wanted: list[tuple[tuple[Any, ...], Any]] = [
        ((count, past), jnp.float32),
        ((count, past), jnp.bool_),
        ((count, tokens, 6), jnp.float32),
        ((count,), jnp.float32),
        ((count,), jnp.float32),
    ]
    return [jax.ShapeDtypeStruct(*one) for one in wanted]
