"""`lagllama info`."""

import platform
from collections.abc import Iterator
from importlib import metadata

from lagllama_jax.cli.arguments import Model

PACKAGES = ("jax", "jaxlib", "flax", "optax", "distrax", "orbax-checkpoint", "numpy", "pandas")
OPTIONAL = {
    "matplotlib": "plot",
    "huggingface_hub": "hub",
    "polars": "polars",
    "grain": "grain",
    "tensorflow-datasets": "tfds",
    "statsforecast": "baselines",
    "tensorboardX": "tensorboard",
    "torch": "torch",
    "gluonts": "gluonts",
}
"""Packages that only some functions need, and the extra that installs each of them."""


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
    yield "packages", ", ".join(f"{name} {version}" for name in PACKAGES if (version := _of(name)))
    extras = (f"{name} {_of(name) or f'- (extra {extra})'}" for name, extra in OPTIONAL.items())
    yield "optional", ", ".join(extras)
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

    from lagllama_jax.errors import CheckpointError
    from lagllama_jax.forecaster import LagLlama

    try:
        model = LagLlama.from_pretrained(source)
    except CheckpointError as error:
        if source is not None:
            raise
        yield "model", str(error)
        return
    config = model.config
    count = sum(leaf.size for leaf in jax.tree.leaves(model.parameters))
    yield "model", f"{count:,} parameters from {model.source}"
    layers = f"{config.num_layers} layers, {config.num_heads} heads of {config.head_dim}"
    kinds = f"{config.head} head, {config.scaling} scaling, {config.rope} RoPE"
    yield "architecture", f"{layers}, {kinds}"
    lags = f"{len(config.lags)} lags up to {config.max_lag}"
    yield "history", f"context of {config.context_length} points, {lags}"
