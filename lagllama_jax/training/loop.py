"""The training loop: dispatches of steps, and what happens between them."""

import functools
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import LoopConfig
from lagllama_jax.errors import TrainingError
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.signals import stop_on_signals
from lagllama_jax.training.sources import BatchSource
from lagllama_jax.training.state import TrainState
from lagllama_jax.training.step import make_steps
from lagllama_jax.training.validation import Evaluate
from lagllama_jax.training.watch import Watch
from lagllama_jax.typing import Key, Parameters


class Best(NamedTuple):
    """The weights with the lowest validation loss so far.

    Attributes:
      weights: copies of them.
      loss: their validation loss.
      step: when it was taken.
      stale: validations since.
    """

    weights: Parameters
    loss: float
    step: int
    stale: int


@dataclass(frozen=True)
class Run:
    """What stays the same during a run.

    Attributes:
      recipe: Architecture, optimizer, intervals and patience.
      source: Where batches come from.
      watch: Takes the metrics.
      evaluate: Gives the validation loss of weights; `None`: no validation.
      checkpoints: Where to save; `None`: nowhere.
      key: Of every random number; `None`: from the recipe's seed. Step n's numbers come from it
        and n alone.
    """

    recipe: Recipe
    source: BatchSource
    watch: Watch
    evaluate: Evaluate | None = None
    checkpoints: Checkpoints | None = None
    key: Key | None = None

    @functools.cached_property
    def run_key(self) -> Key:
        """The key of every random number."""
        return jax.random.key(self.recipe.train.seed) if self.key is None else self.key

    @functools.cached_property
    def _compiled(self) -> dict[int, Any]:
        return {}

    def advance(
        self, state: TrainState, step: int, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """`count` steps after `step`; the state is donated. Metrics of each, when they are done."""
        if count not in self._compiled:
            steps = make_steps(self.source.batch, self.recipe.model, self.recipe.train, count)
            self._compiled[count] = jax.jit(steps, donate_argnums=0)
        feed = self.source.next(step, count)
        state, metrics = self._compiled[count](state, feed, self.run_key)
        return state, {name: np.asarray(values) for name, values in metrics.items()}


class Trained(NamedTuple):
    """What a run leaves."""

    state: TrainState
    best: Best | None
    stopped: Literal["finished", "patience", "signal"]

    @property
    def weights(self) -> Parameters:
        """The best weights by validation, or the last where nothing was validated."""
        return self.state.weights if self.best is None else self.best.weights


def train(
    run: Run, state: TrainState, best: Best | None = None, progress: bool | None = None
) -> Trained:
    """Runs steps until the last, early stopping, or a signal.

    Args:
      run: what stays the same.
      state: from which to go on; it is donated.
      best: of the run that is resumed.
      progress: `True` or `False` for a bar or none; `None`: a bar in a terminal.

    Raises:
      TrainingError: a loss that is not finite; names step and data sets.
      CheckpointError: a checkpoint could not be saved.
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
    """The best so far, with one more validation counted.

    Raises:
      TrainingError: a validation loss that is not finite.
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
    """Saves; only a new best has a metric, so that of equal losses the first is kept."""
    if run.checkpoints is None:
        return
    place = None if best is None else {"loss": best.loss, "step": best.step, "stale": best.stale}
    record = {**run.recipe.as_record(), "best": place}
    new_best = best is not None and best.step == int(state.step)
    run.checkpoints.save(state, run.run_key, record, best.loss if best and new_best else None)


def _check_steps(losses: np.ndarray, first: int, run: Run) -> None:
    """Raises `TrainingError` unless every step's loss is finite."""
    wrong = np.flatnonzero(~np.isfinite(losses))
    if not wrong.size:
        return
    step = first + int(wrong[0])
    if run.checkpoints is not None:
        run.checkpoints.wait()
    kept = None if run.checkpoints is None else run.checkpoints.latest
    remedy = "Lower the learning rate, clip gradients (clip_norm), or look at these data."
    where = "" if kept is None else f" The checkpoint of step {kept} is whole."
    raise TrainingError(
        f"The loss of step {step} is {losses[wrong[0]]}; its batch was drawn from "
        f"{', '.join(run.source.datasets(run.run_key, step))}. {remedy}{where}"
    )
