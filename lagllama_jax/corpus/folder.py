"""Saves and loads a corpus: a folder of .npy files that can be memory-mapped, and `corpus.json`."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import Calendar, Zones

if TYPE_CHECKING:
    from lagllama_jax.corpus.store import Corpus

ARRAYS = ("values", "offsets", "center", "unit", "dataset", "frequency")
GRIDS: dict[str, Any] = {"calendar": Calendar, "zones": Zones}
VERSION = 2


def save_corpus(corpus: "Corpus", folder: Path) -> None:
    """Writes a corpus to a temporary folder, and then renames that to `folder`.

    An earlier corpus in `folder` is unchanged until the new one is complete.

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
        names = {
            "version": VERSION,
            "series": len(corpus),
            "points": corpus.points,
            "dataset_names": corpus.dataset_names,
            "frequency_names": corpus.frequency_names,
            "item_ids": corpus.item_ids,
        }
        (fresh / "corpus.json").write_text(json.dumps(names, indent=1) + "\n")


def check_replaceable(folder: Path) -> None:
    """Checks that a corpus written to `folder` would replace at most another corpus.

    Raises:
      DataError: If `folder` exists and is not a corpus.
    """
    if folder.exists() and not (folder / "corpus.json").is_file():
        raise DataError(f"{folder} exists and is not a corpus. Give another folder.")


def load_arrays(folder: Path, mmap: bool) -> dict[str, Any]:
    """Reads the fields of the corpus in a folder.

    Args:
      folder: A folder that `save_corpus` wrote.
      mmap: Whether to open the arrays as memory maps.

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
    labels = ("dataset_names", "frequency_names", "item_ids")
    return arrays | grids | {label: tuple(names[label]) for label in labels}


def _read_names(folder: Path) -> dict[str, Any]:
    path = folder / "corpus.json"
    try:
        names = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds no corpus: there is no corpus.json in it.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    version = names.get("version") if isinstance(names, dict) else None
    if version != VERSION:
        raise DataError(f"{path} has version {version}, expected {VERSION}; build it anew.")
    return names


def _read_array(folder: Path, name: str, mmap: bool) -> np.ndarray:
    path = folder / f"{name}.npy"
    try:
        return np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}. Build the corpus anew.") from error


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yields an empty folder that replaces `folder` after the block, unless an error occurs."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}.") from error
    old = fresh / "old"
    try:
        new = fresh / "new"
        new.mkdir()
        yield new
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}.") from error
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        shutil.rmtree(fresh, ignore_errors=True)
