"""The page over HTTP, read only, for this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from conceptspace.contact_sheet import sheet_content
from conceptspace.errors import UserError
from conceptspace.presentation.explorer import render
from conceptspace.presentation.explorer.ask import AskerBusy
from conceptspace.presentation.explorer.collected import CollectedLibrary
from conceptspace.presentation.explorer.connections import Connection, most_connections
from conceptspace.presentation.explorer.downloads import PARQUET
from conceptspace.presentation.explorer.library import Library
from conceptspace.presentation.explorer.run_files import NotThere

Shown = Library | CollectedLibrary
Answer = Callable[[Request], Awaitable[Response]]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
COOKIE = "conceptspace"
MOST_RUNS = 1000
ASKING = "conceptspace-ask"
"""Header of a request that makes a model work: no other page on the web can have it sent."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}")

HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def application(library: Shown, *, token: str = "", port: int = 0) -> ASGIApp:
    """The server's routes behind its guard.

    Args:
        library: what is shown.
        token: without it, requests must name this machine as host.
        port: of the server, which the host header has to name; 0: any.
    """
    answers = Answers(library)
    routes = [
        Route("/", answers.page),
        Route("/api/index", answers.index),
        Route("/api/trajectories", answers.together("trajectories")),
        Route("/api/settings/{token}", answers.of_run("settings")),
        Route("/api/details/{token}", answers.of_run("details")),
        Route("/api/turns", answers.together("turns")),
        Route("/api/findings", answers.together("findings")),
        Route("/api/images/{token}/{protocol}/{step:int}", answers.image),
        Route("/api/scores/{token}/{protocol}/{step:int}", answers.scores),
        Route("/api/ask/{token}/{step:int}", answers.ask),
        Route("/api/figures/{token}/{name}", answers.figure),
        Route("/api/table.parquet", answers.table),
    ]
    handlers: Any = {
        AskerBusy: _busy,
        NotThere: _not_there,
        FileNotFoundError: _not_there,
        UserError: _refused,
        OSError: _refused,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token, port)


class Answers:
    """What each address answers, asked of the library in a thread."""

    def __init__(self, library: Shown) -> None:
        self.library = library
        self.listed = Repeated()

    def of_run(self, name: str) -> Answer:
        """A method of the library that takes a run's token."""

        async def answer(request: Request) -> Response:
            ask = getattr(self.library, name)
            return _json(request, await run_in_threadpool(ask, request.path_params["token"]))

        return answer

    def together(self, name: str) -> Answer:
        """A method of the library that takes the tokens of several runs."""

        async def answer(request: Request) -> Response:
            ask = getattr(self.library, name)
            return _json(request, await run_in_threadpool(ask, _tokens(request)))

        return answer

    async def page(self, request: Request) -> Response:
        """The page, which then asks for all the rest."""
        payload = {"ask": True} if self.library.asks else {}
        html = await run_in_threadpool(render.page, self.library.title, payload, connect=True)
        policy = {"Content-Security-Policy": render.policy(connect=True)}
        return HTMLResponse(html, headers=policy)

    async def index(self, request: Request) -> Response:
        """The list of all runs."""
        content = self.listed.encoded(await run_in_threadpool(self.library.index))
        return _tagged(request, content, "application/json")

    async def image(self, request: Request) -> Response:
        """A contact sheet as PNG."""
        path = await run_in_threadpool(self.library.image, *_sheet(request))
        return _tagged(request, await run_in_threadpool(sheet_content, path), "image/png")

    async def scores(self, request: Request) -> Response:
        """Scores of a contact sheet's images."""
        return _json(request, await run_in_threadpool(self.library.scores, *_sheet(request)))

    async def ask(self, request: Request) -> Response:
        """Images of a point in concept space, made by a checkpoint."""
        if request.headers.get(ASKING) != "1":
            return PlainTextResponse(f"asking a model needs the header {ASKING}: 1", 403)
        where = request.path_params
        point = _point(request)
        answer = await run_in_threadpool(self.library.ask, where["token"], where["step"], point)
        return JSONResponse(answer)

    async def figure(self, request: Request) -> Response:
        """A figure in a run's folder."""
        where = request.path_params
        path = await run_in_threadpool(self.library.figure, where["token"], where["name"])
        return await run_in_threadpool(_png, request, path)

    async def table(self, request: Request) -> Response:
        """Trajectories as Parquet; the header Left-Out names runs that are not in it."""
        content, left_out = await run_in_threadpool(self.library.table, _tokens(request))
        headers = {"Left-Out": quote(" ".join(left_out))}
        return Response(content, media_type=PARQUET, headers=headers)


