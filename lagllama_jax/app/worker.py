"""`WorkerProcess`: a process that runs functions, and can be ended in the middle."""

import contextlib
import multiprocessing
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from lagllama_jax.errors import DataError, LagLlamaError

_NO_NEWS = ("Glyph ", "Error reading persistent compilation cache")
"""How warnings begin that are of no use on the page."""
STOPPED = "This was stopped."


class Settings(NamedTuple):
    """Settings of a process.

    Attributes:
      jax: Settings of JAX by name, such as the folder of compiled programs.
      memory: Address space in bytes that it may use, where the system can limit it. `None`: all.
    """

    jax: dict[str, Any]
    memory: int | None = None


class WorkerProcess:
    """A process that runs one function after another.

    A process apart does not slow the page down, and can be ended at a time limit. If it ends, as
    for want of memory, the next call starts another one.

    Attributes:
      settings: Settings of the process.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._process: Any = None
        self._connection: Connection | None = None
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._stopped = False

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """Runs a function of a module in the process.

        Args:
          function: The function.
          *arguments: Its arguments.
          seconds: Time limit, without the start of the process.

        Returns:
          The result of the function, and the warnings that it gave.

        Raises:
          LagLlamaError: As the function does.
          DataError: If it fails otherwise, takes too long, needs too much memory or is stopped.
        """
        with self._turn:
            return self._call(function, arguments, seconds)

    def _call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float
    ) -> Any:
        connection = self._started()
        try:
            connection.send((function, arguments))
            if not connection.poll(seconds):
                self.stop()
                raise DataError(
                    f"This took more than {seconds:g} seconds and was stopped. Give fewer series, "
                    "a shorter horizon or fewer sample paths, or use the command line."
                )
            result, error, notes = connection.recv()
        except (EOFError, ConnectionError, OSError) as ended:
            stopped = self._stopped
            self.stop()
            raise DataError(
                STOPPED
                if stopped
                else "The process ended, most likely for want of memory. Give a smaller table, or "
                "use the command line."
            ) from ended
        if error is not None:
            raise error
        return result, notes

    def stop(self) -> None:
        """Ends the process, and with it the function that it runs."""
        with self._lock:
            process, self._process = self._process, None
            self._stopped = True
        if process is not None:
            process.kill()
            process.join()

    def _started(self) -> Connection:
        with self._lock:
            self._stopped = False
            if self._connection is None or self._process is None or not self._process.is_alive():
                if self._connection is not None:
                    self._connection.close()
                context = multiprocessing.get_context("spawn")
                self._connection, other = context.Pipe()
                arguments = (other, self.settings)
                self._process = context.Process(target=_serve, args=arguments, daemon=True)
                self._process.start()
                other.close()
            return self._connection


def _serve(connection: Connection, settings: Settings) -> None:
    """Runs what comes in until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the page ends this process
    _limit_memory(settings.memory)
    if settings.jax:
        import jax

        for name, value in settings.jax.items():
            jax.config.update(name, value)
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, arguments = connection.recv()
            with _noted() as notes:
                result, error = _run(function, arguments)
            connection.send((result, error, tuple(notes)))


def _limit_memory(most: int | None) -> None:
    if most is None:
        return
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _run(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Any]:
    """The result of a function, and `None` or an error that can be sent."""
    try:
        return function(*arguments), None
    except LagLlamaError as error:
        return None, type(error)(str(error))
    except MemoryError:
        return None, DataError(
            "There is too little memory for this. Give a smaller table, or use the command line."
        )
    except Exception as error:
        what = str(error).strip().split("\n")[0]
        return None, DataError(f"{type(error).__name__}: {what}")


@contextlib.contextmanager
def _noted() -> Iterator[list[str]]:
    """Collects warnings as text, each once."""
    notes: list[str] = []

    def note(message: Warning | str, *rest: Any, **named: Any) -> None:
        text = str(message)
        if not text.startswith(_NO_NEWS) and text not in notes:
            notes.append(text)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.showwarning = note
        yield notes
