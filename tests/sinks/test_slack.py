import json
import logging
from collections.abc import Iterable
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from router.client import Client
from router.preview import sample_event
from router.schema import Event, EventType
from router.secret import Reference
from sinks.base import Delivery, Result
from sinks.slack import Slack
from sinks.slack_message import message
from sinks.slack_settings import SlackSettings
from tests.sinks.conformance import SinkConformance
from tests.sinks.fake_slack import TOKEN, FakeSlack
from tests.sinks.slack_events import EVENTS
from tests.sinks.target import Behaviour, Target, answers

BOT = {"token": Reference(TOKEN), "channel": "hiring"}
HOOK = {"webhook_url": Reference("https://hooks.slack.com/services/T1/B1/S3CRET")}
POSTED = b'{"ok":true,"channel":"C0123456789","ts":"17635.000001"}'


def slack(client: Client, **settings: Any) -> Slack:
    return Slack(SlackSettings.model_validate({"type": "slack", **settings}), client)


def delivery_of(sink: Slack, event: Event) -> Delivery:
    unrendered = Delivery("dlv_0a1b", event.model_dump_json().encode())
    return Delivery(unrendered.id, unrendered.event_body, sink.render(unrendered))


def moved() -> Event:
    return sample_event(EventType.STAGE_CHANGED)


class TestBotConformance(SinkConformance):
    sink = Slack
    success = POSTED
    broken = Result.AMBIGUOUS

    def settings(self, url: str) -> dict[str, Any]:
        return {**BOT, "api_url": url}


class TestWebhookConformance(SinkConformance):
    sink = Slack
    success: ClassVar[bytes] = b"ok"
    broken = Result.AMBIGUOUS

    def settings(self, url: str) -> dict[str, Any]:
        return {"webhook_url": Reference(url)}


# What is rendered, and what goes out


def test_rendered_alike_every_time() -> None:
    sink = slack(Client(), **BOT)
    first, again = delivery_of(sink, moved()), delivery_of(sink, moved())
    assert first.body == again.body
    assert json.loads(first.body) == {
        **message(moved()),
        "metadata": {"event_type": "ats_router_delivery", "event_payload": {"delivery_key": "dlv_0a1b"}},
    }


def test_incoming_webhooks_get_no_metadata() -> None:
    assert json.loads(delivery_of(slack(Client(), **HOOK), moved()).body) == message(moved())


@pytest.mark.parametrize(
    ("written", "target"), [("hiring", "#hiring"), ("#hiring", "#hiring"), ("C0123456789", "C0123456789")]
)
def test_target_of_a_bot(written: str, target: str) -> None:
    assert slack(Client(), **{**BOT, "channel": written}).target(moved()) == target


def test_target_of_a_webhook() -> None:
    assert slack(Client(), **HOOK).target(moved()) == "https://hooks.slack.com/services/T1/B1/S3CRET"


@pytest.mark.parametrize("name", EVENTS)
async def test_every_message_is_posted(client: Client, name: str) -> None:
    async with FakeSlack() as api:
        base = f"http://127.0.0.1:{api.port}"
        bot = slack(client, **BOT, api_url=f"{base}/api/")
        hook = slack(client, webhook_url=Reference(f"{base}/services/T1/B1/S3CRET"))
        outcomes = [await sink.attempt(delivery_of(sink, EVENTS[name])) for sink in (bot, hook)]
    assert [(outcome.result, outcome.reason) for outcome in outcomes] == [(Result.DELIVERED, "ok")] * 2
    [message_there] = api.channels["hiring"].messages
    assert json.loads(outcomes[0].response) == {"ok": True, "channel": "C0123456789", "ts": message_there["ts"]}
    assert api.posted[1] == message(EVENTS[name])


async def test_the_message_that_slack_repeats_may_be_long_and_is_not_kept(client: Client) -> None:
    told = json.dumps({**json.loads(POSTED), "message": {"text": "Ada" * 10_000}}).encode()
    async with Target(answers(200, told)) as target:
        sink = slack(client, **BOT, api_url=target.url)
        outcome = await sink.attempt(delivery_of(sink, moved()))
    assert (outcome.result, outcome.response) == (Result.DELIVERED, POSTED.decode())


async def test_request_of_a_bot(client: Client) -> None:
    async with FakeSlack() as api:
        sink = slack(client, **BOT, api_url=f"http://127.0.0.1:{api.port}/api")
        delivery = delivery_of(sink, moved())
        await sink.attempt(delivery)
        await sink.attempt(delivery)
    first, second = api.seen
    assert first.body == second.body == b'{"channel":"#hiring",' + delivery.body[1:]
    assert first.header("authorization") == f"Bearer {TOKEN}"


