"""Teamtailor company webhooks: signed push, registered by hand, never sent again when a delivery fails.

Sources: source/includes/company_webhooks of github.com/Teamtailor/tt-partner-docs (2026-06) and of Teamtailor/docs (the
API). Bodies: the docs print a JSON:API resource in a ``payload``; receivers in public code got it flat and in
snake_case, or with ``data`` beside the event's name. An update says what the application is now, not what changed.
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import quote

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Drift, Handler, Normalised, Post, Receipt, Rejected, Sample, ignored
from handlers.enriching import Access, Api, Enriches
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import check_age, check_hmac, hex_digest, hex_hmac, only_header, whole_number
from router.schema import (
    Application,
    Candidate,
    EventType,
    Fact,
    Job,
    Model,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

M = TypeVar("M", bound=Model)

_SIGNATURE = "tt-signature"
_V2 = re.compile(r"t=(\d{1,16}),v2=([^,]*)", re.ASCII)
_VISIBLE_AT = "transparent_recruiting_visible_at"
_SAME_UPDATE = timedelta(minutes=1)
_STAGE_TYPES = {"Inbox": StageKind.APPLIED, "Hired": StageKind.HIRED}  # any other stage is "In process"
_STAGES_OF_EVERY_JOB = {kind: (name,) for name, kind in _STAGE_TYPES.items()}  # they can't be renamed (API, Stages)
_REJECTION_KINDS = {True: RejectionKind.REJECTED_BY_COMPANY, False: RejectionKind.WITHDRAWN_BY_CANDIDATE, None: None}
_OUTCOME_OF_KIND = {StageKind.HIRED: Outcome.HIRED, StageKind.REJECTED: Outcome.DECLINED}


class TeamtailorSettings(SecretSettings):
    signature: Literal["v2", "v1"] = Field("v2", description="the version chosen at Teamtailor; v1 signs an id only")
    api_key: Secret | None = Field(
        None, description="an Admin key that may read: for stage types, rejection reasons and polling"
    )
    api_url: ApiUrl = Field(
        "https://api.teamtailor.com/v1", description="with api.na.teamtailor.com for accounts in North America"
    )
    api_version: str = Field("20240904", description="the X-Api-Version that the API is asked with")


class Teamtailor(Enriches, Handler):
    vendor = "teamtailor"
    title = "Teamtailor"
    Settings = TeamtailorSettings
    settings: TeamtailorSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Have the feature Webhooks switched on (the add-on feature center, or Teamtailor's support)",
            "open Settings > Integrations > Webhooks as an administrator and choose New webhook",
            "give it a label and the URL, tick the events below, choose signature version v2 and save",
            "put the signature key that Teamtailor made into the source's secret",
            f"a rule that tells candidates of their rejection must wait until application.custom_fields.{_VISIBLE_AT}",
        ],
        events=[
            *("job_application.create", "job_application.update", "job_application.destroy"),
            *("candidate.update", "candidate.destroy"),
        ],
        verified="TT-Signature v2, an HMAC-SHA256 over time and exact body, five minutes old at most (the docs name no"
        " limit); `signature: v1` proves the id only",
        missing=[
            "who did it, the stage before (the router knows it from the event before), interviews and offers",
            "hires where the last stage is not called Hired, unless `stages:` or an API key tells them",
            "custom fields: their form is not documented",
            "nothing is sent again: what comes while the router is away is lost without an API key; with one, polling"
            " finds it, but of two moves in that time only the last",
            "the bodies are known from public code: the ones that the docs print look otherwise, and both are read",
        ],
        enrichment="ids and types of stages, rejection reasons, and the candidate where the body has none",
    )
    stage_kinds = _STAGES_OF_EVERY_JOB

    def verify(self, receipt: Receipt) -> None:
        signature = _opened(only_header(receipt, _SIGNATURE))
        if self.settings.signature == "v1":
            check_hmac(hex_digest(signature), _id_in(receipt.body).encode(errors="replace"), self.settings.secrets)
            return
        match = _V2.fullmatch(signature)
        if match is None:
            raise Rejected("the signature is not of version v2: t=, a time, v2= and a digest")
        check_hmac(hex_digest(match[2]), b"%s.%s" % (match[1].encode(), receipt.body), self.settings.secrets)
        check_age(whole_number(match[1]), receipt)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        envelope = body.node("payload", sometimes=True) or body
        event = envelope.text("event_name", sometimes=True)
        if event is None:
            return ignored(None, "it names no event, as a test of the connection may")
        tell = _TELLERS.get(event)
        if tell is None:
            return ignored(event, NO_TYPE)
        fact = tell(event, _resource(envelope))
        # the API knows what no body holds, and with v1 whether anything but the id is true
        if self.settings.api_key and (tell is _tell_application or self.settings.signature == "v1"):
            fact = fact.model_copy(update={"needs_enrichment": True})
        return Normalised(Disposition.EVENTS, event, (fact,), soft_drift=body.soft_drift)

    def with_kind(self, fact: Fact) -> Fact:
        """A hire is a stage here: whoever stands there and is not rejected is hired."""
        fact = super().with_kind(fact)
        application = fact.application
        if application is None or application.stage is None or application.outcome is not Outcome.PENDING:
            return fact
        outcome = _OUTCOME_OF_KIND.get(application.stage.kind or StageKind.OTHER, Outcome.PENDING)
        return fact.model_copy(update={"application": application.model_copy(update={"outcome": outcome})})

    def access(self) -> Access | None:
        if self.settings.api_key is None:
            return None
        headers = {
            "authorization": f"Token token={self.settings.api_key.get_secret_value()}",
            "x-api-version": self.settings.api_version,
            "accept": "application/vnd.api+json",
        }
        return Access(self.settings.api_url, headers, per_second=4.0)

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        if fact.application is None:
            return [await _candidate_now(fact, api)]
        path = f"/job-applications/{quote(fact.application.id, safe='')}"
        found = fetched(fact, await api.get(path, {"include": "candidate,job,stage,reject-reason"}))
        return [_completed(fact, found) if self.settings.signature == "v2" else found]

    def sign(self, body: bytes, at: datetime) -> Post:
        secret = self.settings.secrets[0]
        if self.settings.signature == "v2":
            seconds = int(at.timestamp())
            text = f"t={seconds},v2={hex_hmac(secret, b'%d.%s' % (seconds, body))}"
        else:
            try:
                text = hex_hmac(secret, _id_in(body).encode(errors="replace"))
            except Rejected:
                return Post(body)
        return Post(body, {_SIGNATURE: base64.b64encode(text.encode()).decode()})

    def sample(self, step: Sample) -> bytes:
        decided = step.outcome if step.type is EventType.OUTCOME_CHANGED else None
        stage = step.stage or ("Hired" if decided is Outcome.HIRED else None)
        no_hire = decided is Outcome.HIRED and self.stage_patterns.known(Stage(name=stage)).kind is not StageKind.HIRED
        if step.type not in _SAMPLE_EVENTS or no_hire:  # a hire is told by the stage alone
            raise ValueError(f"there is no Teamtailor sample of {step.type}")
        return json.dumps(_sample(step, stage, rejected=decided is Outcome.DECLINED), ensure_ascii=False).encode()


class _Resource(NamedTuple):
    """What an event is about. ``spelt`` turns the name of a field into the way in which this body writes it."""

    id: str
    fields: Node
    related: Node
    spelt: Callable[[str], str]


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")


def _opened(signature: str) -> str:
    """The text in base64 that the header is; written in another way than base64 writes it, it is not what was sent."""
    try:
        text = base64.b64decode(signature + "=" * (-len(signature) % 4), validate=True)
        if base64.b64encode(text).decode().rstrip("=") == signature.rstrip("="):
            return text.decode("ascii")
    except ValueError:
        pass
    raise Rejected("the signature is not a text in base64")


def _id_in(body: bytes) -> str:
    """All that v1 signs."""
    try:
        root = Node.parse(body)
        envelope = root.node("payload", sometimes=True) or root
        return (envelope.node("data", sometimes=True) or envelope).need_id("id")
    except Drift:
        raise Rejected("the body has no id, which is what is signed") from None


def _resource(envelope: Node) -> _Resource:
    data = envelope.node("data", sometimes=True) or envelope
    fields = data.node("attributes", sometimes=True)
    hyphens = bool(fields) and fields.json("updated_at", sometimes=True) is None
    related = data.node("relationships", sometimes=True)
    return _Resource(data.need_id("id"), fields or data, related, _hyphenated if hyphens else str)


def _tell_application(event: str, resource: _Resource) -> Fact:
    node, spelt = resource.fields, resource.spelt
    rejected_at, updated_at = node.time(spelt("rejected_at")), node.time(spelt("updated_at"))
    stage, referrer = node.text(spelt("stage_name")), node.id(spelt("referer_id"))
    visible_at = node.date_or_time(spelt(_VISIBLE_AT))
    job_id, job_title = node.id(spelt("job_id")), node.text(spelt("job_title"))
    created, outcome = event == "job_application.create", _outcome(rejected_at, node, spelt("rejected_at"))
    return Fact(
        type=EventType.APPLICATION_CREATED if created else EventType.APPLICATION_UPDATED,
        is_snapshot=not created and bool(stage or outcome),  # of a bare id nobody can tell what differs
        occurred_at=occurred_at(updated_at, rejected_at, node.time(spelt("last_moved_at"))),
        vendor_event=event,
        vendor_version=_version(updated_at),
        application=Application(
            id=resource.id,
            outcome=outcome,
            stage=Stage(name=stage) if stage else None,
            created_at=node.time(spelt("created_at"), sometimes=True),
            updated_at=updated_at,
            rejected_at=rejected_at,
            source=node.text(spelt("referring_site")),
            referrer=Person(id=referrer) if referrer else None,
            custom_fields={_VISIBLE_AT: visible_at} if visible_at else {},
        ),
        candidate=_candidate_of(resource),
        job=Job(id=job_id, title=job_title) if job_id or job_title else None,
    )


def _tell_candidate(event: str, resource: _Resource) -> Fact:
    updated_at = resource.fields.time(resource.spelt("updated_at"))
    return Fact(
        type=EventType.CANDIDATE_UPDATED,
        occurred_at=updated_at,
        vendor_event=event,
        vendor_version=_version(updated_at),
        candidate=_candidate(resource.id, resource.fields, resource.spelt),
    )


def _tell_deletion(event: str, resource: _Resource) -> Fact:
    """All that is documented of it is the id."""
    if event == "candidate.destroy":
        return Fact(type=EventType.CANDIDATE_DELETED, vendor_event=event, candidate=Candidate(id=resource.id))
    application, candidate = Application(id=resource.id), _candidate_of(resource)
    return Fact(type=EventType.APPLICATION_DELETED, vendor_event=event, application=application, candidate=candidate)


_TELLERS: dict[str, Callable[[str, _Resource], Fact]] = {
    "job_application.create": _tell_application,
    "job_application.update": _tell_application,
    "job_application.destroy": _tell_deletion,
    "candidate.update": _tell_candidate,
    "candidate.destroy": _tell_deletion,
}


def occurred_at(updated_at: datetime | None, *acts: datetime | None) -> datetime | None:
    """The time of the last decision or move, if the update came with it; anything else happened when it was updated."""
    last = max((at for at in acts if at), default=None)
    if last is not None and (updated_at is None or updated_at - last < _SAME_UPDATE):
        return last
    return updated_at


def _version(updated_at: datetime | None) -> str | None:
    return updated_at.isoformat(timespec="microseconds") if updated_at else None


def _outcome(rejected_at: datetime | None, node: Node, key: str) -> Outcome | None:
    """A field that is missing or can't be read is no sign that nobody is rejected."""
    if rejected_at:
        return Outcome.DECLINED
    return None if any(path.rpartition(".")[2] == key for path in node.soft_drift) else Outcome.PENDING


