"""What the program is measured against: the least that could do such work at all.

`python -m benchmarks.floors receive PORT` serves a Starlette handler that only reads the body, with the receiver's own
settings of uvicorn. `python -m benchmarks.floors send URL COUNT SIZE` posts so many bodies of that size with httpx over
aiohttp, 64 at the same time, and prints how many it sent a second.
"""

import asyncio
import secrets
import sys
import time

import httpx
import uvloop
from httpx_aiohttp import AiohttpTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from router.config.settings import Server
from router.processes import http_server

CONCURRENCY = 64


async def receive(port: int) -> None:
    async def take(request: Request) -> Response:
        await request.body()
        return PlainTextResponse("ok\n")

    app = Starlette(routes=[Route("/webhooks/{source}", take, methods=["POST"]), Route("/readyz", take)])
    await http_server(app, Server(host="127.0.0.1", port=port)).serve()


async def send(url: str, count: int, size: int) -> None:
    body = secrets.token_hex(size // 2).encode()
    left = iter(range(count))

    async def post_on(client: httpx.AsyncClient) -> None:
        for _ in left:
            (await client.post(url, content=body)).raise_for_status()

    async with httpx.AsyncClient(transport=AiohttpTransport()) as client, asyncio.TaskGroup() as tasks:
        started = time.monotonic()
        for _ in range(CONCURRENCY):
            tasks.create_task(post_on(client))
    print(count / (time.monotonic() - started))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["receive", port]:
            uvloop.run(receive(int(port)))
        case ["send", url, count, size]:
            uvloop.run(send(url, int(count), int(size)))
