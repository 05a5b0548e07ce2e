"""Greenhouse Recruiting: signed push, one web hook per event type, set up by hand in Configure > Dev Center.

Source, where no other is named: source/includes/webhooks of github.com/grnhse/greenhouse-api-docs, read in 2026. Bodies
are ``{"action": ..., "payload": ...}``. They tell neither the actor nor the previous stage, and few the time.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zlib import crc32

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, is_not_asked_for, whole_name
from handlers.settings import ApiUrl, ClientSettings, SecretSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import (
    Application,
    Candidate,
    Change,
    CustomFields,
    EventType,
    Fact,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
)

_SIGNATURE_PREFIX = "sha256 "  # one space; cut off whole, as lstrip() would eat digits (docs issue 469)
_DELIVERY_ID = "greenhouse-event-id"


class _Meaning(NamedTuple):
    """What an action of an application says: the type, the outcome where the action alone decides it, and which time of
    the application is the event's own; without one, the last activity is it."""

    type: EventType
    outcome: Outcome | None = None
    time: str = "updated_at"


_APPLICATION_ACTIONS = {  # of two that say the same, the first one makes samples
    "new_candidate_application": _Meaning(EventType.APPLICATION_CREATED, time="created_at"),
    "new_prospect_application": _Meaning(EventType.APPLICATION_CREATED, time="created_at"),
    "application_updated": _Meaning(EventType.APPLICATION_UPDATED),
    "candidate_stage_change": _Meaning(EventType.STAGE_CHANGED),
    "hire_candidate": _Meaning(EventType.OUTCOME_CHANGED, Outcome.HIRED, "hired_at"),
    "reject_candidate": _Meaning(EventType.OUTCOME_CHANGED, Outcome.DECLINED, "rejected_at"),
    "unreject_candidate": _Meaning(EventType.OUTCOME_CHANGED, Outcome.PENDING),
    "unhire_candidate": _Meaning(EventType.OUTCOME_CHANGED, Outcome.PENDING),
}
_PERSON_ACTIONS = {  # and where the candidate stands
    "update_candidate": (EventType.CANDIDATE_UPDATED, "candidate"),
    "delete_candidate": (EventType.CANDIDATE_DELETED, "person"),
    "merge_candidate": (EventType.CANDIDATE_MERGED, "person"),
}
_OFFER_ACTIONS = ("offer_created", "offer_approved", "offer_updated", "offer_deleted")
OUTCOMES = {
    "active": Outcome.PENDING,
    "hired": Outcome.HIRED,
    "rejected": Outcome.DECLINED,
    "converted": Outcome.PENDING,  # a prospect who became a candidate; only Harvest's page on applications lists it
}
_REJECTION_KINDS = {  # the types of Harvest's page on rejection reasons; any other counts as OTHER
    "We rejected them": RejectionKind.REJECTED_BY_COMPANY,
    "They rejected us": RejectionKind.WITHDRAWN_BY_CANDIDATE,
}
_LINKS = ("website_addresses", "social_media_addresses")
_OFFER_STATUSES = {
    "Created": OfferStatus.DRAFT,
    "Accepted": OfferStatus.ACCEPTED,
    "Rejected": OfferStatus.DECLINED,
    "Deprecated": OfferStatus.ABANDONED,  # a newer version took its place
}
_RESOLVED = frozenset({OfferStatus.ACCEPTED, OfferStatus.DECLINED, OfferStatus.ABANDONED})
_SAMPLE_ACTIONS = {(said.type, said.outcome): action for action, said in reversed(_APPLICATION_ACTIONS.items())}


class GreenhouseSettings(ClientSettings, SecretSettings):
    api_url: ApiUrl = "https://harvest.greenhouse.io/v3"
    token_url: ApiUrl = "https://auth.greenhouse.io/token"  # noqa: S105 an address
    user_id: int | None = Field(None, description="a site admin of Greenhouse, as whom its API is asked")