def _candidate_of(resource: _Resource) -> Candidate | None:
    """Embedded in flat bodies, an id in relationships, and nowhere in the form that the docs print."""
    node = resource.fields.node("candidate", sometimes=True)
    if node:
        return _candidate(node.id("id"), node, str)
    id_ = resource.related.node("candidate", sometimes=True).node("data", sometimes=True).id("id", sometimes=True)
    return Candidate(id=id_) if id_ else None


def _candidate(id_: str | None, node: Node, spelt: Callable[[str], str]) -> Candidate:
    first_name, last_name = node.text(spelt("first_name")), node.text(spelt("last_name"))
    email, phone = node.text("email"), node.text("phone")
    linkedin = node.text(spelt("linkedin_url"), sometimes=True)
    return Candidate(
        id=id_,
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        phones=[phone] if phone else [],
        links=[linkedin] if linkedin else [],
        tags=node.texts("tags", sometimes=True),
    )


async def _candidate_now(fact: Fact, api: Api) -> Fact:
    assert fact.candidate is not None
    assert fact.candidate.id is not None
    answer = await api.get(f"/candidates/{quote(fact.candidate.id, safe='')}")
    fields = answer.need_node("data").need_node("attributes")
    return _tell_candidate(fact.vendor_event, _Resource(fact.candidate.id, fields, fields, _hyphenated))


