"""HRIS staging: two tables from which HR takes over who was hired, in SQLite or PostgreSQL.

``hris_staging_events`` gets every event once, ``hris_staging`` has one row per application, as the newest event left
it. Both are written in one transaction, whose unique idempotency key makes every further attempt harmless.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Table, exists, func, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from router.client import Client
from router.fields import UnknownField
from router.schema import CANDIDATE_TYPES, Event, EventType
from router.secret import Reference
from router.wording import did_you_mean, quoted
from sinks.base import Delivery, Outcome, Result, Sink, SinkSettings
from sinks.hris_database import FAILURES, POSTGRESQL, SQLITE, Address, make_ready, outcome_of
from sinks.hris_tables import (
    STAGING_COLUMNS,
    TOLD,
    About,
    Row,
    changes,
    events_table,
    extra_columns,
    key_of,
    staging_table,
    values_of,
    without_nul,
)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


def _database_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        if not value.startswith((SQLITE, *POSTGRESQL)) or urlsplit(value).path in ("", "/", "/:memory:"):
            raise ValueError
        password = Address(value).password
    except ValueError:
        raise PydanticCustomError(
            "database_url", "a database is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    if password and not isinstance(value, Reference):
        raise PydanticCustomError(
            "literal_secret", "a password must not stand in this file: write ${HRIS_DATABASE_URL} for the whole address"
        )
    return str(value)


def _checked_name(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise PydanticCustomError(
            "identifier",
            "{name} can't be the name of a table or column: use letters, digits and _, no digit first, at most 63",
            {"name": quoted(name)},
        )
    return name


Name = Annotated[str, AfterValidator(_checked_name)]


def _known_columns(columns: dict[str, str]) -> dict[str, str]:
    for name in columns:
        if name not in STAGING_COLUMNS:
            hint = did_you_mean(name, STAGING_COLUMNS)
            sentence = f"there is no column {quoted(name)} to rename{hint}; new columns stand under extra"
            raise PydanticCustomError("column", "{sentence}", {"sentence": sentence})
    return columns


def _known_fields(extra: dict[str, str]) -> dict[str, str]:
    try:
        extra_columns(extra)
    except UnknownField as unknown:
        raise PydanticCustomError("field", "{sentence}", {"sentence": str(unknown)}) from None
    return extra


class HrisStagingSettings(SinkSettings):
    concurrency: int = Field(8, ge=1, le=100, description="Transactions at the same time, per worker.")
    url: Annotated[SecretStr, BeforeValidator(_database_url)] = Field(
        SecretStr("sqlite:///hris_staging.db"),
        description="The database: sqlite:///FILE, from the folder where the router was started, or postgresql://...",
    )
    table: Name = Field("hris_staging", description="One row per application.")
    events_table: Name = Field("hris_staging_events", description="One row per event.")
    columns: Annotated[dict[str, Name], AfterValidator(_known_columns)] = Field(
        {}, description="Other names for columns: ours, then yours."
    )
    extra: Annotated[dict[Name, str], AfterValidator(_known_fields)] = Field(
        {}, description="Columns of your own, and the field of the event that fills each."
    )

    @model_validator(mode="after")
    def _names_are_different(self) -> Self:
        if self.table.lower() == self.events_table.lower():
            raise PydanticCustomError("twice", "table and events_table must be two tables")
        names = [self.columns.get(name, name).lower() for name in STAGING_COLUMNS]
        names += [name.lower() for name in self.extra]
        if twice := next((name for name in names if names.count(name) > 1), None):
            sentence = (
                f"two columns would have the name {quoted(twice)}; give one of them another under columns or extra"
            )
            raise PydanticCustomError("twice", "{sentence}", {"sentence": sentence})
        return self


class HrisStaging(Sink):
    """Writes each event into the two tables."""

    sink_type = "hris_staging"
    title = "HRIS staging table"
    Settings = HrisStagingSettings

    def __init__(self, settings: SinkSettings, client: Client) -> None:
        assert isinstance(settings, HrisStagingSettings)
        self._timeout = settings.timeout
        self._address = Address(settings.url.get_secret_value())
        self._engine = self._address.engine(settings.concurrency, settings.timeout)
        self._events = events_table(settings.events_table)
        self._staging = staging_table(settings.table, settings.columns, settings.extra)
        insert = sqlite.insert if self._address.is_sqlite else postgresql.insert
        self._insert_event = insert(self._events).on_conflict_do_nothing()
        self._insert_row = insert(self._staging).on_conflict_do_nothing()
        self._columns = (*TOLD, *extra_columns(settings.extra))

    def target(self, event: Event) -> str:
        return f"{self._address.shown} {self._staging.name}"

    async def open(self) -> None:
        await make_ready(self._engine, self._address, (self._events, self._staging), self._timeout)

    async def close(self) -> None:
        await self._engine.dispose()

    async def attempt(self, delivery: Delivery) -> Outcome:
        committing = False
        try:
            async with self._address.limit(self._timeout), self._engine.connect() as connection:
                is_new = await self._write(connection, delivery)
                committing = True
                await connection.commit()
        except FAILURES as error:
            return outcome_of(error, committing=committing)
        return Outcome(Result.DELIVERED, "ok" if is_new else "duplicate")

    async def _write(self, connection: AsyncConnection, delivery: Delivery) -> bool:
        """Whether this key was new; where it was not, everything is written already."""
        event = delivery.event
        values = values_of(delivery.id, event, json.loads(delivery.event_body))
        await self._lock_candidates(connection, event)
        inserted = await connection.execute(self._insert_event, values)
        if inserted.rowcount == 0:
            return False
        erased = await self._is_deleted(connection, values)
        if erased or event.type is EventType.CANDIDATE_DELETED:
            await self._erase_events(connection, values)
        for row in await self._rows(connection, event):
            changed = changes(row, event, self._columns, erased=erased or row["candidate_deleted_at"] is not None)
            if event.type is EventType.CANDIDATE_DELETED:
                changed = self._emptied(event)
            elif event.type is EventType.CANDIDATE_MERGED and event.merged_into:
                changed["candidate_id"] = without_nul(event.merged_into)
            if changed:
                await connection.execute(self._change(row, changed))
        if event.type is EventType.CANDIDATE_MERGED and event.merged_into:
            await self._merge_events(connection, values, without_nul(event.merged_into))
        return True

    async def _lock_candidates(self, connection: AsyncConnection, event: Event) -> None:
        """One event of a candidate at a time, so that none slips in while the candidate is deleted or merged.

        SQLite has one writer at a time anyway.
        """
        if self._address.is_sqlite or event.candidate is None:
            return
        for candidate in sorted({event.candidate.id, event.merged_into} - {None}, key=str):
            key = json.dumps([event.source, event.account, candidate])
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))

    async def _is_deleted(self, connection: AsyncConnection, values: Row) -> bool:
        if values["candidate_id"] is None:
            return False
        its = {name: values[name] for name in ("source", "account", "candidate_id")}
        deletion = {**its, "type": EventType.CANDIDATE_DELETED.value}
        found = await connection.execute(select(exists().where(*_are(self._events, deletion))))
        return bool(found.scalar_one())

    async def _rows(self, connection: AsyncConnection, event: Event) -> list[Row]:
        """The staging rows that an event is about, locked: its application's, made if need be, or its candidate's."""
        keys: dict[str, Any] = key_of(event)
        if event.type not in CANDIDATE_TYPES:
            assert event.application is not None
            keys["application_id"] = without_nul(event.application.id)
            await connection.execute(self._insert_row, keys)
        else:
            assert event.candidate is not None
            keys["candidate_id"] = without_nul(event.candidate.id)
        found = select(self._staging).where(*_are(self._staging, keys)).with_for_update()
        rows = await connection.execute(found.order_by(self._staging.c.application_id))
        return [{column.key: row._mapping[column] for column in self._staging.c} for row in rows]

    def _change(self, row: Row, changed: Mapping[str, Any]) -> Any:
        keys = {name: row[name] for name in ("source", "account", "application_id")}
        return update(self._staging).where(*_are(self._staging, keys)).values({**changed, "updated_at": _now()})

    def _emptied(self, event: Event) -> dict[str, Any]:
        """A deleted candidate leaves where the application stood and which job it was, and nothing of the person."""
        person = {column.name: None for column in self._columns if column.about is About.PERSON}
        return person | {"candidate_deleted_at": event.occurred_at or event.received_at}

    async def _erase_events(self, connection: AsyncConnection, values: Row) -> None:
        """The content of all events of a deleted candidate and of the candidate's applications."""
        account = {name: values[name] for name in ("source", "account")}
        candidate = {**account, "candidate_id": values["candidate_id"]}
        applications = select(self._staging.c.application_id).where(*_are(self._staging, candidate))
        events = self._events.c
        theirs = or_(events.candidate_id == values["candidate_id"], events.application_id.in_(applications))
        await connection.execute(update(self._events).where(*_are(self._events, account), theirs).values(event=null()))

    async def _merge_events(self, connection: AsyncConnection, values: Row, into: str) -> None:
        """They are of the candidate who stays, should that one be deleted. That this one is deleted stays its own."""
        its = {name: values[name] for name in ("source", "account", "candidate_id")}
        others = self._events.c.type != EventType.CANDIDATE_DELETED.value
        merged = update(self._events).where(*_are(self._events, its), others).values(candidate_id=into)
        await connection.execute(merged)


def _are(table: Table, values: Mapping[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in values.items()]


def _now() -> datetime:
    return datetime.now(UTC)
