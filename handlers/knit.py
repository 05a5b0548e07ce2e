"""Knit, a unified API: signed push of what its syncs find, to the URL that is registered in its dashboard.

Sources: developers.getknit.dev (How Syncs work, Syncing Applications, Application Data Models, Watch subset of fields,
Event Glossary, Authenticating your APIs), read in 2026. A record comes as it is now; nothing tells what changed of it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, whole_name
from handlers.settings import SecretSettings
from handlers.signatures import base64_digest, base64_hmac, check_hmac, only_header
from router.schema import Application, Candidate, EventType, Fact, Job, Outcome, Person, RejectionReason, Stage
from router.units import OneOrSeveral

_SIGNATURE, _INTEGRATION = "x-knit-signature", "x-knit-integration-id"
_EVENTS = {
    "record.new": EventType.APPLICATION_CREATED,
    "record.modified": EventType.APPLICATION_UPDATED,
    "record.deleted": EventType.APPLICATION_DELETED,
}
_OUTCOMES = {"ACTIVE": Outcome.PENDING, "REJECTED": Outcome.DECLINED, "HIRED": Outcome.HIRED}
_NOT_SAID = "NOT_SPECIFIED"
_SAMPLES: Mapping[EventType, str] = {
    EventType.APPLICATION_CREATED: "record.new",
    EventType.STAGE_CHANGED: "record.modified",
    EventType.OUTCOME_CHANGED: "record.modified",
}


class KnitSettings(SecretSettings):
    integration_id: str | None = Field(
        None, description="the integration whose events are taken; without it those of all are, as of one account"
    )
    baseline_syncs: OneOrSeveral[str] = Field(
        ("initial_sync",), description="values of syncType whose new records are what was there before, not news"
    )


class Knit(Handler):
    vendor = "knit"
    title = "Knit"
    Settings = KnitSettings
    settings: KnitSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Register the URL in the dashboard as the webhook of the category ATS; the source's secret is the API key",
            "subscribe to the models application_info, application_stage and application_rejection of ats_applications"
            " and start the sync",
            "limit record.modified to $.currentStage and $.info.status with sync.watchFields.update: the first change"
            " of an application that was there before counts as a move, whatever it was",
            "where the ATS can push, subscribe to ats_applications_new, _modified and _deleted with events.subscribe",
            "with several integrations make a source of each, with its integration_id: ids of two ATS may be the same",
        ],
        events=[*_EVENTS],
        verified="the X-Knit-Signature header, an HMAC-SHA256 over the exact body with the API key",
        missing=[
            "the account: only the header X-Knit-Integration-Id names it, which is not signed, so that it chooses what"
            " to leave out (integration_id) and nothing else",
            "what an initial sync finds: it is taken as known before, and not remembered",
            "the job's title, who did it, and the stage before (the router knows it from the event before)",
            "which syncType events have that the ATS pushed, and those of an ad-hoc sync",
            "interviews and offers, which come as lists within the application",
        ],
    )
    kept_headers = frozenset({_INTEGRATION})

    def verify(self, receipt: Receipt) -> None:
        check_hmac(base64_digest(only_header(receipt, _SIGNATURE), urlsafe=True), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("eventType")
        # the docs' own examples use an id for several events
        dedupe = f"{event_id}:{event}" if (event_id := body.id("eventId")) else None
        reason = self._why_not(event, body, receipt)
        if reason is not None:
            return ignored(event, reason, dedupe=dedupe)
        tell = _tell_deleted if event == "record.deleted" else _tell_record
        fact = tell(event, body, body.need_node("eventData"))
        return Normalised(Disposition.EVENTS, event, (fact,), dedupe=dedupe, soft_drift=body.soft_drift)

    def _why_not(self, event: str, body: Node, receipt: Receipt) -> str | None:
        wanted = self.settings.integration_id
        if wanted is not None and receipt.header(_INTEGRATION) != wanted:
            return "it is not of the integration that the settings name"
        if event not in _EVENTS:
            return "it is about the sync; the records come by themselves" if event.startswith("sync.") else NO_TYPE
        if body.need_text("syncDataType") != "ats_applications":
            return "it is about other records than applications"
        sync = body.text("syncType", sometimes=True)  # what the ATS pushed may have none
        if event == "record.new" and sync in self.settings.baseline_syncs:
            return "it was there before: the first sync tells everything it finds"
        return None

    def sign(self, body: bytes, at: datetime) -> Post:
        headers = {_SIGNATURE: base64_hmac(self.settings.secrets[0], body, urlsafe=True, padded=False)}
        if self.settings.integration_id is not None:
            headers[_INTEGRATION] = self.settings.integration_id
        return Post(body, headers)

    def sample(self, step: Sample) -> bytes:
        event = _SAMPLES.get(step.type)
        if event is None:
            raise ValueError(f"there is no Knit sample of {step.type}")
        envelope = {"eventType": event, "syncType": "delta_sync", "syncDataType": "ats_applications"}
        ids = {
            "eventId": f"ev_{sha256(repr(step).encode()).hexdigest()[:22]}",
            "syncJobId": "sj_1",
            "syncRunId": "sr_1",
        }
        data = _sample_record(step)
        return json.dumps({**ids, **envelope, "eventData": data, "recordId": step.application_id}).encode()


def _tell_record(event: str, body: Node, data: Node) -> Fact:
    info, rejection = _model(data, "info"), _model(data, "rejection")
    stage_node, owner = _model(data, "currentStage"), _person(info, "owner")
    stage = Stage(id=stage_node.id("id", sometimes=True), name=stage_node.text("text", sometimes=True))
    reason = RejectionReason(id=rejection.id("id", sometimes=True), name=rejection.text("reason", sometimes=True))
    said, source = info.text("status"), info.text("origin")
    application = Application(
        id=info.id("id", sometimes=True) or body.need_id("recordId"),
        outcome=None if said == _NOT_SAID else info.choice("status", _OUTCOMES),
        stage=stage if stage.id or stage.name else None,
        created_at=info.time("appliedAt"),
        updated_at=info.time("updatedAt"),
        rejection_reason=reason if reason.id or reason.name else None,
        source=None if source == _NOT_SAID else source,
        referrer=_person(info, "creditedTo"),
    )
    is_new = event == "record.new"
    job_id = info.id("jobId")
    return Fact(
        type=_EVENTS[event],
        is_snapshot=not is_new,
        occurred_at=(application.created_at if is_new else application.updated_at) or _sent_at(body),
        vendor_event=event,
        vendor_event_id=body.id("eventId"),
        application=application,
        candidate=_candidate(info.node("candidate")),
        job=Job(id=job_id, recruiters=[owner] if owner else []) if job_id or owner else None,
    )


def _tell_deleted(event: str, body: Node, data: Node) -> Fact:
    """Bare ids, any of which may be empty; the record's own is outside."""
    candidate_id, job_id = data.id("candidateId", sometimes=True), data.id("jobId", sometimes=True)
    return Fact(
        type=_EVENTS[event],
        occurred_at=_sent_at(body),
        vendor_event=event,
        vendor_event_id=body.id("eventId"),
        application=Application(id=data.id("applicationId", sometimes=True) or body.need_id("recordId")),
        candidate=Candidate(id=candidate_id) if candidate_id else None,
        job=Job(id=job_id) if job_id else None,
    )


