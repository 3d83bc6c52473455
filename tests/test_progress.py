"""One progress bar, which appears only if someone waits."""

import io
import re
import sys

import pytest

from lagllama_jax.progress import progress_bar
from lagllama_jax.training.watch import Watch


def replace_stderr(monkeypatch, terminal: bool) -> io.StringIO:
    """Catches what is written to stderr, from within a test (pytest replaces it, too)."""
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    return screen


def plain(screen: io.StringIO) -> str:
    """What was written, without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())


def test_no_bar_is_written_into_a_file(monkeypatch):
    replace_stderr(monkeypatch, terminal=False)
    with progress_bar(None) as report:
        assert report is None


def test_a_bar_appears_only_if_something_is_left_to_do(monkeypatch):
    terminal = replace_stderr(monkeypatch, terminal=True)
    with progress_bar(None) as report:
        report(3, 3)
    assert terminal.getvalue() == ""
    with progress_bar(None) as report:
        report(1, 3)
        report(3, 3)
    assert "forecasting" in plain(terminal) and "3/3 series" in plain(terminal)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_can_be_turned_on_and_off(monkeypatch, terminal):
    screen = replace_stderr(monkeypatch, terminal=terminal)
    with progress_bar(False) as report:
        assert report is None
    with progress_bar(True) as report:
        report(3, 3)
    assert "3/3" in screen.getvalue()


def test_the_bar_of_a_training_shows_losses_and_speed(monkeypatch):
    terminal = replace_stderr(monkeypatch, terminal=True)
    watch = Watch([], 1, 1, 1.0)
    row = {"scaled_loss": 1.25, "tokens_per_second": 2e5, "utilisation": 0.5}
    with watch.bar(0, 20, None):
        watch.write(row | {"step": 10, "validation_loss": 2.5})
        watch.write(row | {"step": 20, "validation_loss": None})
    shown = terminal.getvalue()
    assert "training" in plain(terminal)
    words = "20/20 steps loss 1.2500, validation 2.5000, 200,000 tokens/s, 50% used"
    assert words in plain(terminal)
    watch.write(row | {"step": 30, "validation_loss": None})  # after the block: no bar
    assert terminal.getvalue() == shown
