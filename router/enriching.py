"""Completing thin facts: a step of intake for sources whose webhooks hold bare ids and whose API may be asked.

A vendor's API that fails, is slow or refuses the credentials delays the facts of its own source only: they are put off,
never dropped. Credentials that do not work hold them until they do; what fails in another way for a day goes on with
what the webhook said.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from redis.exceptions import RedisError

from handlers.base import Drift, Handler
from handlers.enriching import Access, ApiProblem, Enriches, NotThere, Refused, Unavailable
from router.client import Client
from router.schema import Fact
from router.vendor_api import Turn, VendorApi

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 86400.0
"""After so long an object that can't be fetched is given up; credentials are waited for without end."""

AT_ONCE = 8
"""Facts of one source that are being completed at the same time: intake's slots are for all sources."""

ENRICH_SECONDS = 60.0
_LEAST_WAIT, _MOST_WAIT = 0.5, 3600.0


Note = Callable[[str | None, bool], Awaitable[None]]


class Later(Exception):
    """Not now. ``wait``: seconds until it is worth another try."""

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class Enricher:
    """Completes the facts of one source. ``note(problem, refused)`` is told when the API begins or ceases to work;
    ``turn`` as in `VendorApi`."""

    def __init__(self, handler: Handler, access: Access, client: Client, note: Note, turn: Turn | None = None) -> None:
        assert isinstance(handler, Enriches)
        self._handler = handler
        self._enriches: Enriches = handler
        self._api = VendorApi(client, access, turn)
        self._per_second = access.per_second
        self._note = note
        self._noted: tuple[str | None] | None = None
        self._at_work = 0
        self._put_off: set[str] = set()

    async def complete(self, fact: Fact, received_at: datetime) -> Sequence[Fact]:
        """The fact with what the vendor's API knows, as one fact or several.

        Raises:
            Later: the API can't be asked at the moment.
        """
        self._put_off.discard(fact.subject)
        if self._at_work >= AT_ONCE or self._api.pause:
            raise self._later(fact, self._api.pause)
        self._at_work += 1
        try:
            return await self._completed(fact, received_at)
        finally:
            self._at_work -= 1

    async def _completed(self, fact: Fact, received_at: datetime) -> Sequence[Fact]:
        try:
            async with asyncio.timeout(ENRICH_SECONDS):
                facts = await self._enriches.enrich(fact, self._api)
        except Refused as refused:
            await self._tell(str(refused), refused=True)
            raise self._later(fact, self._api.pause) from None
        except NotThere as problem:
            log.info("a fact goes on as it came: %s", problem, extra={"vendor": self._handler.vendor})
            return [fact]
        except (Unavailable, TimeoutError, Drift) as problem:
            return await self._without(fact, problem, received_at)
        await self._tell(None)
        if any(enriched.subject != fact.subject for enriched in facts):
            raise AssertionError(f"the {self._handler.vendor} handler changed the subject of a fact")
        return [self._handler.with_kind(enriched) for enriched in facts] or [fact]

    async def _without(self, fact: Fact, problem: Exception, received_at: datetime) -> Sequence[Fact]:
        why = str(problem) if isinstance(problem, (ApiProblem, Drift)) else "the vendor's API took too long"
        await self._tell(why)
        if (datetime.now(UTC) - received_at).total_seconds() > PATIENCE_SECONDS:
            log.warning("a fact goes on as it came, after a day: %s", why, extra={"vendor": self._handler.vendor})
            return [fact]
        raise self._later(fact, problem.wait if isinstance(problem, Unavailable) else None)

    def _later(self, fact: Fact, wait: float | None) -> Later:
        """Spread out what waits, so that it comes back no faster than the vendor may be asked."""
        self._put_off.add(fact.subject)
        spread = len(self._put_off) / self._per_second
        return Later(min(_MOST_WAIT, max(_LEAST_WAIT, wait or 0.0) + random.random() * spread))

    async def _tell(self, problem: str | None, *, refused: bool = False) -> None:
        if self._noted == (problem,):
            return
        if problem is not None:
            log.warning("the vendor's API does not work: %s", problem, extra={"vendor": self._handler.vendor})
        try:
            await self._note(problem, refused)
            self._noted = (problem,)
        except (RedisError, OSError):
            pass  # it is told again with the next fact
