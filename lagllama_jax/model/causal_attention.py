"""Attention within sequences, and of queries for the future, as pure functions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lagllama_jax.typing import Array, Bool, Float

HIDDEN = -1e30
"""Score of a masked key. It is finite, so that masking all keys does not produce NaN."""


class KeysValues(NamedTuple):
    """The rotated keys and the values of some tokens.

    The width of the values is H, or that of `one_hot_values`.
    """

    key: Float[Array, "B U K H"]
    value: Float[Array, "B U K E"]


def causal_mask(num_tokens: int, window: int | None = None) -> Bool[Array, "T T"]:
    """The causal attention mask: `mask[t, u]` is true where token t attends to token u.

    A token attends to itself and to the `window - 1` tokens before it. With `window=None`, it
    attends to all tokens before it.
    """
    distance = jnp.arange(num_tokens)[:, None] - jnp.arange(num_tokens)[None, :]
    return (distance >= 0) & (distance < (num_tokens if window is None else window))


def attend(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B U K H"],
    value: Float[Array, "B U K H"],
    mask: Bool[Array, "T U"],
) -> Float[Array, "B T N H"]:
    """Scaled dot-product attention with grouped key-value heads and a softmax in float32.

    Each of the K key-value heads serves N / K consecutive query heads (arXiv 2305.13245).
    """
    batch, length, heads, width = query.shape
    grouped = query.reshape(batch, length, key.shape[2], -1, width) * width**-0.5
    scores = jnp.einsum("btkgh,bukh->bkgtu", grouped, key).astype(jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1).astype(value.dtype)
    return jnp.einsum("bkgtu,bukh->btkgh", weights, value).reshape(batch, length, heads, width)


SHORTEST_BLOCK, MOST_BLOCKS = 32, 8
"""`attend_causal` processes queries in blocks of at least 32 tokens, and in at most 8 blocks."""


def attend_causal(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B T K H"],
    value: Float[Array, "B T K E"],
    window: int | None = None,
) -> Float[Array, "B T N E"]:
    """Equals `attend` with `causal_mask`, computed one block of queries at a time.

    On the CPU this takes a quarter of the time of `attend` at 128 tokens. The head axis comes
    before the token axis, so that the products are plain batched matrix products. Most scores
    above the diagonal are never computed. The weighted sums of the values are normalised instead
    of the attention weights, because there are fewer of them.
    """
    batch, length, heads, width = query.shape
    groups = heads // key.shape[2]
    major = query.reshape(batch, length, -1, groups, width).transpose(0, 2, 3, 1, 4) * width**-0.5
    keys, values = key.transpose(0, 2, 1, 3), value.transpose(0, 2, 1, 3)
    mask = causal_mask(length, window)
    block = max(SHORTEST_BLOCK, -(-length // MOST_BLOCKS))
    mixed = []
    for begin in range(0, length, block):
        end = min(begin + block, length)
        first = 0 if window is None else max(0, begin - window + 1)
        rows = major[:, :, :, begin:end].reshape(batch, key.shape[2], -1, width)
        scores = jnp.einsum("bkth,bkuh->bktu", rows, keys[:, :, first:end]).astype(jnp.float32)
        scores = scores.reshape(batch, -1, groups, end - begin, end - first)
        scores = jnp.where(mask[begin:end, first:end], scores, -jnp.inf)
        weights = jnp.exp(scores - jax.lax.stop_gradient(scores).max(-1, keepdims=True))
        total = weights.sum(-1, keepdims=True).astype(value.dtype)
        flat = weights.astype(value.dtype).reshape(batch, key.shape[2], -1, end - first)
        out = jnp.einsum("bktu,bkuh->bkth", flat, values[:, :, first:end])
        mixed.append(out.reshape(batch, -1, groups, end - begin, value.shape[3]) / total)
    joined = jnp.concatenate(mixed, axis=3).transpose(0, 3, 1, 2, 4)
    return joined.reshape(batch, length, heads, value.shape[3])


def attend_apart(
    query: Float[Array, "B Q N H"],
    own: KeysValues,
    context: KeysValues,
    seen: Bool[Array, "#B C"],
) -> Float[Array, "B Q N E"]:
    """Attention of tokens that each see a part of a context and themselves, not one another.

    Args:
      query: Queries of the tokens.
      own: Keys and values of the tokens.
      context: Keys and values of the context.
      seen: Which tokens of the context are seen.
    """
    batch, count, heads, width = query.shape
    shape = batch, count, own.key.shape[2], heads // own.key.shape[2], width
    major = (query * width**-0.5).reshape(shape).transpose(0, 2, 3, 1, 4)
    flat = major.reshape(batch, shape[2], -1, width)
    keys, values = (part.transpose(0, 2, 1, 3) for part in context)
    own_key, own_value = (part.transpose(0, 2, 1, 3)[:, :, None] for part in own)
    scores = jnp.einsum("bkxh,bkch->bkxc", flat, keys).astype(jnp.float32)
    scores = jnp.where(seen[:, None, None], scores, HIDDEN)
    to_self = (major * own_key).sum(-1).astype(jnp.float32).reshape(*flat.shape[:3], 1)
    peak = jax.lax.stop_gradient(jnp.maximum(scores.max(-1, keepdims=True), to_self))
    weights, weight = jnp.exp(scores - peak), jnp.exp(to_self - peak)
    total = weights.sum(-1, keepdims=True) + weight
    mixed = jnp.einsum("bkxc,bkch->bkxh", weights.astype(values.dtype), values)
    mixed = mixed.reshape(*major.shape[:4], -1)
    weight, total = (
        part.astype(values.dtype).reshape(*major.shape[:4], 1) for part in (weight, total)
    )
    mixed = (mixed + weight * own_value) / total
    return mixed.transpose(0, 3, 1, 2, 4).reshape(batch, count, heads, -1)


def one_hot_values(
    tokens: Float[Array, "B U K H"], first: int, width: int
) -> Float[Array, "B U K E"]:
    """Values of which attention gives its own weights: that of token u is 1 at `first + u`.

    Attention is linear in the values, so its output for these values is the weight of each token.

    Args:
      tokens: The values that are replaced.
      first: Place of the first token.
      width: Number of places. Tokens that lie beyond the last one share it.
    """
    batch, count, heads, _ = tokens.shape
    place = jnp.minimum(first + jnp.arange(count), width - 1)
    hot = jax.nn.one_hot(place, width, dtype=tokens.dtype)
    return jnp.broadcast_to(hot[None, :, None], (batch, count, heads, width))
