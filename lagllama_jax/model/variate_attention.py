"""Attention of each token to the tokens of the other variates of its group at the same step."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING
from lagllama_jax.model.causal_attention import HIDDEN, KeysValues
from lagllama_jax.model.projections import Projections
from lagllama_jax.typing import Array, Bool, Float, Int


class Variates(NamedTuple):
    """Which variates of a group see which. W is V, or larger if further variates are seen.

    Attributes:
      sees: Whether variate v sees variate w.
      known: Whether each variate is a known covariate.
    """

    sees: Bool[Array, "G V W"]
    known: Bool[Array, "G W"]

    @classmethod
    def of(cls, role: Int[Array, "G V"]) -> "Variates":
        """The variates of groups with some roles.

        A target or past covariate sees all other variates, and a known covariate sees the other
        known covariates. Padding is not seen, and no variate sees itself.
        """
        known, there = role == KNOWN_COVARIATE, role != PADDING
        sees = there[:, :, None] & there[:, None] & (~known[:, :, None] | known[:, None])
        return cls(sees & ~jnp.eye(role.shape[1], dtype=bool), known)

    def first(self, count: int) -> "Variates":
        """The same, where only the first `count` variates look, at all others."""
        return Variates(self.sees[:, :count], self.known)

    def last(self, count: int) -> "Variates":
        """The last `count` variates of each group alone."""
        begin = self.known.shape[1] - count
        return Variates(self.sees[:, begin:, begin:], self.known[:, begin:])


def attend_variates(
    query: Float[Array, "G V T N H"],
    key: Float[Array, "G W T K H"],
    value: Float[Array, "G W T K H"],
    sees: Bool[Array, "G V W"],
    sink: Float[Array, "N"],
) -> Float[Array, "G V T N H"]:
    """Attention across the variates of each group, at each step by itself.

    Each of the K key-value heads serves N / K consecutive query heads. A variate that sees no
    other one gets 0.

    Args:
      query: Queries.
      key: Keys of the variates that are seen.
      value: Values of the variates that are seen.
      sees: As in `Variates`.
      sink: Score of a key whose value is 0, so that a head can attend to no variate.
    """
    groups, variates, steps, heads, width = query.shape
    shape = groups, variates, steps, key.shape[3], heads // key.shape[3], width
    split = query.reshape(shape) * width**-0.5
    scores = jnp.einsum("gvtkih,gwtkh->gtkivw", split, key).astype(jnp.float32)
    scores = jnp.where(sees[:, None, None, None], scores, HIDDEN)
    rest = sink.astype(jnp.float32).reshape(shape[3:5])[:, :, None, None]
    peak = jax.lax.stop_gradient(jnp.maximum(scores.max(-1, keepdims=True), rest))
    weights = jnp.exp(scores - peak)
    weights = weights / (weights.sum(-1, keepdims=True) + jnp.exp(rest - peak))
    mixed = jnp.einsum("gtkivw,gwtkh->gvtkih", weights.astype(value.dtype), value)
    return mixed.reshape(query.shape)


class VariateAttention(Projections):
    """Attention across variates, without an order of the variates and without biases.

    Keys and values tell whether a variate is a known covariate. The output layer is 0 at first.
    """

    output_init: nn.initializers.Initializer = nn.initializers.zeros

    def setup(self) -> None:
        """Makes the layers."""
        super().setup()
        config = self.config
        shape = 2, 2, config.kv_heads, config.head_dim
        self.role = self.param("role", nn.initializers.normal(0.1), shape)
        self.sink = self.param("sink", nn.initializers.zeros, (config.num_heads,))

    def __call__(
        self, x: Float[Array, "B T D"], variates: Variates, others: KeysValues | None = None
    ) -> tuple[Float[Array, "B T D"], KeysValues]:
        """Applies the layer, and returns the keys and values of the tokens as well.

        Args:
          x: Hidden states of the variates that look, group by group.
          variates: Who sees whom.
          others: Keys and values of further variates of the groups, which follow those of `x`. If
            they have one step only, it is the same for all steps of `x`.
        """
        query, key, value = self.project(x)
        groups, count = variates.sees.shape[:2]
        role = self.role[variates.known[:, :count].reshape(-1).astype(int)].astype(key.dtype)
        own = KeysValues(key + role[:, None, 0], value + role[:, None, 1])

        def grouped(part: Float[Array, "B ..."]) -> Float[Array, "G V ..."]:
            return part.reshape(groups, -1, *part.shape[1:])

        seen = KeysValues(*map(grouped, own))
        if others is not None:
            seen = KeysValues(*map(_joined, seen, KeysValues(*map(grouped, others))))
        mixed = attend_variates(grouped(query), *seen, variates.sees, self.sink)
        return self.output(mixed.reshape(x.shape)), own


def _joined(
    own: Float[Array, "G V T K H"], others: Float[Array, "G O t K H"]
) -> Float[Array, "G W T K H"]:
    """The keys or values of both kinds of variates."""
    shape = *others.shape[:2], *own.shape[2:]
    return jnp.concatenate([own, jnp.broadcast_to(others, shape)], axis=1)
