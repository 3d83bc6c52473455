"""`FineTuned`: the method of `LagLlama` that trains the model further on series."""

import copy
import numbers
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from lagllama_jax.config import FitConfig, ModelConfig, check
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.series.arrays import READING, read_series
from lagllama_jax.series.covariates import with_covariates
from lagllama_jax.typing import Parameters

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.series.frequency import Frequency
    from lagllama_jax.training.finetune import Report


class FineTuned:
    """Fine-tuning of a model.

    Attributes:
      parameters: The weights.
      config: The architecture.
      source: Where the weights come from, in words.
      report: For a model that `fit` returned, how the fine-tuning went.
    """

    parameters: Parameters
    config: ModelConfig
    source: str
    report: "Report | None"

    def fit(
        self,
        data: Any,
        prediction_length: int,
        *,
        past_covariates: Any = None,
        known_covariates: Any = None,
        validation: Any = 1,
        freq: "str | Frequency | Sequence[str | Frequency] | None" = None,
        start: Any = None,
        item_ids: Sequence[Any] | None = None,
        progress: bool | None = None,
        **options: Any,
    ) -> Self:
        """Fine-tunes the model on series; returns a new model and leaves this one unchanged.

        The ends of the series are held back for validation. If forecasts of them do not improve,
        the new model has the weights of this one, and a warning says so. So the result is not worse
        on the held-back part; on other data it may be. The attribute `report` of the new model
        tells how the fine-tuning went.

        Args:
          data: Series as in `predict` (with `start`, `freq` and `item_ids`), a data frame as in
            `predict_df`, or a `Corpus`.
          prediction_length: Number of time steps of the forecasts that are wanted.
          past_covariates: Further variates of arrays, as in `predict`. The columns of data frames
            beside names, time stamps and targets are such variates. They are used with
            `covariates="network"`, and otherwise left out with a warning.
          known_covariates: Those of them whose future will be known: arrays as in `predict`, of at
            least the length of their series; or names of columns of the data frame.
          validation: Number of prediction lengths at the end of each series that are held back. 0:
            none, and nothing is compared. Or whole series, in the form of `data`, of which the last
            `prediction_length` steps are held back.
          freq: Frequency of arrays without dates.
          start: Time stamp of the first value of arrays without dates.
          item_ids: Names of arrays.
          progress: Whether to show a progress bar; `None`: in a terminal.
          **options: Fields of `FitConfig`, such as `learning_rate`, `epochs` or `covariates`, and
            for data frames the arguments of `predict_df` that name columns or tell how text is
            read.

        Raises:
          DataError: If series are invalid, or too short to train or to validate on.
          ConfigError: If an option is invalid.
          TrainingError: If the training diverges; names step and data.

        Examples:
          >>> import numpy as np
          >>> from lagllama_jax import LagLlama
          >>> waves = [np.sin(np.arange(200) / 4 + phase) for phase in range(3)]
          >>> model = LagLlama.from_pretrained()
          >>> tuned = model.fit(waves, 8, epochs=1, steps_per_epoch=2, validation=0, progress=False)
          >>> tuned.report.steps
          2
        """
        from lagllama_jax.training.finetune import fit

        reading = {name: options.pop(name) for name in READING if name in options}
        reading |= {"start": start, "freq": freq, "item_ids": item_ids}
        covariates = past_covariates, known_covariates
        counted_back = isinstance(validation, numbers.Integral)
        held = validation if counted_back else 0
        fit_options = FitConfig.of(validation=held, **options)
        corpus = _read_corpus(data, covariates, fit_options, **reading)
        if not counted_back:
            validation = _read_corpus(validation, covariates, fit_options, **reading)
        with own_settings():
            fitted = fit(
                self.parameters,
                self.config,
                corpus,
                prediction_length,
                fit_options,
                validation=None if counted_back else validation,
                progress=progress,
            )
        model = copy.copy(self)
        model.parameters, model.config = fitted.parameters, fitted.config
        model.source, model.report = f"{self.source}, {fitted.report}", fitted.report
        if not fitted.report.improved:
            warnings.warn(f"The model is as before: {fitted.report}.", stacklevel=2)
        return model


def _read_corpus(
    data: Any, covariates: tuple[Any, Any], options: FitConfig, **reading: Any
) -> "Corpus":
    """The series of a user, and their past and known covariates."""
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.training.finetune_task import packed

    past, known = covariates
    if isinstance(data, Corpus):
        given = past is not None or known is not None
        check(not given, "A Corpus holds no covariates: give arrays or a data frame with them.")
        return data
    if hasattr(data, "columns") and known is not None:
        reading["known"], known = [known] if isinstance(known, str) else list(known), None
    dataset = with_covariates(read_series(data, **reading), past, known)
    return packed(dataset, options)
