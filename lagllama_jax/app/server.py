"""The server of the page."""

import contextlib
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from lagllama_jax.app.guard import Guard
from lagllama_jax.app.jobs import JobQueue
from lagllama_jax.app.limits import READ_BYTES, Limits
from lagllama_jax.app.pages import Pages
from lagllama_jax.app.store import Store
from lagllama_jax.app.tasks import ready
from lagllama_jax.app.worker import Settings, WorkerProcess
from lagllama_jax.config import checked
from lagllama_jax.config.base import Interval
from lagllama_jax.errors import ConfigError, require

START_SECONDS = 300.0
_CACHE = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
"""Settings of JAX that the process of the model takes over."""


@contextlib.contextmanager
def page(model: str | None, limits: Limits, host: str = "127.0.0.1") -> Iterator[Any]:
    """Yields the page as an ASGI application. Its processes and files go at the end of the block.

    Args:
      model: As in `LagLlama.from_pretrained`. It is loaded at once.
      limits: Limits of the page.
      host: Address that the server listens on.

    Raises:
      MissingExtraError: If the extra `app` is not installed.
      CheckpointError: If the model cannot be loaded.
    """
    require("starlette", "app")
    require("python_multipart", "app")
    require("matplotlib", "app")
    import jax

    settings = {name: jax.config.values[name] for name in _CACHE}
    worker, reader = WorkerProcess(Settings(settings)), WorkerProcess(Settings({}, READ_BYTES))
    with tempfile.TemporaryDirectory(prefix="lagllama-app-") as folder:
        jobs = JobQueue(worker, limits)
        try:
            worker.call(ready, model, seconds=START_SECONDS)
            store = Store(Path(folder), limits.max_tables)
            yield _application(Pages(reader, jobs, store, model, limits), host, limits)
        finally:
            jobs.close()
            reader.stop()


def _application(pages: Pages, host: str, limits: Limits) -> Guard:
    starlette = require("starlette.applications", "app").Starlette
    http_error = require("starlette.exceptions", "app").HTTPException
    from lagllama_jax.app.guard import TooLargeError

    async def missing(request: Any, error: Any) -> Any:
        return pages.view.missing(str(error.detail), error.status_code)

    async def too_large(request: Any, error: Any) -> Any:
        return pages.view.missing(str(error), 413)

    async def failed(request: Any, error: Any) -> Any:
        return pages.view.missing("The page failed. Its terminal shows where.", 500)

    handlers = {http_error: missing, TooLargeError: too_large, Exception: failed}
    app = starlette(routes=pages.routes(), exception_handlers=handlers)
    return Guard(app, host, limits.bytes)


def serve(model: str | None, host: str, port: int, limits: Limits) -> None:
    """Serves the page until it is interrupted.

    Args:
      model: As in `LagLlama.from_pretrained`.
      host: Address to listen on.
      port: Port to listen on. 0: a free one.
      limits: Limits of the page.

    Raises:
      ConfigError: If the address is taken or not one of this machine.
      MissingExtraError: If the extra `app` is not installed.
    """
    uvicorn = require("uvicorn", "app")
    with _bound(host, port) as listener, _ended(), page(model, limits, host) as app:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        print(f"The page is at {address} (Ctrl-C stops it).", flush=True)
        options = {"lifespan": "off", "ws": "none", "proxy_headers": False, "server_header": False}
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, **options)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _ended() -> Iterator[None]:
    """Lets a request to end the process raise `KeyboardInterrupt`, so that files are deleted."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _bound(host: str, port: int) -> socket.socket:
    checked("port", port, Annotated[int, Interval(least=0, most=65535)])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. Give another port "
            "(--port), or 0 for a free one."
        ) from error
