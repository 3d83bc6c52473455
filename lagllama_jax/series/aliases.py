"""Reads the frequency aliases of pandas in old and new spellings, and writes the new ones."""

import re
from typing import Any, NamedTuple

from lagllama_jax.errors import DataError

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
NANOSECONDS = {
    "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9,
    "D": 86_400 * 10**9,
}  # fmt: skip
"""Length of each unit of a fixed length, in nanoseconds."""
MONTHS_PER = {"M": 1, "Q": 3, "Y": 12}
_FIXED = {"N": "ns", "U": "us", "L": "ms", "T": "min"}  # old names of units
_PERIOD = re.compile(r"(B?)([MQAY])([ES]?)")
_FINE = {"milliseconds", "microseconds", "nanoseconds"}
_PART = re.compile(r"(\d*)([A-Za-z]+)(?:-([A-Za-z]{3}))?")


class Step(NamedTuple):
    """The meaning of an alias.

    The fields have the same meaning as in `lagllama_jax.series.frequency.Frequency`.
    """

    unit: str
    step: int
    anchor: int = 0
    stamp: str = "end"


def read_alias(text: str) -> Step:
    """Parses a frequency alias of pandas.

    Raises:
      DataError: If the text is not an alias, or its grid is not regular, such as business hours.
    """
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise _unknown(text)
    steps = [_read_part(text, *part.groups()) for part in parts]
    if len(steps) == 1:
        return steps[0]
    if any(step.unit not in NANOSECONDS for step in steps):
        raise _unknown(text)
    return fixed_step(sum(step.step * NANOSECONDS[step.unit] for step in steps))


def _read_part(text: str, count: str, name: str, anchor: str | None) -> Step:
    step, upper, anchor = int(count or 1), name.upper(), anchor and anchor.upper()
    if name == "m":
        raise DataError("Frequency 'm' is ambiguous: write 'min' for minutes or 'ME' for months.")
    if step < 1:
        raise DataError(f"Frequency {text!r} must step by at least 1.")
    if upper == "W" and (anchor is None or anchor in WEEKDAYS):
        return Step("W", step, WEEKDAYS.index(anchor or "SUN"))
    if anchor is None and upper == "B":
        return Step("B", step)
    known = {unit.upper(): unit for unit in NANOSECONDS if unit != "ms"} | _FIXED
    unit = "ms" if name == "ms" else known.get(upper)
    if anchor is None and unit is not None:
        return _in_seconds(Step(unit, step))
    return _read_period(text, step, upper, anchor)


def _read_period(text: str, step: int, name: str, anchor: str | None) -> Step:
    match = _PERIOD.fullmatch(name)
    if match is None or (anchor is not None and (match[2] == "M" or anchor not in MONTHS)):
        raise _unknown(text)
    unit, starts = match[2].replace("A", "Y"), match[3] == "S"
    stamp = f"{'business ' if match[1] else ''}{'start' if starts else 'end'}"
    length = MONTHS_PER[unit]
    month = MONTHS.index(anchor or ("JAN" if starts else "DEC")) + (length - 1) * starts
    return Step(unit, step, month % length, stamp)


def _in_seconds(step: Step) -> Step:
    """The same step in seconds, if it has a finer unit and is a number of seconds."""
    second = NANOSECONDS["s"]
    count, rest = divmod(step.step * NANOSECONDS[step.unit], second)
    return step if rest or NANOSECONDS[step.unit] >= second else Step("s", count)


def fixed_step(nanoseconds: int) -> Step:
    """The step of a number of nanoseconds, in the largest unit that divides it."""
    unit = next(u for u in reversed(NANOSECONDS) if nanoseconds % NANOSECONDS[u] == 0)
    return Step(unit, nanoseconds // NANOSECONDS[unit])


def read_length(length: Any) -> Step:
    """Converts a length of time (`Timedelta`, `timedelta` or `timedelta64`) to a step.

    Raises:
      DataError: If the length is not positive.
    """
    import pandas as pd

    exact = pd.Timedelta(length)
    if not exact > pd.Timedelta(0):
        raise DataError(f"Frequency {length!r} must be longer than 0.")
    return fixed_step(exact.as_unit("ns").value)


def read_offset(offset: Any) -> Step:
    """Converts a `pandas.DateOffset` of months and years, or of fixed lengths, to a step.

    Raises:
      DataError: If the offset mixes the two, or sets a calendar field such as `day`.
    """
    import pandas as pd

    lengths = {name: offset.n * count for name, count in offset.kwds.items()}
    months = lengths.pop("months", 0) + 12 * lengths.pop("years", 0)
    fixed = lengths.keys() <= {"weeks", "days", "hours", "minutes", "seconds"} | _FINE
    if fixed and months > 0 and not lengths:
        return Step("M", months)
    if fixed and months == 0 and lengths:
        return read_length(pd.Timedelta(**lengths))
    raise DataError(
        f"{offset} is not a frequency with a regular grid. Give months and years, or weeks, days, "
        "hours and shorter, such as pd.DateOffset(months=3)."
    )


def write_alias(step: Step) -> str:
    """The alias of a step in the current spelling of pandas, which `read_alias` parses."""
    name, starts = step.unit, "start" in step.stamp
    if step.unit == "W":
        name = f"W-{WEEKDAYS[step.anchor]}"
    elif step.unit in MONTHS_PER:
        name = "B" * step.stamp.startswith("business") + step.unit + ("S" if starts else "E")
        if step.unit == "Q":
            name += f"-{MONTHS[(step.anchor - 2) % 3 if starts else step.anchor + 9]}"
        elif step.unit == "Y":
            name += f"-{MONTHS[(step.anchor + starts) % 12]}"
    return f"{step.step}{name}" if step.step > 1 else name


def _unknown(text: str) -> DataError:
    return DataError(
        f"{text!r} is not a frequency with a regular grid. Known are pandas' aliases s, min, h, D, "
        "B, W, ME, QE, YE and their starts (MS, QS, YS), anchors (W-SUN, QE-DEC), multiples "
        "(15min, 2W), the older spellings (S, T, H, M, Q, A) and ms, us, ns."
    )
