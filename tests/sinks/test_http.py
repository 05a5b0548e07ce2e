import asyncio
import base64
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from router import transport
from router.client import Client
from router.secret import Reference
from sinks.base import Outcome, Result
from sinks.http import Http, HttpSettings
from tests.sinks.conformance import DELIVERY, SinkConformance
from tests.sinks.target import Target, answers, disconnects, then_closes

NEW = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD = base64.b64encode(bytes(range(100, 125))).decode().rstrip("=")


def http(client: Client, url: str, **settings: Any) -> Http:
    return Http(HttpSettings.model_validate({"type": "http", "url": url, **settings}), client)


class TestConformance(SinkConformance):
    sink = Http


def test_target_is_the_url() -> None:
    assert http(Client(), "https://example.com/a?b=c").target(DELIVERY.event) == "https://example.com/a?b=c"


async def test_request_as_it_goes_out(client: Client) -> None:
    async with Target(answers()) as target:
        before = int(time.time())
        await http(
            client, target.url + "?a=b", headers={"Authorization": Reference("Bearer x"), "X-Team": "TA"}
        ).attempt(DELIVERY)
    (request,) = target.seen
    assert request.line == "POST /hook?a=b HTTP/1.1"
    assert request.body == DELIVERY.body
    headers = dict(request.headers)
    assert len(headers) == len(request.headers)
    assert before <= int(headers.pop("webhook-timestamp")) <= time.time()
    assert headers.pop("user-agent").startswith("ats-router/")
    assert headers == {
        "host": f"127.0.0.1:{target.port}",
        "content-type": "application/json",
        "content-length": str(len(DELIVERY.body)),
        "accept": "*/*",
        "accept-encoding": "identity",
        "idempotency-key": DELIVERY.id,
        "webhook-id": DELIVERY.id,
        "authorization": "Bearer x",
        "x-team": "TA",
    }


async def test_quoted_idempotency_key(client: Client) -> None:
    async with Target(answers()) as target:
        await http(client, target.url, idempotency_key_quoted=True).attempt(DELIVERY)
    assert target.seen[0].header("idempotency-key") == f'"{DELIVERY.id}"'
    assert target.seen[0].header("webhook-id") == DELIVERY.id


async def test_own_content_type(client: Client) -> None:
    async with Target(answers()) as target:
        await http(client, target.url, headers={"Content-Type": "application/vnd.acme+json"}).attempt(DELIVERY)
    assert target.seen[0].header("content-type") == "application/vnd.acme+json"


async def test_both_secrets_of_a_rotation_verify(client: Client) -> None:
    async with Target(answers()) as target:
        await http(client, target.url, secret=[Reference(NEW), Reference(OLD)]).attempt(DELIVERY)
    (request,) = target.seen
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(request.body, dict(request.headers)) == json.loads(DELIVERY.body)
    assert (request.header("webhook-signature") or "").count("v1,") == 2


async def test_one_secret_makes_one_signature(client: Client) -> None:
    async with Target(answers()) as target:
        await http(client, target.url, secret=Reference(NEW)).attempt(DELIVERY)
    assert " " not in (target.seen[0].header("webhook-signature") or " ")


async def test_key_and_bytes_stay_while_time_and_signature_change(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Target(answers(503), disconnects, answers()) as target:
        sink = http(client, target.url, secret=Reference(NEW))
        now = time.time()
        results = []
        for later in (0, 10, 20):
            monkeypatch.setattr(time, "time", lambda moment=now + later: moment)
            results.append((await sink.attempt(DELIVERY)).result)
    assert results == [Result.RETRY, Result.AMBIGUOUS, Result.DELIVERED]
    assert {request.body for request in target.seen} == {DELIVERY.body}
    assert {request.header("idempotency-key") for request in target.seen} == {DELIVERY.id}
    assert {request.header("webhook-id") for request in target.seen} == {DELIVERY.id}
    assert [int(request.header("webhook-timestamp") or 0) for request in target.seen] == [
        int(now) + later for later in (0, 10, 20)
    ]
    assert len({request.header("webhook-signature") for request in target.seen}) == 3


@pytest.mark.parametrize(
    ("result", "statuses"),
    [
        (Result.DELIVERED, [200, 201, 202, 204, 299]),
        (Result.PERMANENT, [400, 402, 406, 411, 412, 413, 414, 415, 418, 422, 451]),
        (Result.REFUSED, [401, 403, 404, 405, 407, 410]),
        (Result.RETRY, [408, 409, 425, 429, 500, 501, 502, 503, 504, 505, 507, 511, 520, 529, 599, 999]),
    ],
)
async def test_statuses(client: Client, result: Result, statuses: list[int]) -> None:
    async with Target(*(answers(status) for status in statuses)) as target:
        sink = http(client, target.url)
        outcomes = [await sink.attempt(DELIVERY) for _ in statuses]
    reasons = ["ok" if result is Result.DELIVERED else f"http_{status}" for status in statuses]
    assert outcomes == [Outcome(result, reason, code) for reason, code in zip(reasons, statuses, strict=True)]


async def test_retry_after_as_a_date_by_the_clock_of_the_server(client: Client) -> None:
    theirs = datetime(2020, 1, 1, tzinfo=UTC)
    until = format_datetime(theirs + timedelta(minutes=2), usegmt=True)
    async with Target(answers(503, retry_after=until, date=format_datetime(theirs, usegmt=True))) as target:
        assert (await http(client, target.url).attempt(DELIVERY)).retry_after == 120


async def test_retry_after_counts_only_when_tried_again(client: Client) -> None:
    async with Target(answers(410, retry_after="9"), answers(302, retry_after="9")) as target:
        sink = http(client, target.url)
        assert [(await sink.attempt(DELIVERY)).retry_after for _ in range(2)] == [None, None]


async def test_connection_is_used_again_in_a_burst(client: Client) -> None:
    async with Target(answers(200, b"x" * 10_000)) as target:
        sink = http(client, target.url)
        for _ in range(5):
            await sink.attempt(DELIVERY)
    assert target.connections == 1


async def test_connection_that_the_server_closed_is_not_used(client: Client) -> None:
    async with Target(then_closes(answers())) as target:
        sink = http(client, target.url)
        assert (await sink.attempt(DELIVERY)).result is Result.DELIVERED
        await asyncio.sleep(0.05)
        assert (await sink.attempt(DELIVERY)).result is Result.DELIVERED
    assert target.connections == 2


async def test_connection_that_closes_under_a_request_is_ambiguous(client: Client) -> None:
    async with Target(answers(), disconnects) as target:
        sink = http(client, target.url)
        await sink.attempt(DELIVERY)
        assert await sink.attempt(DELIVERY) == Outcome(Result.AMBIGUOUS, "reset")
    assert (target.connections, len(target.seen)) == (1, 2)


async def test_idle_connection_is_given_up_before_servers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "KEEPALIVE", 0.05)
    async with Client() as client, Target(answers()) as target:
        sink = http(client, target.url)
        await sink.attempt(DELIVERY)
        await asyncio.sleep(0.1)
        await sink.attempt(DELIVERY)
    assert target.connections == 2


