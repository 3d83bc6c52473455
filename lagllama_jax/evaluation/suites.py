"""The evaluation sets and their tasks: GIFT-Eval's ETT and m4_hourly, and the paper's test sets."""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.windows import Panel, Task, check_count, horizon

SUITES = ("gift-eval-ett", "m4_hourly", "all", "paper", "validation")
FOLDER = "the folder of the evaluation sets or, for suite validation, of a corpus' Parquet files"

# Published frequency -> pandas rule, points without the last incomplete period, points of a season.
_ETT_GRIDS = {
    "15T": ("15min", 69_680, 96),
    "H": ("h", 17_420, 24),
    "D": ("D", 725, 1),
    "W": ("W-THU", 103, 1),
}


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path} does not exist: give with --data-dir (data_dir) {FOLDER}.")
    return path


@functools.lru_cache(maxsize=2)
def _ett_frame(path: Path):  # type: ignore[no-untyped-def]
    import pandas as pd

    return pd.read_csv(_existing(path), index_col="date", parse_dates=True)


def ett(path: Path, frequency: str) -> Panel:
    """One transformer: 7 series of 15 minutes, or means over complete hours, days or weeks."""
    rule, length, _ = _ETT_GRIDS[frequency]
    frame = _ett_frame(path)
    if frequency != "15T":
        frame = frame.resample(rule).mean().iloc[:length]
    columns = [np.ascontiguousarray(frame[name], np.float64) for name in frame.columns]
    starts = (frame.index[0].isoformat(),) * len(columns)
    return Panel(tuple(frame.columns), tuple(columns), starts, rule)


def parquet_panel(path: Path, frequency: str | None = None, items: object = None) -> Panel:
    """Series of a Parquet file with the columns item_id, start, freq and target (a list a row).

    Args:
      path: the file.
      frequency: only the series of this alias.
      items: only the series with these names, in this order.

    Raises:
      DataError: no such file, or its series have several frequencies, or none of them this one.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(_existing(path), columns=["item_id", "start", "freq", "target"])
    if frequency is not None:
        table = table.filter(pc.equal(table["freq"], frequency))
    if items is not None:
        positions = pc.index_in(list(items), table["item_id"].combine_chunks())  # type: ignore[call-overload]
        table = table.take(positions)
    frequencies = set(table["freq"].to_pylist())
    if not frequencies:
        raise DataError(f"{path} holds no series of frequency {frequency!r}: give another file.")
    if len(frequencies) > 1:
        raise DataError(f"{path} holds series of {sorted(frequencies)}: name one frequency.")
    values = tuple(np.asarray(row.values, np.float64) for row in table["target"])
    names, starts = tuple(table["item_id"].to_pylist()), tuple(table["start"].to_pylist())
    return Panel(names, values, starts, frequencies.pop())


def exchange_rate(path: Path) -> Panel:
    """Daily rates of 8 currencies on business days, dated from 1990-01-01 by convention."""
    values = np.loadtxt(_existing(path), delimiter=",").T
    names = tuple(f"currency_{number}" for number in range(len(values)))
    return Panel(names, tuple(values), ("1990-01-01",) * len(values), "B")


def ett_tasks(data_dir: Path, terms: Sequence[str] = ("short", "medium", "long")) -> list[Task]:
    """GIFT-Eval's 16 ETT tasks, which it takes from the 15-minute files (ett1 is ETTm1)."""
    tasks = []
    for number, (frequency, (_, _, season)), term in itertools.product(
        (1, 2), _ETT_GRIDS.items(), terms
    ):
        if term != "short" and frequency in "DW":
            continue
        panel = functools.partial(ett, Path(data_dir) / f"ETTm{number}.csv.gz", frequency)
        points = horizon(frequency, term)
        tasks.append(
            Task(f"ett{number}", frequency, term, points, season, None, "Energy", 7, panel)
        )
    return tasks