async def test_answers_of_the_fake_are_those_of_slack(client: Client) -> None:
    async with FakeSlack() as api:
        base = f"http://127.0.0.1:{api.port}/api"
        wrong_channel = slack(client, **{**BOT, "channel": "nowhere"}, api_url=base)
        wrong_token = slack(client, **{**BOT, "token": Reference("xoxb-other")}, api_url=base)
        waiting = delivery_of(wrong_channel, moved())
        outcomes = [await sink.attempt(waiting) for sink in (wrong_channel, wrong_token)]
        mended = await slack(client, **BOT, api_url=base).attempt(waiting)
    assert [(outcome.result, outcome.reason) for outcome in outcomes] == [
        (Result.RETRY, "channel_not_found"),
        (Result.REFUSED, "invalid_auth"),
    ]
    assert mended.result is Result.DELIVERED


# What the answers mean


async def outcomes_of_bot(client: Client, *behaviours: Behaviour) -> list[tuple[Result, str, float | None]]:
    async with Target(*behaviours) as target:
        sink = slack(client, **BOT, api_url=target.url)
        return await _outcomes(sink, len(behaviours))


async def outcomes_of_hook(client: Client, *behaviours: Behaviour) -> list[tuple[Result, str, float | None]]:
    async with Target(*behaviours) as target:
        return await _outcomes(slack(client, webhook_url=Reference(target.url)), len(behaviours))


async def _outcomes(sink: Slack, times: int) -> list[tuple[Result, str, float | None]]:
    delivery = delivery_of(sink, moved())
    outcomes = [await sink.attempt(delivery) for _ in range(times)]
    return [(outcome.result, outcome.reason, outcome.retry_after) for outcome in outcomes]


def refuses(errors: Iterable[str], **headers: str) -> list[Behaviour]:
    return [answers(200, json.dumps({"ok": False, "error": error}).encode(), **headers) for error in errors]


ERRORS = {
    Result.PERMANENT: "msg_too_long no_text invalid_blocks invalid_blocks_format msg_blocks_too_long"
    " too_many_attachments invalid_metadata_format invalid_metadata_schema metadata_too_large invalid_arguments",
    Result.REFUSED: "not_authed invalid_auth account_inactive token_revoked token_expired missing_scope"
    " not_allowed_token_type no_permission ekm_access_denied access_denied team_access_not_granted",
    Result.RETRY: "not_in_channel is_archived channel_not_found restricted_action restricted_action_read_only_channel"
    " messages_tab_disabled metadata_must_be_sent_from_app request_timeout ratelimited rate_limited"
    " something_new_of_2031",
    Result.AMBIGUOUS: "internal_error fatal_error service_unavailable",
}


@pytest.mark.parametrize("result", ERRORS)
async def test_errors_of_the_api(client: Client, result: Result) -> None:
    errors = ERRORS[result].split()
    assert await outcomes_of_bot(client, *refuses(errors)) == [(result, error, None) for error in errors]


@pytest.mark.parametrize(
    ("error", "only_here"), [("not_in_channel", True), ("is_archived", True), ("invalid_auth", False)]
)
async def test_what_one_channel_refuses_says_nothing_of_the_others(client: Client, error: str, only_here: bool) -> None:
    async with Target(*refuses([error])) as target:
        sink = slack(client, token=Reference("xoxb-1"), channel="hiring", api_url=target.url)
        assert (await sink.attempt(delivery_of(sink, moved()))).only_here is only_here


@pytest.mark.parametrize("error", ["ratelimited", "rate_limited"])
async def test_rate_limit_of_the_api(client: Client, error: str) -> None:
    told = json.dumps({"ok": False, "error": error}).encode()
    (outcome,) = await outcomes_of_bot(client, answers(429, told, retry_after="30"))
    assert outcome == (Result.RETRY, error, 30.0)


async def test_broken_api(client: Client) -> None:
    told = json.dumps({"ok": False, "error": "service_unavailable"}).encode()
    page = b"<!DOCTYPE html><title>Oh</title>"
    assert await outcomes_of_bot(
        client, answers(503, told), answers(500, page, retry_after="5"), answers(503, POSTED)
    ) == [
        (Result.AMBIGUOUS, "service_unavailable", None),
        (Result.AMBIGUOUS, "http_500", 5.0),
        (Result.AMBIGUOUS, "http_503", None),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>a proxy</html>",
        b"",
        b"ok",
        b"[]",
        b'{"ok":true',
        b'{"ok":"true"}',
        b'{"error":"x"}',
        b'{"ok":false}',
        b'{"ok":false,"error":["x"]}',
        b'{"ok":false,"error":"a b\\nc"}',
        b"\xff\xfe",
        b"[" * 20_000,
    ],
)
async def test_garbage_of_the_api_is_ambiguous(client: Client, body: bytes) -> None:
    assert await outcomes_of_bot(client, answers(200, body)) == [(Result.AMBIGUOUS, "garbage", None)]


async def test_wrong_address_of_the_api_can_be_mended(client: Client) -> None:
    outcomes = await outcomes_of_bot(client, answers(404, b"<html>no such page</html>"), answers(403))
    assert outcomes == [(Result.REFUSED, "http_404", None), (Result.REFUSED, "http_403", None)]


