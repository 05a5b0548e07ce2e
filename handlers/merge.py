"""Merge, a unified API: signed push for all linked accounts of an organisation, set up by hand in its dashboard.

Sources: docs.merge.dev (Merge webhooks, ATS common models), help.merge.dev (5389453, 5614281, 6425152), read in 2026.
A body says what an object is now, with bare ids for what it is related to; the API may expand those to objects.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Self, TypeVar
from urllib.parse import quote

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import NO_TYPE, Disposition, Normalised, Post, Receipt, Sample, ignored
from handlers.enriching import Access, Api, Enriches, NotThere
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import ReadsRows, state_facts
from handlers.reading import Node, is_not_asked_for, whole_name
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import base64_digest, base64_hmac, check_hmac, only_header
from router.schema import (
    Answer,
    Application,
    Candidate,
    CustomFields,
    EventType,
    Fact,
    Interview,
    InterviewStatus,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    Person,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

M = TypeVar("M", Stage, RejectionReason, Person)
_SIGNATURE = "x-merge-webhook-signature"
_ADDED, _CHANGED, _REMOVED = EventType.APPLICATION_CREATED, EventType.APPLICATION_UPDATED, EventType.APPLICATION_DELETED
_CHANGES = {  # Merge's own texts spell them in both ways
    **{"added": _ADDED, "changed": _CHANGED, "removed": _REMOVED},
    **{"created": _ADDED, "updated": _CHANGED, "deleted": _REMOVED},
}
_SYNCS = {  # of applications, or of everything
    *("application.synced", "linkedaccount.synced", "linkedaccount.synccompleted"),
    *("linkedaccount.fullysyncedinitial", "linkedaccount.syncedinitial"),
}
_OFFER_STATUSES = {
    **dict.fromkeys(("DRAFT", "APPROVAL-SENT"), OfferStatus.DRAFT),  # sent to those who approve it
    "APPROVED": OfferStatus.APPROVED,
    **dict.fromkeys(("SENT", "SENT-MANUALLY", "OPENED"), OfferStatus.SENT),
    **{"SIGNED": OfferStatus.ACCEPTED, "DENIED": OfferStatus.DECLINED, "DEPRECATED": OfferStatus.ABANDONED},
}
_INTERVIEW_STATUSES = {
    "SCHEDULED": InterviewStatus.SCHEDULED,
    **dict.fromkeys(("AWAITING_FEEDBACK", "COMPLETE"), InterviewStatus.COMPLETED),
}
_MODELS = ("Application", "Candidate", "Offer", "ScheduledInterview")
_TARGETS = ("organization_defined_targets", "linked_account_defined_targets")
_REASONS = dict.fromkeys(("linkedaccount", "issue"), "it is about the connection to the ATS")


class MergeSettings(SecretSettings):
    linked_account: str | None = Field(None, description="whose events are taken, its id; without it those of all are")
    api_key: Secret | None = Field(None, description="an access key of the organisation; asks for names")
    account_token: Secret | None = Field(None, description="the token of that linked account")
    api_url: ApiUrl = Field("https://api.merge.dev/api/ats/v1", description="or at api-eu.merge.dev, api-ap.merge.dev")

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        given = self.api_key, self.account_token
        if any(given) and not (all(given) and self.linked_account):
            raise PydanticCustomError("api", "api_key, account_token and linked_account go together: give all of them")
        return self


class _Hook(NamedTuple):
    """One webhook. ``change``: what it means if it is of an application. ``lever``: there, archived may mean hired."""

    event: str
    change: EventType
    data: Node
    lever: bool = False


class Merge(Enriches, ReadsRows):
    vendor = "merge"
    title = "Merge"
    Settings = MergeSettings
    settings: MergeSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Open Advanced > Webhooks and copy the signature key under Security: it is the source's secret",
            "add a webhook with the URL for changed and deleted data of Application, Candidate, Offer and"
            " ScheduledInterview, and for Common Model synced of Application where the source is polled as well",
            "do not choose Linked Account linked: its body carries the account token",
            "for names give api_key, account_token and linked_account; each linked account is then a source of its own",
        ],
        events=[
            *(f"{model}.{change}" for model in _MODELS for change in ("added", "changed", "removed")),
            *("Application.synced", "LinkedAccount.sync_completed"),
        ],
        verified="the X-Merge-Webhook-Signature header, an HMAC-SHA256 over the exact body",
        missing=[
            "who did it, screening answers, and names, unless an API key and an account token are given",
            "a hire has no field: it is a stage of the kind HIRED (name yours under stages), and in Lever the reject"
            " reason Hired; while such a reason is a bare id, a Lever application is neither hired nor declined",
            "that a rejection was taken back, unless the stage is told by name; whether a first sync tells all as new",
            "changes come when Merge syncs, on many plans once a day, unless the ATS sends Merge webhooks",
        ],
        enrichment="names of candidate, job, stage and reject reason",
    )
    stage_kinds: ClassVar[Mapping[StageKind, Sequence[str]]] = {StageKind.HIRED: ["Hired"]}  # help.merge.dev 6425152

    def verify(self, receipt: Receipt) -> None:
        check_hmac(base64_digest(only_header(receipt, _SIGNATURE), urlsafe=True), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        if not body.node("hook", sometimes=True) and body.text("response", sometimes=True):
            return Normalised(Disposition.PING, reason="it is the test of the dashboard")
        event = body.need_node("hook").need_text("event")
        account = body.node("linked_account")
        account_id = account.id("id")  # end_user_origin_id is the customer's own and may be null or change
        if (account.text("category", sometimes=True) or "ats").lower() != "ats":
            return ignored(event, "the linked account is not of an ATS", account=account_id)
        if self.settings.linked_account not in (None, account_id):
            return ignored(event, "it is of another linked account", account=account_id)
        name = event.replace("_", "").lower()
        if name in _SYNCS:
            return Normalised(Disposition.SIGNAL, event, account=account_id)
        model, _, action = name.partition(".")
        tell, change = _TELLERS.get(model), _CHANGES.get(action)
        if tell is None or change is None or (model, change) == ("candidate", _ADDED):
            return ignored(event, _REASONS.get(model, NO_TYPE), account=account_id)
        data = body.need_node("data")
        if data.flag("remote_was_deleted", sometimes=True):
            change = _REMOVED
        ats = account.text("integration_slug", sometimes=True) or account.text("integration", sometimes=True) or ""
        fact = tell(_Hook(event, change, data, ats.lower() == "lever"))
        if change is not _REMOVED and fact.application is not None and self.access() is not None:
            fact = fact.model_copy(update={"needs_enrichment": True})
        return Normalised(Disposition.EVENTS, event, (fact,), account_id, soft_drift=body.soft_drift)

    def rows(self, answer: Node) -> Sequence[Node]:
        return [answer] if answer.id("id", sometimes=True) else answer.nodes("results")

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        gone = row.flag("remote_was_deleted", sometimes=True)
        fact = _tell_application(_Hook("application", _REMOVED if gone else _CHANGED, row))
        if gone or fact.application is None:
            return (fact,)
        created, _ = state_facts(fact.vendor_event, fact.application, candidate=fact.candidate, job=fact.job)
        return created, fact  # the version is of what it is now, not of its beginning

    def access(self) -> Access | None:
        key, token = self.settings.api_key, self.settings.account_token
        if key is None or token is None:
            return None
        headers = {"authorization": f"Bearer {key.get_secret_value()}", "x-account-token": token.get_secret_value()}
        return Access(self.settings.api_url, headers, per_second=1.5)  # the smallest plan allows 100 a minute

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        told, expanded = fact.application, {"expand": "candidate,current_stage,job,reject_reason"}
        assert told is not None
        row = await api.get(f"/applications/{quote(told.id, safe='')}", expanded)
        found, candidate, job = _application(row), _candidate(_related(row, "candidate")), _job(_related(row, "job"))
        if fact.type in (EventType.OFFER_CHANGED, EventType.INTERVIEW_CHANGED):
            application = found.model_copy(update={"id": told.id})
        else:
            stage = await _named(told.stage, found.stage, "/job-interview-stages/", api)
            reason = await _named(told.rejection_reason, found.rejection_reason, "/reject-reasons/", api)
            rejected = told.rejected_at is not None or told.outcome is Outcome.DECLINED
            open_still = reason is not None and reason.name is None  # a hire of Lever, or not
            decided = _decided(rejected, told.rejected_at, reason, stage)
            application = told.model_copy(update={"stage": stage} if open_still else decided)
        names: dict[str, object] = {
            "candidate": candidate if _same(fact.candidate, candidate) else fact.candidate,
            "job": job if _same(fact.job, job) else fact.job,  # as the webhook said, should it have moved on since
        }
        return [fact.model_copy(update={**names, "application": application, "needs_enrichment": False})]

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: base64_hmac(self.settings.secrets[0], body, urlsafe=True, padded=False)})

    def sample(self, step: Sample) -> bytes:
        """With names, as no webhook of Merge has them, so that people see what they sent."""
        if step.type not in (_ADDED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED):
            raise ValueError(f"there is no Merge sample of {step.type}")
        at = step.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        first_name, _, last_name = step.candidate_name.partition(" ")
        reason = {Outcome.HIRED: "Hired", Outcome.DECLINED: "Lacks experience"}.get(step.outcome)
        data = {
            **{"id": step.application_id, "remote_id": "70011", "modified_at": at, "applied_at": at},
            "candidate": {"id": "1", "first_name": first_name, "last_name": last_name},
            "job": {"id": "2", "name": step.job_title, "status": "OPEN", "code": "ENG-204"},
            "current_stage": {"id": step.stage, "name": step.stage} if step.stage else None,
            **{"rejected_at": at if reason else None, "reject_reason": {"id": "3", "name": reason} if reason else None},
            **{"source": "Careers page", "credited_to": None, "remote_was_deleted": False},
        }
        hook = {"event": f"Application.{'added' if step.type is _ADDED else 'changed'}"}
        linked_account = {"id": self.settings.linked_account or "4", "category": "ats"}
        return json.dumps({"hook": hook, "linked_account": linked_account, "data": data}).encode()


def _tell_application(hook: _Hook) -> Fact:
    node = hook.data
    application, changed_at = _application(node, lever=hook.lever), node.time("modified_at")
    return Fact(
        type=hook.change,
        is_snapshot=hook.change is _CHANGED,
        occurred_at=(application.created_at if hook.change is _ADDED else None) or changed_at,
        vendor_event=hook.event,
        vendor_version=_version(node),
        application=application,
        candidate=_candidate(_related(node, "candidate")),
        job=_job(_related(node, "job")),
    )


def _tell_candidate(hook: _Hook) -> Fact:
    hook.data.need_id("id")
    return Fact(
        type=EventType.CANDIDATE_DELETED if hook.change is _REMOVED else EventType.CANDIDATE_UPDATED,
        occurred_at=hook.data.time("modified_at"),
        vendor_event=hook.event,
        vendor_version=_version(hook.data),
        candidate=_candidate(hook.data),
    )


def _tell_offer(hook: _Hook) -> Fact:
    node = hook.data
    return Fact(
        type=EventType.OFFER_CHANGED,
        occurred_at=node.time("modified_at"),
        vendor_event=hook.event,
        application=Application(id=_related(node, "application").id("id") or node.need_id("application")),
        offer=Offer(
            id=node.id("id"),
            status=OfferStatus.ABANDONED if hook.change is _REMOVED else node.choice("status", _OFFER_STATUSES),
            start_date=node.date("start_date"),
            sent_at=node.date_or_time("sent_at"),
            resolved_at=node.date_or_time("closed_at"),
            custom_fields=_custom_fields(node),
        ),
    )


def _tell_interview(hook: _Hook) -> Fact:
    node = hook.data
    return Fact(
        type=EventType.INTERVIEW_CHANGED,
        occurred_at=node.time("modified_at"),
        vendor_event=hook.event,
        application=Application(id=_related(node, "application").id("id") or node.need_id("application")),
        interview=Interview(
            id=node.id("id"),
            status=InterviewStatus.CANCELLED if hook.change is _REMOVED else node.choice("status", _INTERVIEW_STATUSES),
            start=node.time("start_at"),
            end=node.time("end_at"),
            location=node.text("location"),
            interviewers=[Person(id=person) for person in node.texts("interviewers")],
        ),
    )


_TELLERS: dict[str, Callable[[_Hook], Fact]] = {
    "application": _tell_application,
    "candidate": _tell_candidate,
    "offer": _tell_offer,
    "scheduledinterview": _tell_interview,
}


def _version(node: Node) -> str | None:
    """Merge's clock of the object, written in one way so that it compares as text."""
    at = node.time("modified_at")
    return at.isoformat(timespec="microseconds") if at else None