class Guard:
    """Lets a request pass that reads, names this machine as its host, and knows the token.

    The host is checked because a page on the web can point its own name at this machine (DNS
    rebinding). With a token the host may be any: the token keeps strangers out.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self.app = app
        self.token = token
        self.port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        refusal = self._refusal(request)

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                extra = [
                    (name.lower().encode(), value.encode())
                    for name, value in HEADERS.items()
                    if name.lower().encode() not in known
                ]
                if self.token and refusal is None and request.query_params.get("token"):
                    cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                    extra.append((b"set-cookie", cookie.encode()))
                message = message | {"headers": [*message["headers"], *extra]}
            await send(message)

        await (refusal or self.app)(scope, receive, guarded)

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("this server only reads", 405, {"Allow": "GET, HEAD"})
        if self.token:
            given = (
                request.query_params.get("token")
                or request.cookies.get(COOKIE)
                or request.headers.get("authorization", "").removeprefix("Bearer ")
            )
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return PlainTextResponse("the token is missing or wrong: add ?token=...", 403)
            return None
        if request.headers.get("host", "") not in self._hosts():
            return PlainTextResponse("this server answers to 127.0.0.1 alone", 400)
        return None

    def _hosts(self) -> set[str]:
        names = {"[::1]" if name == "::1" else name for name in LOOPBACK}
        return {f"{name}:{self.port}" for name in names} | (
            names if self.port in (0, 80) else set()
        )


def listen(bind: str, port: int, token: str) -> socket.socket:
    """A socket on the address.

    Raises:
        UserError: the address is not this machine's own and there is no token, the token is short
            or odd, or the address is taken.
    """
    if token and not TOKEN.fullmatch(token):
        raise UserError("a token has 16 or more letters, digits, dashes or underscores")
    if bind not in LOOPBACK and not token:
        raise UserError(
            f"--bind {bind} would show the runs to other machines; set a token with --token or "
            "CONCEPTSPACE_TOKEN, or leave --bind out"
        )
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((bind, port))
        opened.listen()
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen on {bind}, port {port}: {reason}; choose another --port"
        ) from None
    return opened


def server(library: Shown, opened: socket.socket, token: str) -> uvicorn.Server:
    """A server on a socket; ``run(sockets=[opened])`` serves until it is stopped."""
    app = application(library, token=token, port=opened.getsockname()[1])
    config = uvicorn.Config(
        app,
        http=Connection,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="warning",
        server_header=False,
        # asyncio accepts as many at once, and some rounds pass before one is told to make room
        backlog=most_connections() // 2,
    )
    return uvicorn.Server(config)


def address(opened: socket.socket, bind: str, token: str) -> str:
    """Where the page is, for a browser."""
    host = f"[{bind}]" if ":" in bind else bind
    query = f"?token={token}" if token else ""
    return f"http://{host}:{opened.getsockname()[1]}/{query}"


def _tokens(request: Request) -> list[str]:
    tokens = [part for part in request.query_params.get("runs", "").split(",") if part]
    if not 0 < len(tokens) <= MOST_RUNS:
        raise UserError(f"name the runs, at most {MOST_RUNS}: ?runs=TOKEN,TOKEN")
    return tokens


def _sheet(request: Request) -> tuple[str, str, int]:
    where = request.path_params
    return where["token"], where["protocol"], where["step"]


def _point(request: Request) -> list[float]:
    try:
        return [float(part) for part in request.query_params.get("at", "")[:200].split(",")]
    except ValueError:
        raise UserError("a point is written as numbers: ?at=0.5,1.25") from None


class Repeated:
    """JSON of a value that is requested over and over; encoded anew only for another object."""

    def __init__(self) -> None:
        self._last: tuple[Any, bytes] = None, b""

    def encoded(self, value: Any) -> bytes:
        """Its JSON."""
        if self._last[0] is not value:
            self._last = value, _encoded(value)
        return self._last[1]


def _encoded(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _json(request: Request, value: Any) -> Response:
    return _tagged(request, _encoded(value), "application/json")


def _png(request: Request, path: Path) -> Response:
    return _tagged(request, path.read_bytes(), "image/png")


def _tagged(request: Request, content: bytes, media: str) -> Response:
    """The content, or that the browser has it already."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(content, media_type=media, headers={"ETag": tag})


async def _not_there(request: Request, error: Exception) -> Response:
    return PlainTextResponse(_text(error), 404)


async def _busy(request: Request, error: Exception) -> Response:
    return PlainTextResponse(_text(error), 429, {"Retry-After": "2"})


async def _refused(request: Request, error: Exception) -> Response:
    return PlainTextResponse(_text(error), 422)


def _text(error: Exception) -> str:
    """What an error says; names of files may hold bytes that are no UTF-8."""
    return str(error).encode(errors="backslashreplace").decode()
