"""What happens to a delivery: attempt it, read the outcome, decide when to try again."""

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from router.destinations import Destination
from router.lanes import Lease
from router.ledger import Ledger, sink_lane
from router.records import Attempt, Claim, DeliveryRecord, DeliveryState, Settled
from sinks.base import Delivery, Outcome, Result, RetrySettings, Sink

log = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds that a target can ask us to wait at most."""

_GROWTH = 4
_LOST = Outcome(Result.AMBIGUOUS, "worker_lost")


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery; ``record`` is None where its event is gone from the ledger."""

    claim: Claim
    delivery: Delivery
    record: DeliveryRecord | None


class Deliveries:
    """The work of one sink's lane."""

    def __init__(self, ledger: Ledger, destination: Destination) -> None:
        self.lane = sink_lane(destination.name)
        self._ledger = ledger
        self._name = destination.name
        self._destination = destination
        self._retry = destination.settings.retry

    async def load(self, partition: int, claims: Sequence[Claim]) -> list[Job]:
        ids = [claim.head.decode() for claim in claims]
        loaded = await self._ledger.load_deliveries(partition, ids)
        return [
            Job(claim, Delivery(identifier, stored.event, stored.frozen), stored.record)
            if stored
            else Job(claim, Delivery(identifier, b""), None)
            for claim, identifier, stored in zip(claims, ids, loaded, strict=True)
        ]

    async def run(self, job: Job, lease: Lease) -> Settled | None:
        delivery = job.delivery
        if job.record is None:
            log.warning("its event is gone from the ledger", extra={"delivery": delivery.id, "sink": self._name})
            gone = DeliveryRecord(sink=self._name, routes=(), state=DeliveryState.DEAD, reason="its event is gone")
            return Settled(job.claim, delivery.id, gone, None)
        started, at = time.monotonic(), datetime.now(UTC)
        if job.claim.reclaimed:
            outcome, ms = _LOST, None
        elif lease.holds():
            sink = self._destination.as_kept(job.record.overrides, job.record.routes)
            outcome = await sink.attempt(await self._rendered(sink, delivery))
            ms = round((time.monotonic() - started) * 1000)
        else:
            return None
        attempt = Attempt(
            at=at, ms=ms, result=outcome.result, reason=outcome.reason, code=outcome.code, response=outcome.response
        )
        record, wait = after_attempt(job.record, attempt, outcome.retry_after, self._retry)
        self._log(delivery.id, record, attempt)
        return Settled(job.claim, delivery.id, record, wait)

    async def _rendered(self, sink: Sink, stored: Delivery) -> Delivery:
        """As the sink may get it, with its body, which is kept before the first attempt unless it is what is stored."""
        delivery = self._destination.let_through(stored)
        if delivery.body:
            return delivery
        body = sink.render(delivery)
        if body is not stored.event_body:
            await self._ledger.freeze(delivery.id, body)
        return replace(delivery, body=body)

    async def settle(self, partition: int, results: Sequence[Settled]) -> list[int]:
        return await self._ledger.settle(self.lane, partition, results)

    def _log(self, delivery: str, record: DeliveryRecord, attempt: Attempt) -> None:
        fields = {
            "delivery": delivery,
            "sink": self._name,
            "attempt": len(record.attempts),
            "result": attempt.result,
            "reason": attempt.reason,
            "ms": attempt.ms,
            "state": record.state,
        }
        log.log(logging.INFO if attempt.result is Result.DELIVERED else logging.WARNING, "attempt", extra=fields)


def after_attempt(
    record: DeliveryRecord, attempt: Attempt, retry_after: float | None, retry: RetrySettings
) -> tuple[DeliveryRecord, float | None]:
    """The record with one attempt more, and in how many seconds to try again; None: not any more."""
    attempts = (*record.attempts, attempt)
    tries = len(attempts) - record.forgiven
    state, reason, wait = DeliveryState.PENDING, None, None
    if attempt.result is Result.DELIVERED:
        state = DeliveryState.DELIVERED
    elif attempt.result is Result.PERMANENT:
        state, reason = DeliveryState.DEAD, f"{attempt.reason}: the same request would fail again"
    elif tries >= retry.tries:
        state, reason = DeliveryState.DEAD, f"{attempt.reason} at the last of {retry.tries} tries"
    elif attempt.reason == _LOST.reason:
        wait = pause(1, None, retry)  # the sink did nothing wrong, so it is not spared
    else:
        wait = pause(tries, retry_after, retry)
    next_at = None if wait is None else attempt.at + timedelta(milliseconds=attempt.ms or 0, seconds=wait)
    changed = {"attempts": attempts, "state": state, "reason": reason, "next_at": next_at}
    return record.model_copy(update=changed), wait


def pause(tries: int, retry_after: float | None, retry: RetrySettings) -> float:
    """Seconds until the next attempt, after so many tries.

    Exponential back-off with full jitter. Where the target said ``Retry-After`` its word counts instead, clamped, with
    up to a tenth more so that what waited together does not come back together.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), LONGEST_RETRY_AFTER) * random.uniform(1.0, 1.1)
    return random.uniform(0, min(retry.longest, retry.first * _GROWTH ** min(tries - 1, 30)))