def fetched(fact: Fact, answer: Node) -> Fact:
    """What the API says that the application is now; of an event that deleted it, that it is still there."""
    assert fact.application is not None
    data = answer.need_node("data")
    fields, related = data.need_node("attributes"), data.node("relationships", sometimes=True)
    found = _tell_application(fact.vendor_event, _Resource(fact.application.id, fields, related, _hyphenated))
    assert found.application is not None
    included = {item.text("type"): item for item in answer.nodes("included", sometimes=True)}
    changes: dict[str, object] = {"custom_fields": fact.application.custom_fields}
    if stage := included.get("stages"):
        fields = stage.node("attributes")
        kind = _STAGE_TYPES.get(fields.text("stage-type") or "")
        changes["stage"] = Stage(id=stage.id("id"), name=fields.text("name"), kind=kind)
    if found.application.rejected_at and (reason := included.get("reject-reasons")):
        fields = reason.node("attributes")
        blame = _REJECTION_KINDS.get(fields.flag("rejected-by-company", sometimes=True))
        changes["rejection_reason"] = RejectionReason(id=reason.id("id"), name=fields.text("reason"), kind=blame)
    told: dict[str, object] = {"application": found.application.model_copy(update=changes)}
    told["is_snapshot"] = found.type is EventType.APPLICATION_UPDATED
    if candidate := included.get("candidates"):
        told["candidate"] = _candidate(candidate.id("id"), candidate.node("attributes"), _hyphenated)
    if job := included.get("jobs"):
        told["job"] = Job(id=job.id("id"), title=job.node("attributes").text("title"))
    return found.model_copy(update=told)


