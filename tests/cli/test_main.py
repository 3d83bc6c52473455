import signal
import subprocess
import sys
import warnings

import pytest

import lagllama_jax
from lagllama_jax.cli import compilation_cache, info
from lagllama_jax.cli import main as cli
from lagllama_jax.errors import DataError


def test_help_lists_every_command_that_is_there_and_starts_nothing_heavy():
    code = "import sys; from lagllama_jax.cli import main; main.main(['--help'])"
    show = "print('loaded:', *(m for m in ('jax', 'pandas', 'tyro') if m in sys.modules))"
    shown = subprocess.check_output([sys.executable, "-c", f"{code}; {show}"], text=True)
    for name in ("forecast", "demo", "info"):
        assert f"  {name} " in shown
    assert shown.rstrip().endswith("loaded:")


def test_every_command_that_is_listed_has_help(lagllama):
    for name in cli.COMMANDS:
        code, shown, _ = lagllama(name, "--help")
        assert code == 0
        assert f"usage: lagllama {name}" in shown


def test_the_version_is_told(lagllama):
    assert lagllama("--version") == (0, f"lagllama {lagllama_jax.__version__}\n", "")


def test_no_command_shows_help_and_is_no_success(lagllama):
    code, shown, _ = lagllama()
    assert (code, shown.startswith("usage: lagllama")) == (2, True)


def test_an_unknown_command_is_named(lagllama):
    code, shown, complaint = lagllama("predict")
    assert (code, shown) == (2, "")
    assert complaint.startswith("lagllama: there is no command 'predict'. Known are forecast,")


@pytest.mark.parametrize(
    ("error", "code", "complaint"),
    [
        (
            DataError("Series 'a' is empty: drop it."),
            2,
            "lagllama: Series 'a' is empty: drop it.\n",
        ),
        (
            MemoryError(),
            1,
            "lagllama: out of memory: lower --prediction-length, --num-samples or --batch-size.\n",
        ),
        (KeyboardInterrupt(), 130, "lagllama: interrupted; nothing half-written was left.\n"),
        (KeyError("x\ny"), 1, "lagllama: KeyError: 'x\\ny' (LAGLLAMA_TRACEBACK=1 shows where)\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(lagllama, monkeypatch, error, code, complaint):
    def fail() -> None:
        raise error

    monkeypatch.setattr(info, "main", fail)
    assert lagllama("info") == (code, "", complaint)


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("forecast", "Give freq='h' or id_column.", "Give --freq 'h' or --id-column."),
        ("forecast", "seed=-1 must be at least 0.", "--seed -1 must be at least 0."),
        ("forecast", "told by target=, not by 'seed=2'.", "told by --target, not by 'seed=2'."),
        ("info", "Give id_column.", "Give id_column."),
        ("data list", "past_length is no option of it.", "past_length is no option of it."),
        ("pretrain", "model.context_length=0 is wrong.", "model.context_length=0 is wrong."),
    ],
)
def test_a_message_names_arguments_as_options_of_the_command(command, message, shown):
    name, *words = command.split()
    assert cli.as_options(message, name, words) == shown


def test_errors_and_warnings_about_a_file_name_options(lagllama, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("timestamp,a,b\n2024-01-01,1,1\n2024-01-02,2,y\n2024-01-03,3,3\n")
    code, _, complaint = lagllama("forecast", path, "-p", 2)
    assert (code, "told by --id-column, and" in complaint) == (2, True)
    assert "by --target." in complaint
    path.write_text("timestamp,a,b\n2024-01-01,1,x\n2024-01-02,2,y\n2024-01-03,3,z\n")
    code, _, complaint = lagllama("forecast", path, "-p", 2)
    assert (code, "names the series, give --id-column 'b'" in complaint) == (2, True)
    assert "with --target." in complaint


def test_the_trace_of_a_failure_can_be_asked_for(lagllama, monkeypatch):
    def fail() -> None:
        raise KeyError("x")

    monkeypatch.setattr(info, "main", fail)
    monkeypatch.setenv("LAGLLAMA_TRACEBACK", "1")
    with pytest.raises(KeyError):
        lagllama("info")


def test_the_exit_code_is_the_command_s(lagllama, monkeypatch):
    monkeypatch.setattr(info, "main", lambda: 1)
    assert lagllama("info")[0] == 1


def test_a_command_may_consist_of_others(lagllama, monkeypatch):
    def build(name: str) -> None:
        """Builds one."""
        print("built", name)

    monkeypatch.setattr(info, "COMMANDS", {"build": build, "list": lambda: None}, raising=False)
    assert lagllama("info", "build", "--name", "etth1")[:2] == (0, "built etth1\n")


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    data, output = tmp_path / "data.csv", tmp_path / "out.csv"
    data.write_text("timestamp,target\n2024-01-01,1\n2024-01-02,2\n")
    # A job in the background of a shell script starts with SIGINT ignored.
    code = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from lagllama_jax.forecaster import LagLlama
from lagllama_jax.cli import main as cli
def predict(*arguments, **options):
    print("ready", flush=True)
    time.sleep(60)
LagLlama.predict = predict
LagLlama.from_pretrained = classmethod(lambda cls, source: cls({{}}, None))
sys.exit(cli.main(["--no-cache", "forecast", {str(data)!r}, "-p", "3", "-o", {str(output)!r}]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 130
    assert complaint == "lagllama: interrupted; nothing half-written was left.\n"
    assert [file.name for file in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no"])
def test_the_cache_can_be_turned_off(monkeypatch, word):
    monkeypatch.setenv("LAGLLAMA_CACHE", word)
    assert compilation_cache.cache_folder() is None


def test_the_cache_lies_where_the_user_s_caches_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LAGLLAMA_CACHE", "")
    assert compilation_cache.cache_folder() == tmp_path / "lagllama_jax"
    monkeypatch.setenv("LAGLLAMA_CACHE", str(tmp_path / "mine"))
    assert compilation_cache.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LAGLLAMA_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compilation_cache.cache_folder() == tmp_path / ".cache" / "lagllama_jax"


def test_a_damaged_entry_empties_the_cache_and_other_warnings_pass(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *rest: shown.append(str(message)))
    (tmp_path / "jit_run-cache").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    compilation_cache._drop_damaged(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # catch_warnings puts its own function in place; the one that was set is what is meant
        warnings.showwarning = compilation_cache.warnings.showwarning
        warnings.warn("Error reading persistent compilation cache entry for 'run'", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert shown == ["something else"]
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_compiled_programs_are_kept_for_the_next_run(tmp_path, model_folder):
    data = tmp_path / "data.csv"
    data.write_text("timestamp,target\n2024-01-01,1\n2024-01-02,2\n")
    command = [sys.executable, "-m", "lagllama_jax.cli.main", "forecast", data, "-p", "2"]
    command += ["--model", model_folder, "--num-samples", "5"]
    environment = {"PATH": "", "JAX_PLATFORMS": "cpu", "LAGLLAMA_CACHE": str(tmp_path / "cache")}
    printed = subprocess.check_output(command, env=environment, text=True)
    assert printed.startswith("item_id,timestamp,predictions,0.1")
    assert any(entry.name.endswith("-cache") for entry in (tmp_path / "cache").iterdir())
