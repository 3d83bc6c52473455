"""How a forecast is made: in one pass, by sample paths, or by both."""

from typing import NamedTuple

from lagllama_jax.config import ForecastConfig, ModelConfig, check

DEFAULT_SAMPLES = 100


class Method(NamedTuple):
    """What a forecast consists of.

    Attributes:
      share: Weight of the one-pass quantiles in the quantiles of the forecast. The rest is the
        weight of the quantiles of the sample paths.
      num_samples: Number of sample paths per series. 0: none.
      match: Whether the sample paths take the one-pass distributions of the points.
    """

    share: float
    num_samples: int
    match: bool

    @property
    def one_pass(self) -> bool:
        """Whether the distributions of one pass are needed."""
        return self.share > 0 or self.match


TOGETHER = ("network", "both")
"""Values of `ForecastConfig.covariates` with which the variates of an item see one another."""


def sees_variates(model: ModelConfig, config: ForecastConfig) -> bool:
    """Whether the variates of an item are forecast together, by attention across variates.

    They are with `covariates="network"` and `"both"`. Otherwise, the network forecasts each target
    on its own.

    Raises:
      ConfigError: If this is asked for, and the model has no such attention.
    """
    together = config.covariates in TOGETHER
    check(
        model.variate_attention or not together,
        f"covariates={config.covariates!r} needs weights with attention across variates, and these "
        "have none (ModelConfig.variate_attention is False): use covariates='regression' or "
        "'none', or other weights.",
    )
    return together


def method_of(model: ModelConfig, config: ForecastConfig) -> Method:
    """The method of a forecast, for a model and the options of a user.

    Raises:
      ConfigError: If the model cannot forecast in one pass and this is asked for, or if paths that
        are not drawn are to be matched.
    """
    asked = config.method
    if asked == "auto":
        asked = "one_pass" if model.one_pass else "paths"
    check(
        model.one_pass or (asked == "paths" and not config.match_marginals),
        "These weights cannot forecast in one pass (ModelConfig.one_pass is False): use "
        "method='paths' without match_marginals, or other weights.",
    )
    number = config.num_samples or (0 if asked == "one_pass" else DEFAULT_SAMPLES)
    check(
        number > 0 or not config.match_marginals,
        "match_marginals=True needs sample paths: give num_samples, or another method.",
    )
    share = {"one_pass": 1.0, "both": 0.5, "paths": 0.0}[asked]
    match = config.match_marginals
    return Method(share, number, asked == "one_pass" and number > 0 if match is None else match)
