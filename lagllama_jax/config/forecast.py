"""The configuration of a forecast."""

import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lagllama_jax.config.base import Aggregation, Config, Count, Interval, Length, Seed, check

DEFAULT_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def check_levels(levels: Any) -> tuple[float, ...]:
    """Checks quantile levels and converts them to floats.

    Raises:
      ConfigError: If there are none, or one is not between 0 and 1.
    """
    check(
        isinstance(levels, Iterable),
        f"Quantile levels {levels!r} must be a list, such as [0.1, 0.9].",
    )
    levels = tuple(levels)
    for level in levels:
        number = isinstance(level, numbers.Real) and not isinstance(level, bool)
        inside = number and 0 < level < 1
        check(inside, f"Quantile level {level!r} must be between 0 and 1, such as 0.9.")
    check(len(levels) > 0, "Quantile levels are empty: give at least one, such as 0.5.")
    return tuple(float(level) for level in levels)


def level_names(levels: Sequence[float]) -> list[str]:
    """Names of columns for quantile levels: short ones if these say enough, and differ.

    >>> level_names([0.1, 0.5, 0.9999999, 0.12345678, 0.1 + 2e-9])
    ['0.1', '0.5', '0.9999999', '0.12345678', '0.100000002']
    """
    names: list[str] = []
    for level in levels:
        short = f"{level:g}"
        enough = 0 < float(short) < 1 and abs(float(short) - level) < 1e-7
        names.append(short if enough and short not in names else str(float(level)))
    return names


@dataclass(frozen=True)
class ForecastConfig(Config):
    """How a forecast is drawn.

    Attributes:
      method: How quantiles and means are made. `one_pass`: the whole horizon at once, from
        distributions of the single points. `paths`: from sample paths that are drawn step by step.
        `both`: the mean of both quantile functions, which takes the time of `paths`. `auto`: in one
        pass if the weights can, otherwise by paths.
      num_samples: Number of sample paths per series. `None`: none in one pass, otherwise 100.
      covariates: How covariates are used. `regression`: the effect of known covariates is removed
        from the series, and added to the forecast, as far as this lowers the loss in the last
        windows of the past (`CovariateRegression`). `network`: the targets and the past and known
        covariates of an item see one another in the network, by attention across variates. `both`:
        as `network`, and the effect that the regression finds is one more known covariate. `none`:
        they are not used. With `regression` and `none`, each target is forecast on its own.
      match_marginals: Whether the sample paths take the one-pass distribution of each point and
        keep their ranks. `None`: they do if the quantiles are made in one pass, so that quantiles
        and paths agree.
      context_length: Number of past steps that the model attends to. `None`: as in training. A
        longer context than in training is possible, and the lags reach further back in any case.
      attention_window: Number of steps that a token attends to, itself included. `None`: as in
        training, or the context length if that was given and is longer.
      coarsen: Number of points whose mean is one step of the model. `auto`: sub-hourly series are
        aggregated to means of 60, 30 or 15 minutes. The longest of these is used for which the past
        has at least 64 means, and the horizon at least twice as many means as a mean has points. If
        there is none, there is no aggregation. Forecasts of steps of at most an hour over at least
        three days are moved towards forecasts of their daily means (`WithDailyMeans`). 1: no
        aggregation. Sample paths are not aggregated.
      difference: Whether a series that repeats itself nearly exactly is forecast through its
        seasonal differences too (`Differenced`). `auto`: if this lowers the loss in the last three
        horizons of the past, and the weights forecast in one pass. `none`: never.
      point_mass: Whether the forecast of a series that mostly has one value, such as counts of rare
        events, has a point mass there (`WithPointMasses`). `auto`: if departures from it come
        unforeseeably, and the weights forecast in one pass. `none`: never.
      sampling: `stratified`: the draws of one step cover the distribution evenly, so that fewer
        samples give the same accuracy. `random`: the draws are independent.
      nonnegative: Whether to clip every draw at 0 before it becomes an input of the next step.
      seed: Random seed. Every draw depends on it and on the identity of the series.
      batch_size: Number of series per call of the compiled program. `None`: chosen by memory.
      precision: Precision of matrix products. `highest`: full float32 on every device. `bfloat16`:
        those of the blocks have inputs of 8 significant bits, and float32 sums; a third faster on
        CPUs with AVX512-BF16 or AMX, and slower on others. `default`:
        the choice of the backend.
      rope_factor: Stretch of the rotary position encoding, for contexts that are longer than in
        training. `None`: that of the model.
      quantile_levels: Quantile levels of the result, each between 0 and 1.
    """

    method: Literal["auto", "one_pass", "paths", "both"] = "auto"
    num_samples: Count | None = None
    covariates: Literal["regression", "network", "both", "none"] = "regression"
    match_marginals: bool | None = None
    context_length: Length | None = None
    attention_window: Length | None = None
    coarsen: Aggregation = "auto"
    difference: Literal["auto", "none"] = "auto"
    point_mass: Literal["auto", "none"] = "auto"
    sampling: Literal["random", "stratified"] = "stratified"
    nonnegative: bool = False
    seed: Seed = 0
    batch_size: Count | None = None
    precision: Literal["default", "high", "highest", "bfloat16"] = "highest"
    rope_factor: Annotated[float, Interval(least=1)] | None = None
    quantile_levels: tuple[float, ...] = DEFAULT_LEVELS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.quantile_levels)
