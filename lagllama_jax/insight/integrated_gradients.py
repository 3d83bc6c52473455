"""Integrated gradients (arXiv 1703.01365) of the location of one step of a forecast."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.typing import Array, Bool, Float, Int, Parameters

NODES = 64
"""Number of points of the path at which the gradient is computed (Gauss-Legendre quadrature). On
most series, the sum of the contributions is then right to 1e-5."""

Features = dict[str, Array]
"""Tokens by the names under which the network has them: `tokens` and, if any, `query_tokens`."""


class Contributions(NamedTuple):
    """The contributions to the location of one step, in the units of the batch.

    `values`, `observed`, `calendar` and `scale` add up to `location - baseline`. `by_lags` divides
    the sum of `values` and `observed` in another way.

    Attributes:
      location: The location.
      baseline: The location that the network gives where the path begins: for the baseline.
      values: Contribution of the value of each point, as lags of all tokens.
      observed: Contribution of the flag of each point that says whether it is observed.
      calendar: Contribution of the calendar features of each token, and last of the query.
      scale: Contribution of the features of location and scale.
      by_lags: Contribution of each lag and its flag, whatever the token.
    """

    location: Float[Array, "B"]
    baseline: Float[Array, "B"]
    values: Float[Array, "B U"]
    observed: Float[Array, "B U"]
    calendar: Float[Array, "B T_plus_1"]
    scale: Float[Array, "B"]
    by_lags: Float[Array, "B L"]


class Path(NamedTuple):
    """What is explained, and a part of the path to it from the baseline.

    Attributes:
      batch: The series.
      query: The point of a query per row. `None`: the last token is explained.
      flags: Whether the values of the baseline are observed where those of the series are.
        Otherwise, all are missing.
      begin: Where the part begins. The baseline is at 0, and the series at 1.
      end: Where the part ends.
    """

    batch: Batch
    query: Int[Array, "B 1"] | None
    flags: Bool[Array, "B"]
    begin: Float[Array, "B"]
    end: Float[Array, "B"]


def contributions(parameters: Parameters, model: ModelConfig, path: Path) -> Contributions:
    """The contributions of all features to the location of the last token or of a query.

    The location and scale by which the series is standardised are held fixed.

    Args:
      parameters: The parameters of the model.
      model: The architecture.
      path: What is explained. All rows have the same part of the path.
    """
    query = path.query
    network = LagLlamaNetwork(model)
    head: Any = bind_head(model, parameters)

    def encode(perturbations: Features | None) -> tuple[Any, Any]:
        given = {} if perturbations is None else {"perturbations": perturbations}
        return network.apply(
            {"params": parameters, **given},
            path.batch,
            window=model.window,
            queries=query,
            mutable=["intermediates"],
            method="encode",
        )

    def location(encoding: Any) -> Float[Array, "B"]:
        hidden = encoding.hidden[:, -1] if query is None else encoding.ahead[:, 0]
        law = head(hidden, encoding.scale.loc[:, 0], encoding.scale.scale[:, 0])
        located: Array = law.loc
        return located

    encoding, kept = encode(None)
    names = ["tokens"] if query is None else ["tokens", "query_tokens"]
    features = {name: kept["intermediates"][name][0] for name in names}
    baseline = {name: _baseline(model, part, path.flags) for name, part in features.items()}
    way = jax.tree.map(jnp.subtract, features, baseline)

    def moved(perturbations: Features) -> tuple[Float[Array, ""], Float[Array, "B"]]:
        found = location(encode(perturbations)[0])
        return found.sum(), found

    def add(total: Features, node: Float[Array, "2"]) -> tuple[Features, Float[Array, "B"]]:
        share, weight = node
        here = jax.tree.map(lambda part: (share - 1) * part, way)
        (_, found), slope = jax.value_and_grad(moved, has_aux=True)(here)
        return jax.tree.map(lambda so_far, part: so_far + weight * part, total, slope), found

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    length = path.end[0] - path.begin[0]
    # The first point is the beginning, whose gradient does not count.
    shares = path.begin[0] + length * np.r_[0, (nodes + 1) / 2].astype(np.float32)
    points = jnp.stack([shares, length * np.r_[0, weights / 2].astype(np.float32)], axis=1)
    still = jax.tree.map(jnp.zeros_like, way)
    slope, found = jax.lax.scan(add, still, points)
    parts = jax.tree.map(jnp.multiply, way, slope)
    collected = _collected(model, parts, query, path.batch.values.shape[-1])
    return Contributions(location(encoding), found[0], *collected)


def _places(model: ModelConfig) -> dict[str, slice]:
    """Where the parts of a token lie among its features, as `assemble` concatenates them."""
    lags = len(model.lags)
    flags = model.num_features - (lags if model.observed_features else 0)
    calendar = flags - (6 if model.time_features else 0)
    return {
        "lags": slice(0, lags),
        "scale": slice(lags, calendar),
        "calendar": slice(calendar, flags),
        "observed": slice(flags, model.num_features),
    }


def _baseline(
    model: ModelConfig, features: Float[Array, "B T F"], observed: Bool[Array, "B"]
) -> Float[Array, "B T F"]:
    """Tokens of a series without shape, dates and level: all features are 0, but for the flags."""
    flags = _places(model)["observed"]
    kept = jnp.where(observed[:, None, None], features[..., flags], 0)
    return jnp.zeros_like(features).at[..., flags].set(kept)


def _collected(
    model: ModelConfig, parts: Features, query: Int[Array, "B 1"] | None, points: int
) -> tuple[Array, ...]:
    """The contributions by point, by token and by lag: the last fields of `Contributions`."""
    tokens = parts["tokens"]
    rows, count = tokens.shape[:2]
    asked = parts.get("query_tokens", jnp.zeros_like(tokens[:, :1]))
    together = jnp.concatenate([tokens, asked], axis=1)
    context = jnp.broadcast_to(model.max_lag + jnp.arange(count), (rows, count))
    last = jnp.full((rows, 1), points - 1) if query is None else query
    own = jnp.concatenate([context, last], axis=1)
    lagged = own[:, :, None] - jnp.asarray(model.lags)
    place = _places(model)

    def by_point(name: str) -> Float[Array, "B U"]:
        given = together[..., place[name]]
        if given.shape[-1] == 0:
            return jnp.zeros((rows, points))
        row = jnp.arange(rows)[:, None, None]
        # Lags of a query that lie in the future are missing there, so that they contribute nothing.
        return jnp.zeros((rows, points)).at[row, lagged].add(given, mode="drop")

    by_lag = together[..., place["lags"]].sum(1)
    if model.observed_features:
        by_lag += together[..., place["observed"]].sum(1)
    calendar = together[..., place["calendar"]].sum(-1)
    scale = together[..., place["scale"]].sum((1, 2))
    return by_point("lags"), by_point("observed"), calendar, scale, by_lag
