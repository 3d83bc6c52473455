"""Lists and builds datasets, and joins them into the corpus that training reads."""

import shutil
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lagllama_jax.cli.arguments import OptionalFolder, OptionalName
from lagllama_jax.errors import DataError

if TYPE_CHECKING:
    from lagllama_jax.corpus.catalogue import DataSet
    from lagllama_jax.corpus.store import Corpus

TFDS_DIR = Path("~/tensorflow_datasets")


def list_data_sets(
    name: Annotated[str | None, tyro.conf.Positional] = None,
    /,
    *,
    data_dir: Path = TFDS_DIR,
) -> None:
    """Lists the datasets of the paper, or shows the details of one.

    Args:
      name: Name of one dataset.
      data_dir: Folder of TFDS, in which built datasets are looked for.
    """
    if name is None:
        _list_all(data_dir)
    else:
        _list_details(name, data_dir)


def _list_all(data_dir: Path) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from lagllama_jax.corpus.catalogue import CATALOGUE
    from lagllama_jax.corpus.tfds.checksums import recorded_sha256

    columns = ("horizon", "licence", "sha256", "file")  # 79 characters wide, with the names
    table = Table(Column("name", no_wrap=True), *columns, box=None, padding=(0, 2, 0, 0))
    table.pad_edge = False
    for one in CATALOGUE.values():
        mark = " *" if one.held_out else ""
        first = "first" if recorded_sha256(one.name, data_dir) else "-"
        horizon = f"{one.horizon} x {one.frequency}"
        checksum = "known" if one.sha256 else first
        table.add_row(one.name + mark, horizon, one.licence, checksum, _origin(one, data_dir))
    Console().print(table)
    nobody = [one.name for one in CATALOGUE.values() if one.url is None]
    print(_wrapped(LEGEND.format(data_dir=data_dir, nobody=", ".join(nobody))))


LEGEND = """
horizon: time steps of the test split, and their length
*: held out of pre-training for the zero-shot tests of the paper
sha256: known: that of an original file; first: that of the first download to {data_dir}
file: built: in {data_dir}; download: lagllama data build NAME --download gets it; \
none: nobody can download it, because its file is not published: {nobody}
`lagllama data list NAME` tells more of one dataset."""


def _origin(data_set: "DataSet", data_dir: Path) -> str:
    from lagllama_jax.corpus.tfds.store import is_built

    if is_built(data_set.name, data_dir):
        return "built"
    return "download" if data_set.url else "none"


def _list_details(name: str, data_dir: Path) -> None:
    from lagllama_jax.corpus.catalogue import find_data_set
    from lagllama_jax.corpus.tfds.checksums import checksums_file, recorded_sha256
    from lagllama_jax.corpus.tfds.store import is_built

    one = find_data_set(name)
    shown = vars(one) | {"built": is_built(name, data_dir)}
    shown["files"] = " or ".join(f"{pattern}*" for pattern in one.files)
    shown["url"] = one.url or one.unpublished
    first = recorded_sha256(name, data_dir)
    recorded = f"{first} (of the first download, recorded in {checksums_file(data_dir)})"
    shown["sha256"] = one.sha256 or (recorded if first else "not verified by anyone")
    del shown["note"]
    for field, value in shown.items():
        text = {None: "-", True: "yes", False: "no"}.get(value, value)
        print(_wrapped(f"{field.replace('_', ' '):<10} {text}", indent=11))


def _wrapped(text: str, indent: int = 2) -> str:
    """Text wrapped to the width of the terminal. Words, such as addresses, are kept whole."""
    width = shutil.get_terminal_size().columns
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * indent)
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return "\n".join(wrapper.fill(line) for line in text.splitlines())


