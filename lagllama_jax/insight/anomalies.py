"""Anomaly scores: how probable each past value was, given the values before it."""

import numbers
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import ModelConfig, check
from lagllama_jax.errors import DataError
from lagllama_jax.inference.batch import prepare
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.inference.point_mass import (
    JUDGED,
    WINDOWS,
    Window,
    cycled,
    departures,
    describes,
    foresaw,
)
from lagllama_jax.inference.rare_values import cycle_of, tell, usual_value
from lagllama_jax.insight.windows import (
    check_student_t,
    explained_model,
    observed_part,
    over_windows,
)
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Array, Float, Int, Parameters

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = ("observed", "expected", "lower", "upper", "tail_probability", "anomaly")
"""Columns of `AnomalyScores.to_frame` beside those of names and times."""
RARE = 0.02
"""Largest share of ordinary points of a series below the threshold, without a warning."""
SEGMENT = 32
"""Number of consecutive steps that are scored with one location and scale, from before them."""
FEWEST = 16
"""Number of observed values before the first step that is scored."""


class Segments(NamedTuple):
    """Stretches of consecutive steps, each of which is scored by one window of the network.

    Attributes:
      row: Index of the series.
      begin: First step of the stretch.
      end: The step after its last one.
    """

    row: Int[np.ndarray, "n"]
    begin: Int[np.ndarray, "n"]
    end: Int[np.ndarray, "n"]


