"""What the README shows is run: its Python blocks, and the commands that it names."""

import re
import subprocess
import sys

import matplotlib
import pytest

from lagllama_jax.frontends.cli import main


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_python_examples_run_one_after_the_other(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(readme, "python")):
        exec(compile(block, f"README.md, Python block {number}", "exec"), names)
    assert (tmp_path / "forecast.png").stat().st_size > 10_000
    assert list(names["table"].columns[:3]) == ["item_id", "timestamp", "predictions"]
    assert len(names["table"]) == 24


def test_every_command_line_is_one_that_the_program_knows(readme):
    lines = "\n".join(blocks(readme, "bash"))
    commands = set(re.findall(r"^lagllama (\w+)", lines, flags=re.MULTILINE))
    assert "forecast" in commands
    for command in sorted(commands):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0


def test_the_files_that_it_links_to_exist(readme, repository):
    links = re.findall(r"\]\((?!http|#)([^)#]+)", readme)
    assert links
    assert [link for link in links if not (repository / link).exists()] == []


def test_the_make_targets_exist(readme, repository):
    for target in set(re.findall(r"make (\w+)", readme)):
        command = ["make", "--dry-run", target]
        subprocess.run(command, cwd=repository, check=True, capture_output=True)
    assert sys.version_info >= (3, 11)