def build(
    name: Annotated[str, tyro.conf.Positional],
    /,
    *,
    manual_dir: OptionalFolder = None,
    data_dir: Path = TFDS_DIR,
    download: bool = False,
    verify: bool = True,
) -> None:
    """Builds a dataset with TFDS: array_record files with the splits train, validation and test.

    Args:
      name: Name of the dataset, as `lagllama data list` shows it.
      manual_dir: Folder of the published files of the dataset.
      data_dir: Folder of TFDS, in which the dataset is built.
      download: Download the file from its source instead of taking it from --manual-dir. The
        checksum of the first download is recorded in lagllama_series/checksums.csv in --data-dir.
      verify: Whether a file is refused whose checksum differs from the known or recorded one.
    """
    from lagllama_jax.corpus.tfds import store

    folder = store.build(name, manual_dir, data_dir, download, verify)
    counts = store.split_sizes(name, data_dir)
    print(f"{folder}: " + ", ".join(f"{split} {count} series" for split, count in counts.items()))


def corpus(
    sources: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    tfds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = (),
    data_dir: Path = TFDS_DIR,
    format: OptionalName = None,
    start: OptionalName = None,
    freq: OptionalName = None,
    exclude: tuple[str, ...] = (),
    mask: tuple[tuple[str, str, str], ...] = (),
    coarser: bool = False,
) -> None:
    """Joins files and built datasets into a corpus folder, which training maps into memory.

    Args:
      sources: Files or folders. Each is a dataset, except for a folder of Parquet files, in which
        each file is a dataset.
      output: Folder to write. A corpus in it is replaced.
      tfds: Datasets that `lagllama data build` built, of which the training split is taken.
      data_dir: Folder of TFDS, in which they were built.
      format: Format of all sources: parquet, tsf, wide, frame, lstnet, jsonl, air_quality, prsa or
        nab. If not given, it is inferred from each file.
      start: Time of the first values, for files without time stamps.
      freq: Step of the series as a pandas alias, for files without it.
      exclude: Datasets to leave out.
      mask: A dataset and the first and last day, month or year to set missing, such as
        beijing_multisite 2013-03 2014-12, which overlaps with an evaluation set.
      coarser: Add means over quarters of an hour, hours, days and weeks of the finer series as
        further datasets. Points that the validation suite scores are left out.
    """
    from lagllama_jax.corpus.folder import check_replaceable
    from lagllama_jax.corpus.resample import coarser as coarser_series
    from lagllama_jax.corpus.store import Corpus, mask_period
    from lagllama_jax.evaluation.validation import seen_lengths
    from lagllama_jax.files import check_outputs

    if not sources and not tfds:
        raise DataError("Name the files or folders to join, or built datasets with --tfds.")
    check_outputs(folders=[output], inputs=sources)
    check_replaceable(output)
    parts = [_read(source, format, start, freq) for source in sources]
    whole = Corpus.concatenate([*parts, *(_read_built(name, data_dir) for name in tfds)])
    for name in exclude:
        whole = whole.select(whole.dataset != whole.dataset_index(name))
    for period in mask:
        whole = mask_period(whole, *period)
    if coarser:
        whole = Corpus.concatenate([whole, *coarser_series(whole, seen_lengths(whole))])
    whole.save(output)
    print(
        f"{output}: {len(whole.dataset_names)} data sets, {len(whole)} series, "
        f"{whole.points} points, {1 - whole.observed.mean():.1%} missing"
    )


def _read(source: Path, format: str | None, start: str | None, freq: str | None) -> "Corpus":
    from lagllama_jax.corpus.formats import guess_format, read
    from lagllama_jax.corpus.store import Corpus
    from lagllama_jax.series.dataset import SeriesDataset

    format = format or guess_format(source)
    if format == "parquet":
        return Corpus.from_parquet(source)
    name = source.resolve().name.split(".")[0]
    return Corpus.pack(SeriesDataset.of(read(source, format, start, freq)), name)


def _read_built(name: str, data_dir: Path) -> "Corpus":
    from lagllama_jax.corpus.catalogue import find_data_set
    from lagllama_jax.corpus.store import Corpus

    read = Corpus.from_tfds(name, data_dir)
    if find_data_set(name).held_out:
        warnings.warn(
            f"{name} is a test set of the paper: a model that is trained on it has no zero-shot "
            "scores on it.",
            stacklevel=2,
        )
    return read


COMMANDS = {"list": list_data_sets, "build": build, "corpus": corpus}
