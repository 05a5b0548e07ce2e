"""Lists of events and deliveries, newest first, as an operator asks for them. Filters combine with AND."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from router.headline import headline
from router.identity import about_key, event_of
from router.ledger import Ledger
from router.ledger_keys import LISTINGS, RETRYING, about_index, deliveries_index, events_index
from router.records import DeliveryRecord, DeliveryState, Listed, ListedDelivery
from router.schema import Event, EventType, Model

SCANNED = 10_000
"""So many of the newest deliveries are looked at for what no index answers."""

_OF_ONE_SUBJECT = 1000
_CHUNK = 1000
_FOLLOWED = 1000
_OVERLAP_SECONDS = 2.0
"""The servers of a cluster have clocks of their own."""

LOOK_SECONDS = 1.0
"""What follows a list looks again so often."""


@dataclass(frozen=True)
class Filter:
    """None stands for any. ``since`` and ``until`` are in unix seconds, ``state`` is one of `LISTINGS`."""

    limit: int
    source: str | None = None
    type: EventType | None = None
    application: str | None = None
    candidate: str | None = None
    sink: str | None = None
    state: str | None = None
    reason: str | None = None
    route: str | None = None
    since: float | None = None
    until: float | None = None

    @cached_property
    def about(self) -> list[str]:
        """The indexes of the application and of the candidate that are asked for."""
        asked = (("application", self.application), ("candidate", self.candidate))
        return [about_index(about_key(kind, identifier)) for kind, identifier in asked if identifier]

    @property
    def holding(self) -> bytes:
        """What the JSON of every record that fits has in it, in small letters; nothing where that can't be told."""
        reason = self.reason or ""
        is_plain = reason.isascii() and reason.isprintable() and not {'"', "\\"} & set(reason)
        return reason.lower().encode() if is_plain else b""

    def fits_event(self, indexes: Sequence[str]) -> bool:
        """Whether an event that is in these indexes is asked for."""
        if not all(name in indexes for name in self.about):
            return False
        if self.source is None and self.type is None:
            return True
        begin, end = f"events:{self.source} " if self.source else "events:", f" {self.type}" if self.type else ""
        return any(name.startswith(begin) and name.endswith(end) for name in indexes)

    def fits_record(self, record: DeliveryRecord) -> bool:
        return (
            (self.sink is None or record.sink == self.sink)
            and (self.state is None or self.state in listings_of(record))
            and (self.reason is None or self.reason.lower() in (last_reason(record) or "").lower())
            and (self.route is None or self.route in record.routes)
        )


class DeliveryBrief(Model):
    id: str
    sink: str
    state: str
    tries: int


class EventRow(Model):
    """``at``: when it was routed."""

    id: str
    at: datetime
    type: EventType
    headline: str
    source: str
    test: bool
    deliveries: Sequence[DeliveryBrief]


class DeliveryRow(Model):
    """``at``: when something last happened to it. ``configured``: its sink stands in the configuration."""

    id: str
    at: datetime
    sink: str
    configured: bool
    state: str
    tries: int
    reason: str | None
    next_at: datetime | None
    type: EventType
    headline: str
    source: str
    event: str


Row = TypeVar("Row", EventRow, DeliveryRow)


@dataclass(frozen=True, slots=True)
class Found:
    """``looked_at``: how many were looked at, where older ones may fit, too; None where nothing else fits."""

    rows: Sequence[DeliveryRow]
    looked_at: int | None = None


def listings_of(record: DeliveryRecord) -> tuple[str, ...]:
    """Where the ledger lists a delivery."""
    pending = record.state is DeliveryState.PENDING
    return (record.state, RETRYING) if pending and record.attempts else (record.state,)


def last_reason(record: DeliveryRecord) -> str | None:
    if record.attempts and record.state not in (DeliveryState.HELD, DeliveryState.CANCELLED, DeliveryState.SKIPPED):
        return record.attempts[-1].reason
    return record.reason


async def ids_that_fit(ledger: Ledger, wanted: Filter, sinks: Collection[str]) -> list[str]:
    """All deliveries of a state that fit, of these sinks, in the order in which they came into it."""
    assert wanted.state is not None
    asked = [wanted.sink] if wanted.sink else sinks
    indexes = [deliveries_index(sink, wanted.state) for sink in asked]
    entries = await ledger.listed(indexes, wanted.limit, since=wanted.since, until=wanted.until)
    fitting: list[str] = []
    for i in range(0, len(entries), _CHUNK):
        read = await ledger.read_listed(entries[i : i + _CHUNK], wanted.fits_event, wanted.holding)
        fitting += [delivery.id for delivery in read if wanted.fits_record(delivery.record)]
    return fitting[::-1]


async def newest_events(ledger: Ledger, wanted: Filter) -> list[EventRow]:
    """The newest events that fit; every filter is answered by an index."""
    about = wanted.about
    if about:
        entries = await ledger.listed(about[:1], _OF_ONE_SUBJECT, since=wanted.since, until=wanted.until)
    else:
        indexes = await events_indexes(ledger, wanted.source, wanted.type)
        entries = await ledger.listed(indexes, wanted.limit, since=wanted.since, until=wanted.until)
    rows: list[EventRow] = []
    for i in range(0, len(entries), wanted.limit):
        rows += await _event_rows(ledger, entries[i : i + wanted.limit], wanted)
        if len(rows) >= wanted.limit:
            break
    return rows[: wanted.limit]


