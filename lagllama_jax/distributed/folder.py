"""`forecast_folder`: forecasts the series of a folder of shards, and continues where it stopped."""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from lagllama_jax import __version__
from lagllama_jax.config import Count, ForecastConfig, checked
from lagllama_jax.distributed.job import Job, example_of
from lagllama_jax.distributed.output import Output, ShardResult, forecast_shard
from lagllama_jax.distributed.reading import is_nested, read_shard
from lagllama_jax.distributed.shards import Shard, check_shards, find_shards
from lagllama_jax.errors import ConfigError, DataError, EngineError
from lagllama_jax.evaluation.fingerprint import identity
from lagllama_jax.files import AnyPath, check_outputs
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.lock import locked
from lagllama_jax.progress import Progress, Report, progress_bar

ENGINES = ("local", "ray", "spark")
TRIED = 8
"""Number of shards of which one must be readable as a whole, for the step of the series."""
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Summary:
    """How a job of forecasts ended.

    Attributes:
      folder: The output folder. `forecasts/` and `errors/` in it hold one table per shard.
      shards: Number of shards of the job.
      finished: Number of them that are finished.
      forecast: Number of shards that were forecast in this call.
      errors: The table of errors: `shard`, `series` (null if the shard cannot be read) and `error`.
    """

    folder: Path
    shards: int
    finished: int
    forecast: int
    errors: pd.DataFrame

    def read(self) -> pd.DataFrame:
        """The forecasts of all shards as one pandas data frame."""
        return pd.read_parquet(self.folder / "forecasts")


def forecast_folder(
    source: AnyPath,
    output: AnyPath,
    prediction_length: int,
    *,
    model: str | LagLlama | None = None,
    engine: str = "local",
    workers: int | None = None,
    cluster: str | None = None,
    reading: Mapping[str, Any] | None = None,
    progress: bool | Progress | None = None,
    **options: Any,
) -> Summary:
    """Forecasts the series of all files of a folder into a folder of Parquet files.

    The forecasts are those of one call of `LagLlama.predict_df` with all series, whatever the
    engine and the number of workers, as they depend on the series, their names and the seed. There
    is one file of forecasts per file of series, written completely or not at all. A call that was
    stopped is continued by the same call, also with another engine. A series that cannot be read or
    forecast is a row in a table of errors.

    Args:
      source: Folder of Parquet or CSV files of the same columns: long tables, or one row per series
        (`item_id, start, freq, target`). All rows of a series are in one file.
      output: Folder to write. All workers must reach it and `source` under the same path.
      prediction_length: Number of time steps to forecast.
      model: A model, or where to load it from, as in `LagLlama.from_pretrained`.
      engine: `local` (one file after another in this process), `ray` or `spark`.
      workers: Number of workers of `ray`, or of tasks at once of `spark` on this machine.
      cluster: Address of a Ray cluster, or URL of a Spark master. `None`: this machine.
      reading: How files are read: `freq`, `id_column`, `timestamp_column`, `target`,
        `dayfirst`, `date_format` and `decimal` as in `predict_df`, and `encoding`. Without `freq`,
        all files have the step of the first.
      progress: Whether to show a progress bar; `None`: in a terminal. Or a function of the numbers
        of series that are done and of all series.
      **options: Fields of `ForecastConfig`, such as `seed` or `quantile_levels`.

    Raises:
      DataError: If the folder or its files cannot be used as a whole, a series is in two files, or
        `output` belongs to another job.
      ConfigError: If an option is invalid.
      EngineError: If the engine fails. The same call continues the job.
      MissingExtraError: If the engine is not installed.

    Examples:
      >>> import pandas as pd, pathlib, tempfile
      >>> place = pathlib.Path(tempfile.mkdtemp())
      >>> (place / "in").mkdir()
      >>> for name in ("a", "b"):
      ...     days = pd.date_range("2026-01-01", periods=60)
      ...     frame = pd.DataFrame({"unique_id": name, "ds": days, "y": range(60)})
      ...     frame.to_parquet(place / "in" / f"{name}.parquet")
      >>> summary = forecast_folder(place / "in", place / "out", 7, quantile_levels=[0.1, 0.9])
      >>> summary.finished, summary.read().shape, len(summary.errors)
      (2, (14, 5), 0)
    """
    steps = int(checked("prediction_length", prediction_length, Count))
    config = ForecastConfig.of(**options)
    count = None if workers is None else int(checked("workers", workers, Count))
    if engine not in ENGINES:
        raise ConfigError(f"engine={engine!r} must be one of {', '.join(ENGINES)}.")
    runner = importlib.import_module(f"lagllama_jax.distributed.{engine}")
    runner.check_engine(count, cluster)
    source, result = Path(source).absolute(), Output(Path(output).absolute())
    check_outputs(folders=[result.folder], inputs=[source])
    shards = find_shards(source)
    loaded = model if isinstance(model, LagLlama) else LagLlama.from_pretrained(model)
    job = _planned(Job(loaded, steps, config, dict(reading or {})), source, shards)
    with locked(result.folder):
        manifest = _manifest(job, shards)
        if not result.prepare(manifest):
            manifest["series"] = check_shards(source, shards, job.reading)
            loaded.save_pretrained(result.model)
            result.begin(manifest)
        result.clean()
        sizes = result.read_manifest()["series"]
        sent = dataclasses.replace(job, model=str(result.model))
        work = functools.partial(_forecast, sent, source, result)
        run = functools.partial(runner.run, workers=count, cluster=cluster)
        with progress_bar(progress) as report:
            done = _run(work, result, sizes, run, report)
        result.clean()
        names = list(sizes)
        finished = len(result.finished(names))
        return Summary(result.folder, len(names), finished, done, result.failures())


