"""The training state."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lagllama_jax.config import TrainConfig
from lagllama_jax.training.optimizer import make_optimizer
from lagllama_jax.typing import Array, Float, Int, Parameters


class TrainState(NamedTuple):
    """Everything that an optimizer step changes.

    Attributes:
      step: Number of steps done.
      parameters: The weights.
      optimizer: State of the optimizer.
      ema: Moving average of the weights. `None`: there is none.
    """

    step: Int[Array, ""]
    parameters: Parameters
    optimizer: Any
    ema: Parameters

    @property
    def weights(self) -> Parameters:
        """The weights to validate and save: the moving average if there is one."""
        return self.parameters if self.ema is None else self.ema


def init_state(parameters: Parameters, train: TrainConfig) -> TrainState:
    """The state before the first step."""
    optimizer = make_optimizer(train).init(parameters)
    ema = parameters if train.ema_decay > 0 else None
    return TrainState(jnp.int32(0), parameters, optimizer, ema)


def apply_gradients(
    state: TrainState, grads: Parameters, train: TrainConfig, rate: Float[Array, ""] | float
) -> TrainState:
    """Applies one optimizer step, and updates the moving average, which adapts faster at first.

    Args:
      state: State before the step.
      grads: Gradient of the loss.
      train: The optimizer and its options.
      rate: Learning rate of the step.
    """
    optimizer = make_optimizer(train, rate)
    updates, moments = optimizer.update(grads, state.optimizer, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    ema = state.ema
    if ema is not None:
        decay = jnp.minimum(train.ema_decay, (1 + state.step) / (10 + state.step))
        ema = jax.tree.map(lambda old, new: old + (1 - decay) * (new - old), ema, parameters)
    return TrainState(state.step + 1, parameters, moments, ema)
