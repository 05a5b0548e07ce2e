"""Pinpoint: signed push of bare ids, set up by hand in Settings > API & Webhooks; the rest is asked of its JSON:API.

Source: five public receivers of ``application_hired`` and developers.pinpointhq.com, as far as others quote it, read in
2026. Bodies are ``{"event", "triggeredAt", "data": {"application": {"id"}, "job": {"id"}}}``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple
from urllib.parse import quote

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.enriching import Access, Api, Enriches
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import base64_digest, base64_hmac, check_hmac, only_header
from router.schema import Application, Candidate, EventType, Fact, Job, Outcome, Stage
from router.secret import Secret

_SIGNATURE = "pinpoint-hmac-sha256"
_SEPARATORS = re.compile(r"[^a-z0-9]+")


class Meaning(StrEnum):
    """What an event of Pinpoint can be told to mean: a type of ours, or an outcome that it brings about."""

    CREATED = "ApplicationCreated"
    MOVED = "StageChanged"
    UPDATED = "ApplicationUpdated"
    DELETED = "ApplicationDeleted"
    HIRED = "HIRED"
    DECLINED = "DECLINED"


class _Told(NamedTuple):
    type: EventType
    outcome: Outcome | None = None


_TOLD = {
    Meaning.CREATED: _Told(EventType.APPLICATION_CREATED),
    # without the API nobody knows where to, so that it is a change of the application and no more
    Meaning.MOVED: _Told(EventType.APPLICATION_UPDATED),
    Meaning.UPDATED: _Told(EventType.APPLICATION_UPDATED),
    Meaning.DELETED: _Told(EventType.APPLICATION_DELETED),
    Meaning.HIRED: _Told(EventType.OUTCOME_CHANGED, Outcome.HIRED),
    Meaning.DECLINED: _Told(EventType.OUTCOME_CHANGED, Outcome.DECLINED),
}
_EVENTS = {  # one name is proven; how the others are spelt, nobody says, so that separators and case do not count
    "application_hired": Meaning.HIRED,
    "applicant_hired": Meaning.HIRED,
    "application_created": Meaning.CREATED,
    "new_application": Meaning.CREATED,
    "application_moved": Meaning.MOVED,
    "application_stage_changed": Meaning.MOVED,
    "stage_changed": Meaning.MOVED,
}
_SAMPLE_EVENTS: Mapping[tuple[EventType, Outcome], str] = {
    (EventType.APPLICATION_CREATED, Outcome.PENDING): "application_created",
    (EventType.STAGE_CHANGED, Outcome.PENDING): "application_moved",
    (EventType.OUTCOME_CHANGED, Outcome.HIRED): "application_hired",
}


def _squashed(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())


class PinpointSettings(SecretSettings):
    api_key: Secret | None = Field(None, description="from Settings > API & Webhooks > API Keys; asks for the rest")
    api_url: ApiUrl | None = Field(None, description="where you log in, as in https://example.pinpointhq.com")
    events: Mapping[str, Meaning] = Field({}, description="what further names of Pinpoint's events mean")

    together: ClassVar[Sequence[str]] = ("api_key", "api_url")


class Pinpoint(Enriches, Handler):
    vendor = "pinpoint"
    title = "Pinpoint"
    Settings = PinpointSettings
    settings: PinpointSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "Open Settings > API & Webhooks and add a webhook with the URL",
            "tick the events below, save, and copy the Signing Secret: it is the source's secret",
            "add an API key there: without it events hold ids only, and no stage",
        ],
        events=["application hired", "new application", "application moved (Application stage changed)"],
        verified="the PINPOINT-HMAC-SHA256 header, an HMAC-SHA256 over the exact body",
        missing=[
            "only the name application_hired is proven; application_created, application_moved and what is spelt alike"
            " are guesses, and an event of another name is ignored by it: the setting events tells what it means",
            "the stage is the one at the moment of asking, as the webhook tells none; the one before is known from the"
            " event before",
            "rejections: how Pinpoint tells them is not known",
            "after ten failures in 24 hours Pinpoint switches the webhook off: with an API key, polling finds new"
            " applications and moves then, and hires and rejections where `stages:` names the stages that mean them",
        ],
        enrichment="names, e-mail address, job and stage of the application",
    )

    def __init__(self, settings: PinpointSettings) -> None:
        super().__init__(settings)
        self._meanings = {_squashed(name): meaning for name, meaning in {**_EVENTS, **settings.events}.items()}

    def verify(self, receipt: Receipt) -> None:
        check_hmac(base64_digest(only_header(receipt, _SIGNATURE)), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("event")
        meaning = self._meanings.get(_squashed(event))
        if meaning is None:
            return ignored(event, NO_TYPE)
        # unix time; one public receiver takes it for text, though
        at = body.epoch("triggeredAt") or body.time("triggeredAt", sometimes=True)
        data = body.need_node("data")
        told = _TOLD[meaning]
        fact = Fact(
            type=told.type,
            occurred_at=at,
            vendor_event=event,
            application=Application(
                id=data.need_node("application").need_id("id"),
                outcome=told.outcome,
                hired_at=at if meaning is Meaning.HIRED else None,
                rejected_at=at if meaning is Meaning.DECLINED else None,
            ),
            job=Job(id=job_id) if (job_id := data.node("job").id("id")) else None,
            needs_enrichment=meaning is not Meaning.DELETED,
        )
        return Normalised(Disposition.EVENTS, event, (fact,), soft_drift=body.soft_drift)

    def access(self) -> Access | None:
        if self.settings.api_key is None or self.settings.api_url is None:
            return None
        key = self.settings.api_key.get_secret_value()
        return Access(self.settings.api_url, {"x-api-key": key, "accept": "application/vnd.api+json"})

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        assert fact.application is not None
        path = f"/api/v1/applications/{quote(fact.application.id, safe='')}"
        answer = await api.get(path, {"include": "job,stage,candidate"})
        found = Found(answer)
        stage = found.stage()
        changes: dict[str, object] = {
            "application": fact.application.model_copy(update=found.application_fields(stage)),
            "candidate": found.candidate(),
            "job": found.job(fact.job),
            "needs_enrichment": False,
        }
        meaning = self._meanings.get(_squashed(fact.vendor_event))
        if meaning is Meaning.MOVED and stage is not None:
            changes |= {"type": EventType.STAGE_CHANGED, "to_stage": stage}
        elif meaning is Meaning.UPDATED:
            changes["is_snapshot"] = True
        return [fact.model_copy(update=changes)]

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: base64_hmac(self.settings.secrets[0], body)})

    def sample(self, step: Sample) -> bytes:
        event = _SAMPLE_EVENTS.get((step.type, step.outcome))
        if event is None:
            raise ValueError(f"there is no Pinpoint sample of {step.type}")
        data = {"application": {"id": step.application_id}, "job": {"id": 30412}}
        return json.dumps({"event": event, "triggeredAt": int(step.at.timestamp()), "data": data}).encode()


class Found:
    """An application as the API answers it: the document, with what it is related to under ``included``."""

    def __init__(self, answer: Node) -> None:
        self._data = answer.need_node("data")
        self._fields = self._data.need_node("attributes")
        self._included = {(node.text("type"), node.id("id")): node for node in answer.nodes("included", sometimes=True)}

    def _related(self, name: str) -> tuple[str | None, Node]:
        """The id of what the application has under ``name``, and its attributes; empty where they are not told."""
        reference = self._data.node("relationships").node(name).node("data")
        identifier = reference.id("id")
        related = self._included.get((reference.text("type"), identifier))
        return identifier, related.node("attributes") if related else Node.of({})

    def stage(self) -> Stage | None:
        identifier, fields = self._related("stage")
        return Stage(id=identifier, name=fields.text("name")) if identifier else None

    def application_fields(self, stage: Stage | None) -> dict[str, object]:
        created_at, updated_at = self._fields.time("created_at"), self._fields.time("updated_at")
        return {"stage": stage, "created_at": created_at, "updated_at": updated_at}

    def candidate(self) -> Candidate:
        first_name, last_name = self._fields.text("first_name"), self._fields.text("last_name")
        return Candidate(
            id=self._related("candidate")[0],
            name=whole_name(first_name, last_name),
            first_name=first_name,
            last_name=last_name,
            emails=[email for email in [self._fields.text("email")] if email],
            phones=[phone for phone in [self._fields.text("phone")] if phone],
            links=[link for link in [self._fields.text("linkedin_url")] if link],
        )

    def job(self, told: Job | None) -> Job | None:
        """The job that the webhook named, even when the application went to another one since."""
        identifier, fields = self._related("job")
        if told is not None and told.id != identifier:
            return told
        return Job(id=identifier, title=fields.text("title"), status=fields.text("status")) if identifier else None
