"""The worker process: one loop for intake, one per sink, and arq as bell and clock beside them."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from arq.cron import CronJob
from redis.exceptions import RedisError

from handlers.stages import StageKinds
from router.bell import chore, listen
from router.connection import end
from router.delivery import Deliveries
from router.destinations import Destination
from router.enriching import Enricher
from router.identity import PARTITIONS
from router.intake import Intake, Job
from router.lanes import LaneLoop
from router.ledger import INTAKE, Ledger, sink_lane
from router.records import PutOff, Routed
from router.rules import Ruleset
from sinks.base import SinkProblem

log = logging.getLogger(__name__)

INTAKE_SLOTS = 64
GRACE_SECONDS = 10.0
"""What a running attempt gets to end in when the worker is told to stop."""

OPEN_AGAIN_SECONDS = 10.0
SHOW_SECONDS = 5.0
"""So often a worker shows itself, for those who ask whether one is there."""

_PURGE_CHUNK = 100


class Worker:
    """Works every lane until told to stop."""

    def __init__(
        self,
        ledger: Ledger,
        url: str,
        rules: Ruleset,
        stages: StageKinds,
        destinations: Mapping[str, Destination],
        *,
        retention: float,
        enrichers: Mapping[str, Enricher] | None = None,
        renew: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``renew``: puts off the end of registrations at vendors; called every minute."""
        self._ledger = ledger
        self._url = url
        self._retention = retention
        self._renew = renew
        self._destinations = destinations
        self._sinks = {
            name: LaneLoop(ledger, Deliveries(ledger, destination), destination.settings.concurrency)
            for name, destination in destinations.items()
        }
        intake = Intake(ledger, rules, stages, self._destinations, self._on_deliveries, enrichers)
        self._intake = LaneLoop[Job, Routed | PutOff](ledger, intake, INTAKE_SLOTS)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; running attempts get some seconds to end."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        loops: list[LaneLoop[Any, Any]] = [self._intake, *self._sinks.values()]
        working = [asyncio.create_task(self._intake.run())]
        working += [asyncio.create_task(self._work_sink(name, stop)) for name in self._sinks]
        listening = asyncio.create_task(listen(self._url, self._on_ring, self._chores()))
        stopped = asyncio.create_task(stop.wait())
        showing = asyncio.create_task(self._show())
        log.info("working", extra={"lanes": [loop.lane for loop in loops]})
        try:
            done, _ = await asyncio.wait([stopped, listening, *working], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()  # none of them ends by itself: what it raised ends the worker, which is then restarted
        finally:
            for loop in loops:
                loop.stop()
            await asyncio.wait(working, timeout=GRACE_SECONDS)
            await end(listening, stopped, showing, *working)

    async def _work_sink(self, name: str, stop: asyncio.Event) -> None:
        """A sink that can't work as it is set up keeps its deliveries waiting, and the others going."""
        sink = self._destinations[name].sink
        try:
            while not stop.is_set():
                try:
                    await sink.open()
                    await self._sinks[name].run()
                except SinkProblem as problem:
                    log.error("the sink can't work; its deliveries wait", extra={"sink": name, "reason": str(problem)})
                    await _wait(stop, OPEN_AGAIN_SECONDS)
        finally:
            await sink.close()

    async def _show(self) -> None:
        worker = uuid4().hex
        try:
            while True:
                with suppress(RedisError, OSError):
                    await self._ledger.show_worker(worker, self._destinations)
                await asyncio.sleep(SHOW_SECONDS)
        finally:
            with suppress(RedisError, OSError):
                await self._ledger.forget_worker(worker)

    def _on_ring(self, partitions: Sequence[int]) -> None:
        self._intake.wake(partitions)

    def _on_deliveries(self, sink: str, partition: int) -> None:
        self._sinks[sink].wake([partition])

    def _chores(self) -> list[CronJob]:
        return [
            chore("sweep", self._sweep, seconds={0, 30}, timeout=25),
            chore("purge", self._purge, seconds={15}, timeout=50),
            *([chore("renew", self._renew, seconds={45}, timeout=50)] if self._renew else []),
        ]

    async def _sweep(self) -> None:
        """Say how much waits where and how often what happened, so that the log alone tells how it goes."""
        for lane in (INTAKE, *map(sink_lane, self._sinks)):
            backlog = await self._ledger.backlog(lane)
            fields = {
                "lane": lane,
                "waiting": backlog.subjects,
                "leased": backlog.leased,
                "oldest_due_s": round(backlog.oldest_due, 1),
            }
            log.info("backlog", extra=fields)
        by_source: dict[str, dict[str, int]] = {}
        for (source, what), count in (await self._ledger.counts()).items():
            by_source.setdefault(source, {})[what] = count
        for source, counts in by_source.items():
            log.info("counts", extra={"source": source, "counts": counts})

    async def _purge(self) -> None:
        for partition in range(PARTITIONS):
            while await self._ledger.purge(partition, older_than=self._retention, most=_PURGE_CHUNK) == _PURGE_CHUNK:
                pass


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
