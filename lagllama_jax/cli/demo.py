"""`lagllama demo`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from lagllama_jax.cli.arguments import Model

if TYPE_CHECKING:
    from lagllama_jax.series.dataset import SeriesDataset

HORIZON = 24  # number of months to forecast


def main(
    output_dir: Path = Path("demo"),
    model: Model = None,
    num_samples: int | None = None,
    seed: int = 0,
) -> None:
    """Forecasts the last two years of a real series offline: sea temperatures off Peru.

    Prints a table, and writes forecast.csv and forecast.png with the forecast and the true values.
    The series (El Nino, monthly from 1950) comes with the package statsmodels and is not in the
    training corpus.

    Args:
      output_dir: Folder to write to.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      num_samples: Number of sample paths. If not given, the forecast is made in one pass.
      seed: Random seed.
    """
    from lagllama_jax.cli.forecast import check_picture
    from lagllama_jax.files import atomic_path, check_outputs, make_folder
    from lagllama_jax.forecaster import LagLlama
    from lagllama_jax.series.table_files import write_table

    table, picture = output_dir / "forecast.csv", output_dir / "forecast.png"
    check_picture(picture)
    past, truth = _sea_temperature()
    make_folder(output_dir)
    check_outputs(files=[table, picture])
    loaded, seconds = LagLlama.from_pretrained(model), []
    for _ in range(2):  # the first call compiles
        begun = time.perf_counter()
        forecast = loaded.predict(past, HORIZON, num_samples=num_samples, seed=seed)
        seconds.append(time.perf_counter() - begun)
    frame = forecast.to_frame()
    frame.insert(len(frame.columns), "actual", truth)
    write_table(frame, table)
    with atomic_path(picture) as temporary:
        forecast.plot(history=120, truth=truth).savefig(temporary, dpi=150)
    shown = frame.assign(month=frame["timestamp"].dt.strftime("%Y-%m"))
    columns = {"month": "month", "0.1": "10 %", "predictions": "median", "0.9": "90 %"}
    shown = shown[[*columns, "actual"]].rename(columns=columns).round(1)
    print(f"Sea surface off Peru, degrees Celsius:\n{shown.to_string(index=False)}")
    print(
        f"{forecast} in {seconds[1]:.2f} s ({seconds[0]:.1f} s at the first call, which compiles)."
    )
    print(f"Wrote {table} and {picture}.")


def _sea_temperature() -> "tuple[SeriesDataset, list[float]]":
    """Monthly means in degrees Celsius from 1950 to 2008, and those of the next two years."""
    from lagllama_jax.errors import require
    from lagllama_jax.series.arrays import read_arrays

    years = require("statsmodels.datasets.elnino", "demo").load_pandas().data.set_index("YEAR")
    months = years.to_numpy().ravel()
    known, coming = months[:-HORIZON], months[-HORIZON:]
    return read_arrays(known, "1950-01-01", "MS", ["sea temperature"]), coming.tolist()
