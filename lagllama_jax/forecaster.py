"""`LagLlama`: the object that users hold, with one short method per task."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from lagllama_jax.config import DEFAULT_LEVELS, ForecastConfig, ModelConfig, check_levels
from lagllama_jax.evaluation.nixtla import CalledLikeNixtla
from lagllama_jax.inference.forecast import Forecast, Predictor, frame_columns
from lagllama_jax.inference.nonnegative import warn_of_negative
from lagllama_jax.inference.rare_values import warn_of_rare_values
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.insight.methods import Explained
from lagllama_jax.progress import Finished, Progress, counted, progress_bar
from lagllama_jax.series.arrays import read_series
from lagllama_jax.series.covariates import with_covariates
from lagllama_jax.training.methods import FineTuned
from lagllama_jax.typing import Parameters

if TYPE_CHECKING:
    from lagllama_jax.series.frequency import Frequency
    from lagllama_jax.training.finetune import Report


class LagLlama(Explained, FineTuned, CalledLikeNixtla):
    """A forecaster: weights and their configuration.

    Attributes:
      parameters: The weights, a pytree of float32 arrays.
      config: The architecture.
      source: Where the weights come from, in words.
      report: For a model that `fit` returned, how the fine-tuning went.

    Examples:
      >>> import numpy as np
      >>> from lagllama_jax import LagLlama
      >>> model = LagLlama.from_pretrained()
      >>> model
      LagLlama(8 layers, width 144, student_t head, from the bundled weights)
      >>> forecast = model.predict(np.sin(np.arange(200) / 4), prediction_length=12)
      >>> forecast.quantile(0.9).shape
      (1, 12)
    """

    def __init__(self, parameters: Parameters, config: ModelConfig, source: str = "memory"):
        self.parameters = parameters
        self.config = config
        self.source = source
        self.report: Report | None = None

    def __repr__(self) -> str:
        size = f"{self.config.num_layers} layers, width {self.config.width}"
        return f"LagLlama({size}, {self.config.head} head, from {self.source})"

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
    ) -> Self:
        """Loads a model.

        Args:
          source: `None` or `box` for the bundled weights; a folder written by `save_pretrained`; an
            authors' `.ckpt` file; or a repository on the Hugging Face hub (extra `hub`).
          revision: Branch, tag or commit on the hub.
          cache_dir: Folder in which the hub's files are kept.
          local_files_only: Whether to make no connection to the hub.
          token: Token for private repositories.

        Raises:
          CheckpointError: If nothing is there, or it cannot be read.
          MissingExtraError: If a hub id is given without the extra `hub`.
        """
        from lagllama_jax.checkpoints.hub import BOX, from_pretrained

        config, parameters = from_pretrained(
            source,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            token=token,
        )
        given = os.fspath(source or BOX)
        return cls(parameters, config, "the bundled weights" if given == BOX else given)

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        dtype: Literal["float32", "float16"] = "float32",
    ) -> None:
        """Writes `config.json` and `model.safetensors`, from which `from_pretrained` loads.

        Args:
          folder: The folder, which is created if it does not exist.
          dtype: Type in which the weights are stored; `float16` halves the file.

        Raises:
          CheckpointError: If a weight is too large for float16.
          DataError: If the folder cannot be written.
        """
        from lagllama_jax.checkpoints.hub import save_pretrained

        save_pretrained(folder, self.config, self.parameters, dtype)

    def predict(
        self,
        series: Any,
        prediction_length: int,
        *,
        past_covariates: Any = None,
        known_covariates: Any = None,
        start: Any = None,
        freq: "str | Frequency | Sequence[str | Frequency] | None" = None,
        item_ids: Sequence[Any] | None = None,
        num_samples: int | None = None,
        seed: int = ForecastConfig.seed,
        context_length: int | None = None,
        quantile_levels: Sequence[float] = DEFAULT_LEVELS,
        progress: bool | Progress | None = None,
        **options: Any,
    ) -> Forecast:
        """Forecasts the time steps that follow each series.

        By default, quantiles and means of the whole horizon are made in one pass of the network.
        With `num_samples`, coherent sample paths are drawn beside them. Weights that cannot
        forecast in one pass, such as the authors', draw 100 sample paths (`ForecastConfig.method`).

        The forecast of a series depends on its values, dates and name and on the seed, but not on
        the other series of the call. A series without a name is named by its position. Missing
        values at the end of a series are forecast across.

        Args:
          series: A 1-D array, a list of arrays of any lengths, or a 2-D array with one series per
            row; NaN where a value is missing. Also a `SeriesDataset`, or a data frame as in
            `predict_df`, whose names and dates are then used. A list of 2-D arrays, or a 3-D array,
            holds items with several targets: one row per target.
          prediction_length: Number of time steps to forecast.
          past_covariates: Further variates of each item, up to the end of its past: a list with one
            entry per series (or the entry of a single series), each a dictionary of names and 1-D
            arrays, a 2-D array of rows, or a 1-D array; NaN where a value is missing.
          known_covariates: The same of variates that are known in the future, such as prices or
            holidays. Their arrays go on for the `prediction_length` steps of the horizon.
          start: Time stamp of the first value; one for all series or one per series.
          freq: Frequency as a pandas alias; one for all series or one per series. Without `start`
            and `freq` the calendar features are neutral.
          item_ids: Names of the series.
          num_samples: Number of sample paths per series; `None`: as `ForecastConfig` says.
          seed: Seed of the random numbers.
          context_length: Number of past steps that the model attends to; `None`: as in training.
            The lags reach further back in any case.
          quantile_levels: Quantile columns of the forecast's `to_frame`.
          progress: Whether to show a progress bar; `None`: for long work in a terminal. Or a
            function of the numbers of series that are done and of all series.
          **options: Further fields of `ForecastConfig`, such as `method` or `nonnegative`.

        Returns:
          The forecast, in the units of the series.

        Raises:
          DataError: If series, dates or names are invalid; names the series and the position.
          ConfigError: If a length, a level or an option is invalid, or there is too little memory.

        Examples:
          >>> model = LagLlama.from_pretrained()
          >>> sales = [[5, 6, 7, 5, 6, 7, 5, 6, 7], [1, 2, None, 4, 5, 6]]
          >>> model.predict(sales, 2, start="2026-01-01", freq="D", item_ids=["a", "b"])
          Forecast(2 series, one pass, 2 points)
        """
        config = ForecastConfig.of(
            num_samples=num_samples,
            seed=seed,
            context_length=context_length,
            quantile_levels=check_levels(quantile_levels),
            **options,
        )
        read = read_series(series, start, freq, item_ids)
        read = with_covariates(read, past_covariates, known_covariates)
        warn_of_negative(read, config)
        with own_settings(), progress_bar(progress) as report:
            predictor = self.predictor(counted(report, len(read)))
            forecast = predictor.predict(read, prediction_length, config)
        warn_of_rare_values(forecast)
        return forecast

    def predict_df(
        self,
        df: Any,
        prediction_length: int,
        *,
        future_df: Any = None,
        freq: "str | Frequency | None" = None,
        quantile_levels: Sequence[float] = DEFAULT_LEVELS,
        id_column: str | None = None,
        timestamp_column: str | None = None,
        target: str | Sequence[str] | None = None,
        dayfirst: bool | None = None,
        date_format: str | None = None,
        decimal: str | None = None,
        num_samples: int | None = None,
        seed: int = ForecastConfig.seed,
        context_length: int | None = None,
        progress: bool | Progress | None = None,
        **options: Any,
    ) -> Any:
        """Forecasts the series of a data frame, and returns a data frame of the same kind.

        Args:
          df: A pandas or polars data frame. Long, with the columns `item_id, timestamp, target` or
            `unique_id, ds, y`, of which a single series does not need the first. Or wide, with time
            stamps and one column per series. Rows may be in any order, and time steps without a row
            are missing values.
          prediction_length: Number of time steps to forecast after the last row of each series.
          future_df: A data frame with one row per series and time step to forecast, in the columns
            of names and time stamps of `df`, and in further columns that `df` has too. These are
            known covariates, such as prices, holidays or a weather forecast: numbers, booleans or
            text. Rows beyond the horizon are ignored, and cells may be empty.
          freq: Frequency as a pandas alias; `None`: inferred from the time stamps. A number: the
            rows are numbered, and this is the step.
          quantile_levels: Quantile levels; one column each.
          id_column: Column of the names of the series, if it has another name.
          timestamp_column: Column of the time stamps, if it has another name.
          target: Column of the values, if it has another name. Several columns: each is a target of
            the same item.
          dayfirst: Whether `01/02/2024` is the 1st of February. `None`: the reading under which the
            rows are on a regular grid.
          date_format: Format of text or numbers as time stamps, as in `datetime.strptime`.
          decimal: Decimal mark of numbers in text; `None`: the one by which all are numbers.
          num_samples: As in `predict`.
          seed: Seed of the random numbers.
          context_length: Number of past steps that the model attends to, as in `predict`.
          progress: As in `predict`.
          **options: As in `predict`.

        Returns:
          One row per series and time step: names and time stamps under the names and in the types
          of the input's columns, `predictions` (the median) and one column per quantile level, such
          as `"0.1"`. With several targets, `target_name` tells the target of a row.

        Raises:
          DataError: If the data are invalid; names series, column, row and the remedy.
          ConfigError: As in `predict`.

        Examples:
          >>> import pandas as pd
          >>> days = pd.date_range("2026-01-01", periods=60)
          >>> df = pd.DataFrame({"unique_id": "shop", "ds": days, "y": range(60)})
          >>> table = LagLlama.from_pretrained().predict_df(df, 7, quantile_levels=[0.1, 0.9])
          >>> list(table.columns)
          ['unique_id', 'ds', 'predictions', '0.1', '0.9']
        """
        from lagllama_jax.series.dataframe import read_frame
        from lagllama_jax.series.frames import like

        read = read_frame(
            df,
            future=future_df,
            prediction_length=prediction_length,
            freq=freq,
            id_column=id_column,
            timestamp_column=timestamp_column,
            target=target,
            dayfirst=dayfirst,
            date_format=date_format,
            decimal=decimal,
        )
        read.check_columns(frame_columns(check_levels(quantile_levels), read.target_names))
        forecast = self.predict(
            read,
            prediction_length,
            num_samples=num_samples,
            seed=seed,
            context_length=context_length,
            quantile_levels=quantile_levels,
            progress=progress,
            **options,
        )
        return like(df, forecast.to_frame(), read)

    def predictor(self, finished: Finished | None = None) -> Predictor:
        """The model as a `Predictor`: with covariates, across missing ends, and with aggregation.

        Args:
          finished: A function of how many more items are done.
        """
        from lagllama_jax.inference.covariates.regression import CovariateRegression

        return CovariateRegression(self._univariate(finished), self._univariate(None))

    def _univariate(self, finished: Finished | None) -> Predictor:
        """The model as a predictor that uses no covariates."""
        from lagllama_jax.inference.aggregation import Aggregated
        from lagllama_jax.inference.daily_means import WithDailyMeans
        from lagllama_jax.inference.differences import Differenced
        from lagllama_jax.inference.gaps import AcrossGaps
        from lagllama_jax.inference.point_mass import WithPointMasses
        from lagllama_jax.inference.predictor import ModelPredictor

        model = ModelPredictor(self.parameters, self.config)
        plain = Aggregated(replace(model, finished=finished))
        if not self.config.one_pass:
            return AcrossGaps(plain)
        silent = WithDailyMeans(Aggregated(model), model)
        whole = AcrossGaps(Differenced(replace(silent, predictor=plain), silent))
        return WithPointMasses(whole, AcrossGaps(Differenced(silent, silent)))
