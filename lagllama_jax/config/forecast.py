"""The configuration of a forecast."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lagllama_jax.config.base import Aggregation, Config, Count, Interval, Length, Seed, check


@dataclass(frozen=True)
class ForecastConfig(Config):
    """How a forecast is drawn.

    Attributes:
      num_samples: Number of sample paths per series.
      context_length: Number of past steps that the model attends to. `None`: as in training. A
        longer context than in training is possible, and the lags reach further back in any case.
        Of several lengths, each series takes the one that forecasts its own last points best.
      attention_window: Number of steps that a token attends to, itself included. `None`: as in
        training, or the context length if that was given and is longer.
      coarsen: Number of points whose mean is one step of the model. `auto`: series that are finer
        than an hour are aggregated to hourly means, or to means of 30, 15, 10 or 5 minutes if the
        horizon has fewer than 12 such steps or the past fewer than 64. 1: no aggregation.
      mode: `scale_once` freezes the scale at the start of the forecast, as in training, and shares
        one prefill among all samples. The other modes are those of the reference implementation,
        which refits the scale at every step; they are for comparisons only.
      sampling: `stratified`: the draws of one step cover the distribution evenly, so that fewer
        samples give the same accuracy. `random`: the draws are independent.
      nonnegative: Clip every draw at 0 before it is fed back.
      seed: Decides every draw, together with the identity of the series.
      batch_size: Number of series per call of the compiled program. `None`: by memory.
      precision: Precision of matrix products. `highest`: full float32 on every device. `default`:
        the choice of the backend.
      rope_factor: Stretch of the rotary position encoding, for contexts that are longer than in
        training. `None`: that of the model.
    """

    num_samples: Count = 100
    context_length: Length | tuple[Length, ...] | None = None
    attention_window: Length | None = None
    coarsen: Aggregation = "auto"
    mode: Literal["scale_once", "recompute", "kv_cache", "single_pass", "single_pass_kv"] = (
        "scale_once"
    )
    sampling: Literal["random", "stratified"] = "stratified"
    nonnegative: bool = False
    seed: Seed = 0
    batch_size: Count | None = None
    precision: Literal["default", "high", "highest"] = "highest"
    rope_factor: Annotated[float, Interval(least=1)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.context_length != (), "context_length is an empty list.")
