"""What became of a message that may have been posted, as a bot looks it up; against a Slack over real HTTP."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.client import Client
from sinks import slack_history
from sinks.base import Delivery, Outcome, Result
from sinks.slack import Slack
from sinks.slack_history import EVENT_TYPE, PAGE, Histories, NotNow
from tests.sinks.fake_slack import TOKEN, Channel, FakeSlack
from tests.sinks.target import answers, disconnects, is_silent, says
from tests.sinks.test_slack import BOT, HOOK, delivery_of, moved, refuses, slack

HISTORY = "conversations.history"
POST = "chat.postMessage"


@pytest.fixture
async def api() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as api:
        yield api


def bot(client: Client, api: FakeSlack, **settings: Any) -> Slack:
    return slack(client, **{**BOT, "api_url": f"{api.base}/api", "timeout": "500ms", **settings})


async def looked_up(sink: Slack, delivery: Delivery, since: datetime | None = None) -> Outcome | None:
    return await sink.look_up(delivery, since or datetime.now(UTC))


async def post_without_an_answer(sink: Slack, api: FakeSlack, delivery: Delivery) -> None:
    api.after[POST] = [disconnects]
    assert (await sink.attempt(delivery)).result is Result.AMBIGUOUS


def of_us(key: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {"delivery_key": key}}


# Found or not


@pytest.mark.parametrize(
    ("channel", "identifier"),
    [("hiring", "C0123456789"), ("C0123456789", "C0123456789"), ("leads", "C0000000002")],
    ids=["by name", "by id", "private"],
)
@pytest.mark.parametrize(
    "failure",
    [is_silent, disconnects, answers(503), *refuses(["internal_error"])],
    ids=["silent", "reset", "503", "error"],
)
async def test_what_was_posted_is_found(
    client: Client, api: FakeSlack, channel: str, identifier: str, failure: Any
) -> None:
    sink = bot(client, api, channel=channel)
    delivery, since = delivery_of(sink, moved()), datetime.now(UTC)
    api.after[POST] = [failure]
    assert (await sink.attempt(delivery)).result is Result.AMBIGUOUS
    found = await sink.look_up(delivery, since)
    [message] = api.channels["leads" if channel == "leads" else "hiring"].messages
    told = f'{{"channel":"{identifier}","ts":"{message["ts"]}"}}'
    assert found == Outcome(Result.DELIVERED, "found", response=told)


@pytest.mark.parametrize("on_ambiguous", ["retry", "give_up"])
async def test_what_was_not_posted_is_sent_again(client: Client, api: FakeSlack, on_ambiguous: str) -> None:
    sink = bot(client, api, on_ambiguous=on_ambiguous)
    delivery = delivery_of(sink, moved())
    api.instead[POST] = [disconnects]
    assert (await sink.attempt(delivery)).result is Result.AMBIGUOUS
    assert await looked_up(sink, delivery) is None


async def test_messages_of_others_are_not_taken_for_it(client: Client, api: FakeSlack) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    api.say("hiring")
    api.say("hiring", of_us("dlv_another"))
    api.say("hiring", {"event_type": "theirs", "event_payload": {"delivery_key": delivery.id}})
    api.say("leads", of_us(delivery.id))
    assert await looked_up(sink, delivery) is None


@pytest.mark.parametrize(("later", "pages"), [(PAGE - 1, 1), (PAGE, 2), (5 * PAGE, 6)])
async def test_it_is_found_behind_newer_ones(client: Client, api: FakeSlack, later: int, pages: int) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    await post_without_an_answer(sink, api, delivery)
    for n in range(later):
        api.say("hiring", of_us(f"dlv_{n}"))
    found = await looked_up(sink, delivery)
    assert found is not None
    assert found.result is Result.DELIVERED
    assert len(api.calls(HISTORY)) == pages


async def test_no_more_is_read_than_since_the_first_attempt_by_clocks_that_differ(
    client: Client, api: FakeSlack
) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    api.ahead = -600.0
    for _ in range(40):
        api.say("hiring")
    api.ahead = -50.0
    await post_without_an_answer(sink, api, delivery)
    found = await looked_up(sink, delivery)
    assert found is not None
    assert len(api.calls(HISTORY)) == 1
    assert await looked_up(sink, replace(delivery, id="dlv_other")) is None
    assert len(api.calls(HISTORY)) == 2


async def test_where_the_first_attempt_is_not_known_it_is_looked_for_since_the_event_came(
    client: Client, api: FakeSlack
) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    api.ahead = moved().received_at.timestamp() - time.time() + 5
    await post_without_an_answer(sink, api, delivery)
    found = await sink.look_up(delivery, None)
    assert found is not None
    assert found.result is Result.DELIVERED


# What is read, and how often


async def test_all_who_look_at_the_same_time_share_what_is_read(client: Client, api: FakeSlack) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    for n in range(0, 64, 2):
        api.say("hiring", of_us(f"dlv_{n}"))
    found = await asyncio.gather(*(looked_up(sink, replace(delivery, id=f"dlv_{n}")) for n in range(64)))
    assert [one is not None for one in found] == [True, False] * 32
    assert len(api.calls("users.conversations")) == 1
    assert len(api.calls(HISTORY)) <= 6


async def test_the_next_reads_only_what_is_new(client: Client, api: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack_history, "LAGS_SECONDS", 0.0)
    sink = bot(client, api)
    delivery, since = delivery_of(sink, moved()), datetime.now(UTC)
    for _ in range(100):
        api.say("hiring")
    assert await looked_up(sink, delivery, since) is None
    before = len(api.calls(HISTORY))
    assert await looked_up(sink, delivery, since) is None
    await post_without_an_answer(sink, api, delivery)
    assert await looked_up(sink, delivery, since) is not None
    assert len(api.calls(HISTORY)) == before + 2


async def test_one_who_looks_further_back_is_not_told_what_others_did_not_read(client: Client, api: FakeSlack) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    api.ahead = -600.0
    await post_without_an_answer(sink, api, delivery)
    api.ahead = 0.0
    now, before = datetime.now(UTC), datetime.now(UTC) - timedelta(seconds=600)
    others = [looked_up(sink, replace(delivery, id=f"dlv_{n}"), now) for n in range(3)]
    *nothing, found = await asyncio.gather(*others, looked_up(sink, delivery, before))
    assert nothing == [None] * 3
    assert found is not None
    assert found.result is Result.DELIVERED


async def test_what_shows_late_is_found(client: Client, api: FakeSlack) -> None:
    """A message older than the newest that was read, as others are shown before it."""
    sink = bot(client, api)
    delivery, since = delivery_of(sink, moved()), datetime.now(UTC)
    api.ahead = 3.0
    api.say("hiring")
    assert await looked_up(sink, delivery, since) is None
    await post_without_an_answer(sink, api, delivery)
    api.channels["hiring"].messages.sort(key=lambda one: str(one["ts"]))
    messages = api.channels["hiring"].messages
    messages[0]["ts"], messages[1]["ts"] = messages[1]["ts"], messages[0]["ts"]
    messages.reverse()
    assert await looked_up(sink, delivery, since) is not None


async def test_a_channel_of_many_is_found_by_name_once(client: Client, api: FakeSlack) -> None:
    api.channels_page = 2
    for n in range(5):
        api.channels[f"other-{n}"] = Channel(f"C000000010{n}")
    api.channels["last"] = Channel("C0000000999")
    sink = bot(client, api, channel="last")
    delivery = delivery_of(sink, moved())
    for _ in range(3):
        assert await looked_up(sink, delivery) is None
    assert len(api.calls("users.conversations")) == 4


async def test_with_an_id_the_channels_are_not_listed(client: Client, api: FakeSlack) -> None:
    api.scopes -= {"channels:read", "groups:read"}
    sink = bot(client, api, channel="C0123456789", on_ambiguous="give_up")
    assert await looked_up(sink, delivery_of(sink, moved())) is None
    assert not api.calls("users.conversations")


# It can't be told now


@pytest.mark.parametrize("method", [HISTORY, "users.conversations"])
async def test_the_limit_of_reading_is_kept_and_slows_nothing_else(client: Client, api: FakeSlack, method: str) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    api.instead[method] = [answers(429, b'{"ok":false,"error":"ratelimited"}', retry_after="30")]
    first = await looked_up(sink, delivery)
    assert first == Outcome(Result.RETRY, "look_up_ratelimited", 429, retry_after=30.0, only_here=True)
    again = await looked_up(sink, delivery)
    assert again is not None
    assert again.retry_after == pytest.approx(30, abs=2)
    assert len(api.calls(method)) == 1
    assert (await sink.attempt(delivery)).result is Result.DELIVERED


async def test_what_the_limit_broke_off_goes_on_where_it_was(client: Client, api: FakeSlack) -> None:
    """One page a minute, as apps get that are distributed outside of the Marketplace."""
    sink = bot(client, api)
    delivery, since = delivery_of(sink, moved()), datetime.now(UTC)
    await post_without_an_answer(sink, api, delivery)
    for _ in range(3 * PAGE):
        api.say("hiring")
    results = [(await one_page(sink, api, delivery, since)).result for _ in range(4)]
    assert results == [Result.RETRY] * 3 + [Result.DELIVERED]


async def one_page(sink: Slack, api: FakeSlack, delivery: Delivery, since: datetime) -> Outcome:
    api.instead[HISTORY] = [None, answers(429, retry_after="0.01")]
    found = await sink.look_up(delivery, since)
    await asyncio.sleep(0.02)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("failure", "reason", "code"),
    [
        (answers(503), "http_503", 503),
        (answers(500, b'{"ok":false,"error":"fatal_error"}'), "fatal_error", 500),
        (answers(200, b'{"ok":false,"error":"internal_error"}'), "internal_error", 200),
        (is_silent, "timeout", None),
        (disconnects, "reset", None),
        (says(b"220 mail\r\n"), "garbage", None),
        (answers(200, b"<html>a proxy</html>"), "garbage", 200),
        (answers(200, b'{"ok":true}'), "garbage", 200),
        (answers(200, b'{"ok":true,"messages":{}}'), "garbage", 200),
        (answers(200, b'{"ok":true,"messages":[],"has_more":true}'), "garbage", 200),
        (answers(200, b'{"ok":false,"error":"a\\nb"}'), "garbage", 200),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
async def test_where_slack_fails_it_is_asked_later(
    client: Client, api: FakeSlack, failure: Any, reason: str, code: int | None
) -> None:
    sink = bot(client, api, channel="C0123456789", on_ambiguous="give_up")
    delivery, since = delivery_of(sink, moved()), datetime.now(UTC)
    await post_without_an_answer(sink, api, delivery)
    api.instead[HISTORY] = [failure]
    failed = Outcome(Result.RETRY, f"look_up_{reason}", code, retry_after=slack_history.ASK_AGAIN_SECONDS)
    assert await sink.look_up(delivery, since) == failed
    later = await sink.look_up(delivery, since)
    assert later is not None
    assert replace(later, retry_after=failed.retry_after) == failed
    assert len(api.calls(HISTORY)) == 1


async def test_rubbish_among_the_messages_is_passed_over(client: Client, api: FakeSlack) -> None:
    sink = bot(client, api)
    delivery = delivery_of(sink, moved())
    await post_without_an_answer(sink, api, delivery)
    [there] = api.channels["hiring"].messages
    metadata: list[Any] = [None, [], "x", {"event_type": 7}, {"event_type": EVENT_TYPE[1:]}]
    rubbish = [{"ts": there["ts"], "metadata": one} for one in metadata]
    page = {"ok": True, "messages": [None, 7, {}, {"ts": 7}, {"ts": "\u0663.5"}, *rubbish, there]}
    api.instead[HISTORY] = [answers(200, json.dumps(page).encode())]
    found = await looked_up(sink, delivery)
    assert found is not None
    assert found.result is Result.DELIVERED


async def test_a_cursor_that_is_no_longer_taken_is_let_go(
    client: Client, api: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_history, "ASK_AGAIN_SECONDS", 0.0)
    sink = bot(client, api)
    delivery, since = delivery_of(sink, moved()), datetime.now(UTC)
    await post_without_an_answer(sink, api, delivery)
    for _ in range(PAGE):
        api.say("hiring")
    assert (await one_page(sink, api, delivery, since)).result is Result.RETRY
    api.instead[HISTORY] = [*refuses(["invalid_cursor"])]
    failed = await sink.look_up(delivery, since)
    assert failed is not None
    assert failed.reason == "look_up_invalid_cursor"
    assert b"cursor" in api.calls(HISTORY)[-1].body
    before = len(api.calls(HISTORY))
    found = await sink.look_up(delivery, since)
    assert found is not None
    assert found.result is Result.DELIVERED
    assert b"cursor" not in api.calls(HISTORY)[before].body


@pytest.mark.parametrize("error", ["invalid_auth", "token_revoked", "account_inactive", "token_expired", "not_authed"])
async def test_a_token_that_is_refused_parks_the_sink(client: Client, api: FakeSlack, error: str) -> None:
    sink = bot(client, api)
    api.instead["users.conversations"] = [*refuses([error])]
    assert await looked_up(sink, delivery_of(sink, moved())) == Outcome(Result.REFUSED, error, 200)


async def test_endless_pages_end_with_the_time_limit(client: Client, api: FakeSlack) -> None:
    page = b'{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":"x"}}'
    sink = bot(client, api)
    api.instead[HISTORY] = [answers(200, page)] * 10_000
    unfinished = await looked_up(sink, delivery_of(sink, moved()))
    assert unfinished == Outcome(Result.RETRY, "look_up_unfinished", only_here=True)


# It can't be told at all


async def _may_not(api: FakeSlack, why: str) -> None:
    if why == "not_in_channel":
        api.channels["hiring"].member = False
    elif why == "http_403":
        api.instead[HISTORY] = [answers(403, b"<html>no</html>")]
    else:
        api.scopes.discard(why)


BLIND = {
    "channels:history": "missing_scope",
    "channels:read": "missing_scope",
    "groups:read": "missing_scope",
    "metadata.message:read": "missing_scope",
    "not_in_channel": "not_in_channel",
    "http_403": "http_403",
}


@pytest.mark.parametrize(("why", "reason"), BLIND.items(), ids=BLIND)
@pytest.mark.parametrize("on_ambiguous", ["retry", "give_up"])
async def test_where_it_can_not_be_looked_up_the_setting_decides(
    client: Client, api: FakeSlack, caplog: pytest.LogCaptureFixture, why: str, reason: str, on_ambiguous: str
) -> None:
    sink = bot(client, api, on_ambiguous=on_ambiguous)
    delivery = delivery_of(sink, moved())
    await post_without_an_answer(sink, api, delivery)
    await _may_not(api, why)
    given_up = Outcome(Result.AMBIGUOUS, f"look_up_{reason}", only_here=True)
    assert await looked_up(sink, delivery) == (given_up if on_ambiguous == "give_up" else None)
    [told] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert vars(told)["delivery"] == delivery.id
    assert vars(told)["reason"] == f"look_up_{reason}"
    assert "S3CRET" not in caplog.text


async def test_without_the_scope_nothing_can_be_told_of_a_message_that_is_not_there(
    client: Client, api: FakeSlack
) -> None:
    sink = bot(client, api, on_ambiguous="give_up")
    api.scopes.discard("metadata.message:read")
    given_up = Outcome(Result.AMBIGUOUS, "look_up_missing_scope", only_here=True)
    assert await looked_up(sink, delivery_of(sink, moved())) == given_up


async def test_metadata_that_slack_hides_are_not_taken_for_a_message_that_is_not_there(
    client: Client, api: FakeSlack
) -> None:
    """Also where it does not tell the scopes of the token."""
    sink = bot(client, api, channel="C0123456789", on_ambiguous="give_up")
    delivery = delivery_of(sink, moved())
    page = b'{"ok":true,"messages":[{"ts":"1.2","metadata":{"event_type":"ats_router_delivery"}}]}'
    api.instead[HISTORY] = [answers(200, page)]
    given_up = Outcome(Result.AMBIGUOUS, "look_up_missing_scope", only_here=True)
    assert await looked_up(sink, delivery) == given_up


async def test_a_channel_that_is_none_is_not_looked_up(client: Client, api: FakeSlack) -> None:
    sink = bot(client, api, channel="{{ job }}", on_ambiguous="give_up")
    event = moved().model_copy(update={"job": None})
    given_up = Outcome(Result.AMBIGUOUS, "look_up_no_channel", only_here=True)
    assert await looked_up(sink, delivery_of(sink, event)) == given_up


@pytest.mark.parametrize(("on_ambiguous", "gives_up"), [("retry", False), ("give_up", True)])
async def test_a_webhook_has_no_look_up(client: Client, on_ambiguous: str, gives_up: bool) -> None:
    sink = slack(client, **HOOK, on_ambiguous=on_ambiguous)
    assert await looked_up(sink, delivery_of(sink, moved())) is None
    assert (sink.gives_up_ambiguous, sink.shows_after) == (gives_up, 0.0)


@pytest.mark.parametrize("on_ambiguous", ["retry", "give_up"])
def test_a_bot_looks_before_it_gives_up_and_not_at_once(on_ambiguous: str) -> None:
    sink = slack(Client(), **BOT, on_ambiguous=on_ambiguous)
    assert not sink.gives_up_ambiguous
    assert sink.shows_after >= 3


# Whatever happens in the channel

keys = st.integers(0, 5).map("dlv_{}".format)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("post"), keys),
        st.tuples(st.just("others"), st.integers(1, 40)),
        st.tuples(st.just("look"), keys),
        st.tuples(st.just("fail"), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40)
@given(steps)
def test_it_is_found_if_and_only_if_it_is_there(steps: list[tuple[str, Any]]) -> None:
    asyncio.run(_finds(steps))


async def _finds(steps: list[tuple[str, Any]]) -> None:
    posted, began = set(), time.time()
    async with FakeSlack() as api, Client() as client:
        histories = Histories(client, f"{api.base}/api", TOKEN, 5.0)
        for what, value in steps:
            if what == "post":
                posted.add(value)
                api.say("hiring", of_us(value))
            elif what == "others":
                for _ in range(value):
                    api.say("hiring")
            elif what == "fail":
                api.after[HISTORY] = [answers(500)] * value
            else:
                try:
                    found = await histories.find("C0123456789", value, began)
                except NotNow:
                    histories._again_at = 0.0  # some time later
                else:
                    assert (found is not None) == (value in posted)
