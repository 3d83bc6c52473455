"""The cache of compiled programs between runs of the command line."""

import os
import warnings
from pathlib import Path
from typing import Any


def cache_folder() -> Path | None:
    """The folder for compiled programs. `None`: they are not kept (`LAGLLAMA_CACHE=off`)."""
    asked = os.environ.get("LAGLLAMA_CACHE", "")
    if asked.lower() in ("off", "0", "no", "false"):
        return None
    if asked:
        return Path(asked).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "lagllama_jax"


def keep_programs() -> None:
    """Turns on the persistent cache of JAX, unless it is on or the folder cannot be made."""
    folder = cache_folder()
    if folder is None or os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    _drop_damaged(folder)


def _drop_damaged(folder: Path) -> None:
    """Empties the folder if an entry cannot be read, as JAX never replaces a damaged one."""
    show = warnings.showwarning

    def on_warning(message: Warning | str, *rest: Any, **named: Any) -> None:
        if "persistent compilation cache" not in str(message):
            show(message, *rest, **named)
            return
        for entry in folder.glob("*-cache"):
            entry.unlink(missing_ok=True)

    warnings.showwarning = on_warning
