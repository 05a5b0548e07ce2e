"""Zoho Recruit: channels that its Notifications API opens for a day; a delivery holds bare ids and the channel's token.

Source: a public receiver and public clients of the API, the pages on notifications and OAuth of Zoho CRM, whose API
Recruit shares, and zoho.com/recruit/developer-guide/apiv2, read in 2026. Nothing is signed. What workflow rules of Zoho
Recruit post has whatever form the customer gave it: that is for the generic handler.
"""

import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import ClassVar
from urllib.parse import quote

from pydantic import Field

from handlers.base import (
    NO_TYPE,
    Disposition,
    Drift,
    Handler,
    Normalised,
    Post,
    Receipt,
    Rejected,
    Sample,
    ignored,
    windowed,
)
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, Enriches, NotThere
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import state_facts
from handlers.reading import Node
from handlers.settings import ApiUrl, ConnectSettings
from handlers.signatures import check_secret, with_fields
from router.access_token import Grant
from router.schema import Application, Candidate, Change, EventType, Fact, Job, Outcome, Person, Stage, StageKind
from router.secret import Secret

_CANDIDATES = "Candidates"
_WATCH = "/recruit/v2/actions/watch"
_CHANNEL_LIFE = timedelta(hours=23, minutes=30)
"""A channel lives a day at most, in versions 2 and 3 of the API of Zoho CRM."""

_OPERATIONS = {
    "insert": EventType.APPLICATION_CREATED,
    "create": EventType.APPLICATION_CREATED,
    "update": EventType.APPLICATION_UPDATED,
    "edit": EventType.APPLICATION_UPDATED,
    "delete": EventType.APPLICATION_DELETED,
}
_OF_CANDIDATES = {
    EventType.APPLICATION_UPDATED: EventType.CANDIDATE_UPDATED,
    EventType.APPLICATION_DELETED: EventType.CANDIDATE_DELETED,
}
_STATUS_FIELDS = {"Applications": "Application_Status", _CANDIDATES: "Candidate_Status"}
_SAMPLE_OPERATIONS: Mapping[tuple[EventType, Outcome], str] = {
    (EventType.APPLICATION_CREATED, Outcome.PENDING): "insert",
    (EventType.STAGE_CHANGED, Outcome.PENDING): "update",
}


class ZohoRecruitSettings(ConnectSettings):
    module: str = Field("Applications", description="the module whose records are the applications")
    status_field: str | None = Field(None, description="its field that holds the stage, by its API name")
    client_id: str | None = Field(None, description="of a client in Zoho's API console")
    client_secret: Secret | None = Field(None, description="of the client")
    refresh_token: Secret | None = Field(None, description="that the client was given for your account")
    accounts_url: ApiUrl = Field(
        "https://accounts.zoho.com", description="accounts.zoho.eu, .in, .com.au, .jp and so on, as your data centre is"
    )
    api_url: ApiUrl = Field(
        "https://recruit.zoho.com", description="recruit.zoho.eu, .in, .com.au, .jp and so on, as your data centre is"
    )

    together: ClassVar[Sequence[str]] = ("client_id", "client_secret", "refresh_token")

    @property
    def stage_field(self) -> str:
        return self.status_field or _STATUS_FIELDS.get(self.module, "Application_Status")


