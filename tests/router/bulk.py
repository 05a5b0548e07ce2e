"""A ledger full of events, written by the calls that workers make, without the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from router import codec
from router.intake import route_event
from router.ledger import BATCH, INTAKE, Ledger, sink_lane
from router.project import project
from router.records import Attempt, DeliveryRecord, DeliveryState, NewReceipt, Routed, Settled, WaitingFact
from router.rules import Ruleset, compile_route
from router.schema import Application, Candidate, EventType, Fact, Job, Outcome, Person, Stage
from sinks.base import Result
from tests.factories import PARTITION, SOURCE, RecordingSink, destination, receipt_of

SINK = "my-service"
TYPES = (EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.STAGE_CHANGED, EventType.OFFER_CHANGED)


@dataclass(frozen=True, slots=True)
class Bulk:
    """What `fill` makes: every so many-th delivery is dead, or waits for its next attempt; the others are delivered."""

    dead_every: int = 100
    retrying_every: int = 0
    attempted: bool = True
    sinks: tuple[str, ...] = (SINK,)

    def wait_and_record(self, number: int, record: DeliveryRecord) -> tuple[float | None, DeliveryRecord]:
        good = Attempt(at=datetime.now(UTC), ms=12, result=Result.DELIVERED, reason="ok", code=200, response="{}")
        bad = Attempt(at=datetime.now(UTC), ms=12, result=Result.RETRY, reason="http_503", code=503, response="away")
        if self.retrying_every and number % self.retrying_every == 1:
            return 3600.0, record.model_copy(update={"attempts": (bad,), "next_at": bad.at + timedelta(hours=1)})
        if number % self.dead_every == 0:
            changed = {"state": DeliveryState.DEAD, "attempts": (bad, bad), "reason": "http_503 at the last of 2 tries"}
            return None, record.model_copy(update=changed)
        return None, record.model_copy(update={"state": DeliveryState.DELIVERED, "attempts": (good,)})


def bulk_fact(number: int) -> Fact:
    """Four facts an application, two applications a candidate."""
    application = number // 4
    return Fact(
        type=TYPES[number % 4],
        vendor_event="something_happened",
        occurred_at=datetime.now(UTC),
        application=Application(id=f"app-{application}", outcome=Outcome.PENDING),
        candidate=Candidate(id=f"cand-{application // 2}", name="Ada Lovelace", emails=["ada@example.com"]),
        job=Job(
            id="12", title="Backend Engineer", departments=["Engineering"], recruiters=[Person(name="Grace Hopper")]
        ),
        to_stage=Stage(id=str(number), name="Phone Screen") if TYPES[number % 4] is EventType.STAGE_CHANGED else None,
    )


async def fill(ledger: Ledger, count: int, bulk: Bulk = Bulk(), *, first: int = 0) -> None:
    """So many events, with one delivery each per sink."""
    rules = Ruleset([compile_route("all", {}, bulk.sinks)])
    for start in range(first, first + count, BATCH):
        numbers = range(start, min(start + BATCH, first + count))
        await _fill(ledger, [receipt_of(bulk_fact(number), f"bulk {number}") for number in numbers], rules, bulk)
        for sink in bulk.sinks:
            await _settle(ledger, sink, start, bulk)


async def _fill(ledger: Ledger, receipts: Sequence[NewReceipt], rules: Ruleset, bulk: Bulk) -> None:
    assert all(answer is True for answer in await ledger.accept(PARTITION, receipts))
    sinks = {name: destination(RecordingSink(), name=name) for name in bulk.sinks}
    left = len(receipts)
    while left:
        _, claims = await ledger.claim(INTAKE, PARTITION, BATCH)
        states = await ledger.load_states(PARTITION, [claim.subject for claim in claims])
        routed = []
        for claim, state in zip(claims, states, strict=True):
            waiting = WaitingFact.model_validate_json(codec.unpack(claim.head))
            new_state, events = project(state, waiting)
            made = [route_event(event, rules, sinks, waiting) for event in events]
            routed.append(Routed(claim, waiting.receipt, SOURCE, new_state, made))
        assert 0 not in await ledger.commit(PARTITION, routed)
        left -= len(claims)


async def _settle(ledger: Ledger, sink: str, number: int, bulk: Bulk) -> None:
    if not bulk.attempted:
        return
    while True:
        _, claims = await ledger.claim(sink_lane(sink), PARTITION, BATCH)
        if not claims:
            return
        stored = await ledger.load_deliveries(PARTITION, [claim.head.decode() for claim in claims])
        settled = []
        for claim, one in zip(claims, stored, strict=True):
            assert one is not None
            wait, record = bulk.wait_and_record(number, one.record)
            settled.append(Settled(claim, claim.head.decode(), record, wait))
            number += 1
        await ledger.settle(sink_lane(sink), PARTITION, settled)
