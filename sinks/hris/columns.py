"""What the columns of the staging table tell, and what an event changes in them. No database is used here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from router.fields import field_at
from router.schema import CANDIDATE_TYPES, Event, EventType, Outcome

Row = Mapping[str, Any]


class Kind(Enum):
    """What a column holds."""

    TEXT = auto()
    MOMENT = auto()
    JSON = auto()
    WHOLE_NUMBER = auto()
    YES_OR_NO = auto()


class About(Enum):
    """What a column tells of, which decides when it changes."""

    PERSON = "emptied when the candidate is deleted"
    JOB = "emptied when the application moves to another job"
    STATE = "where the application stands: only ever as the newest event says"
    OTHER = "kept until something newer is told"


@dataclass(frozen=True)
class Told:
    """A column that is filled from events; what ``read`` gives is None where the event does not tell it."""

    name: str
    kind: Kind
    about: About
    read: Callable[[Event], Any]


def without_nul(value: Any) -> Any:
    """PostgreSQL takes NUL neither in texts nor in JSON."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    return value


def _text(name: str, path: str, about: About, *, first: bool = False) -> Told:
    """The text at a path; where it has several, the first or all with commas between."""
    field = field_at(path)

    def read(event: Event) -> str | None:
        texts = field.names(event)
        return without_nul(", ".join(texts[:1] if first else texts)) or None

    return Told(name, Kind.TEXT, about, read)


def _custom_fields(part: str, about: About) -> Told:
    def read(event: Event) -> Any:
        whole = getattr(event, part)
        return without_nul(whole.custom_fields) or None if whole else None

    return Told(f"{part}_custom_fields", Kind.JSON, about, read)


def _hired_at(event: Event) -> datetime | None:
    application = event.application
    return application.hired_at if application and application.outcome in (None, Outcome.HIRED) else None


def _rejection_reason(event: Event) -> str | None:
    application = event.application
    if (
        application is None
        or application.rejection_reason is None
        or application.outcome not in (None, Outcome.DECLINED)
    ):
        return None
    return without_nul(application.rejection_reason.name or "") or None


TOLD = (
    _text("candidate_id", "candidate.id", About.OTHER),
    _text("name", "candidate.name", About.PERSON),
    _text("first_name", "candidate.first_name", About.PERSON),
    _text("last_name", "candidate.last_name", About.PERSON),
    _text("email", "candidate.emails", About.PERSON, first=True),
    _text("phone", "candidate.phones", About.PERSON, first=True),
    _text("job_id", "job.id", About.JOB),
    _text("job_title", "job.title", About.JOB),
    _text("requisition", "job.requisition_id", About.JOB),
    _text("department", "job.departments", About.JOB),
    _text("office", "job.offices", About.JOB),
    _text("recruiter", "job.recruiters", About.JOB),
    _text("hiring_manager", "job.hiring_managers", About.JOB),
    _text("stage", "application.stage", About.STATE),
    _text("stage_kind", "application.stage.kind", About.STATE),
    _text("outcome", "application.outcome", About.STATE),
    Told("hired_at", Kind.MOMENT, About.STATE, _hired_at),
    Told("rejection_reason", Kind.TEXT, About.STATE, _rejection_reason),
    _text("start_date", "offer.start_date", About.OTHER),
    _custom_fields("application", About.PERSON),
    _custom_fields("candidate", About.PERSON),
    _custom_fields("job", About.JOB),
)

KEYS = ("source", "account", "application_id")
OWN: Mapping[str, Kind] = {
    "sequence": Kind.WHOLE_NUMBER,
    "vendor_version": Kind.TEXT,
    "candidate_as_of": Kind.MOMENT,
    "candidate_deleted_at": Kind.MOMENT,
    "deleted_at": Kind.MOMENT,
    "updated_at": Kind.MOMENT,
    "test": Kind.YES_OR_NO,
}
STAGING_COLUMNS = (*KEYS, *(told.name for told in TOLD), *OWN)
"""Every column of the staging table by the name that it has unless it is renamed."""


