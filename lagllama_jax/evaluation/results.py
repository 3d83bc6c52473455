"""A folder of results: a table in the columns of GIFT-Eval, and a table of calibration."""

from pathlib import Path

from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.metrics import LEVELS
from lagllama_jax.evaluation.scores import Row
from lagllama_jax.files import make_folder, read_rows, write_rows

GIFT_EVAL_COLUMNS = (
    "dataset", "model", "eval_metrics/MSE[mean]", "eval_metrics/MSE[0.5]", "eval_metrics/MAE[0.5]",
    "eval_metrics/MASE[0.5]", "eval_metrics/MAPE[0.5]", "eval_metrics/sMAPE[0.5]",
    "eval_metrics/MSIS", "eval_metrics/RMSE[mean]", "eval_metrics/NRMSE[mean]",
    "eval_metrics/ND[0.5]", "eval_metrics/mean_weighted_sum_quantile_loss", "domain",
    "num_variates",
)  # fmt: skip
"""Columns of the benchmark's `all_results.csv`, in its order."""

CALIBRATION_COLUMNS = (
    "dataset", "model", "coverage_80", "calibration_error", *(f"below_{level}" for level in LEVELS),
    "windows", "seconds", "fingerprint",
)  # fmt: skip
"""Columns that the benchmark does not have: the shares of points at or below each decile, the
number of windows, the seconds, and the `fingerprint` of the row."""

TABLES = {"calibration.csv": CALIBRATION_COLUMNS, "all_results.csv": GIFT_EVAL_COLUMNS}
"""The tables in the order of writing. A row of the second table is also in the first."""
TEXT = ("dataset", "model", "domain", "fingerprint")
WHOLE = ("num_variates", "windows")


def read_table(path: Path) -> list[Row]:
    """Reads the rows of a results table, with numbers as numbers. Without a file, there are none.

    Raises:
      DataError: If a cell is not a number. The message names the file, the row and the column.
    """
    rows: list[Row] = [dict(row) for row in read_rows(path)] if path.exists() else []
    for number, row in enumerate(rows, start=2):
        for column in row.keys() - set(TEXT):
            try:
                row[column] = (int if column in WHOLE else float)(row[column])
            except (TypeError, ValueError) as error:
                raise DataError(
                    f"{path}, line {number}, column {column!r}: {row[column]!r} is not a number."
                ) from error
    return rows


def read_results(folder: Path) -> list[Row]:
    """Reads the rows of a results folder, with both tables joined. Without a table, there are none.

    A row whose writing was interrupted has only the columns of the first of `TABLES`.

    Raises:
      DataError: As for `read_table`.
    """
    joined: dict[tuple[str, str], Row] = {}
    for name in TABLES:
        for row in read_table(folder / name):
            joined.setdefault(_key(row), {}).update(row)
    return list(joined.values())


def add_result(folder: Path, row: Row) -> None:
    """Adds a row to the tables of a folder, which is created if necessary.

    It replaces a row of the same task and model.

    Raises:
      DataError: If a table cannot be read or written.
    """
    make_folder(folder)
    others = {}
    for name in TABLES:
        rows = read_table(folder / name)
        others[name] = [old for old in rows if _key(old) != _key(row)]
    # The old scores are removed first, so that they never have the fingerprint of the new row.
    write_rows(folder / "all_results.csv", others["all_results.csv"], GIFT_EVAL_COLUMNS)
    for name, columns in TABLES.items():
        write_rows(folder / name, [*others[name], row], columns)


def _key(row: Row) -> tuple[str, str]:
    return row["dataset"], row["model"]
