"""The data sets of the paper, for pre-training and for its tests."""

import fnmatch
from dataclasses import dataclass, replace
from pathlib import Path

from lagllama_jax.errors import DataError

ZENODO = "https://zenodo.org/record"
LSTNET = "https://raw.githubusercontent.com/laiguokun/multivariate-time-series-data/master"
ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small"
UCI = "https://archive.ics.uci.edu/static/public"
CC_BY, CC_BY_ND = "CC BY 4.0", "CC BY-ND 4.0"
NONE_STATED = "none stated"


@dataclass(frozen=True)
class DataSet:
    """The description of a data set.

    Attributes:
      name: Name of the data set in the scripts of the reference implementation.
      format: Key of its format in `lagllama_jax.corpus.formats.FORMATS`.
      frequency: Pandas alias of the time step. A file with another frequency is an error.
      horizon: Prediction length of the test split, in time steps. For the seven test sets of the
        paper it is that of the paper, otherwise the default of GluonTS for the frequency.
      licence: The licence, if it is known.
      files: Glob patterns of the beginnings of the file names. The first pattern that matches is
        used.
      members: Glob pattern of the names of the files to read in a zip file. Others are left out.
      url: Address of the file. `None`: nobody has published it.
      homepage: Page about the data set.
      note: What is published instead of the file, if there is no `url`.
      start: Conventional time of the first value, if the files have no time stamps.
      sha256: Checksum of the unpacked file. `None`: it has not been compared with an original.
      held_out: Whether the data set is left out of pre-training, for the zero-shot tests of the
        paper.
    """

    name: str
    format: str
    frequency: str
    horizon: int
    licence: str
    files: tuple[str, ...]
    members: str = "*"
    url: str | None = None
    homepage: str | None = None
    note: str | None = None
    start: str | None = None
    sha256: str | None = None
    held_out: bool = False

    def sources(self, folder: Path) -> list[Path]:
        """The files of the data set in a folder.

        Raises:
          DataError: If there are none. The message names the expected files and their source.
        """
        for pattern in self.files:
            found = [path for path in folder.glob(f"{pattern}*") if self._is_source(path)]
            if found:
                return sorted(found)
        origin = f"fetch {self.url}" if self.url else self.unpublished
        looked_for = " or ".join(f"{pattern}*" for pattern in self.files)
        raise DataError(f"{folder} holds no {looked_for} for data set {self.name!r}; {origin}.")

    @property
    def unpublished(self) -> str:
        """Why nobody can download the data set, as part of a sentence."""
        note = f": {self.note}" if self.note else ""
        return f"nobody can download it, because its file is not published{note} ({self.homepage})"

    def _is_source(self, path: Path) -> bool:
        name = path.name.lower()
        packed = name.endswith((".zip", ".gz", ".bz2", ".xz", ".zst"))
        return path.is_file() and (packed or fnmatch.fnmatchcase(name, self.members.lower()))


def _monash(name: str, record: int, frequency: str, horizon: int, stem: str = "") -> DataSet:
    plain = name.removesuffix("_without_missing")
    file = f"{stem or plain}_dataset" + ("" if name == plain else "_without_missing_values")
    url = f"{ZENODO}/{record}/files/{file}.zip"
    return DataSet(name, "tsf", frequency, horizon, CC_BY, (file,), url=url)


def _lstnet(
    name: str, frequency: str, horizon: int, start: str, sha256: str | None = None
) -> DataSet:
    file, url = f"{name}.txt", f"{LSTNET}/{name}/{name}.txt.gz"
    return DataSet(
        name, "lstnet", frequency, horizon, NONE_STATED, (file,),
        url=url, start=start, sha256=sha256,
    )  # fmt: skip


def _cloud(metric: str) -> DataSet:
    """A metric of Huawei's private cloud. The reference reads it from an unpublished file."""
    name, homepage = f"{metric}_minute", "https://github.com/sir-lab/data-release"
    note = "of Huawei's cloud, raw traces are published, and not the selection of the paper"
    return DataSet(name, "jsonl", "min", 60, NONE_STATED, (name,), homepage=homepage, note=note)


