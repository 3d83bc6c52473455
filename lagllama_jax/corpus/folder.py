"""Saves and loads a corpus: a folder of .npy files that can be memory-mapped, and `corpus.json`."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import DataError, converting
from lagllama_jax.files import make_folder
from lagllama_jax.model.calendar_features import Calendar, Zones

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus

ARRAYS = ("values", "offsets", "center", "unit", "dataset", "frequency")
NAMES = ("dataset_names", "frequency_names", "item_ids")
GRIDS: dict[str, Any] = {"calendar": Calendar, "zones": Zones}
VERSION = 2


def save_corpus(corpus: "Corpus", folder: Path) -> None:
    """Writes a corpus to `folder`. An earlier corpus is unchanged until the new one is complete.

    Raises:
      DataError: If `folder` exists and is not a corpus, or cannot be written.
    """
    check_replaceable(folder)
    with _replacing(folder) as fresh:
        for name in ARRAYS:
            np.save(fresh / f"{name}.npy", getattr(corpus, name))
        for grid in GRIDS:
            for field, array in getattr(corpus, grid)._asdict().items():
                np.save(fresh / f"{grid}_{field}.npy", array)
        sizes = {"version": VERSION, "series": len(corpus), "points": corpus.points}
        names = sizes | {name: getattr(corpus, name) for name in NAMES}
        (fresh / "corpus.json").write_text(json.dumps(names, indent=1) + "\n")


def check_replaceable(folder: Path) -> None:
    """Checks that a corpus written to `folder` would replace at most another corpus.

    Raises:
      DataError: If `folder` exists and is not a corpus.
    """
    if folder.exists() and not (folder / "corpus.json").is_file():
        raise DataError(f"{folder} exists and is not a corpus. Give another folder.")


def load_arrays(folder: Path, mmap: bool) -> dict[str, Any]:
    """Reads the fields of a corpus that `save_corpus` wrote, with `mmap` as memory maps.

    Raises:
      DataError: If the folder contains no corpus, one of another version, or a damaged one.
    """
    names = _read_names(folder)
    arrays = {name: _read_array(folder, name, mmap) for name in ARRAYS}
    grids: dict[str, Any] = {
        grid: kind(*(_read_array(folder, f"{grid}_{field}", False) for field in kind._fields))
        for grid, kind in GRIDS.items()
    }
    per_series = [arrays[name] for name in ("center", "unit", "dataset", "frequency")]
    lengths = [len(arrays["offsets"]) - 1, len(names["item_ids"])]
    lengths += [len(array) for array in (*per_series, *grids["calendar"])]
    points = {len(arrays["values"]), int(arrays["offsets"][-1])}
    if set(lengths) != {names["series"]} or points != {names["points"]}:
        raise DataError(f"The parts of the corpus in {folder} do not fit together; build it anew.")
    return arrays | grids | {name: tuple(names[name]) for name in NAMES}


def _read_names(folder: Path) -> dict[str, Any]:
    path = folder / "corpus.json"
    if not path.is_file():
        raise DataError(f"{folder} holds no corpus: there is no corpus.json in it.")
    with converting(DataError, f"{path} cannot be read", OSError, ValueError):
        names = json.loads(path.read_text())
    version = names.get("version") if isinstance(names, dict) else None
    if version != VERSION:
        raise DataError(f"{path} has version {version}, expected {VERSION}; build it anew.")
    return names


def _read_array(folder: Path, name: str, mmap: bool) -> np.ndarray:
    path = folder / f"{name}.npy"
    problem = f"{path} cannot be read; build the corpus anew"
    with converting(DataError, problem, OSError, ValueError, EOFError):
        return np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yields an empty folder that replaces `folder` after the block, unless an error occurs."""
    make_folder(folder.parent)
    with (
        converting(DataError, f"{folder} cannot be written", OSError),
        tempfile.TemporaryDirectory(
            prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True
        ) as beside,
    ):
        new, old = Path(beside) / "new", Path(beside) / "old"
        new.mkdir()
        yield new
        try:
            if folder.exists():
                os.replace(folder, old)
            os.replace(new, folder)
        finally:
            if old.exists() and not folder.exists():
                os.replace(old, folder)
