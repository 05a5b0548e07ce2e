"""By what lists of events and deliveries are filtered, as it is typed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from router.cli.shared import known_name, misuse, on_ledger
from router.config import Config
from router.ledger import Ledger
from router.ledger_keys import LISTINGS
from router.lists import Filter
from router.schema import EventType
from router.units import Seconds
from router.wording import did_you_mean, listed

SourceOption = Annotated[str | None, typer.Option(help="Only of this source.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Only this type of event, such as StageChanged.")]
ApplicationOption = Annotated[str | None, typer.Option(help="Only of this application: its id in the ATS.")]
CandidateOption = Annotated[str | None, typer.Option(help="Only of this candidate: the id in the ATS.")]
SinceOption = Annotated[str | None, typer.Option(help="Not older: 2h, 3d, or a time as 2026-11-20T12:00, in UTC.")]
UntilOption = Annotated[str | None, typer.Option(help="Not newer; as --since.")]
SinkOption = Annotated[str | None, typer.Option(help="Only to this sink.")]
StateOption = Annotated[str | None, typer.Option(help=f"Only what is {listed(LISTINGS)}.")]
ReasonOption = Annotated[str | None, typer.Option(help="Only what has this text in its last reason.")]
RouteOption = Annotated[str | None, typer.Option(help="Only what this route sent.")]


def filter_of(
    settings: Config,
    limit: int,
    source: str | None,
    event_type: str | None,
    application: str | None,
    candidate: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """What `events` and `deliveries` both filter by, as it was typed."""
    return Filter(
        limit=limit,
        source=known_name("source", source, settings.sources),
        type=_type(event_type),
        application=application,
        candidate=candidate,
        since=asked_moment("--since", since),
        until=asked_moment("--until", until),
    )


def of_deliveries(
    settings: Config, wanted: Filter, sink: str | None, state: str | None, reason: str | None, route: str | None
) -> Filter:
    """The same, and what only deliveries have."""
    return replace(
        wanted, sink=_sink(settings, sink), state=known_name("state", state, LISTINGS), reason=reason, route=route
    )


def _sink(settings: Config, name: str | None) -> str | None:
    """One that is configured, or was: its deliveries may still be there."""
    if name is None or name in settings.sinks:
        return name
    return known_name("sink", name, dict.fromkeys([*settings.sinks, *on_ledger(settings, Ledger.sinks)]))


def _type(written: str | None) -> EventType | None:
    if written is None:
        return None
    by_lower = {event_type.lower(): event_type for event_type in EventType}
    if written.lower() not in by_lower:
        misuse(f"there is no type {written!r}{did_you_mean(written, EventType) or f'; known are: {listed(EventType)}'}")
    return by_lower[written.lower()]


def asked_moment(option: str, written: str | None) -> float | None:
    """A time, or how long ago."""
    if written is None:
        return None
    try:
        return datetime.now(UTC).timestamp() - TypeAdapter(Seconds).validate_python(written)
    except ValidationError:
        pass
    try:
        moment = datetime.fromisoformat(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        misuse(f"{option} {written!r} is no time: write how long ago, as in 2h or 3d, or 2026-11-20T12:00 for UTC")
