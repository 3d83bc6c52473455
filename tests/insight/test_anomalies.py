"""Anomaly scores."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lagllama_jax.errors import ConfigError, DataError
from lagllama_jax.insight.anomalies import FEWEST, SEGMENT

pytestmark = pytest.mark.usefixtures("hurry")


def test_each_segment_begins_with_the_forecast_of_its_first_step(one_pass, walk):
    law = one_pass.score(walk, start="2024-01-01", freq="D").laws[0]
    for step in (FEWEST, SEGMENT, 2 * SEGMENT, 3 * SEGMENT):
        forecast = one_pass.predict(walk[:step], 1, start="2024-01-01", freq="D").marginals
        found = np.array([part[0, step] for part in law])
        np.testing.assert_allclose(found, [part[0, 0] for part in forecast], rtol=1e-4)


@pytest.mark.parametrize("place", [40, 63, 64, 118])
def test_no_score_looks_ahead(model, walk, place):
    changed = walk.copy()
    changed[place:] -= 30
    one, other = (model.score(values).laws[0] for values in (walk, changed))
    for before, after in zip(one, other, strict=True):
        np.testing.assert_allclose(before[0, : place + 1], after[0, : place + 1], rtol=2e-3)
    assert not np.allclose(one.loc[0, place + 1 :], other.loc[0, place + 1 :], rtol=2e-3)


def test_probabilities_are_those_of_the_distributions(one_pass, walk):
    scores = one_pass.score(walk)
    df, loc, scale = (part[0] for part in scores.laws[0][:3])
    below = stats.t.cdf(walk, df, loc, scale)
    np.testing.assert_allclose(scores.probability[0], below, atol=1e-9)
    tail = 2 * np.minimum(below, 1 - below)
    np.testing.assert_allclose(scores.tail_probability[0], tail, atol=1e-9)
    inside = (walk >= scores.lower[0]) & (walk <= scores.upper[0])
    scored = np.isfinite(tail)
    assert (inside == (tail >= 0.05))[scored].all()
    assert scored.tolist() == [False] * FEWEST + [True] * (120 - FEWEST)


def test_a_spike_is_the_least_probable_value_in_any_unit(model, walk):
    spiked = walk.copy()
    spiked[77] += 400
    for unit in (1, 1e-6, 1e6):
        scores = model.score(unit * spiked, threshold=1e-4)
        assert np.nanargmin(scores.tail_probability[0]) == 77


def test_gaps_and_constant_parts_have_right_results(one_pass, walk):
    gappy = np.r_[[np.nan] * 4, np.where(np.arange(120) % 9 == 4, np.nan, walk), np.nan]
    scores = one_pass.score([gappy, [3.0] * 50, [3.0] * 49 + [4.0]])
    missing = np.isnan(gappy[:-1])  # the missing end is left out
    assert len(scores.observed[0]) == 124 and np.isnan(scores.tail_probability[0][missing]).all()
    first = int(np.flatnonzero(~missing)[FEWEST])
    assert np.isfinite(scores.expected[0][first:]).all()
    assert np.isnan(scores.expected[0][: first - 1]).all()
    assert (scores.tail_probability[1][FEWEST:] == 1).all()
    assert (scores.expected[1][FEWEST:] == 3).all()
    assert np.nanargmin(scores.tail_probability[2]) == 49


def test_the_table_has_a_row_a_step_and_anomalies_come_by_rarity(one_pass, walk):
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(["b", "a"], 60),
            "ds": np.tile(pd.date_range("2024-01-01", periods=60), 2),
            "y": walk,
        }
    )
    scores = one_pass.score(frame, threshold=0.5)
    table = scores.to_frame()
    wanted = ["unique_id", "ds", "observed", "expected", "lower", "upper", "tail_probability"]
    assert table.columns.tolist() == [*wanted, "anomaly"]
    joined = frame.merge(table, on=["unique_id", "ds"])
    assert len(joined) == len(table) == 120 and (joined["y"] == joined["observed"]).all()
    rare = scores.anomalies()
    assert 0 < len(rare) == (table["tail_probability"] < 0.5).sum()
    assert rare["tail_probability"].is_monotonic_increasing
    assert one_pass.score([walk]).to_frame()["timestamp"].tolist() == list(range(120))


def test_a_picture_is_drawn(one_pass, walk, tmp_path):
    scores = one_pass.score([walk, walk], start="2024-01-01", freq="D", item_ids=["a", "b"])
    scores.plot("b", history=50).savefig(tmp_path / "scores.png")
    assert (tmp_path / "scores.png").stat().st_size > 5_000
    with pytest.raises(ConfigError, match="No series"):
        scores.plot("c")


def test_short_series_are_refused_alone_and_named_beside_others(one_pass, walk):
    with pytest.raises(DataError, match="'0' has 16 values, and the first 16"):
        one_pass.score(walk[:16])
    with pytest.warns(UserWarning, match="'1' has 3 values"):
        scores = one_pass.score([walk, walk[:3]])
    assert np.isnan(scores.tail_probability[1]).all() and len(scores.to_frame()) == 123


def test_columns_are_not_named_like_those_of_the_result(one_pass, walk):
    scores = one_pass.score(walk)
    named = replace(scores, dataset=replace(scores.dataset, id_column="observed"))
    with pytest.raises(DataError, match="'observed' of the input is named like one of the result"):
        named.to_frame()


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        ([], {}, DataError, "No series"),
        ([[np.nan] * 30], {}, DataError, "no value"),
        ([[1.0] * 30 + [np.inf]], {}, DataError, "infinite"),
        ([[1.0] * 30], {"threshold": 0}, ConfigError, "threshold=0"),
        ([[1.0] * 30], {"threshold": "0.5"}, ConfigError, "threshold='0.5'"),
        ([[1.0] * 30], {"coverage": 95}, ConfigError, "coverage=95"),
    ],
)
def test_bad_input_is_named(one_pass, series, options, error, message):
    with pytest.raises(error, match=message):
        one_pass.score(series, **options)


@pytest.mark.parametrize("head", ["negative_binomial", "implicit_quantile"])
def test_other_heads_are_refused(with_head, walk, head):
    with pytest.raises(ConfigError, match=head):
        with_head(head).score(walk)
