import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.errors import DataError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.inference.backtest import added
from lagllama_jax.inference.covariates.design import controls, grid_of, joint_responses
from lagllama_jax.inference.covariates.regression import CovariateRegression
from lagllama_jax.inference.covariates.ridge import effects
from lagllama_jax.inference.forecast import Forecast
from lagllama_jax.inference.gaps import AcrossGaps
from lagllama_jax.series.arrays import read_arrays
from lagllama_jax.series.covariates import with_covariates

NAIVE = CovariateRegression(baseline("seasonal_naive"), baseline("seasonal_naive"))
CONFIG = ForecastConfig()
HOURS = np.arange(24 * 40)
DAILY = 10 + 3 * np.sin(HOURS / 24 * 2 * np.pi)
STEPS = 24


def noise(seed, size=None):
    return np.random.default_rng(seed).normal(size=size or len(HOURS) + STEPS)


def hourly(targets, known=None, past=None, names=None):
    count = len(targets)
    read = read_arrays(targets, "2024-01-01", "h", names or [f"s{i}" for i in range(count)])
    return with_covariates(read, past, known)


def driven(seed=0, effect=2.0):
    """A daily series with a noisy covariate, and the covariate up to the end of the horizon."""
    cause = noise(seed)
    return DAILY + effect * cause[: len(HOURS)] + 0.1 * noise(seed + 1)[: len(HOURS)], cause


def error(forecast, cause, effect=2.0):
    return np.abs(forecast.median[0] - DAILY[:STEPS] - effect * cause[-STEPS:]).mean()


def test_a_target_that_depends_on_a_known_covariate_is_forecast_from_it():
    target, cause = driven()
    with_it = NAIVE.predict(hourly([target], [{"x": cause}]), STEPS, CONFIG)
    without = NAIVE.predict(hourly([target]), STEPS, CONFIG)
    assert error(with_it, cause) < 0.2 * error(without, cause)
    assert np.corrcoef(with_it.effect[0], cause[-STEPS:])[0, 1] > 0.99


@pytest.mark.parametrize("shape", ["threshold", "product with the hour", "inertia", "switch"])
def test_responses_that_are_not_linear_are_found(shape):
    cause = noise(5).cumsum() / 5 if shape == "inertia" else noise(5)
    hour = np.arange(len(cause)) / 24 * 2 * np.pi
    effect = {
        "threshold": np.maximum(cause - 0.5, 0) * 4,
        "product with the hour": cause * np.sin(hour) * 3,
        "inertia": np.convolve(cause, np.ones(24) / 24)[: len(cause)] * 4,
        "switch": (cause > 1.0) * 5.0,
    }[shape]
    if shape == "switch":
        cause = (cause > 1.0).astype(float)
    target = DAILY + effect[: len(HOURS)] + 0.1 * noise(6)[: len(HOURS)]
    truth = DAILY[:STEPS] + effect[-STEPS:]
    errors = [
        np.abs(NAIVE.predict(data, STEPS, CONFIG).median[0] - truth).mean()
        for data in (hourly([target], [{"x": cause}]), hourly([target]))
    ]
    assert errors[0] < 0.5 * errors[1]


def together(count=24 * 120):
    """A daily series that two covariates drive together, and both up to the end of the horizon."""
    causes = {name: noise(seed, count + STEPS) for name, seed in (("a", 1), ("b", 2))}
    effect = 3 * causes["a"] * causes["b"]
    cycle = 10 + 3 * np.sin(np.arange(count + STEPS) / 24 * 2 * np.pi)
    return cycle + effect + 0.1 * noise(3, count + STEPS), causes


def test_covariates_that_act_together_are_found_in_a_long_past():
    series, causes = together()
    target, truth = series[:-STEPS], series[-STEPS:]
    found = NAIVE.predict(hourly([target], [causes]), STEPS, CONFIG)
    without = NAIVE.predict(hourly([target]), STEPS, CONFIG)
    error, error_without = (np.abs(one.median[0] - truth).mean() for one in (found, without))
    assert error < 0.5 * error_without
    turned = {name: 1e3 * causes[name] - 7 for name in "ba"}
    again = NAIVE.predict(hourly([target], [turned]), STEPS, CONFIG)
    np.testing.assert_allclose(again.median, found.median, atol=1e-6 * np.ptp(target))
    short = NAIVE.predict(hourly([target[-2000:]], [{n: c[-2024:] for n, c in causes.items()}]),
                          STEPS, CONFIG)  # fmt: skip
    assert np.abs(short.median[0] - truth).mean() > 0.8 * error_without


