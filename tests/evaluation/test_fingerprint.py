import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.config import ForecastConfig
from lagllama_jax.evaluation.baselines import baseline
from lagllama_jax.evaluation.fingerprint import fingerprint, identity
from lagllama_jax.evaluation.tasks import task_of
from lagllama_jax.inference.aggregation import Aggregated
from lagllama_jax.inference.predictor import ModelPredictor


def parameters(shift: float = 0.0) -> dict:
    return {"layer": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3) + shift}}


@pytest.fixture
def task(series_of):
    return task_of("made_up", series_of(41), 3)


def test_a_fingerprint_is_the_same_in_every_process_and_on_every_machine(task):
    assert fingerprint(baseline("naive"), task) == "98c529b35cb92483"
    assert identity(parameters())[:16] == "dict c4478b35dd1"


def test_a_fingerprint_tells_options_and_weights_apart(task, tiny_config):
    def of(shift=0.0, wrapped=False, model=tiny_config, **options):
        predictor = ModelPredictor(parameters(shift), model)
        drawn = ForecastConfig(**options)
        return fingerprint(Aggregated(predictor) if wrapped else predictor, task, drawn)

    different = [
        of(),
        of(shift=1e-3),
        of(model=tiny_config.replace(imputation="loc")),
        of(wrapped=True),
        of(wrapped=True, shift=1e-3),
        of(seed=1),
        of(num_samples=7),
        of(coarsen=1),
        of(difference="none"),
        of(context_length=8),
    ]
    assert len(set(different)) == len(different)
    assert of(batch_size=3, quantile_levels=(0.5,)) == of()
    assert of(num_samples=np.int64(7)) == of(num_samples=7)


def test_what_is_shown_on_the_way_and_where_arrays_lie_do_not_matter(task, tiny_config):
    on_device = jax.tree.map(jax.numpy.asarray, parameters())
    shown = LagLlama(on_device, tiny_config, "there").predictor(finished=print)
    assert identity(shown) == identity(LagLlama(parameters(), tiny_config).predictor())


def test_every_value_name_and_date_of_the_series_matters(task):
    series = task.read()
    item = series[0]
    other = item.target.copy()
    other[0, 7] += 1e-12
    changed = [
        item._replace(item_id="b"),
        item._replace(target=other),
        item._replace(target=item.target[:, 1:]),
        item._replace(start=item.start.tz_localize("UTC")),
        item._replace(past_covariates=item.target),
    ]
    found = [
        fingerprint(baseline("naive"), task_of("made_up", type(series).of([one]), 3))
        for one in (item, *changed)
    ]
    assert len(set(found)) == len(found)


def test_a_seed_tells_apart_only_baselines_that_are_trained(task):
    def of(name, seed):
        return fingerprint(baseline(name, seed=seed), task, ForecastConfig(seed=seed))

    assert of("deepar", 0) != of("deepar", 1)
    assert of("naive", 0) == of("naive", 1)
    assert len({identity(baseline(name)) for name in ("naive", "seasonal_naive")}) == 2


def test_a_predictor_of_the_users_is_told_by_its_attributes(walk_class):
    assert identity(walk_class(2.0)) == identity(walk_class(2.0)) != identity(walk_class(3.0))
