"""BambooHR's applicant tracking: read from its API. It pushes too, but only about employees and the company.

Sources: specs/public.yaml and docs/ of github.com/BambooHR/bhr-api-python, read in 2026; for what is signed, clients of
others, of which fusebit/integrations has a test vector. A row of the list has a status, its time and its author are
in the single application only.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import ClassVar, Self
from urllib.parse import parse_qsl

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import NO_TYPE, Drift, Normalised, Post, Receipt, Sample, ignored
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import ReadsRows, state_facts
from handlers.reading import Node, is_not_asked_for
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import check_age, check_hmac, hex_digest, hex_hmac, only_header, whole_number
from router.schema import (
    OUTCOME_OF_KIND,
    Answer,
    Application,
    Candidate,
    EventType,
    Fact,
    Job,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret
from router.units import OneOrSeveral

_SIGNATURE, _TIMESTAMP = "x-bamboohr-signature", "x-bamboohr-timestamp"
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_TOLERANCE = 3 * 3600.0
"""Failed webhooks come again up to 155 minutes later (page Webhook Events), and nothing says with a new timestamp."""

_LEGACY = "employee_with_fields"
"""What the older style, which does not name its event, is subscribed to as (with .created, .updated or .deleted)."""

_ABOUT_OTHERS = {
    _LEGACY: "it is about an employee, not about an application",
    "employee": "it is about an employee, not about an application",
    "company": "it is about the company, not about an application",
    "company-integrations": "it is about the company, not about an application",
}
_KINDS = {  # ids of BambooHR's own statuses; the code that the list of statuses gives them
    "1": StageKind.APPLIED,  # NEW
    "2": StageKind.SCREEN,  # REVIEWED
    "3": StageKind.SCREEN,  # SCHEDPHONE
    "4": StageKind.SCREEN,  # PHONED
    "5": StageKind.INTERVIEW,  # SCHEDINT
    "6": StageKind.INTERVIEW,  # INTERVIEW
    "7": StageKind.OTHER,  # ONHOLD
    "8": StageKind.OTHER,  # REFCHECK
    "9": StageKind.OFFER,  # OFFER
    "10": StageKind.REJECTED,  # NOFIT
    "11": StageKind.REJECTED,  # DECLINED
    "12": StageKind.REJECTED,  # NOQUAL
    "13": StageKind.REJECTED,  # OVERQUAL
    "14": StageKind.REJECTED,  # POACHED
    "15": StageKind.HIRED,  # HIRED
    "16": StageKind.OFFER,  # OLSENT, the offer letter
    "17": StageKind.OFFER,  # OLSIGNED
}
_DELETED, _MOVED = "18", "19"  # DELETED, and MOVED to another job, where it goes on: no outcome
_REJECTION_KINDS = {
    "10": RejectionKind.REJECTED_BY_COMPANY,
    "11": RejectionKind.WITHDRAWN_BY_CANDIDATE,  # the candidate declined the offer
    "12": RejectionKind.REJECTED_BY_COMPANY,
    "13": RejectionKind.REJECTED_BY_COMPANY,
    "14": RejectionKind.OTHER,
}


class BambooHRSettings(SecretSettings):
    secret: OneOrSeveral[Secret] = Field(
        (), description="the private key of its webhooks, where those come here at all"
    )
    api_key: Secret | None = Field(None, description="an API key of somebody who may see applicants")
    api_url: ApiUrl | None = Field(None, description="https://YOUR-COMPANY.bamboohr.com/api/v1")

    together: ClassVar[Sequence[str]] = ("api_key", "api_url")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if not self.secret and self.api_key is None:
            sentence = "nothing can come in: give api_key and api_url to poll, or the secret of its webhooks"
            raise PydanticCustomError("no_secret", sentence)
        return self


class BambooHR(ReadsRows):
    vendor = "bamboohr"
    title = "BambooHR"
    Settings = BambooHRSettings
    settings: BambooHRSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "no webhook tells of applications: they are read from BambooHR's API, and nothing has to be registered",
            "should its webhooks come here all the same: in Account > Settings > Webhooks enter the URL, click "
            "Generate under Private Key, and use that key as the source's secret; they are accepted and ignored",
        ],
        events=["employee.created", "employee.updated", "employee.deleted"],
        verified="the X-BambooHR-Signature header, an HMAC-SHA256 over the exact body and X-BambooHR-Timestamp, "
        "which may be three hours old",
        missing=[
            "webhooks of applications: applications are polled",
            "the code of a status: an application has its id only, and 1 to 19 are taken for BambooHR's own statuses; "
            "own ones are PENDING until `stages:` says more, by id or label, which goes before the table",
            "who moved an application and when, in the list: both are in the single application",
            "where a moved application went, and the name of a source that is told by its number",
            "whether a webhook that is sent again has a new timestamp; what is signed is known from clients of others",
        ],
    )

    def verify(self, receipt: Receipt) -> None:
        digest, timestamp = hex_digest(only_header(receipt, _SIGNATURE)), only_header(receipt, _TIMESTAMP)
        sent_at = _seconds(timestamp)
        check_hmac(digest, receipt.body + timestamp.encode(), self.settings.secrets)
        # no mark stands between the two: the age also shows whether a digit of one was passed off as the other's
        check_age(sent_at, receipt, tolerance=_TOLERANCE)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = _parsed(receipt.body)
        name = body.text("type", sometimes=True)
        if name is None:
            name = _LEGACY if body.nodes("employees", sometimes=True) else body.need_text("type")
        return ignored(name, _ABOUT_OTHERS.get(name.partition(".")[0], NO_TYPE))

    def sign(self, body: bytes, at: datetime) -> Post:
        timestamp = str(int(at.timestamp()))
        signature = hex_hmac(self.settings.secrets[0], body + timestamp.encode())
        return Post(body, {_SIGNATURE: signature, _TIMESTAMP: timestamp})

    def sample(self, step: Sample) -> bytes:
        raise ValueError(f"there is no BambooHR sample of {step.type}: its webhooks tell nothing of applications")

    def rows(self, answer: Node) -> Sequence[Node]:
        if isinstance(answer.json("applications", sometimes=True), list):
            return answer.nodes("applications")
        answer.need_node("applicant")  # a single application has it; errors and the list of statuses do not
        return [answer]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        status, applicant = row.node("status"), row.node("applicant")
        stage, changed_at = self._stage(status), status.time("dateChanged", zone=self.settings.zone, sometimes=True)
        outcome, referrer = _outcome(stage), row.text("referredBy", sometimes=True)
        application = Application(
            id=row.need_id("id"),
            outcome=outcome,
            stage=stage,
            created_at=row.time("appliedDate", zone=self.settings.zone),
            rejected_at=changed_at if outcome is Outcome.DECLINED else None,
            hired_at=changed_at if outcome is Outcome.HIRED else None,
            rejection_reason=_rejection_reason(stage) if stage and outcome is Outcome.DECLINED else None,
            source=applicant.text("source", sometimes=True),
            referrer=Person(name=referrer) if referrer else None,
            answers=_answers(row),
        )
        created, now = state_facts(
            "application",
            application,
            candidate=_candidate(applicant),
            job=_job(row.node("job")),
            changed_at=changed_at,
            actor=_person(status.node("changedByUser", sometimes=True), "id"),
        )
        if stage and stage.id == _DELETED:
            return (now.model_copy(update={"type": EventType.APPLICATION_DELETED, "is_snapshot": False}),)
        return created, now

    def _stage(self, status: Node) -> Stage | None:
        stage = self.stage_patterns.known(Stage(id=status.id("id"), name=status.text("label")))
        if stage.kind is None and stage.id in _KINDS:
            stage = stage.model_copy(update={"kind": _KINDS[stage.id]})
        return stage if stage.id or stage.name else None


def _seconds(timestamp: str) -> float:
    """Unix seconds in the test vector and in most receivers, ISO 8601 in an example of another one."""
    if _ISO_TIME.fullmatch(timestamp):
        with suppress(ValueError):
            return datetime.fromisoformat(timestamp).timestamp()
    return whole_number(timestamp)


def _parsed(body: bytes) -> Node:
    """A hook's format is JSON or form-encoded; of a form only the names at the top matter."""
    if body.lstrip()[:1] in (b"{", b"[") or b"=" not in body:
        return Node.parse(body)
    try:
        fields = dict(parse_qsl(body.decode()))
    except ValueError:
        raise Drift("body", "is neither JSON nor a form") from None
    employees: list[object] = [{} for name in fields if name.startswith("employees")]
    return Node.of({"type": fields.get("type"), "employees": employees})


