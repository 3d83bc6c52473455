"""Finds the parts that cannot be used, so that they do not stop the work on the others."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lagllama_jax.errors import DataError

Result = TypeVar("Result")


def use_what_can_be(
    use: Callable[[list[Any]], Result], parts: Sequence[Any]
) -> tuple[Result | None, dict[Any, str]]:
    """Calls `use` with all parts, or with those for which it raises no `DataError`.

    Args:
      use: Function of a list of parts, such as names of series.
      parts: The parts, which are hashable.

    Returns:
      What `use` returned, or `None` if no part can be used, and the message for each other part.

    >>> def total(numbers):
    ...     if 0 in numbers:
    ...         raise DataError("0 is no size.")
    ...     return sum(numbers)
    >>> use_what_can_be(total, [3, 0, 4])
    (7, {0: '0 is no size.'})
    """
    if not parts:
        return None, {}
    try:
        return use(list(parts)), {}
    except DataError as error:
        if len(parts) == 1:
            return None, {parts[0]: str(error)}
    failed = _failing(use, parts)
    rest = [part for part in parts if part not in failed]
    if not rest:
        return None, failed
    try:
        return use(rest), failed
    except DataError as error:  # each of them can be used alone, and not all together
        return None, failed | dict.fromkeys(rest, str(error))


def _failing(use: Callable[[list[Any]], Any], parts: Sequence[Any]) -> dict[Any, str]:
    """The message for each part that cannot be used, by repeated halving."""
    try:
        use(list(parts))
    except DataError as error:
        if len(parts) == 1:
            return {parts[0]: str(error)}
        half = len(parts) // 2
        return _failing(use, parts[:half]) | _failing(use, parts[half:])
    return {}
