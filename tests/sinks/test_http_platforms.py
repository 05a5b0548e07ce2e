"""The HTTP sink: credentials, certificates, CloudEvents, and platforms whose answers are particular."""

import base64
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from router.client import Client
from router.secret import Reference
from sinks.base import Delivery, Outcome, Result
from sinks.http import Http, HttpSettings
from tests.sinks.conformance import DELIVERY
from tests.sinks.target import Target, answers


def http(client: Client, url: str, **settings: Any) -> Http:
    return Http(HttpSettings.model_validate({"type": "http", "url": url, **settings}), client)


async def attempt(sink: Http, delivery: Delivery = DELIVERY) -> Outcome:
    return await sink.attempt(Delivery(delivery.id, delivery.event_body, sink.render(delivery), delivery.late))


def wrong(**settings: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        HttpSettings.model_validate({"type": "http", "url": "https://example.com/", **settings})
    return str(raised.value)


# --- credentials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"bearer": Reference("t0k3n")}, "Bearer t0k3n"),
        ({"basic": {"user": "me", "password": Reference("p:w")}}, "Basic " + base64.b64encode(b"me:p:w").decode()),
    ],
)
async def test_credentials_that_last(client: Client, auth: dict[str, Any], header: str) -> None:
    async with Target(answers(200)) as target:
        await attempt(http(client, target.url, auth=auth))
    assert target.seen[0].header("authorization") == header


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth": {}}, "one of bearer, basic and oauth"),
        ({"auth": {"bearer": Reference("a"), "basic": {"user": "u", "password": Reference("p")}}}, "one of bearer"),
        ({"auth": {"bearer": "literal"}}, "must not stand in this file"),
        ({"auth": {"bearer": Reference("two\nlines")}}, "one line of ASCII"),
        ({"auth": {"bearer": Reference("t")}, "headers": {"Authorization": "x"}}, "remove one of them"),
    ],
)
def test_credentials_that_can_not_be(settings: dict[str, Any], words: str) -> None:
    told = wrong(**settings)
    assert words in told
    assert "lines" not in told.replace("one line", "")


class Tokens:
    """A server that gives tokens t1, t2, ... and an endpoint that takes those that are good."""

    def __init__(self, *good: str, status: int = 200, life: Any = 3600) -> None:
        self._good, self._status, self._life = good, status, life
        self.asked: list[dict[str, str]] = []
        self.authorizations: list[str] = []

    async def __aenter__(self) -> "Tokens":
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_post("/events", self._events)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append(dict(await request.post()))  # type: ignore[arg-type]
        given = {"access_token": f"t{len(self.asked)}", "expires_in": self._life, "token_type": "Bearer"}
        return web.json_response(given if self._status == 200 else {"error": "no"}, status=self._status)

    async def _events(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers["authorization"])
        return web.Response(status=200 if request.headers["authorization"][7:] in self._good else 401)

    def auth(self) -> dict[str, Any]:
        secret = Reference("s3cr3t")
        return {"oauth": {"token_url": f"{self.url}/token", "client_id": "me", "client_secret": secret, "scope": "all"}}


async def outcomes(client: Client, tokens: Tokens, times: int) -> list[tuple[Result, str]]:
    sink = http(client, f"{tokens.url}/events", auth=tokens.auth())
    return [(one.result, one.reason) for one in [await attempt(sink) for _ in range(times)]]


async def test_a_token_is_asked_for_once_and_used(client: Client) -> None:
    async with Tokens("t1") as tokens:
        assert await outcomes(client, tokens, 3) == [(Result.DELIVERED, "ok")] * 3
    expected = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s3cr3t", "scope": "all"}
    assert tokens.asked == [expected]
    assert tokens.authorizations == ["Bearer t1"] * 3


async def test_a_token_that_ends_is_asked_for_again(client: Client) -> None:
    async with Tokens("t1", "t2", life="30") as tokens:
        assert await outcomes(client, tokens, 2) == [(Result.DELIVERED, "ok")] * 2
    assert len(tokens.asked) == 2


async def test_a_token_that_was_taken_back_is_renewed_once(client: Client) -> None:
    async with Tokens("t2") as tokens:
        assert await outcomes(client, tokens, 1) == [(Result.DELIVERED, "ok")]
    async with Tokens() as tokens:
        assert await outcomes(client, tokens, 1) == [(Result.REFUSED, "http_401")]
    assert len(tokens.asked) == 2


@pytest.mark.parametrize(("status", "result"), [(400, Result.REFUSED), (401, Result.REFUSED), (503, Result.RETRY)])
async def test_without_a_token_nothing_is_sent(client: Client, status: int, result: Result) -> None:
    async with Tokens("t1", status=status) as tokens:
        assert await outcomes(client, tokens, 1) == [(result, "no_access_token")]
    assert tokens.authorizations == []


async def test_where_no_token_server_is_the_delivery_was_not_sent(client: Client) -> None:
    async with Tokens("t1") as tokens:
        pass
    assert await outcomes(client, tokens, 1) == [(Result.RETRY, "no_access_token")]


# --- certificates -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate of the server and of ours from it."""
    folder = tmp_path_factory.mktemp("pems")

    def openssl(line: str) -> None:
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)

    new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl(f"{new} -x509 -days 2 -subj /CN=ours -keyout ca.key -out ca.pem -addext keyUsage=critical,keyCertSign")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("server", "client", "stranger"):
        openssl(f"{new} -subj /CN={name} -keyout {name}.key -out {name}.csr")
        openssl(f"x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -extfile names -out {name}.pem")
    return folder