@pytest.mark.parametrize(
    ("status", "error", "result"),
    [
        (400, "invalid_payload", Result.PERMANENT),
        (400, "no_text", Result.PERMANENT),
        (400, "too_many_attachments", Result.PERMANENT),
        (400, "invalid_blocks", Result.PERMANENT),
        (400, "user_not_found", Result.RETRY),
        (403, "action_prohibited", Result.REFUSED),
        (403, "invalid_token", Result.REFUSED),
        (403, "posting_to_general_channel_denied", Result.REFUSED),
        (403, "team_disabled", Result.REFUSED),
        (404, "channel_not_found", Result.REFUSED),
        (404, "no_service", Result.REFUSED),
        (404, "no_service_id", Result.REFUSED),
        (404, "no_team", Result.REFUSED),
        (404, "no_active_hooks", Result.REFUSED),
        (410, "channel_is_archived", Result.REFUSED),
    ],
)
async def test_errors_of_webhooks(client: Client, status: int, error: str, result: Result) -> None:
    assert await outcomes_of_hook(client, answers(status, error.encode())) == [(result, error, None)]


async def test_other_answers_of_webhooks(client: Client) -> None:
    assert await outcomes_of_hook(
        client,
        answers(429, b"rate_limited", retry_after="3"),
        answers(500, b"rollup_error"),
        answers(200, b"<html>a proxy</html>"),
        answers(200, b""),
        answers(404, b"<html>no such page</html>"),
    ) == [
        (Result.RETRY, "http_429", 3.0),
        (Result.AMBIGUOUS, "http_500", None),
        (Result.AMBIGUOUS, "garbage", None),
        (Result.AMBIGUOUS, "garbage", None),
        (Result.REFUSED, "http_404", None),
    ]


# Settings and secrets

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "add token and channel"),
    "both": ({**BOT, **HOOK}, "webhook_url stands for itself"),
    "webhook with a channel": ({**HOOK, "channel": "hiring"}, "webhook_url stands for itself"),
    "no channel": ({"token": BOT["token"]}, "channel is missing"),
    "no token": ({"channel": "hiring"}, "token is missing"),
    "token in the file": ({**BOT, "token": "xoxb-1-S3CRET"}, "must not stand in this file"),
    "webhook in the file": ({"webhook_url": "https://hooks.slack.com/S3CRET"}, "must not stand in this file"),
    "another token": ({**BOT, "token": Reference("xapp-1-S3CRET")}, "begins with xoxb-"),
    "with Bearer": ({**BOT, "token": Reference("Bearer xoxb-1-S3CRET")}, "begins with xoxb-"),
    "with a break": ({**BOT, "token": Reference("xoxb-1-S3CRET\n")}, "begins with xoxb-"),
    "a channel's page": ({"webhook_url": Reference("https://acme.slack.com/S3CRET")}, "not an incoming webhook"),
    "Slack itself": ({"webhook_url": Reference("https://slack.com/S3CRET")}, "not an incoming webhook"),
    "no URL": ({"webhook_url": Reference("S3CRET")}, "a URL is https://"),
    "no URL of the API": ({**BOT, "api_url": "slack.com"}, "a URL is https://"),
    "capital letters": ({**BOT, "channel": "Hiring"}, "small letters"),
    "a space": ({**BOT, "channel": "hiring team"}, "small letters"),
    "no name": ({**BOT, "channel": "#"}, "small letters"),
    "a person": ({**BOT, "channel": "@ada"}, "small letters"),
    "a long name": ({**BOT, "channel": "x" * 81}, "small letters"),
}


@pytest.mark.parametrize(("settings", "words"), WRONG.values(), ids=WRONG)
def test_wrong_settings_are_told_once_and_without_secrets(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as told:
        SlackSettings.model_validate({"type": "slack", **settings})
    assert len(told.value.errors()) == 1
    assert words in str(told.value)
    assert "S3CRET" not in str(told.value)


@pytest.mark.parametrize("channel", ["hiring", "#hiring", "team_berlin-2", "bewerbungen-köln", "採用", "G01234ABCDE"])
def test_channels_that_are_taken(channel: str) -> None:
    SlackSettings.model_validate({"type": "slack", **BOT, "channel": channel})


@pytest.mark.parametrize("way", [BOT, HOOK], ids=["bot", "webhook"])
def test_settings_do_not_print_secrets(way: dict[str, Any]) -> None:
    settings = SlackSettings.model_validate({"type": "slack", **way})
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(Slack(settings, Client()))):
        assert "S3CRET" not in text


async def test_nothing_secret_is_logged_or_kept(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FakeSlack() as api:
        base = f"http://127.0.0.1:{api.port}"
        bot = slack(client, **BOT, api_url=f"{base}/api")
        hook = slack(client, webhook_url=Reference(f"{base}/services/T1/B1/S3CRET"))
        outcomes = [await sink.attempt(delivery_of(sink, moved())) for sink in (bot, hook)]
    assert "S3CRET" not in caplog.text
    assert "Lovelace" not in caplog.text
    assert "Lovelace" not in repr(outcomes)
    assert "S3CRET" not in repr(outcomes)
