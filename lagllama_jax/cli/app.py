"""`lagllama app`."""

from typing import Annotated, Any

import tyro

from lagllama_jax.app.limits import Limits
from lagllama_jax.cli.arguments import Model, options_of

OPTIONS = options_of(Limits)
DEFAULTS = vars(Limits())


def main(
    *,
    port: Annotated[int, tyro.conf.arg(metavar="N")] = 8050,
    host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1",
    model: Model = None,
    limits: tyro.conf.OmitArgPrefixes[Annotated[dict[str, Any], OPTIONS]] = DEFAULTS,
) -> None:
    """Serves a page on this machine, to forecast a table in the browser (extra `app`).

    The page takes a file or a pasted table. It shows the forecast with its intervals, sample paths
    and known covariates, and what an intervention did. The results can be downloaded as CSV.
    Nothing is loaded from or sent to other machines, and files are deleted at the end.

    Args:
      port: Port to listen on. 0: a free one.
      host: Address to listen on. With another one than 127.0.0.1, others can reach the page, which
        asks for no password.
      model: Folder, authors' .ckpt file or hub id. If not given, the bundled weights.
      limits: What the page accepts.
    """
    from lagllama_jax.app.server import serve

    serve(model, host, port, Limits.of(**limits))
