"""Small makers of facts, receipts and deliveries: what a test does not say has a plain value."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from handlers.base import Disposition
from router import codec
from router.client import Client
from router.destinations import Destination
from router.identity import delivery_id, event_id, partition_of, receipt_id, subject_key
from router.ledger import INTAKE, Ledger
from router.records import (
    ApplicationState,
    Claim,
    DeliveryRecord,
    NewDelivery,
    NewEvent,
    NewReceipt,
    ReceiptRecord,
    Routed,
    WaitingFact,
)
from router.schema import (
    CANDIDATE_TYPES,
    Application,
    Candidate,
    Event,
    EventType,
    Fact,
    Interview,
    Offer,
    Outcome,
    Stage,
    StageKind,
)
from sinks import base
from sinks.base import Delivery, Result, Sink, SinkSettings

T = TypeVar("T")

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SOURCE = "greenhouse"
PARTITION = partition_of(SOURCE, None)


def make_stage(name: str, kind: StageKind | None = None) -> Stage:
    return Stage(id=f"id of {name}", name=name, kind=kind)


def make_fact(
    event_type: EventType,
    *,
    to: Stage | None = None,
    stage: Stage | None = None,
    outcome: Outcome | None = None,
    is_prospect: bool | None = None,
    application: str = "1",
    version: str | None = None,
    occurred_at: datetime | None = NOW,
) -> Fact:
    """``to`` is where an application moved, ``stage`` what its application object says in passing."""
    about_candidate = event_type in CANDIDATE_TYPES
    return Fact(
        type=event_type,
        vendor_event="something_happened",
        vendor_version=version,
        occurred_at=occurred_at,
        application=None
        if about_candidate
        else Application(id=application, stage=stage, outcome=outcome, is_prospect=is_prospect),
        candidate=Candidate(id="7", name="Ada Lovelace") if about_candidate else None,
        to_stage=to,
        interview=Interview(id="3") if event_type is EventType.INTERVIEW_CHANGED else None,
        offer=Offer(id="4") if event_type is EventType.OFFER_CHANGED else None,
    )


def make_waiting(
    fact: Fact | None = None, *, receipt: str = "", test: bool = False, send_test: bool = False, ordinal: int = 0
) -> WaitingFact:
    return WaitingFact(
        receipt=receipt or receipt_id(SOURCE, None, "1"),
        ordinal=ordinal,
        source=SOURCE,
        vendor="greenhouse",
        received_at=NOW,
        fact=fact or make_fact(EventType.APPLICATION_UPDATED),
        test=test,
        send_test=send_test,
    )


def make_record(disposition: Disposition = Disposition.EVENTS, source: str = SOURCE) -> ReceiptRecord:
    return ReceiptRecord(source=source, vendor="greenhouse", received_at=NOW, disposition=disposition)


def make_receipt(dedupe: str, facts: Sequence[tuple[str, bytes]] = (("a", b"item"),)) -> NewReceipt:
    """A receipt of `SOURCE`, whose facts are of no meaning."""
    return NewReceipt(receipt_id(SOURCE, None, dedupe), make_record(), b"{}", list(facts))


def receipt_of(fact: Fact, dedupe: str = "1", *, test: bool = False, send_test: bool = False) -> NewReceipt:
    """A receipt with a real fact."""
    identifier = receipt_id(SOURCE, None, dedupe)
    waiting = make_waiting(fact, receipt=identifier, test=test, send_test=send_test)
    item = codec.pack(waiting.model_dump_json(exclude_defaults=True).encode())
    return NewReceipt(identifier, make_record(), b"{}", [(subject_key(SOURCE, None, fact.subject), item)])


def make_event(receipt: str, deliveries: Sequence[tuple[str, str | None]] = (), ordinal: int = 0) -> NewEvent:
    """``deliveries`` are (sink, subject) pairs."""
    identifier = event_id(receipt, EventType.APPLICATION_UPDATED, "a:1", EventType.APPLICATION_UPDATED, ordinal)
    made = [
        NewDelivery(delivery_id(identifier, sink, "there"), DeliveryRecord(sink=sink, routes=("all",)), subject)
        for sink, subject in deliveries
    ]
    return NewEvent(identifier, EventType.APPLICATION_UPDATED, b'{"a": []}', ["all"], made)


def make_routed(claim: Claim, receipt: str, events: Sequence[NewEvent] = (), sequence: int = 1) -> Routed:
    return Routed(claim, receipt, SOURCE, ApplicationState(sequence=sequence), events)


async def put_deliveries(ledger: Ledger, sink: str, subjects: Sequence[str], prefix: str = "") -> list[str]:
    """Bring one delivery per entry of ``subjects`` into a sink's lane, by the way that all of them go."""
    receipts = [make_receipt(f"{prefix}{n}", [(f"intake of {prefix}{n}", b"item")]) for n in range(len(subjects))]
    deliveries = []
    for receipt, subject in zip(receipts, subjects, strict=True):
        await ledger.accept(PARTITION, [receipt])
        _, [claim] = await ledger.claim(INTAKE, PARTITION, 1)
        event = make_event(receipt.id, [(sink, subject)])
        assert await ledger.commit(PARTITION, [make_routed(claim, receipt.id, [event])]) == [1]
        deliveries.append(event.deliveries[0].id)
    return deliveries


async def claim_one(ledger: Ledger, lane: str = INTAKE) -> Claim:
    _, [claim] = await ledger.claim(lane, PARTITION, 1)
    return claim


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> float:
    """Wait for something; how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        await asyncio.sleep(0.002)
    return time.monotonic() - started


def destination(sink: Sink, settings: SinkSettings | None = None, name: str = "sink") -> Destination:
    return Destination(name, sink, settings or SinkSettings(type=sink.sink_type), Client())


class RecordingSink(Sink):
    """Notes what it gets and answers as it is told: the outcomes in their order, then always that it was delivered."""

    sink_type = "recording"
    title = "Recording"
    exactly_once = "never"
    Settings = SinkSettings

    def __init__(self, settings: SinkSettings | None = None, client: Client | None = None) -> None:
        self.outcomes: list[base.Outcome] = []
        self.attempts: list[Delivery] = []

    def target(self, event: Event) -> str:
        return "there"

    async def attempt(self, delivery: Delivery) -> base.Outcome:
        self.attempts.append(delivery)
        return self.outcomes.pop(0) if self.outcomes else base.Outcome(Result.DELIVERED, "ok", 200)
