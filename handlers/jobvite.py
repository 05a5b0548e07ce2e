"""Jobvite: polled, a row is a candidate with one application. Its webhooks are known from hearsay only.

Source: clients of others and answers that they recorded (macat/connect, thoughtbot, kippnorcal/jobvite), read in 2026.
Jobvite answers errors with HTTP 200 as well, in three shapes. Times are unix milliseconds, often of a day's beginning.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import ClassVar

from pydantic import Field

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, is_not_asked_for, whole_name
from handlers.settings import ApiUrl, SourceSettings
from router.schema import (
    OUTCOME_OF_KIND,
    Application,
    Candidate,
    CustomFields,
    Fact,
    Job,
    Offer,
    Outcome,
    Person,
    RejectionReason,
    Stage,
)
from router.secret import Secret

_MILLISECONDS = 0.001
_SUCCESS = "200"


class JobviteSettings(SourceSettings):
    api_key: Secret | None = Field(None, description="from Jobvite, sent as x-jvi-api")
    api_secret: Secret | None = Field(None, description="its secret, sent as x-jvi-sc")
    api_url: ApiUrl = "https://api.jobvite.com/api/v2"

    together: ClassVar[Sequence[str]] = ("api_key", "api_secret")


class Jobvite(PolledHandler):
    vendor = "jobvite"
    title = "Jobvite"
    Settings = JobviteSettings
    settings: JobviteSettings
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.THIRD_PARTY,
        steps=[],
        events=[],
        verified="nothing: candidates are polled; a webhook of stages is said to exist, with bare ids and unsigned",
        missing=[
            "hired is a hire date, declined a disposition; a workflow state counts as `stages:` says",
            "who moved an application; times may be of the day only",
            "when the application came in: the date on which it was sent stands for it (unverified)",
        ],
    )

    def rows(self, answer: Node) -> Sequence[Node]:
        """Without ``candidates`` there are none, but an error is no empty page."""
        status = answer.json("status", sometimes=True)
        failed = isinstance(status, str) or (isinstance(status, dict) and str(status.get("code")) != _SUCCESS)
        if failed or answer.json("errors", sometimes=True):
            raise Drift("status" if failed else "errors", "says that Jobvite did not answer the question")
        if status is None and not isinstance(answer.json("candidates"), list):
            raise Drift("candidates", "is missing")
        return [row for row in answer.nodes("candidates", sometimes=True) if row.node("application")]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        node = row.node("application")
        name, disposition = node.text("workflowState", sometimes=True), node.text("disposition")
        stage = (
            self.stage_patterns.known(Stage(id=node.id("workflowStateEId", sometimes=True), name=name))
            if name
            else None
        )
        hired_at = node.epoch("hireDate", unit=_MILLISECONDS)
        updated_at = node.epoch("lastUpdatedDate", unit=_MILLISECONDS)
        outcome = _outcome(node, stage)
        application = Application(
            id=node.need_id("eId"),
            outcome=outcome,
            stage=stage,
            created_at=node.epoch("sentDate", unit=_MILLISECONDS, sometimes=True),
            updated_at=updated_at,
            hired_at=hired_at,
            rejection_reason=RejectionReason(name=disposition) if disposition and outcome is Outcome.DECLINED else None,
            source=node.text("source"),
            custom_fields=_custom_fields(node),
        )
        start = node.epoch("startDate", unit=_MILLISECONDS, sometimes=True)
        day = start.astimezone(self.settings.zone or UTC).date().isoformat() if start else None
        return state_facts(
            "candidate",
            application,
            candidate=_candidate(row),
            job=_job(node),
            offer=Offer(start_date=day) if day else None,
            changed_at=updated_at,
        )


def _outcome(node: Node, stage: Stage | None) -> Outcome:
    by_stage = OUTCOME_OF_KIND.get(stage.kind) if stage else None
    if node.json("hireDate", sometimes=True) or by_stage is Outcome.HIRED:
        return Outcome.HIRED
    return Outcome.DECLINED if node.json("disposition", sometimes=True) else by_stage or Outcome.PENDING


def _candidate(row: Node) -> Candidate:
    first_name, last_name, email = row.text("firstName"), row.text("lastName"), row.text("email")
    phones = (row.text(key, sometimes=True) for key in ("mobile", "homePhone", "workPhone"))
    place = (row.text(key, sometimes=True) for key in ("city", "state", "country"))
    return Candidate(
        id=row.id("eId"),
        name=_joined(" ", first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        phones=[phone for phone in phones if phone],
        company=row.text("companyName", sometimes=True),
        title=row.text("title", sometimes=True),
        location=_joined(", ", *place),
    )


def _job(application: Node) -> Job | None:
    """Often an object of nothing but nulls."""
    node = application.node("job")
    id_, title, requisition = node.id("eId"), node.text("title"), node.id("requisitionId")
    if not (id_ or title or requisition):
        return None
    department = node.text("department", sometimes=True)
    return Job(
        id=id_,
        title=title,
        requisition_id=requisition,
        departments=[department] if department else [],
        location=node.text("location", sometimes=True),
        recruiters=_people(node, "primaryRecruiter", "recruiters"),
        hiring_managers=_people(node, "primaryHiringManager", "hiringManagers"),
        custom_fields=_custom_fields(node),
    )


def _people(job: Node, first: str, all_: str) -> list[Person]:
    """The first one is among all of them as well."""
    nodes = [job.node(first, sometimes=True), *job.nodes(all_, sometimes=True)]
    people = (
        Person(
            id=node.id("userId"),
            name=whole_name(node.text("firstName"), node.text("lastName")),
            email=node.text("userName"),
        )
        for node in nodes
        if node
    )
    return list({person.id: person for person in people}.values())


def _custom_fields(owner: Node) -> CustomFields:
    """Texts, with the line breaks of the form that they were entered in."""
    fields: CustomFields = {}
    for field in owner.nodes("customField", sometimes=True):
        name, value = field.text("key"), field.json("value")
        if name and not is_not_asked_for(name) and not is_not_asked_for(field.text("fieldCode", sometimes=True) or ""):
            fields[name] = value.strip() if isinstance(value, str) else value
    return fields


def _joined(mark: str, *parts: str | None) -> str | None:
    return mark.join(part for part in parts if part) or None
