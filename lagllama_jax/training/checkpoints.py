"""Checkpoints of a run: the latest ones and the best one by validation loss.

A checkpoint is written in the background while training continues. It contains the parameters, the
optimizer state, the moving average, the step, the random key and a record of the run. The folder
`FOLDER/STEP` appears only when the checkpoint is complete, so that a process that is killed while
it saves leaves the earlier checkpoints intact.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from lagllama_jax.errors import CheckpointError
from lagllama_jax.files import make_folder
from lagllama_jax.training.state import TrainState
from lagllama_jax.typing import Key

METRIC = "validation_loss"


class Restored(NamedTuple):
    """The contents of a checkpoint."""

    state: TrainState
    key: Key
    record: dict[str, Any]


class Checkpoints:
    """The checkpoints in one folder. In a run of several processes, each calls every method."""

    def __init__(self, folder: Path, keep: int = 2, read_only: bool = False):
        """Opens a folder. Creates it if needed, and removes the remains of interrupted saves.

        Args:
          folder: Folder that contains nothing but checkpoints.
          keep: Number of latest checkpoints to keep, besides the best one.
          read_only: Whether to leave the folder unchanged; then it must exist.

        Raises:
          CheckpointError: If the folder cannot be created or read.
        """
        if read_only and not Path(folder).is_dir():
            raise CheckpointError(f"{folder}: there is no such folder of checkpoints.")
        policies = ocp.training.preservation_policies
        best = policies.BestN(
            get_metric_fn=lambda metrics: metrics[METRIC],
            reverse=True,
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        self.folder = Path(folder).absolute()
        try:
            make_folder(self.folder)
            self._checkpointer = ocp.training.Checkpointer(
                self.folder,
                preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),
                cleanup_tmp_directories=not read_only,
            )
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.folder}: cannot hold checkpoints ({error}).") from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self._checkpointer.close()
        except Exception as error:
            if kind is None:
                raise self._unsaved(error) from error

    @property
    def latest(self) -> int | None:
        """Step of the latest complete checkpoint; `None` if there is none."""
        last = self._checkpointer.latest
        return None if last is None else last.step

    def save(
        self,
        state: TrainState,
        key: Key,
        record: dict[str, Any],
        validation_loss: float | None = None,
    ) -> None:
        """Saves in the background. The arrays may be donated as soon as this returns.

        Args:
          state: State of the run.
          key: Random key of the run.
          record: Further information for a resumed run, in the types of JSON.
          validation_loss: Loss by which the best checkpoint is chosen. `None`: this one is not a
            candidate.

        Raises:
          CheckpointError: If this save cannot start or the previous one failed, for example
            because the disk is full.
        """
        tree = {**jax.tree.map(jnp.copy, state._asdict()), "key": _on_host(key)}
        try:
            self._checkpointer.save_checkpointables_async(
                int(state.step),
                {"state": tree},
                force=True,
                overwrite=int(state.step) == self.latest,
                metrics=None if validation_loss is None else {METRIC: validation_loss},
                custom_metadata=record,
            )
        except Exception as error:
            raise self._unsaved(error) from error

    def wait(self) -> None:
        """Waits until everything is on disk.

        Raises:
          CheckpointError: If the save failed.
        """
        try:
            self._checkpointer.wait()
        except Exception as error:
            raise self._unsaved(error) from error

    def restore(self, step: int, like: TrainState, key: Key) -> Restored:
        """Reads a checkpoint, wherever it was written, into arrays with the shardings of `like`.

        Args:
          step: Step of the checkpoint.
          like: A state of the same architecture and optimizer.
          key: A random key of the same kind.

        Raises:
          CheckpointError: If it is damaged, or its arrays are not those of `like`.
        """
        wanted = {**jax.tree.map(_abstract, like._asdict()), "key": _on_host(key)}
        try:
            found = self._checkpointer.load_checkpointables(step, {"state": wanted})["state"]
            record = self.record(step)
        except Exception as error:
            raise CheckpointError(
                f"{self.folder / str(step)}: damaged, or of another architecture or optimizer. "
                f"Remove it to go on from the one before it. ({_first_line(error)})"
            ) from error
        restored = like._replace(**{name: found[name] for name in like._fields})
        return Restored(restored, jax.random.wrap_key_data(jnp.asarray(found["key"])), record)

    def record(self, step: int) -> dict[str, Any]:
        """The record that was saved with the checkpoint of a step."""
        return dict(self._checkpointer.checkpointables_metadata(step).custom_metadata or {})

    def _unsaved(self, error: Exception) -> CheckpointError:
        kept = "none yet" if self.latest is None else f"step {self.latest}"
        return CheckpointError(
            f"{self.folder}: a checkpoint could not be saved ({_first_line(error)}). "
            f"The last whole one: {kept}."
        )


def _on_host(key: Key) -> np.ndarray:
    """The numbers of a key as a NumPy array, which every process holds and can save."""
    return np.asarray(jax.random.key_data(key))


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:200]
