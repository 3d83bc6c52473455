"""A progress bar for forecasts that take long."""

import contextlib
import sys
from collections.abc import Callable, Iterator

Progress = Callable[[int, int], None]
"""Called with how many series are done and how many there are."""


Finished = Callable[[int], None]
"""Called with how many more series are done."""


def counted(progress: Progress | None, total: int) -> Finished | None:
    """Adds up the series that get done in parts, and reports them to `progress`."""
    if progress is None:
        return None
    done = 0

    def finished(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return finished


@contextlib.contextmanager
def progress_bar(progress: bool | Progress | None) -> Iterator[Progress | None]:
    """What to call as series get done.

    Args:
      progress: a function of the user's; `True`: a bar on stderr; `False`: nothing; `None`: a bar
        if stderr is a terminal and one batch is not all.
    """
    if callable(progress):
        yield progress
    elif progress is False or (progress is None and not sys.stderr.isatty()):
        yield None
    else:
        with contextlib.ExitStack() as stack:
            yield _lazy_bar(stack, at_once=progress is True)


def _lazy_bar(stack: contextlib.ExitStack, at_once: bool) -> Progress:
    """The bar appears with the first report that leaves something to wait for."""
    update: Progress | None = None

    def report(done: int, total: int) -> None:
        nonlocal update
        if update is None and (at_once or done < total):
            update = _start_bar(stack, total)
        if update is not None:
            update(done, total)

    return report


def _start_bar(stack: contextlib.ExitStack, total: int) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    words = TextColumn("forecasting"), BarColumn(), MofNCompleteColumn(), TextColumn("series")
    bar = Bar(*words, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    stack.enter_context(bar)
    task = bar.add_task("forecast", total=total)
    return lambda done, _: bar.update(task, completed=done)
