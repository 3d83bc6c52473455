"""Shows the READMEs of the experiments in the documentation (a hook of MkDocs)."""

import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
CARD = "../../lagllama_jax/checkpoints/bundled/README.md"
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page per experiment, and its pictures."""
    for readme in sorted((ROOT / "experiments").glob("*/README.md")):
        name = readme.parent.name
        page, pictures = page_of(readme)
        files.append(File.generated(config, f"benchmarks/{name}.md", content=page))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"benchmarks/{picture}", content=content))
    return files


def page_of(readme: Path) -> tuple[str, dict[str, bytes]]:
    """The page of an experiment, and its pictures by file name.

    Links to other experiments and to the model card lead to their pages. Of other files of the
    repository, the page tells the names.
    """
    name, pictures = readme.parent.name, {}

    def linked(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        if mark:
            file = f"{name}/{PurePosixPath(target).name}"
            pictures[file] = (readme.parent / target).read_bytes()
            return f"![{text}]({file})"
        if target == CARD:
            return f"[{text}](../model_card.md)"
        if other := re.fullmatch(r"\.\./(\w+)/README\.md", target):
            return f"[{text}]({other[1]}.md)"
        path = (readme.parent / target).resolve().relative_to(ROOT)
        return f"`{path}`" if str(path).endswith(text.strip("`")) else f"{text} (`{path}`)"

    text = LINK.sub(linked, readme.read_text(encoding="utf-8"))
    where = f"This page is `experiments/{name}/README.md`; paths are those in the repository."
    title, _, rest = text.partition("\n")
    return f"{title}\n\n*{where}*\n{rest}", pictures
