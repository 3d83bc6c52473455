"""`Recipe`: everything that decides what a training computes."""

import json
from dataclasses import dataclass, field
from typing import Any

from lagllama_jax.config import DataConfig, LoopConfig, ModelConfig, TrainConfig


@dataclass(frozen=True)
class Recipe:
    """Architecture, windows, optimizer and intervals of a training."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def as_record(self) -> dict[str, Any]:
        """As JSON, for checkpoints. The intervals do not change what is computed."""
        parts = {"model": self.model, "data": self.data, "train": self.train}
        return {name: json.loads(part.to_json()) for name, part in parts.items()}
