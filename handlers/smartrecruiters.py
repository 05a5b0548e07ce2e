"""SmartRecruiters: signed push of bare ids, registered and activated through its API, signed with a key made there.

Sources, read in 2026: developers.smartrecruiters.com (docs/receiving-webhook-notifications, docs/interview-api-1,
reference/subscriptionsgeneratesecretkey-1, reference/applications-2); bodies, statuses and answers of the API from the
SDK that was generated from its specification (github.com/RecruitiFi/smart_recruiters). The event is named in a header.
"""

import json
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Drift, Handler, Normalised, Post, Receipt, Reply, Sample, ignored
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, Enriches, NotThere
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, is_not_asked_for, whole_name
from handlers.settings import ApiUrl, ConnectSettings
from handlers.signatures import check_age, check_any_hmac, hex_digest, hex_hmac, only_header, readable, whole_number
from router.schema import (
    Application,
    Candidate,
    EventType,
    Fact,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

_HOOK_SECRET, _SIGNATURE, _TIMESTAMP = "x-hook-secret", "smartrecruiters-signature", "smartrecruiters-timestamp"
_ID, _NAME, _VERSION, _LINK = _SIGNED = ("event-id", "event-name", "event-version", "link")
_ECHOED = re.compile(r"[!-~]{1,256}")
_LINKED = re.compile(r"<?(https?://[^/>]+)(?:/v\d+)?/candidates/([^/?>]+)/jobs/([^/?>;\s]+)")
_SUBSCRIPTIONS = "/webhooks-api/v201907/subscriptions"
_AHEAD, _RETRIED = 600.0, 7 * 86400.0
"""Retries go on for days, and nobody says whether they are stamped anew. What is repeated within the week is known by
its id, which is kept for longer."""

_CREATED, _MOVED, _FIELDS = "application.created", "application.status.updated", "application.fields.updated"
_CANDIDATE_UPDATED, _CANDIDATE_DELETED = "candidate.updated", "candidate.deleted"
_APPLICATION_EVENTS = (
    *(_CREATED, _MOVED, _FIELDS, "application.source.updated"),
    *("application.onboarding-status.updated", "application.attachment.created"),
    *("application.screening-answers.created", "application.screening-answers.updated"),
)
_OFFER_EVENTS = {  # and the status that the event alone decides
    "offer.created": OfferStatus.DRAFT,
    "offer.updated": None,
    "offer.approval.approved": OfferStatus.APPROVED,
}
_TICKED = (*_APPLICATION_EVENTS[:4], _CANDIDATE_UPDATED, _CANDIDATE_DELETED, *_OFFER_EVENTS)
_NO_EVENT = {  # beginnings of names, and why
    "interview.": "it does not name the job, and an application is a candidate on a job",
    "candidate.created": "whoever is on no job yet is no event, and of others application.created tells",
    "offer.appro": "a step of an approval is no status of an offer",
}
_KINDS = {
    "LEAD": StageKind.OTHER,
    "NEW": StageKind.APPLIED,
    "IN_REVIEW": StageKind.SCREEN,
    "INTERVIEW": StageKind.INTERVIEW,
    "OFFERED": StageKind.OFFER,
    "HIRED": StageKind.HIRED,
    "REJECTED": StageKind.REJECTED,
    "WITHDRAWN": StageKind.REJECTED,
    "TRANSFERRED": StageKind.OTHER,  # to another job, where it is another application
}
_OUTCOMES = {StageKind.HIRED: Outcome.HIRED, StageKind.REJECTED: Outcome.DECLINED}
_OFFER_STATUSES = {
    **dict.fromkeys(("CREATED", "PENDING_APPROVAL", "NOT_APPROVED"), OfferStatus.DRAFT),
    "APPROVED": OfferStatus.APPROVED,
    "PENDING_ACCEPTANCE": OfferStatus.SENT,
    "ACCEPTED": OfferStatus.ACCEPTED,
    "NOT_ACCEPTED": OfferStatus.DECLINED,
    "ABANDONED": OfferStatus.ABANDONED,
}


class SmartRecruitersSettings(ConnectSettings):
    api_key: Secret | None = Field(None, description="an administrator's API key: to connect, and for all but ids")
    api_url: ApiUrl = Field("https://api.smartrecruiters.com", description="the API's host; another one for a sandbox")


class SmartRecruiters(Enriches, Connects, Handler):
    vendor = "smartrecruiters"
    title = "SmartRecruiters"
    Settings = SmartRecruitersSettings
    settings: SmartRecruitersSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Make an API key as an administrator, under Credential Manager: it is `api_key`; write `secret: pending`",
            "start the router and run `ats-router connect` with the source: it registers the URL for the events below,"
            " activates it (SmartRecruiters tries it, which is answered) and has the key made that signs",
        ],
        events=_TICKED,
        verified="the smartrecruiters-signature header, an HMAC-SHA256 over time, exact body, id, name, version and"
        " link; a week old at most, as retries go on for days. The handshake is not signed: its header is sent back,"
        " and it is never an event",
        missing=[
            "who did it",
            "interviews: their webhooks name the candidate but not the job, for which the API is not asked; and an"
            " application here is that pair",
            "without an API key: names, statuses and outcomes, so that a hire is an ApplicationUpdated of bare ids",
            "with an API key, what the common event has no field for makes no event: attachments, the onboarding"
            " status, and screening answers, which may hold EEO answers and are never fetched",
            "its list does not say when somebody applied, so that `poll: {backfill: ...}` tells nothing at first;"
            " `ats-router backfill` tells what was updated since",
            "whether a new status counts as an update in its list is not documented; everything is read once a day",
        ],
        enrichment="names, the status and the one before with their times (so the outcome, hires too), reasons, the"
        " source, the job, application fields when they change, the status of offers",
    )
    success = 202
    kept_headers = frozenset({_TIMESTAMP, *_SIGNED})

    def verify(self, receipt: Receipt) -> None:
        if _handshake(receipt) is not None:
            return
        signatures = only_header(receipt, _SIGNATURE).split(";")
        sent_at = whole_number(only_header(receipt, _TIMESTAMP))
        digests = readable(signatures, lambda signature: hex_digest(signature, prefix="v1="))
        check_any_hmac(digests, _message(receipt), self.settings.secrets)
        is_ahead = sent_at > receipt.received_at.timestamp()
        check_age(sent_at, receipt, tolerance=_AHEAD if is_ahead else _RETRIED)

    def normalise(self, receipt: Receipt) -> Normalised:
        if (secret := _handshake(receipt)) is not None:
            return Normalised(Disposition.HANDSHAKE, reply=Reply(headers={"X-Hook-Secret": secret}))
        body = Node.parse(receipt.body)
        event, id_ = receipt.header(_NAME), receipt.header(_ID)
        if not event:
            raise Drift(f"the header {_NAME}", "is missing")
        # the body is the same at every change of a status: without an id, the time tells two events apart
        dedupe = f"{event}:{id_ or f'{receipt.header(_TIMESTAMP)}:{sha256(receipt.body).hexdigest()}'}"
        fact = self._fact(event, body, receipt)
        if fact is None:
            why = next((why for beginning, why in _NO_EVENT.items() if event.startswith(beginning)), NO_TYPE)
            return ignored(event, why, dedupe=dedupe)
        at = Node.of({"at": receipt.header(_TIMESTAMP)}).epoch("at")
        fact = fact.model_copy(update={"vendor_event_id": id_, "occurred_at": at})
        return Normalised(Disposition.EVENTS, event, (fact,), dedupe=dedupe, soft_drift=body.soft_drift)

    def _fact(self, event: str, body: Node, receipt: Receipt) -> Fact | None:
        if event in (_CANDIDATE_UPDATED, _CANDIDATE_DELETED):
            gone = event == _CANDIDATE_DELETED
            type_ = EventType.CANDIDATE_DELETED if gone else EventType.CANDIDATE_UPDATED
            candidate = Candidate(id=body.id("candidate_id", sometimes=True) or body.need_id("id"))
            return Fact(type=type_, vendor_event=event, candidate=candidate, needs_enrichment=not gone)
        offer = event in _OFFER_EVENTS
        if not offer and event not in _APPLICATION_EVENTS:
            return None
        type_ = EventType.APPLICATION_CREATED if event == _CREATED else EventType.APPLICATION_UPDATED
        candidate_id, job_id = self._pair(body, receipt)
        return Fact(
            type=EventType.OFFER_CHANGED if offer else type_,
            vendor_event=event,
            application=Application(id=f"{candidate_id}:{job_id}", remote_id=body.id("application_id", sometimes=True)),
            candidate=Candidate(id=candidate_id),
            job=Job(id=job_id),
            offer=_offer_said(event, body) if offer else None,
            needs_enrichment=True,
        )

    def _pair(self, body: Node, receipt: Receipt) -> tuple[str, str]:
        """The candidate and the job, which are what identifies an application (reference/applications-2)."""
        candidate, job = body.id("candidate_id", sometimes=True), body.id("job_id", sometimes=True)
        if not (candidate and job) and body.id("id", sometimes=True):  # the body that the docs print; the link says it
            link = _LINKED.match(receipt.header(_LINK) or "")
            if link and link[1] == self.settings.api_url.rstrip("/"):
                return link[2], link[3]
        return candidate or body.need_id("candidate_id"), job or body.need_id("job_id")

    def sign(self, body: bytes, at: datetime) -> Post:
        event = _CANDIDATE_UPDATED if b'"id"' in body else "something.else"  # the name does not stand in the body
        event = _CREATED if b'"candidate_id"' in body and b'"job_id"' in body else event
        values = (sha256(body).hexdigest()[:32], event, "v201910", f"<{self.settings.api_url}/>; rel=self")
        headers = {_TIMESTAMP: str(int(at.timestamp())), **dict(zip(_SIGNED, values, strict=True))}
        message = _message(Receipt(tuple(headers.items()), body, at))
        return Post(body, {**headers, _SIGNATURE: f"v1={hex_hmac(self.settings.secrets[0], message)}"})

    def sample(self, step: Sample) -> bytes:
        if step.type is not EventType.APPLICATION_CREATED:
            raise ValueError(f"there is no SmartRecruiters sample of {step.type}: its webhooks do not tell what it is")
        candidate, job = f"candidate-{step.application_id}", "e1d2c3b4-a596-4877-8695-a4b3c2d1e0f9"
        body = {"job_id": job, "candidate_id": candidate, "application_id": step.application_id}
        return json.dumps(body, ensure_ascii=False).encode()

    def access(self) -> Access | None:
        if self.settings.api_key is None:
            return None
        headers = {"x-smarttoken": self.settings.api_key.get_secret_value()}
        return Access(self.settings.api_url, headers, per_second=8.0)  # 10 a second and 8 at once are allowed

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        assert fact.candidate is not None
        assert fact.candidate.id is not None
        person = f"/candidates/{quote(fact.candidate.id, safe='')}"
        known: dict[str, object] = {"needs_enrichment": False}
        known["candidate"] = candidate_of(fact.candidate.id, await api.get(person))
        if fact.application is not None and fact.job is not None and fact.job.id is not None:
            job = quote(fact.job.id, safe="")
            known["job"] = await job_of(fact.job.id, f"/jobs/{job}", api)
            told = _offer if fact.offer is not None else _standing
            known |= await told(fact, f"{person}/jobs/{job}", api)
        return [fact.model_copy(update=known)]

    def plan(self, url: str) -> Sequence[str]:
        register = f"register {url} at SmartRecruiters for {', '.join(_TICKED)}"
        return [register, "activate it: the URL is tried, so the router must be running", "have a key made that signs"]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        made = await api.send("POST", _SUBSCRIPTIONS, {"callbackUrl": url, "events": list(_TICKED)})
        hook = Hook(made.need_id("id"), _TICKED)
        yield hook
        await api.send("PUT", f"{_path(hook)}/activation")
        made = await api.send("POST", f"{_path(hook)}/secret-key")
        yield replace(hook, secret=made.need_text("secretKey"))

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        working = set()
        for hook in hooks:
            with suppress(NotThere):
                node = await api.get(_path(hook))
                working |= {hook.id} if (node.text("status"), node.text("callbackUrl")) == ("active", url) else set()
        return working

    async def remove(self, hook: Hook, api: Api) -> None:
        with suppress(NotThere):
            await api.send("DELETE", _path(hook))


