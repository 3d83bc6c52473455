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

    def as_record(self) -> dict[str, Any]:
        """The fields as JSON types, for checkpoints; without `loop`, which changes no step."""
        parts = {"model": self.model, "data": self.data, "train": self.train}
        return {name: json.loads(part.to_json()) for name, part in parts.items()}
