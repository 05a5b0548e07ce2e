"""What happens to a delivery: attempt it, read the outcome, decide when to try again."""

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from redis.exceptions import RedisError

from router.destinations import Destination
from router.gate import Gate
from router.lanes import Lease
from router.ledger import Ledger, sink_lane
from router.project import is_outdated
from router.records import ApplicationState, Attempt, Claim, DeliveryRecord, DeliveryState, PutOff, Settled
from sinks.base import Delivery, Order, Outcome, Result, RetrySettings, Sink

log = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 24 * 3600.0
"""Seconds that a target can ask us to wait at most."""

SINK_OFF = "sink_off"
"""Why deliveries to a sink that is switched off are held."""

AFTER_PROBE_SECONDS = 1.0
"""A delivery that probed a failing sink in vain lets others probe it first."""

_GROWTH = 4
_LOST = Outcome(Result.AMBIGUOUS, "worker_lost")


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed delivery; ``record`` is None where its event is gone from the ledger. ``state`` is that of its
    application, where the sink wants only what is so now."""

    claim: Claim
    delivery: Delivery
    record: DeliveryRecord | None
    state: ApplicationState | None = None


class Deliveries:
    """The work of one sink's lane, behind its gate."""

    def __init__(self, ledger: Ledger, destination: Destination) -> None:
        self.lane = sink_lane(destination.name)
        self._ledger = ledger
        self._name = destination.name
        self._destination = destination
        self.gate = Gate(ledger, destination.name, destination.settings)
        self._settings = destination.settings

    async def load(self, partition: int, claims: Sequence[Claim]) -> list[Job]:
        ids = [claim.head.decode() for claim in claims]
        loaded = await self._ledger.load_deliveries(partition, ids)
        states: Sequence[ApplicationState | None] = [None] * len(claims)
        if self._settings.order is Order.LATEST:
            states = await self._ledger.load_states(partition, [claim.subject for claim in claims])
        return [
            Job(claim, Delivery(identifier, stored.event, stored.frozen, stored.record.late), stored.record, state)
            if stored
            else Job(claim, Delivery(identifier, b""), None)
            for claim, identifier, stored, state in zip(claims, ids, loaded, states, strict=True)
        ]

    async def run(self, job: Job, lease: Lease) -> Settled | PutOff | None:
        record = job.record
        if record is None:
            log.warning("its event is gone from the ledger", extra={"delivery": job.delivery.id, "sink": self._name})
            gone = DeliveryRecord(sink=self._name, routes=(), state=DeliveryState.DEAD, reason="its event is gone")
            return Settled(job.claim, job.delivery.id, gone, None)
        if not job.claim.reclaimed and (aside := self._set_aside(job, record)) is not None:
            return Settled(job.claim, job.delivery.id, aside, None)
        return await self._try(job, record, lease)

    def _set_aside(self, job: Job, record: DeliveryRecord) -> DeliveryRecord | None:
        """The record of a delivery that is not to be attempted; None: it is."""
        if not self._settings.enabled:
            return record.model_copy(update={"state": DeliveryState.HELD, "reason": SINK_OFF, "next_at": None})
        if job.state is not None and is_outdated(job.delivery.event, job.state):
            reason = "outdated: its application has gone on"
            return record.model_copy(update={"state": DeliveryState.SKIPPED, "reason": reason, "next_at": None})
        return None

    async def _try(self, job: Job, record: DeliveryRecord, lease: Lease) -> Settled | PutOff | None:
        at, ms, outcome, was_looked_up = datetime.now(UTC), None, _LOST, False
        if not job.claim.reclaimed:
            sink = self._destination.as_kept(record.overrides, record.routes)
            delivery = self._destination.let_through(job.delivery)
            try:
                if (wait := await self._wait_for_turn(sink, delivery, lease)) is not None:
                    return PutOff(job.claim, wait)
                delivery = await self._rendered(sink, delivery, job.delivery)
            except (RedisError, OSError):
                return PutOff(job.claim, 0.0)  # nothing was sent, so it must not look as if it might have been
            if not lease.holds():
                return None
            started, at = time.monotonic(), datetime.now(UTC)
            outcome, was_looked_up = await self._attempted(sink, delivery, record)
            ms = round((time.monotonic() - started) * 1000)
            await self.gate.note(outcome, lease.turn)
        attempt = self._as_attempt(outcome, lease, at, ms, was_looked_up)
        ambiguous, general = outcome.result is Result.AMBIGUOUS, self._destination.sink
        record, wait = after_attempt(
            record,
            attempt,
            outcome.retry_after,
            self._settings.retry,
            gives_up=ambiguous and (was_looked_up or general.gives_up_ambiguous),
            at_least=general.shows_after if ambiguous else 0.0,
        )
        self._log(job.delivery.id, record, attempt)
        return Settled(job.claim, job.delivery.id, record, wait)

    def _as_attempt(self, outcome: Outcome, lease: Lease, at: datetime, ms: int | None, was_looked_up: bool) -> Attempt:
        """How it stands in the record. A look-up that could not be made leaves it as unknown as before."""
        result = outcome.result
        if was_looked_up and result is not Result.DELIVERED:
            result = Result.AMBIGUOUS
        sinks_fault = (lease.turn is not None and lease.turn.probe) or was_looked_up
        sinks_fault |= result is Result.REFUSED and not outcome.only_here
        return Attempt(
            at=at,
            ms=ms,
            result=result,
            reason=outcome.reason,
            code=outcome.code,
            response=outcome.response,
            spared=sinks_fault and result not in (Result.DELIVERED, Result.PERMANENT),
        )

    async def _wait_for_turn(self, sink: Sink, delivery: Delivery, lease: Lease) -> float | None:
        """Until the sink and the target bear one more attempt; in seconds, where that is too long to wait here."""
        if lease.turn is not None:
            await lease.turn.comes()
        if sink.target_rate is None:
            return None
        return await self.gate.turn_at(sink.target(delivery.event), sink.target_rate)

    async def _rendered(self, sink: Sink, delivery: Delivery, stored: Delivery) -> Delivery:
        """With its body, which is kept before the first attempt unless it is what is stored."""
        if delivery.body:
            return delivery
        body = sink.render(delivery)
        if body is not stored.event_body:
            await self._ledger.freeze(delivery.id, body)
        return replace(delivery, body=body)

    async def _attempted(self, sink: Sink, delivery: Delivery, record: DeliveryRecord) -> tuple[Outcome, bool]:
        """The outcome of another attempt; or, and then true, what came of looking whether the last one arrived."""
        if record.attempts and record.attempts[-1].result is Result.AMBIGUOUS:
            found = await sink.look_up(delivery, _first_at(record))
            if found is not None:
                return found, True
        return await sink.attempt(delivery), False

    async def settle(self, partition: int, results: Sequence[Settled]) -> list[int]:
        return await self._ledger.settle(self.lane, partition, results)

    def _log(self, delivery: str, record: DeliveryRecord, attempt: Attempt) -> None:
        fields = {
            "delivery": delivery,
            "sink": self._name,
            "attempt": sum(one.times for one in record.attempts),
            "result": attempt.result,
            "reason": attempt.reason,
            "ms": attempt.ms,
            "state": record.state,
        }
        log.log(logging.INFO if attempt.result is Result.DELIVERED else logging.WARNING, "attempt", extra=fields)