def segments_of(dataset: SeriesDataset) -> Segments:
    """The segments of all steps that have at least `FEWEST` observed values before them.

    Raises:
      DataError: If no series has such a step.
    """
    found, short = [np.empty((0, 3), np.int64)], []
    for row, target in enumerate(dataset.targets):
        before = np.flatnonzero(~np.isnan(target[0]))
        length = target.shape[1]
        if len(before) <= FEWEST:
            short.append(row)
            continue
        first = before[FEWEST - 1] + 1
        begins = np.r_[first, np.arange((first // SEGMENT + 1) * SEGMENT, length, SEGMENT)]
        ends = np.r_[begins[1:], length]
        found.append(np.stack([np.full(len(begins), row), begins, ends], axis=1))
    if short:
        name, count = dataset.item_ids[short[0]], int((~np.isnan(dataset.targets[short[0]])).sum())
        message = (
            f"Series {name!r} has {count} values, and the first {FEWEST} of a series are not scored"
        )
        if len(short) == len(dataset):
            raise DataError(f"{message}: give longer series.")
        warnings.warn(f"{message} ({len(short)} such series).", stacklevel=5)
    return Segments(*np.concatenate(found).T)


def segment_laws(parameters: Parameters, model: ModelConfig, batch: Batch) -> Float[Array, "G 3 S"]:
    """The Student-t distributions of the last `SEGMENT` points of each window.

    Each point is predicted from the points before it. Location and scale are fitted to the points
    before `batch.start`.
    """
    network = LagLlamaNetwork(model)
    encoding: Any = network.apply(
        {"params": parameters}, batch, window=model.window, method="encode"
    )
    head: Any = bind_head(model, parameters)
    hidden = encoding.hidden[:, -SEGMENT - 1 : -1]
    law = head(hidden, encoding.scale.loc, encoding.scale.scale)
    return jnp.stack([law.df, law.loc, law.scale], axis=1)


def score(
    parameters: Parameters,
    config: ModelConfig,
    dataset: SeriesDataset,
    threshold: float = 0.001,
    coverage: float = 0.95,
    context_length: int | None = None,
) -> "AnomalyScores":
    """Scores the past of each series. The arguments and errors are those of `LagLlama.score`."""
    shares: dict[str, Any] = {"threshold": threshold, "coverage": coverage}
    for name, value in shares.items():
        inside = isinstance(value, numbers.Real) and 0 < float(value) < 1
        check(inside, f"{name}={value!r} must be between 0 and 1.")
    check_student_t(config, "score")
    asked = explained_model(config, context_length)
    model = asked.replace(
        context_length=asked.context_length + SEGMENT, attention_window=asked.window
    )
    series = observed_part(dataset)
    segments = segments_of(series)
    unknown = np.full((1, SEGMENT), np.nan)  # so that the last segment can be as long as others
    longer = replace(series, targets=[np.c_[target, unknown] for target in series.targets])
    center, width = np.empty((2, len(segments.row), 1))  # filled by batches in any order

    def make(places: Int[np.ndarray, "G"]) -> Batch:
        row, begin, _ = (part[places] for part in segments)
        parts = longer.take(row.tolist()).truncate(begin + SEGMENT)
        prepared = prepare(parts, np.arange(len(places)), model, 0)
        center[places], width[places] = prepared.center, prepared.width
        start: Any = np.full(len(places), asked.past_length, np.int32)
        return prepared.batch._replace(start=start)

    found = over_windows(segment_laws, parameters, model, len(segments.row), make)
    df, loc, scale = np.moveaxis(found.astype(np.float64), 1, 0)
    laws = [_unknown(length) for length in series.lengths]
    for row, begin, end, *law in zip(
        *segments, df, center + width * loc, width * scale, strict=True
    ):
        for part, values in zip(laws[row][:3], law, strict=True):
            part[0, begin:end] = values[: end - begin]
    _give_point_masses(laws, series, segments)
    scores = AnomalyScores(series, laws, threshold, coverage)
    _warn_of_rare_values(scores)
    return scores


def _unknown(length: int) -> Marginals:
    """Distributions of steps that are filled in later."""
    return Marginals(*map(np.array, Marginals.student_t(*np.full((3, 1, length), np.nan))))


def _give_point_masses(laws: list[Marginals], dataset: SeriesDataset, segments: Segments) -> None:
    """Gives a point mass to segments of series that mostly have one value (`WithPointMasses`).

    The windows of the past are the last segments before each.
    """
    windows: dict[int, list[Window]] = {}
    for row, begin, end in zip(*(part.tolist() for part in segments), strict=True):
        values, cycle = dataset.targets[row][0], cycle_of(dataset.frequencies[row])
        law, steps = departures(values[:begin], cycle), slice(begin, end)
        if law is None:
            continue
        quantiles = laws[row].steps(steps).quantiles(JUDGED)[0]
        before = windows.setdefault(row, [])
        if describes(law, quantiles, values[:begin]) and not foresaw(before[-WINDOWS:]):
            for part, one in zip(laws[row], cycled(law, end - begin), strict=True):
                part[:, steps] = one
        before.append(Window.of(law, quantiles, values[steps]))


def _warn_of_rare_values(scores: "AnomalyScores") -> None:
    """Warns if values that a series has now and then are taken for anomalies."""
    found = []
    for name, past, tail in zip(
        scores.item_ids, scores.observed, scores.tail_probability, strict=True
    ):
        share = (tail < scores.threshold).sum() / max(np.isfinite(tail).sum(), 1)
        usual = usual_value(past)
        if usual is not None and share > max(RARE, 10 * scores.threshold):
            found.append((share, name, usual))
    tell(
        found,
        len(scores),
        "{:.0%} of all points are below the threshold: other values are ordinary there, and no "
        "anomalies. Score sums over longer steps, such as weeks.",
    )


@dataclass(frozen=True, repr=False)
class AnomalyScores:
    """How probable each past value of some series was, given the values before it.

    The lists have one array per series, with one entry per time step. It is NaN for the first steps
    of a series, and probabilities are NaN where a value is missing.

    Attributes:
      dataset: The series.
      laws: The predictive distributions of the steps, one step ahead.
      threshold: Tail probability below which a value counts as an anomaly.
      coverage: Coverage of the interval from `lower` to `upper`.
    """

    dataset: SeriesDataset
    laws: list[Marginals]
    threshold: float
    coverage: float

    def __len__(self) -> int:
        return len(self.laws)

    def __repr__(self) -> str:
        steps = sum(np.isfinite(one).sum() for one in self.tail_probability)
        count = sum((one < self.threshold).sum() for one in self.tail_probability)
        return f"AnomalyScores({len(self)} series, {steps} steps, {count} below {self.threshold:g})"

    @property
    def item_ids(self) -> list[str]:
        """The name of each series."""
        return list(self.dataset.item_ids)

    @property
    def observed(self) -> list[Float[np.ndarray, "T"]]:
        """The values."""
        return [target[0] for target in self.dataset.targets]

    def quantile(self, level: float) -> list[Float[np.ndarray, "T"]]:
        """A quantile of each predictive distribution."""
        return [law.quantiles([level])[0, 0] for law in self.laws]

    @property
    def expected(self) -> list[Float[np.ndarray, "T"]]:
        """The median of each predictive distribution."""
        return self.quantile(0.5)

    @property
    def lower(self) -> list[Float[np.ndarray, "T"]]:
        """The lower end of each central prediction interval."""
        return self.quantile((1 - self.coverage) / 2)

    @property
    def upper(self) -> list[Float[np.ndarray, "T"]]:
        """The upper end of each central prediction interval."""
        return self.quantile((1 + self.coverage) / 2)

    @property
    def probability(self) -> list[Float[np.ndarray, "T"]]:
        """Predicted probability of at most the observed value.

        If the distributions are right, these numbers are uniform between 0 and 1 (the probability
        integral transform).
        """
        return [at_most for at_most, _ in self._probabilities()]

    @property
    def tail_probability(self) -> list[Float[np.ndarray, "T"]]:
        """Predicted probability of a value that is at least as unusual on either side.

        This is twice the smaller one of the probabilities of at most and of at least the value.
        """
        return [np.minimum(2 * np.minimum(*both), 1) for both in self._probabilities()]

    def _probabilities(self) -> list[Float[np.ndarray, "2 T"]]:
        """The probabilities of at most and of at least each value."""
        pairs = zip(self.laws, self.observed, strict=True)
        return [np.stack(law.probability(values[None]))[:, 0] for law, values in pairs]

    def to_frame(self) -> "pd.DataFrame":
        """One row per series and time step.

        The columns are the name of the series, the time stamp, `observed`, `expected`, `lower`,
        `upper`, `tail_probability` and `anomaly`.

        Raises:
          DataError: If the column of names or times is named like another column.
        """
        import pandas as pd

        data = self.dataset
        data.check_columns(COLUMNS)
        steps = [self.stamps(row) for row in range(len(self))]
        columns: dict[Any, Any] = {
            data.id_column: pd.Index(data.labels).repeat(data.lengths),
            data.timestamp_column: steps[0].append(steps[1:])
            if data.dated
            else np.concatenate(steps),
        }
        for name in COLUMNS[:-1]:
            columns[name] = np.concatenate(getattr(self, name))
        columns["anomaly"] = columns["tail_probability"] < self.threshold
        return pd.DataFrame(columns)

    def anomalies(self) -> "pd.DataFrame":
        """The rows of `to_frame` that are anomalies, the least probable ones first."""
        frame = self.to_frame()
        return frame[frame["anomaly"]].sort_values("tail_probability", ignore_index=True)

    def stamps(self, row: int) -> Any:
        """The time stamps of a series, or the numbers of its steps."""
        count = self.dataset.targets[row].shape[1]
        of = self.dataset.positions if self.dataset.starts[row] is None else self.dataset.timestamps
        return of(row, -count, count)

    def plot(
        self, series: Sequence[str] | str | None = None, *, history: int | None = None
    ) -> "Figure":
        """Plots the values, the prediction intervals and the anomalies of some series.

        Args:
          series: Names of the series to plot. `None`: the first four.
          history: Number of last steps to plot. `None`: all.

        Raises:
          ConfigError: If a name is unknown.
          MissingExtraError: If Matplotlib is not installed.
        """
        from lagllama_jax.insight.plots import plot_scores

        return plot_scores(self, series, history)
