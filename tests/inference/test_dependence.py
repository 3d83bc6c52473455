import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.inference.dependence import correlation, coupled_ranks, square_root
from lagllama_jax.inference.predictor import ModelPredictor
from lagllama_jax.series.dataset import SeriesDataset

SAMPLES = 60


def walks(seed, covariance, length=300):
    shocks = np.random.default_rng(seed).multivariate_normal(
        np.zeros(len(covariance)), covariance, size=length
    )
    return shocks.cumsum(axis=0).T


COVARIANCE = np.array([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def predictor():
    model = LagLlama.from_pretrained()
    return ModelPredictor(model.parameters, model.config)


def paths(predictor, target, names, **options):
    dataset = SeriesDataset(["group"], [target], target_names=tuple(names))
    config = ForecastConfig(method="paths", num_samples=SAMPLES, **options)
    return predictor.predict(dataset, 4, config).samples


def test_paths_of_variates_depend_on_one_another_as_their_errors_do(predictor):
    samples = paths(predictor, walks(0, COVARIANCE), "abc")
    for step in range(4):
        found = np.corrcoef(samples[:, :, step])
        assert found[0, 1] > 0.6
        assert abs(found[0, 2]) < 0.5
    total = np.corrcoef(samples.sum(axis=2))
    assert total[0, 1] > 0.6


def test_a_permutation_of_the_variates_permutes_the_paths(predictor):
    target = walks(1, COVARIANCE)
    first = paths(predictor, target, "abc")
    second = paths(predictor, target[[2, 0, 1]], "cab")
    np.testing.assert_allclose(second, first[[2, 0, 1]], rtol=2e-3, atol=2e-3)


def test_each_variate_has_the_distribution_that_it_has_alone(predictor):
    target = walks(2, COVARIANCE)
    joint = paths(predictor, target, "abc")
    dataset = SeriesDataset(["group"], [target], target_names=tuple("abc")).variates()
    config = ForecastConfig(method="paths", num_samples=SAMPLES)
    alone = predictor.predict(dataset, 4, config).samples
    spread = alone.std(axis=1)
    assert (np.abs(joint.mean(axis=1) - alone.mean(axis=1)) < 0.35 * spread).all()
    # The draws of the first step are the same ones, in another order.
    np.testing.assert_allclose(
        np.sort(joint[:, :, 0], axis=1), np.sort(alone[:, :, 0], axis=1), rtol=1e-3, atol=1e-3
    )


def test_correlations_are_shrunk_more_if_they_rest_on_less():
    scores = jax.random.normal(jax.random.key(0), (2, 400))
    scores = scores.at[1].set(0.9 * scores[0] + 0.44 * scores[1])
    found = [
        float(correlation(scores[:, :n], jnp.ones((2, n), bool))[0, 1]) for n in (400, 40, 10, 7)
    ]
    assert found[0] == pytest.approx(0.9, abs=0.03)
    assert found[0] > found[2] >= 0
    assert found[3] == 0


def test_missing_scores_are_left_out_of_a_correlation():
    scores = jax.random.normal(jax.random.key(1), (3, 200))
    observed = jax.random.bernoulli(jax.random.key(2), 0.7, scores.shape)
    hidden = jnp.where(observed, scores, 1e6)
    first, second = (correlation(values, observed) for values in (scores, hidden))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_ranks_have_the_correlation_of_the_coupling_and_are_permutations():
    root = square_root(jnp.array([[1.0, -0.8], [-0.8, 1.0]]))
    keys = jax.random.split(jax.random.key(0), 2)
    ranks = np.asarray(coupled_ranks(root[None], keys, 500))
    np.testing.assert_array_equal(np.sort(ranks, axis=1), np.tile(np.arange(500), (2, 1)))
    assert np.corrcoef(ranks)[0, 1] == pytest.approx(-0.8, abs=0.08)


def test_square_roots_of_singular_correlations_are_finite():
    root = square_root(jnp.ones((3, 3)))
    np.testing.assert_allclose(root @ root.T, np.ones((3, 3)), atol=1e-3)
