"""StackOne, a unified API: signed push that names the record that changed; the record itself is asked of its API.

Sources: docs.stackone.com (Webhooks, Webhooks of the legacy unified APIs, Get Application) and its official TypeScript
SDK, read in 2026. Payload fields and the signature's encoding are as public receivers have them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Normalised, Post, Receipt, Sample, ignored
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import ReadsRows, state_facts
from handlers.reading import Node, is_not_asked_for, whole_name
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import base64_digest, base64_hmac, check_hmac, only_header
from router.schema import (
    Application,
    Candidate,
    CustomFields,
    EventType,
    Fact,
    Job,
    Outcome,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

_SIGNATURE = "x-stackone-signature"
_RECORDS = {  # the docs have the plural; the singular is taken as well, as it costs nothing
    **dict.fromkeys(("ats_applications", "ats_application"), EventType.APPLICATION_DELETED),
    **dict.fromkeys(("ats_candidates", "ats_candidate"), EventType.CANDIDATE_DELETED),
}
_ACTIONS = ("created", "updated", "deleted")
_REASONS = {
    **dict.fromkeys(("account", "request"), "it is about the connection to the ATS"),
    "ats_interviews": "it names the interview only, not the application",
}
_HIRED, _DECLINED = ("hired", "onboarding"), ("rejected", "declined_by_candidate")
_UNDECIDED = ("unmapped_value", "converted")  # the latter: a prospect became a candidate, or a candidate an employee
_KINDS = {
    **dict.fromkeys(("new", "created", "lead"), StageKind.APPLIED),
    **dict.fromkeys(("review", "screen", "short_list"), StageKind.SCREEN),
    "assessment": StageKind.ASSESSMENT,
    "interview": StageKind.INTERVIEW,
    "offer": StageKind.OFFER,
    **dict.fromkeys(("background_check", "reference_check"), StageKind.OTHER),
}
_KINDS_OF_THE_END = {
    **dict.fromkeys(_HIRED, StageKind.HIRED),
    **dict.fromkeys(_DECLINED, StageKind.REJECTED),
}
_OUTCOMES = {
    **dict.fromkeys(("active", "accepted", "approved", *_KINDS), Outcome.PENDING),
    **dict.fromkeys(_HIRED, Outcome.HIRED),
    **dict.fromkeys(_DECLINED, Outcome.DECLINED),
}
_REJECTION_KINDS = {
    "rejected_by_candidate": RejectionKind.WITHDRAWN_BY_CANDIDATE,
    "rejected_by_organization": RejectionKind.REJECTED_BY_COMPANY,
    "other": RejectionKind.OTHER,
}
_ROW = "ats_applications"


class StackOneSettings(SecretSettings):
    api_key: Secret | None = Field(None, description="an API key of StackOne; applications are asked for with it")
    account: str | None = Field(None, description="the id of the linked account whose applications are asked for")
    api_url: ApiUrl = "https://api.stackone.com"

    together: ClassVar[Sequence[str]] = ("api_key", "account")


class StackOne(ReadsRows):
    vendor = "stackone"
    title = "StackOne"
    Settings = StackOneSettings
    settings: StackOneSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "Open Webhooks in the project, choose Add Webhook, enter the URL and choose the events below",
            "save, and copy the signing secret: it is the source's secret; StackOne may have two while one is changed",
        ],
        events=[f"{record}.{action}" for record in ("ats_applications", "ats_candidates") for action in _ACTIONS],
        verified="the x-stackone-signature header, an HMAC-SHA256 over the exact body",
        missing=[
            "what webhooks of applications hold besides the record's id: without api_key and account only deletions"
            " become events",
            "who did it, and the job's title, which is not in the record of an application",
            "whether the status converted is a hire: it changes no outcome; name such a stage under stages if it is",
            "whether a delivery that failed is sent again",
        ],
    )

    def verify(self, receipt: Receipt) -> None:
        check_hmac(base64_digest(only_header(receipt, _SIGNATURE), urlsafe=True), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("event")
        account = body.id("account_id", sometimes=True)
        record, _, action = event.partition(".")
        if record not in _RECORDS or action not in _ACTIONS:
            return ignored(event, _REASONS.get(record, NO_TYPE), account=account)
        identifier = body.id("record_id", sometimes=True)
        if action != "deleted" or identifier is None:  # what is known by the ATS's id only can't be told from others
            return Normalised(Disposition.SIGNAL, event, account=account)
        remote_id = body.id("record_remote_id", sometimes=True)
        is_candidate = _RECORDS[record] is EventType.CANDIDATE_DELETED
        fact = Fact(
            type=_RECORDS[record],
            occurred_at=body.time("event_date", sometimes=True) or body.time("sent_at", sometimes=True),
            vendor_event=event,
            application=None if is_candidate else Application(id=identifier, remote_id=remote_id),
            candidate=Candidate(id=identifier) if is_candidate else None,
        )
        return Normalised(Disposition.EVENTS, event, (fact,), account, soft_drift=body.soft_drift)

    def rows(self, answer: Node) -> Sequence[Node]:
        single = isinstance(answer.json("data"), dict)
        rows = [answer.node("data")] if single else answer.nodes("data")
        # entries of an application's history have the same form, but the id is the entry's
        return [row for row in rows if not row.node("change_type", sometimes=True)]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        application = _application(row)
        job_id = row.id("job_id")
        return state_facts(
            _ROW,
            application,
            candidate=_candidate(row),
            job=Job(id=job_id) if job_id else None,
            changed_at=application.updated_at,
        )

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: base64_hmac(self.settings.secrets[0], body, urlsafe=True, padded=False)})

    def sample(self, step: Sample) -> bytes:
        raise ValueError(f"there is no StackOne sample of {step.type}: its webhooks hold no application")


def _application(row: Node) -> Application:
    status = row.node("application_status")
    value, rejected_at = status.text("value"), row.time("rejected_at")
    outcome = None if value in _UNDECIDED else status.choice("value", _OUTCOMES)
    if outcome is None and rejected_at is not None:
        outcome = Outcome.DECLINED
    return Application(
        id=row.need_id("id"),
        remote_id=row.id("remote_id", sometimes=True),
        outcome=outcome,
        stage=_stage(row, value, status.text("source_value", sometimes=True)),
        created_at=row.time("created_at"),
        updated_at=row.time("updated_at"),
        rejected_at=rejected_at,
        rejection_reason=_rejection_reason(row, value),
        source=row.node("source", sometimes=True).text("name", sometimes=True),
        custom_fields=_custom_fields(row),
    )


def _stage(row: Node, status: str | None, source_status: str | None) -> Stage | None:
    """The stage with the status as its kind; but how an application ended says nothing of the stage it ended in. Where
    there is no stage, the status stands for it, in the ATS's own word where that is told."""
    node = row.node("application_stage", sometimes=True) or _interview_stage(row)
    identifier = (
        node.id("id", sometimes=True)
        or row.id("application_stage_id", sometimes=True)
        or row.id("interview_stage_id", sometimes=True)
    )
    name, kind = node.text("name", sometimes=True), _KINDS.get(status or "")
    if identifier or name:
        return Stage(id=identifier, name=name, kind=kind, index=node.integer("order", sometimes=True))
    name = source_status or status
    is_stage = name is not None and status != "active"  # which says no more than that it did not end yet
    return Stage(name=name, kind=kind or _KINDS_OF_THE_END.get(status or "")) if is_stage else None


