"""The distributions of single points on the host."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lagllama_jax.inference.differences import mean_of_paths
from lagllama_jax.inference.marginals import Marginals, middle_levels
from lagllama_jax.inference.predictor import matched

degrees = st.one_of(st.floats(2.000001, 50), st.floats(50, 1e9))


def one(df, loc=0.0, scale=1.0):
    return Marginals.student_t(*(np.array([[number]], float) for number in (df, loc, scale)))


masses = st.builds(
    lambda *numbers: Marginals(*(np.array([[number]], float) for number in numbers)),
    st.floats(5, 100),
    st.floats(-2, 2),
    st.floats(0.05, 1),
    st.floats(0.01, 1),
    st.floats(-100, 100),
    st.sampled_from([-1, 0, 1]),
    st.floats(-100, 100),
)
LEVELS = middle_levels(20_000)


def drawn(law):
    return law.at(np.array(LEVELS)[None, :, None]).ravel()


@settings(max_examples=50)
@given(masses)
def test_a_point_mass_has_its_share_of_the_draws(law):
    values, usual = drawn(law), law.usual.item()
    assert (np.diff(values) >= 0).all()
    assert abs((values != usual).mean() - law.share.item()) < 1e-3
    if law.side.item():
        assert (law.side.item() * (values - usual) >= 0).all()


@settings(max_examples=50)
@given(masses, st.floats(0.001, 0.999))
def test_a_quantile_has_its_level_between_the_probabilities(law, level):
    value = law.quantiles([level])[:, 0]
    at_most, at_least = law.probability(value)
    assert at_most.item() >= level - 1e-6 and at_least.item() >= 1 - level - 1e-6
    values = drawn(law)
    at_most, at_least = law.probability(value + 0.5)
    assert abs(at_most.item() - (values <= value + 0.5).mean()) < 1e-3
    assert abs(at_least.item() - (values >= value + 0.5).mean()) < 1e-3


@settings(max_examples=50)
@given(masses, st.sampled_from([-np.inf, 0.0]))
def test_the_mean_with_a_point_mass_is_that_of_the_draws(law, lowest):
    if law.side.item():  # the mean of a side is given
        values = drawn(law)
        apart = values[values != law.usual.item()]
        law = law._replace(center=np.array([[np.maximum(apart, lowest).mean()]]))
    values = np.maximum(drawn(law), lowest)
    assert abs(law.mean(lowest).item() - values.mean()) < 0.02 * (values.std() + law.scale.item())


def test_rows_without_a_point_mass_keep_their_quantiles():
    law = one(5.0, 3.0, 2000.0)
    rare = Marginals(*(np.array([[number]]) for number in (5.0, 0.0, 1.0, 0.5, 7.0, 1.0, 9.0)))
    both = Marginals(*(np.concatenate(parts) for parts in zip(law, rare, strict=True)))
    levels = [0.1, 0.5, 0.9]
    assert np.array_equal(both.quantiles(levels)[:1], law.quantiles(levels))
    assert np.array_equal(both.quantiles(levels)[1:], rare.quantiles(levels))
    assert both.mean(0.0)[0] == law.mean(0.0)[0]


@settings(max_examples=200)
@given(degrees, st.floats(1e-5, 1 - 1e-5), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_quantiles_are_exact_to_a_millionth_of_the_scale(df, level, loc, scale):
    found = one(df, loc, scale).quantiles([level]).item()
    assert abs(found - (loc + scale * stats.t.ppf(level, df))) <= 1e-6 * scale + 1e-9 * abs(loc)


@settings(max_examples=50)
@given(degrees, st.lists(st.floats(0.001, 0.999), min_size=2, max_size=9, unique=True))
def test_quantiles_ascend_with_the_level(df, levels):
    assert (np.diff(one(df).quantiles(sorted(levels))[0, :, 0]) >= 0).all()


@settings(max_examples=50)
@given(st.floats(2.1, 50), st.floats(-5, 5), st.floats(0.1, 5))
def test_the_mean_above_a_bound_is_that_of_clipped_draws(df, loc, scale):
    levels = (np.arange(200_000) + 0.5) / 200_000
    clipped = np.maximum(stats.t.ppf(levels, df, loc, scale), 0).mean()
    assert abs(one(df, loc, scale).mean(lowest=0.0).item() - clipped) < 0.03 * scale


def test_a_certain_value_has_no_width():
    found = one(5.0, 3.0, 0.0)
    assert found.quantiles([0.01, 0.99]).ravel().tolist() == [3.0, 3.0]
    assert found.mean(lowest=0.0).item() == 3.0 and found.mean(lowest=4.0).item() == 4.0


def test_draws_are_the_quantiles_at_random_levels():
    law = Marginals.student_t(*(np.full((2, 3), number) for number in (4.0, 1.0, 2.0)))
    levels = np.random.default_rng(0).random((2, 5, 3))
    np.testing.assert_allclose(law.at(levels), stats.t.ppf(levels, 4.0, 1.0, 2.0))


def test_matched_paths_have_the_marginals_and_keep_their_ranks():
    random = np.random.default_rng(0)
    paths = random.normal(size=(2, 40, 3)).cumsum(-1)
    law = Marginals.student_t(*(random.uniform(3, 9, (2, 3)) for _ in range(3)))
    found = matched(paths, law)
    ranks = lambda x: x.argsort(1).argsort(1)  # noqa: E731
    assert np.array_equal(ranks(found), ranks(paths))
    np.testing.assert_allclose(np.sort(found, axis=1), law.quantiles(middle_levels(40)))


@given(
    st.floats(0, 1), st.floats(2.5, 100), st.floats(2.5, 100), st.floats(0, 10), st.floats(0, 10)
)
def test_means_of_distributions_have_means_of_quantiles(weight, df, other_df, scale, other_scale):
    first, second = one(df, 1.0, scale), one(other_df, -2.0, other_scale)
    levels = [0.1, 0.3, 0.5, 0.8, 0.9]
    found = first.mean_with(second, np.array([weight])).quantiles(levels)
    wanted = (1 - weight) * first.quantiles(levels) + weight * second.quantiles(levels)
    assert np.allclose(found, wanted, atol=0.02 * (scale + other_scale) + 1e-9)


@given(st.integers(0, 9), st.floats(0, 1))
def test_means_of_paths_have_means_of_quantiles(seed, weight):
    first, second = np.random.default_rng(seed).normal(size=(2, 3, 7, 4))
    found = mean_of_paths(first, second, np.full(3, weight))
    wanted = (1 - weight) * np.sort(first, axis=1) + weight * np.sort(second, axis=1)
    assert np.allclose(np.sort(found, axis=1), wanted)
    heavier = second if weight > 0.5 else first
    assert np.array_equal(found.argsort(axis=1), heavier.argsort(axis=1))
