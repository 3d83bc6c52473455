"""Progress bars in the terminal, for work that takes long."""

import contextlib
import sys
from collections.abc import Callable, Iterator

Progress = Callable[[int, int], None]
"""A function of the number of finished series and the total number of series."""
Finished = Callable[[int], None]
"""A function of the number of series that have been finished since its last call."""
Report = Callable[..., None]
"""A function of the finished amount, the total amount and, optionally, a text to show."""


def counted(progress: Progress | None, total: int) -> Finished | None:
    """Returns a function that adds up finished series and reports their number to `progress`.

    Args:
      progress: The function to report to. `None`: nothing is reported, and the result is `None`.
      total: Total number of series.
    """
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
    """Yields a function that reports progress, or `None` if no progress is shown.

    Args:
      progress: Whether to show a bar on stderr. `None`: a bar is shown if stderr is a terminal and
        the first report leaves work to do. A function is yielded as it is.
      doing: Name of the work, which is shown in front of the bar.
      unit: Name of the things that are counted, which is shown after the bar.
    """
    if callable(progress):
        yield progress
    elif progress is False or (progress is None and not sys.stderr.isatty()):
        yield None
    else:
        with contextlib.ExitStack() as stack:
            yield _lazy_bar(stack, progress is True, doing, unit)


def _lazy_bar(stack: contextlib.ExitStack, at_once: bool, doing: str, unit: str) -> Report:
    """A bar that appears at the first report, or at the first report that leaves work to do."""
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
    # If stderr is not a terminal, only the last state of a bar that is not transient is written.
    bar = stack.enter_context(Bar(*columns, console=console, transient=console.is_terminal))
    task = bar.add_task(doing, total=total, words="")
    return lambda **state: bar.update(task, **state)
