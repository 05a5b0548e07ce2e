"""Polling one source: passes over its vendor's list of applications, in which only what changed becomes facts.

A page is kept before the next one is asked for. A pass that breaks off goes on at the page where it was, by whichever
worker comes next.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from redis.exceptions import LockError, RedisError

from handlers.base import Drift
from handlers.enriching import ApiProblem, NotThere, Refused, Unavailable
from handlers.polling.base import Pass, Polls
from handlers.reading import Node
from router.connection import end
from router.ledger import Ledger
from router.ledger_polls import POLLER_SECONDS
from router.parts import Source
from router.polled_rows import Reading, Row, Rows
from router.schema import Application, EventType, Fact
from router.sightings import Seen, seen_in
from router.source_records import PollState, RunningPass
from router.vendor_api import VendorApi

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=10)
"""A pass looks so far back behind the beginning of the last one: clocks differ, and vendors list late."""

PAGE_SECONDS = 120.0
_LEAST_PAUSE, _REFUSED_PAUSE, _LONGEST_PAUSE = 5.0, 60.0, 1800.0
_PATIENCE = 60.0
_FEW = 20
"""So many applications may be missing at once, whatever their share."""


class Polling:
    """One source, polled by whoever is first."""

    def __init__(self, source: Source, polls: Polls[Any], api: VendorApi, ledger: Ledger) -> None:
        self.source = source
        self.polls = polls
        self.api = api
        self._ledger = ledger
        self.rows = Rows(source, polls, api, ledger)
        self._present: set[int] | None = None  # what is in a pass over everything, as far as one process read it whole

    async def run(self) -> bool:
        """One pass, or the rest of one that broke off; False where another one polls this source now.

        Raises:
            RedisError: the server is away; the pass goes on later.
        """
        async with self.alone() as is_alone:
            if is_alone:
                await self._run()
        return is_alone

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """As long as the context lasts, nobody else polls this source; False where somebody does."""
        lock = self._ledger.poller(self.source.name)
        if not await lock.acquire():
            yield False
            return
        polling = asyncio.current_task()
        assert polling is not None

        async def show() -> None:
            try:
                while True:
                    await asyncio.sleep(POLLER_SECONDS / 4)
                    await lock.reacquire()
            except (LockError, RedisError, OSError):
                polling.cancel()  # somebody else may go on meanwhile

        showing = asyncio.create_task(show())
        try:
            yield True
        finally:
            await end(showing)
            with suppress(LockError, RedisError, OSError):  # it ends by itself
                await lock.release()

    async def _run(self) -> None:
        name = self.source.name
        state = self._begun(await self._ledger.read_poll(name))
        await self._ledger.forget_asking(name)
        await self.rows.open()
        assert state.running is not None
        self._present = set() if state.running.everything and state.running.pages == 0 else None
        try:
            while True:
                state, is_over = await self._one_page(state)
                if is_over:
                    break
                await self._ledger.keep_poll(name, state)
        except (ApiProblem, Drift, TimeoutError) as problem:
            await self._failed(state, problem)
        except (RedisError, OSError):
            raise
        except Exception as fault:  # ours: it must not be met again every few seconds
            log.exception("polling failed", extra={"source": name})
            await self._failed(state, ApiProblem(f"reading its answer failed with {type(fault).__name__}"))
        else:
            await self._finish(state)

    def _begun(self, state: PollState) -> PollState:
        """The pass that broke off, or a new one."""
        if state.running is not None:
            return state
        now = datetime.now(UTC).timestamp()
        everything_at = state.everything_at + self.source.handler.settings.poll.everything_every
        running = RunningPass(id=uuid4().hex[:12], began=now, everything=state.since is None or everything_at <= now)
        return state.model_copy(update={"running": running, "first_contact": state.first_contact or now})

    async def _one_page(self, state: PollState) -> tuple[PollState, bool]:
        """The state after one more page, and whether it was the last."""
        running = state.running
        assert running is not None
        if self.api.pause <= _PATIENCE:  # a limit that is used up is no problem
            await asyncio.sleep(self.api.pause)
        reading = Reading(state, running, datetime.now(UTC))
        async with asyncio.timeout(PAGE_SECONDS):
            page = await self.polls.page(_asked(state, running), running.cursor, self.api)
        if page.next is not None and page.next == running.cursor:
            raise Drift("the page", "names itself as the next one")
        changed, subjects = await self.rows.take(page.rows, reading)
        if self._present is not None:
            self._present.update(map(hash, subjects))
        counts = {"rows": running.rows + len(page.rows), "changed": running.changed + changed}
        running = running.model_copy(update={"cursor": page.next, "pages": running.pages + 1, **counts})
        mark = state.mark if page.mark is None else page.mark
        state = state.model_copy(update={"running": running, "failures": 0, "mark": mark})
        is_known_from_here = self.polls.newest_first and not running.everything and changed == 0
        return state, page.next is None or is_known_from_here

    # --- how a pass ends --------------------------------------------------------------------------------------------

    async def _finish(self, state: PollState) -> None:
        """Note that the pass came to its end, and when the next one is."""
        running, last = state.running, state.last
        assert running is not None
        if running.everything:
            await self._ledger.keep_alive(self.source.name, self.polls.account)
        if running.everything and self.polls.complete and self._present is not None:
            await self._tell_missing(state, self._present)
        # where pages are counted, a row may have slipped past: what changed meanwhile is asked for twice then
        may_have_missed = self.polls.shifting and running.pages > 1 and running.changed > 0
        every = self.source.handler.settings.poll.every or self.polls.usual
        update: dict[str, object] = {
            "running": None,
            "last": running,
            "next_at": running.began + every,
            "knows_all": state.knows_all or running.everything,
            "since": last.began if may_have_missed and last is not None else running.began,
            "everything_at": running.began if running.everything else state.everything_at,
        }
        await self._ledger.keep_poll(self.source.name, state.model_copy(update=update))
        await self._ledger.note_api(self.source.name, None)
        counts = {"pages": running.pages, "rows": running.rows, "changed": running.changed}
        log.info("polled", extra={"source": self.source.name, "everything": running.everything, **counts})

    async def _failed(self, state: PollState, problem: ApiProblem | Drift | TimeoutError) -> None:
        """Keep where the pass stands, and wait longer each time."""
        failures, refused = state.failures + 1, isinstance(problem, Refused)
        least = _REFUSED_PAUSE if refused else _LEAST_PAUSE
        pause = min(_LONGEST_PAUSE, least * 2 ** min(failures - 1, 16)) * random.uniform(0.8, 1.2)
        if isinstance(problem, Unavailable) and problem.wait is not None:
            pause = max(pause, problem.wait)
        update: dict[str, object] = {"failures": failures, "next_at": datetime.now(UTC).timestamp() + pause}
        if isinstance(problem, NotThere) and state.running is not None and state.running.cursor is not None:
            update["running"] = None  # the vendor does not know this page any more: from the beginning then
        await self._ledger.keep_poll(self.source.name, state.model_copy(update=update))
        why = _why(problem)
        await self._ledger.note_api(self.source.name, why, refused=refused)
        log.warning("polling failed: %s", why, extra={"source": self.source.name, "next_in_s": round(pause)})

    async def _tell_missing(self, state: PollState, present: set[int]) -> None:
        """What was in neither of the last two passes over everything was deleted. That much is missing at once, as when
        a permission was taken away, is not believed."""
        assert state.running is not None
        missing, known = await self.rows.missing(present)
        if len(missing) > max(_FEW, known // 10):
            told = {"source": self.source.name, "missing": len(missing), "known": known}
            log.warning("too much is not in the vendor's list any more to take it for deleted", extra=told)
            return
        await self.rows.remember([(name, replace(one, is_missing=True)) for name, one in missing])
        gone = [_gone(subject, one) for subject, one in missing if one.is_missing]
        await self.rows.tell(gone, Reading(state, state.running, datetime.now(UTC)))


def _asked(state: PollState, running: RunningPass) -> Pass:
    until = datetime.fromtimestamp(running.began, UTC)
    if running.everything or state.since is None:
        return Pass(None, until)
    return Pass(datetime.fromtimestamp(state.since, UTC) - OVERLAP, until, state.mark)


def _why(problem: ApiProblem | Drift | TimeoutError) -> str:
    if isinstance(problem, Drift):
        return f"the vendor's API answered otherwise than documented ({problem})"
    return str(problem) if isinstance(problem, ApiProblem) else "the vendor's API took too long"


def _gone(subject: str, seen: Seen) -> Row:
    """A row for what is not in the list any more."""
    identifier = subject.partition(":")[2]
    deleted, application = EventType.APPLICATION_DELETED, Application(id=identifier)
    facts = [Fact(type=deleted, vendor_event="not listed any more", application=application)]
    return Row(Node.of({"id": identifier}), facts, subject, seen, seen_in(facts))