def _interview_stage(row: Node) -> Node:
    """An object, or a list of one in older versions of the API."""
    if isinstance(row.raw.get("interview_stage"), list):
        return next(iter(row.nodes("interview_stage")), Node.of({}))
    return row.node("interview_stage", sometimes=True)


def _rejection_reason(row: Node, status: str | None) -> RejectionReason | None:
    kind = RejectionKind.WITHDRAWN_BY_CANDIDATE if status == "declined_by_candidate" else None
    reasons = row.nodes("rejected_reasons", sometimes=True)
    if not reasons:
        return RejectionReason(kind=kind) if kind else None
    type_ = reasons[0].node("rejected_reason_type", sometimes=True)
    given = type_.text("value", sometimes=True) or reasons[0].text("type", sometimes=True)  # the latter is older
    return RejectionReason(
        id=reasons[0].id("id", sometimes=True),
        name=reasons[0].text("label", sometimes=True),
        kind=_REJECTION_KINDS.get(given or "", kind),
    )


def _candidate(row: Node) -> Candidate | None:
    """First and last name before the whole one, which may be another."""
    node = row.node("candidate", sometimes=True)
    identifier = row.id("candidate_id") or node.id("id", sometimes=True)
    if identifier is None and not node:
        return None
    first_name, last_name = node.text("first_name", sometimes=True), node.text("last_name", sometimes=True)
    emails = [node.text("email", sometimes=True), *node.texts_of("emails", "value", sometimes=True)]
    whole = whole_name(first_name, last_name) or node.text("name", sometimes=True)
    return Candidate(
        id=identifier,
        name=whole,
        first_name=first_name,
        last_name=last_name,
        emails=list(dict.fromkeys(email for email in emails if email)),
        phones=node.texts_of("phone_numbers", "phone", sometimes=True),
        company=node.text("company", sometimes=True),
        title=node.text("title", sometimes=True),
        links=node.texts_of("social_links", "url", sometimes=True),
    )


def _custom_fields(row: Node) -> CustomFields:
    """The ATS's own, and before them those that the project maps itself."""
    named = ((field.text("name"), field.json("value")) for field in row.nodes("custom_fields", sometimes=True))
    fields = {name: value for name, value in named if name}
    mapped = row.json("unified_custom_fields", sometimes=True)
    if isinstance(mapped, dict):
        fields |= mapped
    return {name: value for name, value in fields.items() if not is_not_asked_for(name)}
