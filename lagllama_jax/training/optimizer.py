"""The optimizer: Adam(W) or Muon, with gradient clipping, a schedule and frozen weights."""

from fnmatch import fnmatchcase

import jax
import numpy as np
import optax
import optax.contrib

from lagllama_jax.config import TrainConfig
from lagllama_jax.config.base import check
from lagllama_jax.typing import Array, Float, Parameters


def learning_rate(train: TrainConfig) -> optax.Schedule:
    """The learning rate: a linear warm-up to the peak, then the schedule `train.schedule`."""
    peak = train.learning_rate
    if train.schedule == "trapezoid":
        falls = optax.linear_schedule(peak, 0.0, train.decay_steps)
        rises = optax.linear_schedule(peak / (train.warmup_steps + 1), peak, train.warmup_steps)
        return optax.join_schedules([rises, falls], [train.steps - train.decay_steps])
    if train.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            0.0, peak, train.warmup_steps, train.steps, end_value=peak / 100
        )
    return optax.linear_schedule(0.0 if train.warmup_steps else peak, peak, train.warmup_steps)


def learning_rates(train: TrainConfig, first: int, count: int) -> Float[np.ndarray, "n"]:
    """The learning rates of `count` steps from the step `first` on."""
    rates = learning_rate(train)(np.arange(first, first + count, dtype=np.int32))
    return np.array(np.broadcast_to(rates, count), np.float32)


def make_optimizer(
    train: TrainConfig, rate: Float[Array, ""] | float = 0.0
) -> optax.GradientTransformation:
    """Gradient clipping, then Adam(W) or Muon. Weight decay is applied to matrices only.

    Args:
      train: The optimizer and its options.
      rate: Learning rate of the next step. The state does not depend on it.
    """
    moving = muon(train, rate) if train.optimizer == "muon" else adam(train, rate)
    if train.clip_norm is not None:
        moving = optax.chain(optax.clip_by_global_norm(train.clip_norm), moving)
    if not train.freeze:
        return moving
    still = optax.set_to_zero()
    return optax.multi_transform(
        {"moving": moving, "frozen": still}, lambda tree: frozen(tree, train.freeze)
    )


def adam(train: TrainConfig, rate: Float[Array, ""] | float) -> optax.GradientTransformation:
    """Adam with decoupled weight decay (arXiv 1711.05101)."""
    return optax.adamw(lambda _: rate, b2=train.b2, weight_decay=train.weight_decay, mask=matrices)


def muon(train: TrainConfig, rate: Float[Array, ""] | float) -> optax.GradientTransformation:
    """Muon for the matrices of the blocks, with updates as large as Adam's (arXiv 2502.16982)."""

    def of_blocks(parameters: Parameters) -> Parameters:
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: (
                optax.contrib.MuonDimensionNumbers()
                if str(path[0].key).startswith("block_") and leaf.ndim == 2
                else None
            ),
            parameters,
        )

    return optax.contrib.muon(
        lambda _: rate,
        weight_decay=train.weight_decay,
        adam_b2=train.b2,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=of_blocks,
    )


def matrices(parameters: Parameters) -> Parameters:
    """Which weights are decayed: those with more than one axis."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, parameters)


def frozen(parameters: Parameters, freeze: tuple[str, ...]) -> Parameters:
    """Labels each weight as `frozen` or `moving`.

    Args:
      parameters: Parameters of the model.
      freeze: Parts to freeze, such as `embedding`, `block_0`, `block_1/mlp` or `block_*/mlp`.

    Raises:
      ConfigError: If the model has no such part.

    >>> frozen({"head": {"loc": 0}, "block_0": {"mlp": 0, "attention": 0}}, ("block_*/mlp",))
    {'block_0': {'attention': 'moving', 'mlp': 'frozen'}, 'head': {'loc': 'moving'}}
    """

    def within(path: tuple[jax.tree_util.DictKey, ...], part: str) -> bool:
        names, wanted = [str(entry.key) for entry in path], part.split("/")
        return len(wanted) <= len(names) and all(map(fnmatchcase, names, wanted))

    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(parameters)]
    for part in freeze:
        check(
            any(within(path, part) for path in paths),
            f"freeze={part!r} is no part of the model. Its parts: {', '.join(parameters)}.",
        )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "frozen" if any(within(path, part) for part in freeze) else "moving",
        parameters,
    )
