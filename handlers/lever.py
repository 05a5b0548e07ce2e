"""Lever: push of bare ids, one webhook and one signature token per event, registered in the settings or by API.

The signature stands in the body and covers nothing but token and time: with credentials the API decides what happened.
Sources, read in 2026: hire.lever.co/developer/documentation, help.lever.co (Configuring webhooks), public receivers,
and answers of api.lever.co/v1 recorded in NangoHQ/integration-templates. Times are epoch milliseconds.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Drift, Handler, Normalised, Post, Receipt, Rejected, Sample, ignored
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, ApiProblem, Enriches, NotThere, basic
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node
from handlers.settings import ApiUrl, ConnectSettings
from handlers.signatures import check_age, check_hmac, hex_digest, hex_hmac, whole_number, with_fields
from router.schema import (
    Application,
    Candidate,
    Change,
    EventType,
    Fact,
    Interview,
    InterviewStatus,
    Job,
    Outcome,
    Person,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret
from router.units import OneOrSeveral

_Names = Mapping[str | None, str | None]  # of stages, by id
_Moves = list[tuple[datetime, Stage, str | None]]  # when an opportunity came to which stage, and by which user
MILLISECONDS = 0.001
_CACHED = 600.0
_MINUTES = range(1, 100_000)  # how long an interview may be
_OLDEST = timedelta(days=3)  # Lever tries again up to five times, with waits that grow; they are not documented
_SAME_MOVE = timedelta(hours=1)  # a webhook and a move in the history that are further apart are not of one move
_ID = re.compile(r"[\w-]+", re.ASCII)
_REASON_TYPES = {"hired": Outcome.HIRED, "non-hired": Outcome.DECLINED}
_CONNECTED = (
    *("applicationCreated", "candidateStageChange", "candidateHired", "candidateArchiveChange", "candidateDeleted"),
    *("interviewCreated", "interviewUpdated", "interviewDeleted"),
)
_CONTACT_EVENTS = ("contactCreated", "contactUpdated")  # documented by name only
_STAGE_KINDS = {StageKind.APPLIED: ["applicant-new"], StageKind.OFFER: ["offer"]}  # ids of Lever's default stages
_SWITCH_ON = "as a Super Admin switch each event's group on, at Settings > Integrations and API > Webhooks"
_INTERVIEWS = {"interviewCreated": InterviewStatus.SCHEDULED, "interviewDeleted": InterviewStatus.CANCELLED}


class LeverSettings(ConnectSettings):
    api_key: Secret | None = Field(None, description="an API credential of Lever: names, and which archived are hired")
    api_url: ApiUrl = Field("https://api.lever.co/v1", description="https://api.eu.lever.co/v1 for accounts in the EU")
    hired_reasons: OneOrSeveral[str] = Field((), description="ids of archive reasons that mean hired, without api_key")


class Lever(Enriches, Connects, Handler):
    vendor = "lever"
    title = "Lever"
    Settings = LeverSettings
    settings: LeverSettings
    guide = Guide(
        proof=Proof.SENDER,
        confidence=Confidence.OFFICIAL,
        steps=[
            "with an API key that may write webhooks and `secret: pending`, `ats-router connect` does it; or by hand:"
            " enter the URL for each event below, and put the signature token of each into the list of the secrets",
            _SWITCH_ON,
        ],
        events=[*_CONNECTED, *_CONTACT_EVENTS],
        verified="the signature in the body: an HMAC-SHA256 over token and triggeredAt, which may be 3 days old",
        missing=[
            "the signature does not cover the data: who sees one webhook can send it again with other ids in it",
            "without API credentials: names (there are ids only), and hired or rejected, as Lever archives for both:"
            " unless `hired_reasons` are set, an archived candidate is an ApplicationUpdated event",
            "who archived a candidate, whether the candidate withdrew, offers, answers to questions; the data of"
            " candidateDeleted and of the contact events are nowhere published, and `connect` omits the latter",
            "a delivery that Lever sends again by hand after 3 days, unless it gets a new time then",
        ],
        enrichment="names, the job, the stage before, who moved the candidate, hired or rejected and why, interviews;"
        " what a webhook says is checked, and where the API contradicts it the API is right",
    )
    stage_kinds = _STAGE_KINDS

    def verify(self, receipt: Receipt) -> None:
        try:
            body = Node.parse(receipt.body)
        except Drift:
            raise Rejected("the body is no JSON object, and so has no signature") from None
        if not self.settings.secrets and _is_test(body):
            return  # Lever may test the URL before its token was stored here
        token, triggered_at = body.text("token") or "", body.id("triggeredAt") or ""
        milliseconds = whole_number(triggered_at, what="triggeredAt")
        digest = hex_digest(body.text("signature") or "")
        check_hmac(digest, f"{token}{triggered_at}".encode(), self.settings.secrets)
        check_age(milliseconds * MILLISECONDS, receipt, tolerance=_OLDEST.total_seconds())

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        if _is_test(body):
            return Normalised(Disposition.PING, body.text("event"))
        event = body.need_text("event")
        if event not in _CONNECTED and event not in _CONTACT_EVENTS:
            return ignored(event, NO_TYPE)
        fact = _fact(event, body.need_node("data"), self.settings.hired_reasons)
        at, id_, token = body.epoch("triggeredAt", unit=MILLISECONDS), body.id("id", sometimes=True), body.text("token")
        version = at.isoformat(timespec="milliseconds") if at else None
        more = {"occurred_at": fact.occurred_at or at, "vendor_event_id": id_, "vendor_version": version}
        facts, dedupe = (fact.model_copy(update=more),), id_ or token
        return Normalised(Disposition.EVENTS, event, facts, dedupe=dedupe, soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        token, triggered_at = hashlib.sha256(body).hexdigest()[:20], int(at.timestamp() * 1000)
        signature = hex_hmac(self.settings.secrets[0], f"{token}{triggered_at}".encode())
        return Post(with_fields(body, {"triggeredAt": triggered_at, "token": token, "signature": signature}))

    def sample(self, step: Sample) -> bytes:
        events = {
            EventType.APPLICATION_CREATED: "applicationCreated",
            EventType.STAGE_CHANGED: "candidateStageChange",
            EventType.OUTCOME_CHANGED: "candidateHired" if step.outcome is Outcome.HIRED else "candidateArchiveChange",
        }
        if step.type not in events:
            raise ValueError(f"there is no Lever sample of {step.type}")
        event, at = events[step.type], int(step.at.timestamp() * 1000)
        archived = None if step.outcome is Outcome.PENDING else {"archivedAt": at, "reason": "made-up-reason"}
        more: dict[str, dict[str, Any]] = {
            "candidateStageChange": {"toStageId": step.stage, "fromStageId": "applicant-new"},
            "candidateArchiveChange": {"toArchived": archived, "fromArchived": None},
        }
        contact, id_ = (str(uuid5(NAMESPACE_OID, text)) for text in (step.candidate_name, repr(step)))
        data = {"opportunityId": step.application_id, "contactId": contact, **more.get(event, {})}
        return json.dumps({"id": id_, "event": event, "triggeredAt": at, "data": data}).encode()

    def access(self) -> Access | None:
        if self.settings.api_key is None:
            return None
        key = basic(self.settings.api_key.get_secret_value())
        return Access(self.settings.api_url, {"authorization": key}, per_second=10.0)

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        if fact.application is not None:
            return [await _completed(fact, fact.application, api)]
        id_ = fact.candidate.id if fact.candidate else None
        candidate = candidate_of(await found("contacts", id_, api, cache=0.0), id_)
        return [fact.model_copy(update={"candidate": candidate, "needs_enrichment": False})]

    def plan(self, url: str) -> Sequence[str]:
        return [*(f"register {url} at Lever for {event}" for event in _CONNECTED), f"after that, {_SWITCH_ON}"]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        for event in _CONNECTED:
            made = (await api.send("POST", "/webhooks", {"event": event, "url": url})).need_node("data")
            token = made.node("configuration").text("signatureToken")
            yield Hook(made.need_id("id"), (event,), token)
            if token is None:
                raise ApiProblem(f"Lever told no signature token of the webhook for {event}")

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        there = {node.id("id"): node.text("url") for node in (await api.get("/webhooks")).nodes("data")}
        return {hook.id for hook in hooks if there.get(hook.id) == url}

    async def remove(self, hook: Hook, api: Api) -> None:
        with suppress(NotThere):
            await api.send("DELETE", f"/webhooks/{_part(hook.id)}")


def _is_test(body: Node) -> bool:
    """What Verify connection sends has the name of an event and empty data."""
    return body.json("data", sometimes=True) == {}


def _fact(event: str, data: Node, hired_reasons: Collection[str]) -> Fact:
    """``candidateId`` is the older name of ``opportunityId``; the person is the contact, who may have several."""
    if event in _CONTACT_EVENTS:
        contact = Candidate(id=data.need_id("contactId"))
        return Fact(type=EventType.CANDIDATE_UPDATED, vendor_event=event, candidate=contact, needs_enrichment=True)
    application: dict[str, Any] = {}
    more: dict[str, Any] = {}
    match event:
        case "applicationCreated":
            type_ = EventType.APPLICATION_CREATED
        case "candidateStageChange":
            type_, stage = EventType.STAGE_CHANGED, Stage(id=data.need_id("toStageId"))
            application, before = {"stage": stage}, stage_of(data.id("fromStageId"), {})
            more = {"from_stage": before, "to_stage": stage}
        case "candidateHired":
            type_, application = EventType.OUTCOME_CHANGED, {"outcome": Outcome.HIRED}
        case "candidateArchiveChange":
            type_, application, more = _archive_said(data, hired_reasons)
        case "candidateDeleted":  # the opportunity was: the person may have others
            type_ = EventType.APPLICATION_DELETED
        case _:
            type_ = EventType.INTERVIEW_CHANGED
            more = {"interview": Interview(id=data.id("interviewId"), status=_INTERVIEWS.get(event))}
    id_ = data.id("opportunityId", sometimes=True) or data.id("candidateId", sometimes=True)
    person = data.id("contactId", sometimes=True)
    return Fact(
        type=type_,
        vendor_event=event,
        application=Application(id=id_ or data.need_id("opportunityId"), **application),
        candidate=Candidate(id=person) if person else None,
        needs_enrichment=type_ is not EventType.APPLICATION_DELETED,
        **more,
    )


def _archive_said(data: Node, hired_reasons: Collection[str]) -> tuple[EventType, dict[str, Any], dict[str, Any]]:
    """Hires are archived too: only the type of the reason tells them from rejections, and here is its id at most."""
    archived, before = data.node("toArchived"), data.node("fromArchived")
    if not archived:
        if not before and "data.toArchived" in data.soft_drift:
            raise Drift("data.toArchived", "is neither an object nor null")
        return EventType.OUTCOME_CHANGED, {"outcome": Outcome.PENDING}, {}
    at, reason = archived.epoch("archivedAt", unit=MILLISECONDS), archived.id("reason")
    if reason and hired_reasons:
        outcome = Outcome.HIRED if reason in hired_reasons else Outcome.DECLINED
        return EventType.OUTCOME_CHANGED, _decision(outcome, at, RejectionReason(id=reason)), {"occurred_at": at}
    change = Change(field="archived", from_=before.id("reason", sometimes=True), to=reason or True)
    return EventType.APPLICATION_UPDATED, {}, {"changes": [change], "occurred_at": at}


def _decision(outcome: Outcome | None, at: datetime | None, reason: RejectionReason | None) -> dict[str, Any]:
    hired, declined = outcome is Outcome.HIRED, outcome is Outcome.DECLINED
    times = {"hired_at": at if hired else None, "rejected_at": at if declined else None}
    return {"outcome": outcome, **times, "rejection_reason": reason if declined else None}


async def _completed(fact: Fact, said: Application, api: Api) -> Fact:
    """The fact with what the API knows of its opportunity, or the state of that where it contradicts the fact. Empty
    texts and lists in the API's answers say that something is not shown."""
    path = f"/opportunities/{_part(said.id)}"
    node = (await api.get(f"{path}?expand=applications&expand=stage")).need_node("data")
    names = await stage_names(node, api)
    moves, now = moves_of(node, names), stage_of(node.node("stage").id("id"), names)
    application = application_in(node)
    past = [stage for at, stage, _ in moves if fact.occurred_at is None or at <= fact.occurred_at]
    known: dict[str, Any] = {
        "stage": past[-1] if past else moves[0][1] if moves else now,
        "created_at": application.epoch("createdAt", unit=MILLISECONDS) or node.epoch("createdAt", unit=MILLISECONDS),
        "updated_at": node.epoch("updatedAt", unit=MILLISECONDS),
        "source": next(iter(node.texts("sources")), None),
        "referrer": await person_of(application.id("user") if application.text("type") == "referral" else None, api),
        "url": node.node("urls").text("show"),
    }
    told: dict[str, Any] | None = {}
    decision = await decision_now(node.node("archived"), api)
    if fact.type is EventType.STAGE_CHANGED:
        told = await _move_told(fact, moves, now, names, api)
        known |= {"stage": told["to_stage"]} if told else {}
    elif fact.type is EventType.INTERVIEW_CHANGED:
        told = await _interview_told(fact, path, api)
    elif fact.type is not EventType.APPLICATION_CREATED and (outcome := decision["outcome"]):
        at = decision["hired_at"] or decision["rejected_at"] or fact.occurred_at
        agrees = (said.outcome is Outcome.PENDING) is (outcome is Outcome.PENDING)
        told = {"type": EventType.OUTCOME_CHANGED, "changes": None, "occurred_at": at} if agrees else None
        known |= decision
    if told is None:
        told = dict.fromkeys(("from_stage", "to_stage", "changes")) | {"type": EventType.APPLICATION_UPDATED}
        told, known = {**told, "is_snapshot": True}, {**known, **decision, "stage": now}
    contact = node.id("contact") or (fact.candidate.id if fact.candidate else None)
    told = {**told, "candidate": candidate_of(node, contact), "job": await job_of(application, api)}
    return fact.model_copy(update={**told, "application": said.model_copy(update=known), "needs_enrichment": False})


