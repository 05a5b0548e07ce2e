"""Personio Recruiting: polled; the webhooks that Personio has are of its HR core.

Sources: API v2, ``GET /v2/recruiting/applications``, as clients of others read it; the stages that Personio itself
defines: support.personio.de, Configure recruiting stages. Read in 2026. Times have no offset but a time zone beside.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, ClientSettings
from router.schema import (
    OUTCOME_OF_KIND,
    Application,
    Candidate,
    EventType,
    Fact,
    Job,
    Outcome,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)

_KINDS = {  # by the type of a stage; Personio renamed two of its own: Declined is Withdrawn now, Accepted is Hired
    "interview": StageKind.INTERVIEW,
    "offer": StageKind.OFFER,
    "accepted": StageKind.HIRED,
    "hired": StageKind.HIRED,
    "rejected": StageKind.REJECTED,
    "withdrawn": StageKind.REJECTED,
    "declined": StageKind.REJECTED,
}
_REJECTIONS = {
    "rejected": RejectionReason(kind=RejectionKind.REJECTED_BY_COMPANY),
    "withdrawn": RejectionReason(kind=RejectionKind.WITHDRAWN_BY_CANDIDATE),
    "declined": RejectionReason(kind=RejectionKind.WITHDRAWN_BY_CANDIDATE),
}


class PersonioSettings(ClientSettings):
    api_url: ApiUrl = "https://api.personio.de"


class Personio(PolledHandler):
    vendor = "personio"
    title = "Personio Recruiting"
    Settings = PersonioSettings
    settings: PersonioSettings
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.THIRD_PARTY,
        steps=[],
        events=[],
        verified="nothing: Personio has no webhooks of applications, they are polled",
        missing=[
            "how the API spells the types of Personio's own stages (unverified); `stages:` goes before them",
            "the stage before and when it changed: both are in stage-transitions, which names no application; "
            "the application's last update stands for the time",
            "who moved an application, reasons of rejections, tags and custom attributes",
            "an application that is marked as anonymised counts as its candidate's deletion (CandidateDeleted)",
        ],
    )

    def rows(self, answer: Node) -> Sequence[Node]:
        """A page, or a single application, under ``_data``, which some clients met as ``data``, or bare."""
        for key in ("_data", "data"):
            data = answer.json(key, sometimes=True)
            if isinstance(data, list):
                return [row for row in answer.nodes(key) if row.json("entered_at", sometimes=True) is None]
            if isinstance(data, dict):
                return [answer.node(key)]
        if answer.json("candidate", sometimes=True) is None:
            raise Drift("_data", "is missing")
        return [answer]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        candidate, updated_at = _candidate(row.node("candidate")), self.time_of(row, "updated_at")
        if row.flag("is_anonymized", sometimes=True) and candidate and candidate.id:
            return (_erased(candidate.id, updated_at),)
        node = row.node("current_stage")
        type_ = (node.text("type") or "").lower()
        stage = self.stage_of(node)
        outcome = OUTCOME_OF_KIND.get(stage.kind, Outcome.PENDING) if stage else None
        application = Application(
            id=row.need_id("id"),
            outcome=outcome,
            stage=stage,
            created_at=self.time_of(row, "created_at"),
            updated_at=updated_at,
            rejection_reason=_REJECTIONS.get(type_) if outcome is Outcome.DECLINED else None,
            source=row.node("channel").text("name"),
        )
        return state_facts(
            "application", application, candidate=candidate, job=_job(row.node("job")), changed_at=updated_at
        )

    def stage_of(self, node: Node) -> Stage | None:
        """Personio's own stages may lack both id and name: the type then names them."""
        type_ = (node.text("type") or "").lower()
        id_, name = node.id("id"), node.text("name")
        stage = self.stage_patterns.known(Stage(id=id_, name=name or type_ or None))
        if stage.kind is None and type_ in _KINDS:
            stage = stage.model_copy(update={"kind": _KINDS[type_]})
        return stage if stage.id or stage.name else None

    def time_of(self, row: Node, key: str) -> datetime | None:
        """``{"date-time": ..., "timezone": ...}``, at times a plain text."""
        if not isinstance(row.json(key, sometimes=True), dict):
            return row.time(key, zone=self.settings.zone)
        stamp = row.node(key)
        return stamp.time("date-time", zone=_zone(stamp.text("timezone")) or self.settings.zone)


@lru_cache(maxsize=512)
def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _erased(candidate_id: str, at: datetime | None) -> Fact:
    """What is left of an anonymised application is no news: that its candidate is gone is."""
    return Fact(
        type=EventType.CANDIDATE_DELETED,
        occurred_at=at,
        vendor_event="application",
        candidate=Candidate(id=candidate_id),
    )


def _candidate(node: Node) -> Candidate | None:
    if not node:
        return None
    first_name, last_name, email = node.text("first_name"), node.text("last_name"), node.text("email")
    return Candidate(
        id=node.id("id"),
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
    )


def _job(node: Node) -> Job | None:
    if not node:
        return None
    department = node.node("department").text("name")
    return Job(id=node.id("id"), title=node.text("name"), departments=[department] if department else [])
