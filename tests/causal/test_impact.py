import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lagllama_jax import ForecastConfig, LagLlama
from lagllama_jax.causal import impact
from lagllama_jax.causal.columns import read_columns
from lagllama_jax.causal.estimation import LUCK
from lagllama_jax.causal.estimators import estimator
from lagllama_jax.causal.study import read_study
from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.series.table_files import read_table

DATE = "2026-03-22"  # the 81st day
CONTROLS = ["a", "b", "c"]
CHEAP = ("ridge", "synthetic_control")
QUICK = {"num_samples": 100, "placebos": 8}


@pytest.fixture(scope="module")
def small(hurry, tiny_config, tiny_parameters):
    return LagLlama(tiny_parameters, tiny_config)


@pytest.mark.parametrize("method", CHEAP)
def test_a_step_is_found_and_its_interval_holds_it(market, method):
    effect = impact(market(4.0), DATE, "y", CONTROLS, method=method, **QUICK)
    low, high = effect.average_interval
    assert low < 4 < high and low > 0
    assert effect.significant and "increase" in effect.verdict
    np.testing.assert_allclose(effect.cumulative_effect, 20 * effect.average_effect)
    np.testing.assert_allclose(effect.cumulative_interval, (20 * low, 20 * high))


@pytest.mark.parametrize("method", CHEAP)
def test_nothing_is_told_from_nothing(market, method):
    found = [impact(market(0.0, s), DATE, "y", CONTROLS, method=method, **QUICK) for s in range(4)]
    assert sum(one.significant for one in found) <= 1
    assert any("cannot be told from nothing" in one.report() for one in found)


def test_the_values_after_the_intervention_change_nothing_of_what_would_have_been(market):
    first, second = (impact(market(e), DATE, "y", CONTROLS, method="ridge") for e in (0.0, 9.0))
    np.testing.assert_array_equal(first.samples, second.samples)
    assert [t.score for t in first.trials] == [t.score for t in second.trials]
    np.testing.assert_allclose(second.average_effect - first.average_effect, 9)


def test_trials_in_time_end_before_the_intervention(market):
    table = market(0.0)
    other = table.assign(y=table.y + 1e6 * (np.arange(100) >= 80))
    for one in (table, other):
        effect = impact(one, DATE, "y", CONTROLS, method="ridge", **QUICK)
        times = [trial for trial in effect.trials if trial.kind == "time"]
        assert len(times) == 8 and max(trial.time for trial in times) <= pd.Timestamp("2026-03-02")
        assert max(abs(trial.effect) for trial in times) < 10
    assert {trial.unit for trial in effect.trials if trial.kind == "space"} == set(CONTROLS)


def test_without_placebos_the_intervals_are_those_of_the_paths(market):
    effect = impact(market(1.0), DATE, "y", CONTROLS, method="ridge", placebos=0)
    means = effect.samples[0].mean(axis=1)
    wanted = effect.actual.mean() - np.quantile(means, [0.975, 0.025])
    assert effect.trials == []
    np.testing.assert_allclose(effect.average_interval, wanted, rtol=1e-2)


