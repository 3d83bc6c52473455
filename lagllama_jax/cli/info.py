"""`lagllama info`."""

import platform
from collections.abc import Iterator
from importlib import metadata

from lagllama_jax.cli.arguments import Model

PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "distrax", "orbax-checkpoint", "numpy", "pandas",
    "matplotlib", "huggingface_hub", "polars", "grain", "tensorflow-datasets", "statsforecast",
    "tensorboardX", "torch", "gluonts", "sktime", "fev", "ray", "pyspark",
    "starlette", "uvicorn",
)  # fmt: skip
"""The packages that are listed, from the second line on those that only some functions need."""


def main(model: Model = None) -> None:
    """Prints versions, devices and the model in use.

    Args:
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (*_versions(), *_model(model)):
        table.add_row(f"[bold]{name}[/]", value)
    Console(highlight=False).print(table)


def _versions() -> Iterator[tuple[str, str]]:
    import jax

    from lagllama_jax import __version__
    from lagllama_jax.cli.compilation_cache import cache_folder

    yield "lagllama_jax", __version__
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    versions = {name: _of(name) for name in PACKAGES}
    yield "packages", ", ".join(f"{name} {known}" for name, known in versions.items() if known)
    yield "not installed", ", ".join(name for name, known in versions.items() if not known) or "-"
    yield "compiled programs", str(cache_folder() or "not kept")
    kinds = [f"{device.platform} {device.id} ({device.device_kind})" for device in jax.devices()]
    yield "devices", ", ".join(kinds)


def _of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _model(source: str | None) -> Iterator[tuple[str, str]]:
    import jax

    from lagllama_jax.forecaster import LagLlama

    model = LagLlama.from_pretrained(source)
    config = model.config
    count = sum(leaf.size for leaf in jax.tree.leaves(model.parameters))
    yield "model", f"{count:,} parameters from {model.source}"
    layers = f"{config.num_layers} layers, {config.num_heads} heads of {config.head_dim}"
    kinds = f"{config.head} head, {config.scaling} scaling, {config.rope} RoPE"
    yield "architecture", f"{layers}, {kinds}"
    lags = f"{len(config.lags)} lags up to {config.max_lag}"
    yield "history", f"context of {config.context_length} points, {lags}"
