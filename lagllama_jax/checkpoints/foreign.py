"""Recognises files that were saved by mistake instead of a model, by their first bytes."""

from pathlib import Path

from lagllama_jax.errors import CheckpointError

_WEB_PAGE = (
    "is a web page, not the file that it links to. Download the file itself (on the hub: the "
    "arrow beside its name, or the address with /resolve/ in the place of /blob/)."
)
_KINDS = {
    b"version https://git-lfs": (
        "is a Git LFS pointer, a short text that stands for the file. Run `git lfs pull` in the "
        "repository, or download the file itself."
    ),
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": (
        "has the legacy format of PyTorch before 1.6. If you trust its source, load it with "
        "torch.load in a current PyTorch and save it there again with torch.save."
    ),
    b"<!doctype html": _WEB_PAGE,
    b"<html": _WEB_PAGE,
}


def refuse_foreign(path: Path) -> None:
    """Refuses files that are often saved by mistake instead of a model.

    Raises:
      CheckpointError: If the file is empty, a Git LFS pointer, a web page, or a checkpoint in the
        legacy format of PyTorch. The message says what to do.
    """
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        raise CheckpointError(f"{path}: is an empty file. Download it again.")
    for beginning, remedy in _KINDS.items():
        if head.startswith(beginning) or head.lstrip().lower().startswith(beginning):
            raise CheckpointError(f"{path}: {remedy}")
