"""Checks that a model with a negative binomial head is trained on counts."""

import numpy as np

from lagllama_jax.config import DataConfig, ModelConfig, check
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import DataError

CHANGES = ("stretch", "noise", "mixup", "flip", "synthetic", "augmentation")
"""Fields of `DataConfig` whose augmentations can make negative or fractional values."""


def check_counts(corpus: Corpus, model: ModelConfig, data: DataConfig) -> None:
    """Checks that all values are counts if the model has a negative binomial head.

    The loss of any other value is infinite. Models with other heads are not checked.

    Raises:
      ConfigError: If an augmentation would make negative or fractional values.
      DataError: If a value is negative or fractional. The message names the series and the point.
    """
    if model.head != "negative_binomial":
        return
    wrong = [name for name in CHANGES if getattr(data, name) > 0]
    check(
        not wrong,
        "The negative binomial head needs counts, and these options make negative or fractional "
        f"values of them: set {', '.join(f'{name}=0' for name in wrong)}.",
    )
    for index in range(len(corpus)):
        values = corpus.series(index)
        counts = (values >= 0) & (values == np.floor(values))
        if not (counts | np.isnan(values)).all():
            point = int(np.argmin(counts | np.isnan(values)))
            raise DataError(
                f"Series {corpus.describe(index)}: {values[point]:g} at point {point} is no count, "
                "and the negative binomial head can only describe whole numbers of at least 0. "
                "Leave the series out, or train a model with another head. Means of blocks are no "
                "counts either: fine-tune with coarsen=1."
            )