class ZohoRecruit(Enriches, Connects, Handler):
    vendor = "zoho_recruit"
    title = "Zoho Recruit"
    Settings = ZohoRecruitSettings
    settings: ZohoRecruitSettings
    guide = Guide(
        proof=Proof.SENDER,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "In Zoho's API console make a self client, and a refresh token of it for the scopes ZohoRecruit.modules.ALL"
            " and ZohoRecruit.notifications.ALL (if Zoho refuses it: notifications.READ, .CREATE, .UPDATE and .DELETE);"
            " set api_url and accounts_url to your data centre",
            "run ats-router connect: it opens a channel that leads to the URL, with the source's secret as its token",
            "let it be renewed daily: Zoho closes a channel after a day and tells nobody",
            "instead of a channel, Setup > Automation > Workflow Rules can post webhooks (paid plans): their form is"
            " yours, so use the generic handler for them",
        ],
        events=["Applications.all", "Candidates.delete"],
        verified="the field token of the body",
        missing=[
            "deliveries hold ids only: what changed and the stage come from the API, as they are when it is asked",
            "the pages on notifications are those of Zoho CRM; of Zoho Recruit's own only the request has been seen",
            "editions without the module Applications keep the stage in Candidates: set module to Candidates",
            "your own names of stages that are a hire or a rejection: say it with stages",
        ],
        enrichment="stage, candidate, job, times and who changed the record last",
    )
    stage_kinds: ClassVar[Mapping[StageKind, Sequence[str]]] = {  # Zoho's own list of statuses, names are all there is
        StageKind.HIRED: ("Hired", "Joined"),
        StageKind.REJECTED: (
            *("Rejected*", "*-Rejected", "*- Rejected", "Unqualified", "Junk candidate"),
            *("Offer*Declined", "Offer*Withdrawn", "Withdrawn"),
        ),
    }

    def verify(self, receipt: Receipt) -> None:
        try:
            token = Node.parse(receipt.body).text("token")
        except Drift:
            raise Rejected("the body can't be read, so that there is no token in it") from None
        check_secret(token or "", self.settings.secrets, where="the body")

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        module, operation = body.need_text("module"), body.text("operation", sometimes=True)
        event = f"{module}.{operation}" if operation else module
        type_ = _OPERATIONS.get(operation.lower() if operation else "update")
        if module != self.settings.module:
            if module != _CANDIDATES:
                return ignored(event, "it is of another module than the applications")
            type_ = _OF_CANDIDATES.get(type_) if type_ else None
        if type_ is None:
            return ignored(event, NO_TYPE)
        at, affected = body.epoch("server_time", unit=0.001, sometimes=True), _affected(body)
        facts = tuple(self._fact(identifier, type_, event, at, affected.get(identifier)) for identifier in _ids(body))
        return Normalised(Disposition.EVENTS, event, facts, dedupe=windowed(receipt), soft_drift=body.soft_drift)

    def _fact(
        self, identifier: str, type_: EventType, event: str, at: datetime | None, changes: list[Change] | None
    ) -> Fact:
        about_candidate = type_ in _OF_CANDIDATES.values()
        return Fact(
            type=type_,
            occurred_at=at,
            vendor_event=event,
            application=None if about_candidate else Application(id=identifier),
            candidate=Candidate(id=identifier) if about_candidate or self.settings.module == _CANDIDATES else None,
            changes=changes,
            needs_enrichment=type_ not in (EventType.APPLICATION_DELETED, EventType.CANDIDATE_DELETED),
        )

    def access(self) -> Access | None:
        settings = self.settings
        if settings.client_id is None or settings.client_secret is None or settings.refresh_token is None:
            return None
        form = {
            "grant_type": "refresh_token",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.get_secret_value(),
            "refresh_token": settings.refresh_token.get_secret_value(),
        }
        url = f"{settings.accounts_url.rstrip('/')}/oauth/v2/token"
        return Access(settings.api_url, {}, grant=Grant(url, form, "Zoho-oauthtoken"))

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        """Nothing is signed: the record as it is decides, whatever the delivery called it."""
        about_candidate = fact.type is EventType.CANDIDATE_UPDATED
        module, identifier = (_CANDIDATES if about_candidate else self.settings.module), fact.subject[2:]
        answer = await api.get(f"/recruit/v2/{quote(module, safe='')}/{quote(identifier, safe='')}")
        record = next(iter(answer.nodes("data", sometimes=True)), None)
        if record is None:
            raise NotThere("the record is gone")
        candidate = _candidate(record, identifier if module == _CANDIDATES else None)
        if about_candidate:
            return [fact.model_copy(update={"candidate": candidate, "needs_enrichment": False})]
        status = record.text(self.settings.stage_field)
        application = Application(
            id=identifier,
            stage=Stage(name=status) if status else None,
            created_at=record.time("Created_Time"),
            updated_at=record.time("Modified_Time", sometimes=True) or record.time("Updated_On", sometimes=True),
            source=record.text("Source", sometimes=True),
        )
        created, now = state_facts(
            fact.vendor_event,
            application,
            candidate=candidate,
            job=_job(record),
            changed_at=fact.occurred_at,
            actor=_person(record, "Modified_By"),
        )
        if fact.type is not EventType.APPLICATION_CREATED:
            return [now.model_copy(update={"changes": fact.changes})]
        return [created.model_copy(update={"actor": _person(record, "Created_By")}), now]

    def plan(self, url: str) -> Sequence[str]:
        return [f"open a channel for {' and '.join(self._events)} that leads to {url}; it has to be renewed every day"]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        # the same URL has the same channel, so that doing it again renews it
        channel = str(int(sha256(url.encode()).hexdigest()[:12], 16))
        secret = None if self.settings.secrets else secrets.token_urlsafe(32)
        yield await self._watch(Hook(channel, self._events, secret), url, api)

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        answer, now = await api.get(_WATCH, {"page": "1", "per_page": "200"}), datetime.now(UTC)
        open_now = {
            channel.id("channel_id")
            for channel in answer.nodes("watch", sometimes=True)
            if channel.text("notify_url") == url and (channel.time("channel_expiry") or now) > now
        }
        return [hook.id for hook in hooks if hook.id in open_now]

    async def remove(self, hook: Hook, api: Api) -> None:
        with suppress(NotThere):
            await api.send("DELETE", f"{_WATCH}?channel_ids={quote(hook.id, safe='')}")

    async def renew(self, hook: Hook, url: str, api: Api) -> Hook:
        return await self._watch(hook, url, api)

    @property
    def _events(self) -> tuple[str, ...]:
        deletions = () if self.settings.module == _CANDIDATES else (f"{_CANDIDATES}.delete",)
        return (f"{self.settings.module}.all", *deletions)

    async def _watch(self, hook: Hook, url: str, api: Api) -> Hook:
        """Open the channel, or let it live longer: Zoho has one request for both."""
        token = hook.secret or self.settings.secrets[0].decode()
        asked = datetime.now(UTC) + _CHANNEL_LIFE
        channel = {"channel_id": int(hook.id), "events": list(self._events), "token": token, "notify_url": url}
        channel["channel_expiry"] = asked.isoformat(timespec="seconds")
        answer = await api.send("POST", _WATCH, {"watch": [channel]})
        result = next(iter(answer.nodes("watch")), Node.of({}))
        if result.text("status") != "success":
            raise NotThere(f"Zoho Recruit opens no channel ({result.text('code')})")
        told = [event.time("channel_expiry") for event in result.node("details").nodes("events")]
        return replace(hook, events=self._events, expires_at=min(filter(None, told), default=asked))

    def sign(self, body: bytes, at: datetime) -> Post:
        body = with_fields(body, {"token": self.settings.secrets[0].decode()})
        return Post(body, {"content-type": "application/json"})

    def sample(self, step: Sample) -> bytes:
        operation = _SAMPLE_OPERATIONS.get((step.type, step.outcome))
        if operation is None:
            raise ValueError(f"there is no Zoho Recruit sample of {step.type}")
        identifier, module = step.application_id, self.settings.module
        fields = {"module": module, "operation": operation, "ids": [identifier], "channel_id": "90001"}
        affected = [{identifier: [self.settings.stage_field]}] if operation == "update" else []
        at = int(step.at.timestamp() * 1000)
        return json.dumps(fields | {"server_time": at, "affected_fields": affected}).encode()


