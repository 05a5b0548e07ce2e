"""The common event: what every handler speaks, every route matches and every sink gets.

A handler turns one request into *facts* (what the vendor said, nothing remembered). The worker completes a fact with
the application state and gets *events*. Published as JSON Schema by ``ats-router schema event``; it is only ever
extended compatibly, under the same ``SCHEMA_VERSION``.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

SCHEMA_VERSION = "1.0"


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A moment with a zone, kept and written in UTC as RFC 3339."""

CustomFields = dict[str, JsonValue]


class EventType(StrEnum):
    """What happened. One webhook can tell several; within one webhook they come in this order."""

    APPLICATION_CREATED = "ApplicationCreated"
    STAGE_CHANGED = "StageChanged"
    OUTCOME_CHANGED = "OutcomeChanged"
    APPLICATION_UPDATED = "ApplicationUpdated"
    APPLICATION_DELETED = "ApplicationDeleted"
    INTERVIEW_CHANGED = "InterviewChanged"
    OFFER_CHANGED = "OfferChanged"
    CANDIDATE_UPDATED = "CandidateUpdated"
    CANDIDATE_MERGED = "CandidateMerged"
    CANDIDATE_DELETED = "CandidateDeleted"


CANDIDATE_TYPES = frozenset({EventType.CANDIDATE_UPDATED, EventType.CANDIDATE_MERGED, EventType.CANDIDATE_DELETED})
"""Types that are about a candidate and need no application."""


class Outcome(StrEnum):
    PENDING = "PENDING"
    HIRED = "HIRED"
    DECLINED = "DECLINED"


class StageKind(StrEnum):
    APPLIED = "APPLIED"
    SCREEN = "SCREEN"
    ASSESSMENT = "ASSESSMENT"
    INTERVIEW = "INTERVIEW"
    OFFER = "OFFER"
    HIRED = "HIRED"
    REJECTED = "REJECTED"
    OTHER = "OTHER"


OUTCOME_OF_KIND: Mapping[StageKind | None, Outcome] = {
    StageKind.HIRED: Outcome.HIRED,
    StageKind.REJECTED: Outcome.DECLINED,
}
"""Stages that decide."""


class RejectionKind(StrEnum):
    REJECTED_BY_COMPANY = "REJECTED_BY_COMPANY"
    WITHDRAWN_BY_CANDIDATE = "WITHDRAWN_BY_CANDIDATE"
    OTHER = "OTHER"


class OfferStatus(StrEnum):
    DRAFT = "DRAFT"
    APPROVED = "APPROVED"
    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    ABANDONED = "ABANDONED"


class InterviewStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    MOVED = "MOVED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class Model(BaseModel):
    """Frozen, and strict about names: a misspelt field is an error at once, not a value that goes missing. An error's
    text never quotes a value, which may be a candidate's data."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Stage(Model):
    """A step of a job's hiring process. ``kind`` is the vendor's own type of it, where the vendor tells one."""

    id: str | None = None
    name: str | None = None
    kind: StageKind | None = None
    index: int | None = None

    def same_as(self, other: "Stage | None") -> bool:
        """By id where both have one, else by name: ids are not in every vendor's every payload."""
        if other is None:
            return False
        if self.id is not None and other.id is not None:
            return self.id == other.id
        return self.name is not None and self.name == other.name


class Person(Model):
    id: str | None = None
    name: str | None = None
    email: str | None = None


class RejectionReason(Model):
    id: str | None = None
    name: str | None = None
    kind: RejectionKind | None = None


class Answer(Model):
    """One screening question and what the candidate answered."""

    question: str
    answer: JsonValue = None


class Application(Model):
    id: str
    remote_id: str | None = Field(None, description="The ATS's own id, where a unified API gave `id`.")
    outcome: Outcome | None = Field(None, description="After this event.")
    previous_outcome: Outcome | None = Field(None, description="Only on OutcomeChanged.")
    stage: Stage | None = Field(None, description="The current stage.")
    created_at: Time | None = None
    updated_at: Time | None = None
    rejected_at: Time | None = None
    hired_at: Time | None = None
    rejection_reason: RejectionReason | None = None
    source: str | None = Field(None, description="Where the candidate came from: LinkedIn, a referral, ...")
    referrer: Person | None = None
    url: str | None = None
    is_prospect: bool | None = None
    answers: list[Answer] = Field(default_factory=list)
    custom_fields: CustomFields = Field(default_factory=dict)


class Candidate(Model):
    id: str | None = None
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    emails: list[str] = Field(default_factory=list, description="The first one is the primary address.")
    phones: list[str] = Field(default_factory=list)
    company: str | None = None
    title: str | None = None
    location: str | None = None
    links: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    url: str | None = None
    custom_fields: CustomFields = Field(default_factory=dict)

    @property
    def whole_name(self) -> str:
        """The name, also where its parts are told only; empty where nobody told one."""
        return (self.name or " ".join(filter(None, (self.first_name, self.last_name)))).strip()


