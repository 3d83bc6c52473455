"""`Store`: the tables that were uploaded, each in a folder of its own."""

import re
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from lagllama_jax.app.choice import Files
from lagllama_jax.app.summary import TableSummary

LONGEST_NAME = 60
_STRANGE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\/\u200e\u200f\u202a-\u202e\u2066-\u2069]')


@dataclass
class Upload:
    """A table that was uploaded.

    Attributes:
      identifier: A random name, which nobody can guess.
      folder: Folder of its files.
      files: The files.
      summary: What the page shows of it.
      fields: The fields of the form, as they were sent last.
    """

    identifier: str
    folder: Path
    files: Files
    summary: TableSummary
    fields: dict[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.files.table.name


class Store:
    """Keeps the latest tables.

    Attributes:
      folder: Folder of all tables.
      most: Number of tables that are kept.
    """

    def __init__(self, folder: Path, most: int):
        self.folder = folder
        self.most = most
        self._uploads: dict[str, Upload] = {}

    def new_folder(self) -> Path:
        """An empty folder for the files of a table, with a random name."""
        folder = self.folder / secrets.token_urlsafe(18)
        for part in (folder / "table", folder / "future"):
            part.mkdir(parents=True)
        return folder

    def add(self, upload: Upload) -> list[str]:
        """Keeps a table. Returns the identifiers of those that are dropped for it."""
        self._uploads[upload.identifier] = upload
        dropped = list(self._uploads)[: -self.most]
        for identifier in dropped:
            shutil.rmtree(self._uploads.pop(identifier).folder, ignore_errors=True)
        return dropped

    def get(self, identifier: str) -> Upload | None:
        """A table, if it is kept."""
        return self._uploads.get(identifier)


def safe_name(given: str) -> str:
    """A name for a file of which a browser says that it has the name `given`.

    >>> safe_name("../../etc/my data.csv"), safe_name("..")
    ('my data.csv', 'table.csv')
    """
    name = _STRANGE.sub("_", re.split(r"[\\/]", given)[-1]).strip(" .")
    return name[-LONGEST_NAME:].strip(" .") or "table.csv"


def without_folder(message: str, folder: Path) -> str:
    """An error message that names the files of a folder without it."""
    for part in ("table", "future"):
        message = message.replace(f"{folder / part}/", "").replace(f"{folder / part}\\", "")
    return message
