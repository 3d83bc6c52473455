"""Fine-tuning: trains a model on a user's series and keeps the new weights if they are better."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from lagllama_jax.config import FitConfig, ModelConfig, check
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.training.finetune_task import make_task
from lagllama_jax.training.guard import Comparison, compare
from lagllama_jax.training.loop import Best, train
from lagllama_jax.training.metrics import Row
from lagllama_jax.training.sharding import Rules, shard_state, to_host
from lagllama_jax.training.state import init_state
from lagllama_jax.typing import Parameters


class Report(NamedTuple):
    """The report of a fine-tuning.

    Attributes:
      improved: Whether the weights were changed.
      zero_shot_loss: Validation loss before fine-tuning, in scaled units. `None`: no validation.
      best_loss: Lowest validation loss during fine-tuning. `None`: there was no validation.
      steps: Number of optimizer steps up to the returned weights.
      history: One row per dispatch, as in `training.metrics`.
      interrupted: Whether Ctrl-C or SIGTERM stopped the training early.
      forecasts: CRPS of forecasts of the held-back part before and after. `None`: they were not
        made, because the validation loss never fell below the zero-shot loss.
    """

    improved: bool
    zero_shot_loss: float | None
    best_loss: float | None
    steps: int
    history: list[dict[str, Any]]
    interrupted: bool = False
    forecasts: Comparison | None = None

    def __str__(self) -> str:
        early = "interrupted: " if self.interrupted else ""
        if self.zero_shot_loss is None:
            return f"{early}fine-tuned for {self.steps} steps, without validation"
        if self.best_loss is None:
            return f"{early}kept the zero-shot weights, as nothing was validated yet"
        found = f"loss {self.zero_shot_loss:.4f} zero-shot, {self.best_loss:.4f} fine-tuned"
        if self.forecasts is not None:
            found = f"{self.forecasts}; {found}"
        if self.improved:
            return f"{early}fine-tuned for {self.steps} steps; on the held-back part: {found}"
        why = "as forecasts of the held-back part did not improve"
        return f"{early}kept the zero-shot weights, {why}: {found}"


class Fitted(NamedTuple):
    """The weights that a fine-tuning returns, their architecture, and the report."""

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
    """Fine-tunes a model, and returns the new weights if they forecast the held-back part better.

    Early stopping uses the validation loss, in which each held-back point is predicted from the
    true points before it. The weights with the lowest validation loss are then compared with the
    old ones by the CRPS of forecasts of the held-back part. They are returned if they are better by
    more than one standard error of the paired differences; otherwise, the old weights are returned.
    So the result is not worse *on the held-back part*. It may be worse on other data.

    Args:
      parameters: Parameters of the model to start from.
      config: Its architecture.
      corpus: The series to train on.
      prediction_length: Number of time steps of the forecasts that the model will make.
      options: How to train.
      validation: Series whose last `prediction_length` points are the held-back part. `corpus` is
        then used for training as a whole. `None`: the ends of the series of `corpus` are held back.
      progress: Whether to show a progress bar. `None`: in a terminal.

    Raises:
      DataError: If no series is long enough for training or for validation.
      ConfigError: If an option is invalid.
      TrainingError: If a loss is not finite.
    """
    task = make_task(config, corpus, prediction_length, options, validation)
    sink = _Rows()
    # The given weights may be on devices that are none of the mesh.
    given = jax.tree.map(np.asarray, parameters)
    run = task.run(given, sink)
    state = shard_state(task.mesh, Rules(), init_state(given, task.recipe.train))
    start = None
    if task.validated:
        start = Best(given, task.evaluate(config)(given), 0, 0)
    trained = train(run, state, start, progress)
    cut = trained.stopped == "signal"
    if start is None:
        report = Report(True, None, None, int(trained.state.step), sink.rows, cut)
        return Fitted(to_host(trained.weights), task.recipe.model, report)
    losses = [row["validation_loss"] for row in sink.rows if row["validation_loss"] is not None]
    best = trained.best
    if best is None or best.step == 0:
        least = min(losses, default=None)
        return Fitted(parameters, config, Report(False, start.loss, least, 0, sink.rows, cut))
    weights = to_host(best.weights)
    found = compare(task.crps(config, parameters), task.crps(task.recipe.model, weights))
    steps = best.step if found.improved else 0
    report = Report(found.improved, start.loss, best.loss, steps, sink.rows, cut, found)
    if not found.improved:
        return Fitted(parameters, config, report)
    return Fitted(weights, task.recipe.model, report)


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
    """Fine-tunes with each learning rate and context length, and chooses the best result.

    The authors recommend trying both (contexts from 32 to 1024, learning rates from 5e-5 to 1e-2).
    All results are compared by the CRPS of forecasts of the same points in the same units. Ctrl-C
    ends the sweep with the best result so far.

    Args:
      parameters: As for `fit`.
      config: As for `fit`.
      corpus: As for `fit`.
      prediction_length: As for `fit`.
      options: As for `fit`; the two fields that are swept are replaced.
      learning_rates: Learning rates to try.
      context_lengths: Context lengths to try. `None`: that of the model.
      progress: As for `fit`.

    Returns:
      The best result, and the options and report of each fine-tuning.

    Raises:
      ConfigError: If an option is invalid, or `options.validation` is 0 and several are tried.
      DataError: As for `fit`.
      TrainingError: As for `fit`.
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
    """A text table of the validation losses of a sweep."""
    lines = ["learning rate  context  zero-shot fine-tuned  steps"]
    for options, report in tried:
        context = options.context_length or "as is"
        losses = " ".join(
            f"{'-':>10}" if loss is None else f"{loss:>10.4f}"
            for loss in (report.zero_shot_loss, report.best_loss)
        )
        lines.append(f"{options.learning_rate:>13g} {context:>8} {losses} {report.steps:>6}")
    return "\n".join(lines)


def _final(fitted: Fitted) -> float:
    """CRPS of forecasts with the returned weights, by which a sweep chooses."""
    report = fitted.report
    if report.forecasts is None:
        return math.inf
    return report.forecasts.after if report.improved else report.forecasts.before


class _Rows:
    """A sink that stores the rows in a list."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, row: Row) -> None:
        self.rows.append(dict(row))

    def close(self) -> None:
        pass
