"""The configuration of the training loop."""

from dataclasses import dataclass

from lagllama_jax.config.base import Config, Count, check


@dataclass(frozen=True)
class LoopConfig(Config):
    """When a training run is logged, validated, saved and stopped.

    Attributes:
      dispatch: Number of steps per call of the compiled program, and per row of metrics. A signal
        stops the run between two calls.
      checkpoint_every: Number of steps between two validations, each with a checkpoint.
      keep: Number of latest checkpoints to keep, besides the best one.
      patience: Number of validations without improvement after which the run stops. `None`: the
        run does not stop early.
      validation_windows: Largest number of validation windows.
    """

    dispatch: Count = 20
    checkpoint_every: Count = 1000
    keep: Count = 2
    patience: Count | None = None
    validation_windows: Count = 2048

    def __post_init__(self) -> None:
        super().__post_init__()
        check(
            self.checkpoint_every % self.dispatch == 0,
            f"checkpoint_every={self.checkpoint_every} must be a multiple of "
            f"dispatch={self.dispatch}.",
        )