async def stage_names(opportunity: Node, api: Api) -> Mapping[str | None, str | None]:
    """The names of stages by their ids, also that of an opportunity, which may be gone."""
    stages = (await api.get("/stages", {"limit": "100"}, cache=_CACHED)).nodes("data")
    return {stage.id("id"): stage.text("text") for stage in [*stages, opportunity.node("stage")]}


def moves_of(opportunity: Node, names: _Names) -> _Moves:
    moves = [
        (at, Stage(id=id_, name=names.get(id_), index=node.integer("toStageIndex")), node.id("userId"))
        for node in opportunity.nodes("stageChanges")
        if (at := node.epoch("updatedAt", unit=MILLISECONDS)) and (id_ := node.id("toStageId"))
    ]
    return sorted(moves, key=lambda move: move[0])


async def _move_told(fact: Fact, moves: _Moves, now: Stage | None, names: _Names, api: Api) -> dict[str, Any] | None:
    """The move as the history has it; None where neither the history nor the present stage knows of it."""
    to, before = (stage and stage_of(stage.id, names) for stage in (fact.to_stage, fact.from_stage))
    assert to is not None
    told = fact.occurred_at
    gaps = {index: abs(at - told) for index, (at, stage, _) in enumerate(moves) if told and stage.id == to.id}
    index = min(gaps, key=gaps.__getitem__, default=None)
    if index is None or gaps[index] > _SAME_MOVE:
        return None if now and now.id != to.id else {"to_stage": to, "from_stage": before}
    at, to, user = moves[index]
    before = moves[index - 1][1] if index else before
    return {"to_stage": to, "from_stage": before, "occurred_at": at, "actor": await person_of(user, api)}


