"""A receiver that runs as `ats-router serve` runs it, in a thread of its own, and someone who posts to it."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from handlers.base import Handler
from handlers.greenhouse import Greenhouse
from handlers.settings import SecretSettings
from router.assess import TEST_HEADER, make_test_mark
from router.bell import Bell, arq_redis
from router.config.settings import Server
from router.connection import Servers, client
from router.health import Health
from router.ledger import Ledger
from router.parts import Source
from router.processes import http_server
from router.receiver import Receiver
from router.records import StoredReceipt

T = TypeVar("T")

SECRET, OLD_SECRET = "the new secret of the source", "the old secret of the source"
MAX_BODY = 64 * 1024


def greenhouse(*secrets: str) -> Greenhouse:
    settings = SecretSettings(vendor="greenhouse", secret=tuple(SecretStr(secret) for secret in secrets))
    return Greenhouse(settings)


SIGNER = greenhouse(SECRET)
SOURCES = (
    Source("greenhouse", greenhouse(SECRET, OLD_SECRET), enabled=True),
    Source("switched-off", greenhouse(SECRET), enabled=False),
)


def signed(body: bytes, handler: Handler = SIGNER) -> dict[str, str]:
    """The headers with which Greenhouse sends ``body``."""
    return dict(handler.sign(body, datetime.now(UTC)).headers)


def marked(body: bytes, *, deliver: bool = False, secret: str = SECRET) -> dict[str, str]:
    """The same for one of our own tests."""
    return {**signed(body), TEST_HEADER: make_test_mark(secret.encode(), body, deliver=deliver)}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Running:
    """``url`` is that of the Redis server. Everything of the receiver lives in its thread's event loop."""

    def __init__(
        self,
        url: str,
        *,
        data_dir: Path | None = None,
        max_body: int = MAX_BODY,
        sources: Iterable[Source] = SOURCES,
    ) -> None:
        self._url = url
        self._sources = {source.name: source for source in sources}
        self._max_body = max_body
        self._data_dir = data_dir
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ledger = Ledger(client(self._url))
        self.health = Health(self.ledger, self._data_dir)
        receiver = Receiver(
            self._sources,
            self.ledger,
            self.health,
            Bell(arq_redis(Servers(self._url))),
            max_body=self._max_body,
        )
        self._server = http_server(receiver.app(), Server())
        self._started.set()
        await self._server.serve([self._socket])
        await self.ledger.close()

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(5)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def receipt(self, identifier: str) -> StoredReceipt | None:
        return self.call(self.ledger.read_receipt(identifier))

    def look(self) -> None:
        """Let it notice now how things are."""
        self.call(self.health.look())

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """An iterable as a body is sent in chunks, without a length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, body: bytes, headers: Mapping[str, str] | None = None, path: str = "/webhooks/greenhouse") -> Reply:
        """Signed as Greenhouse does, where no headers are given."""
        return self.ask("POST", path, body, signed(body) if headers is None else headers)

    def raw(self, *parts: bytes, seconds: float = 5.0) -> bytes:
        """Send bytes as they are, and give what comes back until the connection ends or nothing more comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            for part in parts:
                connection.sendall(part)
            return received(connection)


def received(connection: socket.socket) -> bytes:
    came = b""
    try:
        while chunk := connection.recv(65536):
            came += chunk
    except (TimeoutError, ConnectionError):
        pass
    return came


@contextmanager
def running(
    url: str, *, data_dir: Path | None = None, max_body: int = MAX_BODY, sources: Iterable[Source] = SOURCES
) -> Iterator[Running]:
    receiver = Running(url, data_dir=data_dir, max_body=max_body, sources=sources)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
