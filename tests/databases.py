"""Databases for tests, each empty at first, that can be locked and taken away."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.postgres import Postgres


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
