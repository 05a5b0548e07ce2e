"""iCIMS: unsigned push of bare ids, set up by iCIMS or a partner; what proves the sender is a secret in the URL's path.

Source: public receivers and clients (macat/connect, MAPC/youth_match, employmeo), api-evangelist/icims; read in 2026.
Bodies tell neither a time nor an event id, and name statuses by other ids than the API does (1753 for C36951).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, ClassVar, Self
from urllib.parse import quote
from zlib import crc32

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import NO_TYPE, Disposition, Handler, Normalised, Post, Receipt, Sample, ignored, windowed
from handlers.enriching import Access, Api, Enriches, NotThere, basic
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import check_secret
from router.schema import Application, Candidate, EventType, Fact, Job, Outcome, Person, Stage
from router.secret import Secret

_MOVED, _APPLIED = "WorkFlowStatusChangeEvent", "ApplicationCompletedEvent"
_TYPES = {_MOVED: EventType.STAGE_CHANGED, _APPLIED: EventType.APPLICATION_CREATED}
_PERSON_FIELDS = {"fields": "firstname,lastname,email,phones"}
_SAMPLE_EVENTS: Mapping[tuple[EventType, Outcome], str] = {
    (kind, Outcome.PENDING): event for event, kind in _TYPES.items()
}


def _written(number: object) -> object:
    return str(number) if type(number) is int else number


class IcimsSettings(SecretSettings):
    customer_id: Annotated[str, BeforeValidator(_written)] | None = Field(
        None, description="your iCIMS customer id; what is of another customer is ignored"
    )
    username: str | None = Field(None, description="of an API user; asks for names, job and status")
    password: Secret | None = Field(None, description="of the API user")
    api_url: ApiUrl = Field("https://api.icims.com", description="another one for Europe, Canada or a sandbox")

    together: ClassVar[Sequence[str]] = ("username", "password")

    @model_validator(mode="after")
    def _customer_is_known(self) -> Self:
        if self.username is not None and self.customer_id is None:
            raise PydanticCustomError("api", "the API is asked for one customer: give customer_id too")
        return self


class Icims(Enriches, Handler):
    vendor = "icims"
    title = "iCIMS"
    Settings = IcimsSettings
    settings: IcimsSettings
    guide = Guide(
        proof=Proof.SENDER,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "Make a secret of letters and digits: whoever knows it can send events",
            "ask iCIMS (or the partner who runs your integration) to subscribe the URL with /SECRET at its end,"
            " as in https://example.com/webhooks/icims/SECRET, to the events below",
            "give customer_id, and an API user's username and password: without them events hold ids only",
        ],
        events=[_MOVED, _APPLIED],
        verified="the secret at the end of the URL's path",
        missing=[
            "when it happened",
            "names of statuses, unless the API is asked; the status is then the one at the moment of asking, and the"
            " one before is known from the event before only, as the API's ids are not those of the webhook",
            "what is a hire or a rejection: say it with stages",
            "OAuth and signed requests for the API are not supported, Basic authentication is",
            "newer event subscriptions of iCIMS, if your account has them, are not documented in public",
        ],
        enrichment="the person's name, e-mail address and phone numbers, the job's title, the name of the status",
    )

    secret_in_path = True

    def verify(self, receipt: Receipt) -> None:
        check_secret(receipt.rest, self.settings.secrets, where="the path")

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("eventType")
        type_ = _TYPES.get(event)
        if type_ is None:
            return ignored(event, NO_TYPE)
        customer = body.id("customerId")
        if self.settings.customer_id and customer and customer != self.settings.customer_id:
            return ignored(event, "it is of another iCIMS customer")
        fact = _tell_move(body) if type_ is EventType.STAGE_CHANGED else _tell_application(body)
        return Normalised(Disposition.EVENTS, event, (fact,), dedupe=windowed(receipt), soft_drift=body.soft_drift)

    def access(self) -> Access | None:
        if self.settings.username is None or self.settings.password is None or self.settings.customer_id is None:
            return None
        base = f"{self.settings.api_url.rstrip('/')}/customers/{quote(self.settings.customer_id, safe='')}"
        credentials = basic(self.settings.username, self.settings.password.get_secret_value())
        return Access(base, {"authorization": credentials})

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        """The body is not signed: what was fetched decides, and the webhook's own ids of statuses are left out."""
        assert fact.application is not None
        workflow = await api.get(f"/applicantworkflows/{quote(fact.application.id, safe='')}")
        stage = _stage(workflow.node("status"))
        fields = {
            "stage": stage or fact.application.stage,
            "source": workflow.text("sourcename") or workflow.text("source"),
        }
        changes: dict[str, object] = {
            "application": fact.application.model_copy(update=fields),
            "candidate": await _candidate(workflow.node("associatedprofile"), api) or fact.candidate,
            "job": _job(workflow.node("baseprofile")) or fact.job,
            "actor": await _named(fact.actor, api),
            "needs_enrichment": False,
        }
        if fact.type is EventType.STAGE_CHANGED and stage is not None:
            changes |= {"from_stage": None, "to_stage": stage}
        return [fact.model_copy(update=changes)]

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {"content-type": "application/json"}, rest=self.settings.secrets[0].decode())

    def sample(self, step: Sample) -> bytes:
        event = _SAMPLE_EVENTS.get((step.type, step.outcome))
        if event is None:
            raise ValueError(f"there is no iCIMS sample of {step.type}")
        return json.dumps(_sample_body(event, step, self.settings.customer_id or "5512")).encode()


