"""What all explanations share."""

import jax
import numpy as np
import pytest

from lagllama_jax import LagLlama
from lagllama_jax.errors import ConfigError
from lagllama_jax.inference import lanes
from lagllama_jax.insight.windows import explained_model

pytestmark = pytest.mark.usefixtures("hurry")


def test_an_authors_checkpoint_is_explained(golden, walk):
    model = LagLlama.from_pretrained(golden / "robust.ckpt")
    assert model.embed([walk]).shape == (1, model.config.width)
    assert model.attention(walk).weights.shape[:2] == (2, 2)
    found = model.lag_attribution(walk)
    np.testing.assert_allclose(found.total, found.location - found.baseline, rtol=1e-3)
    assert np.isfinite(model.score(walk).tail_probability[0][16:]).all()


def test_angles_that_depend_on_the_length_are_refused(one_pass):
    config = one_pass.config.replace(rope="dynamic", max_context_length=16)
    assert explained_model(config, None).context_length == 8
    with pytest.raises(ConfigError, match="max_context_length=16 .* has 20"):
        explained_model(config, 20)


@pytest.mark.parametrize(
    "explain",
    [
        lambda model, walks: model.score(walks).tail_probability,
        lambda model, walks: model.score(walks).expected,
        lambda model, walks: model.embed(walks),
        lambda model, walks: model.embed(walks, per_step=True),
    ],
)
def test_the_order_in_which_batches_are_computed_changes_nothing(
    monkeypatch, one_pass, walk, explain
):
    walks = [walk * unit + unit for unit in (1, 10, 100, 1000, 1e4, 1e5, 1e6)]
    expected = explain(one_pass, walks)
    begun = []

    def backwards(self, compute, jobs):
        begun.append(len(jobs))
        return reversed([compute(job) for job in reversed(jobs)])

    monkeypatch.setattr(lanes, "cores", lambda: 4)
    monkeypatch.setattr(lanes.Lanes, "run", backwards)
    found = explain(one_pass, walks)
    assert begun[0] > 1
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3), found, expected)