async def decision_now(archived: Node, api: Api) -> dict[str, Any]:
    """What the opportunity's being archived or not says."""
    return decision_of(archived, await found("archive_reasons", archived.id("reason"), api))


def decision_of(archived: Node, reason: Node) -> dict[str, Any]:
    """The same by the reason for it; no outcome where the type of that is not told."""
    outcome = reason.choice("type", _REASON_TYPES) if archived else Outcome.PENDING
    why = RejectionReason(id=reason.id("id"), name=reason.text("text"))
    return _decision(outcome, archived.epoch("archivedAt", unit=MILLISECONDS), why)


async def _interview_told(fact: Fact, opportunity: str, api: Api) -> dict[str, Any]:
    said = fact.interview or Interview()
    is_gone = said.status is InterviewStatus.CANCELLED
    node = await found(f"{opportunity[1:]}/interviews", None if is_gone else said.id, api, cache=0.0)
    if not node.id("id"):
        return {}
    start, minutes = node.epoch("date", unit=MILLISECONDS), node.integer("duration")
    interview = Interview(
        id=said.id,
        title=node.text("subject"),
        status=InterviewStatus.CANCELLED if node.epoch("canceledAt", unit=MILLISECONDS) else InterviewStatus.SCHEDULED,
        start=start,
        end=start + timedelta(minutes=minutes) if start and minutes and minutes in _MINUTES else None,
        location=node.text("location"),
        interviewers=[_user(user, user.id("id")) for user in node.nodes("interviewers")],
    )
    made_by = node.id("user") if fact.vendor_event == "interviewCreated" else None
    return {"interview": interview, "actor": await person_of(made_by, api)}


