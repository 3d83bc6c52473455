"""Groups: variates of one time grid with roles, real or synthetic, and hints that see no future."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp

from lagllama_jax.checkpoints.hub import from_pretrained, save_pretrained
from lagllama_jax.config import DataConfig
from lagllama_jax.corpus.store import Corpus
from lagllama_jax.errors import ConfigError
from lagllama_jax.model.batch import KNOWN_COVARIATE, PADDING, PAST_COVARIATE, TARGET, Batch
from lagllama_jax.model.network import init_parameters
from lagllama_jax.training.hints import add_hints, covariate_effect, hint
from lagllama_jax.training.loss import batch_losses, mean_loss
from lagllama_jax.training.metrics import read_metrics
from lagllama_jax.training.pretrain import Placement, pretrain
from lagllama_jax.training.recipe import Recipe
from lagllama_jax.training.sharding import Rules, make_mesh, to_host
from lagllama_jax.training.sources.corpus_arrays import corpus_arrays
from lagllama_jax.training.sources.device import DeviceSource, sample_batch
from lagllama_jax.training.sources.groups import (
    batch_sizes,
    draw_groups,
    draw_groups_on_host,
    gather_groups,
)
from lagllama_jax.training.synthetic_groups import synthetic_groups
from tests.training.conftest import RECIPE, packed

KEY = jax.random.key(3)
DATA = RECIPE.data.replace(groups=0.5, group_size=4, stretch=0.2, min_context=3)


@pytest.fixture(scope="module")
def grids():
    """Six series of days that count their own points, two of another start, and two of hours."""
    days = [1000.0 * (n + 1) + np.arange(200.0) for n in range(6)]
    later = [50.0 * n + np.arange(90.0) for n in range(2)]
    starts = ["2020-01-01"] * 6 + ["2020-02-01"] * 2
    one = packed(days + later, starts, "D", "days")
    other = packed([np.arange(120.0), np.arange(90.0) ** 0.5], ["2020-01-01"] * 2, "h", "hours")
    return Corpus.concatenate([one, other])


def arrays_of(corpus, on_device=True, data=DATA):
    return corpus_arrays(corpus, RECIPE.model, data, on_device=on_device)


def raw(batch):
    return np.where(batch.observed, (batch.values + batch.level[..., None]), np.nan)


def test_relatives_are_neighbours_with_one_dataset_frequency_and_start(grids):
    found = arrays_of(grids).relatives
    assert found.first.tolist() == [0] * 6 + [6] * 2 + [8] * 2
    assert found.size.tolist() == [6] * 6 + [2] * 4


def test_a_corpus_without_relatives_gives_groups_of_one(grids):
    arrays = arrays_of(grids.select(np.arange(10) % 6 == 0))
    assert arrays.relatives is None
    groups = jax.jit(lambda key: draw_groups(key, arrays, 50, RECIPE.model, DATA))(KEY)
    assert (groups.members.role[:, 0] == TARGET).all()
    assert (groups.members.role[:, 1:] == PADDING).all()


def test_the_variates_of_a_group_share_dates_and_points(grids):
    data = DATA.replace(stretch=0.0)
    arrays = arrays_of(grids, on_device=False, data=data)
    drawn = draw_groups_on_host(np.random.default_rng(0), arrays, 200, RECIPE.model, data)
    batch = gather_groups(arrays, drawn, RECIPE.model, data)
    series, role = drawn.members
    assert (grids.dataset[series] == grids.dataset[series[:, :1]]).all()
    points = batch.unit[..., None] * raw(batch)
    place = np.where((series < 6)[..., None], points - 1000 * (series[..., None] + 1), np.nan)
    ahead = np.arange(place.shape[-1]) - batch.start[:, None] + drawn.window.start[:, None]
    wrong = np.abs(place - ahead[:, None])
    there = np.isfinite(wrong)
    assert there.any(axis=(0, 2)).all() and wrong[there].max() < 0.51
    assert not batch.observed[role == PADDING].any()
    # No variate occurs twice in a group.
    seen = [row[kept != PADDING] for row, kept in zip(series, role, strict=True)]
    assert all(len(set(row)) == len(row) for row in seen)


def test_each_role_occurs_and_the_first_variate_is_a_target(grids):
    arrays = arrays_of(grids, on_device=False)
    draws = draw_groups_on_host(np.random.default_rng(1), arrays, 2000, RECIPE.model, DATA)
    role = draws.members.role[draws.window.series < 6]
    assert (role[:, 0] == TARGET).all()
    shares = [(role[:, 1:] == kind).mean() for kind in range(4)]
    known = shares[KNOWN_COVARIATE] / (1 - shares[PADDING])
    assert 0.55 < known < 0.66 and min(shares) > 0.05
    only_known = ((role[:, 1:] == KNOWN_COVARIATE) | (role[:, 1:] == PADDING)).all(axis=1)
    assert 0.45 < only_known.mean() < 0.65


def test_device_and_host_draw_groups_of_the_same_distribution(grids):
    device, host = arrays_of(grids), arrays_of(grids, on_device=False)
    one = jax.jit(lambda key: draw_groups(key, device, 4000, RECIPE.model, DATA))(KEY)
    other = draw_groups_on_host(np.random.default_rng(2), host, 4000, RECIPE.model, DATA)
    for name in ("series", "role"):
        parts = [np.asarray(getattr(d.members, name)) for d in (one, other)]
        for variate in range(DATA.group_size):
            counts = [np.bincount(part[:, variate], minlength=10) for part in parts]
            used = counts[0] + counts[1] > 0
            if used.sum() > 1:
                expected = counts[1][used] + 0.5
                scaled = expected * counts[0].sum() / expected.sum()
                assert chisquare(counts[0][used] / 2, scaled / 2).pvalue > 1e-5, (name, variate)
    for ours, theirs in zip(one.window, other.window, strict=True):
        assert ks_2samp(np.asarray(ours), theirs).pvalue > 1e-3


def test_without_groups_the_batches_are_those_of_single_windows(grids):
    data = DATA.replace(groups=0.0, synthetic=0.25)
    recipe = dataclasses.replace(RECIPE, data=data)
    arrays = arrays_of(grids, data=data)
    assert arrays.relatives is None
    source = DeviceSource(arrays, grids.dataset_names, recipe, make_mesh(), Rules())
    batch = jax.jit(source.batch)(source.next(0, 1), np.int32(0), 0, KEY)
    alone = jax.jit(lambda key: sample_batch(arrays, key, 8, RECIPE.model, data))(KEY)
    assert isinstance(batch, Batch)
    for ours, theirs in zip(batch, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_batch_too_small_for_a_group_is_refused():
    with pytest.raises(ConfigError, match="group_size"):
        batch_sizes(8, DATA.replace(groups=0.1))
    assert batch_sizes(8, DATA) == (4, 1)
    assert batch_sizes(8, DATA.replace(groups=1.0)) == (0, 2)


def test_groups_train_with_the_single_windows_in_every_step(grids):
    train = RECIPE.train.replace(batch_size=16)
    recipe = dataclasses.replace(RECIPE, data=DATA.replace(stretch=0.0), train=train)
    source = DeviceSource(arrays_of(grids), grids.dataset_names, recipe, make_mesh(), Rules())
    single, groups = jax.jit(source.batch)(source.next(0, 1), np.int32(0), 0, KEY)
    assert single.values.shape[:2] == (8, 1) and groups.values.shape[:2] == (2, 4)
    assert set(source.datasets(KEY, 0)) <= {"days", "hours"}
    parameters = init_parameters(recipe.model, KEY)
    losses = jax.jit(lambda batch: batch_losses(parameters, recipe, batch, None).near)
    whole = losses((single, groups))
    counted = np.asarray(whole.values)[np.asarray(whole.weight)]
    np.testing.assert_allclose(mean_loss(whole)[0], counted.mean(), rtol=1e-5)
    rows = np.asarray(whole.weight).any(axis=1)
    assert rows[:8].all() and not rows[8:].reshape(2, 4)[groups.role != TARGET].any()
    assert rows[8:].any()


@pytest.mark.parametrize("on_device", [True, False])
def test_a_run_trains_on_groups_from_the_device_or_the_host(grids, tmp_path, on_device):
    pytest.importorskip("grain", reason="needs the extra grain")
    train = RECIPE.train.replace(batch_size=8, steps=2)
    data = DATA.replace(stretch=0.0, synthetic=0.5 * (not on_device), hinted=0.0)
    model = RECIPE.model.replace(variate_attention=True)
    loop = RECIPE.loop.replace(dispatch=1, checkpoint_every=2)
    recipe = Recipe(model, data, train, loop)
    trained = pretrain(grids, tmp_path / "run", recipe, placement=Placement(None, on_device))
    assert int(trained.state.step) == 2
    layer = trained.state.parameters["block_1"]["variate_attention"]
    assert np.abs(layer["output"]["kernel"]).max() > 0  # it begins with 0
    save_pretrained(tmp_path / "model", model, to_host(trained.weights))
    config, weights = from_pretrained(tmp_path / "model")
    assert config == model
    for one, other in zip(*map(jax.tree.leaves, (weights, trained.weights)), strict=True):
        np.testing.assert_array_equal(one, other)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert len(rows) == 2 and np.isfinite([row["loss"] for row in rows]).all()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_synthetic_groups_are_finite_and_have_targets(seed):
    data = DataConfig(future_length=4, group_size=4, short_history=0.3, min_context=3)
    batch = SYNTHETIC(jax.random.key(seed), data)
    assert np.isfinite(batch.values).all() and (batch.role[:, 0] == TARGET).all()
    assert (np.asarray(batch.values)[~np.asarray(batch.observed)] == 0).all()
    assert not batch.observed[batch.role == PADDING].any()
    assert {KNOWN_COVARIATE, PAST_COVARIATE} <= set(np.unique(batch.role).tolist())


SYNTHETIC = jax.jit(
    lambda key, data: synthetic_groups(key, 24, RECIPE.model, data), static_argnums=1
)


def driven(coming=None, count=300, start=240):
    """A target that is a function of its first covariate; its future may be replaced."""
    random = np.random.default_rng(4)
    known = random.normal(size=(2, count)).cumsum(axis=1)
    known -= known.mean(axis=1, keepdims=True)
    target = 3 * np.maximum(known[0], 0) + 0.1 * random.normal(size=count)
    if coming is not None:
        target[start:] = coming
    values = np.stack([target, *known, np.zeros(count)])[None].astype(np.float32)
    role = np.array([[TARGET, KNOWN_COVARIATE, KNOWN_COVARIATE, PADDING]], np.int32)
    zeros = jnp.zeros((1, 4))
    observed = jnp.asarray(np.broadcast_to((role != PADDING)[..., None], values.shape))
    fields = values, observed, jnp.zeros((1, 60, 6)), role, np.array([start], np.int32)
    return Batch(*map(jnp.asarray, fields), zeros, zeros + 1, zeros.astype(jnp.uint32))


def found_hint(batch):
    return np.asarray(HINT(batch, batch.role[:, :-1] == KNOWN_COVARIATE).forecast)[0]


HINT = jax.jit(hint)


def test_a_hint_follows_the_effect_of_a_covariate_before_and_after_the_start():
    batch = driven()
    found, target = found_hint(batch), np.asarray(batch.values[0, 0])
    for part in (slice(0, 240), slice(240, None)):
        assert np.corrcoef(found[part], target[part])[0, 1] > 0.97


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1.0, 1e6, np.nan]))
def test_no_future_value_of_a_target_changes_a_hint(seed, size):
    coming = size * np.random.default_rng(seed).normal(size=60)
    changed = driven(np.nan_to_num(coming))
    if np.isnan(size):
        changed = changed._replace(observed=changed.observed.at[:, 0, 240:].set(False))
    np.testing.assert_array_equal(found_hint(driven()), found_hint(changed))


def effect_of(target, covariates, start=240):
    rows = jnp.asarray(target, jnp.float32), jnp.asarray(covariates, jnp.float32)
    shown = jnp.arange(len(target)) < start
    seen = jnp.ones(rows[1].shape, bool)
    return np.asarray(EFFECT(rows[0], shown, rows[1], seen, jnp.int32(start), jnp.int32(1)))


EFFECT = jax.jit(covariate_effect)


def test_the_effect_in_a_block_does_not_depend_on_the_target_within_it():
    target, *covariates = np.asarray(driven().values[0, :3])
    changed = target.copy()
    changed[100:140] *= 1.5
    one, other = effect_of(target, covariates), effect_of(changed, covariates)
    moved = np.abs(np.diff(one) - np.diff(other))
    # The five blocks of the past begin every 48 points; the changed points are in the third one.
    assert moved[98:142].max() < 1e-4 < moved[150:190].max()


def test_a_useless_covariate_has_a_small_effect():
    random = np.random.default_rng(5)
    target = np.asarray(driven().values[0, 0])
    found = effect_of(target / target.std(), random.normal(size=(2, 300)))
    assert np.abs(found).mean() < 0.15


def test_a_hint_takes_the_place_of_the_last_variate_as_a_known_covariate():
    batch = driven()
    hinted = jax.jit(lambda b: add_hints(jax.random.key(1), b, 1.0))(batch)
    assert hinted.role[0].tolist() == [TARGET, KNOWN_COVARIATE, KNOWN_COVARIATE, KNOWN_COVARIATE]
    assert hinted.observed[0, 3].all()
    np.testing.assert_array_equal(hinted.values[:, 1:3], batch.values[:, 1:3])
    # What is removed from the target is removed from the hint.
    removed = np.asarray(batch.values - hinted.values)[0, 0]
    assert removed.std() > 0.1
    np.testing.assert_allclose(hinted.values[0, 3], found_hint(batch) - removed, atol=1e-5)
    pair = jax.jit(lambda b: add_hints(jax.random.key(1), b, 1.0, alone=True))(batch)
    for name in ("values", "observed", "role", "level", "unit"):
        np.testing.assert_allclose(
            getattr(pair, name), getattr(hinted, name)[:, [0, 3]], rtol=1e-4, atol=1e-4
        )
    # Without a known covariate there is nothing to regress on.
    alone = batch._replace(role=jnp.array([[TARGET, PAST_COVARIATE, TARGET, PADDING]]))
    same = jax.jit(lambda b: add_hints(KEY, b, 1.0))(alone)
    for ours, theirs in zip(same, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)
