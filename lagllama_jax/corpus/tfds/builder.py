"""One TFDS builder for all data sets, with one configuration per data set.

This module needs TFDS (extra `tfds`).
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from lagllama_jax.corpus.catalogue import CATALOGUE, DataSet
from lagllama_jax.corpus.formats import FORMATS, read
from lagllama_jax.corpus.formats.text import unpacked_sha256
from lagllama_jax.corpus.tfds import NAME, VERSION
from lagllama_jax.corpus.tfds.checksums import check_download
from lagllama_jax.corpus.tfds.splits import SPLITS, VALIDATION_WINDOWS, cut
from lagllama_jax.errors import DataError, converting, listed
from lagllama_jax.series.archives import unread_members
from lagllama_jax.series.dataset import Item
from lagllama_jax.series.frequency import Frequency


class SeriesConfig(tfds.core.BuilderConfig):
    """The configuration of one data set, which is in the catalogue or the user's own."""

    def __init__(self, data_set: DataSet):
        checksum = "verified" if data_set.sha256 else "not verified against an original"
        super().__init__(
            name=data_set.name,
            description=f"{data_set.name}: frequency {data_set.frequency}, horizon "
            f"{data_set.horizon}, {FORMATS[data_set.format].description}; checksum {checksum}.",
        )
        self.data_set = data_set


class LagllamaSeries(tfds.core.GeneratorBasedBuilder):
    """The series of one data set, in the splits of `lagllama_jax.corpus.tfds.splits`.

    Attributes:
      download: Whether to download the file. Otherwise, it is taken from the manual folder.
      verify: Whether a file with another checksum than the recorded one is an error.
      downloaded_sha256: Checksum of a download that no checksum was known for. `None`: there was
        no such download.
    """

    name = NAME
    VERSION = tfds.core.Version(VERSION)
    BUILDER_CONFIGS = [SeriesConfig(data_set) for data_set in CATALOGUE.values()]
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Put the data set's files, as published, into this folder."
    # By default, TFDS finds this path by importlib_resources, which it does not install.
    code_path = Path(__file__)
    download = False
    verify = True
    downloaded_sha256: str | None = None

    def _info(self) -> tfds.core.DatasetInfo:
        data_set = self.builder_config.data_set
        texts = {name: tfds.features.Text() for name in ("item_id", "start", "frequency")}
        target = tfds.features.Tensor(shape=(None,), dtype=np.float64)
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(texts | {"target": target}),
            homepage=data_set.homepage or data_set.url,
            license=data_set.licence,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(
                horizon=data_set.horizon,
                frequency=data_set.frequency,
                validation_windows=VALIDATION_WINDOWS,
            ),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        data_set = self.builder_config.data_set
        if self.download:
            sources = [_download(data_set, dl_manager)]
        else:
            sources = data_set.sources(Path(dl_manager.manual_dir))
        for source in sources:
            _name_unread(data_set, source)
        if self.verify and data_set.sha256 is not None:
            _verify(data_set, sources)
        elif self.verify and self.download:
            self.downloaded_sha256 = _sha256(data_set, sources[0])
            check_download(data_set, self.downloaded_sha256, sources[0], self.data_dir_root)
        return {split: self._generate_examples(sources, split) for split in SPLITS}

    def _generate_examples(
        self, sources: list[Path], split: str
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        data_set, count = self.builder_config.data_set, 0
        for item in _items(data_set, sources):
            target = cut(item.target[0], split, data_set.horizon)
            if target is None:
                continue
            start = "" if item.start is None else item.start.isoformat()
            texts = {"item_id": item.item_id, "start": start, "frequency": str(item.frequency)}
            yield count, texts | {"target": target}
            count += 1
        if count == 0:
            raise DataError(
                f"No series of {data_set.name!r} is long enough for the {split} split: the test "
                f"takes {data_set.horizon} points and validation {VALIDATION_WINDOWS}."
            )


def _items(data_set: DataSet, sources: list[Path]) -> Iterator[Item]:
    expected, seen = Frequency.parse(data_set.frequency), set()
    for source in sources:
        for item in read(source, data_set.format, data_set.start, expected, data_set.members):
            if item.frequency != expected:
                raise DataError(
                    f"{source}: series {item.item_id!r} has frequency {item.frequency}, but "
                    f"{data_set.name!r} has {expected}. Is this its file?"
                )
            if item.item_id in seen:
                raise DataError(f"{source}: series {item.item_id!r} is in an earlier file too.")
            seen.add(item.item_id)
            yield item


def _download(data_set: DataSet, dl_manager: Any) -> Path:
    if data_set.url is None:
        raise DataError(
            f"{data_set.name!r}: {data_set.unpublished}. If you have it, give its folder with "
            "--manual-dir (manual_dir)."
        )
    failed = (
        f"{data_set.url} cannot be downloaded; fetch it by other means, and give its folder with "
        "--manual-dir (manual_dir) and without --download"
    )
    with converting(DataError, failed, OSError, tfds.download.DownloadError):
        return Path(dl_manager.download(data_set.url))


def _name_unread(data_set: DataSet, source: Path) -> None:
    unread = unread_members(source, FORMATS[data_set.format].suffixes, data_set.members)
    if unread:
        warnings.warn(
            f"{source}: only {data_set.members} is read for {data_set.name!r}, and left out is "
            f"{listed(unread)}.",
            stacklevel=2,
        )


def _sha256(data_set: DataSet, source: Path) -> str:
    return unpacked_sha256(source, FORMATS[data_set.format].suffixes, data_set.members)


def _verify(data_set: DataSet, sources: list[Path]) -> None:
    found = _sha256(data_set, sources[0])
    if found != data_set.sha256 or len(sources) > 1:
        raise DataError(
            f"{sources[0]} is not the file of {data_set.name!r} that was verified: SHA-256 "
            f"{found}, expected {data_set.sha256}. Fetch it again, or build without verification."
        )
