import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import pytest

from handlers.stages import StageKinds
from router import codec
from router.enriching import Enricher
from router.identity import delivery_id
from router.intake import Intake, Job
from router.lanes import LaneLoop
from router.ledger import Ledger, sink_lane
from router.records import DeliveryState, NewReceipt, Routed, StoredEvent, WaitingFact
from router.rules import CompiledRoute, Ruleset, compile_route
from router.schema import Event, EventType, Outcome, StageKind
from tests.factories import PARTITION, SOURCE, RecordingSink, destination, make_fact, make_stage, receipt_of, until

EVERYTHING = compile_route("everything", {}, ["slack", "hris"])
MOVES = compile_route("moves", {"type": "StageChanged"}, ["slack"])
HIRES = compile_route("hires", {"application.outcome": "HIRED"}, ["hris", "nowhere else"])
SINKS = {name: destination(RecordingSink(), name=name) for name in ("slack", "hris", "nowhere else")}
MOVED = make_fact(EventType.STAGE_CHANGED, to=make_stage("Phone"))


class Taken:
    """An intake at work, and what it told the sinks' loops."""

    def __init__(
        self, ledger: Ledger, routes: Sequence[CompiledRoute], enrichers: Mapping[str, Enricher] | None = None
    ) -> None:
        self.rung: list[tuple[str, int]] = []
        intake = Intake(ledger, Ruleset(routes), StageKinds(()), SINKS, lambda *rung: self.rung.append(rung), enrichers)
        self.loop = LaneLoop[Job, Routed](ledger, intake, 16)
        self._ledger = ledger

    async def accept(self, *receipts: NewReceipt) -> None:
        await self._ledger.accept(PARTITION, receipts)
        self.loop.wake([PARTITION])


@pytest.fixture
async def taken(ledger: Ledger) -> AsyncIterator[Taken]:
    taken = Taken(ledger, [EVERYTHING, MOVES, HIRES])
    running = asyncio.create_task(taken.loop.run())
    yield taken
    taken.loop.stop()
    await running


async def events_of(ledger: Ledger, receipt: str) -> list[StoredEvent]:
    """The events of a receipt once all of its facts are worked off."""
    async with asyncio.timeout(3):
        while (stored := await ledger.read_receipt(receipt)) is None or stored.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    events = [await ledger.read_event(event) for event in stored.events]
    return [event for event in events if event is not None]


async def test_a_fact_becomes_an_event_with_one_delivery_per_sink_however_many_routes_lead_there(
    ledger: Ledger, taken: Taken
) -> None:
    receipt = receipt_of(MOVED)
    await taken.accept(receipt)
    [stored] = await events_of(ledger, receipt.id)
    event = Event.model_validate_json(stored.body)
    assert (event.type, event.sequence) == (EventType.STAGE_CHANGED, 1)
    assert stored.routes == ["everything", "moves"]
    assert {record.sink: record.routes for record in stored.deliveries.values()} == {
        "slack": ("everything", "moves"),
        "hris": ("everything",),
    }
    assert set(stored.deliveries) == {delivery_id(event.id, sink, "there") for sink in ("slack", "hris")}
    assert {record.state for record in stored.deliveries.values()} == {DeliveryState.PENDING}
    assert [(await ledger.backlog(sink_lane(sink))).subjects for sink in SINKS] == [1, 1, 0]


async def test_the_loops_of_the_sinks_are_told_where_deliveries_are(ledger: Ledger, taken: Taken) -> None:
    await taken.accept(receipt_of(MOVED))
    await until(lambda: len(taken.rung) == 2)
    assert set(taken.rung) == {("slack", PARTITION), ("hris", PARTITION)}


async def test_one_fact_can_make_events_for_different_routes(ledger: Ledger, taken: Taken) -> None:
    receipt = receipt_of(make_fact(EventType.STAGE_CHANGED, to=make_stage("Hired", StageKind.HIRED)))
    await taken.accept(receipt)
    moved, decided = await events_of(ledger, receipt.id)
    assert {record.sink for record in moved.deliveries.values()} == {"slack", "hris"}
    assert {record.sink for record in decided.deliveries.values()} == {"slack", "hris", "nowhere else"}


async def test_facts_of_one_application_know_of_each_other(ledger: Ledger, taken: Taken) -> None:
    hired = make_fact(EventType.OUTCOME_CHANGED, outcome=Outcome.HIRED)
    receipts = [receipt_of(MOVED, "1"), receipt_of(MOVED, "2"), receipt_of(hired, "3")]
    await taken.accept(*receipts)
    [last] = await events_of(ledger, receipts[2].id)
    event = Event.model_validate_json(last.body)
    assert event.application is not None
    assert (event.sequence, event.application.stage) == (2, make_stage("Phone"))
    assert await events_of(ledger, receipts[1].id) == []
    assert (await ledger.counts())[SOURCE, "unchanged"] == 1


@pytest.mark.parametrize("send_test", [False, True])
async def test_a_test_goes_to_real_sinks_only_when_asked_to(ledger: Ledger, taken: Taken, send_test: bool) -> None:
    receipt = receipt_of(MOVED, test=True, send_test=send_test)
    await taken.accept(receipt)
    [stored] = await events_of(ledger, receipt.id)
    assert Event.model_validate_json(stored.body).test
    expected = DeliveryState.PENDING if send_test else DeliveryState.SKIPPED
    assert {record.state for record in stored.deliveries.values()} == {expected}
    assert (await ledger.backlog(sink_lane("slack"))).subjects == send_test
    assert bool(taken.rung) is send_test


async def test_what_no_route_wants_is_kept_all_the_same(ledger: Ledger) -> None:
    taken = Taken(ledger, [MOVES])
    running = asyncio.create_task(taken.loop.run())
    receipt = receipt_of(make_fact(EventType.APPLICATION_CREATED))
    await taken.accept(receipt)
    [stored] = await events_of(ledger, receipt.id)
    assert (stored.routes, stored.deliveries) == ([], {})
    taken.loop.stop()
    await running


async def test_the_facts_of_a_receipt_are_told_in_their_order(ledger: Ledger, taken: Taken) -> None:
    receipts = [receipt_of(make_fact(EventType.APPLICATION_UPDATED), str(n)) for n in range(40)]
    for begin in (0, 16, 32):
        await taken.accept(*receipts[begin : begin + 16])
    sequences = [
        Event.model_validate_json(stored.body).sequence
        for receipt in receipts
        for stored in await events_of(ledger, receipt.id)
    ]
    assert sequences == list(range(1, 41))


@pytest.mark.parametrize("only_to", [(), ("hris",), ("hris", "removed since")])
async def test_what_a_backfill_tells_goes_to_its_sink_only(
    ledger: Ledger, taken: Taken, only_to: tuple[str, ...]
) -> None:
    plain = receipt_of(MOVED)
    [(subject, item)] = plain.facts
    waiting = WaitingFact.model_validate_json(codec.unpack(item)).model_copy(update={"only_to": only_to})
    receipt = replace(plain, facts=[(subject, codec.pack(waiting.model_dump_json().encode()))])
    await taken.accept(receipt)
    [stored] = await events_of(ledger, receipt.id)
    assert {record.sink: record.routes for record in stored.deliveries.values()} == dict.fromkeys(
        only_to[:1], ("backfill",)
    )