def _handshake(receipt: Receipt) -> str | None:
    """The secret that an activation wants back; None of anything that is, or is made to look like, an event."""
    secret = receipt.header(_HOOK_SECRET)
    if secret is None or any(name in (_SIGNATURE, _NAME) for name, _ in receipt.headers):
        return None
    return secret if _ECHOED.fullmatch(secret) else None


def _message(receipt: Receipt) -> bytes:
    """What is signed; a header that is missing counts as empty."""
    came = {name for name, _ in receipt.headers}
    values = [only_header(receipt, name) if name in came else "" for name in (_TIMESTAMP, *_SIGNED)]
    sent_at, *others = [value.encode("latin-1", "backslashreplace") for value in values]
    return b".".join([sent_at, receipt.body, *others])


def _path(hook: Hook) -> str:
    return f"{_SUBSCRIPTIONS}/{quote(hook.id, safe='')}"


class Status(NamedTuple):
    """A status of an application; ``since`` is known of what stands in the history."""

    name: str
    stage: Stage
    since: datetime | None = None


def status_of(node: Node, since: datetime | None = None) -> Status:
    """A substatus is a step of the customer's own; one name may be found in several statuses."""
    name, step = node.need_text("status"), node.text("subStatus", sometimes=True)
    return Status(name, Stage(id=f"{name}/{step}" if step else name, name=step or name, kind=_KINDS.get(name)), since)


