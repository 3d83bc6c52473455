"""What the page asks of the processes beside it: forecasts and analyses of interventions."""

import functools
from typing import TYPE_CHECKING, NamedTuple

from lagllama_jax.app.charts import as_svg, draw_covariates, draw_paths, short
from lagllama_jax.app.choice import Choice, Files, open_table, read_choice
from lagllama_jax.app.download import plain_csv
from lagllama_jax.app.limits import MOST_VALUES, Limits
from lagllama_jax.app.result import Chart, Part, Result
from lagllama_jax.causal import impact
from lagllama_jax.config import check
from lagllama_jax.errors import ConfigError, require
from lagllama_jax.forecaster import LagLlama

if TYPE_CHECKING:
    import pandas as pd

    from lagllama_jax.causal.effect import Effect
    from lagllama_jax.inference.forecast import Forecast

MOST_PARTS = 8
"""Number of series whose pictures are drawn."""
FIRST_ROWS = 12
APOSTROPHES = (
    "In the CSV file, an apostrophe precedes names that a spreadsheet would take for a formula."
)


class ForecastQuestion(NamedTuple):
    """A forecast that is asked for.

    Attributes:
      choice: The columns.
      prediction_length: Number of time steps.
      num_samples: Number of sample paths. 0: none.
      nonnegative: Whether values below 0 are impossible.
    """

    choice: Choice
    prediction_length: int
    num_samples: int = 0
    nonnegative: bool = False


class ImpactQuestion(NamedTuple):
    """An analysis of an intervention that is asked for.

    Attributes:
      choice: The columns.
      intervention: Time of the first point that may be changed, or the number of the row.
      treated: Columns, or names of series if there is a column of them.
      controls: The same of the series that were not treated.
      method: As in `impact`.
      placebos: As in `impact`.
    """

    choice: Choice
    intervention: str
    treated: tuple[str, ...]
    controls: tuple[str, ...] = ()
    method: str = "auto"
    placebos: int = 20


@functools.cache
def load(model: str | None) -> LagLlama:
    """The model, which is loaded once per process.

    Raises:
      CheckpointError: If it cannot be loaded.
    """
    require("matplotlib", "app").use("agg")
    return LagLlama.from_pretrained(model)


def ready(model: str | None) -> str:
    """Loads the model, and describes it."""
    return repr(load(model))


def forecast(files: Files, question: ForecastQuestion, model: str | None, limits: Limits) -> Result:
    """Forecasts the chosen series.

    Raises:
      DataError: If the series cannot be read.
      ConfigError: If the forecast is too large.
    """
    steps, samples = question.prediction_length, question.num_samples
    dataset = read_choice(files, question.choice, steps, limits)
    count = len(dataset) * len(dataset.target_names)
    check(
        count * steps * max(samples, 1) <= MOST_VALUES,
        f"{samples} sample paths of {steps} time steps of {count} series are too many for the "
        "page: lower one of them.",
    )
    made = load(model).predict(
        dataset,
        steps,
        num_samples=samples or None,
        nonnegative=question.nonnegative,
        progress=False,
    )
    frame = made.to_frame()
    csv, changed = plain_csv(frame)
    shown = min(len(made), MOST_PARTS)
    notes = [APOSTROPHES] if changed else []
    if shown < len(made):
        notes.append(f"The pictures show the first {shown} series. The CSV file has all of them.")
    return Result(
        f"Forecast of {steps} time steps",
        tuple(Part(short(made.item_ids[row]), _charts(made, row)) for row in range(shown)),
        csv,
        "forecast.csv",
        *_first_rows(frame),
        notes=tuple(notes),
    )


def _charts(made: "Forecast", row: int) -> tuple[Chart, ...]:
    name, median = made.item_ids[row], made.quantiles([0.1, 0.5, 0.9], row)[0]
    first, last = (
        f"{median[1, at]:.4g} (80 % interval {median[0, at]:.4g} to {median[2, at]:.4g})"
        for at in (0, -1)
    )
    words = f"The median of {short(name)} is {first} at the first time step, and {last} at the end."
    charts = [Chart("Forecast with intervals", words, as_svg(made.plot(name)))]
    if made.samples is not None:
        words = f"Sample paths of {short(name)}: each is one way in which the series may go on."
        charts.append(Chart("Sample paths", words, draw_paths(made, row)))
    if made.dataset.known_covariates is not None:
        names = ", ".join(map(short, made.dataset.known_names[:6]))
        words = f"The known covariates {names}, and their effect on the forecast."
        charts.append(Chart("Known covariates", words, draw_covariates(made, row)))
    return tuple(charts)


def _first_rows(frame: "pd.DataFrame") -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The names and the cells of a table, of its first rows and fewer quantiles."""
    inner = [f"0.{tenth}" for tenth in range(2, 9)]
    part = frame.head(FIRST_ROWS).drop(columns=inner, errors="ignore")
    names = {"predictions": "median", "0.1": "10 %", "0.9": "90 %"}
    cells = (tuple(map(_shown, row)) for row in part.to_numpy(object))
    return tuple(names.get(str(name), short(name)) for name in part), tuple(cells)


def _shown(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else short(cell).removesuffix(" 00:00:00")


def analyse(files: Files, question: ImpactQuestion, model: str | None, limits: Limits) -> Result:
    """Estimates what an intervention did.

    Raises:
      DataError: If the series cannot be read, or do not fit the question.
      ConfigError: If the question is incomplete.
    """
    check(question.intervention != "", "Give the time of the intervention.")
    check(len(question.treated) > 0, "Choose the series that was treated.")
    table = open_table(files.table, files.encoding, limits)
    choice, names = question.choice, [*question.treated, *question.controls]
    if choice.id_column is not None:
        if len(choice.target) != 1:
            raise ConfigError("Choose one column of values for the analysis of an intervention.")
        names = [choice.id_column, choice.target[0]]
    kept = [name for name in (choice.timestamp_column, *names) if name is not None]
    effect = impact(
        table.with_frame(table.frame[list(dict.fromkeys(kept))]),
        question.intervention,
        list(question.treated),
        list(question.controls) or None,
        predictor=load(model),
        method=question.method,
        placebos=question.placebos,
        id_column=choice.id_column,
        timestamp_column=choice.timestamp_column,
        **choice.reading,
    )
    return _impact_result(effect)


def _impact_result(effect: "Effect") -> Result:
    csv, changed = plain_csv(effect.to_frame())
    low, high = effect.average_interval
    words = f"{effect.verdict} The average effect is {effect.average_effect:.4g}, with a 95 % "
    words += f"interval from {low:.4g} to {high:.4g}."
    chart = Chart("What happened, and what would have", words, as_svg(effect.plot()))
    name = ", ".join(map(short, effect.study.units[:3]))
    return Result(
        "Impact of the intervention",
        (Part(name, (chart,)),),
        csv,
        "impact.csv",
        verdict=words,
        summary=effect.summary(),
        paragraphs=tuple(effect.report().split("\n\n")),
        notes=(APOSTROPHES,) if changed else (),
    )