def _outcome(stage: Stage | None) -> Outcome | None:
    if stage is None or (stage.kind is None and stage.id in (_DELETED, _MOVED)):
        return None
    return OUTCOME_OF_KIND.get(stage.kind, Outcome.PENDING)


def _rejection_reason(stage: Stage) -> RejectionReason:
    """BambooHR knows no reasons: the status is the reason."""
    return RejectionReason(id=stage.id, name=stage.name, kind=_REJECTION_KINDS.get(stage.id or ""))


def _candidate(applicant: Node) -> Candidate | None:
    if not applicant:
        return None
    first_name, last_name = applicant.text("firstName"), applicant.text("lastName")
    email, phone = applicant.text("email"), applicant.text("phoneNumber", sometimes=True)
    address = applicant.node("address", sometimes=True)
    links = (applicant.text(key, sometimes=True) for key in ("linkedinUrl", "websiteUrl"))
    return Candidate(
        id=applicant.id("id"),
        name=_joined(" ", first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        phones=[phone] if phone else [],
        location=_joined(", ", *(address.text(key, sometimes=True) for key in ("city", "state", "country"))),
        links=[link for link in links if link],
    )


def _job(node: Node) -> Job | None:
    if not node:
        return None
    lead = _person(node.node("hiringLead", sometimes=True), "employeeId")
    return Job(id=node.id("id"), title=node.node("title").text("label"), hiring_managers=[lead] if lead else [])


def _person(node: Node, id_key: str) -> Person | None:
    """Null where the system did it, or where a job has no lead."""
    id_, name = node.id(id_key), _joined(" ", node.text("firstName"), node.text("lastName"))
    return Person(id=id_, name=name) if id_ or name else None


def _answers(row: Node) -> list[Answer]:
    answers = []
    for item in row.nodes("questionsAndAnswers", sometimes=True):
        question = item.node("question").text("label")
        if question and not is_not_asked_for(question):
            answers.append(Answer(question=question, answer=item.node("answer").text("label")))
    return answers


def _joined(mark: str, *parts: str | None) -> str | None:
    return mark.join(part for part in parts if part) or None
