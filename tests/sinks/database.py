"""What every sink that writes into a database must hold to."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from router.client import Client
from router.secret import Reference
from sinks.base import Delivery, Outcome, Result, Sink
from tests.databases import Database
from tests.sinks.conformance import DELIVERY


class DatabaseConformance:
    """What every sink that writes into a database must hold to."""

    sink: ClassVar[type[Sink]]

    @asynccontextmanager
    async def opened(self, client: Client, database: Database, timeout: str = "10s") -> AsyncIterator[Sink]:
        settings = {"type": self.sink.sink_type, "url": Reference(database.url), "timeout": timeout}
        sink = self.sink(self.sink.Settings.model_validate(settings), client)
        try:
            await sink.open()
            yield sink
        finally:
            await sink.close()

    def nth(self, number: int) -> Delivery:
        return Delivery(f"{DELIVERY.id}{number}", DELIVERY.event_body, DELIVERY.event_body)

    async def test_success_and_again(self, client: Client, database: Database) -> None:
        async with self.opened(client, database) as sink:
            assert await sink.attempt(self.nth(1)) == Outcome(Result.DELIVERED, "ok")
            assert await sink.attempt(self.nth(1)) == Outcome(Result.DELIVERED, "duplicate")

    async def test_opened_twice_and_after_it_was_closed(self, client: Client, database: Database) -> None:
        async with self.opened(client, database) as sink:
            await sink.open()
            await sink.close()
            await sink.open()
            assert (await sink.attempt(self.nth(1))).result is Result.DELIVERED

    async def test_away_and_back(self, client: Client, database: Database) -> None:
        async with self.opened(client, database) as sink:
            await sink.attempt(self.nth(1))
            await sink.close()  # SQLite would go on with the open file
            with database.away():
                assert await sink.attempt(self.nth(2)) == Outcome(Result.RETRY, "db_unreachable")
            assert await sink.attempt(self.nth(2)) == Outcome(Result.DELIVERED, "ok")

    async def test_the_time_limit_holds(self, client: Client, database: Database) -> None:
        async with self.opened(client, database, "300ms") as sink:
            async with database.locked("hris_staging_events"):
                start = time.monotonic()
                outcome = await sink.attempt(self.nth(1))
            assert time.monotonic() - start < 3
            assert outcome.result is Result.RETRY
            assert outcome.reason in ("timeout", "db_locked")
            assert await sink.attempt(self.nth(1)) == Outcome(Result.DELIVERED, "ok")

    async def test_64_attempts_at_once(self, client: Client, database: Database) -> None:
        async with self.opened(client, database) as sink:
            outcomes = await asyncio.gather(*(sink.attempt(self.nth(number)) for number in range(64)))
        assert set(outcomes) == {Outcome(Result.DELIVERED, "ok")}

    async def test_cancelling_an_attempt_leaves_the_sink_usable(self, client: Client, database: Database) -> None:
        async with self.opened(client, database, "1s") as sink:
            async with database.locked("hris_staging_events"):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(sink.attempt(self.nth(1)), 0.2)
            assert (await sink.attempt(self.nth(1))).result is Result.DELIVERED
