"""What tests of deliveries share: one sink named slack, driven step by step or by a loop."""

import asyncio

from router.delivery import Deliveries
from router.gate import Turn
from router.identity import receipt_id
from router.lanes import LaneLoop, Lease
from router.ledger import Ledger, sink_lane
from router.records import Attempt, Claim, DeliveryRecord, PutOff, Settled
from sinks.base import Outcome, Result, RetrySettings, SinkSettings
from tests.factories import (
    NOW,
    PARTITION,
    SOURCE,
    RecordingSink,
    destination,
    make_event,
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