@settings(max_examples=15, deadline=None)
@given(st.integers(STEPS, 300), st.integers(1, 200))
def test_a_long_gap_within_the_past_does_not_stop_the_forecast(length, before_end):
    target, cause = driven()
    target[-before_end - length : -before_end] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        for module in ("gaps", "covariates.regression"):
            patch.setattr(f"lagllama_jax.inference.{module}.LONGEST_GAP", 2 * STEPS)
        across = AcrossGaps(baseline("seasonal_naive"))
        found = CovariateRegression(across, across).predict(
            hourly([target], [{"x": cause}]), STEPS, CONFIG
        )
    assert np.isfinite(found.median).all()


def test_many_noisy_measurements_of_one_cause_bend_together():
    cause = noise(5)
    effect = np.maximum(cause - 0.5, 0) * 6
    target = DAILY + effect[: len(HOURS)] + 0.1 * noise(6)[: len(HOURS)]
    measured = np.stack([cause + 0.5 * noise(100 + number) for number in range(30)])
    truth = DAILY[:STEPS] + effect[-STEPS:]
    errors = [
        np.abs(NAIVE.predict(data, STEPS, CONFIG).median[0] - truth).mean()
        for data in (hourly([target], [measured]), hourly([target]))
    ]
    assert errors[0] < 0.4 * errors[1]


def test_a_covariate_of_noise_changes_little():
    target, _ = driven(1)
    with_it = NAIVE.predict(hourly([target], [{"x": noise(9)}]), STEPS, CONFIG).median
    without = NAIVE.predict(hourly([target]), STEPS, CONFIG).median
    assert np.abs(with_it - without).mean() < 0.05 * np.std(target)


@pytest.mark.parametrize("count", [1, 20])
def test_joint_responses_to_noise_tell_neither_the_time_nor_anything_else(count):
    hours = 3000
    daily = np.sin(np.arange(hours) / 24 * 2 * np.pi) + (np.arange(hours) // 24 % 7 > 4)
    data = hourly([daily + 0.1 * noise(3, hours)])
    grid = grid_of(data, 0, hours + STEPS)
    draws = np.random.default_rng(4).normal(size=(count, hours + STEPS))
    joint = joint_responses(draws, grid, hours, 0)
    assert joint.shape == (hours + STEPS, 300) and np.isfinite(joint).all()
    times = controls(grid)
    told = times @ np.linalg.lstsq(times, joint, rcond=None)[0]
    assert told.var(axis=0).max() < 0.1 * joint.var(axis=0).max()
    constant = np.ones((hours + STEPS, 1))
    found = effects(data.targets[0][0], joint, constant, np.array([hours - 48, hours]), 0, hours)
    assert found is not None and found.values.std() < 0.1 * daily.std()


def test_copies_of_a_covariate_have_finite_joint_responses():
    copies = np.repeat(noise(4, 3000 + STEPS)[None], 20, axis=0)
    grid = grid_of(hourly([noise(3, 3000)]), 0, 3000 + STEPS)
    joint = joint_responses(copies, grid, 3000, 0)
    assert np.isfinite(joint).all() and np.abs(joint).max() < 100


def test_without_covariates_or_by_option_the_forecast_is_that_of_the_predictor():
    target, cause = driven()
    plain = baseline("seasonal_naive").predict(hourly([target]), STEPS, CONFIG)
    for data, config in (
        (hourly([target]), CONFIG),
        (hourly([target], [{"x": cause}]), CONFIG.replace(covariates="none")),
    ):
        np.testing.assert_array_equal(NAIVE.predict(data, STEPS, config).values, plain.values)


@pytest.mark.parametrize("values", [np.nan, 3.0])
def test_covariates_that_do_not_vary_are_named_and_change_nothing(values):
    target, cause = driven()
    constant = np.full(len(cause), values)
    alone = NAIVE.predict(hourly([target], [{"x": cause}]), STEPS, CONFIG)
    with pytest.warns(UserWarning, match="flat are not used: they do not vary"):
        both = NAIVE.predict(hourly([target], [{"x": cause, "flat": constant}]), STEPS, CONFIG)
    np.testing.assert_allclose(both.median, alone.median, rtol=1e-6)


@pytest.mark.parametrize("item", [0, 1])
@pytest.mark.parametrize("factor", [1000, -1000])
def test_values_far_from_the_past_are_named(item, factor):
    (target, cause), known = driven(), [{"x": noise(0)}, {"x": noise(0)}]
    known[item]["x"][-1] *= factor
    with pytest.warns(UserWarning, match=f"'x' has values far.* in series 's{item}' .* check"):
        NAIVE.predict(hourly([target, target], known), STEPS, CONFIG)
    known[item]["x"][-1] = cause[: len(HOURS)].max() + 0.1
    NAIVE.predict(hourly([target, target], known), STEPS, CONFIG)


def test_covariates_of_the_past_are_named_as_not_used():
    target, cause = driven()
    with pytest.warns(UserWarning, match="rain are not used: their future is not given"):
        NAIVE.predict(hourly([target], past=[{"rain": cause[: len(HOURS)]}]), STEPS, CONFIG)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.01, 1e6), st.floats(-1e6, 1e6))
