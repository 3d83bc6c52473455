"""Reads the fields of the form, in which columns are named by their numbers."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from lagllama_jax.app.choice import Choice
from lagllama_jax.app.limits import Limits
from lagllama_jax.app.summary import TableSummary
from lagllama_jax.app.tasks import ForecastQuestion, ImpactQuestion
from lagllama_jax.causal import estimators
from lagllama_jax.config import check, checked
from lagllama_jax.config.base import Interval
from lagllama_jax.errors import ConfigError

Fields = Mapping[str, Sequence[str]]
"""The values of each field as the browser sends them."""
METHODS = ("auto", *estimators.METHODS)
MOST_PLACEBOS = 100
LONGEST_TEXT = 100


def fields_of(choice: Choice, columns: Sequence[str]) -> dict[str, list[str]]:
    """The fields of a form that has a choice of columns, and the usual questions."""
    place = {name: str(number) for number, name in enumerate(columns)}
    target = [place[name] for name in choice.target]
    return {
        "layout": [choice.layout],
        "id": [place.get(choice.id_column or "", "")],
        "time": [place.get(choice.timestamp_column or "", "")],
        "target": target,
        "known": [place[name] for name in choice.known],
        "horizon": ["24"],
        "samples": ["50"],
        "method": ["auto"],
        "placebos": ["20"],
        "treated": [] if choice.id_column else target[:1],
    }


def text(fields: Fields, name: str) -> str:
    """The text of a field without blanks around it.

    Raises:
      ConfigError: If it is too long.
    """
    found = "".join(fields.get(name, ())[:1]).strip()
    check(len(found) <= LONGEST_TEXT, f"The text in {name!r} is too long.")
    return found


def number(fields: Fields, name: str, words: str, least: int, most: int) -> int:
    """The whole number in a field.

    Raises:
      ConfigError: If it is none, or beyond its bounds. The message has `words`.
    """
    given = text(fields, name)
    try:
        value = int(given)
    except ValueError:
        raise ConfigError(f"{words} must be a whole number, and is {given!r}.") from None
    hint = Annotated[int, Interval(least=least, most=most)]
    return int(checked(words, value, hint))


def choice_of(fields: Fields, columns: Sequence[str]) -> Choice:
    """The choice of columns in a form.

    Raises:
      ConfigError: If a field has another value than the form offers.
    """
    one = lambda name: (*_named(fields, name, columns), None)[0]  # noqa: E731
    order = {"": None, "day": True, "month": False}
    given = {name: text(fields, name) or None for name in ("freq", "date_format", "decimal")}
    return Choice(
        checked("layout", text(fields, "layout") or "long", Literal["long", "wide"]),
        None if text(fields, "layout") == "wide" else one("id"),
        one("time"),
        _named(fields, "target", columns),
        _named(fields, "known", columns),
        dayfirst=order.get(text(fields, "order")),
        **given,
    )


def forecast_of(fields: Fields, summary: TableSummary, limits: Limits) -> ForecastQuestion:
    """The forecast that a form asks for.

    Raises:
      ConfigError: If a field is invalid.
    """
    return ForecastQuestion(
        choice_of(fields, summary.columns),
        number(fields, "horizon", "The horizon", 1, limits.max_horizon),
        number(fields, "samples", "The number of sample paths", 0, limits.max_samples),
        bool(fields.get("nonnegative")),
    )


def impact_of(fields: Fields, summary: TableSummary) -> ImpactQuestion:
    """The analysis that a form asks for.

    Raises:
      ConfigError: If a field is invalid.
    """
    choice = choice_of(fields, summary.columns)
    names = units_of(summary, choice)
    method = text(fields, "method") or "auto"
    check(method in METHODS, f"The method {method!r} is not one of {', '.join(METHODS)}.")
    return ImpactQuestion(
        choice,
        text(fields, "intervention"),
        _named(fields, "treated", names),
        _named(fields, "controls", names),
        method,
        number(fields, "placebos", "The number of false interventions", 0, MOST_PLACEBOS),
    )


def units_of(summary: TableSummary, choice: Choice) -> tuple[str, ...]:
    """What can be treated or a control: the series of a column of names, or the columns."""
    return summary.items if choice.id_column is not None else summary.columns


def _named(fields: Fields, name: str, columns: Sequence[str]) -> tuple[Any, ...]:
    """The names of the columns whose numbers are in a field."""
    numbers = [given for given in fields.get(name, ()) if given]
    for given in numbers:
        known = given.isascii() and given.isdigit() and int(given) < len(columns)
        check(known, f"The field {name!r} has a value that the page does not offer: load it again.")
    return tuple(columns[int(given)] for given in numbers)