def _ett(name: str, frequency: str, sha256: str) -> DataSet:
    file = f"ETT{name}.csv"
    url = f"{ETT}/{file}"
    return DataSet(f"ett_{name}", "wide", frequency, 24, CC_BY_ND, (file,), url=url, sha256=sha256)


def _uci(name: str, format: str, path: str, files: tuple[str, ...], members: str) -> DataSet:
    """A data set of UCI, whose zip files hold spreadsheets and unrelated files as well."""
    return DataSet(name, format, "h", 24, CC_BY, files, members, f"{UCI}/{path}.zip")


_UBER = "https://github.com/fivethirtyeight/uber-tlc-foil-response"
_UBER_NOTE = (
    "lists of trips are published; GluonTS counts them by hour and writes the JSON lines that are "
    "read here"
)
_EXCHANGE_SHA256 = "0127465b51e3cd3c360f8eb2be30cfd294689a2a55903eb8245aafc396626c7f"
_PM25, _AIR_QUALITY = ("PRSA_data_2010", "beijing?pm2?5"), ("AirQualityUCI", "air?quality")
_MULTISITE = ("PRSA_Data_*_20130301", "PRSA2017_Data", "beijing?multi?site")
_DATA_SETS = (
    _monash("australian_electricity_demand", 4659727, "30min", 60),
    _monash("electricity_hourly", 4656140, "h", 48),
    _monash("london_smart_meters_without_missing", 4656091, "30min", 60),
    _monash("solar_10_minutes", 4656144, "10min", 60),
    _monash("wind_farms_without_missing", 4654858, "min", 60, stem="wind_farms_minutely"),
    _monash("pedestrian_counts", 4656626, "h", 48),
    DataSet(
        "uber_tlc_hourly", "jsonl", "h", 24, NONE_STATED, ("uber_tlc_hourly",),
        homepage=_UBER, note=_UBER_NOTE,
    ),
    _lstnet("traffic", "h", 24, "2015-01-01"),
    _monash("kdd_cup_2018_without_missing", 4656756, "h", 48),
    _monash("saugeenday", 4656058, "D", 30),
    _monash("sunspot_without_missing", 4654722, "D", 30),
    _lstnet("exchange_rate", "B", 30, "1990-01-01", _EXCHANGE_SHA256),
    *map(_cloud, ("cpu_limit", "cpu_usage", "function_delay", "instances")),
    *map(_cloud, ("memory_limit", "memory_usage", "platform_delay", "requests")),
    _ett("h1", "h", "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    _ett("h2", "h", "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
    _ett("m1", "15min", "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
    _ett("m2", "15min", "db973ca252c6410a30d0469b13d696cf919648d0f3fd588c60f03fdbdbadd1fd"),
    _uci("beijing_pm25", "prsa", "381/beijing+pm2+5+data", _PM25, "PRSA_data_2010*.csv"),
    _uci("AirQualityUCI", "air_quality", "360/air+quality", _AIR_QUALITY, "AirQualityUCI*.csv"),
    _uci(
        "beijing_multisite", "prsa", "501/beijing+multi+site+air+quality+data", _MULTISITE,
        "PRSA_Data_*_20130301*.csv",
    ),
    _monash("weather", 4654822, "D", 30),
)  # fmt: skip
_HELD_OUT = {
    "pedestrian_counts", "exchange_rate", "platform_delay_minute", "requests_minute", "ett_m2",
    "beijing_pm25", "weather",
}  # fmt: skip

CATALOGUE: dict[str, DataSet] = {
    one.name: replace(one, held_out=one.name in _HELD_OUT) for one in _DATA_SETS
}
"""All data sets by name, in the order of the script of the reference."""


def find_data_set(name: str) -> DataSet:
    """Finds a data set of the catalogue by its name.

    Raises:
      DataError: If there is no such data set. The message names the known ones.
    """
    if name not in CATALOGUE:
        raise DataError(f"There is no data set {name!r}. Known are {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]
