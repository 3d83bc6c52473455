"""`lagllama impact`."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from lagllama_jax.cli.arguments import (
    Model,
    OptionalFile,
    OptionalHorizon,
    TableOptions,
)
from lagllama_jax.config import check

Names = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")]


def main(
    data: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")],
    /,
    *,
    intervention: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[UNIT=]TIME ...")],
    controls: Names = (),
    prediction_length: OptionalHorizon = None,
    method: Literal["auto", "network", "regression_network", "synthetic_control", "ridge"] = "auto",
    placebos: Annotated[int, tyro.conf.arg(metavar="N")] = 20,
    num_samples: Annotated[int, tyro.conf.arg(metavar="N")] = 200,
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0,
    leave_one_out: bool = False,
    output: Annotated[OptionalFile, tyro.conf.arg(aliases=["-o"])] = None,
    plot: OptionalFile = None,
    model: Model = None,
    table: tyro.conf.OmitArgPrefixes[TableOptions],
) -> None:
    """Estimates what an intervention did to a series.

    FILE has a column of time stamps, one of the target, and one per control: a series that the
    intervention did not change. It prints a table with the layout of R's CausalImpact, and the
    result in words. With --id-column, FILE is long, and target and controls are names in that
    column.

    Args:
      data: CSV or Parquet file, compressed or not.
      intervention: Time of the first point that may be changed, or number of the row from 0. If
        the targets have different ones, one UNIT=TIME for each target.
      controls: Columns of the controls.
      prediction_length: Number of time steps after the intervention; all if not given.
      method: How it is estimated. auto: by what has the narrowest interval after the calibration,
        which is then widened for the choice.
      placebos: Number of false interventions in time, and at most in space, that calibrate the
        intervals. 0: none.
      num_samples: Number of sample paths.
      seed: Seed of the random numbers.
      leave_one_out: Whether to show the effect without each of the controls.
      output: CSV or Parquet file to write: one row per time step after the intervention.
      plot: Picture to write (png, svg or pdf), with three panels.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      table: How the table is read. --target names the target; several columns are a panel.
    """
    from lagllama_jax.cli.forecast import check_picture
    from lagllama_jax.errors import ConfigError
    from lagllama_jax.files import atomic_path, check_outputs
    from lagllama_jax.series.table_files import check_suffix, read_table, write_table

    if not table.target:
        raise ConfigError("Name the column of the target (--target).")
    if output is not None:
        check_suffix(output)
    if plot is not None:
        check_picture(plot)
    check_outputs(files=[output, plot], inputs=[data, model])
    frame = read_table(data, table.encoding)
    from lagllama_jax.causal import impact
    from lagllama_jax.forecaster import LagLlama

    names = {one.name for one in fields(table)} - {"target", "encoding"}
    effect = impact(
        frame,
        times_of(intervention),
        list(table.target),
        list(controls) or None,
        predictor=None if model is None else LagLlama.from_pretrained(model),
        prediction_length=prediction_length,
        method=method,
        placebos=placebos,
        num_samples=num_samples,
        seed=seed,
        **{name: getattr(table, name) for name in names},
    )
    print(effect.summary(), effect.report(), sep="\n\n")
    if leave_one_out:
        print(f"\n{effect.leave_one_out().to_string(index=False)}")
    if plot is not None:
        with atomic_path(plot) as temporary:
            effect.plot().savefig(temporary, dpi=150)
    if output is not None:
        write_table(effect.to_frame(), output)


def times_of(words: tuple[str, ...]) -> str | dict[str, str]:
    """The intervention of all targets, or of each target by its name.

    >>> times_of(("2026-03-02",)), times_of(("north=2026-03-02", "south=2026-04-01"))
    ('2026-03-02', {'north': '2026-03-02', 'south': '2026-04-01'})

    Raises:
      ConfigError: If one of several has no name, or a name comes twice.
    """
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    times: dict[str, str] = {}
    for word in words:
        name, equals, time = word.rpartition("=")
        check(
            bool(equals and name and time),
            f"--intervention {word}: give UNIT=TIME for each target.",
        )
        check(name not in times, f"--intervention names {name} twice.")
        times[name] = time
    return times