def _sent_at(body: Node) -> datetime | None:
    """In milliseconds; receivers in public code have it, the docs do not."""
    return body.epoch("triggeredAt", unit=0.001, sometimes=True)


def _model(data: Node, key: str) -> Node:
    """A model of the record. Where it is empty or was not subscribed to it is missing, ``{}`` or ``[]``; for stage and
    rejection the docs have it once more within itself."""
    if not data.json(key, sometimes=True):
        return Node.of({})
    node = data.node(key)
    return node.node(key, sometimes=True) or node


def _person(info: Node, key: str) -> Person | None:
    node = info.node(key, sometimes=True)
    id_, email = node.id("id", sometimes=True), node.text("email", sometimes=True)
    return Person(id=id_, email=email) if id_ or email else None


def _candidate(node: Node) -> Candidate | None:
    if not node:
        return None
    first_name, last_name = node.text("firstName"), node.text("lastName")
    return Candidate(
        id=node.id("id"),
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=node.texts_of("emails", "email", sometimes=True),
        phones=node.texts_of("phones", "phoneNumber", sometimes=True),
        location=node.text("location", sometimes=True),
        links=node.texts("links", sometimes=True),
    )


def _sample_record(step: Sample) -> dict[str, Any]:
    at = step.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    first_name, _, last_name = step.candidate_name.partition(" ")
    status = {Outcome.HIRED: "HIRED", Outcome.DECLINED: "REJECTED"}.get(step.outcome, "ACTIVE")
    emails = [{"type": "PERSONAL", "email": "candidate@example.org"}]
    return {
        "info": {
            **{"id": step.application_id, "status": status, "origin": "EXTERNAL", "jobId": "made-up-job"},
            **{"appliedAt": at, "updatedAt": at, "owner": None, "creditedTo": None},
            "candidate": {"id": "1", "firstName": first_name, "lastName": last_name, "emails": emails, "phones": []},
        },
        "currentStage": {"id": step.stage, "text": step.stage} if step.stage else {},
        "rejection": {"id": "2", "reason": "Lacks experience"} if step.outcome is Outcome.DECLINED else {},
    }
