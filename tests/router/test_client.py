import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.client import Answer, Client, NoAnswer, checked_url
from tests.sinks.target import Behaviour, Target, answers, disconnects, endlessly, nothing_listens, says, then_closes

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as client:
        yield client


async def call(client: Client, url: str, method: str = "POST", body: bytes = b"{}", **options: float) -> Answer:
    return await client.request(
        method, url, body=body, headers={}, timeout=options.get("timeout", 10), keep=int(options.get("keep", 1000))
    )


@pytest.mark.parametrize(
    ("behaviour", "body", "whole"),
    [
        (answers(200, b"x" * 1000), b"x" * 1000, True),
        (answers(200, b"x" * 1001), b"x" * 1000, False),
        (answers(204), b"", True),
        (then_closes(says(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")), b"until the end", True),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), b"abc", True),
        (then_closes(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")), b"abc", False),
        (then_closes(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")), b"abc", False),
        (endlessly(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", b"x" * 1000), b"x" * 1000, False),
        (answers(200, b"\x1f\x8b...", content_encoding="gzip"), b"\x1f\x8b...", True),
    ],
)
async def test_body(client: Client, behaviour: Behaviour, body: bytes, whole: bool) -> None:
    async with Target(behaviour) as target:
        answer = await call(client, target.url)
    assert (answer.body, answer.whole) == (body, whole)


async def test_headers_are_found_in_any_case(client: Client) -> None:
    async with Target(answers(200, x_next_page="2")) as target:
        answer = await call(client, target.url, "GET", b"")
    assert answer.headers["X-Next-Page"] == answer.headers["x-next-page"] == "2"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
async def test_no_method_is_sent_twice(client: Client, method: str) -> None:
    async with Target(answers(), disconnects) as target:
        await call(client, target.url, method)
        with pytest.raises(NoAnswer) as told:
            await call(client, target.url, method)
        assert (told.value.reason, told.value.sent) == ("reset", True)
        assert len(target.seen) == 2


async def test_time_limit_is_for_everything(client: Client) -> None:
    async def slow_everywhere(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await endlessly(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b".", pause=0.05)(writer)

    async with Target(slow_everywhere) as target:
        start = time.monotonic()
        answer = await call(client, target.url, timeout=0.5)
        assert 0.45 < time.monotonic() - start < 1.5
    assert (answer.status, answer.whole) == (200, False)


async def test_failure_tells_no_url(client: Client) -> None:
    with nothing_listens() as port, pytest.raises(NoAnswer) as told:
        await call(client, f"http://127.0.0.1:{port}/S3CRET")
    assert (str(told.value), told.value.sent) == ("refused", False)
    assert told.value.__suppress_context__


async def test_environment_names_no_proxy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_listens() as port:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        async with Target(answers()) as target:
            assert (await call(client, target.url)).status == 200


def addresses_of_localhost() -> list[str]:
    return sorted({str(info[4][0]) for info in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)})


@pytest.mark.parametrize("host", addresses_of_localhost())
async def test_localhost_is_found_at_each_of_its_addresses(client: Client, host: str) -> None:
    async with Target(answers(), host=host) as target:
        assert (await call(client, f"http://localhost:{target.port}/")).status == 200


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
async def test_ipv6(client: Client) -> None:
    async with Target(answers(), host="::1") as target:
        assert (await call(client, f"http://[::1]:{target.port}/")).status == 200
    assert target.seen[0].header("host") == f"[::1]:{target.port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that signed itself, with its key."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs the openssl command")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        [openssl, "req", *kind, *names, "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True
    )
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


def server_side(certificate: Path) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    return tls


async def test_unknown_certificate(client: Client, certificate: Path) -> None:
    async with Target(answers(), host="localhost", tls=server_side(certificate)) as target:
        with pytest.raises(NoAnswer) as told:
            await call(client, target.url)
    assert (told.value.reason, told.value.sent) == ("tls", False)
    assert not target.seen


async def test_certificate_that_the_environment_trusts(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with Client() as client, Target(answers(), host="localhost", tls=server_side(certificate)) as target:
        assert (await call(client, target.url)).status == 200
        with pytest.raises(NoAnswer, match="tls"):
            await call(client, target.url.replace("localhost", "127.0.0.1"))


@pytest.mark.parametrize("ending", ["closes", "resets", "waits"])
async def test_tls_that_never_comes_about(client: Client, ending: str) -> None:
    async def accepts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if ending == "waits":
            await reader.read(-1)
        elif ending == "closes":
            await reader.read(10)
        writer.transport.abort()

    async with await asyncio.start_server(accepts, "127.0.0.1", 0) as server:
        with pytest.raises(NoAnswer) as told:
            await call(client, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", timeout=0.6)
        await asyncio.sleep(0.05)
    assert (told.value.reason, told.value.sent) == ("connect_timeout" if ending == "waits" else "tls", False)


def waits(headers: Mapping[str, str]) -> float | None:
    return Answer(503, headers, b"", True).retry_after


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("+5", 5),
        ("120.1", 120.1),
        ("5.", 5),
        ("-1", 0),
        ("-1.5", 0),
        ("999999999999", 999999999999),
        ("Fri, 20 Nov 2026 12:01:30 GMT", 90),
        ("Friday, 20-Nov-26 12:01:30 GMT", 90),
        ("Fri Nov 20 12:01:30 2026", 90),
        ("Fri, 20 Nov 2026 14:01:30 +0200", 90),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("1e3", None),
        ("0x10", None),
        ("١٢", None),
        ("9" * 400, None),
        ("120, 120", None),
        ("2 minutes", None),
        ("Fri, 99 Nov 2026 12:01:30 GMT", None),
    ],
)
def test_retry_after(asked: str, seconds: float | None) -> None:
    assert waits({"retry-after": asked, "date": format_datetime(NOW, usegmt=True)}) == seconds


@pytest.mark.parametrize("date", [{}, {"date": "rubbish"}])
def test_retry_after_by_the_own_clock(date: dict[str, str]) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert waits({"retry-after": until, **date}) == pytest.approx(60, abs=5)


@given(asked=st.text(), date=st.text())
def test_no_retry_after_is_an_error(asked: str, date: str) -> None:
    seconds = waits({"retry-after": asked, "date": date})
    assert seconds is None or 0 <= seconds < 1e13


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://localhost:8080/a?b=c#d",
        "http://[::1]:5678/webhook",
        "HTTPS://EXAMPLE.com/%7Ea%2Fb",
        "https://bücher.example/x",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    assert checked_url(url) == url
