"""The worker process: one loop for intake, one per sink, and arq as bell and clock beside them."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from arq.cron import CronJob
from redis.exceptions import RedisError

from handlers.enriching import Enriches
from router.bell import chore, listen
from router.client import Client
from router.config import Config
from router.connection import Servers, end
from router.enriching import Enricher
from router.identity import PARTITIONS
from router.intake import Intake, Job
from router.lanes import LaneLoop
from router.ledger import INTAKE, Ledger, sink_lane
from router.parts import Source, destination_of, sources_of
from router.records import Routed
from router.registering import renew_registrations
from router.reviewing import reject_overdue
from router.rounds import Rounds
from router.sink_work import SinkWork
from sinks.base import SinkSettings

log = logging.getLogger(__name__)

INTAKE_SLOTS = 64
GRACE_SECONDS = 10.0
"""What a running attempt gets to end in when the worker is told to stop."""

SHOW_SECONDS = 5.0
"""So often a worker shows itself, for those who ask whether one is there."""

_PURGE_CHUNK = 100


class Worker:
    """Works every lane until told to stop, by a configuration that may change meanwhile."""

    def __init__(self, ledger: Ledger, servers: Servers, client: Client, config: Config) -> None:
        self._ledger = ledger
        self._servers = servers
        self._client = client
        self._config = config
        self._sources: dict[str, Source] = {}
        self._enrichers: dict[str, Enricher] = {}
        self._rounds = Rounds(ledger, client)
        self._sinks: dict[str, SinkWork] = {}
        self._of_sink: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._intake = Intake(ledger, config.rules, config.stages, {}, self._on_deliveries)
        self._intake_loop = LaneLoop[Job, Routed](ledger, self._intake, INTAKE_SLOTS)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; running attempts get some seconds to end."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self.use(self._config)
        self._start(self._intake_loop.run())
        listening = asyncio.create_task(listen(self._servers, self._on_ring, self._chores()))
        stopped = asyncio.create_task(stop.wait())
        showing = asyncio.create_task(self._show())
        log.info("working", extra={"lanes": [INTAKE, *map(sink_lane, self._sinks)]})
        try:
            ends: list[asyncio.Future[Any]] = [stopped, listening, self._failed]
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for ended in done - {stopped}:
                ended.result()  # nothing ends by itself: what it raised ends the worker, which is then restarted
        finally:
            self._is_stopping = True
            self._intake_loop.stop()
            for work in self._sinks.values():
                work.stop()
            await self._rounds.stop()
            if working := list(self._tasks):
                await asyncio.wait(working, timeout=GRACE_SECONDS)
            await end(listening, stopped, showing, *working)

    def use(self, config: Config) -> None:
        """Go by this configuration from now on; what is under way ends as it began."""
        if self._is_stopping:
            return
        works = {name: self._work_of(name, settings) for name, settings in config.sinks.items()}
        sources = sources_of(config)
        kept = {name: one for name, one in self._enrichers.items() if self._has_not_changed(sources.get(name))}
        enrichers = enrichers_of(sources, self._client, self._ledger) | kept
        # nothing above changes anything: what raises leaves all as it was
        before, self._sinks = self._sinks, works
        for name, work in before.items():
            if works.get(name) is not work:
                work.stop()
        for name, work in works.items():
            if before.get(name) is not work:
                self._of_sink[name] = self._start(work.run(after=self._of_sink.get(name)))
        self._sources, self._enrichers, self._config = sources, enrichers, config
        self._rounds.use(sources)
        self._ledger.state_life = config.retention.applications
        destinations = {name: work.destination for name, work in works.items()}
        self._intake.use(config.rules, config.stages, destinations, enrichers, config.edition.hash)

    def _work_of(self, name: str, settings: SinkSettings) -> SinkWork:
        """The same as before, unless its settings changed."""
        work = self._sinks.get(name)
        if work is not None and work.destination.settings == settings:
            return work
        return SinkWork(self._ledger, destination_of(name, settings, self._client))

    def _has_not_changed(self, source: Source | None) -> bool:
        before = self._sources.get(source.name) if source else None
        return source is not None and before is not None and before.handler.settings == source.handler.settings

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)

    async def _show(self) -> None:
        worker = uuid4().hex
        try:
            while True:
                with suppress(RedisError, OSError):
                    await self._ledger.show_worker(worker, self._sinks)
                    await self._ledger.count_replicas()
                await asyncio.sleep(SHOW_SECONDS)
        finally:
            with suppress(RedisError, OSError):
                await self._ledger.forget_worker(worker)

    def _on_ring(self, partitions: Sequence[int]) -> None:
        self._intake_loop.wake(partitions)

    def _on_deliveries(self, sink: str, partition: int) -> None:
        if sink in self._sinks:  # else it was removed since this was routed
            self._sinks[sink].wake([partition])

    def _chores(self) -> list[CronJob]:
        return [
            chore("sweep", self._sweep, seconds={0, 30}, timeout=25),
            chore("purge", self._purge, seconds={15}, timeout=50),
            chore("renew", self._renew, seconds={45}, timeout=50),
            chore("review", self._review, seconds={5, 35}, timeout=25),
            chore("poll", self._rounds.look, seconds=set(range(0, 60, 5)), timeout=20),
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
        await self._ledger.note_silences(await self._ledger.last_seen(), await self._ledger.time())

    async def _renew(self) -> None:
        """Put off the end of registrations at vendors."""
        await renew_registrations(self._sources, self._client, self._ledger)

    async def _review(self) -> None:
        """End reviews whose time is over."""
        if rejected := await reject_overdue(self._ledger, {*self._sinks, *await self._ledger.sinks()}):
            log.info("nobody approved them in time, so they are rejected", extra={"deliveries": rejected})

    async def _purge(self) -> None:
        retention = self._config.retention.events
        for partition in range(PARTITIONS):
            while await self._ledger.purge(partition, older_than=retention, most=_PURGE_CHUNK) == _PURGE_CHUNK:
                pass


def enrichers_of(sources: Mapping[str, Source], client: Client, ledger: Ledger) -> dict[str, Enricher]:
    """Those of the sources whose webhooks hold bare ids and whose settings have credentials for the vendor's API."""
    found = {}
    for name, source in sources.items():
        if isinstance(source.handler, Enriches) and (access := source.handler.access()) is not None:
            found[name] = Enricher(source.handler, access, client, partial(_note, ledger, name), ledger.api_turn)
    return found


async def _note(ledger: Ledger, source: str, problem: str | None, refused: bool) -> None:
    await ledger.note_api(source, problem, refused=refused)
