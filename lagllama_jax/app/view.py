"""`View`: makes answers of HTML from templates, and of files."""

from typing import Any
from urllib.parse import quote

from lagllama_jax.app.fields import METHODS
from lagllama_jax.app.jobs import QueuedJob
from lagllama_jax.app.limits import Limits
from lagllama_jax.app.result import Result
from lagllama_jax.app.store import Upload, without_folder
from lagllama_jax.causal.report import WAYS
from lagllama_jax.errors import require

FILES = {"style.css": "text/css", "icon.svg": "image/svg+xml"}
"""Files that the pages load, and their types."""
REFRESH = 2
"""Seconds after which a page that waits for a result is loaded again."""


class View:
    """Makes answers from templates of this package, which escape all texts of the user.

    Attributes:
      limits: Limits of the page.
    """

    def __init__(self, limits: Limits):
        jinja = require("jinja2", "app")
        self.limits = limits
        self._responses = require("starlette.responses", "app")
        self._templates = jinja.Environment(
            loader=jinja.PackageLoader("lagllama_jax.app"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja.StrictUndefined,
        )

    def _page(self, template: str, status: int = 200, **values: Any) -> Any:
        text = self._templates.get_template(template).render(limits=self.limits, **values)
        return self._responses.HTMLResponse(text, status)

    def start(self, problem: str = "", pasted: str = "", status: int = 200) -> Any:
        """The first page, with what was pasted."""
        return self._page("start.html", status, problem=problem, pasted=pasted)

    def table(
        self,
        upload: Upload,
        units: tuple[str, ...],
        asked: tuple[QueuedJob | None, int, int],
        problem: str,
        status: int,
    ) -> Any:
        """The page of a table.

        Args:
          upload: The table.
          units: What can be treated or a control.
          asked: A job, the number of jobs before it, and the number of the series to show.
          problem: Why a request was not taken. Empty: it was.
          status: Status of the answer.
        """
        job, ahead, part = asked
        result, failure = job.outcome() if job is not None and job.done else (None, "")
        plain = lambda words: without_folder(words, upload.folder)  # noqa: E731
        if result is not None:
            part = min(part, len(result.parts) - 1)
            result = result._replace(notes=tuple(map(plain, result.notes)))
        return self._page(
            "table.html",
            status,
            upload=upload,
            units=units,
            job=job,
            ahead=ahead,
            part=part,
            result=result,
            problem=problem or plain(failure),
            waiting=REFRESH if job is not None and not job.done else 0,
            methods={name: WAYS.get(name, "the one that is most certain") for name in METHODS},
            fields=upload.fields,
        )

    def file(self, name: str) -> Any:
        """The style sheet, or the icon."""
        text = self._templates.get_template(name).render()
        return self._responses.Response(text, media_type=FILES[name])

    def csv(self, result: Result) -> Any:
        """The table of a result, as a file to download."""
        headers = {"Content-Disposition": f'attachment; filename="{quote(result.file)}"'}
        return self._responses.Response(result.csv, media_type="text/csv", headers=headers)

    def svg(self, picture: bytes) -> Any:
        """A picture. It has styles, and nothing else that a browser would load or run."""
        policy = "default-src 'none'; style-src 'unsafe-inline'"
        headers = {"Content-Security-Policy": policy}
        return self._responses.Response(picture, media_type="image/svg+xml", headers=headers)

    def missing(self, problem: str, status: int = 404) -> Any:
        """The first page, with the reason why another one is not there."""
        return self.start(problem, status=status)

    def not_found(self, problem: str) -> Exception:
        """An error that Starlette answers with `missing`."""
        error: Exception = require("starlette.exceptions", "app").HTTPException(404, problem)
        return error

    def see_other(self, path: str) -> Any:
        """Leads to another page."""
        return self._responses.RedirectResponse(path, 303)