async def events_indexes(ledger: Ledger, source: str | None = None, event_type: EventType | None = None) -> list[str]:
    """The indexes of all events that ever came, or of those of one source or type."""
    return [
        events_index(name, what)
        for name, what in await ledger.counts()
        if what in EventType.__members__.values() and source in (None, name) and event_type in (None, what)
    ]


async def newest_deliveries(ledger: Ledger, wanted: Filter, sinks: Collection[str]) -> Found:
    """The newest deliveries that fit. ``sinks``: those that are configured; those of others are listed, too."""
    if not wanted.about:
        return await scan_deliveries(ledger, wanted, sinks)
    events = await ledger.listed(wanted.about[:1], _OF_ONE_SUBJECT)
    stored = await ledger.read_events(event.id for event in events)
    fitting = [
        ListedDelivery(identifier, at, record)
        for event in events
        if (kept := stored[event.id]) and wanted.fits_event(kept.indexes)
        for identifier, record in kept.deliveries.items()
        if wanted.fits_record(record)
        and (wanted.since or 0.0) <= (at := _last_at(record, event.at)) <= (wanted.until or float("inf"))
    ]
    fitting.sort(key=lambda delivery: delivery.at, reverse=True)
    return Found(await _delivery_rows(ledger, fitting[: wanted.limit], sinks))


async def scan_deliveries(ledger: Ledger, wanted: Filter, sinks: Collection[str]) -> Found:
    """As `newest_deliveries`; sink, state and times are answered by indexes, for the rest the newest are looked at."""
    listings = [wanted.state] if wanted.state else LISTINGS
    asked = [wanted.sink] if wanted.sink else {*sinks, *await ledger.sinks()}
    indexes = [deliveries_index(sink, listing) for sink in asked for listing in listings]
    by_index = not (wanted.about or wanted.reason or wanted.route or wanted.source or wanted.type)
    most = wanted.limit if by_index else SCANNED
    entries = await ledger.listed(indexes, most, since=wanted.since, until=wanted.until)
    fitting: list[ListedDelivery] = []
    for i in range(0, len(entries), _CHUNK):
        read = await ledger.read_listed(entries[i : i + _CHUNK], wanted.fits_event, wanted.holding)
        fitting += [delivery for delivery in read if wanted.fits_record(delivery.record)]
        if len(fitting) >= wanted.limit:
            break
    rows = await _delivery_rows(ledger, fitting[: wanted.limit], sinks)
    may_be_more = not by_index and len(rows) < wanted.limit and len(entries) == SCANNED
    return Found(rows, SCANNED if may_be_more else None)


async def follow(
    ledger: Ledger, wanted: Filter, look: Callable[[Filter], Awaitable[Sequence[Row]]]
) -> AsyncIterator[Row]:
    """The newest rows, oldest first, then whatever is new or changed, for ever. ``look`` lists newest first."""
    since = await ledger.time()
    shown: dict[str, float] = {}
    while True:
        for row in reversed(await look(wanted)):
            # without its time: what changed while the list was read is found once more, under its new time
            said, at = row.model_dump_json(exclude={"at"}), row.at.timestamp()
            if said not in shown:
                since = max(since, at)
                yield row
            shown[said] = at
        border = since - _OVERLAP_SECONDS
        shown = {said: at for said, at in shown.items() if at >= border}
        wanted = replace(wanted, since=border, limit=_FOLLOWED)
        await asyncio.sleep(LOOK_SECONDS)


async def _event_rows(ledger: Ledger, entries: Sequence[Listed], wanted: Filter) -> list[EventRow]:
    stored = await ledger.read_events(entry.id for entry in entries)
    rows = []
    for entry in entries:
        if (kept := stored[entry.id]) is None or not wanted.fits_event(kept.indexes):
            continue
        event = Event.model_validate_json(kept.body)
        deliveries = [
            DeliveryBrief(id=delivery, sink=record.sink, state=listings_of(record)[-1], tries=len(record.attempts))
            for delivery, record in kept.deliveries.items()
        ]
        rows.append(
            EventRow(
                id=entry.id,
                at=_moment(entry.at),
                type=event.type,
                headline=headline(event),
                source=event.source,
                test=event.test,
                deliveries=deliveries,
            )
        )
    return rows


async def _delivery_rows(
    ledger: Ledger, deliveries: Sequence[ListedDelivery], sinks: Collection[str]
) -> list[DeliveryRow]:
    stored = await ledger.read_events(event_of(delivery.id) for delivery in deliveries)
    rows = []
    for delivery in deliveries:
        if (kept := stored[event_of(delivery.id)]) is None:
            continue
        event, record = Event.model_validate_json(kept.body), delivery.record
        rows.append(
            DeliveryRow(
                id=delivery.id,
                at=_moment(delivery.at),
                sink=record.sink,
                configured=record.sink in sinks,
                state=listings_of(record)[-1],
                tries=len(record.attempts),
                reason=last_reason(record),
                next_at=record.next_at,
                type=event.type,
                headline=headline(event),
                source=event.source,
                event=event.id,
            )
        )
    return rows


def _last_at(record: DeliveryRecord, routed_at: float) -> float:
    return record.attempts[-1].at.timestamp() if record.attempts else routed_at


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
