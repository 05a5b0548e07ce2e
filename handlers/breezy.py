"""Breezy HR: signed push; endpoints are registered by the API, which tells each one's secret once.

Source: developer.breezy.hr/reference (webhooks, webhook-events, webhook-management-api, customer-guide), read in 2026.
An application has no id of its own: it is a candidate of a position. Whether a stage means hired or disqualified is in
no webhook.
"""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote
from zlib import crc32

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Drift, Handler, Normalised, Post, Receipt, Rejected, Sample, ignored
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, ApiProblem, NotThere
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node
from handlers.settings import ApiUrl, ConnectSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import Application, Candidate, EventType, Fact, Job, Person, Stage
from router.secret import Secret

_SIGNATURE = "x-hook-signature"
_TYPES = {
    "candidateAdded": EventType.APPLICATION_CREATED,
    "candidateStatusUpdated": EventType.STAGE_CHANGED,
    "candidateDeleted": EventType.CANDIDATE_DELETED,
}
_SAMPLES: dict[EventType, str] = {type_: event for event, type_ in _TYPES.items() if event != "candidateDeleted"}


class BreezySettings(ConnectSettings):
    api_key: Secret | None = Field(None, description="a personal access token (My Settings > API Keys), for connect")
    company_id: str | None = Field(None, min_length=1, description="the company's _id, as GET /companies answers it")
    api_url: ApiUrl = "https://api.breezy.hr/v3"

    together: ClassVar[Sequence[str]] = ("api_key", "company_id")


class Breezy(Connects, Handler):
    vendor = "breezy"
    title = "Breezy HR"
    Settings = BreezySettings
    settings: BreezySettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Have webhooks switched on by Breezy's support: they are of the Pro plan",
            "create a token in My Settings > API Keys and ask https://api.breezy.hr/v3/companies with it (header"
            " Authorization, without Bearer) for the company's _id",
            "give the source api_key, company_id and `secret: pending`, start the router and run `ats-router connect`",
            "or post url, description and events to /v3/company/COMPANY/webhook_endpoints yourself: the answer shows"
            " the secret (whsec_...) this one time",
            "name the stages that mean hired or rejected, by id or name, in the source's `stages:`",
        ],
        events=list(_TYPES),
        verified="X-Hook-Signature, an HMAC-SHA256 over the exact body or, as one page of the docs has it, over the"
        " same JSON written without spaces",
        missing=[
            "hired and rejected, unless `stages:` tells which stages mean it; rejection reasons, interviews, offers",
            "the stage before (the router knows it from the event before)",
            "candidates that Breezy deletes by itself after the time that GDPR settings allow",
            "webhooks of the older kind (is_legacy), which may be unsigned, are refused",
            "whether and how often a failed delivery is tried again is not documented",
        ],
    )

    def verify(self, receipt: Receipt) -> None:
        digest = hex_digest(only_header(receipt, _SIGNATURE))
        for signed in (receipt.body, _compact(receipt.body, ensure_ascii=True)):
            with suppress(Rejected):
                return check_hmac(digest, signed, self.settings.secrets)
        # one page of the docs signs the body, another what JSON.stringify, or Python with escapes, makes of it
        return check_hmac(digest, _compact(receipt.body), self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        event = body.need_text("type")
        type_ = _TYPES.get(event)
        if type_ is None:
            return ignored(event, NO_TYPE)
        id_ = body.id("_id")
        fact = _tell(event, type_, id_, body.time("creation_date"), body.need_node("object"))
        dedupe = f"{event}:{id_}" if id_ else None
        return Normalised(Disposition.EVENTS, event, (fact,), dedupe=dedupe, soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: hex_hmac(self.settings.secrets[0], body)})

    def sample(self, step: Sample) -> bytes:
        event = _SAMPLES.get(step.type)
        if event is None:
            raise ValueError(f"there is no Breezy HR sample of {step.type}")
        at = step.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        contact = {"email_address": "candidate@example.org", "phone_number": ""}
        told = {
            "position": {"_id": "p7c2d19e40ab", "name": step.job_title, "location": {"name": "Leeds, UK"}},
            "stage": {"id": crc32((step.stage or "").encode()), "name": step.stage},  # another name, another id
            "entered_stage": at,
            "candidate": {"_id": step.application_id, "name": step.candidate_name, **contact, "tags": []},
            "acting_user": {"_id": "u3309c41d", "name": "Lena Hart", "email_address": "recruiter@example.com"},
            "source": {"type": "applied", "id": "careers", "name": "Careers Page"},
        }
        body = {"_id": f"{crc32(repr(step).encode()):08x}", "type": event, "object": told, "creation_date": at}
        return json.dumps(body, ensure_ascii=False).encode()

    def access(self) -> Access | None:
        if self.settings.api_key is None:
            return None
        headers = {"authorization": self.settings.api_key.get_secret_value()}
        return Access(self.settings.api_url, headers, per_second=1.5, at_once=1)  # 100 calls a minute

    def plan(self, url: str) -> Sequence[str]:
        return [f"create a webhook endpoint of company {self.settings.company_id} at {url} for {', '.join(_TYPES)}"]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        wanted = {"url": url, "description": "ats-router", "events": list(_TYPES)}
        made = await api.send("POST", f"{self._company}/webhook_endpoints", wanted)
        if (id_ := made.id("id")) is None:
            raise ApiProblem("Breezy's answer does not tell the id of the endpoint")
        hook = Hook(id_, tuple(_TYPES), made.text("secret"))
        yield hook
        if hook.secret is None:
            raise ApiProblem("Breezy's answer does not tell the endpoint's secret: take it back, and connect again")

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        ours = {hook.id for hook in hooks}
        there = (await api.get(f"{self._company}/webhook_endpoints")).nodes("data")
        return {id_ for node in there if (id_ := node.id("id")) in ours and _leads_to(node, url)}

    async def remove(self, hook: Hook, api: Api) -> None:
        with suppress(NotThere):
            await api.send("DELETE", f"{self._company}/webhook_endpoint/{quote(hook.id, safe='')}")

    @property
    def _company(self) -> str:
        return f"/company/{quote(self.settings.company_id or '', safe='')}"


