"""The training loop: dispatches of steps, and what happens between them."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import Serialisable, check, check_positive
from lagllama_jax.errors import TrainingError
from lagllama_jax.training.checkpoints import Checkpoints
from lagllama_jax.training.signals import stop_on_signals
from lagllama_jax.training.state import TrainState
from lagllama_jax.training.validation import Evaluate
from lagllama_jax.training.watch import Watch
from lagllama_jax.typing import Key, Parameters


@dataclass(frozen=True)
class LoopConfig(Serialisable):
    """How a run is watched, kept and stopped.

    Attributes:
      dispatch: steps that go to the device at once; one row of metrics each. A run stops on a
        signal between two dispatches.
      checkpoint_every: steps from one validation and checkpoint to the next.
      keep: how many of the last checkpoints stay on disk; the best stays as well.
      patience: validations without a new best after which the run stops; `None`: never.
      validation_windows: at most so many windows validate.
    """

    dispatch: int = 20
    checkpoint_every: int = 1000
    keep: int = 2
    patience: int | None = None
    validation_windows: int = 2048

    def __post_init__(self) -> None:
        check_positive(self, "dispatch", "checkpoint_every", "keep", "validation_windows")
        if self.patience is not None:
            check_positive(self, "patience")
        check(
            self.checkpoint_every % self.dispatch == 0,
            f"checkpoint_every={self.checkpoint_every} must be a multiple of "
            f"dispatch={self.dispatch}.",
        )


@runtime_checkable
class InputPath(Protocol):
    """Where windows come from: `device_path.DevicePath` or `host_path.HostPath`."""

    def advance(
        self, state: TrainState, key: Key, count: int
    ) -> tuple[TrainState, dict[str, np.ndarray]]:
        """`count` steps, the state donated; the metrics of each."""

    def datasets(self, key: Key, step: int) -> list[str]:
        """Names of the data sets that a step drew from."""


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
      key: of every random number: step n's come from it and n alone.
      path: where windows come from.
      total: number of the last step.
      loop: intervals and patience.
      watch: takes the metrics.
      evaluate: validation loss of weights; `None`: no validation.
      checkpoints: where to save; `None`: nowhere.
      record: saved with every checkpoint.
    """

    key: Key
    path: InputPath
    total: int
    loop: LoopConfig
    watch: Watch
    evaluate: Evaluate | None = None
    checkpoints: Checkpoints | None = None
    record: dict[str, Any] = field(default_factory=dict)


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
    step, loop, asked = int(state.step), run.loop, None
    with stop_on_signals() as request, run.watch.bar(step, run.total, progress):
        run.watch.start()
        while step < run.total and not asked and not _exhausted(best, loop):
            # Steps: up to the next multiple of a dispatch, wherever the run began.
            count = min(loop.dispatch - step % loop.dispatch, run.total - step)
            state, metrics = run.path.advance(state, run.key, count)
            _check_steps(metrics["loss"], step, run)
            step += count
            row = run.watch.row(step, metrics)

            # Validation and checkpoint.
            due = step % loop.checkpoint_every == 0 or step == run.total
            asked = request.reached(step)
            if due and run.evaluate is not None:
                row["validation_loss"] = loss = run.evaluate(state.weights)
                best = better(best, state.weights, loss, step)
            if due or asked:
                _save(run, state, best, row["validation_loss"])
            run.watch.write(row)
        if run.checkpoints is not None:
            run.checkpoints.wait()
    if step < run.total:
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


def _save(run: Run, state: TrainState, best: Best | None, loss: float | None) -> None:
    if run.checkpoints is not None:
        place = (
            None if best is None else {"loss": best.loss, "step": best.step, "stale": best.stale}
        )
        run.checkpoints.save(state, run.key, {**run.record, "best": place}, loss)


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
        f"{', '.join(run.path.datasets(run.key, step))}. {remedy}{where}"
    )