def _related(owner: Node, key: str) -> Node:
    """What an object is related to: an object where it was expanded, else one with nothing but the id."""
    value = owner.json(key, sometimes=True)
    if value is None or isinstance(value, dict):
        return owner.node(key)
    return Node.of({"id": owner.id(key)})


def _application(node: Node, *, lever: bool = False) -> Application:
    stage_node, reason_node, person = (_related(node, key) for key in ("current_stage", "reject_reason", "credited_to"))
    order = stage_node.integer("stage_order", sometimes=True)
    stage = _known(Stage(id=stage_node.id("id"), name=stage_node.text("name"), index=order))
    reason = _known(RejectionReason(id=reason_node.id("id"), name=reason_node.text("name")))
    rejected = node.json("rejected_at", sometimes=True) not in (None, "")
    return Application(
        id=node.need_id("id"),
        remote_id=node.id("remote_id"),
        created_at=node.time("applied_at"),
        updated_at=node.time("modified_at"),
        source=node.text("source"),
        referrer=_known(Person(id=person.id("id"), name=_name(person), email=person.text("email"))),
        answers=_answers(node),
        custom_fields=_custom_fields(node),
        **_decided(rejected, node.time("rejected_at"), reason, stage, lever=lever),
    )


def _answers(node: Node) -> list[Answer]:
    """Of questions that were expanded; the others are bare ids."""
    items = node.json("screening_question_answers", sometimes=True)
    told = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    asked = [(item.get("question"), item.get("answer")) for item in told]
    titled = [(str(question.get("title") or ""), answer) for question, answer in asked if isinstance(question, dict)]
    return [Answer(question=title, answer=answer) for title, answer in titled if title and not is_not_asked_for(title)]


