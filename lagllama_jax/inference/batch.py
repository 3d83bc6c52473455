"""What the decoder is given of each series: one window of M + C points, whatever its length."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.errors import DataError
from lagllama_jax.model.calendar_features import NEUTRAL_DAY, calendar_features
from lagllama_jax.typing import Array, Bool, Clock, Float, Int, UInt

LARGEST_VALUE = 1e18
"""Larger values would overflow float32 when they are squared."""
SMALLEST_VALUE = 1e-30
"""Smaller values count as 0: their squares and ratios would underflow float32."""


class Past(NamedTuple):
    """What is known of a batch of series.

    Attributes:
      values: the last M + C points in the series' units, 0 where missing.
      observed: which of them were observed.
      time_features: calendar features of the last C points and of those to come.
      identity: decides a series' random numbers, together with the seed.
    """

    values: Float[Array, "B U"]
    observed: Bool[Array, "B U"]
    time_features: Float[Array, "B T 6"]
    identity: UInt[Array, "B"]


class Windows(NamedTuple):
    """All series of a call, on the host; `day` and `second` are wall clocks, else as in `Past`."""

    values: Float[np.ndarray, "n U"]
    observed: Bool[np.ndarray, "n U"]
    day: Int[np.ndarray, "n T"]
    second: Int[np.ndarray, "n T"]
    identity: UInt[np.ndarray, "n"]

    def take(self, rows: Int[np.ndarray, "B"]) -> Past:
        """Some of the series."""
        features = calendar_features(self.day[rows], self.second[rows])
        parts: Any = (self.values[rows], self.observed[rows], features, self.identity[rows])
        return Past(*parts)


def identity(item_id: str) -> int:
    """A stable 32-bit number of a name: a series draws the same wherever it stands."""
    return zlib.crc32(str(item_id).encode())


def last_points(
    series: Sequence[np.ndarray], item_ids: Sequence[str], length: int
) -> tuple[Float[np.ndarray, "n U"], Bool[np.ndarray, "n U"]]:
    """The last `length` points of every series, padded on the left, and which are observed.

    Raises:
      DataError: a series is empty or not one-dimensional, or a value is infinite or too large.
    """
    values = np.zeros((len(series), length), np.float32)
    observed = np.zeros((len(series), length), bool)
    for row, (one, name) in enumerate(zip(series, item_ids, strict=True)):
        points = sound_points(np.asarray(one), name, length)
        seen = ~np.isnan(points)
        counts = seen & (np.abs(points) >= SMALLEST_VALUE)
        values[row, length - points.size :] = np.where(counts, points, 0)
        observed[row, length - points.size :] = seen
    return values, observed


def sound_points(one: np.ndarray, name: str, length: int) -> np.ndarray:
    """The last points of one series, all of them missing or of a size that can be computed with.

    Raises:
      DataError: as `last_points`.
    """
    if one.ndim != 1 or one.size == 0:
        raise DataError(
            f"Series {name!r} has shape {one.shape}: give one axis of at least 1 point."
        )
    points = one[-length:].astype(np.float64)
    large = np.abs(points) > LARGEST_VALUE
    if large.any():
        place = int(np.argmax(large))
        raise DataError(
            f"Series {name!r}: value {points[place]} at point {one.size - points.size + place} is "
            f"infinite or larger than {LARGEST_VALUE:g}. Remove it or rescale the series."
        )
    return points


def stack_clocks(
    clocks: Sequence[Clock] | None, count: int, context: int, steps: int, capacity: int
) -> tuple[Int[np.ndarray, "n T"], Int[np.ndarray, "n T"]]:
    """Days and seconds of `context + capacity` points; neutral without clocks.

    Points after the `steps` that are asked for repeat the last one; nothing reads them.

    Raises:
      DataError: clocks of another number or length.
    """
    shape = (count, context + capacity)
    if clocks is None:
        return np.full(shape, NEUTRAL_DAY, np.int32), np.zeros(shape, np.int32)
    given = np.array(clocks, np.int32).reshape(len(clocks), 2, -1)
    if given.shape != (count, 2, context + steps):
        raise DataError(
            f"Clocks are given for {len(clocks)} series and {given.shape[-1]} points; expected "
            f"{count} series and {context} past points with {steps} to come."
        )
    padded = np.pad(given, ((0, 0), (0, 0), (0, capacity - steps)), mode="edge")
    return padded[:, 0], padded[:, 1]


def windows(
    series: Sequence[np.ndarray],
    clocks: Sequence[Clock] | None,
    item_ids: Sequence[str],
    model: ModelConfig,
    steps: int,
    capacity: int,
) -> Windows:
    """One window of each series.

    Args:
      series: one-dimensional, NaN where missing.
      clocks: as in `runner.forecast_samples`.
      item_ids: names.
      model: the architecture, with the context of the forecast.
      steps: points to come.
      capacity: points to come that the program has room for.

    Raises:
      DataError: as `last_points` and `stack_clocks`.
    """
    names = np.array([identity(name) for name in item_ids], np.uint32)
    return Windows(
        *last_points(series, item_ids, model.past_length),
        *stack_clocks(clocks, len(series), model.context_length, steps, capacity),
        names,
    )


def batches(all_series: Windows, size: int) -> Iterator[tuple[slice, Past]]:
    """Consecutive parts of one size; the last is filled up with copies of its last series."""
    count = all_series.values.shape[0]
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        yield slice(start, min(start + size, count)), all_series.take(rows)
