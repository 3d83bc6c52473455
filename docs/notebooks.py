"""Shows the notebooks in the documentation with their outputs (a hook of MkDocs).

The repository stores notebooks without outputs. `make notebooks`, `make test` and `make docs` run
copies of them, which are read here.
"""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
STORED, EXECUTED = ROOT / "notebooks", ROOT / "executed"

Pictures = dict[str, bytes]
"""PNG pictures by file name."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page per notebook, and its pictures."""
    for stored in sorted(STORED.glob("*.ipynb")):
        page, pictures = page_of(stored, EXECUTED / stored.name)
        files.append(File.generated(config, f"notebooks/{stored.stem}.md", content=page))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))
    return files


def page_of(stored: Path, executed: Path) -> tuple[str, Pictures]:
    """The Markdown page of an executed notebook, and its pictures.

    Args:
      stored: The notebook in the repository.
      executed: A copy of it with outputs.

    Raises:
      PluginError: If the copy does not exist, has other cells, or was not run without errors.
    """
    if not executed.is_file():
        raise PluginError(f"{executed} does not exist: run make notebooks.")
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    current = json.loads(stored.read_text(encoding="utf-8"))["cells"]
    if [_source(cell) for cell in cells] != [_source(cell) for cell in current]:
        raise PluginError(f"{executed} is not a run of {stored}: run make notebooks.")
    pictures: Pictures = {}
    parts = []
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "markdown":
            parts.append(_linked(_source(cell)))
            continue
        if cell["execution_count"] is None:
            raise PluginError(f"{executed}: cell {number} was not run: run make notebooks.")
        parts.append(_fenced(_source(cell), ".python"))
        parts += _outputs(cell, executed, f"{stored.stem}_{number}", pictures)
    return "\n\n".join(parts) + "\n", pictures


def _source(cell: dict[str, Any]) -> str:
    return _text(cell["source"])


def _text(lines: str | list[str]) -> str:
    """Text that a notebook may hold as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def _outputs(cell: dict[str, Any], executed: Path, name: str, pictures: Pictures) -> Iterator[str]:
    """The outputs of a cell as Markdown. Adds their pictures, named after `name`, to `pictures`."""
    for place, output in enumerate(cell["outputs"]):
        data = output.get("data", {})
        if "image/png" in data:
            file = f"{name}_{place}.png"
            pictures[file] = base64.b64decode(_text(data["image/png"]))
            yield f"![The picture that the code above draws]({file})"
        elif "text/html" in data:
            yield _table(_text(data["text/html"]))
        elif output["output_type"] == "stream" or "text/plain" in data:
            text = _text(output["text"] if "text" in output else data["text/plain"])
            if text.strip():
                yield _fenced(text, ".text .output .no-copy")
        else:
            raise PluginError(
                f"{executed}: the output of {name} is of a kind that is not shown: "
                f"{output.get('ename') or ', '.join(data)}."
            )


def _fenced(text: str, classes: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {{ {classes} }}\n{text.rstrip()}\n{fence}"


def _table(html: str) -> str:
    """A table of pandas without its own style and blank lines, which would end it in Markdown."""
    bare = re.sub(r"<style.*?</style>|<div>|</div>", "", html, flags=re.DOTALL)
    bare = re.sub(r"<(table|tr)\b[^>]*>", r"<\1>", bare)
    return re.sub(r"\n\s*", "\n", bare).strip()


def _linked(markdown: str) -> str:
    """Text whose links to notebooks and experiments lead to their pages."""
    pages = re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.md)", markdown)
    return re.sub(r"\]\(\.\./experiments/(\w+)/README\.md\)", r"](../benchmarks/\1.md)", pages)
