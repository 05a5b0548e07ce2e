"""A raw HTTP server on a loopback port that behaves as well or as badly as it is told."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TLS_HANDSHAKE = b"\x16"

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """One request as it came; names of headers in lower case."""

    connection: int
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, wanted: str) -> str | None:
        values = [value for name, value in self.headers if name == wanted]
        assert len(values) <= 1
        return values[0] if values else None


class Target:
    """Treats the n-th request with the n-th behaviour, and all later ones with the last."""

    def __init__(self, *behaviours: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self._behaviours = behaviours
        self._host = host
        self._tls = tls
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://{self._host}:{self.port}/hook"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        connection = self.connections
        with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            while (first := await reader.readexactly(1)) != TLS_HANDSHAKE:
                self.seen.append(await _request(first, reader, connection))
                await self._behaviours[min(len(self.seen), len(self._behaviours)) - 1](writer)
            writer.write(b"HTTP/1.1 400 This port has no TLS\r\n\r\n")
            await writer.drain()
        writer.transport.abort()


async def _request(first: bytes, reader: asyncio.StreamReader, connection: int) -> Seen:
    line, *fields = (first + await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    return Seen(connection, line, headers, await reader.readexactly(int(dict(headers).get("content-length", "0"))))


def says(raw: bytes) -> Behaviour:
    """These bytes, and the connection stays open."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return behave


def answers(status: int = 200, body: bytes = b"", **headers: str) -> Behaviour:
    """A correct answer; a header's underscores become hyphens."""
    fields = {"content_length": str(len(body)), **headers}.items()
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields)
    return says(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body)


def endlessly(start: bytes, piece: bytes, pause: float = 0) -> Behaviour:
    """The piece again and again after the start."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


def then_closes(behaviour: Behaviour) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        await behaviour(writer)
        writer.close()

    return behave


async def is_silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def disconnects(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def nothing_listens() -> Iterator[int]:
    """A port that refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def never_accepts() -> Iterator[int]:
    """A port whose queue of connections is full: the next one waits in vain."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield full.getsockname()[1]
