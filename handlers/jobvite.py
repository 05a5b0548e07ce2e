"""Jobvite: polled, a row is a candidate with one application. Its webhooks are described nowhere.

Source: clients of others and answers that they recorded (macat/connect, thoughtbot), read in 2026. Jobvite answers
errors with HTTP 200 as well, in three shapes. Times are unix milliseconds, often of a day's beginning only.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import ClassVar

from pydantic import Field

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node
from handlers.settings import ApiUrl, SourceSettings
from router.schema import OUTCOME_OF_KIND, Application, Candidate, Fact, Job, Offer, Outcome, RejectionReason, Stage
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
        verified="nothing: its webhooks are described nowhere, candidates are polled",
        missing=[
            "hired is a hire date, declined a disposition; a workflow state counts as `stages:` says",
            "who moved an application; times may be of the day only",
            "custom fields, as nothing tells how Jobvite writes them",
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
        stage = self.stage_patterns.known(Stage(name=name)) if name else None
        hired_at = node.epoch("hireDate", unit=_MILLISECONDS)
        updated_at = node.epoch("lastUpdatedDate", unit=_MILLISECONDS)
        outcome = _outcome(node, stage)
        application = Application(
            id=node.need_id("eId"),
            outcome=outcome,
            stage=stage,
            updated_at=updated_at,
            hired_at=hired_at,
            rejection_reason=RejectionReason(name=disposition) if disposition and outcome is Outcome.DECLINED else None,
            source=node.text("source"),
        )
        facts = state_facts("candidate", application, candidate=_candidate(row), job=_job(node), changed_at=updated_at)
        start = node.epoch("startDate", unit=_MILLISECONDS, sometimes=True)
        if start is None:
            return facts
        offer = Offer(start_date=start.astimezone(self.settings.zone or UTC).date().isoformat())
        return tuple(fact.model_copy(update={"offer": offer}) for fact in facts)


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
    )


def _joined(mark: str, *parts: str | None) -> str | None:
    return mark.join(part for part in parts if part) or None
