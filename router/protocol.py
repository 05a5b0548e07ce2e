"""HTTP for callers that can't be trusted: limits that uvicorn leaves to a proxy, so that none is needed for safety.

Without them one client could fill the memory with a header that never ends, or keep connections for ever by silence.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes of request line and headers. What came in the same packet as the end of a head is not counted."""

HEAD_SECONDS = 20.0
"""For a head to come whole, counted from the connection or from its first byte."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _came = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._timer is None:
            return
        self._came += len(data)
        if self._came > LARGEST_HEAD:
            self._give_up("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._stop_timer()
        self._came = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up, "The head of the request took too long.")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, sentence: str) -> None:
        self._stop_timer()
        if not self.transport.is_closing():
            self.send_400_response(sentence)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing to say: this is no place for WebSockets, whatever is installed."""
