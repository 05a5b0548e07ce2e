"""ApplicantStack: push of moves with a shared secret in the body, as far as it has been seen, and an API to be polled.

Source: a public receiver of hires, public clients of the API (ccahcares/ZapierApplicantStack) and the excerpt of
help.applicantstack.com/hc/en-us/articles/115000786273, read in 2026. A candidate's record is one application to a job;
a hire's record is made for onboarding and has a serial of its own. Keys have spaces in them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from html import unescape
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qsl, quote

from pydantic import Field

from handlers.base import NO_TYPE, Disposition, Drift, Normalised, Post, Receipt, Rejected, Sample, ignored, windowed
from handlers.enriching import Access, Api, Enriches
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import ReadsRows, state_facts
from handlers.reading import Node, is_not_asked_for, whole_name
from handlers.settings import ApiUrl, SecretSettings
from handlers.signatures import check_secret, with_fields
from router.schema import (
    Answer,
    Application,
    Candidate,
    EventType,
    Fact,
    Job,
    Offer,
    Outcome,
    Person,
    RejectionReason,
    Stage,
    StageKind,
)
from router.secret import Secret

_SECRET = "Secret"  # noqa: S105 the name of the field
_MOVED = "stagechange"
_SERIALS = {"candidate": "Candidate Serial", "hire": "Hire Serial"}
_PATHS = {"candidate": "/api/candidate/", "hire": "/o/api/hire/"}
_LISTS = ("Candidates", "Hires")
_STAGE_TYPES = {
    "Do Not Pursue": (Outcome.DECLINED, StageKind.REJECTED),
    "Hired": (Outcome.HIRED, StageKind.HIRED),  # said by others, not seen
}
_MOST_FORM_FIELDS = 100
_LOCAL_TIME = "%m/%d/%Y %I:%M %p"
_NOTE_OF_MOVE = re.compile(r"(.+) set Stage to (.+)", re.DOTALL)


class ApplicantStackSettings(SecretSettings):
    api_token: Secret | None = Field(None, description="from Settings > Edit Settings; asks for names, job and stage")
    api_url: ApiUrl | None = Field(None, description="where you log in, as in https://example.applicantstack.com")
    publisher: str = Field("ats-router", description="the name under which the API is asked")

    together: ClassVar[Sequence[str]] = ("api_token", "api_url")


class ApplicantStack(Enriches, ReadsRows):
    vendor = "applicantstack"
    title = "ApplicantStack"
    Settings = ApplicantStackSettings
    settings: ApplicantStackSettings
    guide = Guide(
        proof=Proof.SENDER,
        confidence=Confidence.THIRD_PARTY,
        steps=[
            "Ask ApplicantStack to have stage changes sent to the URL; the secret that they come with is the source's",
            "give api_url and the API token of Settings > Edit Settings: without them events hold serials only",
            "give timezone: the API writes the times of hires in your account's local time",
        ],
        events=["candidate stagechange", "hire stagechange"],
        verified="the field Secret of the body",
        missing=[
            "how webhooks are set up, and whether they are sent for candidates: only those of hires have been seen",
            "a hire has a serial of its own and is told as an application of its own, with the outcome HIRED",
            "new applications: only the lists that the API answers tell them",
            "which of your stages are a hire, unless they are called Hired: say it with stages",
        ],
        enrichment="names, e-mail address, phone, job, outcome; from the notes: the stage before and who moved it",
    )
    stage_kinds: ClassVar[Mapping[StageKind, Sequence[str]]] = {
        StageKind.HIRED: ("Hired",),
        StageKind.REJECTED: ("Do Not Pursue",),
    }

    def verify(self, receipt: Receipt) -> None:
        try:
            given = _read(receipt.body).text(_SECRET)
        except Drift:
            raise Rejected("the body can't be read, so that there is no secret in it") from None
        check_secret(given or "", self.settings.secrets, where="the body")

    def normalise(self, receipt: Receipt) -> Normalised:
        body = _read(receipt.body)
        kind, action = body.need_text("Object Type").lower(), body.need_text("Event Type").lower()
        event = f"{kind} {action}"
        if kind not in _SERIALS or action != _MOVED:
            return ignored(event, NO_TYPE)
        serial, stage = body.need_id(_SERIALS[kind]), Stage(name=body.need_text("Stage"))
        at, user = body.time("Event Date", zone=self.settings.zone), body.id("User Serial", sometimes=True)
        candidate = body.id(_SERIALS["candidate"], sometimes=True)
        fact = Fact(
            type=EventType.STAGE_CHANGED,
            occurred_at=at,
            vendor_event=event,
            application=Application(id=serial, stage=stage, outcome=Outcome.HIRED if kind == "hire" else None),
            candidate=Candidate(id=candidate) if candidate else None,
            to_stage=stage,
            actor=Person(id=user) if user else None,
            needs_enrichment=True,
        )
        # the secret is left out, as it may be another one when the webhook is sent again
        dedupe = json.dumps([event, serial, stage.name, at.isoformat()]) if at else windowed(receipt)
        return Normalised(Disposition.EVENTS, event, (fact,), dedupe=dedupe, soft_drift=body.soft_drift)

    def access(self) -> Access | None:
        if self.settings.api_token is None or self.settings.api_url is None:
            return None
        headers = {"token": self.settings.api_token.get_secret_value(), "publisher": self.settings.publisher}
        return Access(self.settings.api_url, headers, per_second=1.0, at_once=1)

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        """The body is not signed: a stage that the record's history knows of stays, any other one gives way."""
        assert fact.application is not None
        kind, _, _ = fact.vendor_event.partition(" ")
        row = await api.get(_PATHS[kind] + quote(fact.application.id, safe=""))
        if row.need_id(_SERIALS[kind]) != fact.application.id:
            raise Drift(_SERIALS[kind], "is of another record")
        *_, now = self.row_facts(row)
        move = _last_move(row, fact.to_stage.name if fact.to_stage else None)
        changes: dict[str, object] = {"type": EventType.STAGE_CHANGED, "is_snapshot": False}
        changes |= {"vendor_event": fact.vendor_event, "occurred_at": fact.occurred_at}
        assert now.application is not None
        if move and now.application.stage and move.stage != now.application.stage.name:
            changes["application"] = _before_it_moved_on(now.application, move.stage)
            changes["to_stage"] = Stage(name=move.stage)
        else:
            changes["to_stage"] = now.application.stage or fact.to_stage
        if move:
            changes["from_stage"] = Stage(name=move.before) if move.before else None
        name = move.actor if move else None
        changes["actor"] = Person(id=fact.actor.id, name=name) if fact.actor else None
        return [now.model_copy(update=changes)]

    def rows(self, answer: Node) -> Sequence[Node]:
        name = next((name for name in _LISTS if name in answer.raw), None)
        return answer.nodes(name) if name else [answer]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        if row.id(_SERIALS["hire"], sometimes=True):
            return _hire_facts(row, self.settings.zone)
        return _candidate_facts(row, self.settings.zone)

    def sign(self, body: bytes, at: datetime) -> Post:
        body = with_fields(body, {_SECRET: self.settings.secrets[0].decode()})
        return Post(body, {"content-type": "application/json"})

    def sample(self, step: Sample) -> bytes:
        if step.type is not EventType.STAGE_CHANGED or step.outcome is not Outcome.PENDING or not step.stage:
            raise ValueError(f"there is no ApplicantStack sample of {step.type}")
        fields = {"Object Type": "candidate", "Event Type": _MOVED, "Domain": "example", "Stage": step.stage}
        fields |= {"Event Date": step.at.isoformat(), "Candidate Serial": step.application_id}
        return json.dumps(fields | {"User Serial": "", "User Type": "SYSTEM"}).encode()