class Greenhouse(Handler):
    vendor = "greenhouse"
    title = "Greenhouse Recruiting"
    Settings = GreenhouseSettings
    settings: GreenhouseSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Open Configure > Dev Center > Web Hooks and choose Web Hooks again",
            "for each event below: a name of your choice, the event, the URL, and as secret key the source's secret",
            "leave the error recipient's address filled in, and save: Greenhouse sends a ping, which is answered",
            "to poll: API credentials of Harvest V3 (OAuth) with the scopes to list applications, candidates and jobs",
        ],
        events=[*_APPLICATION_ACTIONS, *_OFFER_ACTIONS, "delete_application", *_PERSON_ACTIONS, "candidate_anonymized"],
        verified="the Signature header, an HMAC-SHA256 over the exact body",
        missing=[
            "who did it, interviews, the candidate of an offer, and the applications that go with a deleted candidate",
            "the stage before, and the job of an offer: the router knows them if it heard of the application before",
            "polling has not met Greenhouse itself so far; it tells no source, custom fields or name of a reason",
        ],
    )
    kept_headers = frozenset({_DELIVERY_ID})

    def verify(self, receipt: Receipt) -> None:
        digest = hex_digest(only_header(receipt, "signature"), prefix=_SIGNATURE_PREFIX)
        check_hmac(digest, receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        onboarding = body.text("event_type", sometimes=True)
        if onboarding and not body.text("action", sometimes=True):
            return ignored(onboarding, "it is of Greenhouse Onboarding, another product")
        action = body.need_text("action")
        if action == "ping":
            return Normalised(Disposition.PING, action)
        if action == "interview_deleted":
            return ignored(action, "it names the interview only, not the application")
        if (tell := _TELLERS.get(action)) is None:
            return ignored(action, NO_TYPE)
        fact = tell(action, body.need_node("payload"))
        # the header is not signed: it names the delivery for people, but two deliveries are told apart by their bodies
        fact = fact.model_copy(update={"vendor_event_id": receipt.header(_DELIVERY_ID)})
        return Normalised(Disposition.EVENTS, action, (fact,), soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        signature = _SIGNATURE_PREFIX + hex_hmac(self.settings.secrets[0], body)
        return Post(body, {_DELIVERY_ID: hashlib.sha256(body).hexdigest()[:32], "signature": signature})

    def sample(self, step: Sample) -> bytes:
        outcome = step.outcome if step.type is EventType.OUTCOME_CHANGED else None
        if (action := _SAMPLE_ACTIONS.get((step.type, outcome))) is None:
            raise ValueError(f"there is no Greenhouse sample of {step.type}")
        body = json.dumps({"action": action, "payload": {"application": _sample_application(step)}})
        # Greenhouse writes non-ASCII characters, < and > as \\uXXXX, then signs (page Introduction; docs issue 276)
        return body.replace("<", "\\u003c").replace(">", "\\u003e").encode()


def _tell_application(action: str, payload: Node) -> Fact:
    meaning = _APPLICATION_ACTIONS[action]
    node = payload.need_node("application")
    hired = action == "hire_candidate"  # the body that is documented for it lacks status, times and stage
    offer, stage = node.node("offer", sometimes=not hired), stage_of(node.node("current_stage", sometimes=hired))
    if stage is None and meaning.type is EventType.STAGE_CHANGED:
        node.need_node("current_stage").need_id("id")
    source, referrer = node.node("source"), _person(node.node("credited_to"))
    application = Application(
        id=node.need_id("id"),
        outcome=meaning.outcome or node.choice("status", OUTCOMES),
        stage=stage,
        created_at=node.time("applied_at", sometimes=hired),
        updated_at=node.time("last_activity_at", sometimes=hired),
        rejected_at=node.time("rejected_at", sometimes=hired),
        hired_at=offer.time("resolved_at") if hired else None,
        rejection_reason=rejection_reason_of(node.node("rejection_reason", sometimes=hired)),
        source=source.text("name", sometimes=True) or source.text("public_name", sometimes=True),  # the docs have both
        referrer=referrer,
        url=node.text("url"),
        is_prospect=node.flag("prospect", sometimes=hired),
        custom_fields=_custom_fields(node),
    )
    candidate = node.node("candidate")
    return Fact(
        type=meaning.type,
        occurred_at=getattr(application, meaning.time) or application.updated_at,
        vendor_event=action,
        application=application,
        candidate=candidate_of(candidate),
        job=_job(node, candidate, referrer),
        to_stage=stage if meaning.type is EventType.STAGE_CHANGED else None,
        offer=_accepted_offer(offer) if hired and offer else None,
    )


def _tell_deleted_application(action: str, payload: Node) -> Fact:
    """Bare ids, and neither who deleted it nor when: ``rejected_by_user_id`` is of the rejection before."""
    node = payload.need_node("application")
    referrer, reason = node.id("referrer_id"), node.id("candidate_rejection_reason_id")
    return Fact(
        type=EventType.APPLICATION_DELETED,
        vendor_event=action,
        application=Application(
            id=node.need_id("id"),
            created_at=node.time("created_at"),
            rejected_at=node.time("rejected_at"),
            rejection_reason=RejectionReason(id=reason) if reason else None,
            referrer=Person(id=referrer) if referrer else None,
            is_prospect=node.flag("prospect"),
        ),
        candidate=Candidate(id=node.id("candidate_id")),
        job=Job(id=node.id("job_id")),
    )


def _tell_offer(action: str, payload: Node) -> Fact:
    deleted = action == "offer_deleted"
    node = payload.need_node("offer") if deleted else payload
    sent_at, status = node.date_or_time("sent_on"), node.choice("offer_status", _OFFER_STATUSES)
    resolved_at = node.time("resolved_at") if status in _RESOLVED and action == "offer_updated" else None
    if deleted:
        status = OfferStatus.ABANDONED
    elif action == "offer_approved":
        status = OfferStatus.APPROVED
    elif status is OfferStatus.DRAFT and sent_at:  # sending has no status of its own
        status = OfferStatus.SENT
    return Fact(
        type=EventType.OFFER_CHANGED,
        occurred_at=resolved_at,
        vendor_event=action,
        application=Application(id=node.need_id("application_id")),
        job=Job(id=node.id("job_id")),
        offer=Offer(
            id=node.id("id"),
            status=status,
            start_date=node.date("start_date", "%m/%d/%Y", sometimes=deleted),
            sent_at=sent_at,
            resolved_at=node.date_or_time("resolved_at"),
            custom_fields=_custom_fields(node, sometimes=deleted),
        ),
    )


def _tell_candidate(action: str, payload: Node) -> Fact:
    type_, root = _PERSON_ACTIONS[action]
    node = payload.need_node(root)
    node.need_id("id")
    return Fact(
        type=type_,
        vendor_event=action,
        candidate=candidate_of(node, flat=root == "person"),
        merged_into=node.id("new_candidate_id") if type_ is EventType.CANDIDATE_MERGED else None,
    )


def _tell_anonymised_candidate(action: str, payload: Node) -> Fact:
    return Fact(
        type=EventType.CANDIDATE_DELETED,
        vendor_event=action,
        candidate=Candidate(id=payload.need_id("candidate_id")),
        changes=[Change(field=name) for name in payload.texts("anonymized_fields")],
    )


_TELLERS: dict[str, Callable[[str, Node], Fact]] = {
    **dict.fromkeys(_APPLICATION_ACTIONS, _tell_application),
    **dict.fromkeys(_OFFER_ACTIONS, _tell_offer),
    "delete_application": _tell_deleted_application,
    **dict.fromkeys(_PERSON_ACTIONS, _tell_candidate),
    "candidate_anonymized": _tell_anonymised_candidate,
}


def stage_of(node: Node) -> Stage | None:
    stage = Stage(id=node.id("id"), name=node.text("name"))
    return stage if stage.id or stage.name else None


def rejection_reason_of(node: Node) -> RejectionReason | None:
    if not node:
        return None
    type_ = node.node("type").text("name")
    kind = _REJECTION_KINDS.get(type_, RejectionKind.OTHER) if type_ else None
    return RejectionReason(id=node.id("id"), name=node.text("name"), kind=kind)


def _accepted_offer(node: Node) -> Offer:
    sent_at = node.date_or_time("sent_at", sometimes=True)
    return Offer(
        id=node.id("id"),
        status=OfferStatus.ACCEPTED,
        start_date=node.date("starts_at"),
        sent_at=sent_at or node.date_or_time("sent_on", sometimes=True),  # the sample's name, else the table's
        resolved_at=node.date_or_time("resolved_at"),
        custom_fields=_custom_fields(node),
    )


def _person(node: Node, *, id_key: str = "id") -> Person | None:
    """A user. Somebody credited who is none has a name only; the hiring team has ids only."""
    id_, name = node.id(id_key, sometimes=True), node.text("name", sometimes=True)
    email = node.text("email", sometimes=True)
    return Person(id=id_, name=name, email=email) if id_ or name or email else None


def candidate_of(node: Node, *, flat: bool = False) -> Candidate | None:
    """``flat`` is the form of deleted and merged ones: names, but no addresses and no custom fields."""
    if not node:
        return None
    first_name, last_name = node.text("first_name"), node.text("last_name")
    return Candidate(
        id=node.id("id"),
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=node.texts_of("email_addresses", "value", sometimes=flat),
        phones=node.texts_of("phone_numbers", "value", sometimes=flat),
        company=node.text("company", sometimes=True),
        title=node.text("title"),
        links=[link for key in _LINKS for link in node.texts_of(key, "value", sometimes=True)],
        tags=node.texts("tags", sometimes=True),
        url=node.text("url", sometimes=True),
        custom_fields=_custom_fields(node, sometimes=flat),
    )


def _job(application: Node, candidate: Node, referrer: Person | None) -> Job | None:
    """The first job; a prospect may have several, or none. ``job`` is the older form, on hires only."""
    jobs = application.nodes("jobs")
    node = jobs[0] if jobs else application.node("job", sometimes=True)
    if not node:
        return None
    recruiter, coordinator = _person(candidate.node("recruiter")), _person(candidate.node("coordinator"))
    known = {person.id: person for person in (referrer, coordinator, recruiter) if person}
    team = node.node("hiring_team", sometimes=True)
    return Job(
        id=node.id("id"),
        title=node.text("name"),
        requisition_id=node.id("requisition_id"),
        status=node.text("status", sometimes=True),
        departments=node.texts_of("departments", "name"),
        offices=node.texts_of("offices", "name"),
        location=next(filter(None, map(_place, node.nodes("offices"))), None),
        recruiters=_people(team, "recruiters", recruiter, known),
        hiring_managers=_people(team, "hiring_managers", None, known),
        coordinators=_people(team, "coordinators", coordinator, known),
        url=node.text("url", sometimes=True),
        custom_fields=_custom_fields(node),
    )


def _place(office: Node) -> str | None:
    """A text, or an object with a name in bodies of former years, as in the API to this day."""
    is_named = isinstance(office.raw.get("location"), dict)
    return office.node("location").text("name") if is_named else office.text("location")


def _people(team: Node, role: str, own: Person | None, known: Mapping[str | None, Person]) -> list[Person]:
    """The candidate's own recruiter or coordinator first, then the job's, with names where the body tells them."""
    members = [person for user in team.nodes(role) if (person := _person(user, id_key="user_id"))]
    others = [known.get(member.id, member) for member in members if own is None or member.id != own.id]
    return [own, *others] if own else others


def _custom_fields(owner: Node, *, sometimes: bool = False) -> CustomFields:
    return {
        key: field.json("value")
        for key, field in owner.named("custom_fields", sometimes=sometimes).items()
        if not is_not_asked_for(key) and not is_not_asked_for(field.text("name", sometimes=True) or "")
    }


def _sample_application(step: Sample) -> dict[str, Any]:
    at = step.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    first_name, _, last_name = step.candidate_name.partition(" ")
    is_number = step.application_id.isascii() and step.application_id.isdecimal() and step.application_id[0] != "0"
    application: dict[str, Any] = json.loads(_SAMPLE)
    identifier = int(step.application_id) if is_number else step.application_id
    application |= {"id": identifier, "applied_at": at, "last_activity_at": at}
    application["candidate"] |= {"first_name": first_name, "last_name": last_name, "created_at": at}
    application["jobs"][0]["name"] = step.job_title
    if step.stage:
        # a stage is known by its id: another name, another id
        application["current_stage"] = {"id": crc32(step.stage.encode()), "name": step.stage, "interviews": []}
    if step.outcome is Outcome.DECLINED:
        reason = {"id": 14, "name": "Lacks experience", "type": {"id": 1, "name": "We rejected them"}}
        application |= {"status": "rejected", "rejected_at": at, "rejection_reason": reason}
    elif step.outcome is Outcome.HIRED:
        offer = {"id": 300412, "version": 1, "created_at": at, "sent_at": at[:10], "resolved_at": at}
        application |= {"status": "hired", "offer": {**offer, "starts_at": at[:10], "custom_fields": {}}}
    return application


_SAMPLE = """{
"id": null, "rejected_at": null, "prospect": false, "status": "active", "applied_at": null, "last_activity_at": null,
"url": "https://app.greenhouse.io/people/81200457", "source": {"id": 2, "public_name": "Jobs page on your website"},
"credited_to": {"id": 4107, "email": "recruiter@example.com", "name": "Lena Hart", "employee_id": "E-118"},
"rejection_reason": null, "current_stage": null, "custom_fields": {},
"candidate": {"id": 81200457, "first_name": null, "last_name": null, "title": "Engineer", "company": "Example Works",
  "created_at": null, "url": "https://app.greenhouse.io/people/81200457", "is_private": false, "tags": ["made up"],
  "phone_numbers": [], "email_addresses": [{"value": "candidate@example.org", "type": "personal"}],
  "recruiter": {"id": 4107, "email": "recruiter@example.com", "name": "Lena Hart", "employee_id": "E-118"},
  "coordinator": null, "attachments": [], "custom_fields": {}},
"jobs": [{"id": 512033, "name": null, "requisition_id": "ENG-204", "status": "open",
  "departments": [{"id": 77, "name": "Engineering"}], "offices": [{"id": 31, "name": "Leeds", "location": "Leeds, UK"}],
  "hiring_team": {"hiring_managers": [{"user_id": 4120}], "recruiters": [{"user_id": 4107}], "coordinators": []},
  "custom_fields": {"employment_type": {"name": "Employment Type", "type": "single_select", "value": "Full-time"}}}]
}"""
