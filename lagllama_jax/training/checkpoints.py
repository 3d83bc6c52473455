"""Checkpoints of a run: the last ones and the best by validation, written beside the training.

A checkpoint holds parameters, optimizer, moving average, step, random key, and a record of the
run. It lies in `FOLDER/STEP` and appears there when it is whole: a process that is killed while
it saves leaves the ones before.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from lagllama_jax.errors import CheckpointError
from lagllama_jax.training.state import TrainState
from lagllama_jax.typing import Key

METRIC = "validation_loss"


class Restored(NamedTuple):
    """What a checkpoint holds."""

    state: TrainState
    key: Key
    record: dict[str, Any]


class Checkpoints:
    """The checkpoints in one folder. With several processes, every one calls every method."""

    def __init__(self, folder: Path, keep: int = 2, read_only: bool = False):
        """Opens a folder, making it if it is not there, and clears what a killed save left.

        Args:
          folder: for the checkpoints alone.
          keep: how many of the last ones stay; the best stays as well.
          read_only: leave the folder, which must be there, as it is.

        Raises:
          CheckpointError: the folder cannot be made or read.
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
            self.folder.mkdir(parents=True, exist_ok=True)
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
        """Step of the last whole checkpoint."""
        last = self._checkpointer.latest
        return None if last is None else last.step

    def save(
        self,
        state: TrainState,
        key: Key,
        record: dict[str, Any],
        validation_loss: float | None = None,
    ) -> None:
        """Saves in the background; the arrays may be donated right after.

        Args:
          state: of the run.
          key: from which its random numbers come.
          record: what else a resumed run needs, as JSON.
          validation_loss: by which the best is told.

        Raises:
          CheckpointError: this save cannot begin, or the one before it failed: a full disk, say.
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
        """Returns when everything is on disk.

        Raises:
          CheckpointError: the save failed.
        """
        try:
            self._checkpointer.wait()
        except Exception as error:
            raise self._unsaved(error) from error

    def restore(self, step: int, like: TrainState, key: Key) -> Restored:
        """Reads a checkpoint onto the devices and shardings of `like`, whatever wrote it.

        Raises:
          CheckpointError: it is damaged, or holds other arrays than `like`.
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
        """The record that was saved with a step."""
        return dict(self._checkpointer.checkpointables_metadata(step).custom_metadata or {})

    def _unsaved(self, error: Exception) -> CheckpointError:
        kept = "none yet" if self.latest is None else f"step {self.latest}"
        return CheckpointError(
            f"{self.folder}: a checkpoint could not be saved ({_first_line(error)}). "
            f"The last whole one: {kept}."
        )


def _on_host(key: Key) -> np.ndarray:
    """A key's numbers, the same on every process: no process could save another's array."""
    return np.asarray(jax.random.key_data(key))


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0][:200]