class Job(Model):
    id: str | None = None
    title: str | None = None
    requisition_id: str | None = None
    status: str | None = None
    departments: list[str] = Field(default_factory=list)
    offices: list[str] = Field(default_factory=list)
    location: str | None = None
    recruiters: list[Person] = Field(default_factory=list)
    hiring_managers: list[Person] = Field(default_factory=list)
    coordinators: list[Person] = Field(default_factory=list)
    url: str | None = None
    custom_fields: CustomFields = Field(default_factory=dict)


class Interview(Model):
    id: str | None = None
    title: str | None = None
    status: InterviewStatus | None = None
    start: Time | None = None
    end: Time | None = None
    location: str | None = None
    interviewers: list[Person] = Field(default_factory=list)


class Offer(Model):
    id: str | None = None
    status: OfferStatus | None = None
    start_date: str | None = Field(None, description="A date, YYYY-MM-DD.")
    sent_at: str | None = Field(None, description="A time, or a date where the vendor tells no more.")
    resolved_at: str | None = Field(None, description="A time, or a date where the vendor tells no more.")
    custom_fields: CustomFields = Field(default_factory=dict)


class Change(Model):
    """One changed field, where the vendor tells what changed."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    field: str
    from_: JsonValue = Field(None, alias="from")
    to: JsonValue = None


class Told(Model):
    """What a fact and an event have in common: the vendor's words in the common fields."""

    type: EventType
    occurred_at: Time | None = None
    vendor_event: str = Field(description="The vendor's own name of the event.")
    vendor_event_id: str | None = Field(None, description="The vendor's own id of this delivery or event.")
    vendor_version: str | None = Field(
        None, description="The vendor's version or clock of the object; compares as text. Null where none covers all."
    )
    recovered: bool = Field(False, description="Found by polling; no webhook told it.")
    application: Application | None = None
    candidate: Candidate | None = None
    job: Job | None = None
    from_stage: Stage | None = None
    to_stage: Stage | None = None
    actor: Person | None = Field(None, description="Who did it; null where the system did or nobody is told.")
    merged_into: str | None = Field(None, description="On CandidateMerged: the candidate that stays.")
    interview: Interview | None = None
    offer: Offer | None = None
    changes: list[Change] | None = None

    @property
    def subject(self) -> str:
        """What order is kept for: the application, or the candidate where there is no application."""
        if self.application is not None:
            return f"a:{self.application.id}"
        assert self.candidate is not None
        return f"c:{self.candidate.id}"

    @property
    def stand_in(self) -> str:
        """What people are shown for a candidate whose name nobody told: some webhooks hold ids only."""
        if self.candidate is not None and self.candidate.id:
            return f"Candidate {self.candidate.id}"
        return f"Application {self.application.id}" if self.application is not None else "Somebody"


class Fact(Told):
    """What one webhook, or one polled row, says. Made by handlers; pure."""

    is_snapshot: bool = Field(
        False, description="On ApplicationUpdated: the vendor tells what the application is now, not what changed."
    )
    needs_enrichment: bool = Field(False, description="Bare ids: the vendor's API knows the rest.")

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        if self.type in CANDIDATE_TYPES:
            if self.candidate is None or not self.candidate.id:
                raise ValueError(f"a {self.type} fact needs candidate.id")
        elif self.application is None or not self.application.id:
            raise ValueError(f"a {self.type} fact needs application.id")
        if self.type is EventType.STAGE_CHANGED and not (self.to_stage and (self.to_stage.id or self.to_stage.name)):
            raise ValueError("a StageChanged fact needs a to_stage with a name or an id")
        if self.type is EventType.OUTCOME_CHANGED and not (self.application and self.application.outcome):
            raise ValueError("an OutcomeChanged fact needs application.outcome")
        if self.is_snapshot and self.type is not EventType.APPLICATION_UPDATED:
            raise ValueError("a snapshot is an ApplicationUpdated fact")
        return self


class Envelope(Model):
    """What the router adds to a fact."""

    id: str = Field(description="Stable: the same webhook makes the same id.")
    type: EventType
    schema_version: str = SCHEMA_VERSION
    source: str = Field(description="The name of the source in the configuration.")
    vendor: str
    account: str | None = Field(None, description="The customer account inside a unified API's webhook.")
    received_at: Time
    occurred_at_is_estimate: bool = Field(False, description="The vendor told no time: occurred_at is received_at.")
    sequence: int = Field(description="Grows with every event of an application, gaps allowed.")
    late: bool = Field(False, description="Something newer of this application came before.")
    test: bool = Field(False, description="Made by a test command.")


class Event(Told, Envelope):
    """The common event. Envelope fields come first when written."""