async def test_nothing_secret_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Target(answers(503, b"no"), disconnects, answers(302, location="/S3CRET")) as target:
        sink = http(
            client, target.url + "/S3CRET?key=S3CRET", secret=Reference(NEW), headers={"X-Key": Reference("S3CRET")}
        )
        for _ in range(3):
            await sink.attempt(DELIVERY)
    with caplog.at_level(logging.DEBUG):
        await http(client, "http://127.0.0.1:1/S3CRET").attempt(DELIVERY)
    assert "S3CRET" not in caplog.text
    assert "/hook" not in caplog.text


def test_settings_do_not_print_secrets() -> None:
    settings = HttpSettings.model_validate(
        {
            "type": "http",
            "url": "https://example.com/S3CRET",
            "secret": Reference(NEW),
            "headers": {"X-Key": "S3CRET", "X-Other": Reference("S3CRET")},
        }
    )
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(Http(settings, Client()))):
        assert "S3CRET" not in text
        assert NEW not in text


@pytest.mark.parametrize("text", [NEW, NEW.removeprefix("whsec_"), OLD, f"whsec_{OLD}", f"{NEW}\n"])
def test_secrets_that_are_taken(text: str) -> None:
    HttpSettings.model_validate({"type": "http", "url": "https://example.com", "secret": Reference(text)})


def _base64(size: int) -> Reference:
    return Reference("whsec_" + base64.b64encode(bytes([255] * size)).decode())


SECRET_HELP = "openssl rand -base64 32"
WRONG = {
    "no scheme": ({"url": "example.com/W00t"}, "https://"),
    "another scheme": ({"url": "ftp://example.com/W00t"}, "https://"),
    "no host": ({"url": "https:///W00t"}, "https://"),
    "port": ({"url": "https://example.com:99999/W00t"}, "https://"),
    "long label": ({"url": f"https://W00t{'a' * 64}.com/"}, "not a URL"),
    "empty label": ({"url": "https://W00t..com/"}, "not a URL"),
    "bad punycode": ({"url": "https://xn--/W00t"}, "not a URL"),
    "line break": ({"url": "https://example.com/W00t\nx"}, "not a URL"),
    "password": ({"url": "https://a:W00t@example.com/"}, "Authorization"),
    "not base64": ({"secret": Reference("whsec_W00t!")}, SECRET_HELP),
    "not ASCII": ({"secret": Reference("whsec_W00té" * 5)}, SECRET_HELP),
    "short secret": ({"secret": _base64(23)}, SECRET_HELP),
    "long secret": ({"secret": _base64(65)}, SECRET_HELP),
    "second secret": ({"secret": [Reference(NEW), Reference("W00t")]}, SECRET_HELP),
    "literal secret": ({"secret": "W00t"}, "must not stand in this file"),
    "header's name": ({"headers": {"X Y": "W00t"}}, "'X Y' is not a header's name"),
    "header's name with a break": ({"headers": {"X-Y\r\n": "W00t"}}, "is not a header's name"),
    "CR LF": ({"headers": {"X-Y": "W00t\r\nHost: evil"}}, "one line of ASCII"),
    "LF at the end": ({"headers": {"X-Y": Reference("W00t\n")}}, "one line of ASCII"),
    "umlaut": ({"headers": {"X-Y": "W00tü"}}, "one line of ASCII"),
    "empty": ({"headers": {"X-Y": ""}}, "one line of ASCII"),
    "twice": ({"headers": {"X-Y": "W00t", "x-y": "W00t"}}, "twice"),
    **{
        name: ({"headers": {name: "W00t"}}, f"'{name}' is set by the router")
        for name in ("webhook-id", "Webhook-Signature", "Idempotency-Key", "Host", "Content-Length", "Connection")
    },
    "misspelt": ({"urls": "W00t"}, "Extra inputs"),
}


@pytest.mark.parametrize(("settings", "words"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_told_without_their_values(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as told:
        HttpSettings.model_validate({"type": "http", "url": "https://example.com", **settings})
    assert words in str(told.value)
    assert "W00t" not in str(told.value)
    assert NEW not in str(told.value)
