"""The output of a run while it trains: a progress bar and rows of metrics."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lagllama_jax.progress import Report, progress_bar
from lagllama_jax.training.metrics import Row, Sink


class Watch:
    """Passes the metrics of each dispatch to the sinks and to the progress bar."""

    def __init__(self, sinks: Sequence[Sink], tokens: int, operations_per_token: int, peak: float):
        """Stores what is fixed for a run.

        Args:
          sinks: Receivers of every row.
          tokens: Number of tokens per step.
          operations_per_token: Number of operations per token; 6 per parameter.
          peak: Operations per second of a matrix product on all devices together.
        """
        self.sinks, self.tokens = sinks, tokens
        self.share_per_token = operations_per_token / peak
        self._report: Report | None = None
        self._validation = ""
        self.start()

    def start(self) -> None:
        """Starts the clocks of the run and of the first dispatch."""
        self._began = self._last = time.perf_counter()

    def row(self, step: int, metrics: Mapping[str, np.ndarray]) -> dict[str, float | int | None]:
        """The row of a dispatch that ended with `step`: means of its metrics, and its speed."""
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
        """Passes a row on. The time since the dispatch ended does not count as training time."""
        for sink in self.sinks:
            sink.write(row)
        self._show(row)
        self._last = time.perf_counter()

    @contextlib.contextmanager
    def bar(self, first: int, total: int, show: bool | None) -> Iterator[None]:
        """Shows a progress bar on stderr within the block. `None`: only if stderr is a terminal."""
        with progress_bar(show, "training", "steps") as self._report:
            self._total = total
            if self._report is not None:
                self._report(first, total, "compiling")
            yield
        self._report = None

    def close(self) -> None:
        """Closes the sinks."""
        for sink in self.sinks:
            sink.close()

    def _show(self, row: Row) -> None:
        if self._report is None:
            return
        if row["validation_loss"] is not None:
            self._validation = f", validation {row['validation_loss']:.4f}"
        speed = f"{row['tokens_per_second']:,.0f} tokens/s, {row['utilisation']:.0%} used"
        words = f"loss {row['scaled_loss']:.4f}{self._validation}, {speed}"
        self._report(row["step"], self._total, words)