def extra_columns(extra: Mapping[str, str]) -> tuple[Told, ...]:
    """Columns of the user's own. What is not about the job may be about the person, so it goes with the person.

    Raises:
        UnknownField: an event has no such field.
    """
    return tuple(
        _text(extra_key(name), path, About.JOB if path.startswith("job.") else About.PERSON)
        for name, path in extra.items()
    )


def extra_key(name: str) -> str:
    """How an extra column is called here, so that it is never taken for one of ours that was renamed."""
    return f"extra {name}"


def key_of(event: Event) -> dict[str, str]:
    """Source and account; no account is the empty text, as a unique constraint takes no two NULLs for the same."""
    return {"source": event.source, "account": without_nul(event.account or "")}


def values_of(key: str, event: Event, body: Any) -> dict[str, Any]:
    """The row of the events table."""
    return {
        **key_of(event),
        "idempotency_key": key,
        "event_id": event.id,
        "type": str(event.type),
        "application_id": without_nul(event.application.id) if event.application else None,
        "candidate_id": without_nul(event.candidate.id) if event.candidate else None,
        "sequence": event.sequence,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "test": event.test,
        "event": without_nul(body),
    }


def changes(row: Row, event: Event, columns: Iterable[Told], *, erased: bool) -> dict[str, Any]:
    """What an event changes in a staging row; of a column that it tells nothing of: nothing.

    The newest event overwrites. An older or late one only fills what is still empty, and never says where the
    application stands. ``erased``: the candidate is deleted, so nothing about the person is filled in any more.
    """
    newest = _is_newest(row, event)
    newest_of_person = newest and (row["candidate_as_of"] is None or event.received_at >= row["candidate_as_of"])
    tells = {About.PERSON} if event.type in CANDIDATE_TYPES else set(About)
    if erased:
        tells.discard(About.PERSON)
    if not newest and _is_other_job(row, event):
        tells.discard(About.JOB)
    told = {column: value for column in columns if column.about in tells and (value := column.read(event)) is not None}
    changed: dict[str, Any] = {}
    if newest and event.type not in CANDIDATE_TYPES:
        changed |= dict.fromkeys(_not_any_more(row, event, columns))
    for column, value in told.items():
        overwrites = newest_of_person if column.about is About.PERSON else newest
        if overwrites or (row[column.name] is None and column.about is not About.STATE):
            changed[column.name] = value
    if newest_of_person and any(column.about is About.PERSON for column in told):
        changed["candidate_as_of"] = event.received_at
    return changed if event.type in CANDIDATE_TYPES else changed | _marks(row, event, newest)


def _is_newest(row: Row, event: Event) -> bool:
    """By the vendor's version where both have one, else by sequence. Both count per application, so that an event of a
    candidate goes by its time alone."""
    if event.late or event.type in CANDIDATE_TYPES:
        return not event.late
    known, told = row["vendor_version"], event.vendor_version
    if known is not None and told is not None and known != told:
        return bool(told > known)
    return row["sequence"] is None or event.sequence > row["sequence"]


def _is_other_job(row: Row, event: Event) -> bool:
    return event.job is not None and event.job.id is not None and row["job_id"] not in (None, event.job.id)


def _not_any_more(row: Row, event: Event, columns: Iterable[Told]) -> Iterator[str]:
    """What the newest event makes untrue without saying so."""
    if _is_other_job(row, event):
        yield from (column.name for column in columns if column.about is About.JOB)
    application = event.application
    if application and application.stage and application.stage.name != row["stage"]:
        yield "stage_kind"
    if application and application.outcome not in (None, Outcome.HIRED):
        yield "hired_at"
    if application and application.outcome not in (None, Outcome.DECLINED):
        yield "rejection_reason"


def _marks(row: Row, event: Event, newest: bool) -> dict[str, Any]:
    marks: dict[str, Any] = {"test": event.test and row["test"] is not False}
    if newest:
        marks |= {"sequence": event.sequence, "vendor_version": event.vendor_version or row["vendor_version"]}
    if event.type is EventType.APPLICATION_DELETED and row["deleted_at"] is None:
        marks["deleted_at"] = event.occurred_at or event.received_at
    return marks
