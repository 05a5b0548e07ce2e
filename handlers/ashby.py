"""Ashby: signed push of whole applications, one webhook per event, registered in the admin page or by API.

Sources, read in 2026: developers.ashbyhq.com and the OpenAPI description (github.com/api-evangelist/ashby-hq). One act
sends several events with one webhookActionId. Rejections, and the way back, come as stage changes: the status tells.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Handler, Normalised, Post, Receipt, Sample, ignored
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, ApiProblem, Enriches, NotThere, Refused, Unavailable, basic
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node, is_not_asked_for
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import (
    Application,
    Candidate,
    EventType,
    Fact,
    Interview,
    InterviewStatus,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

_SIGNATURE, _PREFIX = "ashby-signature", "sha256="
_NEW, _UPDATE, _MOVE, _HIRE = "applicationSubmit", "applicationUpdate", "candidateStageChange", "candidateHire"
_TYPES = {_NEW: EventType.APPLICATION_CREATED, _HIRE: EventType.OUTCOME_CHANGED}
_STATUSES: Mapping[str, tuple[Outcome, bool | None]] = {  # the outcome, and whether it is a prospect
    "Active": (Outcome.PENDING, False),
    "Lead": (Outcome.PENDING, True),
    "Hired": (Outcome.HIRED, False),
    "Archived": (Outcome.DECLINED, None),
}
_STAGE_KINDS = {  # Lead and Active are no kind in particular, so that `stages:` may say more of them
    "PreInterviewScreen": StageKind.SCREEN,
    "Offer": StageKind.OFFER,
    "Hired": StageKind.HIRED,
    "Archived": StageKind.REJECTED,
}
_REJECTION_KINDS = {
    "RejectedByOrg": RejectionKind.REJECTED_BY_COMPANY,
    "RejectedByCandidate": RejectionKind.WITHDRAWN_BY_CANDIDATE,
    "Other": RejectionKind.OTHER,
}
_OFFER_STATUSES = {  # words of offerStatus and of acceptanceStatus, whose Pending one client found after sending only
    word: status
    for status, words in {
        OfferStatus.DRAFT: "WaitingOnApprovalStart WaitingOnApprovalDefinition WaitingOnOfferApproval Created",
        OfferStatus.SENT: "WaitingOnCandidateResponse WaitingOnResponse Pending",
        OfferStatus.ACCEPTED: "CandidateAccepted Accepted",
        OfferStatus.DECLINED: "CandidateRejected Declined",
        OfferStatus.ABANDONED: "OfferCancelled Cancelled",
    }.items()
    for word in words.split()
}
_INTERVIEW_STATUSES = {  # the others come before an interview is scheduled, or tell nothing
    "Scheduled": InterviewStatus.SCHEDULED,
    "WaitingOnFeedback": InterviewStatus.COMPLETED,
    "Complete": InterviewStatus.COMPLETED,
    "Cancelled": InterviewStatus.CANCELLED,
}
_TEAM = {"recruiter": "recruiters", "hiring manager": "hiring_managers", "recruiting coordinator": "coordinators"}
_REFUSED = re.compile(r"permission|unauthori[sz]ed|api[ _]key", re.IGNORECASE)
_BUSY = re.compile(r"rate_limit|internal|unavailable")
_SAME_MOVE = timedelta(hours=1)  # a webhook and an entry of the history that are further apart are not of one move


class AshbySettings(SecretSettings):
    api_key: Secret | None = Field(None, description="an API key of Ashby: to poll, and who moved a candidate")
    api_url: ApiUrl = Field("https://api.ashbyhq.com", description="Ashby's API")


class Ashby(Enriches, Connects, Handler):
    vendor = "ashby"
    title = "Ashby"
    Settings = AshbySettings
    settings: AshbySettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "with an API key that has the permission apiKeysWrite, `ats-router connect` does it; or by hand:",
            "open Admin > Integrations > Webhooks and create one for each event below, with the URL and the source's"
            " secret as secret token (what comes unsigned is refused); it has to be enabled after Ashby's ping",
        ],
        events=[
            *(_NEW, _UPDATE, _MOVE, _HIRE),
            *("interviewScheduleUpdate", "offerCreate", "offerUpdate", "offerDelete"),  # updates are of new ones too
            *("candidateDelete", "candidateMerge"),
        ],
        verified="the Ashby-Signature header, an HMAC-SHA256 over the exact body",
        missing=[
            "without API credentials: who moved a candidate, when exactly, and from where (the router may know it)",
            "without API credentials: applications from bulk imports and synchronisation, of which Ashby sends nothing",
            "private custom fields, and salaries and custom fields of offers, which are left out",
        ],
        enrichment="who moved a candidate, when and from where; the key needs candidatesRead and organizationRead",
    )

    def verify(self, receipt: Receipt) -> None:
        digest = hex_digest(only_header(receipt, _SIGNATURE), prefix=_PREFIX)
        check_hmac(digest, receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        action = body.need_text("action")
        if action == "ping":
            return Normalised(Disposition.PING, action)
        tell = _TELLERS.get(action)
        if tell is None:
            return ignored(action, NO_TYPE)
        act, is_thin = body.id("webhookActionId"), action == _MOVE and self.settings.api_key is not None
        more = {"vendor_event_id": act, "needs_enrichment": is_thin}
        fact = tell(action, body.need_node("data")).model_copy(update=more)
        # an act may be of several objects; of each it sends several events, which are the same only for interviews
        event, about = (fact.type, fact.interview.id) if fact.interview else (action, fact.subject)
        dedupe = f"{event}:{about}:{act}" if act else None
        return Normalised(Disposition.EVENTS, action, (fact,), dedupe=dedupe, soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {_SIGNATURE: _PREFIX + hex_hmac(self.settings.secrets[0], body)})

    def sample(self, step: Sample) -> bytes:
        outcome = step.outcome if step.type is EventType.OUTCOME_CHANGED else Outcome.PENDING
        action = {
            EventType.APPLICATION_CREATED: _NEW,
            EventType.APPLICATION_UPDATED: _UPDATE,
            EventType.STAGE_CHANGED: _MOVE,
            EventType.OUTCOME_CHANGED: _HIRE if outcome is Outcome.HIRED else _MOVE,
        }.get(step.type)
        if action is None:
            raise ValueError(f"there is no Ashby sample of {step.type}")
        stage, candidate, job, act = (
            str(uuid5(NAMESPACE_OID, str(text))) for text in (step.stage, step.candidate_name, step.job_title, step)
        )
        at = step.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        application = {
            **{"id": step.application_id, "createdAt": at, "updatedAt": at},
            "status": {Outcome.HIRED: "Hired", Outcome.DECLINED: "Archived"}.get(outcome, "Active"),
            "currentInterviewStage": {"id": stage, "title": step.stage, "type": "Active", "orderInInterviewPlan": 2},
            "candidate": {"id": candidate, "name": step.candidate_name},
            "job": {"id": job, "title": step.job_title},
            "archivedAt": at if outcome is Outcome.DECLINED else None,
        }
        return json.dumps({"action": action, "data": {"application": application}, "webhookActionId": act}).encode()

    def access(self) -> Access | None:
        if self.settings.api_key is None:
            return None
        key = basic(self.settings.api_key.get_secret_value())
        return Access(self.settings.api_url, {"authorization": key, "accept": "application/json; version=1"})

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        """With the entry of the history that this move made: the application may have moved on since."""
        assert fact.application is not None
        assert fact.to_stage is not None
        info = await _asked(api, "/application.info", applicationId=fact.application.id)
        entries = sorted(info.nodes("applicationHistory"), key=lambda entry: entry.integer("stageNumber") or 0)
        near = [
            (abs(at - fact.occurred_at), index, at)
            for index, entry in enumerate(entries)
            if fact.occurred_at and entry.id("stageId") == fact.to_stage.id and (at := entry.time("enteredStageAt"))
        ]
        more: dict[str, Any] = {"needs_enrichment": False}
        if near and min(near)[0] <= _SAME_MOVE:
            _, index, at = min(near)
            more |= {"occurred_at": at, "actor": await user_of(entries[index].id("actorId"), api)}
            if index:
                before = entries[index - 1]
                more["from_stage"] = Stage(id=before.id("stageId"), name=before.text("title"))
        return [fact.model_copy(update=more)]

    def plan(self, url: str) -> Sequence[str]:
        return [f"register {url} at Ashby for {event}, to be signed with our secret" for event in self.guide.events]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        secret, refused = self.settings.secrets[0].decode(), []
        for event in self.guide.events:
            try:
                made = await _asked(api, "/webhook.create", webhookType=event, requestUrl=url, secretToken=secret)
            except NotThere:
                refused.append(event)
            else:
                yield Hook(made.need_id("id"), (event,))
        if refused:
            raise NotThere(f"Ashby did not take {', '.join(refused)}: each is taken once, delete those with this URL")

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        working = set()
        for hook in hooks:
            with suppress(NotThere):
                webhook = await _asked(api, "/webhook.info", webhookId=hook.id)
                if webhook.flag("enabled") and webhook.text("requestUrl") == url:
                    working.add(hook.id)
        return working

    async def remove(self, hook: Hook, api: Api) -> None:
        with suppress(NotThere):
            await _asked(api, "/webhook.delete", webhookId=hook.id)


def tell_application(action: str, data: Node) -> Fact:
    node = data.need_node("application")
    is_new, is_hire, is_move = (action == one for one in (_NEW, _HIRE, _MOVE))
    outcome, is_prospect = node.choice("status", _STATUSES) or (None, None)
    is_rejected = outcome is Outcome.DECLINED
    stage = _stage(node.node("currentInterviewStage"))
    if stage is None and is_move:
        node.need_node("currentInterviewStage").need_id("id")
    created_at, updated_at = node.time("createdAt"), node.time("updatedAt")
    archived_at, reason = node.time("archivedAt", sometimes=True), node.node("archiveReason", sometimes=True)
    return Fact(
        type=_TYPES.get(action, EventType.APPLICATION_UPDATED),
        is_snapshot=is_move,  # moves, rejections and the way back are told alike: what differs is what happened
        occurred_at=(created_at if is_new else archived_at if is_move and is_rejected else None) or updated_at,
        vendor_event=action,
        # not of plain updates: they say nothing of the stage, and must not make a move look late that comes after them
        vendor_version=updated_at.isoformat(timespec="milliseconds") if updated_at and action != _UPDATE else None,
        application=Application(
            id=node.need_id("id"),
            outcome=Outcome.HIRED if is_hire else outcome,
            stage=stage,
            created_at=created_at,
            updated_at=updated_at,
            rejected_at=archived_at if is_rejected else None,
            hired_at=updated_at if is_hire else None,
            rejection_reason=_reason(reason) if is_rejected and reason else None,
            source=node.node("source", sometimes=True).text("title"),
            referrer=_person(node.node("creditedToUser", sometimes=True)),
            is_prospect=is_prospect,
            custom_fields=_custom_fields(node),
        ),
        candidate=_candidate(node.node("candidate")),
        job=_job(node),
        to_stage=stage if is_move else None,
        offer=_offer(offer) if is_hire and (offer := data.node("offer", sometimes=True)) else None,
    )


def _tell_offer(action: str, data: Node) -> Fact:
    node = data.need_node("offer")
    offer, version, is_new = _offer(node), node.node("latestVersion", sometimes=True), action == "offerCreate"
    if action == "offerDelete":
        offer = offer.model_copy(update={"status": OfferStatus.ABANDONED})
    resolved_at = offer.resolved_at if ":" in (offer.resolved_at or "") else None
    return Fact(
        type=EventType.OFFER_CHANGED,
        occurred_at=version.time("createdAt") if is_new else resolved_at and datetime.fromisoformat(resolved_at),
        vendor_event=action,
        application=Application(id=node.need_id("applicationId")),
        offer=offer,
        actor=_person(version.node("author", sometimes=True)) if is_new else None,
    )


def _tell_interview(action: str, data: Node) -> Fact:
    """A schedule with all its interviews: it begins with the first and ends with the last."""
    node = data.need_node("interviewSchedule")
    interviews, candidate = node.nodes("interviewEvents", sometimes=True), node.id("candidateId", sometimes=True)
    starts, ends = ([at for one in interviews if (at := one.time(key))] for key in ("startTime", "endTime"))
    titles = [one.node("interview", sometimes=True).text("title", sometimes=True) for one in interviews]
    places = [one.text("location", sometimes=True) or one.text("meetingLink", sometimes=True) for one in interviews]
    people = [_person(user) for one in interviews for user in one.nodes("interviewers", sometimes=True)]
    status = _INTERVIEW_STATUSES.get(node.text("status") or "")
    return Fact(
        type=EventType.INTERVIEW_CHANGED,
        occurred_at=node.time("updatedAt", sometimes=True),
        vendor_event=action,
        application=Application(id=node.need_id("applicationId")),
        candidate=Candidate(id=candidate) if candidate else None,
        interview=Interview(
            id=node.need_id("id"),
            title=", ".join(dict.fromkeys(filter(None, titles))) or None,
            status=status,
            start=min(starts, default=None),
            end=max(ends, default=None),
            location=next(filter(None, places), None),
            interviewers=list({person.id: person for person in people if person}.values()),
        ),
        actor=_person(node.node("scheduledBy", sometimes=True)) if status is InterviewStatus.SCHEDULED else None,
    )


def _tell_candidate(action: str, data: Node) -> Fact:
    is_merged = action == "candidateMerge"
    return Fact(
        type=EventType.CANDIDATE_MERGED if is_merged else EventType.CANDIDATE_DELETED,
        vendor_event=action,
        candidate=Candidate(id=data.need_node("deletedCandidate" if is_merged else "candidate").need_id("id")),
        merged_into=data.node("mergedCandidate").id("id") if is_merged else None,
    )


_TELLERS: Mapping[str, Callable[[str, Node], Fact]] = {
    **dict.fromkeys((_NEW, _UPDATE, _MOVE, _HIRE), tell_application),
    **dict.fromkeys(("offerCreate", "offerUpdate", "offerDelete"), _tell_offer),
    **dict.fromkeys(("interviewScheduleCreate", "interviewScheduleUpdate"), _tell_interview),
    **dict.fromkeys(("candidateDelete", "candidateMerge"), _tell_candidate),
}


def _stage(node: Node) -> Stage | None:
    kind, index = _STAGE_KINDS.get(node.text("type") or ""), node.integer("orderInInterviewPlan", sometimes=True)
    stage = Stage(id=node.id("id"), name=node.text("title"), kind=kind, index=index)
    return stage if stage.id or stage.name else None


def _reason(node: Node) -> RejectionReason:
    return RejectionReason(id=node.id("id"), name=node.text("text"), kind=node.choice("reasonType", _REJECTION_KINDS))


def _offer(node: Node) -> Offer:
    status = node.choice("offerStatus", _OFFER_STATUSES, sometimes=True)
    return Offer(
        id=node.id("id"),
        status=status or _OFFER_STATUSES.get(node.text("acceptanceStatus", sometimes=True) or ""),
        start_date=node.node("latestVersion", sometimes=True).date("startDate", sometimes=True),
        resolved_at=node.date_or_time("decidedAt", sometimes=True),
    )


def _candidate(node: Node) -> Candidate | None:
    email = node.node("primaryEmailAddress", sometimes=True).text("value")
    phone = node.node("primaryPhoneNumber", sometimes=True).text("value")
    emails, phones = ([text] if text else [] for text in (email, phone))
    return Candidate(id=node.id("id"), name=node.text("name"), emails=emails, phones=phones) if node else None


def _job(application: Node) -> Job | None:
    """Every documented body has a job, but one that was recorded has none."""
    node = application.node("job", sometimes=True)
    team: dict[str, list[Person]] = {}
    for member in application.nodes("hiringTeam", sometimes=True):
        role = _TEAM.get((member.text("role") or "").lower())
        if role and (person := _person(member, id_key="userId")):
            team.setdefault(role, []).append(person)
    return Job.model_validate({"id": node.id("id"), "title": node.text("title"), **team}) if node or team else None


def _person(node: Node, *, id_key: str = "id") -> Person | None:
    id_, name = node.id(id_key), " ".join(filter(None, (node.text("firstName"), node.text("lastName"))))
    return Person(id=id_, name=name or None, email=node.text("email", sometimes=True)) if id_ or name else None


def _custom_fields(application: Node) -> dict[str, Any]:
    return {
        title: field.json("valueLabel", sometimes=True) or field.json("value")  # the label is of a choice
        for field in application.nodes("customFields", sometimes=True)
        if (title := field.text("title")) and not (field.flag("isPrivate", sometimes=True) or is_not_asked_for(title))
    }


async def user_of(id_: str | None, api: Api) -> Person | None:
    with suppress(NotThere):
        return _person(await _asked(api, "/user.info", userId=id_)) if id_ else None
    return Person(id=id_)


async def answered(api: Api, path: str, question: Mapping[str, object]) -> Node:
    """What Ashby answers. Everything is a POST, and most errors come as status 200 with ``success: false``."""
    answer = await api.send("POST", path, question)
    if answer.flag("success") is False:
        raise _problem(answer)
    return answer


async def _asked(api: Api, path: str, **question: str) -> Node:
    return (await answered(api, path, question)).need_node("results")


def _problem(answer: Node) -> ApiProblem:
    """Errors are codes or messages, in either of two fields; they may quote anything, and so are not passed on."""
    info = answer.node("errorInfo", sometimes=True)
    codes = " ".join([info.text("code") or "", *answer.texts("errors")])
    if _REFUSED.search(" ".join([codes, info.text("message") or "", *answer.texts_of("errors", "message")])):
        return Refused("Ashby's API key lacks a permission")
    return Unavailable("Ashby's API failed") if _BUSY.search(codes) else NotThere("Ashby's API has no such thing")
