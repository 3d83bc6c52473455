"""`lagllama embed`."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from lagllama_jax.cli.arguments import Model, OptionalCount, OptionalFile, TableOptions


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    *,
    output: Annotated[OptionalFile, tyro.conf.arg(aliases=["-o"])] = None,
    model: Model = None,
    context_length: OptionalCount = None,
    table: tyro.conf.OmitArgPrefixes[TableOptions],
) -> None:
    """Describes the shape of each series of a file by a vector, whatever its unit and level.

    The file is read as by `lagllama forecast`. The result has one row per series, with its name and
    one column per entry of the vector, named e0, e1 and so on.

    Args:
      data: CSV, Parquet, JSON or .tsf file, compressed or not.
      output: CSV or Parquet file to write. Without it, CSV goes to the standard output.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      context_length: Number of last steps that are described. If not given, as in training.
      table: How the table is read.
    """
    import pandas as pd

    from lagllama_jax.files import check_outputs
    from lagllama_jax.series.table_files import check_suffix, write_table

    if output is not None:
        check_suffix(output)
    check_outputs(files=[output], inputs=[data, model])
    series = table.read(data)
    from lagllama_jax.forecaster import LagLlama

    vectors = LagLlama.from_pretrained(model).embed(series, context_length=context_length)
    found = pd.DataFrame(vectors, columns=[f"e{entry}" for entry in range(vectors.shape[1])])
    series.check_columns(found.columns)
    found.insert(0, series.id_column, pd.Index(series.variates().labels))
    if output is None:
        found.to_csv(sys.stdout, index=False)
    else:
        write_table(found, output)
