"""Builds data sets with TFDS, and reads them back."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lagllama_jax.corpus.catalogue import CATALOGUE, DataSet, find_data_set
from lagllama_jax.corpus.tfds import NAME, VERSION
from lagllama_jax.corpus.tfds.checksums import record, recorded_sha256
from lagllama_jax.corpus.tfds.splits import SPLITS
from lagllama_jax.errors import DataError, converting, require
from lagllama_jax.series.arrays import as_timestamp
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency

if TYPE_CHECKING:
    from lagllama_jax.corpus.tfds.builder import LagllamaSeries

DATA_DIR = Path("~/tensorflow_datasets")
"""Default folder of TFDS."""

LOG = logging.getLogger("lagllama_jax")


def build(
    data_set: str | DataSet,
    manual_dir: str | Path | None = None,
    data_dir: str | Path = DATA_DIR,
    download: bool = False,
    verify: bool = True,
) -> Path:
    """Writes a data set as array_record files, unless it exists already. Returns their folder.

    If the checksum of a downloaded file is not known, it is recorded at the first download in the
    file of `lagllama_jax.corpus.tfds.checksums.checksums_file`, and compared at later ones.

    Args:
      data_set: Name of a data set of the catalogue, or a description of the user's own.
      manual_dir: Folder of the published files, if they are not to be downloaded.
      data_dir: Folder of TFDS.
      download: Whether to download the file.
      verify: Whether a file with another checksum than the recorded one is an error.

    Raises:
      DataError: If there is no such data set or file, it cannot be downloaded, it has other
        contents than expected, or the folder cannot be written. No incomplete data set is left.
      MissingExtraError: If TFDS is not installed.
    """
    if not download and (manual_dir is None or not Path(manual_dir).is_dir()):
        raise DataError(f"The manual folder {manual_dir} does not exist; give that of the files.")
    builder = _builder(data_set, data_dir)
    builder.download, builder.verify = download, verify
    tfds = require("tensorflow_datasets", "tfds")
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    with converting(DataError, f"{builder.name} cannot be written to {data_dir}", OSError):
        builder.download_and_prepare(download_config=config)
    described, found = builder.builder_config.data_set, builder.downloaded_sha256
    if found is not None and recorded_sha256(described.name, data_dir) is None:
        LOG.info(
            f"The checksum of {described.url} is recorded in {record(described, found, data_dir)}."
        )
    return Path(builder.data_dir)


def is_built(name: str, data_dir: str | Path = DATA_DIR) -> bool:
    """Whether a data set was built in a folder of TFDS. TFDS need not be installed."""
    folder = Path(data_dir).expanduser() / NAME / name / VERSION
    return (folder / "dataset_info.json").is_file()


def how_to_build(name: str, data_dir: str | Path) -> str:
    """The command that builds a data set, as the end of a message."""
    data_set = CATALOGUE.get(name)
    source = "--download" if data_set is not None and data_set.url else "--manual-dir FOLDER"
    return f"build it: lagllama data build {name} {source} --data-dir {data_dir}"


def split_sizes(data_set: str | DataSet, data_dir: str | Path = DATA_DIR) -> dict[str, int]:
    """Number of series in each split of a built data set."""
    splits = _builder(data_set, data_dir).info.splits
    return {split: splits[split].num_examples for split in SPLITS}


def read_built(
    data_set: str | DataSet, split: str = "train", data_dir: str | Path = DATA_DIR
) -> Iterator[Item]:
    """Reads the items of one split of a built data set.

    Raises:
      DataError: If the data set was not built in `data_dir`, or there is no such split.
    """
    if split not in SPLITS:
        raise DataError(f"There is no split {split!r}; known are {', '.join(SPLITS)}.")
    builder = _builder(data_set, data_dir)
    name = builder.builder_config.name
    if not is_built(name, data_dir):
        raise DataError(f"Data set {name!r} is not in {data_dir}; {how_to_build(name, data_dir)}")
    source = builder.as_data_source(split=split)
    for index in range(len(source)):
        example: dict[str, Any] = source[index]
        item_id, start, alias = (example[k].decode() for k in ("item_id", "start", "frequency"))
        stamp = as_timestamp(start) if start else None
        yield Item(item_id, example["target"][None], stamp, Frequency.parse(alias))


def _builder(data_set: str | DataSet, data_dir: str | Path) -> "LagllamaSeries":
    if isinstance(data_set, str):
        data_set = find_data_set(data_set)
    require("tensorflow_datasets", "tfds")
    from lagllama_jax.corpus.tfds.builder import LagllamaSeries, SeriesConfig

    known = CATALOGUE.get(data_set.name) == data_set
    return LagllamaSeries(
        config=data_set.name if known else SeriesConfig(data_set),
        data_dir=str(Path(data_dir).expanduser()),
        file_format="array_record",
    )