def _read(body: bytes) -> Node:
    """JSON, or the fields of a form: nobody tells which one is sent.

    Raises:
        Drift: it is neither.
    """
    if body.lstrip()[:1] in (b"{", b"["):
        return Node.parse(body)
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FORM_FIELDS)
    except ValueError:
        raise Drift("body", "is neither JSON nor a form") from None
    return Node.of(dict(fields))


def _candidate_facts(row: Node, zone: tzinfo | None) -> tuple[Fact, ...]:
    name, type_ = row.text("Stage"), row.text("Stage Type", sometimes=True)
    outcome, kind = _STAGE_TYPES.get(type_, (None, None)) if type_ else (Outcome.PENDING, None)
    serial, move = row.need_id(_SERIALS["candidate"]), _last_move(row, name)
    moved_at, reason = move.at if move else None, row.text("Disposition", sometimes=True)
    declined, referrer = outcome is Outcome.DECLINED, row.text("Referred By", sometimes=True)
    application = Application(
        id=serial,
        outcome=outcome,
        stage=Stage(name=name, kind=kind) if name else None,
        created_at=row.epoch("Create Date Timestamp", sometimes=True) or _local_time(row, "Create Date", zone),
        rejected_at=moved_at if declined else None,
        hired_at=moved_at if outcome is Outcome.HIRED else None,
        rejection_reason=RejectionReason(name=reason) if declined and reason else None,
        source=row.text("Source", sometimes=True),
        referrer=Person(name=referrer) if referrer else None,
        answers=list(_answers(row)),
    )
    created, now = state_facts(
        "candidate",
        application,
        candidate=_candidate(row, serial),
        job=Job(id=row.id("Job Serial"), title=row.text("Job Name")),
        changed_at=moved_at,
        actor=Person(name=move.actor) if move else None,
    )
    if move and move.before:
        now = now.model_copy(update={"from_stage": Stage(name=move.before)})
    return created, now


