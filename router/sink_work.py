"""One sink at work, with one set of settings: when these change, another one takes its place."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

from redis.exceptions import RedisError

from router.delivery import Deliveries
from router.destinations import Destination
from router.lanes import LaneLoop
from router.ledger import Ledger
from router.records import GateState
from sinks.base import SinkProblem

log = logging.getLogger(__name__)

OPEN_AGAIN_SECONDS = 10.0


class SinkWork:
    """Delivers to one destination until told to stop."""

    def __init__(self, ledger: Ledger, destination: Destination) -> None:
        self.destination = destination
        self._sink = destination.sink
        self._name = destination.name
        self._ledger = ledger
        self._is_on = destination.settings.enabled
        deliveries = Deliveries(ledger, destination)
        gate = deliveries.gate if self._is_on else None
        self._loop = LaneLoop(ledger, deliveries, destination.settings.concurrency, gate)
        self._stop = asyncio.Event()
        self._had_problem = False

    def wake(self, partitions: Iterable[int]) -> None:
        self._loop.wake(partitions)

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the running attempts have ended."""
        self._stop.set()
        self._loop.stop()

    async def run(self, after: "asyncio.Task[None] | None" = None) -> None:
        """Work, once the task ``after`` has ended: that of the settings before, whose attempts still run.

        A sink that can't work as it is set up keeps its deliveries waiting, and the others going.
        """
        if after is not None:
            await asyncio.wait([after])
        if not self._is_on:
            await self._loop.run()  # which holds what it claims
            return
        try:
            while not self._stop.is_set():
                try:
                    await self._sink.open()
                    await self._try_at_once()
                    await self._loop.run()
                except SinkProblem as problem:
                    await self._park(problem)
        finally:
            await self._sink.close()

    async def _park(self, problem: SinkProblem) -> None:
        """Say what is wrong, and wait a while."""
        self._had_problem = True
        fields = {"sink": self._name, "reason": str(problem)}
        log.error("the sink can't work; its deliveries wait", extra=fields)
        with suppress(RedisError, OSError):
            await self._ledger.trip(self._name, GateState.PARKED, str(problem), probe=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_AGAIN_SECONDS):
                await self._stop.wait()

    async def _try_at_once(self) -> None:
        """What kept this sink from being tried may have gone with the settings before, or with a problem at opening."""
        with suppress(RedisError, OSError):
            if self._had_problem:
                await self._ledger.works(self._name, 1, probe=True)
            else:
                await self._ledger.probe_now(self._name)
        self._had_problem = False
