"""The configuration of a fine-tuning."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lagllama_jax.config.base import Aggregation, Config, Count, Interval, Length, Positive, Seed


@dataclass(frozen=True)
class FitConfig(Config):
    """How a model is fine-tuned.

    Attributes:
      validation: Number of forecast horizons at the end of each series that are held back for
        validation. 0: no validation, so the result may be worse than the model before.
      learning_rate: Constant learning rate of Adam.
      covariates: `network`: the targets and covariates of an item are trained and validated
        together, at most 16 of them at a time, as they are forecast with `covariates="network"`.
        `none`: each target alone.
      context_length: Number of past steps that the model attends to. `None`: as before.
      coarsen: Number of points whose mean is one step of the model. `auto`: as in forecasts of the
        same series, or 1 if this differs between the series.
      freeze: Parts of the model that are not trained, such as `embedding`, `block_0` or `head`.
      epochs: Largest number of epochs. Each ends with a validation.
      steps_per_epoch: Number of optimizer steps per epoch.
      batch_size: Number of windows per step. The variates of an item are as many windows.
      patience: Number of epochs without improvement after which training stops.
      last_k_percentage: Percentage of the training part of each series that is used, from its end.
        Forecasts that validate have no other history either.
      clip_norm: Largest norm of the gradient. `None`: no clipping.
      dtype: Data type of the computation.
      seed: Random seed of the windows.
    """

    validation: Annotated[int, Interval(least=0)] = 1
    learning_rate: Positive = 1e-4
    covariates: Literal["none", "network"] = "none"
    context_length: Length | None = None
    coarsen: Aggregation = "auto"
    freeze: tuple[str, ...] = ()
    epochs: Count = 20
    steps_per_epoch: Count = 50
    batch_size: Count = 32
    patience: Count = 3
    last_k_percentage: Annotated[float, Interval(above=0, most=100)] = 100.0
    clip_norm: Positive | None = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: Seed = 0
