"""JazzHR: signed push of a whole candidate, by hand or by a Workflow Helper attached to a step; it tells no change.

Source: source/includes/webhook of github.com/JazzHR/api-doc, read in 2026, in its shapes of 2018 and 2019, a receiver
of the latter, and the beginning of the page that came after it, apidoc.jazzhrapis.com/candidate-export. An export lists
applications ("profiles"), each with its job ("opening").
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from handlers.base import NO_TYPE, Disposition, Drift, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import state_facts
from handlers.reading import Node, whole_name
from handlers.settings import SecretSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import Application, Candidate, EventType, Fact, Job, Outcome, Person, Stage, StageKind

_EVENT, _SIGNATURE, _PROFILE_URL = "x-jazzhr-event", "x-jazzhr-signature", "link"
_REQUEST_ID = "x-jazzhr-uuid"  # not signed: it names the request for people, and tells no two of them apart
_VERIFY, _EXPORT = "VERIFY", "CANDIDATE-EXPORT"


class _Category(NamedTuple):
    """What the category of a step says of an application that stands in it."""

    outcome: Outcome
    kind: StageKind | None = None


_CATEGORIES = {
    "New": _Category(Outcome.PENDING, StageKind.APPLIED),
    "Active": _Category(Outcome.PENDING),
    "Hired": _Category(Outcome.HIRED, StageKind.HIRED),
    "Not Hired": _Category(Outcome.DECLINED, StageKind.REJECTED),
}
_CATEGORY_NAMES = {name: name for name in _CATEGORIES}
_UNTOLD = (None, None)
_SAMPLE_CATEGORIES: Mapping[tuple[EventType, Outcome], str] = {
    (EventType.APPLICATION_CREATED, Outcome.PENDING): "New",
    (EventType.STAGE_CHANGED, Outcome.PENDING): "Active",
    (EventType.OUTCOME_CHANGED, Outcome.HIRED): "Hired",
    (EventType.OUTCOME_CHANGED, Outcome.DECLINED): "Not Hired",
}


class JazzHR(Handler):
    vendor = "jazzhr"
    title = "JazzHR"
    Settings = SecretSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Open the settings of the Candidate Export webhook under Integrations, enter the URL and, as its secret,"
            " the source's secret (JazzHR lets it be empty; then nothing is accepted here)",
            "save: JazzHR sends a VERIFY event, which is answered",
            "attach the Candidate Export helper to every step of every workflow: a step without it tells nothing",
        ],
        events=[_EXPORT],
        verified="the X-JazzHR-Signature header, an HMAC-SHA256 over the exact body",
        missing=[
            "the stage before (the router knows it from the export before), who did it, why somebody was not hired",
            "an export tells what an application is now: of the category New it counts as created, of any other one"
            " what differs from the export before becomes the events",
            "moves to steps without the helper; deletions",
            "the documentation in reach is of 2019, but for the beginning of a newer one, which no longer says that"
            " JazzHR repeats what failed",
        ],
    )
    kept_headers = frozenset({_EVENT, _REQUEST_ID, _PROFILE_URL})

    def verify(self, receipt: Receipt) -> None:
        check_hmac(hex_digest(only_header(receipt, _SIGNATURE)), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        if not receipt.body and receipt.header(_EVENT) == _VERIFY:  # how it was in 2018
            return Normalised(Disposition.PING, _VERIFY)
        body = Node.parse(receipt.body)
        event = receipt.header(_EVENT) or _event_of(body) or _EXPORT
        if event == _VERIFY:
            return Normalised(Disposition.PING, event)
        if event != _EXPORT:
            return ignored(event, NO_TYPE)
        export = body.need_node("candidate")
        person = export.node("person")
        candidate = _candidate(person, _https(receipt.header(_PROFILE_URL)))
        details = _Details(body, person)
        facts = [fact for profile in export.nodes("profiles") for fact in _profile_facts(profile, candidate, details)]
        if not facts:
            if "candidate.profiles" in body.soft_drift:
                raise Drift("candidate.profiles", "is missing or no list")
            return ignored(event, "the candidate is attached to no job", soft_drift=body.soft_drift)
        named = tuple(fact.model_copy(update={"vendor_event_id": receipt.header(_REQUEST_ID)}) for fact in facts)
        return Normalised(Disposition.EVENTS, event, named, soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        headers = {_SIGNATURE: hex_hmac(self.settings.secrets[0], body)}
        with suppress(Drift):
            if event := _event_of(Node.parse(body)):
                headers[_EVENT] = event
        return Post(body, headers)

    def sample(self, step: Sample) -> bytes:
        category = _SAMPLE_CATEGORIES.get((step.type, step.outcome))
        if category is None:
            raise ValueError(f"there is no JazzHR sample of {step.type}")
        return json.dumps({"candidate": _sample_candidate(step, category)}).encode()


def _event_of(body: Node) -> str | None:
    """The event as the body shows it: the header that names it is not signed."""
    if body.node("candidate", sometimes=True):
        return _EXPORT
    return _VERIFY if body.text("data", sometimes=True) else None


class _Details:
    """What all applications have in common, and what the shape of 2018 tells beside the candidate, by the ids of
    people, profiles and openings."""

    __slots__ = ("applied_at", "job_codes", "jobs", "referrer", "statuses")

    def __init__(self, body: Node, person: Node) -> None:
        self.applied_at = person.time("applyDate", zone=UTC, sometimes=True)
        people = body.named("additionalPersonInformation", sometimes=True)  # the rest of it is EEO answers and the like
        more = people.get(person.node("id").id("value") or "", Node.of({}))
        name = more.text("referrer", sometimes=True)
        self.referrer = Person(name=name) if name else None
        self.statuses = body.named("additionalProfileInformation", sometimes=True)
        self.job_codes = body.named("additionalPositionOpeningsInformation", sometimes=True)
        self.jobs = {
            job.node("positionId").id("value"): (job, opening.text("statusCode"))
            for opening in body.nodes("positionOpenings", sometimes=True)
            for job in opening.nodes("positionProfiles")
        }


def _profile_facts(profile: Node, candidate: Candidate, details: _Details) -> Iterator[Fact]:
    """A profile is one application. Should it list several openings after all, each of them is one."""
    identifier = profile.node("profileId").need_id("value")
    older = details.statuses.get(identifier)
    openings = profile.nodes("associatedPositionOpenings")
    if not openings:
        yield from _facts(_older_status(older), identifier, candidate, None, details)
    for opening in openings:
        job_id = opening.node("positionOpeningId").id("value")
        application_id = identifier
        if len(openings) > 1:
            application_id = f"{identifier}:{opening.node('positionOpeningId').need_id('value')}"
        yield from _facts(_status(opening, older), application_id, candidate, _job(opening, job_id, details), details)


class _Status(NamedTuple):
    name: str | None = None
    category: str | None = None
    since: datetime | None = None

    @property
    def is_new(self) -> bool:
        # before there was the category New, the first step, New, was of the category Active
        return self.category == "New" or (self.category == "Active" and self.name == "New")


def _status(opening: Node, older: Node | None) -> _Status:
    """Times have no mark in some exports and one in others; either is UTC, as the page Field Types says."""
    node = opening.node("candidateStatus", sometimes=True)
    if not node:
        return _older_status(older)
    return _Status(node.text("name"), _category(node, "category"), node.time("transitionDateTime", zone=UTC))


def _older_status(node: Node | None) -> _Status:
    if node is None:
        return _Status()
    since = node.time("workflowDispositionDatetime", zone=UTC)
    return _Status(node.text("workflowStatus"), _category(node, "workflowStatusCategory"), since)


def _category(node: Node, key: str) -> str | None:
    return node.choice(key, _CATEGORY_NAMES)


def _facts(
    status: _Status, application_id: str, candidate: Candidate, job: Job | None, details: _Details
) -> tuple[Fact, ...]:
    outcome, kind = _CATEGORIES[status.category] if status.category else _UNTOLD
    created, now = state_facts(
        _EXPORT,
        Application(
            id=application_id,
            outcome=outcome,
            stage=Stage(name=status.name, kind=kind) if status.name else None,
            created_at=details.applied_at,
            referrer=details.referrer,
            hired_at=status.since if outcome is Outcome.HIRED else None,
            rejected_at=status.since if outcome is Outcome.DECLINED else None,
        ),
        candidate=candidate,
        job=job,
        changed_at=status.since,
    )
    if status == _Status():  # an export in the shape of 2018 may tell no step: then it tells of a change and no more
        return (now.model_copy(update={"is_snapshot": False}),)
    if not status.is_new:
        return (now,)
    # the second fact is for those who come back to New: an application is created only once
    return created.model_copy(update={"occurred_at": status.since or details.applied_at}), now


def _candidate(person: Node, url: str | None) -> Candidate:
    name, ways = person.node("name"), person.node("communication")
    return Candidate(
        id=person.node("id").id("value"),
        name=name.text("formattedName"),
        first_name=name.text("given"),
        last_name=name.text("family"),
        emails=ways.texts_of("email", "address"),
        phones=ways.texts_of("phone", "formattedNumber"),
        location=next(filter(None, map(_place, ways.nodes("address"))), None),
        links=_links(ways),
        url=url,
    )


def _place(address: Node, states: str = "countrySubdivisions") -> str | None:
    """City and state; nobody asked for the street."""
    parts = [address.text("city"), *address.texts_of(states, "value", sometimes=True)]
    return ", ".join(part for part in parts if part) or None


def _links(ways: Node) -> list[str]:
    """``web`` is a list of named URLs, or a piece of HTML, which is left alone."""
    web = ways.json("web", sometimes=True)
    if not isinstance(web, list):
        return []
    return [url for link in web if isinstance(link, dict) and isinstance(url := link.get("url"), str) and url]


def _job(opening: Node, job_id: str | None, details: _Details) -> Job:
    node, status = details.jobs.get(job_id, (Node.of({}), None))
    code = details.job_codes.get(job_id or "", Node.of({}))
    places = (_place(place, "countrySubDivisions") for place in node.nodes("positionLocation", sometimes=True))
    return Job(
        id=job_id,
        title=opening.text("positionTitle"),
        requisition_id=code.id("internalJobCode", sometimes=True),
        status=status,
        departments=[
            name
            for unit in node.nodes("positionOrganizations", sometimes=True)
            if unit.text("responsibilityCode") == "Department" and (name := unit.text("name"))
        ],
        location=next(filter(None, places), None),
        hiring_managers=[manager for manager in _hiring_managers(node) if manager.name or manager.email],
        url=_https(opening.text("positionUri")),
    )


def _hiring_managers(job: Node) -> Iterator[Person]:
    """Whom the job's postings name as the one to turn to."""
    for posting in job.nodes("postingInstructions", sometimes=True):
        for method in posting.nodes("applicationMethods", sometimes=True):
            contact = method.node("personContact", sometimes=True)
            if contact.text("roleCode", sometimes=True) == "Hiring Manager":
                name, ways = contact.node("name"), contact.node("communication", sometimes=True)
                email = next(iter(ways.texts_of("email", "address", sometimes=True)), None)
                yield Person(name=whole_name(name.text("given"), name.text("family")), email=email)


