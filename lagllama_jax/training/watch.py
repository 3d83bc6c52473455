"""What can be seen of a run while it goes on: a progress bar and rows of metrics."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lagllama_jax.training.metrics import Row, Sink


class Watch:
    """Turns the metrics of a dispatch into a row, for the sinks and the bar."""

    def __init__(self, sinks: Sequence[Sink], tokens: int, operations_per_token: int, peak: float):
        """Args are fixed for a run.

        Args:
          sinks: take every row.
          tokens: of one step.
          operations_per_token: 6 a parameter.
          peak: operations a second of all devices together.
        """
        self.sinks, self.tokens = sinks, tokens
        self.share_per_token = operations_per_token / peak
        self._bar: Any = None
        self.start()

    def start(self) -> None:
        """Starts the clocks: of the run, and of the dispatch."""
        self._began = self._last = time.perf_counter()

    def row(self, step: int, metrics: Mapping[str, np.ndarray]) -> dict[str, float | int | None]:
        """The means of a dispatch that ended with `step`, and its speed."""
        count = len(metrics["loss"])
        now = time.perf_counter()
        speed = count * self.tokens / max(now - self._last, 1e-9)
        means = {name: float(np.mean(values, dtype=float)) for name, values in metrics.items()}
        return {
            "step": step,
            **means,
            "validation_loss": None,
            "tokens_per_second": round(speed, 1),
            "utilisation": round(speed * self.share_per_token, 4),
            "seconds": round(now - self._began, 3),
        }

    def write(self, row: Row) -> None:
        """Hands a row on; the time until now is not counted as training."""
        for sink in self.sinks:
            sink.write(row)
        if self._bar is not None:
            self._bar(row)
        self._last = time.perf_counter()

    @contextlib.contextmanager
    def bar(self, first: int, total: int, show: bool | None) -> Iterator[None]:
        """Shows a bar for the block, on stderr; `None`: if that is a terminal."""
        if show is False or (show is None and not sys.stderr.isatty()):
            yield
            return
        with _rich_bar(first, total) as self._bar:
            yield
        self._bar = None

    def close(self) -> None:
        """Closes the sinks."""
        for sink in self.sinks:
            sink.close()


@contextlib.contextmanager
def _rich_bar(first: int, total: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    words = TextColumn("{task.fields[words]}")
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), words)
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
    with bar:
        task = bar.add_task("training", total=total, completed=first, words="compiling")
        validation = ""

        def update(row: Row) -> None:
            nonlocal validation
            if row["validation_loss"] is not None:
                validation = f", validation {row['validation_loss']:.4f}"
            speed = f"{row['tokens_per_second']:,.0f} tokens/s, {row['utilisation']:.0%} used"
            text = f"loss {row['scaled_loss']:.4f}{validation}, {speed}"
            bar.update(task, completed=row["step"] or 0, words=text)

        yield update
