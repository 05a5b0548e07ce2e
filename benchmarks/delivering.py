"""What one worker process delivers: to a sink that answers at once, to one that takes 50 ms, with a long backlog."""

import asyncio
import subprocess
import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

from benchmarks.floors import CONCURRENCY
from benchmarks.report import Measure, Sample
from benchmarks.stand import MEASURED, Arrivals, NotMeasured, Stand, cpu_seconds, pinned, stand
from router.connection import client
from router.identity import delivery_id, event_id, subject_key
from router.ledger import BATCH, INTAKE, Ledger
from router.records import ApplicationState, DeliveryRecord, NewDelivery, NewEvent, Routed
from router.schema import Application, Candidate, Event, EventType, Job, Outcome, Person, Stage
from tests.factories import PARTITION, SOURCE, make_receipt

_COUNT = 12_000
_SLOW_SECONDS = 0.05
_FEW, _MANY = 1_000, 1_000_000
_TAKEN = 20_000
_SINK = "sink-0"


def _event(number: int, receipt: str) -> Event:
    """About 1 kB as JSON."""
    at = datetime.now(UTC)
    return Event(
        id=event_id(receipt, EventType.STAGE_CHANGED, f"a:{number}", EventType.STAGE_CHANGED, 0),
        type=EventType.STAGE_CHANGED,
        source=SOURCE,
        vendor="greenhouse",
        received_at=at,
        occurred_at=at,
        sequence=1,
        vendor_event="candidate_stage_change",
        application=Application(id=str(number), outcome=Outcome.PENDING),
        candidate=Candidate(id=str(number), name="Ada Lovelace"),
        job=Job(id="12", title="Engineer", recruiters=[Person(name="Grace Hopper")]),
        to_stage=Stage(id="3", name="Onsite"),
    )


async def _wait_in_line(url: str, count: int, first: int = 0) -> int:
    """Bring so many deliveries into the sink's lane by the calls that workers make; returns the size of a body."""
    size = 0
    async with client(url) as redis:
        ledger = Ledger(redis)
        await ledger.open()
        for start in range(first, first + count, BATCH):
            numbers = range(start, min(start + BATCH, first + count))
            receipts = [make_receipt(f"waits {n}", [(subject_key(SOURCE, None, f"a:{n}"), b"item")]) for n in numbers]
            await ledger.accept(PARTITION, receipts)
            _, claims = await ledger.claim(INTAKE, PARTITION, BATCH)
            by_subject = {claim.subject: claim for claim in claims}
            routed = []
            for number, receipt in zip(numbers, receipts, strict=True):
                subject, event = receipt.facts[0][0], _event(number, receipt.id)
                delivery = NewDelivery(
                    delivery_id(event.id, _SINK, "there"), DeliveryRecord(sink=_SINK, routes=("all",)), subject
                )
                body = event.model_dump_json().encode()
                size = len(body)
                new = NewEvent(event.id, event.type, body, ["all"], [delivery])
                routed.append(Routed(by_subject[subject], receipt.id, SOURCE, ApplicationState(sequence=1), [new]))
            await ledger.commit(PARTITION, routed)
        await redis.connection_pool.disconnect()
    return size


def _delivered(stand: Stand, seconds: float) -> Iterator[tuple[Arrivals, dict[str, float]]]:
    """What one worker delivers of a backlog, again and again."""
    endpoint = stand.endpoint(seconds)
    stand.server()
    stand.configure(endpoint)
    first = 0
    while True:
        size = asyncio.run(_wait_in_line(stand.redis_url, _COUNT, first))
        first += _COUNT
        worker = stand.run("work")
        arrivals = endpoint.await_arrivals(_COUNT, 120)
        more = {"CPU us each": cpu_seconds(worker) / _COUNT * 1e6, "body bytes": size}
        worker.terminate()
        worker.wait()
        if arrivals.twice:
            raise NotMeasured(f"{arrivals.twice} deliveries came twice")
        yield arrivals, more


def _at_once() -> Generator[Sample]:
    with stand() as one:
        target = one.endpoint()
        for arrivals, more in _delivered(one, 0.0):
            size = str(round(more["body bytes"]))
            command = [sys.executable, "-m", "benchmarks.floors", "send", f"{target.url}/events", str(_COUNT), size]
            floor, _ = pinned(command, MEASURED, stdout=subprocess.PIPE).communicate()
            yield Sample(arrivals.rate, float(floor), more)


def _slow() -> Generator[Sample]:
    with stand() as one:
        for arrivals, more in _delivered(one, _SLOW_SECONDS):
            yield Sample(arrivals.rate, CONCURRENCY / _SLOW_SECONDS, more)


def _backlog() -> Generator[Sample]:
    """The first deliveries of a million, against as many where 1,000 are left at the end."""
    while True:
        yield Sample(_rate_of_first(_MANY), _rate_of_first(_TAKEN + _FEW))


def _rate_of_first(waiting: int) -> float:
    with stand() as one:
        endpoint = one.endpoint()
        one.server(fsync="no file")
        one.configure(endpoint)
        asyncio.run(_wait_in_line(one.redis_url, waiting))
        one.run("work")
        return endpoint.await_arrivals(_TAKEN, 120).rate


MEASURES = (
    Measure("deliver", "deliveries/s, a sink that answers at once", "/s", 0.60, 0.80, _at_once),
    Measure("deliver-slow", "deliveries/s, a sink that takes 50 ms", "/s", 0.80, 0.95, _slow),
    Measure("backlog", "deliveries/s with 1,000,000 waiting against 1,000", "/s", 0.90, 0.98, _backlog),
)
