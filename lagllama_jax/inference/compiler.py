"""Options of the XLA compiler for programs with few rows."""

from functools import cache
from typing import Any

import jax

from lagllama_jax.inference.settings import own_settings

EIGEN = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Matrix products are computed by Eigen instead of YNNPACK. On 2 cores, a program whose products
depend on one another and have at most 128 rows takes 0.83 of the time. With more rows, there is no
gain. Eigen is slower where inputs are bfloat16."""


@cache
def for_few_rows() -> dict[str, Any] | None:
    """The options for a program whose products have at most `FEW_ROWS` rows.

    They are `None` on another device than a CPU, or if this version of XLA has no such option.
    """
    if jax.default_backend() != "cpu":
        return None
    try:
        with own_settings():
            jax.jit(lambda: 0, compiler_options=EIGEN).lower().compile()
    except jax.errors.JaxRuntimeError:
        return None
    return EIGEN