async def history(path: str, now: Status, api: Api) -> list[Status]:
    """Every status so far, the first one first; the present one alone where they do not lead to it."""
    nodes = await _content(f"{path}/status/history", api)
    statuses = [status_of(node, since) for node in nodes if (since := node.time("changedOn")) and node.text("status")]
    statuses.sort(key=attrgetter("since"))
    return statuses if statuses and statuses[-1].name == now.name else [now]


async def _standing(fact: Fact, path: str, api: Api) -> dict[str, Any]:
    """What the application is, or was when its status changed: it may have gone on before this is asked."""
    assert fact.application is not None
    node = await api.get(path)
    now = status_of(node)
    statuses = await history(path, now, api)
    created, moved = fact.type is EventType.APPLICATION_CREATED, fact.vendor_event == _MOVED
    index = 0 if created else len(statuses) - 1
    if moved and fact.occurred_at:  # the last one that there was when the webhook was sent, if there was one
        until = fact.occurred_at + timedelta(seconds=1)
        index = max((i for i, status in enumerate(statuses) if status.since and status.since < until), default=index)
    status = statuses[index]
    told: dict[str, Any] = {"source": node.text("source"), "created_at": statuses[0].since}
    told["is_prospect"] = status.name == "LEAD"
    if fact.vendor_event == _FIELDS:
        told["custom_fields"] = {
            label: node.text("valueLabel", sometimes=True) or node.json("value", sometimes=True)
            for node in await _content(f"{path}/properties", api)
            if (label := node.text("label")) and not is_not_asked_for(label)
        }
    more: dict[str, Any] = {}
    if created or moved:
        told |= {"stage": status.stage, **decision(status, node if status.name == now.name else Node.of({}))}
        day = node.date("startsOn", sometimes=True) if status.name == "HIRED" else None
        more |= {"occurred_at": status.since or fact.occurred_at, "offer": Offer(start_date=day) if day else None}
        # the clock of every fact with a stage, which tells a late one; the others touch no stage
        more["vendor_version"] = status.since.isoformat(timespec="milliseconds") if status.since else None
    if moved and status.since:
        more |= {"type": EventType.STAGE_CHANGED, "to_stage": status.stage}
        more["from_stage"] = statuses[index - 1].stage if index else None
    elif moved:
        more["is_snapshot"] = True
    return {**more, "application": fact.application.model_copy(update=told)}


