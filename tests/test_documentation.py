"""The pages that the documentation makes of notebooks and of the READMEs of experiments."""

import copy
import importlib.util
import pathlib
import re

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytest.importorskip("mkdocs", reason="needs the extra docs")
from mkdocs.exceptions import PluginError  # noqa: E402

CELLS = [
    new_markdown_cell(
        "# Title\n\n[next](02_next.ipynb), [`experiments/a`](../experiments/a/README.md)"
    ),
    new_code_cell("%matplotlib inline\nimport pandas as pd\nprint('```')"),
    new_code_cell("pd.DataFrame({'a': [1, 2], 'b': ['<x>', '|']})"),
    new_code_cell("pd.Series([1.5, 2.5]).plot(figsize=(2, 1)).figure;"),
    new_code_cell("print()"),
    new_code_cell("import sys; print('a warning', file=sys.stderr)"),
]


def loaded(path: pathlib.Path):
    """A hook of the documentation as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hook(repository: pathlib.Path):
    """The hook that shows notebooks."""
    return loaded(repository / "docs/notebooks.py")


@pytest.fixture(scope="module")
def run() -> nbformat.NotebookNode:
    """The notebook with outputs."""
    return nbclient.NotebookClient(new_notebook(cells=copy.deepcopy(CELLS))).execute()


@pytest.fixture
def paths(tmp_path) -> tuple[pathlib.Path, pathlib.Path]:
    """Files of the notebook as it is stored, and as it was run."""
    nbformat.write(new_notebook(cells=copy.deepcopy(CELLS)), tmp_path / "01_first.ipynb")
    return tmp_path / "01_first.ipynb", tmp_path / "executed.ipynb"


def test_a_page_shows_text_tables_and_pictures_below_the_code_that_made_them(hook, run, paths):
    nbformat.write(run, paths[1])
    page, pictures = hook.page_of(*paths)
    ((name, picture),) = pictures.items()
    assert picture.startswith(b"\x89PNG") and picture.endswith(b"IEND\xaeB`\x82")
    expected = ["# Title", "print('```')", "\n```\n", "DataFrame", "<table>", "&lt;x&gt;", "Series"]
    places = [page.index(text) for text in [*expected, f"]({name})", "stderr", "\na warning"]]
    assert places == sorted(places)
    assert (
        "<style" not in page and "\n\n" not in re.findall("<table>.*</table>", page, re.DOTALL)[0]
    )
    assert "[next](02_next.md), [`experiments/a`](../benchmarks/a.md)" in page


def test_code_that_holds_fences_stays_whole(hook, run, paths):
    nbformat.write(run, paths[1])
    page, _ = hook.page_of(*paths)
    blocks = re.findall(r"^(`{3,}) \{ (\S+).*?\}\n(.*?)\n\1$", page, re.DOTALL | re.MULTILINE)
    code = [cell["source"] for cell in CELLS if cell["cell_type"] == "code"]
    assert [text for _, kind, text in blocks if kind == ".python"] == code
    assert [text for _, kind, text in blocks if kind == ".text"] == ["```", "a warning"]


def test_a_notebook_that_was_not_run_as_it_stands_is_refused(hook, run, paths):
    with pytest.raises(PluginError, match="executed.ipynb does not exist: run make notebooks"):
        hook.page_of(*paths)
    nbformat.write(new_notebook(cells=CELLS), paths[1])
    with pytest.raises(PluginError, match="cell 1 was not run"):
        hook.page_of(*paths)
    other = copy.deepcopy(run)
    other.cells[2]["source"] += "  # changed since"
    nbformat.write(other, paths[1])
    with pytest.raises(PluginError, match="is not a run of .*01_first.ipynb"):
        hook.page_of(*paths)


def test_an_error_or_an_output_of_another_kind_is_refused(hook, paths):
    shown = "from IPython.display import display; display({'application/pdf': ''}, raw=True)"
    notebook = new_notebook(cells=[new_code_cell("1 / 0"), new_code_cell(shown)])
    client = nbclient.NotebookClient(copy.deepcopy(notebook), allow_errors=True)
    ran = client.execute()
    for number, kind in enumerate(("ZeroDivisionError", "application/pdf")):
        nbformat.write(new_notebook(cells=[notebook.cells[number]]), paths[0])
        nbformat.write(new_notebook(cells=[ran.cells[number]]), paths[1])
        with pytest.raises(PluginError, match=f"a kind that is not shown: {kind}"):
            hook.page_of(*paths)


def test_links_of_an_experiment_lead_to_pages_and_pictures_only(repository):
    hook = loaded(repository / "docs/experiments.py")
    readmes = sorted((repository / "experiments").glob("*/README.md"))
    pages = {f"{readme.parent.name}.md" for readme in readmes} | {"../model_card.md"}
    drawn = set()
    for readme in readmes:
        page, pictures = hook.page_of(readme)
        links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", page)
        assert set(links) <= pages | pictures.keys(), readme
        assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
        drawn |= pictures.keys()
    assert {"insight/calibration.png", "finetune/finetune.png"} <= drawn


@pytest.mark.parametrize("folder", ["notebooks", "benchmarks"])
def test_every_notebook_and_experiment_has_a_place_in_the_navigation(repository, folder):
    named = re.findall(rf"{folder}/(\w+)\.md", (repository / "docs/mkdocs.yml").read_text())
    files = {
        "notebooks": {path.stem for path in (repository / "notebooks").glob("*.ipynb")},
        "benchmarks": {p.parent.name for p in (repository / "experiments").glob("*/README.md")},
    }
    assert sorted(named) == sorted(files[folder] | ({"index"} if folder == "benchmarks" else set()))
