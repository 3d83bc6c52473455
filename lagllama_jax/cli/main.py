"""The command `lagllama`: finds a command's module, runs it, and turns errors into one line."""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence

from lagllama_jax import __version__
from lagllama_jax.errors import LagLlamaError

COMMANDS = {
    "forecast": "forecast the series of a CSV or Parquet file",
    "demo": "forecast a real series: a table and a picture",
    "info": "versions, devices, and the model in use",
    "convert": "turn an authors' checkpoint into a model folder, or back",
    "finetune": "train the model further on your own series",
    "pretrain": "train a model from scratch on a corpus",
    "evaluate": "score a model on data sets, beside published results",
    "data": "list and build data sets",
}
"""One module of `lagllama_jax.cli` each: it has `main` (or a function called as the
command) whose annotated arguments and docstring are the command's options and help, or `COMMANDS`,
such functions by name. A function may return an exit code."""

_HEAD = """usage: lagllama [--version] [--no-cache] COMMAND ...

Probabilistic forecasts of time series with Lag-Llama, in JAX.

commands:
"""
_FOOT = """
`lagllama COMMAND --help` lists a command's options.

example:
  lagllama forecast data.csv --prediction-length 24 --output forecast.csv --plot forecast.png

Compiled programs are kept in ~/.cache/lagllama_jax, so that a second run starts faster:
--no-cache, or LAGLLAMA_CACHE=off in the environment, keeps none; LAGLLAMA_CACHE=FOLDER keeps
them elsewhere. Exit codes: 0 done, 1 failed, 2 wrong input.
"""
_PACKAGE = "lagllama_jax.cli"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cache = True
    while words and words[0] == "--no-cache":
        cache = False
        words.pop(0)
    if not words or words[0] in ("-h", "--help"):
        print(help_text(), end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"lagllama {__version__}")
        return 0
    if words[0] not in _available():
        known = ", ".join(_available())
        return _complain(f"there is no command {words[0]!r}. Known are {known}.", 2)
    return _guarded(words[0], words[1:], cache)


def help_text() -> str:
    """What `lagllama --help` prints."""
    lines = (f"  {name:<10} {COMMANDS[name]}" for name in _available())
    return _HEAD + "\n".join(lines) + "\n" + _FOOT


def _available() -> list[str]:
    return [name for name in COMMANDS if importlib.util.find_spec(f"{_PACKAGE}.{name}")]


def _guarded(name: str, words: list[str], cache: bool) -> int:
    """Runs a command; of an error the user sees one line, and the trace only if asked for."""
    try:
        return _run(name, words, cache)
    except LagLlamaError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing half-written was left.", 130)
    except BrokenPipeError:
        # Whoever read the output has seen enough; keep Python from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _complain("out of memory: lower --num-samples or --batch-size.", 1)
    except Exception as error:
        if os.environ.get("LAGLLAMA_TRACEBACK"):
            raise
        what = str(error).strip().split("\n")[0]
        name = type(error).__name__
        return _complain(f"{name}: {what} (LAGLLAMA_TRACEBACK=1 shows where)", 1)


def _run(name: str, words: list[str], cache: bool) -> int:
    import tyro

    module = importlib.import_module(f"{_PACKAGE}.{name}")
    if cache:
        from lagllama_jax.cli.compilation_cache import keep_programs

        keep_programs()
    program = f"lagllama {name}"
    if hasattr(module, "COMMANDS"):
        code = tyro.extras.subcommand_cli_from_dict(
            module.COMMANDS, prog=program, description=inspect.getdoc(module), args=words
        )
    else:
        command = getattr(module, "main", None) or getattr(module, name)
        code = tyro.cli(command, prog=program, args=words)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int) -> int:
    print(f"lagllama: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
