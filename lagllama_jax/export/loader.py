"""Forecasts with an exported Lag-Llama model. Needs JAX and flatbuffers.

from loader import load

program = load("folder")
forecast = program.predict([[1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0]], prediction_length=2)
forecast.mean(), forecast.quantiles([0.1, 0.9])
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import export

from lagllama_jax.inference.batch import UNITS, put_back
from lagllama_jax.inference.marginals import Marginals
from lagllama_jax.model.calendar_features import calendar_features
from lagllama_jax.series.standardise import FURTHEST, standard_of


class ExportedProgram(NamedTuple):
    """The program of an exported model.

    Attributes:
      call: Function of the arrays of the series, which returns the distributions.
      config: Lengths, and the versions that wrote the program.
    """

    call: Any
    config: dict[str, Any]

    def predict(
        self, series: Sequence[Any], prediction_length: int | None = None, times: Any = None
    ) -> Marginals:
        """Forecasts the points that follow each series.

        Args:
          series: The past values of each series, NaN where a value is missing.
          prediction_length: Number of time steps, at most that of the program.
          times: Local times of the last `context_length` points of each series and of the points to
            forecast, as an array of `datetime64`. For weeks, months, quarters and years: the last
            day of each period. `None`: the calendar features are neutral.

        Returns:
          The Student-t distribution of each point, in the units of the series.

        Raises:
          ValueError: If a series is empty, ends with a missing value or is infinite, the horizon is
            too long, or `times` has another shape.
        """
        longest, context = self.config["prediction_length"], self.config["context_length"]
        steps = longest if prediction_length is None else prediction_length
        if not 1 <= steps <= longest:
            raise ValueError(f"prediction_length={steps} must be between 1 and {longest}.")
        raw = np.stack([self._last_points(number, one) for number, one in enumerate(series)])
        features = np.zeros((len(raw), context + longest, 6), np.float32)
        if times is not None:
            features[:, : context + steps] = self._features(np.asarray(times), len(raw), steps)
        standard = standard_of(raw)
        if self.config["reads_raw_values"]:
            zeros = np.zeros(len(raw))
            standard = standard._replace(center=zeros, unit=zeros + 1)
        values, observed = standard.apply(raw), ~np.isnan(raw)
        level = np.clip(standard.center / standard.unit, -FURTHEST, FURTHEST)
        drawn = self.call(
            jnp.asarray(np.where(observed, values, np.float32(0))),
            jnp.asarray(observed),
            jnp.asarray(features),
            jnp.asarray(level, jnp.float32),
            jnp.asarray(np.clip(standard.unit, *UNITS), jnp.float32),
        )
        df, loc, scale = np.asarray(drawn, np.float64)[:, :, :steps]
        center, width = (part[:, None] for part in put_back(standard, raw))
        return Marginals.student_t(df, center + width * loc, width * scale)

    def _last_points(self, number: int, one: Any) -> Any:
        values = np.asarray(one, np.float64)
        if values.ndim != 1 or len(values) == 0 or np.isinf(values).any() or np.isnan(values[-1]):
            raise ValueError(
                f"Series {number} must be 1-D, finite or NaN, and end with a value that is there."
            )
        points = np.full(self.config["past_length"], np.nan)
        given = values[-len(points) :]
        points[len(points) - len(given) :] = given
        return points

    def _features(self, times: Any, count: int, steps: int) -> Any:
        wanted = (count, self.config["context_length"] + steps)
        if times.shape != wanted or times.dtype.kind != "M":
            raise ValueError(f"times must be datetime64 of shape {wanted}, not {times.shape}.")
        seconds = times.astype("datetime64[s]").astype(np.int64)
        return calendar_features(seconds // 86_400, seconds % 86_400)


def load(folder: Any) -> ExportedProgram:
    """Loads the program of a folder."""
    place = pathlib.Path(folder)
    program = export.deserialize(bytearray((place / "program.bin").read_bytes()))
    return ExportedProgram(program.call, json.loads((place / "config.json").read_text()))