def _decided(
    rejected: bool, at: datetime | None, reason: RejectionReason | None, stage: Stage | None, *, lever: bool = False
) -> dict[str, Any]:
    """Stage and outcome. No field tells a hire: in Lever it is the reject reason Hired (help.merge.dev 6425152),
    elsewhere a stage. So who is not rejected is pending only where a hire would show, in the stage's name."""
    outcome = Outcome.PENDING if stage is not None and stage.name and reason is None else None
    if reason is not None and (reason.name or "").strip().lower() == "hired":
        return {"stage": stage, "outcome": Outcome.HIRED, "hired_at": at, "rejected_at": None, "rejection_reason": None}
    if rejected:
        outcome = None if lever and reason is not None and reason.name is None else Outcome.DECLINED
    return {"stage": stage, "outcome": outcome, "rejected_at": at, "rejection_reason": reason}


def _candidate(node: Node) -> Candidate | None:
    if (identifier := node.id("id")) is None:
        return None
    return Candidate(
        id=identifier,
        name=_name(node),
        first_name=node.text("first_name"),
        last_name=node.text("last_name"),
        emails=node.texts_of("email_addresses", "value", sometimes=True),
        phones=node.texts_of("phone_numbers", "value", sometimes=True),
        company=node.text("company", sometimes=True),
        title=node.text("title", sometimes=True),
        location=next(iter(node.texts("locations", sometimes=True)), None),
        links=node.texts_of("urls", "value", sometimes=True),
        tags=node.texts("tags", sometimes=True),
        custom_fields=_custom_fields(node),
    )


