"""`Result`: what the page shows of a forecast or an analysis."""

from typing import NamedTuple


class Chart(NamedTuple):
    """A picture.

    Attributes:
      title: Its heading.
      words: What it shows, for those who do not see it.
      svg: The picture.
    """

    title: str
    words: str
    svg: bytes


class Part(NamedTuple):
    """The pictures of one series.

    Attributes:
      name: Name of the series.
      charts: The pictures.
    """

    name: str
    charts: tuple[Chart, ...]


class Result(NamedTuple):
    """What the page shows of a forecast or an analysis.

    Attributes:
      title: What was done.
      parts: The pictures, of the first series only if there are many.
      csv: The table for download.
      file: Name of that file.
      head: Names of the columns of a short table.
      rows: The cells of a short table.
      verdict: The answer in a sentence. Empty: there is none.
      summary: A table in text. Empty: there is none.
      paragraphs: The result in words.
      notes: Warnings, and what a reader should know.
    """

    title: str
    parts: tuple[Part, ...]
    csv: bytes
    file: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    verdict: str = ""
    summary: str = ""
    paragraphs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
