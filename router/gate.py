"""Whether and how fast a sink may be tried now: its breaker, its rate, and what its targets bear.

What all workers have to know stands in the ledger. A sink that works and has no limit costs no question there: a worker
then only looks once a second whether another one found it failing.
"""

import asyncio
import logging
import math
import random
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from router.ledger import Ledger
from router.records import GateRecord, GateState
from sinks.base import Outcome, Result, SinkSettings

log = logging.getLogger(__name__)

RUN_OF_FAILURES = 10
"""After so many failures without a success in between, a worker takes the sink for broken."""

NEWEST_SHARE = 0.75
"""Of what is due, so much is taken from the newest end: live traffic goes ahead of a backlog, which drains as well."""

TARGET_AHEAD = 1.0
"""Seconds that a delivery waits in its slot for its target's turn; longer, and it gives the slot back."""

SAFE_SHARE = 0.9
"""Of a configured rate so much is used: requests take different times to arrive, and no second may see more."""

_LEAD_SECONDS = 0.03  # what claiming and reading takes: without it the first attempts of a batch would come at once
_LATE_SECONDS = 0.05
_PROBE_GRACE = 5.0
_LONGEST_REST = 3600.0
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave for one attempt: when, on the monotonic clock, and whether it probes a sink that failed."""

    at: float
    probe: bool = False

    async def comes(self) -> None:
        await asyncio.sleep(self.at - time.monotonic())


class Gate:
    """One sink's, as this worker knows it."""

    def __init__(self, ledger: Ledger, sink: str, settings: SinkSettings) -> None:
        self._ledger = ledger
        self._sink = sink
        self._interval = 1 / (settings.rate * SAFE_SHARE) if settings.rate else 0.0
        self._probing = settings.timeout + _PROBE_GRACE
        self._known = GateRecord()
        self._failures = 0
        self._worked = 0
        self._turns: deque[Turn] = deque()

    async def look(self) -> None:
        """See what other workers found, and let them know what worked here."""
        if self._worked:
            worked, self._worked = self._worked, 0
            await self._ledger.works(self._sink, worked, probe=False)
        self._known = await self._ledger.read_gate(self._sink)
        if self._known.state is GateState.CLOSED:
            self._turns = deque(turn for turn in self._turns if not turn.probe)

    @property
    def is_wide_open(self) -> bool:
        """Whether the sink bears whatever its slots allow, as far as is known here."""
        return not self._interval and self._known.state is GateState.CLOSED and not self._known.interval

    async def admit(self, most: int) -> tuple[int, float]:
        """How many of ``most`` attempts may begin; where it is none, in how many seconds to ask again."""
        if self.is_wide_open:
            self._turns.clear()
            return most, 0.0
        now = time.monotonic()
        while self._turns and self._turns[0].at < now - _LATE_SECONDS:
            self._turns.popleft()  # not made up for: what is late must not come in a bunch
        wait = 0.0
        if len(self._turns) < most:
            wanted = most - len(self._turns)
            told = await self._ledger.admit(self._sink, wanted, interval=self._interval, probing=self._probing)
            probe, wait = told.state is not GateState.CLOSED, told.wait
            self._turns.extend(Turn(now + _LEAD_SECONDS + ahead, probe) for ahead in told.turns)
        return min(most, len(self._turns)), wait

    def newest(self, most: int) -> int:
        """How many of ``most`` to take from the newest end. Probes take the oldest, to take another one each time."""
        if self._known.state is not GateState.CLOSED:
            return 0
        return math.floor(most * NEWEST_SHARE + random.random())

    def take(self) -> Turn | None:
        """Leave for one attempt that was admitted; None: at once."""
        return self._turns.popleft() if self._turns else None

    async def turn_at(self, target: str, rate: float) -> float | None:
        """Wait for the turn of one target, which bears so many attempts a second; where that takes too long, return in
        how many seconds to ask again."""
        interval = 1 / rate
        reserved, wait = await self._ledger.pace(self._sink, target, interval=interval, ahead=TARGET_AHEAD)
        if not reserved:
            return wait
        await asyncio.sleep(wait)
        return None

    async def note(self, outcome: Outcome, turn: Turn | None) -> None:
        """Learn from an attempt. Without the server nothing is learnt, which the next attempt makes up for."""
        with suppress(RedisError, OSError):
            await self._learn(outcome, probe=turn is not None and turn.probe)

    async def _learn(self, outcome: Outcome, *, probe: bool) -> None:
        if outcome.code == _TOO_MANY_REQUESTS and not outcome.only_here:
            pause = min(outcome.retry_after or 0.0, _LONGEST_REST)
            await self._ledger.slow(self._sink, interval=self._interval, pause=pause)
            self._known = await self._ledger.read_gate(self._sink)
        answers = outcome.result in (Result.DELIVERED, Result.PERMANENT) or outcome.only_here
        if answers:
            self._failures = 0
            if probe:
                await self._close()
            elif self._known.interval:
                self._worked += 1
            return
        self._failures += 1
        if outcome.result is Result.REFUSED:
            await self._trip(GateState.PARKED, outcome.reason, probe)
        elif probe or self._failures >= RUN_OF_FAILURES:
            await self._trip(GateState.OPEN, outcome.reason, probe)

    async def _close(self) -> None:
        if await self._ledger.works(self._sink, 1, probe=True):
            log.info("the sink works again", extra={"sink": self._sink})
        self._known = await self._ledger.read_gate(self._sink)

    async def _trip(self, state: GateState, reason: str, probe: bool) -> None:
        if await self._ledger.trip(self._sink, state, reason, probe=probe):
            words = "a person has to mend it" if state is GateState.PARKED else "it is probed until it works again"
            log.error("the sink fails, its deliveries wait: %s", words, extra={"sink": self._sink, "reason": reason})
        self._known = await self._ledger.read_gate(self._sink)