def _https(uri: str | None) -> str | None:
    """A URL that people may follow; JazzHR leaves the scheme of a job's address out."""
    uri = (uri or "").strip().removeprefix("<").partition(">")[0]
    if uri.startswith("https://"):
        return uri
    return f"https://{uri}" if "/" in uri and ":" not in uri and not uri.startswith("/") else None


def _sample_candidate(step: Sample, category: str) -> dict[str, Any]:
    at = step.at.astimezone(UTC)
    first_name, _, last_name = step.candidate_name.partition(" ")
    return {
        "person": {
            "id": {"value": "20441907", "schemeId": "JazzHR Candidate", "schemeAgencyId": "JazzHR"},
            "name": {"formattedName": step.candidate_name, "given": first_name, "family": last_name},
            "applyDate": f"{at:%Y-%m-%d}",
            "communication": {"address": [], "phone": [], "email": [{"address": "candidate@example.org"}], "web": None},
        },
        "profiles": [
            {
                "profileId": {"value": step.application_id, "schemeId": "JazzHR Job Application"},
                "associatedPositionOpenings": [
                    {
                        "positionOpeningId": {"value": "884211", "schemeId": "JazzHR Job"},
                        "positionTitle": step.job_title,
                        "positionUri": "example.applytojob.com/apply/AbCdEf12Gh/Sample",
                        "candidateStatus": {
                            "name": step.stage or category,
                            "category": category,
                            "transitionDateTime": f"{at:%Y-%m-%d %H:%M:%S}",
                        },
                    }
                ],
            }
        ],
    }