def _ids(body: Node) -> list[str]:
    """Ids are longer than JavaScript's numbers are exact, so that they should be texts; a number is understood too."""
    ids = body.json("ids")
    if isinstance(ids, str):  # of one connector's deletions
        ids = [part.strip() for part in ids.split(",")]
    if not isinstance(ids, list):
        raise Drift("ids", "is missing or no list")
    found = [str(item) for item in ids if type(item) is int or (isinstance(item, str) and item)]
    if not found:
        raise Drift("ids", "holds no id")
    return list(dict.fromkeys(found))


def _affected(body: Node) -> dict[str, list[Change]]:
    """Which fields of which record changed: ``[{id: [names of fields]}]``."""
    told = body.json("affected_fields", sometimes=True)
    return {
        identifier: [Change(field=name) for name in names if isinstance(name, str)]
        for entry in (told if isinstance(told, list) else ())
        if isinstance(entry, dict)
        for identifier, names in entry.items()
        if isinstance(names, list)
    }


def _candidate(record: Node, identifier: str | None) -> Candidate:
    linked_id, linked_name = _linked(record, "Candidate", "Candidate_Name", "Candidate_Id")
    emails = (record.text("Email", sometimes=True), record.text("Secondary_Email", sometimes=True))
    phones = (record.text("Mobile", sometimes=True), record.text("Phone", sometimes=True))
    place = (record.text(key, sometimes=True) for key in ("City", "State", "Country"))
    return Candidate(
        id=identifier or linked_id or record.id("$Candidate_Id", sometimes=True),
        name=record.text("Full_Name", sometimes=True) or linked_name,
        first_name=record.text("First_Name", sometimes=True),
        last_name=record.text("Last_Name", sometimes=True),
        emails=[email for email in emails if email],
        phones=[phone for phone in phones if phone],
        company=record.text("Current_Employer", sometimes=True),
        title=record.text("Current_Job_Title", sometimes=True),
        location=", ".join(part for part in place if part) or None,
    )


def _job(record: Node) -> Job | None:
    linked_id, title = _linked(record, "Job_Opening_Name", "Posting_Title", "Job_Opening", "Job_Opening_Id")
    identifier = record.id("$Job_Opening_Id", sometimes=True) or linked_id
    return Job(id=identifier, title=title, recruiters=_recruiters(record)) if identifier or title else None


def _recruiters(record: Node) -> list[Person]:
    """Public clients read it as one object, several, or a name alone."""
    key = "Assigned_Recruiter"
    if isinstance(record.raw.get(key), list):
        return [Person(id=node.id("id"), name=node.text("name")) for node in record.nodes(key)]
    person = _person(record, key)
    return [person] if person else []


def _linked(record: Node, *keys: str) -> tuple[str | None, str | None]:
    """Id and name of another record: as an object, or the name alone, under the first of ``keys`` that is there."""
    for key in keys:
        if node := record.node(key, sometimes=True):
            return node.id("id"), node.text("name")
        if name := record.text(key, sometimes=True):
            return None, name
    return None, None


def _person(record: Node, key: str) -> Person | None:
    identifier, name = _linked(record, key)
    return Person(id=identifier, name=name) if identifier or name else None