def test_the_unit_and_the_order_of_covariates_do_not_matter(seed, factor, offset):
    target, cause = driven(seed)
    other = noise(seed + 7)
    known = [{"a": cause, "b": other}], [{"b": factor * other + offset, "a": cause}]
    first, second = (NAIVE.predict(hourly([target], k), STEPS, CONFIG).median for k in known)
    np.testing.assert_allclose(first, second, atol=1e-4 * np.std(target))


def test_an_item_does_not_depend_on_the_others():
    pairs = [driven(seed, effect) for seed, effect in ((0, 2.0), (1, -1.0), (2, 0.0))]
    names = ["a", "b", "c"]
    known = [{"x": cause} for _, cause in pairs]
    together = NAIVE.predict(hourly([t for t, _ in pairs], known, names=names), STEPS, CONFIG)
    for row, (target, _) in enumerate(pairs):
        alone = NAIVE.predict(hourly([target], [known[row]], names=[names[row]]), STEPS, CONFIG)
        np.testing.assert_allclose(alone.median[0], together.median[row], rtol=1e-9)


def test_covariates_beyond_the_horizon_change_nothing():
    target, cause = driven()
    longer = np.concatenate([cause, 1e3 * noise(3, 50)])
    known = [{"x": cause}], [{"x": longer}]
    first, second = (NAIVE.predict(hourly([target], k), STEPS, CONFIG).median for k in known)
    np.testing.assert_array_equal(first, second)


def test_missing_cells_of_target_and_covariate_are_borne():
    target, cause = driven()
    rng = np.random.default_rng(0)
    target[rng.random(len(target)) < 0.2] = np.nan
    holes = np.where(rng.random(len(cause)) < 0.1, np.nan, cause)
    forecast = NAIVE.predict(hourly([target], [{"x": holes}]), STEPS, CONFIG)
    without = NAIVE.predict(hourly([target]), STEPS, CONFIG)
    assert np.isfinite(forecast.median).all()
    known = np.isfinite(holes[-STEPS:])
    truth = DAILY[:STEPS] + 2 * cause[-STEPS:]
    assert (
        np.abs(forecast.median[0] - truth)[known].mean()
        < 0.5 * np.abs(without.median[0] - truth)[known].mean()
    )


def test_a_series_too_short_for_a_backtest_is_forecast_alone():
    short = hourly([DAILY[:30]], [{"x": noise(0, 30 + STEPS)}])
    plain = baseline("seasonal_naive").predict(hourly([DAILY[:30]]), STEPS, CONFIG)
    np.testing.assert_array_equal(NAIVE.predict(short, STEPS, CONFIG).values, plain.values)


@pytest.mark.parametrize(
    ("known", "match"),
    [
        (noise(0)[:-1], "expected 984 .960 of the series and 24 of the horizon"),
        (np.where(HOURS[:1] == 0, np.inf, noise(0)), "'x', position 0 is infinite"),
    ],
)
def test_covariates_of_another_length_or_infinite_ones_are_refused(known, match):
    with pytest.raises(DataError, match=match):
        NAIVE.predict(hourly([DAILY], [{"x": known}]), STEPS, CONFIG)


@pytest.fixture(scope="module")
def model():
    return LagLlama.from_pretrained()


@pytest.mark.parametrize("options", [{}, {"method": "paths", "num_samples": 20}])
def test_marginals_and_paths_follow_the_covariate(model, options):
    target, cause = driven()
    forecast = model.predict(target[-400:], STEPS, known_covariates={"x": cause[-424:]}, **options)
    assert error(forecast, cause) < 0.4 * np.abs(2 * cause[-STEPS:]).mean()
    if forecast.samples is not None:
        middle = np.median(forecast.samples[0], axis=0)
        assert np.corrcoef(middle, DAILY[:STEPS] + 2 * cause[-STEPS:])[0, 1] > 0.95


