"""What routes want otherwise of a sink, and what a sink gets: over the real intake and deliveries, to real targets."""

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import sinks
from handlers.stages import StageKinds
from router.allowed import AllowList
from router.client import Client
from router.delivery import Deliveries
from router.destinations import Destination
from router.intake import Intake, Job
from router.lanes import LaneLoop
from router.ledger import Ledger
from router.records import DeliveryRecord, Routed
from router.rules import Ruleset, SendTo, compile_route
from router.schema import Candidate, EventType, Fact, Told
from router.secret import Reference
from sinks.base import Delivery, Result, Sink
from tests.factories import PARTITION, RecordingSink, destination, make_fact, make_stage, receipt_of
from tests.router.any_event import markers
from tests.sinks.fake_slack import TOKEN, FakeSlack
from tests.sinks.target import Target, answers, disconnects

MOVED = make_fact(EventType.STAGE_CHANGED, to=make_stage("Onsite")).model_copy(
    update={"candidate": Candidate(id="7", name="Ada Lovelace")}
)
BOT = {"type": "slack", "token": Reference(TOKEN), "channel": "hiring"}


def of(client: Client, name: str = "recruiters", **settings: Any) -> Destination:
    checked = sinks.by_type()[settings["type"]].Settings.model_validate(settings)
    return Destination(name, sinks.by_type()[settings["type"]](checked, client), checked, client)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as client:
        yield client


class World:
    """Facts go in, and what becomes of them is waited for."""

    def __init__(self, ledger: Ledger, destinations: Sequence[Destination], *routes: Sequence[str | SendTo]) -> None:
        self._ledger = ledger
        by_name = {one.name: one for one in destinations}
        rules = Ruleset([compile_route(f"route-{i}", {}, to) for i, to in enumerate(routes)])
        intake = Intake(ledger, rules, StageKinds(()), by_name, lambda *_: None)
        self._intake = LaneLoop[Job, Routed](ledger, intake, 8)
        self._loops: list[LaneLoop[Any, Any]] = [LaneLoop(ledger, Deliveries(ledger, one), 8) for one in destinations]

    async def takes(self, fact: Fact) -> Mapping[str, DeliveryRecord]:
        """The deliveries of the fact's event, all done."""
        receipt = receipt_of(fact)
        await self._ledger.accept(PARTITION, [receipt])
        loops = [self._intake, *self._loops]
        running = [asyncio.create_task(loop.run()) for loop in loops]
        try:
            async with asyncio.timeout(10):
                while not (deliveries := await self._deliveries(receipt.id)):
                    for loop in loops:
                        loop.wake()
                    await asyncio.sleep(0.01)
                return deliveries
        finally:
            for loop in loops:
                loop.stop()
            await asyncio.gather(*running)

    async def _deliveries(self, receipt: str) -> Mapping[str, DeliveryRecord]:
        stored = await self._ledger.read_receipt(receipt)
        events = [await self._ledger.read_event(event) for event in stored.events] if stored else []
        found = {key: record for event in events if event for key, record in event.deliveries.items()}
        return found if all(record.state.terminal for record in found.values()) else {}


# --- settings of a route's own ------------------------------------------------------------------------------------


async def test_a_route_chooses_channel_and_words(ledger: Ledger, client: Client) -> None:
    async with FakeSlack() as api:
        slack = of(client, **{**BOT, "channel": "elsewhere", "api_url": f"http://127.0.0.1:{api.port}/api"})
        own = SendTo("recruiters", {"channel": "{{ 'hiring' }}", "template": "{{ candidate.name }}!"})
        [record] = (await World(ledger, [slack], [own]).takes(MOVED)).values()
    assert [attempt.result for attempt in record.attempts] == [Result.DELIVERED]
    assert [message["text"] for message in api.posted] == ["Ada Lovelace!"]
    assert record.overrides == own.overrides, "as written, so nothing of a candidate is in it"


async def test_each_channel_gets_its_own_delivery_and_the_same_channel_one(ledger: Ledger, client: Client) -> None:
    async with Target(answers(200, b'{"ok":true}')) as target:
        slack = of(client, **BOT, api_url=target.url)
        one, other = {"channel": "#{{ to_stage }}"}, {"channel": "onsite", "template": "never seen"}
        routes = [[SendTo("recruiters", overrides)] for overrides in ({}, one, other)]
        deliveries = await World(ledger, [slack], *routes).takes(MOVED)
    assert {record.routes for record in deliveries.values()} == {("route-0",), ("route-1", "route-2")}
    sent = [json.loads(request.body) for request in target.seen]
    assert {message["channel"] for message in sent} == {"#hiring", "#onsite"}
    assert not any("never" in message["text"] for message in sent)
    assert {request["metadata"]["event_payload"]["delivery_key"] for request in sent} == set(deliveries)


