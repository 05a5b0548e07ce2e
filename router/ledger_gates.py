"""What the ledger keeps of sinks that fail or are slow, for all workers together."""

import random
from collections.abc import Awaitable, Mapping
from typing import cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from router.identity import target_key
from router.ledger_keys import gate_key, pace_key
from router.records import Admission, GateRecord, GateState

FIRST_PAUSE: Mapping[GateState, float] = {GateState.OPEN: 1.0, GateState.PARKED: 60.0}
LONGEST_PAUSE: Mapping[GateState, float] = {GateState.OPEN: 12.0, GateState.PARKED: 1800.0}
"""Seconds between probes of a sink; they double from the one to the other."""

RESERVED_SECONDS = 0.1
"""Attempts are admitted so far ahead: more saves questions, less keeps what comes meanwhile waiting shorter."""

SLOWEST = 60.0
SLOWED = 0.05
AFTER_CLOSING = 0.1
NO_LONGER_SLOW = 0.005
"""Seconds between attempts: the longest that a sink is slowed down to, after the first complaint, right after a breaker
closed, and from when on no pause is kept."""

LEFT_BY_SUCCESS = 0.95
"""Each success leaves so much of the pause that a slowed sink gets."""


_Args = list[str | int | float]


class GatesLedger:
    """Breaker and pace of each sink."""

    _redis: Redis
    _scripts: dict[str, AsyncScript]

    async def read_gate(self, sink: str) -> GateRecord:
        fields = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(gate_key(sink)))
        return GateRecord(
            state=GateState(fields.get(b"state", b"").decode()),
            since=_seconds(fields, b"since"),
            reason=fields.get(b"reason", b"").decode(),
            failures=int(fields.get(b"failures", 0)),
            probe_at=_seconds(fields, b"probe_at"),
            interval=_seconds(fields, b"interval"),
        )

    async def admit(self, sink: str, most: int, *, interval: float, probing: float) -> Admission:
        """Reserve up to ``most`` attempts; ``interval`` is what is configured, in seconds, and ``probing`` how long a
        probe may take before the next one."""
        longest = _ms(max(LONGEST_PAUSE.values()))
        args: _Args = [most, f"{interval * 1000:.3f}", _ms(RESERVED_SECONDS), _ms(probing), longest]
        state, wait, *turns = cast(list[bytes], await self._scripts["admit"]([gate_key(sink)], args))
        return Admission(GateState(state.decode()), int(wait) / 1000, [float(turn) / 1000 for turn in turns])

    async def trip(self, sink: str, state: GateState, reason: str, *, probe: bool) -> bool:
        """Keep all workers off a sink; True where they were not yet."""
        pauses = [_ms(FIRST_PAUSE[state]), _ms(LONGEST_PAUSE[state])]
        args: _Args = [state, reason, int(probe), *pauses, f"{random.uniform(1.0, 1.2):.3f}"]
        return bool(await cast("Awaitable[int]", self._scripts["trip"]([gate_key(sink)], args)))

    async def works(self, sink: str, successes: int, *, probe: bool) -> bool:
        """A sink took deliveries; True where its breaker closed by that."""
        args: _Args = [successes, int(probe), LEFT_BY_SUCCESS, _ms(NO_LONGER_SLOW), _ms(AFTER_CLOSING)]
        return bool(await cast("Awaitable[int]", self._scripts["works"]([gate_key(sink)], args)))

    async def slow(self, sink: str, *, interval: float, pause: float) -> None:
        """A sink gets too much; ``pause`` is how many seconds it wants to be left alone."""
        args: _Args = [f"{interval * 1000:.3f}", _ms(SLOWED), _ms(SLOWEST), _ms(pause)]
        await self._scripts["slow"]([gate_key(sink)], args)

    async def pace(self, sink: str, target: str, *, interval: float, ahead: float) -> tuple[bool, float]:
        """Reserve one attempt at a target: whether that was possible, and in how many seconds to begin or ask again."""
        keys = [pace_key(sink, target_key(target))]
        reserved, wait = await self._scripts["pace"](keys, [_ms(interval), _ms(ahead)])
        return bool(reserved), int(wait) / 1000

    async def probe_now(self, sink: str) -> bool:
        """Let the next attempt at a sink be at once; False where nothing keeps it off."""
        if not await cast("Awaitable[bool]", self._redis.hexists(gate_key(sink), "state")):
            return False
        await cast("Awaitable[int]", self._redis.hset(gate_key(sink), "probe_at", "0"))
        return True


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(fields: Mapping[bytes, bytes], name: bytes) -> float:
    return float(fields.get(name, 0)) / 1000
