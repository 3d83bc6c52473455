"""Embeddings: vectors that describe the shape of a series, whatever its unit and level."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.inference.batch import prepare
from lagllama_jax.inference.groups import Group
from lagllama_jax.insight.windows import explained_model, observed_part, over_windows
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.encoder import Encoding
from lagllama_jax.model.network import LagLlamaNetwork
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.series.standardise import standard_of
from lagllama_jax.typing import Array, Float, Parameters


def embed(
    parameters: Parameters,
    config: ModelConfig,
    dataset: SeriesDataset,
    per_step: bool = False,
    context_length: int | None = None,
) -> Float[np.ndarray, "B *t D"]:
    """The embedding of each series. The arguments and errors are those of `LagLlama.embed`."""
    model = explained_model(config, context_length)
    series = without_unit(observed_part(dataset), model)
    found: np.ndarray = over_windows(
        step_states if per_step else mean_states,
        parameters,
        model,
        len(series),
        lambda rows: prepare(series, rows, model, 0).batch,
    )
    return found


def without_unit(dataset: SeriesDataset, model: ModelConfig) -> SeriesDataset:
    """The last M + C points of each series, centred at their median and with a mean deviation of 1.

    This is done in float64. So the series `x` and `a * x + b`, with `a` above 0, are the same but
    for rounding errors, also for models that read the unit or the level.

    Raises:
      DataError: If a series has a value that is infinite or too large.
    """
    targets, group = [], Group.of(dataset, model)
    for row, target in enumerate(dataset.targets):
        window = group.points(dataset, row, model, 0)[:, -target.shape[1] :]
        standard = standard_of(window)
        scaled = (window - standard.center[:, None]) / standard.unit[:, None]
        deviation = np.nanmean(np.abs(scaled), axis=-1, keepdims=True)
        kept = np.full(target.shape, np.nan)
        kept[:, target.shape[1] - window.shape[1] :] = scaled / np.where(deviation, deviation, 1)
        targets.append(kept)
    return replace(dataset, targets=targets)


def encoded(parameters: Parameters, model: ModelConfig, batch: Batch) -> tuple[Encoding, Array]:
    """The encoding of a batch, and whether each token lies at or after the first observed value."""
    network = LagLlamaNetwork(model)
    encoding = network.apply({"params": parameters}, batch, window=model.window, method="encode")
    assert isinstance(encoding, Encoding)
    begun = jnp.cumsum(encoding.rows.observed, axis=1) > 0
    return encoding, begun[:, model.max_lag :]


def step_states(parameters: Parameters, model: ModelConfig, batch: Batch) -> Float[Array, "B C D"]:
    """The hidden state of each step of the context, NaN before the first observed value."""
    encoding, begun = encoded(parameters, model, batch)
    return jnp.where(begun[:, :, None], encoding.hidden, jnp.nan)


def mean_states(parameters: Parameters, model: ModelConfig, batch: Batch) -> Float[Array, "B D"]:
    """The mean of the hidden states of the context, from the first observed value on."""
    encoding, begun = encoded(parameters, model, batch)
    weight = begun[:, :, None].astype(encoding.hidden.dtype)
    return (weight * encoding.hidden).sum(1) / weight.sum(1)
