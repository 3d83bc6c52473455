"""The pages: what is answered to each request."""

import asyncio
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lagllama_jax.app import example
from lagllama_jax.app.choice import Choice, Files
from lagllama_jax.app.fields import choice_of, fields_of, forecast_of, impact_of, text, units_of
from lagllama_jax.app.guard import TooLargeError
from lagllama_jax.app.jobs import JobQueue, QueuedJob
from lagllama_jax.app.limits import Limits
from lagllama_jax.app.store import Store, Upload, safe_name, without_folder
from lagllama_jax.app.summary import TableSummary, summarise
from lagllama_jax.app.tasks import analyse, forecast
from lagllama_jax.app.view import FILES, View
from lagllama_jax.app.worker import WorkerProcess
from lagllama_jax.errors import DataError, LagLlamaError, require

PATIENCE = 1.5
"""Seconds for which an answer waits for a result, before it shows that it is not there yet."""
READ_SECONDS = 60.0
"""Seconds after which the reading of a table is stopped."""
MOST_FIELDS = 5000


class Pages:
    """Answers requests.

    Attributes:
      reader: The process that reads tables.
      jobs: The forecasts and analyses.
      store: The tables.
      model: Source of the model, as in `LagLlama.from_pretrained`.
      limits: Limits of the page.
    """

    def __init__(
        self, reader: WorkerProcess, jobs: JobQueue, store: Store, model: str | None, limits: Limits
    ):
        self.reader = reader
        self.jobs = jobs
        self.store = store
        self.model = model
        self.limits = limits
        self.view = View(limits)
        self._reading = asyncio.Lock()

    def routes(self) -> list[Any]:
        """The routes, for Starlette."""
        route = require("starlette.routing", "app").Route
        return [
            route("/", self.start),
            route("/{file:str}", self.file),
            route("/tables", self.upload, methods=["POST"]),
            route("/tables/{table}", self.show),
            route("/tables/{table}", self.ask, methods=["POST"]),
            route("/tables/{table}/jobs/{job}/stop", self.stop, methods=["POST"]),
            route("/tables/{table}/jobs/{job}/table.csv", self.download),
            route("/tables/{table}/jobs/{job}/{part:int}-{chart:int}.svg", self.picture),
        ]

    async def start(self, request: Any) -> Any:
        """The first page, on which a table is given."""
        return self.view.start()

    async def file(self, request: Any) -> Any:
        """The style sheet, or the icon."""
        file = request.path_params["file"]
        if file not in FILES:
            raise self.view.not_found("There is no such page.")
        return self.view.file(file)

    async def upload(self, request: Any) -> Any:
        """Takes a table, and leads to its page."""
        folder, pasted = self.store.new_folder(), ""
        try:
            async with request.form(**self._form_limits()) as form:
                pasted = str(form.get("pasted", ""))
                files = await _saved(form, folder, self.limits.bytes)
            tried = "example" in form
            summary = await self._summarise(files, example.CHOICE if tried else None)
        except LagLlamaError as error:
            shutil.rmtree(folder, ignore_errors=True)
            return self.view.start(without_folder(str(error), folder), pasted, _status(error))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        upload = Upload(secrets.token_urlsafe(18), folder, files, _shown(summary, folder))
        upload.fields = fields_of(summary.choice, summary.columns)
        upload.fields |= example.FIELDS if tried else {}
        upload.fields["encoding"] = [files.encoding or ""]
        for dropped in self.store.add(upload):
            self.jobs.drop(dropped)
        return self.view.see_other(f"/tables/{upload.identifier}")

    async def show(self, request: Any) -> Any:
        """The page of a table, with the result of a job."""
        upload = self._upload(request)
        asked = request.query_params.get("job", "")
        job = self.jobs.get(upload.identifier, asked) if asked else None
        if job is not None and not job.done:
            result = asyncio.wrap_future(job.future)
            # An error is shown by the page; asyncio would log it if nobody asked for it.
            result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            await asyncio.wait({result}, timeout=PATIENCE)
        problem = "" if job or not asked else "This result is no longer kept. Ask for it again."
        return self._table(upload, job, problem, request)

    async def ask(self, request: Any) -> Any:
        """Takes the form of a table: new columns, a forecast, or an analysis."""
        upload = self._upload(request)
        async with request.form(**self._form_limits()) as form:
            upload.fields = {name: list(map(str, form.getlist(name))) for name in form}
        try:
            action = text(upload.fields, "action")
            await self._choose(upload, action)
            if action == "columns":
                return self.view.see_other(f"/tables/{upload.identifier}")
            job = self._submit(upload, action)
        except LagLlamaError as error:
            message = without_folder(str(error), upload.folder)
            return self._table(upload, None, message, request, 422)
        return self.view.see_other(f"/tables/{upload.identifier}?job={job.identifier}")

    async def _choose(self, upload: Upload, action: str) -> None:
        """Reads the table again if other columns were chosen."""
        fields, before = upload.fields, upload.summary.choice
        choice = choice_of(fields, upload.summary.columns)
        files = upload.files._replace(encoding=text(fields, "encoding") or None)
        if choice == before and files == upload.files and action != "columns":
            return
        summary = await self._summarise(files, choice)
        upload.files, upload.summary = files, _shown(summary, upload.folder)
        if choice.id_column != before.id_column and (fields.get("treated") or action == "impact"):
            fields.pop("treated", None)
            fields.pop("controls", None)
            if action == "impact":
                raise DataError("The column of names has changed: choose the treated series again.")

    def _submit(self, upload: Upload, action: str) -> QueuedJob:
        function: Callable[..., Any]
        question: Any
        if action == "impact":
            function, question = analyse, impact_of(upload.fields, upload.summary)
        else:
            function = forecast
            question = forecast_of(upload.fields, upload.summary, self.limits)
        arguments = (upload.files, question, self.model, self.limits)
        return self.jobs.submit(upload.identifier, function, *arguments)

    async def stop(self, request: Any) -> Any:
        """Stops a job."""
        upload = self._upload(request)
        job = self._job(request)
        await asyncio.to_thread(self.jobs.stop, job)
        return self.view.see_other(f"/tables/{upload.identifier}?job={job.identifier}")

    async def download(self, request: Any) -> Any:
        """The table of a result."""
        result, problem = self._job(request).outcome()
        if result is None:
            return self.view.missing(problem)
        return self.view.csv(result)

    async def picture(self, request: Any) -> Any:
        """A picture of a result."""
        result, problem = self._job(request).outcome()
        if result is None:
            return self.view.missing(problem)
        part, chart = request.path_params["part"], request.path_params["chart"]
        if part >= len(result.parts) or chart >= len(result.parts[part].charts):
            return self.view.missing("There is no such picture.")
        return self.view.svg(result.parts[part].charts[chart].svg)

    def _upload(self, request: Any) -> Upload:
        upload = self.store.get(request.path_params["table"])
        if upload is None:
            raise self.view.not_found("This table is no longer kept. Give it again.")
        return upload

    def _job(self, request: Any) -> QueuedJob:
        job = self.jobs.get(self._upload(request).identifier, request.path_params["job"])
        if job is None or (not job.done and request.method == "GET"):
            raise self.view.not_found("This result is not there. Ask for it again.")
        return job

    def _table(
        self, upload: Upload, job: QueuedJob | None, problem: str, request: Any, status: int = 200
    ) -> Any:
        units = units_of(upload.summary, upload.summary.choice)
        ahead = 0 if job is None or job.done else self.jobs.ahead(job)
        asked = request.query_params.get("part", "0")
        part = int(asked) if asked.isascii() and asked.isdigit() else 0
        return self.view.table(upload, units, (job, ahead, part), problem, status)

    async def _summarise(self, files: Files, choice: Choice | None) -> TableSummary:
        """Reads a table in the process for it, one at a time.

        Raises:
          DataError: If it cannot be read.
        """
        arguments = (files, choice, self.limits)
        async with self._reading:
            summary, notes = await asyncio.to_thread(
                self.reader.call, summarise, *arguments, seconds=READ_SECONDS
            )
        return replace(summary, notes=tuple(notes))

    def _form_limits(self) -> dict[str, int]:
        return {"max_files": 2, "max_fields": MOST_FIELDS, "max_part_size": self.limits.bytes}


