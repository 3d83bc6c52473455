"""Progress bars on the terminal, for work that takes long."""

import contextlib
import sys
from collections.abc import Callable, Iterator

Progress = Callable[[int, int], None]
"""A function of the number of series that are done and of the number of all series."""
Finished = Callable[[int], None]
"""A function of how many more series are done."""
Report = Callable[..., None]
"""A function of the amount that is done, of the whole amount and, if wanted, of words to show."""


def counted(progress: Progress | None, total: int) -> Finished | None:
    """Adds up the series that are done in parts, and reports them to `progress`."""
    if progress is None:
        return None
    done = 0

    def finished(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return finished


@contextlib.contextmanager
def progress_bar(
    progress: bool | Progress | None, doing: str = "forecasting", unit: str = "series"
) -> Iterator[Report | None]:
    """Yields a function to call as the work goes on, or `None` if nothing is to be shown.

    Args:
      progress: Whether to show a bar on stderr. `None`: if stderr is a terminal and the first call
        leaves something to do. A function of the user's is yielded as it is.
      doing: What is done, in front of the bar.
      unit: What is counted, after the bar.
    """
    if callable(progress):
        yield progress
    elif progress is False or (progress is None and not sys.stderr.isatty()):
        yield None
    else:
        with contextlib.ExitStack() as stack:
            yield _lazy_bar(stack, progress is True, doing, unit)


def _lazy_bar(stack: contextlib.ExitStack, at_once: bool, doing: str, unit: str) -> Report:
    """A bar that appears with the first call that leaves something to do."""
    update: Report | None = None

    def report(done: int, total: int, words: str = "") -> None:
        nonlocal update
        if update is None and (at_once or done < total):
            update = _start_bar(stack, doing, unit, total)
        if update is not None:
            update(completed=done, words=words)

    return report


def _start_bar(stack: contextlib.ExitStack, doing: str, unit: str, total: int) -> Report:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    words = TextColumn(f"{unit} {{task.fields[words]}}")
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), words, TimeRemainingColumn())
    console = Console(stderr=True)
    # Elsewhere than on a terminal, only the last state of a bar that stays is written.
    bar = stack.enter_context(Bar(*columns, console=console, transient=console.is_terminal))
    task = bar.add_task(doing, total=total, words="")
    return lambda **state: bar.update(task, **state)
