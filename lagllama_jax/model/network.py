"""Lag-Llama (arXiv 2310.08278): tokens to hidden states to a distribution of the next value."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.heads import Head, make_head
from lagllama_jax.model.transformer import Transformer
from lagllama_jax.typing import Key, Parameters


def bind_head(config: ModelConfig, parameters: Parameters) -> Head:
    """The head with its weights, its methods ready to be called."""
    return make_head(config).bind({"params": parameters["head"]})


def init_parameters(config: ModelConfig, key: Key, residual_gain: float = 1.0) -> Parameters:
    """Fresh float32 parameters, distributed as in the reference.

    `residual_gain` multiplies the weights that write to the residual stream.
    """
    trunk_key, head_key = jax.random.split(key)
    features = jnp.zeros((1, 1, config.num_features))
    trunk = Transformer(config).init(trunk_key, features)["params"]
    for block in range(config.num_layers):
        for part, name in (("attention", "output"), ("mlp", "down")):
            trunk[f"block_{block}"][part][name]["kernel"] *= residual_gain
    arguments = [jnp.zeros((1, config.width))]
    if config.head == "implicit_quantile":
        arguments.append(jnp.zeros(1))
    return {**trunk, "head": make_head(config).init(head_key, *arguments)["params"]}


def add_lags(
    config: ModelConfig, parameters: Parameters, lags: Iterable[int]
) -> tuple[ModelConfig, Parameters]:
    """A model that also looks at `lags`; until it is trained it forecasts as before.

    The weights of the new lags, and of their observed flags, are 0.

    Args:
      config: the architecture.
      parameters: the whole model's.
      lags: points back from the last known one, as in `config.lags`; known ones change nothing.

    Raises:
      ConfigError: a lag below 0.
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
