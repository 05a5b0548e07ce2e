"""What tests of deliveries share: one sink named slack, driven step by step or by a loop."""

import asyncio
from collections.abc import Sequence

from handlers.stages import StageKinds
from router.delivery import Deliveries
from router.destinations import Destination
from router.gate import Turn
from router.identity import receipt_id
from router.intake import Intake
from router.lanes import LaneLoop, Lease
from router.ledger import Ledger, sink_lane
from router.records import Attempt, Claim, DeliveryRecord, PutOff, Routed, Settled
from router.rules import Ruleset, compile_route
from router.schema import EventType
from sinks.base import Order, Outcome, Result, RetrySettings, SinkSettings
from tests.factories import (
    NOW,
    PARTITION,
    SOURCE,
    RecordingSink,
    claim_one,
    destination,
    make_event,
    make_fact,
    make_stage,
    receipt_of,
)

LANE = sink_lane("slack")
NOT_NOW = Outcome(Result.RETRY, "http_503", 503, retry_after=0.0)
SLOTS = 8


def attempt(result: Result = Result.RETRY, reason: str = "http_503") -> Attempt:
    return Attempt(at=NOW, ms=1500, result=result, reason=reason)


def work(ledger: Ledger, sink: RecordingSink) -> Deliveries:
    quick = RetrySettings(tries=3).model_copy(update={"first": 0.01})
    return Deliveries(ledger, destination(sink, SinkSettings(type="recording", retry=quick), "slack"))


async def run(ledger: Ledger, sink: RecordingSink, claim: Claim, turn: Turn | None = None) -> Settled | PutOff | None:
    deliveries = work(ledger, sink)
    [job] = await deliveries.load(PARTITION, [claim])
    return await deliveries.run(job, Lease(claim, turn))


async def run_once(ledger: Ledger, sink: RecordingSink, claim: Claim, turn: Turn | None = None) -> Settled | None:
    result = await run(ledger, sink, claim, turn)
    assert not isinstance(result, PutOff)
    return result


async def put_events(
    ledger: Ledger,
    stages: Sequence[str],
    order: Order = Order.STRICT,
    application: str = "1",
    there: Destination | None = None,
) -> list[str]:
    """One application that goes through stages, by the way that all events go."""
    there = there or destination(RecordingSink(), SinkSettings(type="recording", order=order), "slack")
    rules = Ruleset([compile_route("all", {}, ["slack"])])
    for n, stage in enumerate(stages):
        fact = make_fact(EventType.STAGE_CHANGED, to=make_stage(stage), application=application)
        await ledger.accept(PARTITION, [receipt_of(fact, f"{application} {n}")])
    intake = Intake(ledger, rules, StageKinds({}), {"slack": there}, lambda _sink, _partition: None)
    deliveries = []
    for _ in stages:
        claim = await claim_one(ledger)
        [job] = await intake.load(PARTITION, [claim])
        routed = await intake.run(job, Lease(claim))
        assert isinstance(routed, Routed)
        await intake.settle(PARTITION, [routed])
        deliveries.append(routed.events[0].deliveries[0].id)
    return deliveries


async def record_of(ledger: Ledger, dedupe: str = "0") -> DeliveryRecord:
    event = await ledger.read_event(make_event(receipt_id(SOURCE, None, dedupe)).id)
    assert event is not None
    [record] = event.deliveries.values()
    return record


async def deliver_all(ledger: Ledger, sink: RecordingSink, attempts: int) -> None:
    deliveries = work(ledger, sink)
    loop = LaneLoop(ledger, deliveries, SLOTS, deliveries.gate)
    running = asyncio.create_task(loop.run())
    try:
        async with asyncio.timeout(5):
            while len(sink.attempts) < attempts or (await ledger.backlog(LANE)).subjects:
                loop.wake([PARTITION])
                await asyncio.sleep(0.005)
    finally:
        loop.stop()
        await running
