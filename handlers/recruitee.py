"""Recruitee (Tellent): signed push, registered by hand; the webhook is tested, unsigned, before its secret exists.

Sources, read in 2026: docs.recruitee.com/docs/webhooks (signature, test requests, delivery); for the bodies, classes
that public receivers made from real ones (github.com/Parameswaran-L/RecruiteeToWhatsApp). An "offer" is a job, and an
application has no id of its own: it is a candidate on an offer.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple
from zlib import crc32

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Drift, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node
from handlers.settings import ApiUrl, ConnectSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import (
    Application,
    Candidate,
    EventType,
    Fact,
    Job,
    Model,
    Outcome,
    Person,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

_SIGNATURE = "x-recruitee-signature"
_OUTCOMES = {"disqualified": Outcome.DECLINED, "requalified": Outcome.PENDING}  # by the subtype of candidate_moved
_STAGE_KINDS = {  # the categories in answers of Recruitee's API; not every webhook has one
    "referred": StageKind.OTHER,
    "sourced": StageKind.OTHER,
    "apply": StageKind.APPLIED,
    "phone_screen": StageKind.SCREEN,
    "interview": StageKind.INTERVIEW,
    "evaluation": StageKind.ASSESSMENT,
    "offer": StageKind.OFFER,
    "hire": StageKind.HIRED,
}
_HIRED_BY_NAME = {StageKind.HIRED: ("Hired",)}  # the default pipeline's stage of the category "hire"
_REASON_KEYS = ("disqualify_reason", "disqualification_reason", "reason")  # which one it is, no source shows
_STANDING_KEYS = ("stage", "to_stage", "from_stage")


class RecruiteeSettings(ConnectSettings):
    api_token: Secret | None = Field(None, description="a personal API token of an administrator: to poll")
    company_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        coerce_numbers_to_str=True,
        description="the company's id, which stands beside the API tokens",
    )
    api_url: ApiUrl = "https://api.recruitee.com"

    together: ClassVar[Sequence[str]] = ("api_token", "company_id")


class Recruitee(Handler):
    vendor = "recruitee"
    title = "Recruitee"
    Settings = RecruiteeSettings
    settings: RecruiteeSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "Start the router with `secret: pending` for this source: the webhook is tested before its secret exists",
            "open Settings > Apps and plugins > Webhooks and choose New webhook (it takes the ability Manage webhooks)",
            "enter a name and the URL, tick the events below and choose Verify and create: the test is answered",
            "choose Show secret, put it into the source's secret in place of `pending` and start the router again:"
            " Recruitee sends what was refused until then again, for 48 hours",
            "to have polling find what webhooks miss, make a personal API token under Settings > Apps and plugins > API"
            " tokens: it is `api_token`, and the company's id beside it is `company_id`",
        ],
        events=["Candidate created", "Candidate assigned", "Candidate pipeline change", "Candidate deleted"],
        verified="X-Recruitee-Signature, an HMAC-SHA256 over the exact body; requests with `test` in the body may come"
        " without it and are never events",
        missing=[
            "who did it; interviews and hiring offers (an offer is a job at Recruitee)",
            "hires where a stage comes without its category and is not called Hired, unless `stages:` names it",
            "the keys of a disqualification's reason are a guess: where it has others, the reason stays empty",
            "the first of two moves between two readings, where only polling finds them; all candidates are read each"
            " time, as their list has no filter of what changed",
            "the time of an event is taken as Recruitee's own clock, which tells a late retry from news",
        ],
    )
    stage_kinds = _HIRED_BY_NAME

    def verify(self, receipt: Receipt) -> None:
        signed = any(name == _SIGNATURE for name, _ in receipt.headers)
        if not (signed and self.settings.secrets) and _is_test(receipt.body):
            return
        check_hmac(hex_digest(only_header(receipt, _SIGNATURE)), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        if _has_test(body):
            return Normalised(Disposition.PING, body.text("event_type", sometimes=True))
        event = body.need_text("event_type")
        tell = _TELLERS.get(event)
        if tell is None:
            is_of_job = event.startswith(("offer", "job"))
            return ignored(event, f"it is of a job, and {NO_TYPE}" if is_of_job else NO_TYPE)
        subtype = body.text("event_subtype", sometimes=event != "candidate_moved")
        envelope = _Envelope(event, subtype, body.id("id"), body.time("created_at", zone=self.settings.zone or UTC))
        facts = tell(envelope, body.need_node("payload"))
        if not facts:
            name = event if subtype is None else f"{event}/{subtype}"
            return ignored(name, "the candidate is on no job yet" if event == "candidate_created" else NO_TYPE)
        # a retry has the same id, and a larger attempt_count
        dedupe = f"{event}:{envelope.id}" if envelope.id else None
        return Normalised(Disposition.EVENTS, event, facts, dedupe=dedupe, soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: hex_hmac(self.settings.secrets[0], body)})

    def sample(self, step: Sample) -> bytes:
        decided = step.outcome if step.type is EventType.OUTCOME_CHANGED else None
        stage: dict[str, object] = {"id": crc32((step.stage or "").encode()), "name": step.stage}
        offer = {"id": 1530022, "title": step.job_title, "kind": "job", "department": {"id": 881, "name": "Sales"}}
        event, subtype = "candidate_moved", "stage_changed"
        told: dict[str, object] = {"offer": offer, "details": {"from_stage": None, "to_stage": stage}}
        if step.type is EventType.APPLICATION_CREATED:
            event, subtype = "candidate_created", "career_site"
            told = {"offers": [offer], "details": {"stage": stage}}
        elif decided is Outcome.HIRED:
            stage["category"] = "hire"
        elif decided is not None:
            subtype = "disqualified" if decided is Outcome.DECLINED else "requalified"
            told["details"] = {"stage": stage, "disqualify_reason": {"id": 51, "name": "Not a fit"}}
        elif step.type is not EventType.STAGE_CHANGED:
            raise ValueError(f"there is no Recruitee sample of {step.type}")
        person = {"id": step.application_id, "name": step.candidate_name, "emails": ["candidate@example.org"]}
        candidate = {**person, "phones": [], "source": "career_site", "referrer": None}
        at = step.at.astimezone(UTC).isoformat()
        envelope = {"id": crc32(repr(step).encode()), "attempt_count": 1, "created_at": at}
        body = {**envelope, "event_type": event, "event_subtype": subtype, "payload": {"candidate": candidate, **told}}
        return json.dumps(body, ensure_ascii=False).encode()


class _Envelope(NamedTuple):
    event: str
    subtype: str | None
    id: str | None
    at: datetime | None


def _is_test(body: bytes) -> bool:
    try:
        return _has_test(Node.parse(body))
    except Drift:
        return False


def _has_test(body: Node) -> bool:
    """Recruitee's tests have this key, alone or beside a made-up event."""
    return body.json("test", sometimes=True) is not None


