"""`Explained`: the methods of `LagLlama` that explain a model and judge the past of series."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.series.arrays import read_series
from lagllama_jax.series.covariates import with_covariates
from lagllama_jax.typing import Float, Parameters

if TYPE_CHECKING:
    from lagllama_jax.insight.anomalies import AnomalyScores
    from lagllama_jax.insight.attention import AttentionWeights
    from lagllama_jax.insight.attribution import LagAttribution


class Explained:
    """Embeddings, attention weights, attributions and scores of the past of a model.

    Attributes:
      parameters: The weights.
      config: The architecture.
      predictor: Makes the predictor that uses known covariates.
    """

    parameters: Parameters
    config: ModelConfig
    predictor: "Callable[[], Any]"

    def embed(
        self,
        series: Any,
        *,
        per_step: bool = False,
        context_length: int | None = None,
        **labels: Any,
    ) -> "Float[np.ndarray, 'B *t D']":
        """One vector per series, which describes its shape but neither its unit nor its level.

        It is the mean of the hidden states of the last steps. The vectors of `x` and `a * x + b`
        are the same up to rounding if `a` is above 0. A vector does not depend on the other series.
        `insight.similarity.similarity` compares vectors, as for a search.

        Args:
          series: As in `predict`. Missing values at the end of a series are left out.
          per_step: Whether to return one vector per step of the context, NaN before the start of a
            shorter series.
          context_length: Number of last steps. `None`: as in training.
          **labels: `start`, `freq` and `item_ids`, as in `predict`.

        Raises:
          DataError: If series are invalid, empty or only NaN.
          ConfigError: If `context_length` is invalid, or there is too little memory.

        Examples:
          >>> from lagllama_jax import LagLlama
          >>> LagLlama.from_pretrained().embed([[1, 2, 3, 2, 1, 2], [5, 5, 6]]).shape
          (2, 144)
        """
        from lagllama_jax.insight.embedding import embed

        read = read_series(series, **labels)
        return embed(self.parameters, self.config, read, per_step, context_length)

    def attention(
        self,
        series: Any,
        prediction_length: int = 1,
        *,
        context_length: int | None = None,
        **labels: Any,
    ) -> "AttentionWeights":
        """The weights with which the tokens of one series attend to one another.

        Args:
          series: One series, as in `predict`.
          prediction_length: Number of steps of the forecast whose attention is included. More than
            1 need weights that forecast in one pass.
          context_length: As in `predict`.
          **labels: `start`, `freq` and `item_ids`, as in `predict`.

        Returns:
          The weights per layer, head, query and key, with `to_frame()` and `plot()`.

        Raises:
          DataError: If the series is invalid, or if there are several.
          ConfigError: If a length is invalid, or there is too little memory.

        Examples:
          >>> from lagllama_jax import LagLlama
          >>> LagLlama.from_pretrained().attention([1, 2, 3, 2, 1, 2], start="2026-01-01", freq="D")
          AttentionWeights(8 layers, 9 heads, 64 queries, 64 keys)
        """
        from lagllama_jax.insight.attention import attention

        read = read_series(series, **labels)
        return attention(self.parameters, self.config, read, prediction_length, context_length)

    def lag_attribution(
        self,
        series: Any,
        step: int | Sequence[int] = 1,
        *,
        known_covariates: Any = None,
        baseline: Literal["median", "missing"] = "median",
        context_length: int | None = None,
        **labels: Any,
    ) -> "LagAttribution":
        """Which past values and covariates the forecast of a step rests on.

        This explains the location (median and mean) of the distribution that the network forecasts:
        from the last token for the first step, and in one pass for later ones. It is the forecast
        of `predict` with `coarsen=1` and `difference="none"` of as many steps as the latest
        explained one. The contributions of all features, by integrated gradients, add up to the
        difference between the location and that of a baseline. Known covariates contribute what
        their future values change of the regression's effect (`Forecast.effect`).

        Args:
          series: One series, as in `predict`.
          step: The step of the forecast, or several. 1 is the step after the last observed value.
            Later ones need weights that forecast in one pass.
          known_covariates: As in `predict`.
          baseline: `median`: the values are at the median of the series, without dates and level.
            `missing`: they are missing too, so that the observed flags contribute as well.
          context_length: As in `predict`.
          **labels: `start`, `freq` and `item_ids`, as in `predict`.

        Returns:
          The contributions of past values, flags, calendar features, scale and known covariates, in
          the units of the series, with `to_frame()`, `by_lag()`, `by_covariate()` and `plot()`.

        Raises:
          DataError: If the series is invalid, or if there are several.
          ConfigError: If an option is invalid, or there is too little memory.

        Examples:
          >>> from lagllama_jax import LagLlama
          >>> found = LagLlama.from_pretrained().lag_attribution([1, 2, 3, 2, 1, 2, 3, 2])
          >>> bool(abs(found.total - (found.location - found.baseline))[0] < 1e-3)
          True
        """
        from lagllama_jax.insight.attribution import attribute

        read = with_covariates(read_series(series, **labels), None, known_covariates)
        regression = self.predictor()
        return attribute(
            self.parameters, self.config, read, step, baseline, context_length, regression
        )

    def score(
        self,
        series: Any,
        *,
        threshold: float = 0.001,
        coverage: float = 0.95,
        context_length: int | None = None,
        **labels: Any,
    ) -> "AnomalyScores":
        """How probable each past value was, given the values before it.

        Each step is predicted from the steps before it, without further training. The first 16
        observed values of a series are not scored.

        Args:
          series: As in `predict`. Missing values are not scored.
          threshold: Tail probability below which a value counts as an anomaly. If the predicted
            distributions are right, this share of ordinary values is below it. Of held-out series,
            one to nine times as many were below 0.001 (`experiments/insight`).
          coverage: Coverage of the prediction intervals.
          context_length: As in `predict`.
          **labels: `start`, `freq` and `item_ids`, as in `predict`.

        Returns:
          The observed and expected values, intervals and tail probabilities, with `to_frame()`,
          `anomalies()` and `plot()`.

        Raises:
          DataError: If series are invalid, or all are too short.
          ConfigError: If an option is invalid, the weights have no Student-t head, or there is too
            little memory.

        Examples:
          >>> import numpy as np
          >>> values = np.sin(np.arange(200) / 4)
          >>> values[150] = 9
          >>> from lagllama_jax import LagLlama
          >>> scores = LagLlama.from_pretrained().score(values)
          >>> int(scores.tail_probability[0][20:].argmin()) + 20
          150
        """
        from lagllama_jax.insight.anomalies import score

        read = read_series(series, **labels)
        return score(self.parameters, self.config, read, threshold, coverage, context_length)