def test_nonnegative_forecasts_are_not_below_zero(model):
    target, cause = driven(effect=9.0)
    target = np.maximum(target, 0)[-400:]
    options = {"num_samples": 10, "nonnegative": True}
    forecast = model.predict(target, STEPS, known_covariates=cause[-424:], **options)
    assert forecast.samples.min() >= 0
    assert forecast.quantile(0.1).min() >= 0


def blanked(cause, steps):
    """A covariate without its values in some steps of the horizon."""
    cause = cause.copy()
    cause[len(HOURS) + np.asarray(steps, int)] = np.nan
    return cause


@pytest.mark.parametrize("paths", [None, 200])
def test_where_a_covariate_is_missing_the_forecast_is_as_wide_as_without_it(paths):
    config = CONFIG.replace(num_samples=paths, quantile_levels=(0.1, 0.9))
    target, cause = driven(effect=5.0)
    gone = [3, 10, 11]
    known, some = (
        NAIVE.predict(hourly([target], [{"x": one}]), STEPS, config)
        for one in (cause, blanked(cause, gone))
    )
    widths = [np.diff(one.quantiles([0.1, 0.9])[0], axis=0)[0] for one in (known, some)]
    without = 2 * 1.2816 * 5.0  # of normal numbers with a standard deviation of 5
    assert (widths[1][gone] > 0.8 * without).all() and (widths[0] < 0.3 * without).all()
    there = np.setdiff1d(np.arange(STEPS), gone)
    np.testing.assert_allclose(widths[1][there], widths[0][there], rtol=0.05)


def test_missing_values_that_tell_nothing_new_do_not_widen():
    """Of two covariates, only the one that drives the target is missed."""
    target, cause = driven()
    other = noise(9)
    both = {"x": cause, "other": other}
    usual = NAIVE.predict(hourly([target], [both]), STEPS, CONFIG)
    idle = NAIVE.predict(hourly([target], [both | {"other": blanked(other, [5])}]), STEPS, CONFIG)
    wide = NAIVE.predict(hourly([target], [both | {"x": blanked(cause, [5])}]), STEPS, CONFIG)
    width = [np.diff(one.quantiles([0.1, 0.9])[0, :, 5])[0] for one in (usual, idle, wide)]
    assert width[1] < 1.3 * width[0] and width[2] > 4 * width[0]


def test_a_covariate_without_a_value_in_the_horizon_is_told():
    target, cause = driven()
    with pytest.warns(UserWarning, match="covariates x are not used: they have no value in the ho"):
        NAIVE.predict(hourly([target], [{"x": blanked(cause, range(STEPS))}]), STEPS, CONFIG)


def test_many_sets_of_missing_covariates_are_taken_together():
    target, cause = driven()
    columns = {f"c{n}": noise(20 + n) for n in range(4)} | {"x": cause}
    rng = np.random.default_rng(0)
    holes = {
        name: blanked(column, np.flatnonzero(rng.random(STEPS) < 0.5))
        for name, column in columns.items()
    }
    found = NAIVE.predict(hourly([target], [holes]), STEPS, CONFIG)
    gone = np.isnan(np.stack(list(holes.values()))[:, -STEPS:])
    width = np.diff(found.quantiles([0.1, 0.9])[0], axis=0)[0]
    assert width[gone.any(axis=0)].min() > 3 and np.isfinite(width).all()


def test_a_median_stays_where_the_error_of_an_effect_is_added():
    """Of quantiles that are not symmetric about their mean."""
    levels = (0.9, 0.1, 0.5, 0.3)
    values = np.array([9.0, 0.0, 1.0, 0.5])[None, :, None] * np.ones((1, 4, 3))
    skewed = Forecast(read_arrays([[1.0, 2.0]]), None, levels, values, 4 * np.ones((1, 3)))
    found = added(skewed, np.zeros((1, 3)), -np.inf, np.array([[0.0, 1.0, 100.0]])).values[0]
    np.testing.assert_allclose(found[:, 0], values[0, :, 0], atol=1e-12)
    np.testing.assert_allclose(found[2], 1.0)
    assert (np.diff(found[np.argsort(levels)], axis=0) > 0).all()
    np.testing.assert_allclose(np.abs(found[:2, 2] - 1), 128.2, rtol=0.01)