def application_in(opportunity: Node) -> Node:
    """The one that is active, which is one at most, else the last; an empty one where somebody was sourced only."""
    nodes = opportunity.nodes("applications")
    return next((node for node in nodes if not node.node("archived")), nodes[-1] if nodes else Node.of({}))


async def job_of(application: Node, api: Api) -> Job | None:
    id_ = application.id("posting")
    node = await found("postings", id_, api)
    categories, manager = node.node("categories"), await person_of(node.id("hiringManager"), api)
    job = Job(
        id=id_,
        title=node.text("text"),
        requisition_id=next(iter(node.texts("requisitionCodes")), None),
        status=node.text("state"),
        departments=list(filter(None, [categories.text("department")])),
        location=categories.text("location"),
        hiring_managers=[manager] if manager else [],
        url=node.node("urls").text("show"),
    )
    return job if id_ else None


def candidate_of(node: Node, id_: str | None) -> Candidate:
    """An opportunity and a contact say who it is in the same fields, except for the place."""
    return Candidate(
        id=id_,
        name=node.text("name"),
        emails=node.texts("emails"),
        phones=node.texts_of("phones", "value"),
        location=node.text("location") or node.node("location").text("name"),
        links=node.texts("links"),
        tags=node.texts("tags"),
    )


async def person_of(id_: str | None, api: Api) -> Person | None:
    return _user(await found("users", id_, api), id_) if id_ else None


def _user(node: Node, id_: str | None) -> Person:
    return Person(id=id_, name=node.text("name"), email=node.text("email"))


def stage_of(id_: str | None, names: _Names) -> Stage | None:
    return Stage(id=id_, name=names.get(id_)) if id_ else None


async def found(kind: str, id_: str | None, api: Api, *, cache: float = _CACHED) -> Node:
    """An object of the API, an empty one where there is none."""
    try:
        return (await api.get(f"/{kind}/{_part(id_ or '')}", cache=cache)).need_node("data")
    except NotThere:
        return Node.of({})


def _part(id_: str) -> str:
    """An id as a part of a path. Those in a webhook are not signed: they must not lead elsewhere."""
    if not _ID.fullmatch(id_):
        raise NotThere("Lever has no such ids")
    return id_
