"""The provenance of a result: command, date, options, versions and hardware."""

import dataclasses
import datetime
import json
import os
import platform
import shlex
import sys
from pathlib import Path

from lagllama_jax import __version__
from lagllama_jax.config import ForecastConfig
from lagllama_jax.files import make_folder, write_bytes


def command() -> str:
    """The command line of this process, with a script's path relative to the current folder."""
    program, *words = sys.argv
    if not program.endswith(".py"):
        return shlex.join([Path(program).name, *words])
    inside = Path(program).resolve().is_relative_to(Path.cwd())
    return shlex.join(["python", os.path.relpath(program) if inside else program, *words])


def processor() -> str:
    """The model name of the processor on Linux, or what `platform` reports on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def record_run(folder: Path, name: str, config: ForecastConfig) -> None:
    """Writes the entry of a model in `run.json`, next to the tables of results.

    It contains the command, the time, the forecast configuration, the versions and the hardware,
    and replaces an older entry of the same name. The folder is created if it does not exist.

    Raises:
      DataError: If the file cannot be written.
    """
    import jax

    make_folder(folder)
    path = folder / "run.json"
    runs = json.loads(path.read_text()) if path.exists() else {}
    runs[name] = {
        "command": command(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "forecast": dataclasses.asdict(config),
        "versions": {"lagllama_jax": __version__, "jax": jax.__version__},
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores of {processor()}",
        "devices": [device.device_kind for device in jax.local_devices()],
    }
    write_bytes(path, (json.dumps(runs, indent=2) + "\n").encode())
