"""`LazyModel`: the model of a question, which is loaded when it is needed."""

from lagllama_jax.forecaster import LagLlama
from lagllama_jax.inference.forecast import Predictor

NETWORKS = ("network", "regression_network")
"""Methods that need a predictor."""


class LazyModel:
    """Loads the bundled weights when a predictor is needed and none was given.

    Attributes:
      given: A model, a predictor, or `None`.
    """

    def __init__(self, given: LagLlama | Predictor | None):
        self.given = given
        self._loaded: Predictor | None = None

    def __call__(self) -> Predictor:
        """The predictor."""
        if self.given is None:
            self.given = LagLlama.from_pretrained()
        if self._loaded is None:
            given = self.given
            self._loaded = given.predictor() if isinstance(given, LagLlama) else given
        return self._loaded
