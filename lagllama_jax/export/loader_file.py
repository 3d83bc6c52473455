"""The file `loader.py` of an exported model, which is made of functions of this package.

The functions are copied as they are, so that there is one definition of each.
"""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from lagllama_jax.export import loader
from lagllama_jax.inference import batch, marginals
from lagllama_jax.model import calendar_features
from lagllama_jax.series import standardise

MODULES: tuple[tuple[Any, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        standardise,
        ("RANGES", "LEVELS", "FEWEST_CONSTANT", "FURTHEST"),
        ("Standard", "standard_of"),
    ),
    (batch, ("UNITS",), ("put_back",)),
    (
        calendar_features,
        ("NEUTRAL_DAY",),
        ("civil_from_days", "days_from_month", "month_of_day", "calendar_features"),
    ),
    (marginals, ("DEGREE",), ("quantile_polynomials", "Marginals")),
)
"""Modules, and the names of their constants and of their functions that the loader needs."""
IMPORTS = """from functools import lru_cache

from numpy.polynomial import chebyshev
from scipy import special


def _module(*arrays: Any) -> Any:
    return np


"""


def loader_text() -> str:
    """The source of `loader`, with the functions that it imports in the place of their imports."""
    source = inspect.getsource(loader)
    own = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lagllama_jax")
    ]
    lines = source.splitlines(keepends=True)
    head, rest = lines[: own[0].lineno - 1], lines[own[-1].end_lineno :]
    return "".join([*head, IMPORTS, *_functions(), *rest])


def _functions() -> Iterator[str]:
    for module, constants, functions in MODULES:
        for name in constants:
            yield f"{name} = {_literal(getattr(module, name))}\n"
        for name in functions:
            yield f"\n\n{inspect.getsource(getattr(module, name))}"
        yield "\n\n"


def _literal(value: Any) -> str:
    return f"np.array({value.tolist()})" if hasattr(value, "tolist") else repr(value)