def test_estimators_that_fail_in_the_past_have_wider_intervals(market):
    calm = market(0.0)
    jumps = calm.assign(y=calm.y + 5 * (np.arange(100) // 12 % 2) * (np.arange(100) > 24))
    widths = []
    for table in (calm, jumps):
        effect = impact(table, DATE, "y", CONTROLS, method="synthetic_control")
        widths.append(np.diff(effect.average_interval)[0])
    assert widths[1] > 2 * widths[0]


def test_several_units_are_pooled_and_told_apart(market):
    table = market(3.0).assign(z=lambda t: t.y + np.random.default_rng(5).normal(size=100))
    effect = impact(table, DATE, ["y", "z"], CONTROLS, method="ridge", **QUICK)
    units = effect.by_unit()
    assert units.unit.tolist() == ["y", "z"] and (units.p_value < 0.05).all()
    np.testing.assert_allclose(units.effect.mean(), effect.average_effect, atol=0.1)
    frame = effect.to_frame()
    assert frame.unit.unique().tolist() == ["y", "z", "average"] and len(frame) == 60
    assert "mean of 2 units" in effect.report()


@pytest.fixture(scope="module")
def staggered(market):
    """Three shops, in which 4 is added from different days on, and the days."""
    table, rng = market(0.0, before=80, after=60), np.random.default_rng(1)
    dates = {name: table.day[80 + 15 * number] for number, name in enumerate("uvw")}
    for name, day in dates.items():
        table[name] = table.y + 0.5 * rng.normal(size=140) + 4.0 * (table.day >= day)
    return table.drop(columns="y"), dates


def test_units_with_their_own_interventions_are_aligned(staggered):
    table, dates = staggered
    effect = impact(table, dates, list(dates), CONTROLS, method="ridge", **QUICK)
    assert effect.study.before == 80 and effect.study.after == 30
    low, high = effect.average_interval
    assert low < 4 < high and low > 2
    units = effect.by_unit()
    assert units.intervention.tolist() == list(dates.values())
    frame = effect.to_frame()
    average = frame[frame.unit == "average"]
    assert average.steps_since.tolist() == list(range(30))
    each = frame[frame.unit != "average"].groupby("steps_since")
    np.testing.assert_allclose(each.actual.mean(), average.actual)
    np.testing.assert_allclose(each.effect.mean(), average.effect, atol=0.3)
    assert "after the intervention on each unit" in effect.report()
    assert "interventions at different times" in effect.report()
    assert "since the intervention" in effect.plot().axes[2].get_xlabel()


def test_a_unit_among_others_is_estimated_as_alone(staggered):
    table, dates = staggered
    together = impact(table, dates, list(dates), CONTROLS, method="ridge", placebos=0)
    latest = table[table.day >= table.day[30]]  # as many days before as the earliest unit has
    alone = impact(
        latest, dates["w"], "w", CONTROLS, method="ridge", placebos=0, prediction_length=30
    )
    np.testing.assert_array_equal(together.samples[2], alone.samples[0])
    np.testing.assert_array_equal(together.study.actual[2], alone.study.actual[0])


def test_equal_interventions_in_a_mapping_are_one_intervention(staggered):
    table, _ = staggered
    names = ["u", "v"]
    one, same = (
        impact(table, dates, names, CONTROLS, method="ridge", **QUICK)
        for dates in (DATE, pd.Series(DATE, names))
    )
    assert one.average_interval == same.average_interval and not same.study.staggered


@pytest.mark.filterwarnings("ignore:The controls")
def test_a_single_control_is_watched_at_every_intervention(staggered):
    table, dates = staggered
    table = table.assign(a=table.a + 40.0 * (table.day >= dates["w"]))
    effect = impact(table, dates, list(dates), "a", method="ridge", **QUICK)
    assert any("The controls a moved" in note for note in effect.notes)


def test_a_long_table_is_as_a_wide_one(market):
    wide = market(2.0)
    long = wide.melt("day", var_name="shop", value_name="sales").sample(frac=1, random_state=0)
    effects = [
        impact(table, DATE, "y", CONTROLS, method="ridge", **options, **QUICK)
        for table, options in ((wide, {}), (long, {"id_column": "shop"}))
    ]
    assert effects[0].average_interval == effects[1].average_interval


def test_rows_may_be_numbered_and_polars_read(market):
    polars = pytest.importorskip("polars")
    plain = market(2.0).drop(columns="day")
    numbered = impact(plain, 80, "y", CONTROLS, method="ridge", **QUICK)
    dated = impact(polars.from_pandas(market(2.0)), DATE, "y", CONTROLS, method="ridge", **QUICK)
    assert numbered.to_frame()["row"].tolist() == list(range(80, 100))
    assert abs(numbered.average_effect - dated.average_effect) < 0.3


@pytest.mark.filterwarnings("ignore:The controls")
def test_auto_takes_the_method_with_the_narrowest_interval_and_says_so(market, small):
    options = {"predictor": small, "num_samples": 40, "placebos": 1}
    effect = impact(market(2.0), DATE, "y", CONTROLS, **options)
    assert set(effect.scores) == {"network", "regression_network", "synthetic_control", "ridge"}
    assert effect.method == min(effect.scores, key=effect.scores.get)
    assert "chosen as the one that is most certain" in effect.report()
    alone = impact(market(2.0), DATE, "y", CONTROLS, method=effect.method, **options)
    assert effect.average_effect == alone.average_effect
    widths = np.log(list(effect.scores.values()))
    wider = np.exp(LUCK * (widths.mean() - widths.min()))
    np.testing.assert_allclose(effect.null.factor, wider * alone.null.factor)
    unit = np.std(market(2.0).y[:80])
    np.testing.assert_allclose(effect.scores[effect.method], alone.deviation / unit)


@pytest.mark.filterwarnings("ignore:The controls")
def test_what_happened_does_not_change_what_auto_takes(market, small):
    options = {"predictor": small, "num_samples": 40, "placebos": 1}
    first, second = (impact(market(e), DATE, "y", "a", **options) for e in (0.0, 50.0))
    assert first.scores == second.scores


def test_auto_without_placebos_has_the_intervals_of_the_paths(market, small):
    effect = impact(market(2.0), DATE, "y", None, predictor=small, num_samples=40, placebos=0)
    assert set(effect.scores) == {"network", "ridge"}
    assert effect.trials == [] and effect.null.factor == 1


@pytest.mark.filterwarnings("ignore:The controls")  # the small model is not trained
@pytest.mark.parametrize("method", ["network", "regression_network"])
def test_the_model_estimates_with_and_without_controls(market, small, method):
    for controls in (CONTROLS, None):
        options = {"predictor": small, "method": method, "num_samples": 40, "placebos": 1}
        effect = impact(market(2.0), DATE, "y", controls, **options)
        again = impact(market(2.0), DATE, "y", controls, **options)
        np.testing.assert_array_equal(effect.samples, again.samples)
        assert np.isfinite(effect.average_interval).all()
    assert "There are no controls" in effect.report()


def test_a_regression_around_the_network_removes_what_controls_explain(market, small):
    study = read_study(market(), DATE, "y", CONTROLS, None)
    chosen = estimator("regression_network", small.predictor)
    config = ForecastConfig(num_samples=50)
    forecast = chosen.predict(study.dataset, 20, config)
    moved = study.dataset.known_covariates[0].copy()
    moved[0, 80:] += 10
    other = replace(study.dataset, known_covariates=[moved])
    change = chosen.predict(other, 20, config).samples - forecast.samples
    assert abs(change.mean() - 10) < 2  # y = a + ...
    assert change.std(axis=1).max() < 3


def test_leaving_out_the_control_that_matters_shows(market):
    table = market(1.5)
    frame = impact(table, DATE, "y", CONTROLS, method="ridge", **QUICK).leave_one_out()
    assert frame.left_out.tolist() == CONTROLS
    width = (frame.upper - frame.lower).to_numpy()
    assert width[0] > 1.5 * width[2]
    with pytest.raises(ConfigError, match="at least two controls"):
        impact(table, DATE, "y", "a", method="ridge", placebos=0).leave_one_out()


@pytest.mark.parametrize("controls", [["a"], CONTROLS])
def test_a_control_that_moves_too_is_named(market, controls):
    table = market(2.0)
    table["a"] += 25.0 * (np.arange(100) >= 80)
    with pytest.warns(UserWarning, match="The controls a moved at the intervention"):
        effect = impact(table, DATE, "y", controls, method="ridge", **QUICK)
    assert "is no proof" in effect.report()


def test_missing_values_after_do_not_count(market):
    table = market(3.0)
    table.loc[[85, 90], "y"] = np.nan
    effect = impact(table, DATE, "y", CONTROLS, method="ridge", **QUICK)
    np.testing.assert_allclose(effect.cumulative_effect, 18 * effect.average_effect)
    assert effect.to_frame().actual.isna().sum() == 2
    assert "2 time steps after the intervention have no value" in effect.report()


def test_missing_values_before_the_intervention_are_forecast_across(market):
    table = market(3.0)
    table.loc[[40, 41, 78, 79], "y"] = np.nan
    effect = impact(table, DATE, "y", CONTROLS, method="ridge", **QUICK)
    assert abs(effect.average_effect - 3) < 1


def change(**values):
    return lambda table: table.assign(**values)


def hole(column, rows):
    def holed(table):
        table.loc[rows, column] = np.nan
        return table

    return holed


same = change()
BAD = [
    (same, {"intervention": "2027-01-01"}, "is after the last value of y"),
    (same, {"intervention": "2025-01-01"}, "0 time steps are before"),
    (same, {"intervention": "2026-01-05"}, "4 time steps are before"),
    (same, {"intervention": "soon"}, "the intervention 'soon' is no time stamp"),
    (same, {"intervention": "03/02/2023"}, "is 2023-03-02 or 2023-02-03"),
    (same, {"intervention": 80}, "the intervention 80 is a number"),
    (same, {"intervention": "2026-03-22T00:00Z"}, "has a zone, and the table has none"),
    (same, {"prediction_length": 30}, "20 time steps of y are given"),
    (same, {"intervention": {}}, "No intervention is given for the units y"),
    (same, {"intervention": {"y": DATE, "a": DATE}}, "given for a, which are not among the units"),
    (same, {"intervention": {"y": None}}, "the intervention is missing"),
    (same, {"target": "sales"}, "No column 'sales'"),
    (same, {"controls": ["a", "y"]}, "'y' is named twice"),
    (hole("a", slice(95, 99)), {}, "The control 'a' ends 5 time steps before the end"),
    (change(y=1.0), {}, "'y' is constant before"),
    (hole("y", slice(3, 78)), {}, "'y' has 4 values before"),
]


@pytest.mark.parametrize(("spoil", "arguments", "message"), BAD, ids=[row[2] for row in BAD])
def test_bad_data_are_refused_with_their_place(market, spoil, arguments, message):
    usual = {"intervention": DATE, "target": "y", "controls": CONTROLS, "method": "ridge"}
    with pytest.raises(DataError, match=message):
        impact(spoil(market()), **usual | arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "'magic' is not a method"),
        ({"placebos": -1}, "placebos=-1"),
        ({"num_samples": 0}, "num_samples=0"),
        ({"method": "synthetic_control", "controls": None}, "needs controls"),
        ({"method": "ridge", "prediction_length": 0}, "prediction_length=0"),
        ({"method": "network", "predictor": baseline("naive")}, "draws no sample paths"),
        ({"method": "regression_network", "predictor": baseline("naive")}, "no sample paths"),
    ],
)
def test_bad_options_are_refused(market, options, message):
    usual = {"controls": CONTROLS, "method": "ridge"} | options
    with pytest.raises(ConfigError, match=message):
        impact(market(), DATE, "y", **usual)


