"""The settings of JAX that a caller may have change no number and stop nothing."""

import contextlib

import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama

SETTINGS = {
    "64 bits": lambda: jax.enable_x64(True),
    "NaNs are errors": lambda: jax.debug_nans(True),
    "infinities are errors": lambda: jax.debug_infs(True),
    "strict types": lambda: jax.numpy_dtype_promotion("strict"),
    "strict ranks": lambda: jax.numpy_rank_promotion("raise"),
    "no transfers": lambda: jax.transfer_guard("disallow"),
    "other random numbers": lambda: jax.default_prng_impl("rbg"),
}
SERIES = [np.sin(np.arange(80) / 4), np.where(np.arange(60) % 7 == 3, np.nan, np.arange(60.0))]
DATED = {"start": "2024-01-01", "freq": "h", "progress": False}


def forecast(model):
    return model.predict(SERIES, 3, num_samples=4, **DATED).samples


def fitted(model):
    """A forecast after one step of fine-tuning."""
    small = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "validation": 0}
    return forecast(model.fit(SERIES, 3, **small, **DATED))


@pytest.fixture(scope="module")
def model(tiny_parameters, tiny_config):
    return LagLlama(tiny_parameters, tiny_config)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_a_setting_of_the_caller_changes_no_number_of_a_forecast(setting, model):
    with setting():
        found = forecast(model)
    np.testing.assert_array_equal(found, forecast(model))


def test_all_settings_together_change_no_number_of_a_fit(model):
    with contextlib.ExitStack() as stack:
        for setting in SETTINGS.values():
            stack.enter_context(setting())
        found = fitted(model)
    np.testing.assert_array_equal(found, fitted(model))