def _tell_creations(envelope: _Envelope, payload: Node) -> tuple[Fact, ...]:
    """One for each job that the candidate is put on; a candidate may be on none."""
    offers = payload.nodes("offers", sometimes=True)
    offer = payload.node("offer", sometimes=bool(offers) or envelope.event == "candidate_created")
    if envelope.event == "candidate_assigned" and not offers:
        payload.need_node("offer")
    stage = _standing(payload.node("details", sometimes=True))
    return tuple(
        _told(
            envelope,
            EventType.APPLICATION_CREATED,
            **application_of(payload, each, stage=stage, is_prospect=is_pool(each)),
        )
        for each in (*offers, offer)
        if each
    )


def _tell_move(envelope: _Envelope, payload: Node) -> tuple[Fact, ...]:
    """Nothing where the subtype is one that nobody has heard of."""
    outcome = _OUTCOMES.get(envelope.subtype or "")
    offer, details = payload.need_node("offer"), payload.node("details", sometimes=outcome is not None)
    if outcome is not None:
        reason = reason_of(details) if outcome is Outcome.DECLINED else None
        told = application_of(payload, offer, outcome=outcome, stage=_standing(details), rejection_reason=reason)
        return (_told(envelope, EventType.OUTCOME_CHANGED, **told),)
    if envelope.subtype not in ("stage_changed", None):
        return ()
    to_stage = stage_of(payload.need_node("details").need_node("to_stage"))
    if to_stage is None:
        raise Drift("payload.details.to_stage", "has neither an id nor a name")
    stages = {"from_stage": stage_of(details.node("from_stage")), "to_stage": to_stage}
    return (_told(envelope, EventType.STAGE_CHANGED, **application_of(payload, offer, stage=to_stage), **stages),)


def _tell_deletion(envelope: _Envelope, payload: Node) -> tuple[Fact, ...]:
    person = payload.need_node("candidate")
    return (_told(envelope, EventType.CANDIDATE_DELETED, candidate=Candidate(id=person.need_id("id"))),)


_TELLERS: dict[str, Callable[[_Envelope, Node], tuple[Fact, ...]]] = {
    "candidate_created": _tell_creations,
    "candidate_assigned": _tell_creations,
    "candidate_moved": _tell_move,
    "candidate_deleted": _tell_deletion,
}


def application_of(payload: Node, offer: Node, **more: Any) -> dict[str, Model]:
    """A candidate on a job, as the fields of a fact; ``more``: what this kind of event knows of the application."""
    person = payload.need_node("candidate")
    candidate_id, offer_id = person.need_id("id"), offer.need_id("id")
    referrer = person.text("referrer", sometimes=True)
    department = offer.node("department", sometimes=True).text("name")
    return {
        "application": Application(
            id=f"{candidate_id}:{offer_id}",
            source=person.text("source", sometimes=True),
            referrer=Person(name=referrer) if referrer else None,
            **more,
        ),
        "candidate": Candidate(
            id=candidate_id, name=person.text("name"), emails=person.texts("emails"), phones=person.texts("phones")
        ),
        "job": Job(id=offer_id, title=offer.text("title"), departments=[department] if department else []),
    }


def _told(envelope: _Envelope, type_: EventType, **told: Any) -> Fact:
    at = envelope.at
    return Fact(
        type=type_,
        occurred_at=at,
        vendor_event=envelope.event,
        vendor_event_id=envelope.id,
        vendor_version=at.isoformat(timespec="microseconds") if at else None,
        **told,
    )


def is_pool(offer: Node) -> bool | None:
    """Who is in a talent pool, has applied for no job yet."""
    kind = offer.text("kind")
    return kind == "talent_pool" if kind else None


def _standing(details: Node) -> Stage | None:
    """Where the application stands, if the details of an event that is not about it say so."""
    stages = (stage_of(details.node(key, sometimes=True)) for key in _STANDING_KEYS)
    return next((stage for stage in stages if stage), None)


def stage_of(node: Node) -> Stage | None:
    id_, name = node.id("id"), node.text("name")
    return Stage(id=id_, name=name, kind=node.choice("category", _STAGE_KINDS, sometimes=True)) if id_ or name else None


def reason_of(details: Node) -> RejectionReason | None:
    """The API writes a text; an object is as likely."""
    for key in _REASON_KEYS:
        told = details.json(key, sometimes=True)
        if isinstance(told, str) and told:
            return RejectionReason(name=told)
        if isinstance(told, dict):
            node = details.node(key)
            return RejectionReason(id=node.id("id", sometimes=True), name=node.text("name"))
    return None
