"""Kombo, a unified API: signed push that only says that something changed; the applications are asked of its API.

Sources: docs.kombo.dev (Webhooks, Fetching Data), the OpenAPI document and github.com/kombohq/typescript-sdk, read in
2026. Webhooks are ``{"id", "type", "data"}``, answers of the API ``{"status", "data": {"next", "results"}}``.
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
    Answer,
    Application,
    Candidate,
    CustomFields,
    EventType,
    Fact,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    RejectionReason,
    Stage,
)
from router.secret import Secret

_SIGNATURE = "x-kombo-signature"
_OUTCOMES = {"PENDING": Outcome.PENDING, "HIRED": Outcome.HIRED, "DECLINED": Outcome.DECLINED}
_OFFERS = {status.value: status for status in OfferStatus}
_MODELS = {  # a change of these brings the application back when it is asked for by updated_after
    "ats_applications",
    "ats_candidates",
    "ats_application_stages",
    "ats_interviews",
    "ats_offers",
}
_READABLE = {"SUCCEEDED", "PARTIALLY_FAILED"}  # of the latter Kombo says that its data can be worked with
_REASONS = {
    **dict.fromkeys(
        ("integration-created", "integration-deleted", "integration-state-changed", "connection-flow-failed"),
        "it is about the connection to the ATS",
    ),
    **dict.fromkeys(
        ("assessment:order-received", "inline-assessment:order-received"),
        "it orders an assessment, and no application changed",
    ),
}
_ANSWERS = ("content", "choice", "choices", "checked", "number", "date", "raw")  # one of them, by type of question
_ROW = "ats_applications"


class KomboSettings(SecretSettings):
    api_key: Secret | None = Field(None, description="an API key of Kombo; applications are asked for with it")
    integration: str | None = Field(None, description="whose applications are asked for, as in greenhouse:8d3f...")
    api_url: ApiUrl = Field("https://api.kombo.dev/v1", description="https://api.us.kombo.dev/v1 is the other region")

    together: ClassVar[Sequence[str]] = ("api_key", "integration")


class Kombo(ReadsRows):
    vendor = "kombo"
    title = "Kombo"
    Settings = KomboSettings
    settings: KomboSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Open Webhooks in the dashboard, add a webhook with the URL and choose the events below",
            "copy the webhook secret, which is shown after the first webhook was made: it is the source's secret",
            "switch Only Sync Created Applications off for the integration, or nothing but what Kombo itself created"
            " is ever told",
        ],
        events=["data-changed", "sync-finished", "remote-event-received"],
        verified="the X-Kombo-Signature header, an HMAC-SHA256 over the exact body",
        missing=[
            "no webhook holds an application: without api_key and integration there are no events",
            "who did it, and the stage before (the router knows it from the row before)",
            "whether DECLINED is the company's rejection or the candidate's withdrawal; the reason's name may tell",
            "that a job or a tag was renamed: it does not bring its applications back",
            "interviews; an offer is told with what else is told of its application, not by itself",
            "whether a delivery that failed is sent again, and with the same id",
        ],
    )

    def verify(self, receipt: Receipt) -> None:
        check_hmac(base64_digest(only_header(receipt, _SIGNATURE), urlsafe=True), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("type")
        data = body.node("data", sometimes=True)
        account, dedupe = data.id("integration_id", sometimes=True), body.id("id")
        reason = _why_not(event, data)
        if reason is not None:
            return ignored(event, reason, account=account, dedupe=dedupe)
        return Normalised(Disposition.SIGNAL, event, account=account, dedupe=dedupe)

    def rows(self, answer: Node) -> Sequence[Node]:
        data = answer.need_node("data")
        return [data] if data.id("id", sometimes=True) else data.nodes("results")

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        application, candidate, job = _application(row), _candidate(row), _job(row)
        changed_at, gone_at = row.time("changed_at"), row.time("remote_deleted_at")
        at = application.updated_at or changed_at
        created, now = state_facts(_ROW, application, candidate=candidate, job=job, offer=_offer(row), changed_at=at)
        # the version is of what it is now, not of its beginning
        version = {"vendor_version": changed_at.isoformat(timespec="microseconds") if changed_at else None}
        if gone_at is None:
            return created, now.model_copy(update=version)
        gone = {"type": EventType.APPLICATION_DELETED, "is_snapshot": False, "occurred_at": gone_at}
        return (now.model_copy(update={**version, **gone}),)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: base64_hmac(self.settings.secrets[0], body, urlsafe=True, padded=False)})

    def sample(self, step: Sample) -> bytes:
        raise ValueError(f"there is no Kombo sample of {step.type}: its webhooks hold no application")


def _why_not(event: str, data: Node) -> str | None:
    """Why an event makes nobody look; None where there may be applications to fetch."""
    if event not in ("data-changed", "sync-finished", "remote-event-received"):
        return _REASONS.get(event, NO_TYPE)
    if data.text("integration_category", sometimes=True) not in ("ATS", None):
        return "the integration is not of an ATS"
    if event == "remote-event-received":  # the ATS told Kombo of something, and what is not said
        return None
    if event == "sync-finished":
        return None if data.text("sync_state") in _READABLE else "the sync brought nothing that can be read"
    models = data.texts_of("changed_models", "name")
    return "no application is among what changed" if models and _MODELS.isdisjoint(models) else None


def _application(row: Node) -> Application:
    stage_node, rejected_for = row.node("current_stage"), row.text("rejection_reason_name")
    stage_id, name = stage_node.id("id") or row.id("current_stage_id"), stage_node.text("name")
    index = stage_node.integer("index", sometimes=True)
    return Application(
        id=row.need_id("id"),
        remote_id=row.id("remote_id"),
        outcome=row.choice("outcome", _OUTCOMES),
        stage=Stage(id=stage_id, name=name, index=index) if stage_id or name else None,
        created_at=row.time("remote_created_at"),
        updated_at=row.time("remote_updated_at"),
        rejected_at=row.time("rejected_at"),
        rejection_reason=RejectionReason(name=rejected_for) if rejected_for else None,
        source=row.node("candidate").text("source"),
        url=row.text("remote_url"),
        answers=_answers(row),
        custom_fields=_custom_fields(row),
    )


def _candidate(row: Node) -> Candidate | None:
    node = row.node("candidate")
    identifier = node.id("id") or row.id("candidate_id")
    if identifier is None and not node:
        return None
    first_name, last_name = node.text("first_name"), node.text("last_name")
    return Candidate(
        id=identifier,
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=node.texts_of("email_addresses", "email_address", sometimes=True),
        phones=node.texts_of("phone_numbers", "phone_number", sometimes=True),
        links=node.texts_of("social_media", "link", sometimes=True),
        tags=node.texts_of("tags", "name", sometimes=True),
        url=node.text("remote_url"),
    )


def _job(row: Node) -> Job | None:
    node = row.node("job")
    identifier = node.id("id") or row.id("job_id")
    return Job(id=identifier, title=node.text("name")) if identifier or node else None


def _offer(row: Node) -> Offer | None:
    """The last one; Kombo's statuses are ours."""
    offers = row.nodes("offers", sometimes=True)
    return Offer(id=offers[-1].id("id"), status=offers[-1].choice("status", _OFFERS)) if offers else None


def _answers(row: Node) -> list[Answer]:
    answers = []
    for item in row.nodes("screening_question_answers", sometimes=True):
        question, answer = item.node("question").text("title"), item.node("answer")
        if question and not is_not_asked_for(question):
            given = (answer.json(kind, sometimes=True) for kind in _ANSWERS)
            answers.append(
                Answer(question=question, answer=next((value for value in given if value is not None), None))
            )
    return answers


def _custom_fields(row: Node) -> CustomFields:
    fields = row.json("custom_fields", sometimes=True)
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if not is_not_asked_for(name)}
