"""`LagLlama`: the object a user holds, with one short method for each thing to do."""

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from lagllama_jax.config import (
    DEFAULT_LEVELS,
    FitConfig,
    ForecastConfig,
    ModelConfig,
    check_levels,
)
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.progress import Finished, Progress, counted, progress_bar
from lagllama_jax.series.arrays import read_series
from lagllama_jax.typing import Parameters

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.series.frequency import Frequency
    from lagllama_jax.training.finetune import Report


class LagLlama:
    """A forecaster: weights and their configuration.

    Attributes:
      parameters: the weights, a pytree of float32 arrays.
      config: the architecture.
      source: where they came from, in words.
      report: how `fit` went, of a model that it returned.
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
          source: `None` or `box` for the weights in the box; a folder written by
            `save_pretrained`; an authors' `.ckpt` file; or a repository on the Hugging Face hub
            (extra `hub`).
          revision: branch, tag or commit on the hub.
          cache_dir: where the hub's files are kept.
          local_files_only: make no connection to the hub.
          token: for private repositories.

        Raises:
          CheckpointError: nothing is there, or it cannot be read.
          MissingExtraError: a hub id without the extra `hub`.
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
        return cls(parameters, config, "the box" if given == BOX else given)

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        dtype: Literal["float32", "float16"] = "float32",
    ) -> None:
        """Writes `config.json` and `model.safetensors`, from which `from_pretrained` loads.

        Raises:
          CheckpointError: a weight is too large for float16.
          DataError: the folder cannot be written.
        """
        from lagllama_jax.checkpoints.hub import save_pretrained

        save_pretrained(folder, self.config, self.parameters, dtype)

    def predict(
        self,
        series: Any,
        prediction_length: int,
        *,
        start: Any = None,
        freq: "str | Frequency | Sequence[str | Frequency] | None" = None,
        item_ids: Sequence[Any] | None = None,
        num_samples: int = ForecastConfig.num_samples,
        seed: int = ForecastConfig.seed,
        context_length: int | None = None,
        quantile_levels: Sequence[float] = DEFAULT_LEVELS,
        progress: bool | Progress | None = None,
        **options: Any,
    ) -> Forecast:
        """Draws the points that follow each series.

        A series' forecast depends on its values, dates and name, and on the seed; not on the other
        series of the call. Series without a name go by their position.

        Args:
          series: a 1-D array, a list of arrays of any lengths, or a 2-D array with one series a
            row; NaN where a value is missing. Also a `SeriesDataset`, or a data frame as
            `predict_df` takes it, whose names and dates are then used.
          prediction_length: points to forecast.
          start: time stamp of the first value, one for all or one a series.
          freq: pandas alias of the step, one for all or one a series. Without `start` and `freq`
            the calendar features are neutral.
          item_ids: names of the series.
          num_samples: sample paths a series.
          seed: decides the draws.
          context_length: points of the past that attention sees; `None`: as in training. The
            lags reach further back in any case.
          quantile_levels: columns of the forecast's `to_frame`.
          progress: `True` or `False` for a bar or none, or a function of series done and in all;
            `None`: a bar on long work in a terminal.
          **options: Further fields of `ForecastConfig`, such as `coarsen` or `nonnegative`.

        Raises:
          DataError: series, dates or names that cannot be used; names series and position.
          ConfigError: a length, a level or an option that cannot be, or too little memory.
        """
        config = ForecastConfig.of(
            num_samples=num_samples,
            seed=seed,
            context_length=context_length,
            quantile_levels=check_levels(quantile_levels),
            **options,
        )
        read = read_series(series, start, freq, item_ids)
        with progress_bar(progress) as report:
            predictor = self.predictor(counted(report, len(read)))
            return predictor.predict(read, prediction_length, config)

    def predict_df(
        self,
        df: Any,
        prediction_length: int,
        *,
        freq: "str | Frequency | None" = None,
        quantile_levels: Sequence[float] = DEFAULT_LEVELS,
        id_column: str | None = None,
        timestamp_column: str | None = None,
        target_column: str | None = None,
        num_samples: int = ForecastConfig.num_samples,
        seed: int = ForecastConfig.seed,
        context_length: int | None = None,
        progress: bool | Progress | None = None,
        **options: Any,
    ) -> Any:
        """Forecasts the series of a data frame; the result is one too, of the same kind.

        Args:
          df: long, with columns `item_id, timestamp, target` or `unique_id, ds, y` (the first may
            be absent for a single series), or wide, with time stamps and one column a series;
            pandas or polars. Rows in any order; steps without a row are missing values.
          prediction_length: points to forecast after each series' last row.
          freq: pandas alias of the step; `None`: told from the time stamps.
          quantile_levels: a column each.
          id_column: name of the column of series names, if it is another.
          timestamp_column: name of the column of time stamps, if it is another.
          target_column: name of the column of values, if it is another.
          num_samples: sample paths a series.
          seed: decides the draws.
          context_length: points of the past that attention sees, as in `predict`.
          progress: as in `predict`.
          **options: as in `predict`.

        Returns:
          One row a series and point: names and time stamps under the names of the input's columns,
          `predictions` (the median) and a column a quantile level, such as `"0.1"`.

        Raises:
          DataError: data that cannot be used; names series, column, row and the remedy.
          ConfigError: as in `predict`.
        """
        from lagllama_jax.series.dataframe import read_frame
        from lagllama_jax.series.tables import like

        read = read_frame(
            df,
            freq=freq,
            id_column=id_column,
            timestamp_column=timestamp_column,
            target_column=target_column,
        )
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
        return like(df, forecast.to_frame())

    def fit(
        self,
        data: Any,
        prediction_length: int,
        *,
        validation: Any = 1,
        freq: "str | Frequency | Sequence[str | Frequency] | None" = None,
        start: Any = None,
        item_ids: Sequence[Any] | None = None,
        progress: bool | None = None,
        **options: Any,
    ) -> Self:
        """Fine-tunes on one's own series; returns a new model, and leaves this one as it is.

        The ends of the series validate. If validation does not improve, the new model has this
        one's weights, and a warning says so: the result is not worse on the validation part; on
        other data it may be. `report` of the new model tells how it went.

        Args:
          data: series as `predict` takes them (with `start`, `freq`, `item_ids`), a data frame as
            `predict_df` does, or a `Corpus`.
          prediction_length: points of the forecasts that are wanted.
          validation: forecasts' lengths at the end of each series that validate; 0: none, and
            nothing guards. Or whole series, like `data`, whose last `prediction_length` points do.
          freq: step of the time stamps.
          start: time stamp of the first value of bare arrays.
          item_ids: names of bare arrays.
          progress: a bar or none; `None`: a bar in a terminal.
          **options: Fields of `FitConfig`, such as `learning_rate` or `epochs`.

        Raises:
          DataError: series that cannot be used, or are too short to train or validate on.
          ConfigError: options that cannot be.
          TrainingError: the training diverged; names step and data.
        """
        from lagllama_jax.training.finetune import fit

        held = validation if isinstance(validation, int) else 0
        fitted = fit(
            self.parameters,
            self.config,
            _read_corpus(data, start, freq, item_ids),
            prediction_length,
            FitConfig.of(validation=held, **options),
            validation=None
            if isinstance(validation, int)
            else _read_corpus(validation, start, freq, item_ids),
            progress=progress,
        )
        model = type(self)(fitted.parameters, fitted.config, f"{self.source}, {fitted.report}")
        model.report = fitted.report
        if not fitted.report.improved:
            warnings.warn(f"The model is as before: {fitted.report}.", stacklevel=2)
        return model

    def predictor(self, finished: Finished | None = None) -> Predictor:
        """The model as a `Predictor`: across missing ends, and aggregated where that is asked for.

        Args:
          finished: Called with how many more items are done.
        """
        from lagllama_jax.inference.aggregation import Aggregated
        from lagllama_jax.inference.gaps import AcrossGaps
        from lagllama_jax.inference.predictor import ModelPredictor

        return AcrossGaps(Aggregated(ModelPredictor(self.parameters, self.config, finished)))


def _read_corpus(data: Any, start: Any, freq: Any, item_ids: Sequence[Any] | None) -> "Corpus":
    from lagllama_jax.corpus.store import Corpus

    if isinstance(data, Corpus):
        return data
    return Corpus.pack(read_series(data, start, freq, item_ids))
