"""The requests of the page. Errors of a person are answered with one line: ``{"error": ...}``."""

import mimetypes
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect

from tasd.app.examples import load_examples
from tasd.app.export import write_zip
from tasd.app.guard import Access, Guard
from tasd.app.items import new_id
from tasd.app.names import clip_name
from tasd.app.session import Session
from tasd.errors import UserError
from tasd.files import as_json
from tasd.predict.windows import Windows

PAGE = Path(__file__).parent / "page"
LEAST_WINDOW, MOST_WINDOW = 0.5, 600.0
# The types that a browser is told; anything else is not played, and never shown as a page.
PLAYED = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
PLAYED |= {".ogv": "video/ogg", ".mkv": "video/webm", ".3gp": "video/mp4"}
FOREVER = {"cache-control": "private, max-age=86400, immutable"}
NEVER = {"cache-control": "no-store"}


class Json(JSONResponse):
    """An answer in JSON, in which a number that is not finite is null."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of the answer."""
        return as_json(content, ascii=True).encode()


class Named(BaseModel):
    """The body of a request that names a class."""

    name: str


class Chosen(BaseModel):
    """The body of a correction: the id of a class."""

    chosen: str


def make_app(session: Session, access: Access) -> FastAPI:
    """Return the application that serves a session."""
    app = FastAPI(openapi_url=None, default_response_class=Json)
    app.add_middleware(Guard, access=access)
    app.add_exception_handler(UserError, _told)
    app.add_exception_handler(RequestValidationError, _misformed)
    app.add_exception_handler(ClientDisconnect, _told)
    _serve_page(app)
    _serve_classes(app, session)
    _serve_questions(app, session)
    _serve_files(app, session)
    return app


def _serve_page(app: FastAPI) -> None:
    files = {path.name: path for path in PAGE.iterdir() if path.is_file()}

    @app.get("/")
    def index() -> Response:
        return FileResponse(files["index.html"], headers=NEVER)

    @app.get("/page/{name}")
    def page(name: str) -> Response:
        if name not in files:
            return Response(status_code=404)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        kind = "text/javascript" if name.endswith(".js") else kind
        return FileResponse(files[name], media_type=kind, headers={"cache-control": "no-cache"})


def _serve_classes(app: FastAPI, session: Session) -> None:
    @app.get("/api/state")
    def state() -> Json:
        return Json(session.as_json(), headers=NEVER)

    @app.post("/api/classes")
    def add(body: Named) -> dict[str, str]:
        return {"id": session.add_class(body.name).id}

    @app.patch("/api/classes/{key}")
    def rename(key: str, body: Named) -> dict[str, str]:
        session.rename_class(key, body.name)
        return {"id": key}

    @app.delete("/api/classes/{key}")
    def delete(key: str) -> dict[str, str]:
        session.delete_class(key)
        return {"id": key}

    @app.post("/api/classes/{key}/clips")
    async def upload(key: str, name: str, request: Request) -> dict[str, str]:
        session.class_of(key)
        session.check_room()
        path = await _received(session, name, request)
        try:
            return {"id": session.add_example(key, name, path).id}
        except UserError:
            session.folder.remove(path)
            raise

    @app.delete("/api/clips/{key}")
    def delete_clip(key: str) -> dict[str, str]:
        session.delete_example(key)
        return {"id": key}

    @app.post("/api/examples")
    def examples() -> dict[str, int]:
        return {"clips": load_examples(session)}


def _serve_questions(app: FastAPI, session: Session) -> None:
    @app.post("/api/questions")
    async def ask(name: str, request: Request, window: float | None = None) -> dict[str, str]:
        windows = None if window is None else _windows(window)
        session.check_askable()
        path = await _received(session, name, request)
        try:
            return {"id": session.ask(name, path, windows).id}
        except UserError:
            session.folder.remove(path)
            raise

    @app.post("/api/questions/{key}/correct")
    def correct(key: str, body: Chosen) -> dict[str, str]:
        session.correct(key, body.chosen)
        return {"id": key}

    @app.post("/api/questions/{key}/again")
    def again(key: str) -> dict[str, str]:
        session.ask_again(key)
        return {"id": key}

    @app.delete("/api/questions/{key}")
    def delete(key: str) -> dict[str, str]:
        session.delete_question(key)
        return {"id": key}


def _serve_files(app: FastAPI, session: Session) -> None:
    @app.get("/api/frames/{key}/{number}")
    def frame(key: str, number: int) -> Response:
        known = key.isalnum() and key.isascii()
        path = session.folder.picture(key, number)
        if not known or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, media_type="image/jpeg", headers=FOREVER)

    @app.get("/api/questions/{key}/video")
    def video(key: str) -> Response:
        path = session.question_of(key).clip.path
        kind = PLAYED.get(path.suffix.lower(), "application/octet-stream")
        return FileResponse(path, media_type=kind, headers=NEVER)  # serves ranges

    @app.get("/api/export")
    def export() -> Response:
        path = session.folder.path / f"{new_id()}.zip"
        try:
            write_zip(session.examples(), path)
        except UserError:
            path.unlink(missing_ok=True)
            raise
        remove = BackgroundTask(path.unlink, missing_ok=True)
        return FileResponse(
            path, media_type="application/zip", filename="my-actions.zip", background=remove
        )


async def _received(session: Session, name: str, request: Request) -> Path:
    """Write the body of a request to a file of the session. Raises `UserError`."""
    suffix = PurePosixPath(clip_name(name)).suffix
    length = request.headers.get("content-length", "0")
    announced = int(length) if length.isdecimal() else 0
    pieces: AsyncIterator[bytes] = request.stream()
    return await session.folder.receive(pieces, suffix=suffix, announced=announced)


def _windows(length: float) -> Windows:
    if not LEAST_WINDOW <= length <= MOST_WINDOW:
        raise UserError(
            f"windows of {length:g} seconds: they may have {LEAST_WINDOW:g} to {MOST_WINDOW:g}"
        )
    return Windows(length, length / 2)


def _told(request: Request, error: Exception) -> Response:
    return Json({"error": str(error)}, status_code=422)


def _misformed(request: Request, error: Any) -> Response:
    where = ".".join(map(str, error.errors()[0]["loc"]))
    return Json({"error": f"{where}: {error.errors()[0]['msg']}"}, status_code=422)
