"""Fine-tuning: a model's weights, moved towards one's own series, if that helps."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from lagllama_jax.config import FitConfig, ModelConfig
from lagllama_jax.config.base import check
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.training.finetune_task import make_task
from lagllama_jax.training.loop import Best, train
from lagllama_jax.training.metrics import Row
from lagllama_jax.training.sharding import Rules, shard_state, to_host
from lagllama_jax.training.state import init_state
from lagllama_jax.typing import Parameters


class Report(NamedTuple):
    """How a fine-tuning went.

    Attributes:
      improved: whether the weights were changed.
      zero_shot_loss: validation loss before it, free of units; `None` without validation.
      best_loss: the lowest after it.
      steps: optimizer steps until the best.
      history: one row a dispatch, as in `training.metrics`.
      interrupted: whether Ctrl-C or SIGTERM ended it before its time.
    """

    improved: bool
    zero_shot_loss: float | None
    best_loss: float | None
    steps: int
    history: list[dict[str, Any]]
    interrupted: bool = False

    def __str__(self) -> str:
        early = "interrupted: " if self.interrupted else ""
        if self.zero_shot_loss is None:
            return f"{early}fine-tuned for {self.steps} steps, without validation"
        losses = f"{self.zero_shot_loss:.4f} zero-shot, {self.best_loss:.4f} fine-tuned"
        if self.improved:
            return f"{early}fine-tuned for {self.steps} steps; validation loss: {losses}"
        why = "as validation did not improve; its loss"
        return f"{early}kept the zero-shot weights, {why}: {losses}"


class Fitted(NamedTuple):
    """Weights with their architecture, and how they came about."""

    parameters: Parameters
    config: ModelConfig
    report: Report


def fit(
    parameters: Parameters,
    config: ModelConfig,
    corpus: Corpus,
    prediction_length: int,
    options: FitConfig = FitConfig(),  # noqa: B008
    *,
    validation: Corpus | None = None,
    progress: bool | None = None,
) -> Fitted:
    """Fine-tunes, and returns the weights with the lowest validation loss, the old ones included.

    So the result is not worse *on the validation part*; on other data it may be. Validation is
    the mean loss of each point of the held-back ends given the true points before it.

    Args:
      parameters: of the model to begin with.
      config: its architecture.
      corpus: the series.
      prediction_length: of the forecasts that are wanted.
      options: how to train.
      validation: whole series whose last `prediction_length` points validate, in place of the
        ends of `corpus`, which is then trained on to its end.
      progress: a bar or none; `None`: a bar in a terminal.

    Raises:
      DataError: no series is long enough to train on, or to validate on.
      ConfigError: options that cannot be.
      TrainingError: a loss that is not finite.
    """
    task = make_task(config, corpus, prediction_length, options, validation)
    sink = _Rows()
    run = task.run(parameters, sink)
    state = shard_state(task.mesh, Rules(), init_state(parameters, task.train))
    start = None
    if task.validated:
        start = Best(parameters, task.evaluate(config)(parameters), 0, 0)
    trained = train(run, state, start, progress)
    cut = trained.stopped == "signal"
    if start is None:
        report = Report(True, None, None, int(trained.state.step), sink.rows, cut)
        return Fitted(to_host(trained.weights), task.model, report)
    losses = [row["validation_loss"] for row in sink.rows if row["validation_loss"] is not None]
    best = trained.best
    if best is None or best.step == 0:
        least = min(losses, default=start.loss)
        return Fitted(parameters, config, Report(False, start.loss, least, 0, sink.rows, cut))
    report = Report(True, start.loss, best.loss, best.step, sink.rows, cut)
    return Fitted(to_host(best.weights), task.model, report)


def sweep(
    parameters: Parameters,
    config: ModelConfig,
    corpus: Corpus,
    prediction_length: int,
    options: FitConfig = FitConfig(),  # noqa: B008
    *,
    learning_rates: Sequence[float] = (1e-5, 1e-4, 1e-3),
    context_lengths: Sequence[int | None] = (None,),
    progress: bool | None = None,
) -> tuple[Fitted, list[tuple[FitConfig, Report]]]:
    """Fine-tunes with every learning rate and context length; the best by validation, and all.

    The authors advise to try both (contexts from 32 to 1024, rates from 5e-5 to 1e-2). All are
    compared on the same points in the same units. Ctrl-C ends it with the best so far.

    Raises:
      ConfigError: If a value is invalid, or `options.validation` is 0 and nothing to choose by.
    """
    several = len(learning_rates) * len(context_lengths) > 1
    check(options.validation > 0 or not several, "To choose, a sweep needs validation=1 or more.")
    choices = [
        options.replace(context_length=context, learning_rate=rate)
        for context, rate in itertools.product(context_lengths, learning_rates)
    ]
    tried: list[tuple[FitConfig, Report]] = []
    best: Fitted | None = None
    for one in choices:
        fitted = fit(parameters, config, corpus, prediction_length, one, progress=progress)
        tried.append((one, fitted.report))
        if best is None or _final(fitted) < _final(best):
            best = fitted
        if fitted.report.interrupted:
            break
    assert best is not None
    return best, tried


def sweep_table(tried: Sequence[tuple[FitConfig, Report]]) -> str:
    """Validation losses of a sweep, as a table in text."""
    lines = ["learning rate  context  zero-shot fine-tuned  steps"]
    for options, report in tried:
        context = options.context_length or "as is"
        losses = f"{report.zero_shot_loss:>10.4f} {report.best_loss:>10.4f}"
        lines.append(f"{options.learning_rate:>13g} {context:>8} {losses} {report.steps:>6}")
    return "\n".join(lines)


def _final(fitted: Fitted) -> float:
    report = fitted.report
    loss = report.best_loss if report.improved else report.zero_shot_loss
    return math.inf if loss is None else loss


class _Rows:
    """A sink that keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, row: Row) -> None:
        self.rows.append(dict(row))

    def close(self) -> None:
        pass
