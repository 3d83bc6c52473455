"""Converts data frames of any library to a `Table`, and results back to the user's library."""

import contextlib
from typing import Any

import numpy as np
import pandas as pd

from lagllama_jax.errors import DataError
from lagllama_jax.series.columns import ITEM_NAMES, is_text, is_time, is_time_index
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.tables import Table


def as_table(data: Any, freq: Any = None) -> Table:
    """Makes a table from a pandas, polars, Arrow or DuckDB data frame, or a pandas Series.

    The levels of an index become columns, and several levels of column names are joined by `/`.
    Lists in cells, with one row per series, become one row per time step.

    Args:
      data: The data frame.
      freq: Step of lists that have a `start` and no `freq`.

    Raises:
      DataError: If `data` is something else, has no rows, has two columns of the same name, or a
        column and the index have the same name and other values.
    """
    if isinstance(data, Table):
        return data
    for convert in ("collect", "to_pandas", "to_df"):
        if not isinstance(data, pd.DataFrame | pd.Series) and hasattr(data, convert):
            data = getattr(data, convert)()
    if isinstance(data, pd.Series):
        data = data.to_frame("target" if data.name is None else data.name)
    if not isinstance(data, pd.DataFrame):
        raise DataError(
            f"Expected a data frame, not {type(data).__name__}. Convert it with pandas.DataFrame, "
            "or give arrays to predict."
        )
    if isinstance(data.columns, pd.MultiIndex):
        data = data.set_axis([_joined(names) for names in data.columns], axis=1)
    table = Table(_with_index(Table(data).frame))
    return table.with_frame(_exploded(table.frame, freq))


