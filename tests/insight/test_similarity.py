"""Similarities of embeddings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax.errors import DataError
from lagllama_jax.insight.similarity import similarity

SHAPES = st.tuples(st.integers(2, 40), st.integers(1, 12), st.integers(0, 999))


def drawn(shape):
    count, size, seed = shape
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size))


@settings(max_examples=40)
@given(SHAPES)
def test_similarities_are_cosines_and_a_vector_is_most_similar_to_itself(shape):
    vectors = drawn(shape)
    found = similarity(vectors, vectors)
    assert (np.abs(found) <= 1 + 1e-9).all()
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-6)
    np.testing.assert_allclose(found, found.T, atol=1e-6)


@settings(max_examples=40)
@given(SHAPES, st.floats(0.01, 100), st.floats(-100, 100))
def test_the_units_of_the_entries_do_not_matter(shape, factor, offset):
    vectors = drawn(shape)
    units = np.linspace(1, factor, vectors.shape[1])
    moved = similarity(units * vectors[:1] + offset, units * vectors + offset)
    np.testing.assert_allclose(moved, similarity(vectors[:1], vectors), atol=1e-4)


def test_queries_do_not_influence_each_other():
    vectors = drawn((30, 6, 0))
    alone, together = similarity(vectors[:1], vectors[5:]), similarity(vectors[:5], vectors[5:])
    np.testing.assert_allclose(alone[0], together[0])


def test_a_direction_that_many_entries_repeat_counts_less():
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(200, 1)), rng.normal(size=(200, 1))
    vectors = np.hstack([common + 1e-3 * rng.normal(size=(200, 9)), own])
    standard = (vectors - vectors.mean(0)) / vectors.std(0)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    shares = [
        np.corrcoef((own @ own.T).ravel(), close.ravel())[0, 1]
        for close in (standard @ standard.T, similarity(vectors, vectors))
    ]
    assert shares[1] > shares[0] + 0.05


def test_constant_entries_do_not_count():
    vectors = drawn((20, 4, 2))
    longer = np.hstack([vectors, np.full((20, 1), 3.0)])
    np.testing.assert_allclose(similarity(longer, longer), similarity(vectors, vectors))


@pytest.mark.parametrize(
    ("queries", "references", "message"),
    [
        (np.ones((2, 3)), np.ones((1, 3)), "at least two references"),
        (np.ones((2, 3)), np.ones((4, 2)), "3 entries, and the references 2"),
        (np.ones(3), np.ones((4, 3)), "queries have 1 axes"),
        (np.ones((2, 3)), np.full((4, 3), np.nan), "Vector 0 of the references"),
    ],
)
def test_bad_vectors_are_named(queries, references, message):
    with pytest.raises(DataError, match=message):
        similarity(queries, references)
