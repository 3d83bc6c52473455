"""The names of the suites, apart so that the command line can show them without loading more."""

from typing import Literal

Suite = Literal[
    "gift-eval-ett", "m4_hourly", "all", "paper", "validation", "covariates", "multivariate"
]
