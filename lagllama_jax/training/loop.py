"""The training loop: runs compiled steps, and validates and saves between them."""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import LoopConfig
from lagllama_jax.errors import TrainingError
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.optimizer import learning_rates
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import to_host
from lagllama_jax.training.signals import stop_on_signals
from lagllama_jax.training.sources import BatchSource
from lagllama_jax.training.state import TrainState
from lagllama_jax.training.step import compiled_steps, shapes_of
from lagllama_jax.training.validation import Evaluate
from lagllama_jax.training.watch import Watch
from lagllama_jax.typing import Array, Bool, Key, Parameters


class Best(NamedTuple):
    """The weights with the lowest validation loss so far.

    Attributes:
      weights: A copy of the weights.
      loss: Their validation loss.
      step: Number of optimizer steps that led to them.
      stale: Number of validations since then.
    """

    weights: Parameters
    loss: float
    step: int
    stale: int


@dataclass(frozen=True)
class Run:
    """The parts of a run that do not change while it trains.

    Attributes:
      recipe: Architecture, windows, optimizer and intervals.
      source: The source of the batches.
      watch: Receiver of the metrics.
      evaluate: Function that computes the validation loss of weights. `None`: no validation.
      checkpoints: Where the state is saved. `None`: it is not saved.
      key: Random key of the run; the random numbers of step n depend on it and on n alone. `None`:
        the key is made from the seed of the recipe.
    """

    recipe: Recipe
    source: BatchSource
    watch: Watch
    evaluate: Evaluate | None = None
    checkpoints: Checkpoints | None = None
    key: Key | None = None

    @functools.cached_property
    def run_key(self) -> Key:
        """Random key of the run."""
        return jax.random.key(self.recipe.train.seed) if self.key is None else self.key

    def advance(
        self, state: TrainState, step: int, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """Runs `count` steps that follow `step` and returns their metrics. The state is donated."""
        feed, rates = self.source.next(step, count), learning_rates(self.recipe.train, step, count)
        shapes = shapes_of((feed, rates))
        steps = compiled_steps(self.source.batch, self.recipe.program, shapes)
        state, metrics = steps(state, feed, self.run_key, rates)
        return state, {name: np.asarray(values) for name, values in metrics.items()}


class Trained(NamedTuple):
    """The result of a run."""

    state: TrainState
    best: Best | None
    stopped: Literal["finished", "patience", "signal"]

    @property
    def weights(self) -> Parameters:
        """The weights with the lowest validation loss, or the last ones without validation."""
        return self.state.weights if self.best is None else self.best.weights


def train(
    run: Run, state: TrainState, best: Best | None = None, progress: bool | None = None
) -> Trained:
    """Trains until the last step, early stopping, or a signal.

    Args:
      run: The run.
      state: State to start from, which is donated.
      best: The best weights so far, if a run is resumed.
      progress: Whether to show a progress bar. `None`: in a terminal.

    Raises:
      TrainingError: If a loss is not finite. The message names the step and the datasets of its
        batch.
      CheckpointError: If a checkpoint cannot be saved.
    """
    loop, total = run.recipe.loop, run.recipe.train.steps
    step, asked = int(state.step), None
    with stop_on_signals() as request, run.watch.bar(step, total, progress):
        run.watch.start()
        while step < total and not asked and not _exhausted(best, loop):
            # Steps: up to the next multiple of a dispatch, wherever the run began.
            count = min(loop.dispatch - step % loop.dispatch, total - step)
            state, metrics = run.advance(state, step, count)
            _check_steps(metrics["loss"], step, run)
            step += count
            row = run.watch.row(step, metrics)

            # Validation and checkpoint.
            due = step % loop.checkpoint_every == 0 or step == total
            asked = request.reached(step)
            if due and run.evaluate is not None:
                row["validation_loss"] = loss = run.evaluate(state.weights)
                best = better(best, state.weights, loss, step)
            if due or asked:
                _check_weights(state, step, run)
                _save(run, state, best)
            run.watch.write(row)
        if run.checkpoints is not None:
            run.checkpoints.wait()
    if step < total:
        return Trained(state, best, "signal" if asked else "patience")
    return Trained(state, best, "finished")


def _exhausted(best: Best | None, loop: LoopConfig) -> bool:
    return best is not None and loop.patience is not None and best.stale >= loop.patience


def better(best: Best | None, weights: Parameters, loss: float, step: int) -> Best:
    """Updates the best weights after a validation. Of equal losses, the first stays the best.

    Raises:
      TrainingError: If the validation loss is not finite.
    """
    if not np.isfinite(loss):
        raise TrainingError(
            f"The validation loss at step {step} is {loss}. Lower the learning rate, or clip "
            "gradients (clip_norm)."
        )
    if best is not None and loss >= best.loss:
        return best._replace(stale=best.stale + 1)
    return Best(jax.tree.map(jnp.copy, weights), loss, step, 0)


def _save(run: Run, state: TrainState, best: Best | None) -> None:
    """Saves a checkpoint. Only a new best one has a metric, so the first of equals is kept."""
    if run.checkpoints is None:
        return
    place = None if best is None else {"loss": best.loss, "step": best.step, "stale": best.stale}
    record = {**run.recipe.as_record(), "best": place}
    new_best = best is not None and best.step == int(state.step)
    run.checkpoints.save(state, run.run_key, record, best.loss if best and new_best else None)


def _check_steps(losses: np.ndarray, first: int, run: Run) -> None:
    """Raises `TrainingError` if the loss of a step is not finite."""
    wrong = np.flatnonzero(~np.isfinite(losses))
    if not wrong.size:
        return
    step = first + int(wrong[0])
    remedy = "Lower the learning rate, clip gradients (clip_norm), or look at these data."
    raise TrainingError(
        f"The loss of step {step} is {losses[wrong[0]]}; its batch was drawn from "
        f"{', '.join(run.source.datasets(run.run_key, step))}. {remedy}{_kept(run)}"
    )


def _check_weights(state: TrainState, step: int, run: Run) -> None:
    """Raises `TrainingError` if weights are not finite, so that they are neither saved nor used."""
    if not to_host(all_finite(state.weights)):
        raise TrainingError(
            f"The weights after step {step} are not finite: lower the learning rate, or clip "
            f"gradients (clip_norm).{_kept(run)}"
        )


@jax.jit
def all_finite(weights: Parameters) -> Bool[Array, ""]:
    """Whether all weights are numbers."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(weights)]).all()


def _kept(run: Run) -> str:
    """The last checkpoint, in a sentence."""
    if run.checkpoints is None:
        return ""
    run.checkpoints.wait()
    kept = run.checkpoints.latest
    return "" if kept is None else f" The checkpoint of step {kept} is whole."