def _planned(job: Job, source: Path, shards: Sequence[Shard]) -> Job:
    """The job with the step of the series and the columns of the result, from the first shard.

    Raises:
      DataError: If none of the first shards can be read as a whole.
    """
    problems = []
    for shard in shards[:TRIED]:
        try:
            read = read_shard(source / shard.name, job.reading)
        except DataError as error:
            problems.append(error)
            continue
        if read.dataset is None or (read.failures and job.reading.get("freq") is None):
            problems += [DataError(message) for message in read.failures.values()]
            continue
        given = job.reading.get("freq")
        step = given if is_nested(source / shard.name) else read.step
        return dataclasses.replace(
            job, reading={**job.reading, "freq": step}, columns=example_of(job, read)
        )
    raise DataError(
        f"{source}: none of the first {min(TRIED, len(shards))} files can be read as a whole: "
        f"{problems[0]} With the step of the series (freq), single series may be wrong."
    )


def _manifest(job: Job, shards: Sequence[Shard]) -> dict[str, Any]:
    """Everything that the result depends on, as JSON has it."""
    columns = job.columns or pa.schema([])
    weights = hashlib.sha256(identity(job.forecaster().predictor()).encode()).hexdigest()
    manifest = {
        "version": __version__,
        "model": weights[:16],
        "prediction_length": job.prediction_length,
        "forecast": json.loads(job.config.to_json()),
        "reading": {name: value for name, value in job.reading.items() if value is not None},
        "columns": {field.name: str(field.type) for field in columns},
        "shards": {shard.name: [shard.bytes, shard.modified] for shard in shards},
    }
    return json.loads(json.dumps(manifest, default=str))


def _forecast(job: Job, source: Path, output: Output, shard: str) -> ShardResult:
    return forecast_shard(job, source, output, shard)


def _run(
    work: Any,
    output: Output,
    sizes: Mapping[str, int],
    run: Callable[[Any, list[str]], Iterable[ShardResult]],
    report: Report | None,
) -> int:
    """Forecasts the shards that are not finished, and returns the number of those that now are."""
    names = list(sizes)
    before = set(output.finished(names))
    left = [name for name in names if name not in before]
    if not left:
        return 0
    told: dict[str, None] = {}
    try:
        with _watched(output, sizes, report):
            for result in run(work, left):
                told |= dict.fromkeys(result.warnings)
    except EngineError as error:
        done = len(output.finished(names))
        raise EngineError(
            f"{error} {done} of {len(names)} shards are finished and kept in {output.folder}: "
            "repeat the command to continue."
        ) from error
    for text in told:
        warnings.warn(text, stacklevel=3)
    return len(output.finished(left))


@contextlib.contextmanager
def _watched(output: Output, sizes: Mapping[str, int], report: Report | None) -> Iterator[None]:
    """Reports the number of series of finished shards during the block."""
    if report is None:
        yield
        return
    ended = threading.Event()

    def tell() -> None:
        report(sum(sizes[name] for name in output.finished(sizes)), sum(sizes.values()))

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            tell()

    tell()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        tell()
