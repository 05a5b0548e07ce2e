"""What is behind `client`: aiohttp as a transport of httpx, made to tell exactly how far a request came."""

import asyncio
import errno
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from router.client import NoAnswer, Tls

CONNECTIONS = 800
"""At the same time, over all sinks: below the usual 1,024 open files. The slots of each sink are the real limit."""

KEEPALIVE = 1.5
"""Seconds until an idle connection is closed: before the server does it (gunicorn after 2 s, Node, Apache and uvicorn
after 5 s), as a request that crosses the server's close is ambiguous. Reuse pays in bursts, and those need no more."""

READ_LIMIT = 65536
"""Bytes of an unwanted rest of an answer that are read to keep its connection. More is cut off."""

_NOT_CONNECTED = {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "connect_timeout"}


def opened(certificates: Tls | None = None) -> AiohttpTransport:
    """A transport with connections of its own; close it with ``aclose``."""
    tls = _context(certificates)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls, limit=CONNECTIONS, keepalive_timeout=KEEPALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=[_exact],
    )
    return AiohttpTransport(verify=tls, client=session)


def _context(certificates: Tls | None) -> ssl.SSLContext:
    if certificates is None:
        return httpx.create_ssl_context()
    context = ssl.create_default_context(cafile=certificates.ca) if certificates.ca else httpx.create_ssl_context()
    if certificates.certificate is not None:
        context.load_cert_chain(certificates.certificate, certificates.key)
    return context


async def _exact(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Turn aiohttp's errors into ours before the layers above blur them.

    aiohttp sends PUT, DELETE and GET again after a disconnect; httpx-aiohttp calls a disconnect a connect time-out.
    """
    try:
        response = await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _no_answer(error) from None
    # httpx-aiohttp fails on a reason phrase that is not UTF-8.
    response.reason = None
    return response


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


async def beginning(response: httpx.Response, keep: int, deadline: float) -> tuple[bytes, bool]:
    """The first ``keep`` bytes of the body, as far as they come until the deadline, and whether that is all of it."""
    body, ended = bytearray(), False
    with suppress(TimeoutError, httpx.HTTPError, aiohttp.ClientError):
        async with (
            asyncio.timeout_at(deadline),
            aclosing(cast(AsyncGenerator[bytes, None], aiter(cast(httpx.AsyncByteStream, response.stream)))) as chunks,
        ):
            async for chunk in chunks:
                body += chunk
                if len(body) > max(keep, READ_LIMIT):
                    break
            else:
                ended = True
    return bytes(body[:keep]), ended and len(body) <= keep
