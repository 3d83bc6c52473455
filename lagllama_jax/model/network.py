"""`LagLlamaNetwork` (arXiv 2310.08278): maps batches to hidden states and distributions."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.attention import KeysValues
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
    query_tokens,
    series_scale,
    tokens,
)
from lagllama_jax.typing import Array, Bool, Float, Int, Key, Parameters


class Encoding(NamedTuple):
    """The hidden states of a batch, one row per variate, with the loc and scale of each row.

    Attributes:
      hidden: Hidden states. That of token t describes the distribution of point t + 1.
      scale: Loc and scale of each row, in the units of `rows`.
      rows: The rows that were encoded.
      ahead: Hidden states of the queries. That of a query for point t describes point t + 1.
        `None`: there were no queries.
    """

    hidden: Float[Array, "B T D"]
    scale: Scale
    rows: Rows
    ahead: Float[Array, "B Q D"] | None = None


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
        block = nn.remat(Block, static_argnums=(2, 3, 4)) if self.remat else Block
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

    def _named(self, name: str, features: Float[Array, "B T F"]) -> Float[Array, "B T F"]:
        """Tokens, sown in the collection `intermediates` under a name.

        If the collection `perturbations` is given, its array of this name is added to them.
        """
        self.sow("intermediates", name, features)
        perturbed: Array = self.perturb(name, features)
        return perturbed

    def encode(
        self,
        batch: Batch,
        deterministic: bool = True,
        window: int | None = None,
        queries: Int[Array, "B Q"] | None = None,
    ) -> Encoding:
        """Hidden states of every token of a batch, and of queries for points of the future.

        The named outputs are `tokens`, `query_tokens` and the output of each block in the
        collection `intermediates`, and the attention weights in the collection `attention`.

        Args:
          batch: The batch.
          deterministic: Whether to leave out dropout.
          window: Number of tokens that a token attends to, itself included. `None`: all.
          queries: Indices of points at or after the start of the forecast. A query reads the points
            before the start only, and describes the point after its own. `None`: no queries.
        """
        rows = self.rows(batch)
        scale = series_scale(self.config, rows)
        features = self._named("tokens", tokens(self.config, rows, scale))
        hidden, keys_values = self._blocks(features, deterministic, window)
        ahead = None
        if queries is not None:
            places = jnp.arange(hidden.shape[1]) + self.config.max_lag
            seen = places < rows.start[:, None]
            ahead = self._ahead(rows, scale, queries, keys_values, seen, deterministic)
        return Encoding(hidden, scale, rows, ahead)

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
        return self._blocks(features, deterministic, window)[0]

    def _blocks(
        self, features: Float[Array, "B T F"], deterministic: bool, window: int | None
    ) -> tuple[Float[Array, "B T D"], list[KeysValues]]:
        """Hidden states of sequences of tokens, and the keys and values of each block."""
        x, found = self.embedding(features), []
        for index, block in enumerate(self.blocks):
            x, keys_values = block(x, deterministic, window, None)
            found.append(keys_values)
            self.sow("intermediates", f"block_{index}_output", x)
        return self.final_norm(x), found

    def _ahead(
        self,
        rows: Rows,
        scale: Scale,
        queries: Int[Array, "#B Q"],
        context: list[KeysValues],
        seen: Bool[Array, "#B C"],
        deterministic: bool = True,
    ) -> Float[Array, "B Q D"]:
        """Hidden states of queries, which look at the keys and values of the context.

        Args:
          rows: The rows.
          scale: Loc and scale of each row.
          queries: As in `encode`.
          context: Keys and values of the context in each block.
          seen: Which tokens of the context are before the start of the forecast.
          deterministic: Whether to leave out dropout.
        """
        config = self.config
        x = self.embedding(self._named("query_tokens", query_tokens(config, rows, scale, queries)))
        positions = queries - config.max_lag
        for block, keys_values in zip(self.blocks, context, strict=True):
            x = block.look(x, keys_values, seen, positions, config.window, deterministic)
        return self.final_norm(x)

    def _context(self, rows: Rows, scale: Scale) -> tuple[Float[Array, "B 1 D"], list[KeysValues]]:
        """The hidden state of the last token of rows that end at the start of the forecast.

        In the last block, only the keys and values of the other tokens are computed.

        Returns:
          The hidden state, and the keys and values of all tokens in each block.
        """
        window = self.config.window
        x, found = self.embedding(tokens(self.config, rows, scale)), []
        for block in self.blocks[:-1]:
            x, keys_values = block(x, True, window, window)
            found.append(keys_values)
        block, last = self.blocks[-1], x.shape[1] - 1
        found.append(block.keys_values(x, window))
        before = KeysValues(*(part[:, :last] for part in found[-1]))
        seen = jnp.arange(last)[None] > last - window
        x = block.look(x[:, last:], before, seen, jnp.full((1, 1), last), window, True)
        return self.final_norm(x), found

    def one_pass(self, batch: Batch, count: int) -> tuple[Float[Array, "B P D"], Scale]:
        """Hidden states that describe the `count` points after a batch, and the scale of each row.

        The first is that of the last token. The others are those of queries, whose values are
        hidden.
        """
        rows = self.rows(batch)
        scale = series_scale(self.config, rows)
        first, context = self._context(rows, scale)
        queries = rows.values.shape[1] + jnp.arange(count - 1)[None]
        seen = jnp.ones((1, rows.values.shape[1] - self.config.max_lag), bool)
        ahead = self._ahead(rows, scale, queries, context, seen)
        return jnp.concatenate([first, ahead], axis=1), scale

    def prefill(self, batch: Batch, num_samples: int, capacity: int) -> tuple[Context, Turn, Paths]:
        """Encodes the context once per row, for sample paths of at most `capacity` points.

        Returns:
          The past that the tokens of the paths need, the rotations of their positions, and the
          initial state of decoding, which holds the hidden states of the last context token.
        """
        config, rows = self.config, self.rows(batch)
        scale = series_scale(config, rows)
        last, prefix = self._context(rows, scale)
        count, width = last.shape[0], last.shape[2]
        length = rows.values.shape[1] - config.max_lag
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
