"""`Encoder`: maps batches to hidden states."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import KNOWN_COVARIATE, Batch, Rows, rows_of
from lagllama_jax.model.blocks import Block
from lagllama_jax.model.causal_attention import KeysValues
from lagllama_jax.model.heads import Head, make_head
from lagllama_jax.model.layers import Linear, RMSNorm
from lagllama_jax.model.scalers import Scale
from lagllama_jax.model.tokens import query_tokens, series_scale, tokens
from lagllama_jax.model.variate_attention import Variates
from lagllama_jax.typing import Array, Bool, Float, Int


class Encoding(NamedTuple):
    """The hidden states of a batch, one row per variate, with the loc and scale of each row.

    Attributes:
      hidden: Hidden states. That of token t describes the distribution of point t + 1.
      scale: Loc and scale of each row, in the units of `rows`.
      rows: The rows that were encoded. In models with attention across variates, known covariates
        are one step ahead (`Rows.one_step_ahead`).
      ahead: Hidden states of the queries. That of a query for point t describes point t + 1.
        `None`: there were no queries.
    """

    hidden: Float[Array, "B T D"]
    scale: Scale
    rows: Rows
    ahead: Float[Array, "B Q D"] | None = None


class Past(NamedTuple):
    """The context of queries.

    Attributes:
      keys_values: Keys and values of the tokens of the context, in each block.
      seen: Which of the tokens are before the start of the forecast.
    """

    keys_values: list[KeysValues]
    seen: Bool[Array, "#B C"]


class Encoder(nn.Module):
    """Maps batches to hidden states: tokens, embedding, blocks and final norm.

    The layers of the whole network are made here.

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
        """The rows of a batch, in raw units if this model reads raw values.

        In models with attention across variates, known covariates are one step ahead.
        """
        rows = rows_of(batch)
        rows = rows.raw() if self.config.reads_raw_values else rows
        if self.variates(batch) is None:
            return rows
        return rows.one_step_ahead((batch.role == KNOWN_COVARIATE).reshape(-1))

    def variates(self, batch: Batch) -> Variates | None:
        """Which variates of each group see which. `None`: each variate is alone."""
        alone = batch.role.shape[1] == 1 or not self.config.variate_attention
        return None if alone else Variates.of(batch.role)

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
        length: int | None = None,
    ) -> Encoding:
        """Hidden states of every token of a batch, and of queries for points of the future.

        The named outputs are `tokens`, `query_tokens` and the output of each block in the
        collection `intermediates`, and the attention weights in the collection `attention`.

        Args:
          batch: The batch.
          deterministic: Whether to leave out dropout.
          window: Number of tokens that a token attends to, itself included. `None`: all.
          queries: Indices of points at or after the start of the forecast, the same for all
            variates of a group. A query reads the points before the start and all known covariates,
            and describes the point after its own. `None`: no queries.
          length: Number of points whose tokens are encoded. Of the points after these, only the
            known covariates are read, by queries. `None`: all.
        """
        whole, variates = self.rows(batch), self.variates(batch)
        rows = whole.first(batch.values.shape[2] if length is None else length)
        scale = series_scale(self.config, rows)
        features = self._named("tokens", tokens(self.config, rows, scale))
        hidden, keys_values = self._blocks(features, deterministic, window, variates)
        ahead = None
        if queries is not None:
            places = jnp.arange(hidden.shape[1]) + self.config.max_lag
            context = Past(keys_values, places < rows.start[:, None])
            ahead = self._ahead(whole, scale, queries, context, variates, deterministic)
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
        return self._blocks(features, deterministic, window, None)[0]

    def _blocks(
        self,
        features: Float[Array, "B T F"],
        deterministic: bool,
        window: int | None,
        variates: Variates | None,
    ) -> tuple[Float[Array, "B T D"], list[KeysValues]]:
        """Hidden states of sequences of tokens, and the keys and values of each block."""
        x, found = self.embedding(features), []
        for index, block in enumerate(self.blocks):
            x, keys_values, _ = block(x, deterministic, window, None, variates)
            found.append(keys_values)
            self.sow("intermediates", f"block_{index}_output", x)
        return self.final_norm(x), found

    def _ahead(
        self,
        rows: Rows,
        scale: Scale,
        queries: Int[Array, "#B Q"],
        context: Past,
        variates: Variates | None,
        deterministic: bool = True,
    ) -> Float[Array, "B Q D"]:
        """Hidden states of queries, which look at the keys and values of the context.

        Args:
          rows: The rows.
          scale: Loc and scale of each row.
          queries: As in `encode`.
          context: The context.
          variates: Which variates see which.
          deterministic: Whether to leave out dropout.
        """
        config = self.config
        x = self.embedding(self._named("query_tokens", query_tokens(config, rows, scale, queries)))
        positions = queries - config.max_lag
        given = positions, config.window, deterministic, variates
        for block, keys_values in zip(self.blocks, context.keys_values, strict=True):
            x = block.look(x, keys_values, context.seen, *given)
        return self.final_norm(x)

    def _context(
        self, rows: Rows, scale: Scale, variates: Variates | None
    ) -> tuple[Float[Array, "B 1 D"], list[KeysValues]]:
        """The hidden state of the last token of rows that end at the start of the forecast.

        In the last block, only the keys and values of the other tokens are computed.

        Returns:
          The hidden state, and the keys and values of all tokens in each block.
        """
        window = self.config.window
        x, found = self.embedding(tokens(self.config, rows, scale)), []
        for block in self.blocks[:-1]:
            x, keys_values, _ = block(x, True, window, window, variates)
            found.append(keys_values)
        block, last = self.blocks[-1], x.shape[1] - 1
        found.append(block.keys_values(x, window))
        before = KeysValues(*(part[:, :last] for part in found[-1]))
        seen = jnp.arange(last)[None] > last - window
        place = jnp.full((1, 1), last)
        x = block.look(x[:, last:], before, seen, place, window, True, variates)
        return self.final_norm(x), found

    def one_pass(self, batch: Batch, count: int) -> tuple[Float[Array, "B P D"], Scale]:
        """Hidden states of the `count` points from the start of a forecast, and the scales.

        The first is that of the last token. The others are those of queries, whose values are
        hidden.

        Args:
          batch: The batch. Its forecast starts after M + C points.
          count: Number of points.
        """
        rows, variates = self.rows(batch), self.variates(batch)
        past = rows.first(self.config.past_length)
        scale = series_scale(self.config, past)
        first, keys_values = self._context(past, scale, variates)
        queries = past.values.shape[1] + jnp.arange(count - 1)[None]
        seen = jnp.ones((1, past.values.shape[1] - self.config.max_lag), bool)
        ahead = self._ahead(rows, scale, queries, Past(keys_values, seen), variates)
        return jnp.concatenate([first, ahead], axis=1), scale