def _hire_facts(row: Node, zone: tzinfo | None) -> tuple[Fact, ...]:
    """DOB and SSN are in this record too: they are never looked at."""
    name, changed_at = row.text("Stage"), _local_time(row, "Last Modified Date", zone)
    start, department = row.date("Start Date", "%m/%d/%Y", sometimes=True), row.text("Department", sometimes=True)
    manager = row.text("Manager", sometimes=True)
    facts = state_facts(
        "hire",
        Application(
            id=row.need_id(_SERIALS["hire"]),
            outcome=Outcome.HIRED,
            stage=Stage(name=name) if name else None,
            created_at=_local_time(row, "Create Date", zone),
            updated_at=changed_at,
        ),
        candidate=_candidate(row, row.id(_SERIALS["candidate"], sometimes=True)),
        job=Job(
            title=row.text("Job Name", sometimes=True),
            departments=[department] if department else [],
            location=row.text("Location", sometimes=True),
            hiring_managers=[Person(name=manager)] if manager else [],
        ),
        changed_at=changed_at,
    )
    offer = {"offer": Offer(start_date=start) if start else None}
    return tuple(fact.model_copy(update=offer) for fact in facts)


def _candidate(row: Node, serial: str | None) -> Candidate:
    first_name, last_name = row.text("First Name"), row.text("Last Name")
    email, phone = row.text("Email", sometimes=True), row.text("Phone", sometimes=True)
    place = (row.text("City", sometimes=True), row.text("State", sometimes=True))
    return Candidate(
        id=serial,
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        phones=[phone] if phone else [],
        location=", ".join(part for part in place if part) or None,
    )


def _answers(row: Node) -> Iterator[Answer]:
    for questionnaire in row.nodes("Questionnaires", sometimes=True):
        if is_not_asked_for(questionnaire.text("Questionnaire Name", sometimes=True) or ""):
            continue
        for asked in questionnaire.nodes("Questions", sometimes=True):
            question = asked.text("Question")
            if question and not is_not_asked_for(question):
                yield Answer(question=question, answer=asked.json("Value"))


class Moved(NamedTuple):
    """A note of the system that somebody moved the candidate; ``before`` is the stage that the note before tells."""

    actor: str
    stage: str
    before: str | None
    at: datetime | None


def moves_of(row: Node) -> list[Moved]:
    """The moves that the notes of a single record tell, oldest first; lists have none."""
    moves: list[Moved] = []
    notes = [note for note in row.nodes("Notes", sometimes=True) if note.text("type") == "System"]
    for note in sorted(notes, key=lambda note: note.integer("timestamp") or 0):
        told = _NOTE_OF_MOVE.fullmatch(unescape(note.text("text") or "").strip())
        if told is not None:
            before = moves[-1].stage if moves else None
            moves.append(Moved(told[1], told[2], before, note.epoch("timestamp")))
    return moves


def _last_move(row: Node, stage: str | None) -> Moved | None:
    """The last move to ``stage``."""
    wanted = (stage or "").strip()
    return next((move for move in reversed(moves_of(row)) if move.stage == wanted), None)


def _before_it_moved_on(application: Application, stage: str) -> Application:
    """The application when it came to ``stage``: how things went later is left to later events."""
    later = ("outcome", "rejected_at", "hired_at", "rejection_reason")
    return application.model_copy(update={"stage": Stage(name=stage), **dict.fromkeys(later)})


def _local_time(row: Node, key: str, zone: tzinfo | None) -> datetime | None:
    text = row.text(key, sometimes=True)
    if text is None or zone is None:
        return None
    try:
        return datetime.strptime(text, _LOCAL_TIME).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
