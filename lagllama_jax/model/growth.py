"""Adds parts to a trained model. Its forecasts stay the same until it is trained further."""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.network import init_parameters
from lagllama_jax.typing import Key, Parameters

VARIATE_LAYERS = "variate_norm", "variate_attention"
"""Names of the layers of a block that `ModelConfig.variate_attention` adds."""


def add_lags(
    config: ModelConfig, parameters: Parameters, lags: Iterable[int]
) -> tuple[ModelConfig, Parameters]:
    """Adds lags to a model. The forecasts stay the same until the model is trained further.

    The weights of the new lags, and of their observed flags, are 0.

    Args:
      config: The architecture.
      parameters: The parameters of the whole model.
      lags: Lags to add, in time steps before the last observed point, as in `config.lags`. Lags
        that the model already has change nothing.

    Returns:
      The architecture and the parameters of the extended model.

    Raises:
      ConfigError: If a lag is below 0.
    """
    grown = config.replace(lags=tuple(sorted({*config.lags, *lags})))
    kernel = parameters["embedding"]["kernel"]
    old, new = len(config.lags), len(grown.lags)
    between = kernel.shape[0] - old * (2 if config.observed_features else 1)
    place = np.searchsorted(grown.lags, config.lags)
    rows = [place, new + np.arange(between)]
    if config.observed_features:
        rows.append(new + between + place)
    empty = jnp.zeros((grown.num_features, kernel.shape[1]), kernel.dtype)
    embedding = {**parameters["embedding"], "kernel": empty.at[np.concatenate(rows)].set(kernel)}
    return grown, {**parameters, "embedding": embedding}


def add_variate_attention(
    config: ModelConfig, parameters: Parameters, key: Key
) -> tuple[ModelConfig, Parameters]:
    """Adds attention across the variates of a group. It adds 0 until the model is trained further.

    A model that has it already is returned as it is.

    Args:
      config: The architecture.
      parameters: The parameters of the whole model.
      key: Random key of the new weights.

    Returns:
      The architecture and the parameters of the extended model.

    Examples:
      >>> import jax
      >>> config = ModelConfig.tiny()
      >>> parameters = init_parameters(config, jax.random.key(0))
      >>> grown, parameters = add_variate_attention(config, parameters, jax.random.key(1))
      >>> grown.variate_attention, "variate_attention" in parameters["block_0"]
      (True, True)
    """
    if config.variate_attention:
        return config, parameters
    grown = config.replace(variate_attention=True)
    fresh, added = init_parameters(grown, key), dict(parameters)
    for number in range(config.num_layers):
        name = f"block_{number}"
        layers = {layer: fresh[name][layer] for layer in VARIATE_LAYERS}
        added[name] = {**parameters[name], **layers}
    return grown, added