def _joined(names: list[Any]) -> str:
    return "/".join(str(name) for name in names if str(name))


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the levels of its index as columns, unless they only number the rows."""
    index = frame.index
    names = _index_names(index)
    same = [
        one for one in frame if is_time(frame[one].dtype) and index.equals(pd.Index(frame[one]))
    ]
    if not names or (index.names == [None] and same):
        return frame
    for name, level in zip(names, range(index.nlevels), strict=True):
        if name in frame.columns:
            values = index.get_level_values(level)
            if not values.equals(pd.Index(frame[name])):
                raise DataError(
                    f"The index and the column {name!r} have the same name and other values. Drop "
                    "the index (reset_index(drop=True)) or rename the column."
                )
            frame = frame.drop(columns=name)
    frame = frame.reset_index(names=names)
    items = names[:-1] if index.nlevels > 2 else []
    if not items:
        return frame
    joined = frame[items[0]].astype(str)
    for name in items[1:]:
        joined = joined + "/" + frame[name].astype(str)
    frame = frame.drop(columns=items)
    frame.insert(0, "item_id" if "item_id" not in frame else "/".join(items), joined)
    return frame


def _index_names(index: pd.Index) -> list[Any]:
    """Names of the levels of an index that tell more than the number of a row."""
    if index.nlevels == 1:
        usual = ["timestamp"] if is_time_index(index) else []
        return usual if index.name is None else [index.name]
    usual = ["item_id"] if index.nlevels == 2 else [f"level {n}" for n in range(index.nlevels - 1)]
    times = [is_time_index(index.get_level_values(level)) for level in range(index.nlevels)]
    usual.insert(times.index(True) if any(times) else len(usual), "timestamp")
    return [new if old is None else old for old, new in zip(index.names, usual, strict=True)]


def _exploded(frame: pd.DataFrame, freq: Any) -> pd.DataFrame:
    """A frame with one row per time step, if the cells of a frame are lists."""
    lists = [name for name in frame if _holds_lists(frame[name])]
    if not lists:
        return frame
    others = [name for name in frame if name not in (*lists, "start", "freq")]
    if others and not set(ITEM_NAMES) & set(others):
        named = [name for name in others if frame[name].is_unique] or others
        frame = frame.rename(columns={named[0]: "item_id"})
    lengths = frame[lists].map(np.size)
    uneven = (
        (lengths.nunique(axis=1) > 1) | (lengths[lists[0]] == 0) | frame[lists].isna().any(axis=1)
    )
    if uneven.any():
        row = int(np.argmax(uneven))
        raise DataError(
            f"Row {row}: the lists in {', '.join(map(str, lists))} differ in length, or are "
            "empty. Drop the row, or fill the lists."
        )
    if "start" in frame:
        if "freq" not in frame and freq is None:
            raise DataError("The series have a start and no step. Give it, as in freq='h'.")
        steps = frame["freq"] if "freq" in frame else [freq] * len(frame)
        frame = frame.assign(timestamp=_stamps(frame["start"], steps, lengths.iloc[:, 0]))
        frame, lists = frame.drop(columns=["start", "freq"], errors="ignore"), [*lists, "timestamp"]
    return frame.explode(lists, ignore_index=True)


def _holds_lists(column: pd.Series) -> bool:
    cells = column.dropna()
    return len(cells) > 0 and isinstance(cells.iloc[0], list | np.ndarray)


def _stamps(starts: Any, steps: Any, lengths: Any) -> list[Any]:
    from lagllama_jax.series.arrays import as_timestamp
    from lagllama_jax.series.frequency import Frequency

    rows = zip(starts, steps, lengths, strict=True)
    return [Frequency.parse(freq).timestamps(as_timestamp(start), 0, n) for start, freq, n in rows]


def like(data: Any, frame: pd.DataFrame, dataset: SeriesDataset) -> Any:
    """Converts a result to the library and the types of the user's `data`.

    The columns of names and of time stamps have the types that they have in `data`. Times that are
    text there are written in its format, or remain time stamps if this cannot be told.

    Args:
      data: The data frame that the user gave.
      frame: The result.
      dataset: The series that were read from `data`.
    """
    item, time = dataset.id_column, dataset.timestamp_column
    library, names = type(data).__module__.partition(".")[0], [item, time]
    if dataset.write_times is not None and time in _column_names(data):
        frame[time] = dataset.write_times(pd.DatetimeIndex(frame[time]))
        if is_text(as_table(data).frame[time]) and is_time(frame[time].dtype):
            names.remove(time)
    if library == "polars":
        return _like_polars(data, frame, names)
    if library == "pyarrow":
        return _like_arrow(data, frame, names)
    return _like_pandas(data, frame, names) if isinstance(data, pd.DataFrame) else frame


def _column_names(data: Any) -> list[Any]:
    if hasattr(data, "collect_schema"):
        return list(data.collect_schema())
    return list(getattr(data, "column_names", getattr(data, "columns", ())))


def _like_polars(data: Any, frame: pd.DataFrame, names: list[Any]) -> Any:
    import polars

    schema, result = dict(data.collect_schema()), polars.from_pandas(frame)
    kinds: dict[Any, Any] = {name: schema[name] for name in names if name in schema}
    kinds = {name: getattr(kind, "inner", None) or kind for name, kind in kinds.items()}
    result = result.with_columns(polars.col(name).cast(kind) for name, kind in kinds.items())
    return result.lazy() if isinstance(data, polars.LazyFrame) else result


def _like_arrow(data: Any, frame: pd.DataFrame, names: list[Any]) -> Any:
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name in names:
        if name in data.schema.names:
            kind = data.schema.field(name).type
            column = table.column(name).cast(kind.value_type if pa.types.is_nested(kind) else kind)
            table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _like_pandas(data: pd.DataFrame, frame: pd.DataFrame, names: list[Any]) -> pd.DataFrame:
    for name in names:
        if name not in data.columns or frame[name].dtype == data[name].dtype:
            continue
        if isinstance(data[name].dtype, pd.PeriodDtype):
            frame[name] = frame[name].dt.to_period(data[name].dtype.freq)
        elif pd.api.types.infer_dtype(data[name], skipna=True) == "date":
            frame[name] = frame[name].dt.date
        if frame[name].dtype != data[name].dtype:
            with contextlib.suppress(TypeError, ValueError):
                frame[name] = frame[name].astype(data[name].dtype)
    return frame