def _job(node: Node) -> Job | None:
    if (identifier := node.id("id")) is None:
        return None
    return Job(
        id=identifier,
        title=node.text("name"),
        requisition_id=node.id("code", sometimes=True),
        status=node.text("status", sometimes=True),
        custom_fields=_custom_fields(node),
    )


def _name(node: Node) -> str | None:
    return whole_name(node.text("first_name"), node.text("last_name"))


def _custom_fields(node: Node) -> CustomFields:
    if not (mappings := node.node("field_mappings", sometimes=True)):
        return {}
    targets = [fields for key in _TARGETS if isinstance(fields := mappings.json(key, sometimes=True), dict)]
    return {name: value for fields in targets for name, value in fields.items() if not is_not_asked_for(name)}


def _known(model: M) -> M | None:
    return model if model.id or model.name else None


def _same(told: Candidate | Job | None, found: Candidate | Job | None) -> bool:
    return told is None or (found is not None and told.id == found.id)


async def _named(told: M | None, found: M | None, path: str, api: Api) -> M | None:
    """What the webhook told by its id, with its name; from the application as it was fetched, if it is still that."""
    if told is None or told.name is not None:
        return told
    if found is not None and found.id == told.id:
        return found
    try:
        node = await api.get(f"{path}{quote(told.id or '', safe='')}", cache=600)
    except NotThere:
        return told
    return told.model_copy(update={"name": node.text("name")})
