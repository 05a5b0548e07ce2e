"""What the `hris_staging` sink does in its database."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Table, bindparam, exists, func, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from router.schema import CANDIDATE_TYPES, Event, EventType
from sinks.base import Delivery, Outcome, Result
from sinks.hris.address import Address
from sinks.hris.columns import TOLD, About, Row, changes, extra_columns, key_of, values_of, without_nul
from sinks.hris.database import FAILURES, engine_of, make_ready, outcome_of
from sinks.hris.settings import HrisStagingSettings
from sinks.hris.tables import InsertNew, events_table, staging_table

_APPLICATION = ("source", "account", "application_id")
_CANDIDATE = ("source", "account", "candidate_id")


class Writer:
    """Writes events into the two tables, each in one transaction."""

    def __init__(self, settings: HrisStagingSettings) -> None:
        self._timeout = settings.timeout
        self._address = Address(settings.url.get_secret_value())
        self._engine = engine_of(self._address, settings.concurrency, settings.timeout)
        self._events = events_table(settings.events_table)
        self._staging = staging_table(settings.table, settings.columns, settings.extra)
        # built once, as building and caching a statement costs more than executing it
        self._insert_event = InsertNew(self._events)
        self._insert_row = InsertNew(self._staging)
        deletions = *_asked(self._events, *_CANDIDATE), self._events.c.type == EventType.CANDIDATE_DELETED.value
        self._find_deletion = select(exists().where(*deletions))
        self._find_row = self._rows_by(*_APPLICATION)
        self._find_rows = self._rows_by(*_CANDIDATE)
        self._columns = (*TOLD, *extra_columns(settings.extra))

    async def open(self) -> None:
        """Make the tables that are not there.

        Raises:
            SinkProblem: the database can't be reached, or it is not as it must be.
        """
        await make_ready(self._engine, self._address, (self._events, self._staging), self._timeout)

    async def close(self) -> None:
        await self._engine.dispose()

    async def attempt(self, delivery: Delivery) -> Outcome:
        """Write one event. Every failure is an `Outcome`, never an exception."""
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
        found = await connection.execute(self._find_deletion, {name: values[name] for name in _CANDIDATE})
        return bool(found.scalar_one())

    async def _rows(self, connection: AsyncConnection, event: Event) -> list[Row]:
        """The staging rows that an event is about, locked: its application's, made if need be, or its candidate's."""
        keys = key_of(event)
        if event.type in CANDIDATE_TYPES:
            assert event.candidate is not None
            keys["candidate_id"] = without_nul(event.candidate.id)
            rows = await connection.execute(self._find_rows, keys)
        else:
            assert event.application is not None
            keys["application_id"] = without_nul(event.application.id)
            await connection.execute(self._insert_row, keys)
            rows = await connection.execute(self._find_row, keys)
        return [{column.key: row._mapping[column] for column in self._staging.c} for row in rows]

    def _rows_by(self, *names: str) -> Select[Any]:
        found = select(self._staging).where(*_asked(self._staging, *names))
        return found.order_by(self._staging.c.application_id).with_for_update()

    def _change(self, row: Row, changed: Mapping[str, Any]) -> Any:
        keys = {name: row[name] for name in _APPLICATION}
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
        its = {name: values[name] for name in _CANDIDATE}
        others = self._events.c.type != EventType.CANDIDATE_DELETED.value
        merged = update(self._events).where(*_are(self._events, its), others).values(candidate_id=into)
        await connection.execute(merged)


def _are(table: Table, values: Mapping[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in values.items()]


def _asked(table: Table, *names: str) -> list[Any]:
    """As `_are`, for values that come with each execution."""
    return _are(table, {name: bindparam(name) for name in names})


def _now() -> datetime:
    return datetime.now(UTC)
