"""The configuration of the training windows."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lagllama_jax.config.base import Config, Count, Interval, Length, Share


@dataclass(frozen=True)
class DataConfig(Config):
    """Which windows a model is trained on.

    Attributes:
      future_length: Number of points of a window after its longest context.
      queries: Number of points per window that are forecast in one pass, if the model does so.
      farthest: Largest number of points from the forecast's start to such a point.
      min_context: Smallest context length. The context length is drawn uniformly between this and
        that of the model, and the rest of the window is future. `None`: always the full context.
      min_past: Number of points of a series that must precede the start of the forecast. A shorter
        history than the model's is padded and masked. `None`: the full history is required, as in
        the paper.
      mixture: Weight of a dataset. `series`: its number of series, as in the paper. `timesteps`:
        its number of points. `series_inverse` and `timesteps_inverse`: 1 divided by these numbers.
        `uniform`: all weights are equal. `root_timesteps`: the square root of its number of points,
        of which at most 1.5 million count.
      series_power: Within a dataset, a series is drawn in proportion to its length to this power.
        0: uniformly, as in the paper.
      short_history: Share of windows whose history is hidden before a random point.
      drop_calendar: Share of windows without calendar features.
      stretch: Share of windows that are interpolated to a grid that is 2 to 6 times finer.
      noise: Share of windows to which autocorrelated noise is added.
      mixup: Share of windows that are mixed with others of the batch after standardisation.
      flip: Share of windows that are multiplied by -1.
      shift: Share of windows to whose level 1 to 1e8 times their scale is added or subtracted.
      synthetic: Share of windows that are synthetic (`lagllama_jax.training.synthetic`).
      augmentation: Share of batches to which frequency masking and mixing are applied.
      groups: Share of windows that are in groups of several variates on one time grid, with known
        and past covariates. The augmentations that mix windows are not applied to them.
      group_size: Number of variates of a group.
      hinted: Share of groups in which the last variate is a forecast by a regression on the known
        covariates (`lagllama_jax.training.hints`).
      hint_alone: Whether groups keep only their first target and their last variate.
    """

    future_length: Length = 1
    queries: Count = 32
    farthest: Length = 1024
    min_context: Length | None = None
    min_past: Count | None = None
    mixture: Literal[
        "series", "series_inverse", "timesteps", "timesteps_inverse", "uniform", "root_timesteps"
    ] = "series"
    series_power: float = 0.0
    short_history: Share = 0.0
    drop_calendar: Share = 0.0
    stretch: Share = 0.0
    noise: Share = 0.0
    mixup: Share = 0.0
    flip: Share = 0.0
    shift: Share = 0.0
    synthetic: Share = 0.0
    augmentation: Share = 0.5
    groups: Share = 0.0
    group_size: Annotated[int, Interval(least=2, most=64)] = 4
    hinted: Share = 0.5
    hint_alone: bool = False