def _compact(body: bytes, *, ensure_ascii: bool = False) -> bytes:
    """The body as JSON.stringify writes what JSON.parse read of it: no spaces, no escapes, no .0 at whole numbers."""
    try:
        parsed = json.loads(body, parse_float=_shortened)
        return json.dumps(parsed, ensure_ascii=ensure_ascii, separators=(",", ":")).encode(errors="replace")
    except (ValueError, RecursionError):
        return body


def _shortened(digits: str) -> float:
    number = float(digits)
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def _leads_to(endpoint: Node, url: str) -> bool:
    is_on = endpoint.text("status") == "active" and endpoint.flag("enabled", sometimes=True) is not False
    return is_on and endpoint.text("url") == url


def _tell(event: str, type_: EventType, id_: str | None, at: datetime | None, told: Node) -> Fact:
    person, position = told.need_node("candidate"), told.node("position")
    candidate_id, deleted = person.need_id("_id"), type_ is EventType.CANDIDATE_DELETED
    position_id = position.id("_id") if deleted else told.need_node("position").need_id("_id")
    stage, source = _stage(told.node("stage", sometimes=deleted)), told.node("source", sometimes=True)
    if stage is None and type_ is EventType.STAGE_CHANGED:
        raise Drift("object.stage", "has neither an id nor a name")
    name = source.text("name") or told.node("external_source", sometimes=True).text("name")
    application = Application(id=f"{position_id}:{candidate_id}", stage=stage, source=name) if position_id else None
    email, phone = person.text("email_address"), person.text("phone_number")
    actor = told.node("acting_user", sometimes=True)
    return Fact(
        type=type_,
        occurred_at=told.time("entered_stage", sometimes=deleted) or at,
        vendor_event=event,
        vendor_event_id=id_,
        vendor_version=at.isoformat(timespec="microseconds") if at else None,
        application=application,
        candidate=Candidate(
            id=candidate_id,
            name=person.text("name"),
            emails=[email] if email else [],
            phones=[phone] if phone else [],
            tags=person.texts("tags", sometimes=True),
        ),
        job=Job(id=position_id, title=position.text("name"), location=position.node("location").text("name")),
        to_stage=stage if type_ is EventType.STAGE_CHANGED else None,
        actor=Person(id=actor.id("_id"), name=actor.text("name"), email=actor.text("email_address")) if actor else None,
    )


def _stage(node: Node) -> Stage | None:
    id_, name = node.id("id"), node.text("name")
    return Stage(id=id_, name=name) if id_ or name else None
