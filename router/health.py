"""Whether this process can do its work: server, memory, disk. Looked at once a second, not per request."""

import asyncio
import logging
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from router.ledger import INTAKE, Ledger, sink_lane
from router.records import GateRecord, GateState

log = logging.getLogger(__name__)

MEMORY_LIMIT = 0.85
"""Share of the server's memory above which nothing new is taken, so that workers keep room to work the backlog off."""

DISK_RESERVE = 64 * 1024**2
"""Bytes that must stay free where the embedded server writes."""

_LOOK_SECONDS = 1.0
_HEAD_START = 60.0
"""Seconds: `BEHIND_LIVE` in `lua/prelude.lua`."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One sentence per part that is not ready; None where it is."""

    server: str | None = "not looked at yet"
    memory: str | None = None
    disk: str | None = None

    @property
    def refuses(self) -> str | None:
        """Why nothing new can be taken. An unreachable server is not among it: the next request may find it back."""
        return self.memory or self.disk

    @property
    def problems(self) -> dict[str, str]:
        return {part: text for part in ("server", "memory", "disk") if (text := getattr(self, part)) is not None}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What more workers would help with: how much is due and not worked on, and for how many seconds the oldest has
    been. Of sinks these seconds count from the second minute on, as what goes on in a line may look a minute older."""

    waiting: int = 0
    oldest_due_s: float = 0.0


class Health:
    """Keeps `condition` up to date. ``data_dir`` is where the embedded server writes; None where there is none.
    ``sinks`` are the configured ones that take as much as workers can send."""

    def __init__(self, ledger: Ledger, data_dir: Path | None, sinks: Collection[str] = ()) -> None:
        self.condition = Condition()
        self.sinks = sinks
        self._waiting = Waiting()
        self._counted_at = float("-inf")
        self._counting = asyncio.Lock()
        self._ledger = ledger
        self._data_dir = data_dir

    async def watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        server = memory = None
        try:
            used = await self._ledger.memory_used()
            await self._ledger.count_replicas()
            if used > MEMORY_LIMIT:
                memory = f"{used:.0%} of the server's memory is used; above {MEMORY_LIMIT:.0%} nothing new is taken"
        except Exception as error:
            if not isinstance(error, (RedisError, OSError)):
                log.exception("the Redis server can't be looked at")  # a fault of ours must not end the looking
            server = f"the Redis server does not answer ({type(error).__name__})"
        self.condition = Condition(server, memory, self._disk())

    async def waiting(self) -> Waiting:
        """As of this second. A sink that fails, refuses us or slows us down is left out: its deliveries do not wait for
        workers.

        Raises:
            RedisError: the server does not answer.
        """
        async with self._counting:
            if time.monotonic() - self._counted_at >= _LOOK_SECONDS:
                gates = {sink: await self._ledger.read_gate(sink) for sink in self.sinks}
                open_to_more = [sink for sink, gate in gates.items() if _bears_more(gate)]
                intake, *sinks = [await self._ledger.backlog(lane) for lane in (INTAKE, *map(sink_lane, open_to_more))]
                ages = [intake.oldest_due, *(sink.oldest_due - _HEAD_START for sink in sinks)]
                self._waiting = Waiting(sum(one.due for one in (intake, *sinks)), round(max(0.0, *ages), 1))
                self._counted_at = time.monotonic()
            return self._waiting

    def _disk(self) -> str | None:
        if self._data_dir is None:
            return None
        try:
            free = shutil.disk_usage(self._data_dir).free
        except OSError as error:
            return f"the data directory can't be looked at ({(error.strerror or 'unknown error').lower()})"
        if free >= DISK_RESERVE:
            return None
        return f"{free // 1024**2} MiB are free in the data directory, {DISK_RESERVE // 1024**2} MiB are needed"


def _bears_more(gate: GateRecord) -> bool:
    return gate.state is GateState.CLOSED and not gate.interval
