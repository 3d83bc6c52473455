"""Attention weights: which past steps each token of the network attends to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import Count, ModelConfig, check, checked
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference.batch import prepare
from lagllama_jax.inference.lanes import devices_for
from lagllama_jax.inference.memory import FLOAT_BYTES, device_memory
from lagllama_jax.inference.predictor import capacity_for
from lagllama_jax.insight.windows import explained_model, only_series, over_windows
from lagllama_jax.model.attention import WEIGHTS
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import LagLlamaNetwork
from lagllama_jax.series.dataset import SeriesDataset
from lagllama_jax.typing import Array, Float, Int, Parameters

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def attention(
    parameters: Parameters,
    config: ModelConfig,
    dataset: SeriesDataset,
    prediction_length: int = 1,
    context_length: int | None = None,
) -> "AttentionWeights":
    """The weights of one series. The arguments and errors are those of `LagLlama.attention`."""
    steps = int(checked("prediction_length", prediction_length, Count))
    check_one_pass(config, steps, "prediction_length")
    model = explained_model(config, context_length)
    check_weights_memory(model, steps)
    series = only_series(dataset, "attention")
    found: np.ndarray = over_windows(
        weights,
        parameters,
        model,
        1,
        lambda rows: prepare(series, rows, model, capacity_for(steps)).batch,
        steps - 1,
    )
    context = model.context_length
    return AttentionWeights(
        series,
        found[0],
        np.arange(2 - context, steps + 1),
        np.arange(1 - context, 1),
    )


def check_one_pass(config: ModelConfig, step: int, name: str) -> None:
    """Checks that weights can forecast a step directly.

    Raises:
      ConfigError: If they cannot.
    """
    check(
        config.one_pass or step == 1,
        f"These weights cannot forecast in one pass (ModelConfig.one_pass is False), so that only "
        f"the first step of a forecast can be explained: leave {name} at 1, or use other weights.",
    )


def check_weights_memory(model: ModelConfig, steps: int) -> None:
    """Checks that the device has the memory for all attention weights, and their computation.

    Raises:
      ConfigError: If it has not.
    """
    rows = model.context_length + steps
    needed = 4 * FLOAT_BYTES * model.num_layers * model.num_heads * rows * rows
    available = device_memory(devices_for(1)[0])
    if needed > available:
        raise ConfigError(
            f"The attention weights of {rows} steps need about {needed / 2**30:.1f} GiB, but there "
            f"are {available / 2**30:.1f} GiB: lower context_length or prediction_length."
        )


def weights(
    parameters: Parameters, model: ModelConfig, batch: Batch, ahead: int
) -> Float[Array, "B Y N Q K"]:
    """The attention weights of all Y blocks, of the context and of `ahead` queries after it.

    The last key is a query itself. Without queries, there is no such key.
    """
    queries = None
    if ahead:
        points = model.past_length + jnp.arange(ahead)
        queries = jnp.broadcast_to(points, (batch.values.shape[0], ahead))
    _, kept = LagLlamaNetwork(model).apply(
        {"params": parameters},
        batch,
        window=model.window,
        queries=queries,
        mutable=[WEIGHTS],
        method="encode",
    )
    layers = []
    for block in range(model.num_layers):
        named: Any = kept[WEIGHTS][f"block_{block}"]["attention"]
        layer = named["weights"][0]
        if ahead:
            within = jnp.pad(layer, ((0, 0), (0, 0), (0, 0), (0, 1)))
            layer = jnp.concatenate([within, named["ahead"][0]], axis=1)
        layers.append(layer.transpose(0, 2, 1, 3))
    return jnp.stack(layers, axis=1)


@dataclass(frozen=True, repr=False)
class AttentionWeights:
    """The weights with which the tokens of one series attend to one another.

    Token t contains the value of step t and values at the lags before it, and describes step
    t + 1. Steps are numbered from the end of the series: 0 is its last step, and 1 the first step
    of the forecast.

    Attributes:
      dataset: The series.
      weights: The weights `[layers, heads, queries, keys]`. Each row sums to 1. If several steps
        are forecast, the last key stands for a query of the forecast itself.
      query_steps: The step that each query describes.
      key_steps: The step of each key, without the one that stands for a query itself.
    """

    dataset: SeriesDataset
    weights: Float[np.ndarray, "Y N Q K"]
    query_steps: Int[np.ndarray, "Q"]
    key_steps: Int[np.ndarray, "C"]

    def __repr__(self) -> str:
        sizes = zip(self.weights.shape, ("layers", "heads", "queries", "keys"), strict=True)
        return f"AttentionWeights({', '.join(f'{size} {name}' for size, name in sizes)})"

    def stamps(self, steps: Int[np.ndarray, "n"]) -> Any:
        """The time stamps of consecutive steps, or their positions in a series without dates."""
        of = self.dataset.positions if self.dataset.starts[0] is None else self.dataset.timestamps
        return of(0, int(steps[0]) - 1, len(steps))

    def mean(self, layer: int | None = None, head: int | None = None) -> Float[np.ndarray, "Q K"]:
        """The weights of one layer and head, or their means.

        Args:
          layer: Number of the layer, from 0. `None`: the mean of all.
          head: Number of the head, from 0. `None`: the mean of all.

        Raises:
          ConfigError: If there is no such layer or head.
        """
        chosen = self.weights
        for axis, (name, number) in enumerate((("layer", layer), ("head", head))):
            count = self.weights.shape[axis]
            if number is not None:
                check(0 <= number < count, f"{name}={number} must be from 0 to {count - 1}.")
                chosen = chosen.take([number], axis=axis)
        mean: np.ndarray = chosen.mean(axis=(0, 1))
        return mean

    def to_frame(self) -> "pd.DataFrame":
        """One row per layer, head, query and key that the query can attend to.

        The columns are `layer`, `head`, `query` (the time stamp of the step that the query
        describes), `key` (the time stamp of the step of the key), `lag` (the number of steps
        between them) and `weight`. The key of a query of the forecast itself is the step before the
        one that it describes, whose value is hidden: its lag is 1, and `hidden` is true.
        """
        import pandas as pd

        count = len(self.key_steps)
        lag = self.query_steps[:, None] - self.key_steps
        allowed = lag >= 1
        hidden = np.zeros(self.weights.shape[2:], bool)
        if self.weights.shape[3] > count:
            own = self.query_steps > 1
            lag = np.c_[lag, np.ones(len(own), lag.dtype)]
            allowed, hidden[:, -1] = np.c_[allowed, own], own
        layer, head, query, key = np.nonzero(np.broadcast_to(allowed, self.weights.shape))
        steps = np.arange(self.key_steps[0], self.query_steps[-1] + 1)
        stamps = pd.Index(self.stamps(steps))
        place = self.query_steps[query] - lag[query, key] - steps[0]
        return pd.DataFrame(
            {
                "layer": layer,
                "head": head,
                "query": stamps.take(self.query_steps[query] - steps[0]),
                "key": stamps.take(place),
                "lag": lag[query, key],
                "hidden": hidden[query, key],
                "weight": self.weights[layer, head, query, key],
            }
        )

    def plot(self, layer: int | None = None, head: int | None = None) -> "Figure":
        """Plots the weights of one layer and head, or their means, and their mean by lag.

        Args:
          layer: As in `mean`.
          head: As in `mean`.

        Raises:
          ConfigError: If there is no such layer or head.
          MissingExtraError: If Matplotlib is not installed.
        """
        from lagllama_jax.insight.plots import plot_attention

        return plot_attention(self, layer, head)
