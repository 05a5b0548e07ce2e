import io
from datetime import timedelta

import pytest
from rich.console import Console

from router.identity import subject_key
from router.ledger import Ledger, sink_lane
from router.records import (
    ApplicationState,
    Attempt,
    DeliveryRecord,
    DeliveryState,
    NewDelivery,
    NewEvent,
    Routed,
)
from router.rules import Ruleset, compile_route
from router.schema import Candidate, EventType, Job
from router.story import DeliveryStory, Story, events_of, print_story, read_story
from sinks.base import Result
from tests.factories import NOW, PARTITION, SOURCE, claim_one, make_receipt, make_record
from tests.router.test_headline import make

EVENT = "evt_00" + "a" * 24
DELIVERY = f"dlv_{EVENT[4:]}_12345678"
HOSTILE = "[red]Ada[/] [/] [link=https://evil.example]x[/link] \x1b[31m\u202e\\"


def printed(story: Story, *rules: tuple[str, dict[str, object]]) -> str:
    stream = io.StringIO()
    console = Console(file=stream, highlight=False, soft_wrap=True, force_terminal=False, width=200)
    print_story(
        story, Ruleset([compile_route(name, when, ["my-service"]) for name, when in rules]), console, rules_hash=""
    )
    return stream.getvalue()


def make_story(**fields: object) -> Story:
    told: dict[str, object] = {
        "event": make(EventType.APPLICATION_CREATED),
        "receipt_id": "rcp_1",
        "receipt": make_record(),
        "routes": ["all"],
        "deliveries": [],
    }
    return Story.model_validate(told | fields)


def with_delivery(**fields: object) -> Story:
    record = DeliveryRecord.model_validate({"sink": "my-service", "routes": ["all"]} | fields)
    return make_story(deliveries=[DeliveryStory(id=DELIVERY, record=record)])


def attempt(**fields: object) -> Attempt:
    return Attempt.model_validate(
        {"at": NOW, "ms": 12, "result": Result.RETRY, "reason": "http_500", "code": 500} | fields
    )


def test_a_story_tells_where_an_event_came_from_and_where_it_went() -> None:
    told = printed(
        with_delivery(state="delivered", attempts=[attempt(response="busy\nnow"), attempt(result="delivered")]),
        ("all", {}),
        ("hires", {"event": "OutcomeChanged"}),
    )
    for words in (
        "Ada Lovelace applied, Engineer  ApplicationCreated",
        "number 1 of its application",
        "from greenhouse (greenhouse)",
        "rcp_1  something, verified",
        "routes    all",
        'not hires: event is "ApplicationCreated", not "OutcomeChanged"',
        f"my-service  delivered  {DELIVERY}",
        "busy now",
    ):
        assert words in told, told
    assert "not all" not in told


def test_a_delivery_that_waits_tells_when_and_a_dead_one_why() -> None:
    later = NOW + timedelta(hours=1)
    assert "pending, next attempt 2026-11-20 13:00:00 UTC" in printed(
        with_delivery(next_at=later, attempts=[attempt()])
    )
    assert "dead (it was refused)" in printed(with_delivery(state="dead", reason="it was refused"))
    assert "next attempt" not in printed(with_delivery(state="delivered", next_at=later))


def test_a_story_without_routes_says_so() -> None:
    assert "none matched" in printed(make_story(routes=[]))
    assert "(test)" in printed(make_story(event=make(EventType.APPLICATION_CREATED, test=True)))


def test_nothing_that_came_from_outside_reaches_the_terminal_as_more_than_text() -> None:
    candidate, job = Candidate(id="1", name=HOSTILE), Job(title=HOSTILE)
    hostile = make(EventType.APPLICATION_CREATED, candidate=candidate, job=job, vendor_event=HOSTILE)
    record = DeliveryRecord(
        sink="my-service",
        routes=("all",),
        state=DeliveryState.DEAD,
        reason="[bold]why[/]",
        attempts=(attempt(response=HOSTILE, reason="[blink]http_500[/]"),),
    )
    told = printed(
        make_story(event=hostile, deliveries=[DeliveryStory(id=DELIVERY, record=record)]),
        ("[red]rule", {"job.title": "[blue]Engineer"}),
    )
    assert not set(told) & set("\x1b\u202e")
    assert told.count("[red]Ada[/]") == 5  # headline twice, the vendor's event, why the rule does not match, the answer
    assert "([bold]why[/])" in told
    assert "[blink]http_500[/]" in told
    assert "not [red]rule" in told


@pytest.mark.parametrize(
    "identifier",
    ["", "evt_", "evt_1", "rcp_" + "0" * 26, "nonsense", "dlv_x", "evt_zz" + "0" * 24, "evt_ff" + "0" * 24],
)
async def test_what_is_no_id_is_told_apart_from_an_unknown_one(ledger: Ledger, identifier: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (nobody reads the text)
        await read_story(ledger, identifier)
    assert await read_story(ledger, "evt_00" + "0" * 24) is None
    assert await read_story(ledger, "dlv_00" + "0" * 24 + "_12345678") is None


async def put_event(ledger: Ledger) -> str:
    """Bring a real event with one delivery into the ledger; the id of its receipt."""
    event = make(EventType.APPLICATION_CREATED, id=EVENT, source=SOURCE)
    subject = subject_key(SOURCE, None, event.subject)
    receipt = make_receipt("1", [(subject, b"item")])
    await ledger.accept(PARTITION, [receipt])
    claim = await claim_one(ledger)
    identifier = f"evt_{PARTITION:02x}" + "a" * 24
    new = NewEvent(
        identifier,
        event.type,
        event.model_dump_json().encode(),
        ["all"],
        [NewDelivery(f"dlv_{identifier[4:]}_12345678", DeliveryRecord(sink="my-service", routes=("all",)), subject)],
    )
    assert await ledger.commit(PARTITION, [Routed(claim, receipt.id, SOURCE, ApplicationState(sequence=1), [new])]) == [
        1
    ]
    return receipt.id


async def test_a_story_is_found_by_its_event_and_by_its_delivery(ledger: Ledger) -> None:
    receipt = await put_event(ledger)
    [event] = await events_of(ledger, receipt, within=1)
    told = await read_story(ledger, event)
    assert told is not None
    assert (told.receipt_id, told.receipt, list(told.routes)) == (receipt, make_record(), ["all"])
    [delivery] = told.deliveries
    assert await read_story(ledger, delivery.id) == told
    assert delivery.record.state is DeliveryState.PENDING


async def test_a_delivery_under_way_is_told_as_being_sent(ledger: Ledger) -> None:
    [event] = await events_of(ledger, await put_event(ledger), within=1)
    await claim_one(ledger, sink_lane("my-service"))
    told = await read_story(ledger, event)
    assert told is not None
    assert told.deliveries[0].record.state is DeliveryState.SENDING


async def test_events_are_waited_for_only_so_long(ledger: Ledger) -> None:
    receipt = make_receipt("1")
    await ledger.accept(PARTITION, [receipt])
    assert list(await events_of(ledger, receipt.id, within=0.05)) == []
    assert list(await events_of(ledger, "rcp_00" + "0" * 24, within=5)) == []
