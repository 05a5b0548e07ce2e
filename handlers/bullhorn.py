"""Bullhorn: polled. Its event queue tells which JobSubmission changed and how, a query what it is now.

Source: source/includes/_subscription.md and entityref/_jobsubmission.md of github.com/bullhorn/rest-api-docs, read in
2026. Times are unix milliseconds. Reading the queue empties it, so that a batch has to be kept before the next one.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SourceSettings
from router.schema import (
    OUTCOME_OF_KIND,
    Application,
    Candidate,
    Change,
    EventType,
    Fact,
    Job,
    Person,
    Stage,
    StageKind,
)
from router.secret import Secret

_ENTITY = "JobSubmission"
_EVENTS = {
    "INSERTED": EventType.APPLICATION_CREATED,
    "UPDATED": EventType.APPLICATION_UPDATED,
    "DELETED": EventType.APPLICATION_DELETED,
}
_MILLISECONDS = 0.001


class BullhornSettings(SourceSettings):
    client_id: str | None = Field(None, description="of the OAuth key that Bullhorn made for you")
    client_secret: Secret | None = Field(None, description="its secret")
    user: str | None = Field(None, description="an API user of yours")
    password: Secret | None = Field(None, description="that user's password")
    auth_url: ApiUrl = Field("https://auth.bullhornstaffing.com/oauth", description="that of your data centre")
    api_url: ApiUrl = Field("https://rest.bullhornstaffing.com/rest-services", description="that of your data centre")

    together: ClassVar[Sequence[str]] = ("client_id", "client_secret", "user", "password")


class Bullhorn(PolledHandler):
    vendor = "bullhorn"
    title = "Bullhorn"
    Settings = BullhornSettings
    settings: BullhornSettings
    stage_kinds: ClassVar[Mapping[StageKind, Sequence[str]]] = {StageKind.APPLIED: ["New Lead"]}  # a web response
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.OFFICIAL,
        steps=[],
        events=[],
        verified="nothing: Bullhorn pushes nothing, its queries are polled",
        missing=[
            "hired and rejected: statuses are each customer's own list, `stages:` says which ones they are; "
            "a Placement, which is what a hire becomes, is not read",
            "the event queue, which loses what was read: a query by the time of the last change tells the same, and"
            " `ats-router inspect` reads its batches",
            "the name of who changed a status: the history has the id",
            "custom texts, as nothing tells what they hold",
        ],
    )

    def rows(self, answer: Node) -> Sequence[Node]:
        """The submissions of a query, a single one, or the events of a batch that are of submissions; what is in their
        history, which a query of its own answers, is none of them."""
        data = answer.json("data", sometimes=True)
        if isinstance(data, dict):
            return [answer.node("data")]
        if isinstance(data, list):
            return [row for row in answer.nodes("data") if not row.node("jobSubmission", sometimes=True)]
        events = answer.nodes("events")
        if "events" in answer.soft_drift:
            raise Drift("events", "is missing, and data too")
        return [event for event in events if event.text("entityName") == _ENTITY]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        name = row.text("entityEventType", sometimes=True)
        if name is None:
            return self._submission(row)
        type_ = _EVENTS.get(name)
        return (_happened(type_, name, row),) if type_ else ()

    def _submission(self, row: Node) -> tuple[Fact, ...]:
        status, updated_at = row.text("status"), row.epoch("dateLastModified", unit=_MILLISECONDS, sometimes=True)
        stage = self.stage_patterns.known(Stage(name=status)) if status else None
        application = Application(
            id=row.need_id("id"),
            outcome=OUTCOME_OF_KIND.get(stage.kind) if stage else None,
            stage=stage,
            created_at=row.epoch("dateAdded", unit=_MILLISECONDS),
            updated_at=updated_at,
            source=row.text("source", sometimes=True),
        )
        created, now = state_facts(
            _ENTITY,
            application,
            candidate=_candidate(row.node("candidate")),
            job=_job(row.node("jobOrder")),
            changed_at=updated_at,
        )
        if row.flag("isDeleted", sometimes=True):
            return (now.model_copy(update={"type": EventType.APPLICATION_DELETED, "is_snapshot": False}),)
        return created, now


def _happened(type_: EventType, name: str, event: Node) -> Fact:
    person = event.node("eventMetadata", sometimes=True).id("PERSON_ID", sometimes=True)
    changed = event.texts("updatedProperties", sometimes=True)
    return Fact(
        type=type_,
        occurred_at=event.epoch("eventTimestamp", unit=_MILLISECONDS),
        vendor_event=f"{_ENTITY} {name}",
        vendor_event_id=event.id("eventId"),
        application=Application(id=event.need_id("entityId")),
        actor=Person(id=person) if person else None,
        changes=[Change(field=field) for field in changed] or None,
        needs_enrichment=type_ is not EventType.APPLICATION_DELETED,
    )


def _candidate(node: Node) -> Candidate | None:
    if not node:
        return None
    first_name, last_name = node.text("firstName"), node.text("lastName")
    emails = (node.text(key, sometimes=True) for key in ("email", "email2"))
    phones = (node.text(key, sometimes=True) for key in ("mobile", "phone"))
    return Candidate(
        id=node.id("id"),
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email for email in emails if email],
        phones=[phone for phone in phones if phone],
    )


def _job(node: Node) -> Job | None:
    return Job(id=node.id("id"), title=node.text("title")) if node else None
