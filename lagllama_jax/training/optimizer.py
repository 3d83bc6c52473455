"""The optimizer: clipping, Adam(W), its learning rate, and which weights it moves."""

import jax
import optax

from lagllama_jax.config import TrainConfig, check
from lagllama_jax.typing import Parameters


def learning_rate(train: TrainConfig) -> optax.Schedule:
    """Linear warm-up to the peak, then constant, or along a cosine to a hundredth of it."""
    peak = train.learning_rate
    if train.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(
            0.0, peak, train.warmup_steps, train.steps, end_value=peak / 100
        )
    return optax.linear_schedule(0.0 if train.warmup_steps else peak, peak, train.warmup_steps)


def make_optimizer(train: TrainConfig) -> optax.GradientTransformation:
    """Clipping, then Adam(W) with warm-up and a constant or cosine rate; matrices alone decay."""
    adam = optax.adamw(
        learning_rate(train), b2=train.b2, weight_decay=train.weight_decay, mask=matrices
    )
    if train.clip_norm is not None:
        adam = optax.chain(optax.clip_by_global_norm(train.clip_norm), adam)
    if not train.freeze:
        return adam
    still = optax.set_to_zero()
    return optax.multi_transform(
        {"moving": adam, "frozen": still}, lambda tree: frozen(tree, train.freeze)
    )


def matrices(parameters: Parameters) -> Parameters:
    """Which weights decay: those of more than one axis."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, parameters)


def frozen(parameters: Parameters, freeze: tuple[str, ...]) -> Parameters:
    """`frozen` or `moving` for each weight.

    Args:
      parameters: the model's.
      freeze: beginnings of names such as `embedding`, `block_0` or `block_1/mlp`.

    Raises:
      ConfigError: a name that no weight has.
    """

    def name(path: tuple[jax.tree_util.DictKey, ...]) -> str:
        return "/".join(str(entry.key) for entry in path) + "/"

    names = [name(path) for path, _ in jax.tree_util.tree_leaves_with_path(parameters)]
    for part in freeze:
        check(
            any(full.startswith(f"{part}/") for full in names),
            f"freeze={part!r} is no part of the model. Its parts: {', '.join(parameters)}.",
        )
    prefixes = tuple(f"{part}/" for part in freeze)
    return jax.tree_util.tree_map_with_path(
        lambda path, _: "frozen" if name(path).startswith(prefixes) else "moving", parameters
    )