@pytest.mark.parametrize(
    ("spoil", "date", "message"),
    [
        (change(a=3.0), DATE, "'a' is constant before the intervention, and is not used"),
        (hole("a", slice(50, 52)), DATE, "3 missing values of the control 'a' are interpolated"),
        (hole("b", slice(0, 3)), DATE, "The first 4 time steps are left out, as 'b' begins"),
        (same, "2026-01-20", "Only 19 time steps are before"),
    ],
)
def test_doubtful_data_are_used_with_a_warning(market, spoil, date, message):
    with pytest.warns(UserWarning, match=message):
        effect = impact(spoil(market(3.0)), date, "y", CONTROLS, method="ridge", **QUICK)
    assert np.isfinite(effect.average_interval).all()


def test_a_control_without_most_values_after_the_intervention_is_refused(market):
    with pytest.raises(DataError, match="control 'a' has no value at 15 of the 20 time steps"):
        impact(hole("a", slice(84, 98))(market()), DATE, "y", CONTROLS, method="ridge", **QUICK)


def test_a_file_is_read_as_for_forecasts(tmp_path, market):
    """Thousands and decimal commas are told by other columns, and a bad cell by its line."""
    table = market(9.0)
    time = next(name for name in table if name not in ("y", *CONTROLS))
    whole = ((table[["y", *CONTROLS]] + 1000) * 10).round().astype(int)
    grouped = {n: whole[n].map(lambda v: f"{v:,}".replace(",", ".")) for n in whole}
    odd = pd.DataFrame({time: table[time], **grouped, "heat": "2,5"})
    path = tmp_path / "data.csv"
    odd.to_csv(path, sep=";", index=False)
    with pytest.warns(UserWarning, match="was read as"):
        found = read_columns(read_table(path), ["y"], CONTROLS, {})
    assert np.array_equal(found.targets[0], whole.to_numpy(float).T)
    odd.loc[7, "y"] = "x1"
    odd.to_csv(path, sep=";", index=False)
    with pytest.raises(DataError, match="line 9 of .*data.csv: 'x1'"):
        read_columns(read_table(path), ["y"], CONTROLS, {})


