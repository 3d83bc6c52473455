"""`JobQueue`: forecasts and analyses, of which one runs while the others wait."""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lagllama_jax.app.limits import Limits
from lagllama_jax.app.result import Result
from lagllama_jax.app.worker import STOPPED, WorkerProcess
from lagllama_jax.errors import DataError

KEPT = 4
"""Number of results that are kept per table that is kept."""


@dataclass(eq=False)
class QueuedJob:
    """A forecast or an analysis.

    Attributes:
      table: Identifier of the table.
      identifier: A random name.
      future: The result, in the future.
      begun: When it began to run, in seconds of `time.monotonic`. `None`: it waits.
    """

    table: str
    identifier: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    future: "Future[Result]" = field(default_factory=Future)
    begun: float | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.future.done()

    @property
    def seconds(self) -> float:
        """For how long it has run."""
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    def outcome(self) -> tuple[Result | None, str]:
        """The result of a job that has ended, or `None` and why there is none."""
        if self.future.cancelled():
            return None, STOPPED
        error = self.future.exception()
        if error is None:
            return self.future.result(), ""
        return None, str(error)


class JobQueue:
    """Runs jobs in a process, one after the other.

    Attributes:
      worker: The process.
      limits: Limits of the page.
    """

    def __init__(self, worker: WorkerProcess, limits: Limits):
        self.worker = worker
        self.limits = limits
        self._jobs: dict[str, QueuedJob] = {}
        self._running: QueuedJob | None = None
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "lagllama-jobs")

    def submit(self, table: str, function: Callable[..., Result], *arguments: Any) -> QueuedJob:
        """Puts a job into the queue.

        Raises:
          DataError: If too many are waiting.
        """
        waiting = [job for job in self._jobs.values() if not job.done]
        if len(waiting) > self.limits.max_waiting:
            raise DataError(
                f"{len(waiting)} forecasts are waiting. Try again when some of them are done."
            )
        ended = [name for name, job in self._jobs.items() if job.done]
        for name in ended[: max(len(ended) - KEPT * self.limits.max_tables, 0)]:
            del self._jobs[name]
        job = QueuedJob(table)
        self._jobs[job.identifier] = job
        job.future = self._thread.submit(self._run, job, function, arguments)
        return job

    def _run(
        self, job: QueuedJob, function: Callable[..., Result], arguments: tuple[Any, ...]
    ) -> Result:
        job.begun = time.monotonic()
        with self._lock:
            self._running = job
        try:
            result, notes = self.worker.call(function, *arguments, seconds=self.limits.max_seconds)
        finally:
            with self._lock:
                self._running = None
        return result._replace(notes=(*result.notes, *notes))

    def get(self, table: str, identifier: str) -> QueuedJob | None:
        """A job of a table."""
        job = self._jobs.get(identifier)
        return job if job is not None and job.table == table else None

    def ahead(self, job: QueuedJob) -> int:
        """Number of jobs that come before one that waits."""
        names = list(self._jobs)
        before = names[: names.index(job.identifier)]
        return sum(not self._jobs[name].done for name in before)

    def stop(self, job: QueuedJob) -> None:
        """Takes a job out of the queue, or ends it if it runs."""
        if job.future.cancel():
            return
        with self._lock:
            if self._running is job:
                self.worker.stop()

    def drop(self, table: str) -> None:
        """Forgets the jobs of a table."""
        for job in [job for job in self._jobs.values() if job.table == table]:
            self.stop(job)
            del self._jobs[job.identifier]

    def close(self) -> None:
        """Ends everything."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.worker.stop()