def _completed(said: Fact, found: Fact) -> Fact:
    """What a signed body said, with what else was found. The application may have moved on since."""
    application, now = said.application, found.application
    assert application is not None
    assert now is not None
    stage = now.stage if application.stage is None or application.stage.same_as(now.stage) else application.stage
    if application.outcome not in (None, now.outcome):
        now = now.model_copy(update={"rejected_at": None, "rejection_reason": None})
    candidate = said.candidate
    if candidate is None or found.candidate is None or candidate.id in (None, found.candidate.id):
        candidate = _filled(candidate, found.candidate)
    more: dict[str, object] = {"candidate": candidate, "job": _filled(said.job, found.job), "needs_enrichment": False}
    filled = _filled(application, now)
    assert filled is not None
    more |= {"is_snapshot": found.is_snapshot, "application": filled.model_copy(update={"stage": stage})}
    return said.model_copy(update=more)


def _filled(said: M | None, found: M | None) -> M | None:
    if said is None or found is None:
        return said or found
    return said.model_copy(update={name: value for name, value in found if getattr(said, name) in (None, [], {})})


_SAMPLE_EVENTS = {
    EventType.APPLICATION_CREATED: "job_application.create",
    EventType.STAGE_CHANGED: "job_application.update",
    EventType.OUTCOME_CHANGED: "job_application.update",
    EventType.APPLICATION_UPDATED: "job_application.update",
}


def _sample(step: Sample, stage: str | None, *, rejected: bool) -> dict[str, object]:
    at = step.at.astimezone(UTC).isoformat(timespec="milliseconds")
    first_name, _, last_name = step.candidate_name.partition(" ")
    person = {"id": 44120981, "first_name": first_name, "last_name": last_name, "email": "candidate@example.org"}
    job = {"job_id": 5210877, "job_title": step.job_title, "stage_name": stage, "last_moved_at": at}
    return {
        "event_name": _SAMPLE_EVENTS[step.type],
        "id": step.application_id,
        "candidate": {**person, "phone": None, "linkedin_url": None, "updated_at": at},
        **job,
        "referer_id": None,
        "referring_site": "Indeed",
        "rejected_at": at if rejected else None,
        _VISIBLE_AT: None,
        "updated_at": at,
    }
