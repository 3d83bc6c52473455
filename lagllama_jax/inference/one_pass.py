"""Forecasts the distributions of a whole horizon in one pass of the network."""

from typing import Any

import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.typing import Array, Float, Parameters


def distributions(
    parameters: Parameters, config: ModelConfig, batch: Batch, count: int
) -> Float[Array, "3 G V P"]:
    """The Student-t distributions of the points that follow a batch.

    Args:
      parameters: The parameters of the model.
      config: The architecture, with the context length of the forecast.
      batch: The series. Their calendar features reach `count` points beyond the context.
      count: Number of points.

    Returns:
      Degrees of freedom, locations and scales, in the units in which the model reads the batch.
    """
    network = LagLlamaNetwork(config)
    found: Any = network.apply({"params": parameters}, batch, count, method="one_pass")
    hidden, scale = found
    head: Any = bind_head(config, parameters)
    law = head(hidden, scale.loc, scale.scale)
    return jnp.stack([law.df, law.loc, law.scale]).reshape(3, *batch.values.shape[:2], count)