def after_attempt(
    record: DeliveryRecord,
    attempt: Attempt,
    retry_after: float | None,
    retry: RetrySettings,
    *,
    gives_up: bool = False,
    at_least: float = 0.0,
) -> tuple[DeliveryRecord, float | None]:
    """The record with one attempt more, and in how many seconds to try again; None: not any more.

    ``gives_up``: it may have arrived, and is not to be sent again. ``at_least`` are seconds, too.
    """
    if attempt.spared and record.attempts and _is_alike(record.attempts[-1], attempt):
        attempts = (*record.attempts[:-1], attempt.model_copy(update={"times": record.attempts[-1].times + 1}))
    else:
        attempts = (*record.attempts, attempt)
    tries = sum(not one.spared for one in attempts[record.forgiven :])
    state, reason, wait = DeliveryState.PENDING, None, None
    if attempt.result is Result.DELIVERED:
        state = DeliveryState.DELIVERED
    elif attempt.result is Result.PERMANENT:
        state, reason = DeliveryState.DEAD, f"{attempt.reason}: the same request would fail again"
    elif gives_up:
        state, reason = DeliveryState.UNKNOWN, f"{attempt.reason}: it may have arrived"
    elif attempt.spared:
        wait = max(AFTER_PROBE_SECONDS, min(retry_after or 0.0, LONGEST_RETRY_AFTER))
    elif tries >= retry.tries:
        state, reason = DeliveryState.DEAD, f"{attempt.reason} at the last of {retry.tries} tries"
    elif attempt.reason == _LOST.reason:
        wait = pause(1, None, retry)  # the sink did nothing wrong, so it is not spared
    else:
        wait = pause(tries, retry_after, retry)
    wait = None if wait is None else max(wait, at_least)
    next_at = None
    if wait is not None and not attempt.spared:  # else the sink decides
        next_at = attempt.at + timedelta(milliseconds=attempt.ms or 0, seconds=wait)
    changed = {"attempts": attempts, "state": state, "reason": reason, "next_at": next_at}
    return record.model_copy(update=changed), wait


def _first_at(record: DeliveryRecord) -> datetime | None:
    """When the first attempt was; None where the record has only a later time: that of several told as one is that of
    the last, and what a dead worker began was noted when another one found it."""
    first = record.attempts[0]
    return None if first.times > 1 or first.reason == _LOST.reason else first.at


def _is_alike(before: Attempt, now: Attempt) -> bool:
    """Whether attempts can be told as one, so that a record does not grow for as long as a sink is down."""
    return before.spared and (before.result, before.reason) == (now.result, now.reason)


def pause(tries: int, retry_after: float | None, retry: RetrySettings) -> float:
    """Seconds until the next attempt, after so many tries.

    Exponential back-off with full jitter. Where the target said ``Retry-After`` its word counts instead, clamped, with
    up to a tenth more so that what waited together does not come back together.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), LONGEST_RETRY_AFTER) * random.uniform(1.0, 1.1)
    return random.uniform(0, min(retry.longest, retry.first * _GROWTH ** min(tries - 1, 30)))
