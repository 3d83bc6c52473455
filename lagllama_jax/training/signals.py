"""Being asked to stop: SIGTERM, Ctrl-C, and the preemption notice of a cluster."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax


class StopRequest:
    """Whether the process has been asked to stop, and by what."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """As a signal handler: takes note; a second Ctrl-C interrupts at once."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number).name

    def reached(self, step: int) -> str | None:
        """The signal's name when the run should stop at `step`; all processes agree on the step.

        With several processes JAX itself takes SIGTERM and tells the others of it.
        """
        if jax.process_count() > 1:
            from jax.experimental.multihost_utils import reached_preemption_sync_point

            return "SIGTERM" if reached_preemption_sync_point(step) else None
        return self.signal


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns SIGTERM and Ctrl-C into a request, for the block; outside the main thread, nothing."""
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