async def https(folder: Path) -> tuple[web.AppRunner, str]:
    """A server that lets in who has a certificate of our authority only."""

    async def take(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    return runner, f"https://127.0.0.1:{runner.addresses[0][1]}/"


async def test_a_certificate_of_ours_lets_us_in(client: Client, pems: Path) -> None:
    runner, url = await https(pems)
    ours = {"certificate": pems / "client.pem", "key": pems / "client.key", "ca": pems / "ca.pem"}
    got_in = await attempt(http(client, url, tls=ours))
    without = await attempt(http(client, url, tls={"ca": pems / "ca.pem"}))
    unknown = await attempt(http(client, url))
    await runner.cleanup()
    assert got_in.result is Result.DELIVERED
    assert without.result is not Result.DELIVERED
    assert (unknown.result, unknown.reason) == (Result.RETRY, "tls")


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({"certificate": "client.pem", "key": "nowhere.key"}, "key: there is no file"),
        ({"certificate": "client.pem", "key": "stranger.key"}, "certificate: it can't be used with this key"),
        ({"certificate": "client.pem"}, "certificate: it can't be used"),
        ({"ca": "client.key"}, "ca: this is no PEM file"),
        ({"key": "client.key"}, "write certificate"),
    ],
)
def test_certificates_that_can_not_be_used(pems: Path, tls: dict[str, str], words: str) -> None:
    assert words in wrong(tls={name: pems / file for name, file in tls.items()})


def test_certificates_want_https(pems: Path) -> None:
    assert "https:// only" in wrong(url="http://example.com/", tls={"ca": pems / "ca.pem"})


# --- CloudEvents --------------------------------------------------------------------------------------------------


async def test_a_structured_cloudevent(client: Client) -> None:
    async with Target(answers(200)) as target:
        await attempt(http(client, target.url, format="cloudevents"))
    [seen] = target.seen
    told = json.loads(seen.body)
    assert seen.header("content-type") == "application/cloudevents+json"
    assert told.pop("data") == json.loads(DELIVERY.event_body)
    assert told == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/ats-router/greenhouse-eu",
        "type": "ats-router.ApplicationCreated",
        "time": "2026-11-20T09:00:00Z",
        "datacontenttype": "application/json",
        "subject": "77",
    }
    assert seen.header("idempotency-key") == DELIVERY.id


async def test_a_binary_cloudevent_with_a_body_of_ones_own(client: Client) -> None:
    odd = Delivery(DELIVERY.id, DELIVERY.event_body.replace(b'"id":"77"', '"id":"7 ü%"'.encode()))
    async with Target(answers(200)) as target:
        sink = http(client, target.url, format="cloudevents-binary", body={"who": "{{ candidate.name }}"})
        await attempt(sink, odd)
    [seen] = target.seen
    assert json.loads(seen.body) == {"who": "Zoë Łuczak"}
    assert seen.header("content-type") == "application/json"
    assert seen.header("ce-type") == "ats-router.ApplicationCreated"
    assert seen.header("ce-subject") == "7%20%C3%BC%25"
    assert seen.header("ce-datacontenttype") is None


async def test_what_comes_late_says_so(client: Client) -> None:
    async with Target(answers(200), answers(200)) as target:
        await attempt(http(client, target.url))
        await attempt(http(client, target.url), Delivery(DELIVERY.id, DELIVERY.event_body, late=True))
    assert [seen.header("ats-router-late") for seen in target.seen] == [None, "true"]


# --- platforms ----------------------------------------------------------------------------------------------------

INACTIVE = b'{"code":404,"message":"The requested webhook \\"POST x\\" is not registered."}'


@pytest.mark.parametrize(
    ("preset", "status", "body", "result", "reason"),
    [
        ("n8n", 200, b'{"message":"Workflow was started"}', Result.DELIVERED, "ok"),
        ("n8n", 404, INACTIVE, Result.REFUSED, "workflow_inactive"),
        ("n8n", 500, b"", Result.RETRY, "http_500"),
        ("make", 200, b"Accepted", Result.DELIVERED, "ok"),
        ("make", 400, b"Queue is full.", Result.RETRY, "queue_full"),
        ("make", 400, b"Invalid JSON", Result.PERMANENT, "http_400"),
        ("make", 410, b"There is no scenario listening for this webhook.", Result.REFUSED, "webhook_inactive"),
        ("make", 429, b"Too many requests", Result.RETRY, "http_429"),
        ("zapier", 200, b'{"status":"success"}', Result.DELIVERED, "ok_unproven"),
        ("zapier", 429, b"", Result.RETRY, "http_429"),
        (None, 400, b"Queue is full.", Result.PERMANENT, "http_400"),
    ],
)
async def test_what_platforms_mean_by_their_answers(
    client: Client, preset: str | None, status: int, body: bytes, result: Result, reason: str
) -> None:
    async with Target(answers(status, body)) as target:
        outcome = await attempt(http(client, target.url, preset=preset))
    assert (outcome.result, outcome.reason, outcome.code) == (result, reason, status)


@pytest.mark.parametrize(("preset", "rate"), [("make", 25.0), ("zapier", 10.0), ("n8n", None), (None, None)])
def test_platforms_bring_the_rate_that_they_bear(preset: str | None, rate: float | None) -> None:
    settings = {"type": "http", "url": "https://example.com/", "preset": preset}
    assert HttpSettings.model_validate(settings).rate == rate
    assert HttpSettings.model_validate({**settings, "rate": "1/s"}).rate == 1.0


def test_the_test_url_of_n8n_is_refused() -> None:
    assert "test URL" in wrong(preset="n8n", url="https://n8n.example.com/webhook-test/x")
