"""Dependence between the variates of a group: a Gaussian copula of their one-step errors."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Key as Keys

from lagllama_jax.config import ModelConfig
from lagllama_jax.model.batch import Batch
from lagllama_jax.model.network import LagLlamaNetwork, bind_head
from lagllama_jax.typing import Array, Bool, Float, Int, Parameters

FEWEST_PAIRS = 8
"""Number of common errors below which two variates are taken to be independent."""
TAIL = 1e-3
"""Least probability of an error, so that an outlier has a finite normal score."""


def couples(config: ModelConfig, drawn: int) -> bool:
    """Whether paths of `drawn` variates are dependent: of several, in a Student-t model."""
    return drawn > 1 and config.head == "student_t"


def coupling(
    parameters: Parameters, config: ModelConfig, batch: Batch, drawn: int
) -> Float[Array, "G V V"]:
    """Matrices that turn independent normal numbers of the variates into dependent ones.

    They are symmetric square roots of the correlations of the normal scores of the one-step errors
    in the context. The order of the variates has no influence.

    Args:
      parameters: The parameters of the model.
      config: The architecture, with the context length of the forecast.
      batch: The series.
      drawn: Number of variates of each group whose paths are drawn. They come first.
    """
    network = LagLlamaNetwork(config)
    found: Any = network.apply(
        {"params": parameters},
        batch,
        window=config.window,
        length=config.past_length,
        method="encode",
    )
    head: Any = bind_head(config, parameters)
    law = head(found.hidden[:, :-1], found.scale.loc, found.scale.scale)
    first = config.max_lag + 1
    truth, observed = found.rows.values[:, first:], found.rows.observed[:, first:]
    scores = jax.scipy.special.ndtri(jnp.clip(law.cdf(truth), TAIL, 1 - TAIL))
    shape = *batch.values.shape[:2], scores.shape[1]
    roots = jax.vmap(lambda s, o: square_root(correlation(s, o)))
    return roots(scores.reshape(shape)[:, :drawn], observed.reshape(shape)[:, :drawn])


def correlation(scores: Float[Array, "V T"], observed: Bool[Array, "V T"]) -> Float[Array, "V V"]:
    """Correlation of variates, shrunk towards independence by the error of its estimate.

    The weight of independence is that of Schaefer and Strimmer (2005,
    https://doi.org/10.2202/1544-6115.1175).

    Args:
      scores: Normal scores.
      observed: Whether each score is observed.
    """
    there = observed.astype(scores.dtype)
    pairs = there @ there.T
    size = jnp.sqrt((scores**2 * there).sum(1) / jnp.maximum(there.sum(1), 1))
    scaled = jnp.where(observed, scores / jnp.maximum(size, 1e-6)[:, None], 0)
    enough = (pairs >= FEWEST_PAIRS) & ~jnp.eye(len(scores), dtype=bool)
    count = jnp.maximum(pairs, FEWEST_PAIRS)
    found = jnp.where(enough, jnp.clip(scaled @ scaled.T / count, -1, 1), 0)
    variance = jnp.where(enough, ((scaled**2) @ (scaled**2).T / count - found**2) / count, 0)
    share = jnp.clip(variance.sum() / jnp.maximum((found**2).sum(), 1e-12), 0, 1)
    return (1 - share) * found + jnp.eye(len(scores))


def square_root(correlations: Float[Array, "V V"]) -> Float[Array, "V V"]:
    """The symmetric square root of correlations, with rows of length 1."""
    values, vectors = jnp.linalg.eigh(correlations)
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0))) @ vectors.T
    return root / jnp.linalg.norm(root, axis=1, keepdims=True)


def coupled_ranks(
    coupling: Float[Array, "G V V"], keys: Keys[Array, "B"], num_samples: int
) -> Int[Array, "B S"]:
    """Ranks of the samples of each row, whose normal scores have the dependence of a coupling."""
    groups, variates = coupling.shape[:2]

    def shocks(key: Array) -> Float[Array, "S"]:
        return jax.random.normal(jax.random.fold_in(key, 1), (num_samples,))

    own = jax.vmap(shocks)(keys).reshape(groups, variates, num_samples)
    joint = jnp.einsum("gvw,gws->gvs", coupling, own).reshape(-1, num_samples)
    return joint.argsort(axis=-1).argsort(axis=-1)
