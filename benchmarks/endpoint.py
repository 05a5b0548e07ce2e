"""The place that deliveries go to: takes every POST, at once or after some seconds, and counts.

`python -m benchmarks.endpoint SECONDS` prints its port. `GET /` tells as JSON what came since the last `GET /`.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nidempotency-key: *([^\r]+)", re.IGNORECASE)
_POSTED_AT = re.compile(rb"posted-at-(\d{16})")


class Tally:
    """What came. Moments are in seconds on the monotonic clock, ``ms`` from a webhook's POST to its arrival here."""

    def __init__(self, known: set[bytes]) -> None:
        self.known = known
        self.came = self.twice = 0
        self.moments: list[float] = []
        self.ms: list[float] = []

    def note(self, head: bytes, body: bytes) -> None:
        self.came += 1
        self.moments.append(time.monotonic())
        if (key := _KEY.search(head)) is not None:
            self.twice += key[1] in self.known
            self.known.add(key[1])
        if (posted := _POSTED_AT.search(body)) is not None:
            self.ms.append(time.time() * 1e3 - int(posted[1]) / 1e3)

    def told(self) -> bytes:
        return json.dumps({"came": self.came, "twice": self.twice, "moments": self.moments, "ms": self.ms}).encode()


class Connection(asyncio.Protocol):
    """One client, which sends one request after another."""

    tally = Tally(set())
    seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._came = b""

    def data_received(self, data: bytes) -> None:
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = self._came[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            body, self._came = self._came[end + 4 : whole], self._came[whole:]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            told, Connection.tally = self.tally.told(), Tally(self.tally.known)
            self._answer(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(told), told))
            return
        self.tally.note(head, body)
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, self._answer, _ANSWER)
        else:
            self._answer(_ANSWER)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def main(seconds: float) -> None:
    Connection.seconds = seconds
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1])))
