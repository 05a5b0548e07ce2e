"""The database of the `hris_staging` sink: how it is connected to, what is in it, what its errors mean."""

import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Connection,
    DateTime,
    Inspector,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedIndex
from sqlalchemy.exc import DBAPIError, SAWarning, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.types import NullType

from sinks.base import Outcome, Result, SinkProblem
from sinks.hris.address import SQLITE, Address

FAILURES = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, OverflowError)
"""All that using a database raises; what comes of connecting is not wrapped by SQLAlchemy."""


def engine_of(address: Address, connections: int, timeout: float) -> AsyncEngine:
    """Connections open when they are needed; ``timeout`` is in seconds."""
    return _sqlite(address, timeout) if address.is_sqlite else _postgresql(address, connections, timeout)


def _sqlite(address: Address, timeout: float) -> AsyncEngine:
    """SQLite has one writer at a time, so attempts wait for the one connection here instead of for a lock there."""
    return create_async_engine(
        URL.create("sqlite+aiosqlite", database=address.url.removeprefix(SQLITE)),
        connect_args={"timeout": timeout / 2, "isolation_level": "IMMEDIATE"},
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=timeout / 2,
    )


def _postgresql(address: Address, connections: int, timeout: float) -> AsyncEngine:
    async def connect() -> Any:
        """By asyncpg itself, which reads a URL as PostgreSQL's own programs do: sslmode, sockets, pgpass."""
        return await asyncpg.connect(address.url, timeout=timeout)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_size=connections, max_overflow=0)


_FIRST_IN_SQLITE = ("PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE")
"""Who reads and who writes don't wait for each other; of workers that start together one makes the tables."""

_FIRST_IN_POSTGRESQL = ("SELECT pg_advisory_xact_lock(4208110)",)


async def make_ready(engine: AsyncEngine, address: Address, tables: Collection[Table], timeout: float) -> None:
    """Make the tables that are not there, and check those that are.

    Raises:
        SinkProblem: the database can't be reached, or it is not as it must be.
    """
    try:
        if address.is_sqlite:
            _make_private(Path(address.url.removeprefix(SQLITE)))
        async with address.limit(timeout), engine.begin() as connection:
            for statement in _FIRST_IN_SQLITE if address.is_sqlite else _FIRST_IN_POSTGRESQL:
                await connection.execute(text(statement))
            for table in tables:
                await connection.run_sync(_make_or_check, table)
    except FAILURES as error:
        words = "can't reach" if outcome_of(error).reason in ("db_unreachable", "timeout") else "can't use"
        raise SinkProblem(f"{words} the database {address.shown}: {_said(error, address)}") from None


def _make_private(path: Path) -> None:
    """The file holds candidates' data: it is for its owner alone, unless that person lets others in."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _make_or_check(connection: Connection, table: Table) -> None:
    inspector = inspect(connection)
    if inspector.has_table(table.name):
        with warnings.catch_warnings(category=SAWarning, action="ignore"):  # of types that SQLAlchemy does not know
            _check(inspector, connection, table)
    else:
        table.create(connection)


def _check(inspector: Inspector, connection: Connection, table: Table) -> None:
    sqlite = connection.dialect.name == "sqlite"
    there = {column["name"]: column for column in inspector.get_columns(table.name)}
    for column in table.columns:
        wanted = column.type.compile(connection.dialect)
        where = f'the column "{column.name}" of the table "{table.name}"'
        if column.name not in there:
            raise SinkProblem(f"{where} is missing; add it with the type {wanted}")
        if not _fits(there[column.name], _family(column.type, sqlite)):
            raise SinkProblem(f"{where} has {_type_name(there[column.name], connection)}; change it to {wanted}")
        if column.nullable and not there[column.name]["nullable"]:
            raise SinkProblem(f"{where} must be allowed to be empty; drop its NOT NULL")
    ours = {column.name for column in table.columns}
    for name, other in there.items():
        if name not in ours and not other["nullable"] and not _fills_itself(other):
            raise SinkProblem(
                f'the column "{name}" of the table "{table.name}" is not filled by this sink, but may not be empty; '
                "give it a default, or drop its NOT NULL"
            )
    _check_unique(inspector, table)


def _type_name(column: ReflectedColumn, connection: Connection) -> str:
    type_ = column["type"]
    return "another type" if isinstance(type_, NullType) else f"the type {type_.compile(connection.dialect)}"


def _fits(column: ReflectedColumn, family: tuple[type, ...]) -> bool:
    type_ = column["type"]
    loses_zone = isinstance(type_, DateTime) and not type_.timezone and String not in family
    return isinstance(type_, family) and not loses_zone


def _family(wanted: Any, sqlite: bool) -> tuple[type, ...]:
    """What a column's type may be. A column of SQLite takes what is written, whatever it is called."""
    kind = type(getattr(wanted, "impl_instance", wanted))
    family = next(known for known in (Boolean, Integer, JSON, DateTime, String) if issubclass(kind, known))
    if not sqlite or family is String:
        return (family,)
    return (family, Numeric, Integer) if family in (Boolean, Integer) else (family, Numeric, String)


