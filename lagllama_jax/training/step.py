"""One training step, pure: windows to loss to gradients to new weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lagllama_jax.config import DataConfig, ModelConfig, TrainConfig
from lagllama_jax.data.augmentations.mixing import flip, mixup
from lagllama_jax.data.synthetic import synthetic_windows
from lagllama_jax.data.windows import CorpusArrays, Windows, draw, gather
from lagllama_jax.model.lag_llama import bind_head
from lagllama_jax.model.scalers import Scale, fit_scale
from lagllama_jax.model.tokens import tokens
from lagllama_jax.model.transformer import Transformer
from lagllama_jax.typing import Array, Bool, Float, Int, Key, Parameters


class TrainState(NamedTuple):
    """Everything that a step changes."""

    step: Int[Array, ""]
    parameters: Parameters
    optimizer: Any
    ema: Parameters

    @property
    def weights(self) -> Parameters:
        """What is validated and saved: the moving average."""
        return self.ema


class PointLosses(NamedTuple):
    """The loss of every target of a batch, and which targets count.

    Attributes:
      values: in the series' units as in the reference.
      weight: observed, of a series with an observed past, and not beyond `max_scaled`.
      scale: loc and scale of each series.
    """

    values: Float[Array, "B T"]
    weight: Bool[Array, "B T"]
    scale: Scale


def point_losses(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    windows: Windows,
    key: Key | None,
    fused: bool = False,
) -> PointLosses:
    """Losses of points 1 to C + P - 1 of each window, each predicted from the point before it.

    Loc and scale are fit on the points before the forecast's start (specification, section 4).

    Args:
      parameters: the model's.
      model: its architecture.
      train: dtype, and which targets count.
      windows: the batch.
      key: for dropout and random levels; `None`: evaluation.
      fused: cuDNN's attention.
    """
    length = windows.values.shape[1]
    in_past = jnp.arange(length)[None, :] < windows.past[:, None]
    scale = fit_scale(windows.values, windows.observed & in_past, model.scaling, model.safe_scaling)
    features = tokens(
        model,
        windows.values[:, :-1],
        windows.observed[:, :-1],
        scale,
        windows.time_features[:, :-1],
    )
    network = Transformer(model, dtype=jnp.dtype(train.dtype), fused=fused, remat=train.remat)
    drop_key, head_key = (None, None) if key is None else jax.random.split(key)
    hidden, _ = network.apply(
        {"params": parameters},
        features,
        deterministic=key is None,
        rngs=None if drop_key is None else {"dropout": drop_key},
    )
    count = features.shape[1]
    target = windows.values[:, -count:]
    weight = windows.observed[:, -count:] & (windows.observed & in_past).any(1, keepdims=True)
    if train.max_scaled is not None:
        weight &= jnp.abs(scale.standardise(target)) <= train.max_scaled
    head = bind_head(model, parameters)
    losses = head.loss(
        hidden.astype(jnp.float32), jnp.where(weight, target, scale.loc), *scale, head_key
    )
    return PointLosses(losses, weight, scale)


def targets_loss(
    parameters: Parameters,
    model: ModelConfig,
    train: TrainConfig,
    windows: Windows,
    key: Key | None,
    fused: bool = False,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of `point_losses` over the targets that count (arguments as there).

    Returns:
      The loss, and metrics: `loss` likewise and `scaled_loss`, which leaves out the series' scale.
    """
    losses, weight, scale = point_losses(parameters, model, train, windows, key, fused)
    total = jnp.maximum(weight.sum(), 1)
    loss = jnp.sum(jnp.where(weight, losses, 0)) / total
    log_scale = jnp.sum(jnp.where(weight, jnp.log(scale.scale), 0)) / total
    return loss, {"loss": loss, "scaled_loss": loss - log_scale}


def make_optimizer(train: TrainConfig) -> optax.GradientTransformation:
    """Clipping, then Adam(W) with warm-up and a constant or cosine rate; matrices alone decay."""
    peak = train.learning_rate
    if train.schedule == "cosine":
        rate = optax.warmup_cosine_decay_schedule(
            0.0, peak, train.warmup_steps, train.steps, end_value=peak / 100
        )
    else:
        rate = optax.linear_schedule(0.0 if train.warmup_steps else peak, peak, train.warmup_steps)
    matrices = lambda tree: jax.tree.map(lambda leaf: leaf.ndim > 1, tree)  # noqa: E731
    adam = optax.adamw(rate, b2=train.b2, weight_decay=train.weight_decay, mask=matrices)
    if train.clip_norm is None:
        return adam
    return optax.chain(optax.clip_by_global_norm(train.clip_norm), adam)


def init_state(parameters: Parameters, train: TrainConfig) -> TrainState:
    """The state before the first step."""
    optimizer = make_optimizer(train).init(parameters)
    return TrainState(jnp.int32(0), parameters, optimizer, parameters)


def sample_windows(
    corpus: CorpusArrays,
    key: Key,
    batch: int,
    model: ModelConfig,
    data: DataConfig,
    num_datasets: int,
) -> Windows:
    """A batch drawn on the device: real windows, then made-up ones."""
    made_up = round(batch * data.synthetic)
    real_key, synthetic_key, flip_key, mix_key = jax.random.split(key, 4)
    parts = []
    if batch > made_up:
        draws = draw(real_key, corpus, batch - made_up, model, data)
        real = gather(corpus, draws, model, data)
        parts.append(flip(flip_key, mixup(mix_key, real, data.mixup), data.flip))
    if made_up:
        parts.append(synthetic_windows(synthetic_key, made_up, model, data, num_datasets))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def update(
    state: TrainState,
    windows: Windows,
    key: Key,
    model: ModelConfig,
    train: TrainConfig,
    fused: bool = False,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One optimizer step on one batch."""
    gradient = jax.grad(targets_loss, has_aux=True)
    grads, metrics = gradient(state.parameters, model, train, windows, key, fused)
    updates, optimizer = make_optimizer(train).update(grads, state.optimizer, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    decay = jnp.minimum(train.ema_decay, (1 + state.step) / (10 + state.step))
    ema = jax.tree.map(lambda old, new: old + (1 - decay) * (new - old), state.ema, parameters)
    ema = parameters if train.ema_decay == 0 else ema
    metrics |= {"gradient_norm": optax.tree.norm(grads)}
    return TrainState(state.step + 1, parameters, optimizer, ema), metrics


def step_keys(key: Key, step: Int[Array, ""] | int) -> tuple[Key, Key]:
    """The keys of one step: of its windows, and of dropout and random levels."""
    window_key, step_key = jax.random.split(jax.random.fold_in(key, step))
    return window_key, step_key


def make_steps(
    model: ModelConfig,
    data: DataConfig,
    train: TrainConfig,
    num_datasets: int,
    count: int,
    fused: bool = False,
    place: Callable[[Windows], Windows] = lambda windows: windows,
) -> Callable[[TrainState, CorpusArrays, Key], tuple[TrainState, dict[str, Float[Array, "n"]]]]:
    """`count` steps in one call, windows drawn on the device; step n's draws come from n alone.

    `place` may split a batch over a mesh.
    """

    def step(state: TrainState, corpus: CorpusArrays, key: Key) -> Any:
        window_key, step_key = step_keys(key, state.step)
        windows = sample_windows(corpus, window_key, train.batch_size, model, data, num_datasets)
        return update(state, place(windows), step_key, model, train, fused)

    def steps(state: TrainState, corpus: CorpusArrays, key: Key) -> Any:
        return jax.lax.scan(lambda s, _: step(s, corpus, key), state, length=count)

    return steps
