"""A stand-in for a vendor's API, over real HTTP, and the client that the router asks it with."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from handlers.enriching import Access
from router.client import Client
from router.vendor_api import VendorApi

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Asked:
    """One request as it came. ``target`` is the path with its query; ``json`` the body, or what a form holds, or None
    where there was none or it is XML; ``text`` is the body as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    json: object
    text: str = ""


@dataclass(frozen=True)
class Answers:
    """What is answered: JSON of ``body`` (bytes go out as they are), after so many seconds of ``delay``."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class StandIn:
    """``answer`` decides on each request; ``asked`` are those that came."""

    url: str
    asked: list[Asked]
    answer: Callable[[Asked], Answers]


@asynccontextmanager
async def stand_in(answer: Callable[[Asked], Answers]) -> AsyncIterator[StandIn]:
    """A server on a free port, as long as the context lasts."""
    running = StandIn("", [], answer)

    async def handle(request: Request) -> Response:
        body = await request.body()
        target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        asked = Asked(request.method, target, dict(request.headers), _read(request, body), body.decode())
        running.asked.append(asked)
        told = running.answer(asked)
        await asyncio.sleep(told.delay)
        content = told.body if isinstance(told.body, bytes) else b"" if told.body is None else json.dumps(told.body)
        return Response(content, told.status, dict(told.headers), "application/json")

    app = Starlette(routes=[Route("/{path:path}", handle, methods=METHODS)])
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    running.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.should_exit = True
        await serving


def _read(request: Request, body: bytes) -> object:
    if request.headers.get("content-type") == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode()))
    return json.loads(body) if body and "xml" not in request.headers.get("content-type", "") else None


@asynccontextmanager
async def api_of(access: Access | None) -> AsyncIterator[VendorApi]:
    """The API as the worker gives it to a handler; ``access`` is what the handler's own `access` says."""
    assert access is not None
    async with Client() as client:
        yield VendorApi(client, access)