def m4_hourly_task(data_dir: Path) -> Task:
    """GIFT-Eval's m4_hourly/H/short: the competition's own last 48 hours of 414 series."""
    panel = functools.partial(parquet_panel, Path(data_dir) / "m4_hourly.parquet")
    return Task("m4_hourly", "H", "short", horizon("H", m4=True), 24, 1, "Econ/Fin", 1, panel)


def _pm25(path: Path) -> Panel:
    return parquet_panel(path, items=["pm2.5"])


def paper_tasks(data_dir: Path) -> list[Task]:
    """Test sets of the Lag-Llama paper that are at hand: the last window, the paper's horizons."""
    folder = Path(data_dir)
    sets: list[tuple[str, str, int, int, str, int, Callable[[], Panel]]] = [
        ("ettm2", "15T", 24, 96, "Energy", 7, lambda: ett(folder / "ETTm2.csv.gz", "15T")),
        ("beijing_pm25", "H", 24, 24, "Nature", 1, lambda: _pm25(folder / "beijing_pm25.parquet")),
        ("exchange_rate", "B", 30, 5, "Econ/Fin", 8,
         lambda: exchange_rate(folder / "exchange_rate.txt.gz")),
    ]  # fmt: skip
    return [
        Task(name, frequency, "paper", points, season, 1, domain, variates, panel)
        for name, frequency, points, season, domain, variates, panel in sets
    ]


def suite_tasks(
    suite: str, data_dir: Path, terms: Sequence[str] = ("short", "medium", "long")
) -> list[Task]:
    """The tasks of a suite.

    Args:
      suite: `gift-eval-ett`, `m4_hourly`, `all` (both of them), `paper` or `validation`.
      data_dir: folder of the evaluation sets; for `validation`, of a corpus' Parquet files.
      terms: horizons of GIFT-Eval; `paper` has none to choose from.

    Raises:
      ConfigError: no such suite, or it has no task of these terms.
    """
    if suite not in SUITES:
        raise ConfigError(f"suite={suite!r} is not one of {', '.join(SUITES)}.")
    tasks = _suite_tasks(suite, Path(data_dir), terms)
    if not tasks:
        asked = ", ".join(terms) or "none"
        raise ConfigError(
            f"suite={suite!r} has no task of terms={asked}: give another, such as short."
        )
    return tasks


def _suite_tasks(suite: str, data_dir: Path, terms: Sequence[str]) -> list[Task]:
    if suite == "paper":
        return paper_tasks(data_dir)
    if suite == "validation":
        from lagllama_jax.evaluation.validation import validation_tasks

        return [task for task in validation_tasks(data_dir) if task.term in terms]
    tasks = ett_tasks(data_dir, terms) if suite in ("gift-eval-ett", "all") else []
    if suite in ("m4_hourly", "all") and "short" in terms:
        tasks.append(m4_hourly_task(data_dir))
    return tasks


def own_task(path: Path, prediction_length: int, windows: int = 1, freq: str | None = None) -> Task:
    """A task from a user's CSV or Parquet table: the last windows of each series.

    Args:
      path: long (`item_id, timestamp, target` or `unique_id, ds, y`) or wide.
      prediction_length: points of a window.
      windows: windows at the end of each series, one after the other.
      freq: pandas alias; `None`: told from the time stamps.

    Raises:
      ConfigError: `prediction_length` or `windows` is no whole number of at least 1.
      DataError: a table that cannot be read; names file, series, column and row.
    """
    from lagllama_jax.series.dataframe import read_frame
    from lagllama_jax.series.table_files import read_table

    check_count("prediction_length", prediction_length)
    check_count("windows", windows)
    table = read_frame(read_table(path), freq=freq)
    frequency = table.frequency
    assert frequency is not None  # a table has time stamps
    panel = Panel(
        tuple(table.item_ids),
        tuple(target[0] for target in table.targets),
        tuple(table.starts),
        frequency.alias,
    )
    name = Path(path).name.split(".")[0]
    return Task(
        name, frequency.alias, "own", prediction_length, frequency.season, windows, "own",
        len(table), lambda: panel,
    )  # fmt: skip
