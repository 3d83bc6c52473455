"""The command `lagllama`: runs the module of a command, and shows errors in one line."""

import contextlib
import functools
import importlib
import inspect
import io
import logging
import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from lagllama_jax import __version__
from lagllama_jax.errors import LagLlamaError

COMMANDS = {
    "forecast": "forecast the series of a CSV or Parquet file",
    "demo": "forecast a real series: a table and a picture",
    "app": "forecast a table in the browser, on this machine",
    "info": "versions, devices, and the model in use",
    "convert": "turn an authors' checkpoint into a model folder, or back",
    "export": "write a model as a program that runs with JAX alone",
    "finetune": "train the model further on your own series",
    "pretrain": "train a model from scratch on a corpus",
    "impact": "estimate what an intervention did to a series",
    "anomalies": "find past values that were improbable",
    "embed": "describe the shape of each series by a vector",
    "evaluate": "score a model on datasets, beside published results",
    "data": "list and build datasets",
}
"""The commands and their summaries. Each command is a module of `lagllama_jax.cli` with a function
`main`, or with several functions in a dictionary `COMMANDS`. The annotated arguments and docstrings
of the functions are the options and the help. A function may return an exit code."""

_HEAD = """usage: lagllama [--version] [--no-cache] COMMAND ...

Probabilistic forecasts of time series with Lag-Llama, in JAX.

commands:
"""
_FOOT = """
`lagllama COMMAND --help` lists a command's options.

example:
  lagllama forecast data.csv --prediction-length 24 --output forecast.csv

Compiled programs are kept in ~/.cache/lagllama_jax, so that the next run starts
faster. --no-cache, or LAGLLAMA_CACHE=off in the environment, keeps none;
LAGLLAMA_CACHE=FOLDER keeps them in another folder.
Exit codes: 0 done, 1 failed, 2 wrong input.
"""

_ARGUMENT = re.compile(
    r"""(?<![\w'"./=-])  # not in quotes, nor a part of a longer word
    (?: ([a-z]+(?:_[a-z]+)+)\b | ([a-z]+)(?==) )
    (?: = (['"\w\[(-])? )?  # with the first character of its value""",
    re.VERBOSE,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cache = words[:1] != ["--no-cache"]
    if not cache:
        del words[0]
    if not words or words[0] in ("-h", "--help"):
        lines = (f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
        print(_HEAD + "\n".join(lines) + "\n" + _FOOT, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"lagllama {__version__}")
        return 0
    if words[0] not in COMMANDS:
        return _complain(f"there is no command {words[0]!r}. Known are {', '.join(COMMANDS)}.", 2)
    return _guarded(words[0], words[1:], cache)


def _guarded(name: str, words: list[str], cache: bool) -> int:
    """Runs a command. An error is shown in one line, and its traceback only on request."""
    try:
        with warnings.catch_warnings(), _information():
            warnings.showwarning = lambda what, *_: _say(as_options(str(what), name, words))
            return _run(name, words, cache)
    except LagLlamaError as error:
        return _complain(as_options(str(error), name, words), 2)
    except KeyboardInterrupt:
        return _complain("interrupted; nothing half-written was left.", 130)
    except BrokenPipeError:
        # The reader has closed the pipe. Without this, Python could not flush the output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _complain(
            "out of memory: lower --prediction-length, --num-samples or --batch-size.", 1
        )
    except Exception as error:
        if os.environ.get("LAGLLAMA_TRACEBACK"):
            raise
        what = str(error).strip().split("\n")[0]
        kind = type(error).__name__
        return _complain(f"{kind}: {what} (LAGLLAMA_TRACEBACK=1 shows where)", 1)


def _run(name: str, words: list[str], cache: bool) -> int:
    import tyro

    module = importlib.import_module(f"lagllama_jax.cli.{name}")
    if cache:
        from lagllama_jax.cli.compilation_cache import keep_programs

        keep_programs()
    commands = getattr(module, "COMMANDS", None) or {name: module.main}
    for command in commands.values():
        # tyro would keep the line breaks within a paragraph, or within the help of an argument.
        command.__doc__ = re.sub(r"(?<=\S)\n( {4,})?(?=\S)", " ", inspect.getdoc(command) or "")
    options: dict[str, Any] = {"prog": f"lagllama {name}", "args": words}
    options["config"] = (tyro.conf.FlagCreatePairsOff,)
    with _wrapped_help() if {"-h", "--help"} & set(words) else contextlib.nullcontext():
        if hasattr(module, "COMMANDS"):
            options["description"] = inspect.getdoc(module)
            code = tyro.extras.subcommand_cli_from_dict(commands, **options)
        else:
            code = tyro.cli(module.main, **options)
    return code if isinstance(code, int) else 0


def as_options(message: str, name: str, words: Sequence[str]) -> str:
    """A message of the library with the arguments that it names as options of a command.

    Arguments are words with an underscore, or before `=`. Words in quotes are of the user's data.

    >>> as_options("'n_a=1': give freq=1 or another id_column, not n_a.", "forecast", [])
    "'n_a=1': give --freq 1 or another --id-column, not n_a."
    """
    if not _ARGUMENT.search(message):
        return message
    nested = hasattr(importlib.import_module(f"lagllama_jax.cli.{name}"), "COMMANDS")
    known = _options(name, *words[:nested])

    def option(found: re.Match[str]) -> str:
        word = (found[1] or found[2]).replace("_", "-")
        if word not in known:
            return found[0]
        return f"--{word}" + (f" {found[3]}" if found[3] else "")

    return _ARGUMENT.sub(option, message)


@functools.cache
def _options(*command: str) -> frozenset[str]:
    """The options that the help of a command shows, without dashes before them."""
    shown = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):
        _run(command[0], [*command[1:], "--help"], cache=False)
    return frozenset(re.findall(r"--([a-z-]+)(?![\w.-])", shown.getvalue()))


@contextlib.contextmanager
def _wrapped_help() -> Iterator[None]:
    """Wraps help texts to the width of the terminal, as tyro does not wrap all of them."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        wrapper = textwrap.TextWrapper(shutil.get_terminal_size().columns, break_on_hyphens=False)
        for line in printed.getvalue().splitlines():
            print(wrapper.fill(line))


@contextlib.contextmanager
def _information() -> Iterator[None]:
    """Shows what the package logs, in one line each, on stderr, and nowhere else."""
    log, handler = logging.getLogger("lagllama_jax"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("lagllama: %(message)s"))
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # absl, which Flax imports, would show it again
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def _say(message: str) -> None:
    """Shows an error, or a warning without the place in the code, in one line."""
    print(f"lagllama: {message}", file=sys.stderr)


def _complain(message: str, code: int) -> int:
    _say(message)
    return code


if __name__ == "__main__":
    sys.exit(main())
