"""`Recipe`: the configurations of a training run."""

import json
from dataclasses import dataclass, field
from typing import Any

from lagllama_jax.config import DataConfig, LoopConfig, ModelConfig, TrainConfig


@dataclass(frozen=True)
class Recipe:
    """The configurations of a training run.

    Attributes:
      model: The architecture.
      data: The training windows.
      train: The optimizer.
      loop: The intervals of metrics, validation and checkpoints.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    @property
    def program(self) -> "Recipe":
        """The recipe with defaults for what a compiled step does not depend on.

        The random key and the learning rates are arguments of a step. So runs of one architecture
        that differ only in their seed, schedule or length compile their steps once.
        """
        return Recipe(self.model, self.data, program_of(self.train))

    def as_record(self) -> dict[str, Any]:
        """The fields as JSON types, for checkpoints; without `loop`, which changes no step."""
        parts = {"model": self.model, "data": self.data, "train": self.train}
        return {name: json.loads(part.to_json()) for name, part in parts.items()}


def program_of(train: TrainConfig) -> TrainConfig:
    """The optimizer's configuration with defaults for what a compiled step does not depend on."""
    default = TrainConfig()
    given = ("steps", "learning_rate", "schedule", "decay_steps", "warmup_steps")
    names = (*given, "residual_gain", "seed")
    return train.replace(**{name: getattr(default, name) for name in names})
