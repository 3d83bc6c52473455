"""`LagLlamaNetwork` (arXiv 2310.08278): maps batches to hidden states and distributions."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Batch, Rows, rows_of
from lagllama_jax.model.blocks import Block
from lagllama_jax.model.heads import Head, make_head
from lagllama_jax.model.kv_cache import KVCache, ring_slots, start_cache
from lagllama_jax.model.layers import Linear, RMSNorm
from lagllama_jax.model.rope import Turn, turns
from lagllama_jax.model.scalers import Scale
from lagllama_jax.model.tokens import (
    Context,
    decoding_context,
    path_tokens,
    series_scale,
    tokens,
)
from lagllama_jax.typing import Array, Float, Int, Key, Parameters


class Encoding(NamedTuple):
    """The hidden states of a batch, one row per variate, with the loc and scale of each row.

    Attributes:
      hidden: Hidden states. That of token t describes the distribution of point t + 1.
      scale: Loc and scale of each row, in the units of `rows`.
      rows: The rows that were encoded.
    """

    hidden: Float[Array, "B T D"]
    scale: Scale
    rows: Rows


class Paths(NamedTuple):
    """The state of decoding: the sample paths so far and the key-value caches.

    Attributes:
      drawn: The points drawn so far, as the model reads them (`model_inputs`).
      hidden: Hidden states of the last points, which describe the next points.
      caches: Keys and values, one cache per block.
    """

    drawn: Float[Array, "P B S"]
    hidden: Float[Array, "B S D"]
    caches: list[KVCache]


class LagLlamaNetwork(nn.Module):
    """The whole network: tokens, embedding, blocks, final norm and distribution head.

    Attributes:
      config: The architecture.
      dtype: Data type of the computation. The parameters are float32.
      remat: Whether to recompute each block's activations in the backward pass.
    """

    config: ModelConfig
    dtype: DTypeLike = jnp.float32
    remat: bool = False

    def setup(self) -> None:
        """Makes the layers."""
        block = nn.remat(Block, static_argnums=(2, 3)) if self.remat else Block
        self.embedding = Linear(self.config.width, use_bias=True, dtype=self.dtype)
        self.blocks = [
            block(self.config, self.dtype, name=f"block_{i}") for i in range(self.config.num_layers)
        ]
        self.final_norm = RMSNorm(self.dtype)
        self.head: Head = make_head(self.config)

    def rows(self, batch: Batch) -> Rows:
        """The rows of a batch, in raw units if this model reads raw values."""
        rows = rows_of(batch)
        return rows.raw() if self.config.reads_raw_values else rows

    def encode(
        self, batch: Batch, deterministic: bool = True, window: int | None = None
    ) -> Encoding:
        """Hidden states of every token of a batch.

        Args:
          batch: The batch.
          deterministic: Whether to leave out dropout.
          window: Number of tokens that a token attends to, itself included. `None`: all.
        """
        rows = self.rows(batch)
        scale = series_scale(self.config, rows)
        hidden = self.transform(tokens(self.config, rows, scale), deterministic, window)
        return Encoding(hidden, scale, rows)

    def transform(
        self,
        features: Float[Array, "B T F"],
        deterministic: bool = True,
        window: int | None = None,
    ) -> Float[Array, "B T D"]:
        """Hidden states of sequences of tokens.

        The output of each block is sown in the collection `intermediates`.

        Args:
          features: The tokens.
          deterministic: Whether to leave out dropout.
          window: Number of tokens that a token attends to, itself included. `None`: all.
        """
        x = self.embedding(features)
        for index, block in enumerate(self.blocks):
            x = block(x, deterministic, window)
            self.sow("intermediates", f"block_{index}_output", x)
        return self.final_norm(x)

    def prefill(self, batch: Batch, num_samples: int, capacity: int) -> tuple[Context, Turn, Paths]:
        """Encodes the context once per row, for sample paths of at most `capacity` points.

        Returns:
          The past that the tokens of the paths need, the rotations of their positions, and the
          initial state of decoding, which holds the hidden states of the last context token.
        """
        config, rows = self.config, self.rows(batch)
        scale = series_scale(config, rows)
        x, prefix = self.embedding(tokens(config, rows, scale)), []
        for block in self.blocks:
            x, keys_and_values = block.prefill(x, config.window)
            prefix.append(keys_and_values)
        count, length, width = x.shape
        last = self.final_norm(x[:, -1:])
        slots = ring_slots(config.window, capacity)
        paths = Paths(
            jnp.zeros((capacity, count, num_samples), rows.values.dtype),
            jnp.broadcast_to(last, (count, num_samples, width)),
            [start_cache(key, value, num_samples, slots) for key, value in prefix],
        )
        turn = turns(config, length + jnp.arange(capacity), config.window)
        return decoding_context(config, rows, scale), turn, paths

    def extend(self, context: Context, turn: Turn, paths: Paths, step: Int[Array, ""]) -> Paths:
        """Reads point `step` of each sample path, and updates the hidden states and the caches.

        Args:
          context: The past of each row.
          turn: The rotations of all positions, as `prefill` returns them.
          paths: The state of decoding.
          step: Number of the point, from 0 at the start of the forecast.
        """
        x, caches = self.embedding(path_tokens(self.config, context, paths.drawn, step)), []
        here = Turn(turn.cos[step], turn.sin[step])
        for block, cache in zip(self.blocks, paths.caches, strict=True):
            x, extended = block.extend(x, cache, step, here, self.config.window)
            caches.append(extended)
        return paths._replace(hidden=self.final_norm(x), caches=caches)

    def init_all(self, features: Float[Array, "1 1 F"]) -> Any:
        """Runs each layer once, so that Flax creates its parameters."""
        zero = jnp.zeros(1)
        return self.head.loss(self.transform(features)[:, 0], zero, zero, zero + 1)


def bind_head(config: ModelConfig, parameters: Parameters) -> Head:
    """The distribution head, bound to its weights, so that its methods can be called directly."""
    return make_head(config).bind({"params": parameters["head"]})


def init_parameters(config: ModelConfig, key: Key, residual_gain: float = 1.0) -> Parameters:
    """Random float32 parameters, with the distributions of the reference implementation.

    Args:
      config: The architecture.
      key: Random key.
      residual_gain: Factor of the initial weights of the two layers of each block that add to the
        residual stream.
    """
    features = jnp.zeros((1, 1, config.num_features))
    parameters = LagLlamaNetwork(config).init(key, features, method="init_all")["params"]
    for block in range(config.num_layers):
        for part, name in (("attention", "output"), ("mlp", "down")):
            parameters[f"block_{block}"][part][name]["kernel"] *= residual_gain
    return parameters


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