async def test_a_channel_that_can_not_be_falls_back_to_the_sinks_own(
    ledger: Ledger, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeSlack() as api:
        slack = of(client, **BOT, api_url=f"http://127.0.0.1:{api.port}/api")
        own = SendTo("recruiters", {"channel": "{{ candidate.name | truncate(100) }}", "template": "{{ to_stage }}"})
        fact = MOVED.model_copy(update={"candidate": Candidate(id="7", name="!" * 9 + "\u202e")})
        with caplog.at_level(logging.WARNING):
            [record] = (await World(ledger, [slack], [own]).takes(fact)).values()
    assert record.overrides == {"template": "{{ to_stage }}"}
    assert [message["text"] for message in api.posted] == ["Onsite"]
    [told] = [entry for entry in caplog.records if "can't be used for this event" in entry.message]
    assert (told.__dict__["sink"], told.__dict__["route"], told.__dict__["setting"]) == (
        "recruiters",
        "route-0",
        "channel",
    )
    assert "!!" not in str(told.__dict__)


async def test_a_sink_that_can_not_have_it_any_more_goes_by_its_own_settings(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    service = of(client, type="http", url="http://127.0.0.1:9/", fields=["job.title"])
    with caplog.at_level(logging.WARNING):
        assert service.as_kept({"body": {"text": "{{ candidate.name }}"}}, ["hires"]) is service.sink
    [told] = caplog.records
    assert (told.__dict__["routes"], told.__dict__["settings"]) == (["hires"], ["body"])


def test_a_sink_as_a_route_wants_it_is_made_once() -> None:
    slack = of(Client(), **BOT)
    assert slack.varied({}) is slack.sink
    assert slack.varied({"template": "x"}) is slack.varied({"template": "x"})
    assert slack.varied({"template": "x"}) is not slack.varied({"template": "y"})


# --- bodies of one's own ------------------------------------------------------------------------------------------


async def test_a_body_in_own_words_stays_the_same_at_every_attempt(ledger: Ledger, client: Client) -> None:
    body = {"text": "{{ candidate.name }} moved", "n": ["{{ sequence }}", "{{ job.title }}", 5], "to": "{{ to_stage }}"}
    async with Target(disconnects, answers()) as target:
        service = of(client, "service", type="http", url=target.url, retry={"first": "1ms"})
        [record] = (await World(ledger, [service], [SendTo("service", {"body": body})]).takes(MOVED)).values()
    first, second = target.seen
    assert first.body == second.body
    stage = {"id": "id of Onsite", "name": "Onsite", "kind": None, "index": None}
    assert json.loads(first.body) == {"text": "Ada Lovelace moved", "n": [1, None, 5], "to": stage}
    assert len(record.attempts) == 2


# --- privacy ------------------------------------------------------------------------------------------------------

FIELDS = ["candidate.name", "job.title", "application.stage.name"]
ALLOWED = AllowList(FIELDS)
MARKED = Fact(**{name: getattr(markers(), name) for name in Told.model_fields if name != "to_stage"})
_MARKER = re.compile(r"@([a-z_]+[A-Za-z_. ]*)@")


def leaked(text: str) -> set[str]:
    """Markers of what was not let through; the application's id stays with its stage."""
    return {path for path in _MARKER.findall(text) if not ALLOWED.covers(path)} - {"application.id"}


@pytest.mark.parametrize(
    "more",
    [{"type": "http"}, {"type": "http", "body": {"all": "{{ candidate }}", "job": "{{ job }}"}}, {"type": "slack"}],
    ids=["event", "body", "slack"],
)
async def test_a_sink_gets_nothing_but_its_fields(ledger: Ledger, client: Client, more: dict[str, Any]) -> None:
    async with Target(disconnects, answers(200, b"ok")) as target:
        where = {"url": target.url} if more["type"] == "http" else {"webhook_url": Reference(target.url)}
        settings = {**more, **where, "retry": {"first": "1ms"}}
        fields = ["candidate", "job", *FIELDS] if "body" in more else FIELDS
        [key] = await World(ledger, [of(client, **settings, fields=fields)], ["recruiters"]).takes(MARKED)
    first, second = target.seen
    assert first.body == second.body
    [stored] = await ledger.load_deliveries(PARTITION, [key])
    assert stored is not None
    assert stored.frozen == first.body, "also where other fields are let through meanwhile"
    assert "@candidate.name@" in first.body.decode()
    if "body" not in more:
        assert leaked(first.body.decode()) == set()
    else:
        assert {path.partition(".")[0] for path in _MARKER.findall(first.body.decode())} == {"candidate", "job"}


async def test_without_fields_a_sink_gets_all(ledger: Ledger, client: Client) -> None:
    async with Target(answers()) as target:
        service = of(client, "service", type="http", url=target.url)
        await World(ledger, [service], ["service"]).takes(MARKED)
    assert "candidate.emails" in leaked(target.seen[0].body.decode())


async def test_hris_columns_of_other_fields_stay_empty(ledger: Ledger, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "hris.db"
    needed = ["application.id", "candidate.id", "merged_into"]
    settings = {"type": "hris_staging", "url": f"sqlite:///{file}", "fields": [*FIELDS, *needed]}
    staging = of(client, "staging", **settings, extra={"title": "job.title"})
    await staging.sink.open()
    await World(ledger, [staging], ["staging"]).takes(MARKED)
    await staging.sink.close()
    with sqlite3.connect(file) as database:
        rows = [
            row
            for table in ("hris_staging", "hris_staging_events")
            for row in database.execute(f"SELECT * FROM {table}")
        ]
    database.close()
    text = json.dumps(rows)
    assert "@candidate.name@" in text
    assert leaked(text) - set(needed) == set()


def test_where_an_event_goes_is_decided_by_what_the_sink_may_get() -> None:
    class Telling(RecordingSink):
        def target(self, event: Any) -> str:
            return str(event.candidate)

    allowed = Telling.Settings(type="recording", fields=("job.title",))
    assert destination(Telling(), allowed).plan({}, markers(), "r").target == "None"


def test_a_preview_is_as_trimmed() -> None:
    service = of(Client(), type="http", url="http://127.0.0.1:9/", fields=FIELDS)
    assert leaked(service.body(service.plan({}, markers(), ""), markers()).decode()) == set()


async def test_what_is_whole_is_passed_on_as_it_is() -> None:
    sink: Sink = RecordingSink()
    delivery = Delivery("dlv_1", b"{}")
    assert destination(sink).let_through(delivery) is delivery
