"""Training on several devices and hosts: a mesh with the axes `data` and `fsdp`.

One program runs on the whole mesh: `jax.jit` on arrays with a `NamedSharding`. The batch is split
over both axes. The parameters and the optimizer state are split over `fsdp` and gathered where they
are used (arXiv 2304.11277).
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lagllama_jax.config.base import check
from lagllama_jax.errors import DataError
from lagllama_jax.training.state import TrainState

DATA, FSDP = "data", "fsdp"

KERNELS: dict[str, tuple[str, str]] = {
    "embedding": ("features", "width"),
    "query": ("width", "heads"),
    "key_value": ("width", "heads"),
    "output": ("heads", "width"),
    "gate": ("width", "hidden"),
    "up": ("width", "hidden"),
    "down": ("hidden", "width"),
}
"""Logical axes of the kernel of each linear layer, by its name."""


@dataclass(frozen=True)
class Rules:
    """The mesh axis over which each logical axis is split. `None`: it is not split.

    Attributes:
      batch: Windows of a batch.
      width: Model width D.
      features: Features of a token.
      heads: Number of heads times their width.
      hidden: Hidden width of the MLP.
    """

    batch: tuple[str, ...] = (DATA, FSDP)
    width: str | None = FSDP
    features: str | None = None
    heads: str | None = None
    hidden: str | None = None

    def parameter(self, path: tuple[Any, ...]) -> PartitionSpec:
        """The partition of a leaf of the parameters, or of the optimizer's copy of them."""
        names = [str(entry.key) for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        if "head" in names or not names or names[-1] not in ("kernel", "bias", "scale"):
            return PartitionSpec()
        if names[-1] == "kernel":
            return PartitionSpec(*(getattr(self, axis) for axis in KERNELS[names[-2]]))
        return PartitionSpec(self.width)


def initialize_hosts(address: str | None, processes: int | None, process: int | None) -> None:
    """Connects this process to the other processes of the run, before any device is used.

    All arguments may be `None` on TPU pods and under Slurm, which provide them.

    Args:
      address: HOST:PORT of the first process.
      processes: Number of processes.
      process: Number of this process, from 0.
    """
    jax.distributed.initialize(address, processes, process)


def make_mesh(data: int = -1, fsdp: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Makes a mesh of devices.

    Args:
      data: Size of the axis `data`. -1: the number of devices divided by `fsdp`.
      fsdp: Size of the axis `fsdp`.
      devices: The devices. `None`: all.

    Raises:
      ConfigError: If the product of the sizes is not the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    count = len(devices)
    data = count // fsdp if data == -1 and fsdp > 0 else data
    check(
        data >= 1 and fsdp >= 1 and data * fsdp == count,
        f"A mesh of data={data} times fsdp={fsdp} does not fit {count} device(s): choose sizes "
        f"whose product is {count}.",
    )
    automatic = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((data, fsdp), (DATA, FSDP), axis_types=automatic, devices=devices)


def state_sharding(mesh: Mesh, rules: Rules, state: Any) -> Any:
    """The sharding of each leaf of a training state or of parameters.

    Raises:
      ConfigError: If the size of an axis is not a multiple of that of its mesh axis.
    """

    def of_leaf(path: tuple[Any, ...], leaf: jax.Array | np.ndarray) -> NamedSharding:
        spec = rules.parameter(path)
        for size, axis in zip(leaf.shape, spec, strict=False):
            parts = 1 if axis is None else mesh.shape[axis]
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            check(
                size % parts == 0,
                f"{name} has {size} along an axis that {axis}={parts} does not divide: choose a "
                f"divisor of the model's width for {axis}.",
            )
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(of_leaf, state)


def shard_state(mesh: Mesh, rules: Rules, state: TrainState) -> TrainState:
    """Copies a state to the devices of a mesh. The copy may be donated."""
    place = jax.jit(lambda tree: tree, out_shardings=state_sharding(mesh, rules, state))
    return place(jax.tree.map(np.array, state))


def batch_sharding(mesh: Mesh, rules: Rules, batch: int, groups: int = 0) -> NamedSharding:
    """The sharding of a batch, and of its groups, along the first axis.

    Raises:
      ConfigError: If the batch or the groups do not divide evenly over the devices.
    """
    parts = math.prod(mesh.shape[axis] for axis in rules.batch)
    check(
        batch % parts == 0,
        f"A batch of {batch} does not divide over {parts} devices: make batch_size a multiple.",
    )
    check(
        groups % parts == 0,
        f"A batch with {groups} groups does not divide over {parts} devices: choose batch_size, "
        "groups and group_size such that there are a multiple of groups.",
    )
    return NamedSharding(mesh, PartitionSpec(rules.batch))


def replicated(mesh: Mesh, tree: Any) -> Any:
    """Copies arrays to every device of a mesh.

    Raises:
      DataError: If the processes of a run have different arrays.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, everywhere)
    tree = jax.tree.map(np.asarray, tree)  # `device_put` takes missing values for differences
    total = 0
    for leaf in jax.tree.leaves(tree):
        total = zlib.crc32(f"{leaf.dtype}{leaf.shape}".encode(), total)
        total = zlib.crc32(np.ascontiguousarray(leaf).data, total)
    found = multihost_utils.process_allgather(np.uint32(total))
    if (found != found[0]).any():
        raise DataError(
            "The processes of this run read different corpora: give all of them the same files."
        )
    place = lambda x: jax.make_array_from_callback(x.shape, everywhere, x.__getitem__)  # noqa: E731
    return jax.tree.map(place, tree)


def to_host(tree: Any) -> Any:
    """Gathers arrays that may be split over hosts into NumPy arrays. Every process calls it."""

    def whole(leaf: jax.Array) -> np.ndarray:
        sharding = leaf.sharding
        if not leaf.is_fully_addressable and isinstance(sharding, NamedSharding):
            everywhere = NamedSharding(sharding.mesh, PartitionSpec())
            leaf = jax.jit(lambda x: x, out_shardings=everywhere)(leaf)
            return np.asarray(leaf.addressable_data(0))
        return np.asarray(leaf)

    return jax.tree.map(whole, tree)
