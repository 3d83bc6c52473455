"""What the known covariates of one series add to a forecast, covariate by covariate."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from lagllama_jax.config import ForecastConfig
from lagllama_jax.inference.covariates.regression import CovariateRegression
from lagllama_jax.inference.forecast import Forecast, Predictor
from lagllama_jax.inference.settings import own_settings
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Float


class CovariateParts(NamedTuple):
    """The effect of known covariates on the steps of a forecast, which is `usual` plus all parts.

    Attributes:
      left: The series without the effect of its covariates, from which the network forecasts.
      usual: The effect if each covariate is, in the future, at its mean of the past.
      parts: How much the future values of each covariate change it.
    """

    left: SeriesDataset
    usual: Float[np.ndarray, "P"]
    parts: Float[np.ndarray, "K P"]


@dataclass(frozen=True)
class _Recorded:
    """A predictor that keeps what it is asked to forecast."""

    predictor: Predictor
    asked: list[SeriesDataset] = field(default_factory=list)

    def predict(
        self, dataset: SeriesDataset, prediction_length: int, config: ForecastConfig
    ) -> Forecast:
        self.asked.append(dataset)
        return self.predictor.predict(dataset, prediction_length, config)


def covariate_parts(
    dataset: SeriesDataset, steps: int, regression: CovariateRegression, config: ForecastConfig
) -> CovariateParts:
    """Divides the effect of the known covariates of one series.

    A part is how much the effect changes if the covariate is put at its mean in the future. It is
    the mean over two orders in which the covariates are put there one by one, first to last and
    last to first, so that the parts add up to the whole. These are the Shapley values (arXiv
    1705.07874) if at most two covariates act together. The regression rests on the past, and does
    not change.

    Args:
      dataset: One item, with known covariates, that ends with an observed value.
      steps: Number of steps of the forecast.
      regression: The predictor that uses the covariates.
      config: Options of the forecast.

    Raises:
      DataError: If the covariates lack points, or have infinite values.
    """
    assert dataset.known_covariates is not None
    known, past = dataset.known_covariates[0], dataset.targets[0].shape[1]
    count = len(known)
    recorder = _Recorded(regression.predictor)
    chosen = [slice(0, number) for number in range(count + 1)]  # the first ones, then the last ones
    chosen += [slice(count - number, count) for number in range(1, count)]
    names = [f"{dataset.item_ids[0]}, variant {number}" for number in range(len(chosen))]
    variants = replace(
        dataset.take([0] * len(names)),
        item_ids=names,
        labels=names,
        known_covariates=[_usual(known, past, rows) for rows in chosen],
    )
    with own_settings():
        forecast = replace(regression, predictor=recorder).predict(variants, steps, config)
    assert forecast.effect is not None
    forward, inner = np.split(forecast.effect, [count + 1])
    backward = np.concatenate([forward[:1], inner, forward[-1:]])
    parts = -(np.diff(forward, axis=0) + np.diff(backward, axis=0)[::-1]) / 2
    usual = forward[-1]
    left = replace(recorder.asked[0].take([0]), item_ids=dataset.item_ids, labels=dataset.labels)
    return CovariateParts(left, usual, parts)


def _usual(known: Float[np.ndarray, "K N"], past: int, rows: slice) -> Float[np.ndarray, "K N"]:
    """Covariates, some of which are at the mean of their past from the first forecast step on."""
    changed = known.copy()
    observed = np.isfinite(known[:, :past])
    total = np.where(observed, known[:, :past], 0.0).sum(axis=1)
    mean = total / np.maximum(observed.sum(axis=1), 1)
    changed[rows, past:] = mean[rows, None]
    return changed
