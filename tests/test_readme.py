"""What the README shows is run: its Python blocks; and command lines of every README are parsed."""

import configparser
import functools
import importlib
import pathlib
import re
import shlex
import subprocess

import matplotlib
import pytest

from lagllama_jax.cli.main import COMMANDS, main

PAGES = pathlib.Path(__file__).parents[1] / "docs/pages"


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def command_lines(text: str) -> list[str]:
    """`lagllama ...` as blocks have it, continued lines joined, and as prose does with options."""
    shown = "\n".join(blocks(text, r"\w*")).replace("\\\n", " ")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"^lagllama .*", shown, re.MULTILINE) + re.findall(
        r"`(lagllama [^`]* --(?!help)[^`]*)`", prose
    )


@pytest.fixture
def only_parsed(monkeypatch):
    """The names of the commands that were called; they read their arguments and do nothing."""
    called = []

    def idle(command):
        @functools.wraps(command)
        def called_instead(*_, **__):
            called.append(command.__name__)

        return called_instead

    for name in COMMANDS:
        module = importlib.import_module(f"lagllama_jax.cli.{name}")
        several = getattr(module, "COMMANDS", None)
        if several:
            monkeypatch.setattr(module, "COMMANDS", {k: idle(v) for k, v in several.items()})
        else:
            monkeypatch.setattr(module, "main", idle(module.main))
    return called


def test_the_python_examples_run_one_after_the_other(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(readme, "python")):
        exec(compile(block, f"README.md, Python block {number}", "exec"), names)
    assert (tmp_path / "forecast.png").stat().st_size > 10_000
    assert list(names["table"].columns[:3]) == ["item_id", "timestamp", "predictions"]
    assert len(names["table"]) == 24


@pytest.mark.parametrize("page", sorted(PAGES.rglob("*.md")), ids=lambda path: path.stem)
def test_the_python_examples_of_a_page_run(page, tmp_path, monkeypatch):
    examples = blocks(page.read_text(), "python")
    if not examples:
        pytest.skip("no Python examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(examples):
        exec(compile(block, f"{page.name}, Python block {number}", "exec"), names)


def test_every_command_line_is_read_to_its_last_option(repository, only_parsed):
    documents = [repository / "README.md", *(repository / "experiments").rglob("README.md")]
    documents += PAGES.rglob("*.md")
    documents.append(repository / "lagllama_jax/checkpoints/bundled/README.md")
    lines = [line for document in documents for line in command_lines(document.read_text())]
    for line in lines:
        print(line)  # shown, with what the program says of it, where it fails
        assert main(["--no-cache", *shlex.split(line, comments=True)[1:]]) == 0
    assert len(only_parsed) == len(lines) > 10


def test_the_files_that_it_links_to_exist(readme, repository):
    links = re.findall(r"\]\((?!http|#)([^)#]+)", readme)
    assert links
    assert [link for link in links if not (repository / link).exists()] == []


def test_the_make_targets_exist(readme, repository):
    targets = set(re.findall(r"make (\w+)", readme))
    assert {"demo", "test"} <= targets
    for target in targets:
        command = ["make", "--dry-run", target]
        subprocess.run(command, cwd=repository, check=True, capture_output=True)


def test_the_version_of_python_is_the_one_that_the_package_asks_for(readme, repository):
    settings = configparser.ConfigParser()
    settings.read(repository / "setup.cfg")
    (least,) = re.findall(r"Python (3\.\d+) or newer", readme)
    assert settings["options"]["python_requires"] == f">={least}"
