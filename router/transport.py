"""What is behind `client`: aiohttp, made to tell exactly how far a request came."""

import errno
import ssl
from collections.abc import Mapping
from functools import lru_cache

import aiohttp
import httpx
import yarl

from router.client import CONNECT_LIMIT, NoAnswer, Tls

CONNECTIONS = 800
"""At the same time, over all sinks: below the usual 1,024 open files. The slots of each sink are the real limit."""

KEEPALIVE = 1.5
"""Seconds until an idle connection is closed: before the server does it (gunicorn after 2 s, Node, Apache and uvicorn
after 5 s), as a request that crosses the server's close is ambiguous. Reuse pays in bursts, and those need no more."""

READ_LIMIT = 65536
"""Bytes of an unwanted rest of an answer that are read to keep its connection. More is cut off."""

_NOT_CONNECTED = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "connect_timeout"}


def opened(certificates: Tls | None = None) -> aiohttp.ClientSession:
    """A session with connections of its own; close it with ``close``."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=_context(certificates), limit=CONNECTIONS, keepalive_timeout=KEEPALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def _context(certificates: Tls | None) -> ssl.SSLContext:
    if certificates is None:
        return httpx.create_ssl_context()
    context = ssl.create_default_context(cafile=certificates.ca) if certificates.ca else httpx.create_ssl_context()
    if certificates.certificate is not None:
        context.load_cert_chain(certificates.certificate, certificates.key)
    return context


async def answered(
    session: aiohttp.ClientSession, method: str, url: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> aiohttp.ClientResponse:
    """The beginning of the answer; its body is still to be read.

    Raises:
        NoAnswer: none came.
    """
    try:
        return await session.request(
            method,
            _parsed(url),
            data=body or None,
            headers=headers,
            allow_redirects=False,
            timeout=_until_connected(timeout),
            middlewares=() if method == "POST" else (_once,),
        )
    except (aiohttp.ClientError, OSError) as error:
        raise _no_answer(error) from None


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp would send PUT, DELETE and GET again after a disconnect, but not after an error that it does not know."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _no_answer(error) from None


@lru_cache(256)
def _parsed(url: str) -> yarl.URL:
    return yarl.URL(str(httpx.URL(url)))


@lru_cache(256)
def _until_connected(timeout: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=min(CONNECT_LIMIT, timeout / 2))


def _no_answer(error: Exception) -> NoAnswer:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return NoAnswer("dns", sent=False)
        case aiohttp.ClientSSLError():
            return NoAnswer("tls", sent=False)
        case aiohttp.ConnectionTimeoutError():
            return NoAnswer("connect_timeout", sent=False)
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError() | ConnectionAbortedError()):
            return NoAnswer("tls", sent=False)
        case aiohttp.ClientConnectorError():
            return NoAnswer(_NOT_CONNECTED.get(error.os_error.errno or 0, "unreachable"), sent=False)
        case aiohttp.ClientResponseError():
            return NoAnswer("garbage", sent=True)
        case _:
            return NoAnswer("reset", sent=True)


async def read_beginning(response: aiohttp.ClientResponse, body: bytearray, keep: int) -> bool:
    """Append the body as it comes, until it ends or there is more than ``keep`` and `READ_LIMIT`; whether it ended."""
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > max(keep, READ_LIMIT):
                return False
    except aiohttp.ClientError:
        return False
    return True
