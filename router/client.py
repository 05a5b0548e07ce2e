"""The one outgoing HTTP client, for sinks and vendor APIs: the library behind it can change here and in `transport`.

It tells exactly what a retry hangs on: when no answer came, could the request have been sent? It sends each request
once, follows no redirect, keeps no cookie and reads no more of an answer than is wanted. Neither a URL nor a
library's error text leaves them, because both can hold secrets: a failure is a short label.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx

from router import __version__

if TYPE_CHECKING:
    import aiohttp

CONNECT_LIMIT = 10.0
"""Seconds for name, connection and TLS; half the time limit if that is shorter, so that it always ends first."""

_HEADERS = {
    "user-agent": f"ats-router/{__version__}",
    "accept": "*/*",
    # Nothing is decompressed, so that no answer is larger than what was read of it.
    "accept-encoding": "identity",
}
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d*)?", re.ASCII)


class NoAnswer(Exception):
    """No answer came. ``sent``: the request may have reached the server, so it may have taken effect.

    ``reason`` is one of ``dns``, ``refused``, ``unreachable``, ``connect_timeout``, ``tls`` (nothing was sent),
    ``timeout``, ``reset`` (also a plain disconnect) and ``garbage`` (what came was not HTTP).
    """

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` are found by names in any case. ``whole``: ``body`` is all of it, neither cut nor broken off."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def retry_after(self) -> float | None:
        """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3), at least 0; None without it or for rubbish.

        Decimals and negative numbers are out there too. A date is compared with the server's own `Date`.
        """
        asked = self.headers.get("retry-after", "").strip()
        if _NUMBER.fullmatch(asked):
            return max(0.0, float(asked))
        if (until := _moment(asked)) is None:
            return None
        now = _moment(self.headers.get("date", "")) or datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates other than usual, as paths of PEM files: ours with its key, and the authorities to trust."""

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


class Client:
    """Use as ``async with Client() as client``; one for the whole process.

    Proxies and passwords that the environment names (``HTTPS_PROXY``, ``.netrc``) are not used: candidates' data goes
    only where the configuration says. Certificates are checked against certifi's list or ``SSL_CERT_FILE``.
    """

    _sessions: "dict[Tls | None, aiohttp.ClientSession]"

    async def __aenter__(self) -> Self:
        from router import transport  # long to load, and only who sends needs it

        self._transport = transport
        self._sessions = {None: transport.opened()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str],
        timeout: float,
        keep: int,
        tls: Tls | None = None,
    ) -> Answer:
        """Send once. ``timeout`` is for everything up to the last byte; at most ``keep`` bytes of the body come back.

        Names of ``headers`` are in lower case. Raises `NoAnswer`. Once a status came it is the answer, even if the
        body then breaks off or takes too long.
        """
        if tls not in self._sessions:
            self._sessions[tls] = self._transport.opened(tls)
        response, came, ended = None, bytearray(), False
        try:
            async with asyncio.timeout(timeout):
                response = await self._transport.answered(
                    self._sessions[tls], method, url, body, {**_HEADERS, **headers}, timeout
                )
                ended = await self._transport.read_beginning(response, came, keep)
        except TimeoutError:
            if response is None:
                raise NoAnswer("timeout", sent=True) from None
        finally:
            if response is not None:
                response.close()  # the connection is kept, if the body ended
        return Answer(response.status, response.headers, bytes(came[:keep]), ended and len(came) <= keep)


def checked_url(url: str) -> str:
    """The same URL, if the client can call it; the ValueError of another one does not repeat it."""
    try:
        parsed = httpx.URL(url)
        host = parsed.host
        parsed.raw_host.decode().encode("idna")  # as the look-up of the name will do
    except (httpx.InvalidURL, UnicodeError):
        raise ValueError("this is not a URL: write one like https://example.com/path") from None
    if parsed.scheme not in ("http", "https") or not host or (parsed.port or 0) > 65535:
        raise ValueError(
            "a URL is https:// (or http://), a host and perhaps a port, like https://example.com:8443/path"
        )
    if parsed.userinfo:
        raise ValueError("no user and password in the URL: put them into a header, Authorization")
    return url


def _moment(text: str) -> datetime | None:
    """An HTTP-date in any of its three forms (RFC 9110, 5.6.7)."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
