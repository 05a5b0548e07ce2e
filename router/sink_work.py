"""One sink at work, with one set of settings: when these change, another one takes its place."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

from router.delivery import Deliveries
from router.destinations import Destination
from router.lanes import LaneLoop
from router.ledger import Ledger
from sinks.base import SinkProblem

log = logging.getLogger(__name__)

OPEN_AGAIN_SECONDS = 10.0


class SinkWork:
    """Delivers to one destination until told to stop."""

    def __init__(self, ledger: Ledger, destination: Destination) -> None:
        self.destination = destination
        self._sink = destination.sink
        self._name = destination.name
        self._loop = LaneLoop(ledger, Deliveries(ledger, destination), destination.settings.concurrency)
        self._stop = asyncio.Event()

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
        try:
            while not self._stop.is_set():
                try:
                    await self._sink.open()
                    await self._loop.run()
                except SinkProblem as problem:
                    fields = {"sink": self._name, "reason": str(problem)}
                    log.error("the sink can't work; its deliveries wait", extra=fields)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(OPEN_AGAIN_SECONDS):
                            await self._stop.wait()
        finally:
            await self._sink.close()