def _fills_itself(column: ReflectedColumn) -> bool:
    return bool(column.get("default") is not None or column.get("identity") or column.get("computed"))


def _check_unique(inspector: Inspector, table: Table) -> None:
    indexes = [index for index in inspector.get_indexes(table.name) if index["unique"] and not _is_partial(index)]
    there = [set(inspector.get_pk_constraint(table.name)["constrained_columns"])]
    there += [set(constraint["column_names"]) for constraint in inspector.get_unique_constraints(table.name)]
    there += [{str(name) for name in index["column_names"]} for index in indexes]
    keys = [each for each in table.constraints if isinstance(each, (PrimaryKeyConstraint, UniqueConstraint))]
    for constraint in keys:
        wanted = {column.name for column in constraint.columns}
        if wanted and wanted not in there:
            names = ", ".join(f'"{column.name}"' for column in constraint.columns)
            raise SinkProblem(
                f'the table "{table.name}" must be unique on {names}, or rows come twice; '
                f'add it: CREATE UNIQUE INDEX "{table.name[:50]}_unique" ON "{table.name}" ({names})'
            )


def _is_partial(index: ReflectedIndex) -> bool:
    return any(option.endswith("_where") for option in index.get("dialect_options", {}))


_REFUSES_US = {"db_no_access", "db_changed"}  # a person has to mend it
_BY_SQLSTATE = {
    "40": "db_locked",  # deadlock, serialization
    "55": "db_locked",
    "57014": "db_locked",  # a statement_timeout of the server
    "08": "db_unreachable",
    "53": "db_overloaded",  # too many connections, no memory, disk full
    "57": "db_unreachable",  # shutting down, starting up
    "25": "db_read_only",  # a standby
    "28": "db_no_access",
    "3D": "db_no_access",
    "42501": "db_no_access",
    "42": "db_changed",  # a table or column that was there at the start
    "22": "db_rejected",
    "23": "db_rejected",
    "54": "db_rejected",  # larger than a column or an index can be
}
_BY_SQLITE_CODE = {
    5: "db_locked",
    6: "db_locked",
    8: "db_read_only",
    10: "db_unreachable",
    13: "db_overloaded",  # disk full
    14: "db_unreachable",
    1: "db_changed",
    18: "db_rejected",
    19: "db_rejected",
    20: "db_rejected",
}


def outcome_of(error: BaseException, *, committing: bool = False) -> Outcome:
    """What an error means. Only what is about this very event is final; all else people or time mend.

    A connection lost while committing leaves it unknown whether the rows are there; the unique key makes the next
    attempt harmless.
    """
    reason = _reason(error)
    if committing and reason in ("db_unreachable", "timeout"):
        return Outcome(Result.AMBIGUOUS, reason)
    if reason in _REFUSES_US:
        return Outcome(Result.REFUSED, reason)
    return Outcome(Result.PERMANENT if reason == "db_rejected" else Result.RETRY, reason)


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(state := getattr(cause, "sqlstate", None), str):
            return _BY_SQLSTATE.get(state) or _BY_SQLSTATE.get(state[:2], "db_error")
        if isinstance(code := getattr(cause, "sqlite_errorcode", None), int):
            return _BY_SQLITE_CODE.get(code & 0xFF, "db_error")
    if any(isinstance(cause, (TimeoutError, NoFreeConnection)) for cause in _causes(error)):
        return "timeout"
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or any(isinstance(cause, OSError) for cause in _causes(error)):
        return "db_unreachable"
    return (
        "db_rejected" if any(isinstance(cause, (ValueError, OverflowError)) for cause in _causes(error)) else "db_error"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was made of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = getattr(cause, "orig", None) or cause.__cause__


def _said(error: BaseException, address: Address) -> str:
    """The database's own first line, which is for people and holds nothing of an event."""
    *_, cause = _causes(error)
    said = (str(cause).splitlines() or ["no answer in time"])[0]
    return said.replace(address.password, "***") if address.password else said
