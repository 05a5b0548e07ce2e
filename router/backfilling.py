"""Backfill: what an ATS account has from before, as events of its own, which go nowhere unless a sink is named.

Each page is kept with how far the backfill came, so that one that was stopped goes on where it was.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from handlers.base import Drift
from handlers.enriching import ApiProblem, NotThere, Refused, Unavailable
from handlers.polling.base import Page, Pass
from router.destinations import Destination
from router.ledger import Ledger
from router.polled_rows import Reading
from router.polling import Polling
from router.replaying import room
from router.source_records import Backfill, PollState, RunningPass

MOST_FAILURES = 8
_LEAST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class CannotBackfill(Exception):
    """The text says why; ``--continue`` goes on where it was."""


class Backfiller:
    """One backfill of one source. ``told(rows, total, words)`` hears of so many rows more, of how many there are in all
    where the vendor says it, and of what is waited for."""

    def __init__(self, ledger: Ledger, polling: Polling, told: Callable[[int, int | None, str], None]) -> None:
        self._ledger = ledger
        self._polling = polling
        self._told = told

    async def run(self, asked: Backfill, destination: Destination | None, *, dry_run: bool) -> Backfill:
        """Read all pages; with ``dry_run`` nothing is kept.

        Raises:
            CannotBackfill: the source is being polled, or its vendor's API does not answer as it should.
        """
        async with self._polling.alone() as is_alone:
            if not is_alone:
                raise CannotBackfill("a worker polls this source at the moment; try again when that pass is over")
            await self._polling.rows.open()
            while True:
                if destination is not None and not dry_run:
                    await room(self._ledger, destination.name, self._waits, enabled=destination.settings.enabled)
                asked, is_over = await self._one_page(asked, dry_run=dry_run)
                if is_over:
                    break
                if not dry_run:
                    await self._ledger.keep_backfill(self._polling.source.name, asked)
        if not dry_run:
            await self._ledger.forget_backfill(self._polling.source.name)
        return asked

    async def _one_page(self, asked: Backfill, *, dry_run: bool) -> tuple[Backfill, bool]:
        since, until = datetime.fromtimestamp(asked.since, UTC), datetime.fromtimestamp(asked.until, UTC)
        running = RunningPass(id=f"backfill {asked.id}", began=asked.until, everything=False)
        failures = 0
        while True:
            reading = Reading(PollState(), running, datetime.now(UTC), (asked.to,) if asked.to else ())
            try:
                page = await self._polling.polls.page(Pass(since, until), asked.cursor, self._polling.api)
                told = await self._polling.rows.take_since(page.rows, reading, since, until, keep=not dry_run)
                break
            except (ApiProblem, Drift) as problem:
                failures += 1
                await self._wait(problem, failures)
        self._told(len(page.rows), page.total, "")
        return _after(asked, page, told), page.next is None

    async def _wait(self, problem: ApiProblem | Drift, failures: int) -> None:
        is_final = isinstance(problem, (Refused, NotThere)) or failures >= MOST_FAILURES
        if is_final:
            raise CannotBackfill(f"{problem}; `--continue` goes on where it was") from None
        pause = min(_LONGEST_PAUSE, _LEAST_PAUSE * 2**failures)
        if isinstance(problem, Unavailable) and problem.wait is not None:
            pause = max(pause, problem.wait)
        self._waits(f"{problem}: again in {pause:.0f} s")
        await asyncio.sleep(pause)

    def _waits(self, words: str) -> None:
        self._told(0, None, words)


def _after(asked: Backfill, page: Page, told: int) -> Backfill:
    return asked.model_copy(
        update={"cursor": page.next, "rows": asked.rows + len(page.rows), "told": asked.told + told}
    )
