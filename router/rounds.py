"""Which sources are polled and when: every few seconds one worker of all looks which are due, and polls those."""

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial

from redis.exceptions import RedisError

from router.client import Client
from router.connection import end
from router.ledger import Ledger
from router.parts import Source, polls_of
from router.polling import Polling
from router.vendor_api import VendorApi

log = logging.getLogger(__name__)

AT_ONCE = 8
"""So many sources are polled by one worker at the same time."""


def polling_of(source: Source, client: Client, ledger: Ledger) -> Polling | None:
    """What polls a source; None as in `polls_of`."""
    polls = polls_of(source)
    access = polls.access() if polls is not None else None
    if polls is None or access is None:
        return None
    return Polling(source, polls, VendorApi(client, access, ledger.api_turn), ledger)


class Rounds:
    """The polling of one worker."""

    def __init__(self, ledger: Ledger, client: Client) -> None:
        self._ledger = ledger
        self._client = client
        self._pollings: dict[str, Polling] = {}
        self._untried: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    def use(self, sources: Mapping[str, Source]) -> None:
        """Poll these from now on; a pass that is under way ends as it began."""
        before = self._pollings
        self._pollings = {}
        self._untried &= sources.keys()
        for name, source in sources.items():
            known = before.get(name)
            if known is not None and known.source.handler.settings == source.handler.settings:
                self._pollings[name] = known
            elif polling := polling_of(source, self._client, self._ledger):
                self._pollings[name] = polling
                self._untried.add(name)

    async def look(self) -> None:
        """Begin to poll what is due."""
        idle = {name: polling for name, polling in self._pollings.items() if name not in self._running}
        for name, (state, is_asked) in (await self._ledger.read_polls(list(idle))).items():
            if len(self._running) >= AT_ONCE:
                return
            # what failed may have been mended by new settings
            is_untried = state.failures > 0 and name in self._untried
            if state.next_at <= time.time() or is_untried or (is_asked and state.failures == 0):
                self._untried.discard(name)
                task = asyncio.create_task(self._poll(idle[name]))
                self._running[name] = task
                task.add_done_callback(partial(self._ended, name))

    def _ended(self, name: str, _task: "asyncio.Task[None]") -> None:
        del self._running[name]

    async def _poll(self, polling: Polling) -> None:
        try:
            await polling.run()
        except (RedisError, OSError) as error:
            log.warning("polling broke off (%s); it goes on", type(error).__name__)

    async def stop(self) -> None:
        """End at the page where each pass is; it goes on from there."""
        await end(*self._running.values())
