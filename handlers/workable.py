"""Workable: signed push, registered through its API only, one registration and one URL per event.

Sources, read in 2026: workable.readme.io/reference (webhooks, webhook-subscriptions, candidate-events,
candidate-activities); the envelope from public connectors, the API's answers from what github.com/NangoHQ recorded.
A body shows the candidate as of its sending. A candidate is on one job only: the application has the candidate's id.
"""

import json
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from handlers.base import NO_TYPE, Disposition, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, ApiProblem, Enriches, NotThere
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, is_not_asked_for
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import (
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

_SIGNATURE = "x-workable-signature"
_CREATED, _MOVED, _DELETED = _EVENTS = ("candidate_created", "candidate_moved", "candidate_deleted")
_STAGE_KINDS = {  # all that /stages documents; also the slugs of the stages that Workable made itself
    "sourced": StageKind.OTHER,
    "applied": StageKind.APPLIED,
    "shortlisted": StageKind.SCREEN,
    "phone-screen": StageKind.SCREEN,
    "assessment": StageKind.ASSESSMENT,
    "interview": StageKind.INTERVIEW,
    "offer": StageKind.OFFER,
    "hired": StageKind.HIRED,
}
_HIRED_BY_NAME = {StageKind.HIRED: ("Hired",)}  # the stage that ends every pipeline, in bodies without its kind
_BEFORE, _AFTER = timedelta(minutes=10), timedelta(seconds=2)
"""How far from the webhook's own times the activity may be that it tells of."""
_EVER, _NEVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _checked_subdomain(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9-]*", name):
        raise PydanticCustomError("subdomain", "write only the name: acme, where you log in at acme.workable.com")
    return name


class WorkableSettings(SecretSettings):
    subdomain: Annotated[str, AfterValidator(_checked_subdomain)] | None = Field(
        None, description="the account's name, before .workable.com: for `connect`, and to ask the API who moved whom"
    )
    api_key: Secret | None = Field(None, description="an API token, where it is not the secret (OAuth apps only)")
    api_url: ApiUrl | None = Field(
        None, description="where the API is, if not at https://SUBDOMAIN.workable.com/spi/v3"
    )


class Workable(Enriches, Connects, Handler):
    vendor = "workable"
    title = "Workable"
    Settings = WorkableSettings
    settings: WorkableSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Open Settings > Integrations > API Access Tokens as an administrator and make a token with the scope"
            " r_candidates: it is the source's secret, as Workable signs with it",
            "give `subdomain`, start the router and run `ats-router connect` with the source: no page of Workable's"
            " takes the URL. It is registered once per event, as URL/EVENT, because targets must be unique: a conflict"
            " (409) means that something else registered it before",
            "for a new token: put it before the old one under `secret`, then run connect with --remove, then without",
        ],
        events=_EVENTS,
        verified="the X-Workable-Signature header, an HMAC-SHA256 over the exact body; it names no time",
        missing=[
            "updates, interviews and offers have no webhook",
            "who did it, and the stage before (the router knows it from the event before), without the API",
            "one event, candidate_moved, tells moves, disqualifications, withdrawals and hires by the candidate as of"
            " its sending: what differs from before becomes the events, a step in between can be missing",
            "a deletion becomes CandidateDeleted: a candidate is on one job only, and nothing of it stays",
            "the envelope (event_type, id, fired_at) is known from public code, not from the documentation",
        ],
        enrichment="the stage before a move, and who moved or disqualified (`subdomain` is all it takes)",
    )
    stage_kinds = _HIRED_BY_NAME

    def verify(self, receipt: Receipt) -> None:
        check_hmac(hex_digest(only_header(receipt, _SIGNATURE)), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("event_type")
        if event not in _EVENTS:
            return ignored(event, NO_TYPE)
        id_, fired_at = body.id("id", sometimes=True), body.time("fired_at", sometimes=True)
        node = _candidate_in(body.need_node("data"))
        more = {"vendor_event_id": id_, "needs_enrichment": event == _MOVED and self.settings.subdomain is not None}
        fact = (_tell_deletion if event == _DELETED else _tell)(event, node, fired_at, more)
        # whether the id is of the event or of its registration, no source says: the time keeps two events apart
        dedupe = f"{event}:{id_}:{fired_at.isoformat()}" if id_ and fired_at else None
        return Normalised(Disposition.EVENTS, event, (fact,), dedupe=dedupe, soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: hex_hmac(self.settings.secrets[0], body)})

    def sample(self, step: Sample) -> bytes:
        created, declined = step.type is EventType.APPLICATION_CREATED, False
        if step.type is EventType.OUTCOME_CHANGED:
            declined = step.outcome is Outcome.DECLINED
        elif step.type is not EventType.STAGE_CHANGED and not created:
            raise ValueError(f"there is no Workable sample of {step.type}")
        at = step.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        first_name, _, last_name = step.candidate_name.partition(" ")
        candidate: dict[str, Any] = json.loads(_SAMPLE)
        candidate |= {"id": step.application_id, "created_at": at, "updated_at": at}
        candidate |= {"name": step.candidate_name, "firstname": first_name, "lastname": last_name}
        candidate |= {"stage": step.stage, "stage_kind": "applied" if created else "interview"}
        candidate["job"]["title"] = step.job_title
        if declined:
            reason = "Not enough experience"
            candidate |= {"disqualified": True, "disqualified_at": at, "disqualification_reason": reason}
        elif step.type is EventType.OUTCOME_CHANGED and step.outcome is Outcome.HIRED:
            candidate["hired_at"] = at
        event = _CREATED if created else _MOVED
        envelope = {"id": "5f1a2b3c4d01", "event_type": event, "resource_type": "candidate", "fired_at": at}
        return json.dumps({**envelope, "data": candidate}, ensure_ascii=False).encode()

    def access(self) -> Access | None:
        if self.settings.subdomain is None:
            return None
        base = self.settings.api_url or f"https://{self.settings.subdomain}.workable.com/spi/v3"
        token = (self.settings.api_key or self.settings.secret[0]).get_secret_value()
        return Access(base, {"authorization": f"Bearer {token}"}, per_second=1.0, at_once=2)  # 10 calls in 10 s

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        """The body is signed and tells the state: only what it never tells is added."""
        assert fact.application is not None
        known = [at for at in (fact.occurred_at, fact.application.updated_at) if at and _EVER < at < _NEVER]
        since, until = (min(known) - _BEFORE, max(known) + _AFTER) if known else (_EVER, _NEVER)
        path = f"/candidates/{quote(fact.application.id, safe='')}/activities"
        params = {"limit": "100", "updated_after": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
        acts = [act for node in (await api.get(path, params)).nodes("activities") if (act := act_of(node))]
        told = told_by([act for act in acts if since <= act.at <= until], fact.application)
        return [fact.model_copy(update={**told, "needs_enrichment": False})]

    def plan(self, url: str) -> Sequence[str]:
        return [f"register {url}/{event} at Workable for {event}" for event in _EVENTS]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        args = {"account_id": self.settings.subdomain, "job_shortcode": "", "stage_slug": ""}  # "" stands for all
        for event in _EVENTS:
            made = await api.send("POST", "/subscriptions", {"target": f"{url}/{event}", "event": event, "args": args})
            id_ = made.id("id")
            if id_ is None:
                raise ApiProblem(f"Workable told no id of the registration for {event}")
            yield Hook(id_, (event,))

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        try:
            there = (await api.get("/subscriptions", {"limit": "100"})).nodes("subscriptions")
        except NotThere:  # how it says that there are none
            return set()
        told = {(node.id("id"), node.text("event"), node.text("target")) for node in there}
        return {hook.id for hook in hooks for event in hook.events if (hook.id, event, f"{url}/{event}") in told}

    async def remove(self, hook: Hook, api: Api) -> None:
        try:
            await api.send("DELETE", f"/subscriptions/{quote(hook.id, safe='')}")
        except NotThere:
            return


def _candidate_in(data: Node) -> Node:
    """The candidate is ``data``; some receivers found it one level further inside."""
    if data.id("id", sometimes=True) is None and (nested := data.node("candidate", sometimes=True)):
        return nested
    return data


def _tell(event: str, node: Node, fired_at: datetime | None, more: Mapping[str, Any]) -> Fact:
    application = application_of(node)
    created, updated_at = event == _CREATED, application.updated_at
    return Fact(
        type=EventType.APPLICATION_CREATED if created else EventType.APPLICATION_UPDATED,
        is_snapshot=not created,
        occurred_at=(application.created_at if created else None) or fired_at or updated_at,
        vendor_event=event,
        vendor_version=updated_at.isoformat(timespec="milliseconds") if updated_at else None,
        application=application,
        candidate=candidate_of(application.id, node),
        job=job_of(node.node("job")),
        **more,
    )


def _tell_deletion(event: str, node: Node, fired_at: datetime | None, more: Mapping[str, Any]) -> Fact:
    """What else comes with the id is of somebody who shall be forgotten."""
    id_ = node.need_id("id")
    return Fact(
        type=EventType.CANDIDATE_DELETED,
        occurred_at=fired_at,
        vendor_event=event,
        application=Application(id=id_),  # keeps the order with what was told of it before
        candidate=Candidate(id=id_),
        job=job_of(node.node("job", sometimes=True)),
        **more,
    )


def application_of(node: Node) -> Application:
    name, kind = node.text("stage"), node.choice("stage_kind", _STAGE_KINDS, sometimes=True)
    stage = Stage(name=name, kind=kind) if name else None
    disqualified, withdrew = node.flag("disqualified"), node.flag("withdrew", sometimes=True)
    declined_at, hired = node.time("disqualified_at", sometimes=True), node.text("hired_at", sometimes=True)
    hired_at = node.time("hired_at") if hired and ":" in hired else None  # a page of the API's calls it a date
    outcome = Outcome.PENDING if disqualified is False else None
    if disqualified or withdrew:
        outcome = Outcome.DECLINED
    taken_back = outcome is Outcome.DECLINED and declined_at and hired_at and declined_at > hired_at
    if (hired or kind is StageKind.HIRED) and not taken_back:
        outcome = Outcome.HIRED
    declined, reason = outcome is Outcome.DECLINED, node.text("disqualification_reason", sometimes=True)
    rejection = RejectionKind.WITHDRAWN_BY_CANDIDATE if withdrew else RejectionKind.REJECTED_BY_COMPANY
    source = node.text("common_source", sometimes=True) or node.text("outlet", sometimes=True)
    return Application(
        id=node.need_id("id"),
        outcome=outcome,
        stage=stage,
        created_at=node.time("created_at"),
        updated_at=node.time("updated_at"),
        rejected_at=declined_at if declined else None,
        hired_at=hired_at,
        rejection_reason=RejectionReason(name=reason, kind=rejection) if declined else None,
        source=source or node.text("domain", sometimes=True),
        url=node.text("profile_url", sometimes=True),
        is_prospect=kind is StageKind.OTHER if kind else None,  # sourced: has not applied so far
        answers=[answer for item in node.nodes("answers", sometimes=True) if (answer := _answer(item))],
    )


def _answer(node: Node) -> Answer | None:
    question, answer = node.node("question").text("body"), node.node("answer")
    if question is None or is_not_asked_for(question):
        return None
    values = (answer.json(key, sometimes=True) for key in ("body", "checked", "number", "date"))
    said = next((value for value in values if value is not None), None)
    if said is None:
        said = [*answer.texts_of("choices", "body", sometimes=True)] or None
    return Answer(question=question, answer=said)


def candidate_of(id_: str, node: Node) -> Candidate:
    email, phone = node.text("email"), node.text("phone")
    place = node.node("location", sometimes=True).text("location_str")
    return Candidate(
        id=id_,
        name=node.text("name"),
        first_name=node.text("firstname"),
        last_name=node.text("lastname"),
        emails=[email] if email else [],
        phones=[phone] if phone else [],
        title=node.text("headline", sometimes=True),
        location=place or node.text("address", sometimes=True),
        links=node.texts_of("social_profiles", "url", sometimes=True),
        tags=node.texts("tags", sometimes=True),
        url=node.text("profile_url", sometimes=True),
    )


def job_of(node: Node) -> Job | None:
    return Job(id=node.id("shortcode"), title=node.text("title", sometimes=True)) if node else None


class Act(NamedTuple):
    """One activity of a candidate. ``to`` is the name of the stage that it led to."""

    at: datetime
    name: str
    from_stage: Stage | None
    to: str | None
    member: Person | None


def act_of(node: Node) -> Act | None:
    at, name = node.time("created_at"), node.text("action")
    before, member = node.node("action_stage", sometimes=True), node.node("member", sometimes=True)
    stage, slug = before.text("name"), before.text("slug", sometimes=True)
    if at is None or name is None:
        return None
    return Act(
        at,
        name,
        Stage(name=stage, kind=_STAGE_KINDS.get(slug or "")) if stage else None,
        node.node("target_stage", sometimes=True).text("name"),
        Person(id=member.id("id"), name=member.text("name")) if member else None,
    )


def told_by(acts: Sequence[Act], application: Application) -> dict[str, Stage | Person | None]:
    """From where the candidate came to the present stage, and who did that or, if it was later, disqualified."""
    stage, declined = application.stage, application.outcome is Outcome.DECLINED
    moves = [act for act in acts if stage and act.to == stage.name]
    decisions = [act for act in acts if declined and act.name.startswith("disqualif")]
    move = max(moves, key=_at, default=None)
    last = max([*moves, *decisions], key=_at, default=None)
    return {"from_stage": move and move.from_stage, "actor": last and last.member}


def _at(act: Act) -> datetime:
    return act.at


_SAMPLE = """{
"id": null, "name": null, "headline": "Engineer", "account": {"subdomain": "example", "name": "Example Works"},
"job": {"shortcode": "7B3C9D12EF", "title": null}, "stage": null, "stage_kind": null, "sourced": false,
"disqualified": false, "disqualified_at": null, "disqualification_reason": null, "withdrew": false, "hired_at": null,
"profile_url": "https://example.workable.com/backend/jobs/401/candidates/990", "address": "Leeds, UK", "phone": null,
"email": "candidate@example.org", "domain": null, "outlet": "Careers page", "common_source": "Careers Page",
"answers": [], "resume_url": null, "tags": ["made up"]
}"""
