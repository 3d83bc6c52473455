"""The configuration of the optimizer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lagllama_jax.config.base import Config, Count, Decay, Interval, Positive, Seed, Share, check

Whole = Annotated[int, Interval(least=0)]


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a model is trained. The defaults are those of the published pre-training.

    Attributes:
      steps: Number of optimizer steps.
      batch_size: Number of windows per step.
      learning_rate: Peak learning rate.
      optimizer: `adam`, or `muon`: orthogonalised momentum for the matrices of the blocks and Adam
        for the rest (https://kellerjordan.github.io/posts/muon), which needs fewer steps for the
        same loss.
      schedule: Schedule of the learning rate after the warm-up. `constant`: no decay. `cosine`:
        decay to a hundredth of the peak. `trapezoid`: constant, then linear decay to 0 over the
        last `decay_steps`. A run can be continued from a checkpoint before this decay.
      decay_steps: Number of steps of the decay of the schedule `trapezoid`.
      warmup_steps: Number of steps of the linear warm-up.
      weight_decay: Weight decay of AdamW, which is applied to matrices only. 0: plain Adam.
      b2: Decay of Adam's second moment.
      clip_norm: Largest norm of the gradient. `None`: no clipping.
      accumulate: Number of batches whose gradients are averaged per update.
      ema_decay: Decay of the moving average of the weights, which is validated and saved. 0: no
        average.
      max_scaled: Largest absolute standardised target that counts in the loss. `None`: no limit.
      one_pass_share: Weight of the one-pass loss in the objective, if the model forecasts in one
        pass. The rest is the weight of the loss of predicting each next point.
      freeze: Parts of the model that are not trained, such as `embedding`, `block_0/mlp` or
        `block_*/mlp`.
      dtype: Data type of the computation. Parameters are float32 in any case.
      remat: Whether to recompute activations in the backward pass, which saves memory.
      residual_gain: Factor of the initial weights that write to the residual stream. 1 is the
        published value.
      seed: Random seed of the initial weights, the windows and the dropout.
    """

    steps: Count = 128_000
    batch_size: Count = 256
    learning_rate: Positive = 1e-4
    optimizer: Literal["adam", "muon"] = "adam"
    schedule: Literal["constant", "cosine", "trapezoid"] = "constant"
    decay_steps: Whole = 0
    warmup_steps: Whole = 0
    weight_decay: Annotated[float, Interval(least=0)] = 0.0
    b2: Decay = 0.999
    clip_norm: Positive | None = None
    accumulate: Count = 1
    ema_decay: Decay = 0.0
    max_scaled: Positive | None = None
    one_pass_share: Share = 0.5
    freeze: tuple[str, ...] = ()
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    residual_gain: Positive = 1.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.warmup_steps + self.decay_steps <= self.steps
        check(
            self.schedule != "trapezoid" or (self.decay_steps > 0 and fits),
            f"decay_steps={self.decay_steps} must be above 0 and, with the warm-up, within steps.",
        )
        check(
            self.schedule != "cosine" or self.warmup_steps < self.steps,
            f"warmup_steps={self.warmup_steps} must be fewer than steps={self.steps}.",
        )