async def _saved(form: Any, folder: Path, most_bytes: int) -> Files:
    """Writes the example, or the files of a form, or the table that was pasted.

    Raises:
      DataError: If there is no table, or it is too large.
    """
    if "example" in form:
        made = folder / "table" / example.NAME
        made.write_bytes(example.example_csv())
        return Files(made)
    table = await _file(form.get("table"), folder / "table", most_bytes)
    future = await _file(form.get("future"), folder / "future", most_bytes)
    if table is None and str(form.get("pasted", "")).strip():
        table = folder / "table" / "pasted.csv"
        table.write_text(str(form["pasted"]), "utf-8", newline="")
    if table is None:
        raise DataError("Choose a file, or paste a table.")
    return Files(table, future, str(form.get("encoding", "")).strip()[:40] or None)


async def _file(given: Any, folder: Path, most_bytes: int) -> Path | None:
    """Writes a file of a form. `None`: there is none.

    Raises:
      TooLargeError: If it has more than `most_bytes`.
    """
    if given is None or isinstance(given, str) or not given.filename:
        return None
    if given.size > most_bytes:
        raise TooLargeError(most_bytes)
    path = folder / safe_name(given.filename)
    with path.open("wb") as file:
        while block := await given.read(1 << 20):
            file.write(block)
    return path


def _shown(summary: TableSummary, folder: Path) -> TableSummary:
    """A summary whose texts do not name the folder."""
    return replace(
        summary,
        problem=without_folder(summary.problem, folder),
        notes=tuple(without_folder(note, folder) for note in summary.notes),
    )


def _status(error: LagLlamaError) -> int:
    return 413 if isinstance(error, TooLargeError) else 422