def _tell_move(body: Node) -> Fact:
    before, after = body.id("oldStatus"), Stage(id=body.need_id("newStatus"))
    person, job, user = body.id("personId"), body.id("jobId"), body.id("userId")
    return Fact(
        type=EventType.STAGE_CHANGED,
        vendor_event=_MOVED,
        application=Application(id=body.need_id("systemId"), stage=after),
        candidate=Candidate(id=person) if person else None,
        job=Job(id=job) if job else None,
        from_stage=Stage(id=before) if before else None,
        to_stage=after,
        actor=Person(id=user) if user else None,
        needs_enrichment=True,
    )


def _tell_application(body: Node) -> Fact:
    """``userId`` is the person here, so that nobody is named as the one who did it."""
    linked = {link.text("rel"): link.text("url") for link in body.nodes("links")}
    person, job = _last_part(linked.get("person")), _last_part(linked.get("job"))
    return Fact(
        type=EventType.APPLICATION_CREATED,
        vendor_event=_APPLIED,
        application=Application(id=body.need_id("systemId")),
        candidate=Candidate(id=person) if person else None,
        job=Job(id=job) if job else None,
        needs_enrichment=True,
    )


def _last_part(url: str | None) -> str | None:
    """The id at the end of a link; the link itself is never followed."""
    part = (url or "").rstrip("/").rpartition("/")[2]
    return part if part.isascii() and part.isdecimal() else None


def _stage(status: Node) -> Stage | None:
    identifier, name = status.id("id"), status.text("value") or status.text("formattedvalue")
    return Stage(id=identifier, name=name) if identifier or name else None


def _job(profile: Node) -> Job | None:
    identifier = profile.id("id")
    return Job(id=identifier, title=profile.text("value")) if identifier else None


async def _candidate(profile: Node, api: Api) -> Candidate | None:
    identifier = profile.id("id")
    if identifier is None:
        return None
    person = await _person(identifier, api)
    first_name, last_name = person.text("firstname"), person.text("lastname")
    return Candidate(
        id=identifier,
        name=profile.text("value") or whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email for email in [person.text("email")] if email],
        phones=person.texts_of("phones", "phonenumber"),
    )


async def _named(user: Person | None, api: Api) -> Person | None:
    if user is None or user.id is None:
        return user
    person = await _person(user.id, api, cache=600)
    parts = (person.text("firstname"), person.text("lastname"))
    return Person(id=user.id, name=" ".join(part for part in parts if part) or None, email=person.text("email"))


async def _person(identifier: str, api: Api, *, cache: float = 0.0) -> Node:
    """Users are people too. Nobody is missed who is gone, or not to be seen by the API's user."""
    with suppress(NotThere):
        return await api.get(f"/people/{quote(identifier, safe='')}", _PERSON_FIELDS, cache=cache)
    return Node.of({})


def _sample_body(event: str, step: Sample, customer: str) -> dict[str, object]:
    base = f"https://api.icims.com/customers/{customer}"
    links = {"applicantWorkflow": f"applicantworkflows/{step.application_id}", "job": "jobs/1907"}
    links |= {"person": "people/33051", "user": "people/1204"}
    body: dict[str, object] = {
        "systemId": step.application_id,
        "eventType": event,
        "customerId": customer,
        "userId": "1204" if event == _MOVED else "33051",
        "links": [{"rel": rel, "title": rel, "url": f"{base}/{path}"} for rel, path in links.items()],
    }
    if event == _APPLIED:
        return body | {"returnUrl": "https://jobs-example.icims.com/jobs/1907/job"}
    statuses = {"oldStatus": "1753", "newStatus": str(crc32((step.stage or "").encode()))}
    return body | {"personId": "33051", "jobId": "1907"} | statuses
