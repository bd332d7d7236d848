"""The bench as a web server: routes that are no pages, the doorkeeper, and its start and end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from nicegui import ui

from xrfree.app.commands import Commands
from xrfree.app.guard import Guard, door_of
from xrfree.app.pages import batch, batches, calibrations, charts, ledger, problems, specimen
from xrfree.app.pages.frame import LANGUAGE_COOKIE, Bench, texts_of
from xrfree.app.pages.problems import notice
from xrfree.app.results import Results
from xrfree.app.settings import Settings
from xrfree.app.texts import LANGUAGES
from xrfree.app.uploads import UploadRefusedError, receive, unpack
from xrfree.app.workspace import DOWNLOADS, Workspace
from xrfree.errors import XrfreeError

_REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-modals"
)
"""A report is a page to read: whatever stands in it, nothing in it runs."""
_YEAR_S = 365 * 86400


def make_bench(settings: Settings) -> Bench:
    """Everything a bench works with."""
    return Bench(
        settings=settings,
        workspace=Workspace(settings.home),
        commands=Commands(settings),
        results=Results(settings.ledger_place),
    )


def make_app(bench: Bench) -> Guard:
    """The application behind its doorkeeper. One per process: pages are known to the library, not to an object."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(bench.commands.stop_all)

    app = FastAPI(lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    _upload_route(app, bench)
    _file_route(app, bench)
    _language_route(app)
    for page in (batches, batch, specimen, calibrations, charts, ledger):
        page.register(bench)
    problems.register()
    ui.run_with(app, title="xrfree bench", show_welcome_message=False, reconnect_timeout=30.0)
    return Guard(app, door=door_of(bench.settings.host, bench.settings.token))


def _upload_route(app: FastAPI, bench: Bench) -> None:
    @app.post("/upload")
    async def upload(request: Request) -> Response:
        folder = bench.workspace.incoming()
        try:
            received = await receive(
                request.stream(), request.headers.get("content-type", ""), folder / "spectra", bench.settings.limits
            )
            await asyncio.to_thread(unpack, received, folder / "spectra")
        except UploadRefusedError as error:
            await asyncio.to_thread(bench.workspace.discard, folder)
            return _refused(request, error)
        except BaseException:
            await asyncio.to_thread(bench.workspace.discard, folder)
            raise
        made = bench.workspace.accept(folder, name=received.name)
        return RedirectResponse(f"/batches/{made.key}", 303)


def _refused(request: Request, error: UploadRefusedError) -> HTMLResponse:
    say = texts_of(request)
    page = notice(say, say("upload.refused"), say(error.key, **error.values))
    return HTMLResponse(page, error.status)


def _file_route(app: FastAPI, bench: Bench) -> None:
    @app.get("/batches/{key}/files/{name}")
    def result_file(key: str, name: str) -> Response:
        found = bench.workspace.batch(key)
        if found is None or name not in DOWNLOADS or not (found.results / name).is_file():
            return Response("There is no such file.\n", 404, media_type="text/plain")
        if name == "report.html":
            return FileResponse(
                found.results / name, media_type="text/html", headers={"Content-Security-Policy": _REPORT_POLICY}
            )
        return FileResponse(found.results / name, filename=name, media_type="application/octet-stream")


def _language_route(app: FastAPI) -> None:
    @app.get("/language/{language}")
    def language(language: str, back: str = "/") -> Response:
        # Only to a page of the bench: "//elsewhere" and "/\elsewhere" would lead to another site.
        place = PurePosixPath(back)
        local = place.is_absolute() and not back.startswith(("//", "/\\"))
        answer = RedirectResponse(back if local else "/", 303)
        if language in LANGUAGES:
            answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, httponly=True, samesite="strict", path="/")
        return answer


def serve(settings: Settings, *, tell: Callable[[str], None]) -> None:
    """Serve until interrupted; `tell` is called with the address once the bench can be reached.

    XrfreeError where the address cannot be had.
    """
    listening = _socket(settings)
    port = listening.getsockname()[1]
    config: Any = {
        "log_level": "warning",
        "server_header": False,
        "ws_max_size": 4_000_000,
        "timeout_graceful_shutdown": 3,
    }
    server = uvicorn.Server(uvicorn.Config(make_app(make_bench(settings)), **config))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    tell(f"http://{host}:{port}/" + (f"?token={settings.token}" if settings.token else ""))
    server.run(sockets=[listening])


def _socket(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(128)
    except OSError as error:
        raise XrfreeError(
            f"the bench cannot listen at {settings.host}, port {settings.port} ({error.strerror or error}). "
            "Choose another port with --port; is another bench running?"
        ) from error
    return listening