def test_one_point_after_the_intervention_is_enough(market):
    effect = impact(market(9.0, before=99, after=1), "2026-04-10", "y", CONTROLS, method="ridge")
    assert effect.significant and len(effect.to_frame()) == 1


def test_few_points_before_and_many_controls_are_honest():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(25, 21)).cumsum(axis=0) + 50
    names = ["y", *(f"c{n}" for n in range(20))]
    table = pd.DataFrame(values, columns=names, index=pd.Index(range(2000, 2025), name="Year"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for method in CHEAP:
            effect = impact(table.reset_index(), 2015, "y", names[1:], method=method, **QUICK)
            assert effect.study.before == 15 and effect.p_value > 0.02
            assert len(effect.trials) > 10


def test_summary_and_picture_hold_the_figures(market):
    effect = impact(market(4.0), DATE, "y", CONTROLS, method="ridge", **QUICK)
    text = effect.summary()
    for row in ("Actual", "Prediction (s.d.)", "Absolute effect (s.d.)", "Relative effect"):
        assert row in text
    assert f"{effect.average_effect:.4g}" in text and f"{effect.cumulative_effect:.4g}" in text
    figure = effect.plot()
    assert len(figure.axes) == 3
    np.testing.assert_allclose(
        figure.axes[2].lines[0].get_ydata()[-1], effect.cumulative_effect, rtol=1e-6
    )
    frame = effect.to_frame()
    assert frame.day.iloc[0] == pd.Timestamp(DATE)
    last = frame.iloc[-1]
    np.testing.assert_allclose(
        (last.cumulative_lower, last.cumulative_upper), effect.cumulative_interval
    )
    assert (frame.effect_lower < frame.effect).all() and (frame.effect < frame.effect_upper).all()


def test_rare_counts_without_an_effect_have_none():
    counts = np.random.default_rng(7).poisson(0.3, 330).astype(float)
    days = pd.date_range("2024-01-01", periods=330)
    frame = pd.DataFrame({"ds": days, "y": counts})
    found = impact(frame, "2024-10-27", "y", method="network", placebos=0)
    low, high = found.average_interval
    assert low < 0 < high and low < found.average_effect < high and found.p_value > 0.1
    assert 0.15 < found.predicted.mean() < 0.45
    frame.loc[frame["ds"] >= "2024-10-27", "y"] += 2
    assert impact(frame, "2024-10-27", "y", method="network", placebos=0).average_interval[0] > 1.5
