"""Requests to stop a run: SIGTERM, Ctrl-C, and the preemption notice of a cluster."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax


class StopRequest:
    """Whether the process has been asked to stop.

    Attributes:
      signal: Name of the signal that asked for it; `None`: there was none.
    """

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal by recording it. A second Ctrl-C raises `KeyboardInterrupt`."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number).name

    def reached(self, step: int) -> str | None:
        """The name of the signal if the run should stop at `step`, else `None`.

        All processes of a run stop at the same step. With several processes, JAX handles SIGTERM
        and informs the other processes.
        """
        if jax.process_count() > 1:
            from jax.experimental.multihost_utils import reached_preemption_sync_point

            return "SIGTERM" if reached_preemption_sync_point(step) else None
        return self.signal


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Records SIGTERM and Ctrl-C within the block. Outside the main thread, it does nothing."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    numbers = [signal.SIGINT]
    if jax.process_count() == 1:
        numbers.append(signal.SIGTERM)
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
