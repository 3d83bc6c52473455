"""`LagLlamaNetwork` (arXiv 2310.08278): maps batches to hidden states and distributions."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Batch, Rows
from lagllama_jax.model.causal_attention import KeysValues
from lagllama_jax.model.encoder import Encoder
from lagllama_jax.model.heads import Head, make_head
from lagllama_jax.model.kv_cache import KVCache, ring_slots, start_cache
from lagllama_jax.model.rope import Turn, turns
from lagllama_jax.model.scalers import Scale
from lagllama_jax.model.tokens import (
    Context,
    decoding_context,
    path_tokens,
    series_scale,
    tokens,
)
from lagllama_jax.model.variate_attention import Variates
from lagllama_jax.typing import Array, Float, Int, Key, Parameters


class Companions(NamedTuple):
    """What sample paths see of the variates of their group. `step` picks a point of the future.

    Attributes:
      variates: Which variates see which. Those whose paths are drawn come first.
      known: For each block, keys and values of the known covariates at each future point. `None`:
        there are none.
    """

    variates: Variates
    known: list[KeysValues] | None

    def at(self, step: Int[Array, ""], block: int) -> KeysValues | None:
        """The keys and values of the known covariates at a future point in a block."""
        if self.known is None:
            return None
        pick = lambda part: jax.lax.dynamic_slice_in_dim(part, step, 1, 1)  # noqa: E731
        return KeysValues(*map(pick, self.known[block]))


class Paths(NamedTuple):
    """The state of decoding: the sample paths so far and the key-value caches.

    Attributes:
      drawn: The points drawn so far, as the model reads them (`model_inputs`).
      hidden: Hidden states of the last points, which describe the next points.
      caches: Keys and values, one cache per block.
      companions: The variates of the groups. `None`: each variate is alone.
    """

    drawn: Float[Array, "P B S"]
    hidden: Float[Array, "B S D"]
    caches: list[KVCache]
    companions: Companions | None = None


class LagLlamaNetwork(Encoder):
    """The whole network: the encoder, the decoding of sample paths, and the distribution head."""

    def prefill(
        self, batch: Batch, num_samples: int, capacity: int, drawn: int | None = None
    ) -> tuple[Context, Turn, Paths]:
        """Encodes the context once per row, for sample paths of at most `capacity` points.

        Args:
          batch: The batch. Its forecast starts after M + C points, and known covariates go on for
            `capacity` points.
          num_samples: Number of sample paths per variate.
          capacity: Largest number of points.
          drawn: Number of variates of each group whose paths are drawn. They come first, and those
            after them are known covariates or padding. `None`: all.

        Returns:
          The past that the tokens of the paths need, the rotations of their positions, and the
          initial state of decoding, which holds the hidden states of the last context token. Their
          rows are the drawn variates.
        """
        config, whole, variates = self.config, self.rows(batch), self.variates(batch)
        rows = whole.first(config.past_length)
        scale = series_scale(config, rows)
        last, prefix = self._context(rows, scale, variates)
        size, companions = batch.role.shape[1], None
        drawn = size if drawn is None else drawn
        if variates is not None:
            companions = self._companions(whole, scale, variates, drawn, capacity)
        if drawn < size:
            parts = rows, scale, last, prefix
            rows, scale, last, prefix = of_groups(parts, size, slice(drawn))
        count, width = last.shape[0], last.shape[2]
        length = rows.values.shape[1] - config.max_lag
        slots = ring_slots(config.window, capacity)
        paths = Paths(
            jnp.zeros((capacity, count, num_samples), rows.values.dtype),
            jnp.broadcast_to(last, (count, num_samples, width)),
            [start_cache(key, value, num_samples, slots) for key, value in prefix],
            companions,
        )
        turn = turns(config, length + jnp.arange(capacity), config.window)
        return decoding_context(config, rows, scale), turn, paths

    def _companions(
        self, rows: Rows, scale: Scale, variates: Variates, drawn: int, capacity: int
    ) -> Companions:
        """The variates of groups, with the future of their known covariates.

        The arguments are as in `prefill`.
        """
        config, size = self.config, variates.known.shape[1]
        if drawn == size:
            return Companions(variates, None)
        rows = rows.first(config.past_length + capacity)
        rows, scale = of_groups((rows, scale), size, slice(drawn, size))
        x, found = self.embedding(tokens(config, rows, scale)), []
        for block in self.blocks:
            x, _, seen = block(x, True, config.window, config.window, variates.last(size - drawn))
            assert seen is not None  # as variates are given
            found.append(KeysValues(*(part[:, config.context_length :] for part in seen)))
        return Companions(variates.first(drawn), found)

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
        window, companions = self.config.window, paths.companions
        for index, (block, cache) in enumerate(zip(self.blocks, paths.caches, strict=True)):
            beside = () if companions is None else (companions.variates, companions.at(step, index))
            x, extended = block.extend(x, cache, step, here, window, *beside)
            caches.append(extended)
        return paths._replace(hidden=self.final_norm(x), caches=caches)

    def init_all(self, features: Float[Array, "1 1 F"]) -> Any:
        """Runs each layer once, so that Flax creates its parameters."""
        variates = Variates.of(jnp.zeros((1, 1), int)) if self.config.variate_attention else None
        hidden, _ = self._blocks(features, True, None, variates)
        zero = jnp.zeros(1)
        return self.head.loss(hidden[:, 0], zero, zero, zero + 1)


def of_groups(rows: Any, size: int, chosen: slice) -> Any:
    """Some variates of each group, from arrays with one row per variate.

    Args:
      rows: Arrays of G * `size` rows.
      size: Number of variates per group.
      chosen: The variates.
    """

    def choose(part: Array) -> Array:
        groups = part.reshape(-1, size, *part.shape[1:])[:, chosen]
        return groups.reshape(-1, *part.shape[1:])

    return jax.tree.map(choose, rows)


def bind_head(config: ModelConfig, parameters: Parameters) -> Head:
    """The distribution head, bound to its weights, so that its methods can be called directly."""
    return make_head(config).bind({"params": parameters["head"]})


@jax.jit
def narrowed(parameters: Parameters) -> Parameters:
    """The parameters with the weights of the linear layers of all blocks in bfloat16.

    Embedding, head and norms stay as they are. See `layers.product`.
    """

    def narrow(path: tuple[Any, ...], leaf: Array) -> Array:
        block, name = path[0].key, path[-1].key
        chosen = block.startswith("block_") and name == "kernel"
        return leaf.astype(jnp.bfloat16) if chosen else leaf

    return jax.tree_util.tree_map_with_path(narrow, parameters)


@partial(jax.jit, static_argnums=(0, 2))
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