def decision(status: Status, node: Node) -> dict[str, Any]:
    """``node``: where the reason stands. Both kinds of reasons may; only the status says which one counts."""
    outcome = _OUTCOMES.get(_KINDS[status.name], Outcome.PENDING) if status.name in _KINDS else None
    told: dict[str, Any] = {"outcome": outcome}
    if outcome is Outcome.HIRED:
        told["hired_at"] = status.since
    elif outcome is Outcome.DECLINED:
        withdrawn = status.name == "WITHDRAWN"
        reason = node.node("reasonOfWithdrawal" if withdrawn else "reasonOfRejection", sometimes=True)
        kind = RejectionKind.WITHDRAWN_BY_CANDIDATE if withdrawn else RejectionKind.REJECTED_BY_COMPANY
        told["rejection_reason"] = RejectionReason(id=reason.id("id"), name=reason.text("label"), kind=kind)
        told["rejected_at"] = status.since
    return told


async def _content(path: str, api: Api) -> Sequence[Node]:
    with suppress(NotThere):
        return (await api.get(path)).nodes("content")
    return ()


def _offer_said(event: str, body: Node) -> Offer:
    """The body that the docs print has the id of what the event is of, and no other."""
    own_id = body.id("id", sometimes=True)
    return Offer(id=body.id("offer_id", sometimes=own_id is not None) or own_id, status=_OFFER_EVENTS[event])


async def _offer(fact: Fact, path: str, api: Api) -> dict[str, Any]:
    offer = fact.offer
    if offer is not None and offer.id is not None and offer.status is None:
        with suppress(NotThere):
            node = await api.get(f"{path}/offers/{quote(offer.id, safe='')}")
            return {"offer": offer.model_copy(update={"status": node.choice("status", _OFFER_STATUSES)})}
    return {}


async def job_of(id_: str, path: str, api: Api) -> Job:
    try:
        node = await api.get(path, cache=600)
    except NotThere:
        return Job(id=id_)
    department = node.node("department", sometimes=True).text("label")
    return Job(
        id=id_,
        title=node.text("title"),
        requisition_id=node.id("refNumber"),
        status=node.text("status"),
        departments=[department] if department else [],
        location=_place(node.node("location", sometimes=True)),
    )


def candidate_of(id_: str, node: Node) -> Candidate:
    first_name, last_name = node.text("firstName"), node.text("lastName")
    email, phone, web = node.text("email"), node.text("phoneNumber"), node.node("web", sometimes=True)
    links = [web.text(key, sometimes=True) for key in ("linkedin", "linkedIn", "website")]
    return Candidate(
        id=id_,
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        phones=[phone] if phone else [],
        location=_place(node.node("location", sometimes=True)),
        links=[link for link in links if link],
        tags=node.texts("tags", sometimes=True),
    )


def _place(node: Node) -> str | None:
    parts = (node.text(key, sometimes=True) for key in ("city", "region", "country"))
    return ", ".join(part for part in parts if part) or None
