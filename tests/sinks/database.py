"""Databases for the tests of sinks that write into one, and what every such sink must hold to."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from router.client import Client
from router.secret import Reference
from sinks.base import Delivery, Outcome, Result, Sink
from tests.postgres import Postgres
from tests.sinks.conformance import DELIVERY


class Database(ABC):
    """An empty database. ``url`` is what a sink is given, ``driver_url`` the same for the tests themselves."""

    url: str
    driver_url: str

    async def query(self, statement: str, **values: object) -> list[dict[str, Any]]:
        engine = create_async_engine(self.driver_url, poolclass=NullPool)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement), values)
            return [dict(row._mapping) for row in result] if result.returns_rows else []

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Nobody else can write into the table."""
        engine = create_async_engine(self.driver_url, poolclass=NullPool)
        async with engine.connect() as connection:
            await connection.execute(text(self.lock.format(table=table)))
            yield
            await connection.rollback()

    lock: ClassVar[str]

    @contextmanager
    @abstractmethod
    def away(self) -> Iterator[None]: ...


class Sqlite(Database):
    lock = "BEGIN IMMEDIATE"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hr.db"
        self.url = f"sqlite:///{self._file}"
        self.driver_url = f"sqlite+aiosqlite:///{self._file}"

    @contextmanager
    def away(self) -> Iterator[None]:
        """The file can't be opened: a folder stands in its place."""
        aside = self._file.with_suffix(".aside")
        if self._file.exists():
            self._file.rename(aside)
        self._file.mkdir()
        yield
        self._file.rmdir()
        if aside.exists():
            aside.rename(self._file)


class Postgresql(Database):
    lock = "LOCK TABLE {table} IN SHARE MODE"

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.url = server.url
        self.driver_url = server.url.replace("postgresql:", "postgresql+asyncpg:")

    async def empty(self) -> None:
        await self.query("DROP SCHEMA public CASCADE")
        await self.query("CREATE SCHEMA public")

    @contextmanager
    def away(self) -> Iterator[None]:
        self._server.stop()
        try:
            yield
        finally:
            self._server.start()


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
