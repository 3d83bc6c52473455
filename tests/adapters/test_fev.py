import numpy as np
import pandas as pd
import pytest

pytestmark = [
    pytest.mark.fev,
    pytest.mark.filterwarnings("ignore"),  # of fev and what it brings
]
STEPS = 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A local file of four items with two targets, a known covariate of numbers and one of text."""
    random = np.random.default_rng(0)
    rows = []
    for name in "cbad":
        length = 70
        rows.append(
            {
                "id": name,
                "timestamp": pd.date_range("2024-01-01", periods=length, freq="D").to_numpy(),
                "sales": random.normal(size=length).cumsum() + 20,
                "visits": random.normal(size=length).cumsum() + 90,
                "price": random.normal(size=length),
                "weather": random.choice(["sun", "rain"], size=length),
            }
        )
    path = tmp_path_factory.mktemp("fev") / "data.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return str(path)


def task_of(path, **options):
    import fev

    levels = [0.1, 0.5, 0.9]
    return fev.Task(
        dataset_path=path, horizon=STEPS, num_windows=2, quantile_levels=levels,
        eval_metric="WQL", extra_metrics=["MASE"], seasonality=7, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(one_pass):
    from lagllama_jax.adapters.fev import LagLlamaModel

    return LagLlamaModel(one_pass)


CASES = {
    "plain": {"target": "sales"},
    "covariates": {"target": "sales", "known_dynamic_columns": ["price", "weather"]},
    "past covariates": {"target": "sales", "past_dynamic_columns": ["visits"]},
    "targets": {"target": ["sales", "visits"], "known_dynamic_columns": ["price"]},
}


@pytest.mark.parametrize("case", CASES)
def test_a_task_of_a_local_file_is_forecast_and_scored(path, model, one_pass, case):
    task = task_of(path, **CASES[case])
    predictions = model.fit_predict(task)
    summary = task.evaluation_summary(predictions, model_name=model.model_name)
    assert np.isfinite(summary["test_error"]) and np.isfinite(summary["MASE"])
    assert model.inference_time > 0
    past, future = task.get_window(1).get_input_data()
    targets = task.target_columns
    items = [np.stack([row[name] for name in targets]) for row in past]
    starts = [row["timestamp"][0] for row in past]
    known = None
    if "price" in CASES[case].get("known_dynamic_columns", ()) and case == "targets":
        known = [{"price": [*a["price"], *b["price"]]} for a, b in zip(past, future, strict=True)]
    if case == "covariates":
        return  # text is encoded by predict_df alone
    wanted = one_pass.predict(
        items, STEPS, start=starts, freq="D", item_ids=past["id"], known_covariates=known
    )
    for number, name in enumerate(targets):
        rows = slice(number, None, len(targets))
        for level in (0.1, 0.9):
            values = np.array(predictions[1][name][str(level)])
            np.testing.assert_allclose(values, wanted.quantile(level)[rows], rtol=1e-6)


def test_known_covariates_are_used(path, model):
    plain, known = (task_of(path, **CASES[case]) for case in ("plain", "covariates"))
    first, second = (model.fit_predict(task)[0]["sales"]["0.9"] for task in (plain, known))
    assert not np.array_equal(first, second)


def test_the_model_is_found_by_its_name():
    import fev

    from lagllama_jax.adapters.fev import LagLlamaModel

    assert fev.ForecastingModel.get_model_cls("lagllama_jax") is LagLlamaModel
