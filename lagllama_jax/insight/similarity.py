"""Similarity of embeddings, as for searches and nearest neighbours."""

import numpy as np

from lagllama_jax.errors import DataError
from lagllama_jax.typing import Float

SMALLEST = 1e-9
"""Directions whose variance is a smaller part of the largest one are left out."""
POWER = 0.25
"""Each direction is divided by this power of its variance. 0.5 would whiten the vectors, and 0
would leave their directions as they are (`experiments/insight`)."""


def similarity(
    queries: Float[np.ndarray, "Q D"], references: Float[np.ndarray, "R D"]
) -> Float[np.ndarray, "Q R"]:
    """Cosine of the angle between vectors that are standardised and half whitened.

    Entries of embeddings are correlated, so that a few directions would decide on every
    similarity. Mean, scale and directions are those of the reference vectors. So two queries do not
    influence each other, and the vectors themselves stay as they are.

    Args:
      queries: Vectors of `LagLlama.embed`, or others.
      references: Vectors that they are compared with. The more, the better the directions are
        known; below about a hundred, they are those of these few vectors.

    Raises:
      DataError: If there are fewer than two references, or vectors of different sizes, or values
        that are not finite.

    >>> rng = np.random.default_rng(0)
    >>> references = rng.normal(size=(50, 8))
    >>> similarity(references[:3] + 0.01, references).argmax(axis=1).tolist()
    [0, 1, 2]
    """
    queries, references = np.asarray(queries, np.float64), np.asarray(references, np.float64)
    _check(queries, references)
    center, width = references.mean(axis=0), references.std(axis=0)
    width = np.where(width > 0, width, np.inf)
    scaled = [(part - center) / width for part in (queries, references)]
    variances, directions = np.linalg.eigh(scaled[1].T @ scaled[1] / len(references))
    kept = variances > SMALLEST * max(float(variances[-1]), SMALLEST)
    turn = directions[:, kept] / variances[kept] ** POWER
    turned = [part @ turn for part in scaled]
    left, right = (
        part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-300) for part in turned
    )
    return np.asarray(left @ right.T)


def _check(queries: Float[np.ndarray, "Q D"], references: Float[np.ndarray, "R D"]) -> None:
    for name, part in (("queries", queries), ("references", references)):
        if np.ndim(part) != 2:
            raise DataError(
                f"The {name} have {np.ndim(part)} axes, and two are expected: one row per vector."
            )
        wrong = np.flatnonzero(~np.isfinite(part).all(axis=1))
        if wrong.size:
            raise DataError(f"Vector {wrong[0]} of the {name} has a value that is not finite.")
    if len(references) < 2:
        raise DataError("Similarities need at least two references.")
    if queries.shape[1] != references.shape[1]:
        raise DataError(
            f"The queries have {queries.shape[1]} entries, and the references "
            f"{references.shape[1]}: embed both with the same model."
        )
