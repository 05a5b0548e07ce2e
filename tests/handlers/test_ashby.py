"""What is particular to Ashby: several events of one act, outcomes told as stage changes, errors with status 200."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.ashby import Ashby
from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.connecting import Hook
from handlers.enriching import Access, Api, ApiProblem, NotThere, Refused, Unavailable
from router.project import project
from router.records import ApplicationState, WaitingFact
from router.schema import (
    Event,
    EventType,
    Fact,
    InterviewStatus,
    OfferStatus,
    Outcome,
    Person,
    RejectionKind,
    Stage,
    StageKind,
)
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

SECRET = "0c2f9463f87641919f8106a2c49d7a57"
PING = b'{"action":"ping","data":{"webhookActionType":"ping"}}'
DIGEST = "55676e552ff2da2a45966644e31f13755b05f2e1afc2591da08c23e381240807"
"""`printf '%s' PING | openssl dgst -sha256 -hmac SECRET`"""

APPLICATION = "5d3b2f10-77a4-4c1e-9a55-1c2d3e4f5a6b"
CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED
UPDATED = EventType.APPLICATION_UPDATED


def ashby(**settings: object) -> Ashby:
    handler = handler_of("ashby", **settings)
    assert isinstance(handler, Ashby)
    return handler


ASHBY = ashby(secret=[SECRET])


def body_of(name: str, **changes: object) -> dict[str, Any]:
    """The body of a fixture; ``changes`` are of the object in it: the application, the offer, the schedule."""
    body: dict[str, Any] = json.loads(fixtures_of("ashby")[name].body)
    if changes:
        body["data"][next(iter(body["data"]))] |= changes
    return body


def normalised(body: object, handler: Ashby = ASHBY) -> Normalised:
    return handler.normalise(receipt(json.dumps(body).encode()))


def fact_of(name: str, handler: Ashby = ASHBY, /, **changes: object) -> Fact:
    (fact,) = normalised(body_of(name, **changes), handler).facts
    return fact


def told(*facts: Fact) -> list[Event]:
    """What becomes of facts of one application, one after the other."""
    state, events = ApplicationState(), []
    for number, fact in enumerate(facts):
        waiting = WaitingFact(receipt=str(number), ordinal=0, source="s", vendor="ashby", received_at=NOW, fact=fact)
        state, news = project(state, waiting)
        events += news
    return events


def types(*facts: Fact) -> list[EventType]:
    return [event.type for event in told(*facts)]


def test_the_signature_is_the_algorithm_and_the_digest_of_the_exact_bytes() -> None:
    ASHBY.verify(receipt(PING, {"ashby-signature": f"sha256={DIGEST}"}))
    assert ASHBY.sign(PING, NOW).headers == {"ashby-signature": f"sha256={DIGEST}"}
    for other in (DIGEST, f"sha256 {DIGEST}", f"sha256={DIGEST.upper()}", f"sha1={DIGEST}", "sha256=", ""):
        with pytest.raises(Rejected):
            ASHBY.verify(receipt(PING, {"ashby-signature": other}))


def test_a_ping_needs_its_signature_too() -> None:
    with pytest.raises(Rejected, match="missing"):
        ASHBY.verify(receipt(PING))
    result = ASHBY.normalise(receipt(PING))
    assert (result.disposition, result.facts) == (Disposition.PING, ())


WITHOUT_A_TYPE = [
    *("jobCreate", "jobUpdate", "jobPostingUpdate", "jobPostingPublish", "jobPostingUnpublish", "openingCreate"),
    *("interviewPlanTransition", "pushToHRIS", "surveySubmit", "signatureRequestUpdate", "PING"),
]


@pytest.mark.parametrize("action", WITHOUT_A_TYPE)
def test_events_without_a_common_type_are_ignored_by_name(action: str) -> None:
    result = normalised({"action": action, "data": None})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, action)


@pytest.mark.parametrize(
    ("status", "outcome", "is_prospect"),
    [
        ("Active", "PENDING", False),
        ("Lead", "PENDING", True),
        ("Hired", "HIRED", False),
        ("Archived", "DECLINED", None),
    ],
)
@pytest.mark.parametrize("name", ["application_created", "application_updated", "stage_changed"])
def test_the_status_is_the_outcome(name: str, status: str, outcome: str, is_prospect: bool | None) -> None:
    application = fact_of(name, status=status).application
    assert application
    assert (application.outcome, application.is_prospect) == (outcome, is_prospect)


@pytest.mark.parametrize("status", ["Active", "Archived", None, "Elsewhere", 7])
def test_a_hire_is_one_whatever_the_status(status: object) -> None:
    application = fact_of("hired", status=status).application
    assert application
    assert application.outcome is Outcome.HIRED


def test_an_unknown_status_is_noted_and_no_outcome() -> None:
    result = normalised(body_of("stage_changed", status="Paused"))
    assert result.soft_drift == ("data.application.status",)
    assert result.facts[0].application
    assert result.facts[0].application.outcome is None
    assert types(*result.facts) == [MOVED]


def test_a_move_is_one_whatever_is_known() -> None:
    created, moved = fact_of("application_created"), fact_of("stage_changed")
    assert types(moved) == [MOVED]
    assert types(created, moved) == [CREATED, MOVED]
    events = told(created, moved)
    assert events[1].from_stage == events[0].application.stage if events[0].application else None
    assert events[1].to_stage
    assert events[1].to_stage.name == "Recruiter Screen"
    back = fact_of(
        "stage_changed",
        currentInterviewStage=body_of("application_created")["data"]["application"]["currentInterviewStage"],
        updatedAt="2026-05-07T08:00:00.000Z",
    )
    assert types(created, moved, back, moved) == [CREATED, MOVED, MOVED, MOVED]


def test_a_rejection_is_an_outcome_and_a_move_where_there_was_one() -> None:
    moved, rejected, in_place = fact_of("stage_changed"), fact_of("rejected"), fact_of("rejected_in_its_stage")
    assert types(rejected) == [MOVED, DECIDED]
    assert types(moved, rejected) == [MOVED, MOVED, DECIDED]
    assert types(in_place) == [DECIDED]
    assert types(moved, in_place) == [MOVED, DECIDED]
    decided = told(moved, rejected)[-1]
    assert decided.application
    assert (decided.application.previous_outcome, decided.application.outcome) == (Outcome.PENDING, Outcome.DECLINED)
    assert decided.application.rejection_reason
    assert decided.application.rejection_reason.kind is RejectionKind.WITHDRAWN_BY_CANDIDATE
    assert decided.occurred_at == datetime(2026, 5, 8, 16, 2, 59, 98000, tzinfo=UTC)


@pytest.mark.parametrize("name", ["rejected", "rejected_in_its_stage"])
def test_the_way_back_is_pending_again(name: str) -> None:
    created, back = fact_of("application_created"), fact_of("unarchived")
    events = told(created, fact_of(name), back)
    outcomes = [event.application.outcome for event in events if event.type is DECIDED and event.application]
    assert outcomes == [Outcome.DECLINED, Outcome.PENDING]
    assert back.application
    assert back.application.rejected_at is None
    assert back.application.rejection_reason is None


def test_an_update_is_one_unless_it_says_what_was_said_already() -> None:
    moved, update = fact_of("stage_changed"), fact_of("application_updated")
    assert types(update) == [UPDATED]
    assert types(moved, update) == [MOVED]
    assert types(update, moved) == [UPDATED, MOVED]
    transferred = fact_of("application_updated", job={"id": "j-2", "title": "Data Engineer"})
    assert types(moved, update, transferred, transferred) == [MOVED, UPDATED]


def test_a_hire_and_its_move_are_two_events_in_either_order() -> None:
    moved, hired, move = fact_of("stage_changed"), fact_of("hired"), fact_of("hired_stage_changed")
    update = fact_of("application_updated", status="Hired")
    assert types(hired, move, update) == [DECIDED, MOVED]
    assert types(moved, hired, update, move) == [MOVED, DECIDED, MOVED]
    assert types(moved, move, hired) == [MOVED, MOVED, DECIDED, EventType.OFFER_CHANGED]
    assert told(moved, hired, move)[-1].from_stage == moved.to_stage
    assert told(hired, move)[-1].from_stage is None


def test_a_late_move_does_not_overwrite_a_newer_one() -> None:
    first, second = fact_of("stage_changed"), fact_of("rejected")
    third = fact_of("unarchived", currentInterviewStage={"id": "x", "title": "Onsite", "type": "Active"})
    events = told(second, first, third)
    assert [event.late for event in events if event.type is MOVED] == [False, True, False]
    assert events[-2].from_stage == second.to_stage


def test_a_plain_update_makes_no_move_late() -> None:
    newer = fact_of("application_updated", updatedAt="2026-06-01T00:00:00.000Z")
    assert newer.vendor_version is None
    assert [event.late for event in told(newer, fact_of("stage_changed"))] == [False, False]


def test_versions_compare_as_text() -> None:
    times = ["2026-05-06T13:40:11Z", "2026-05-06T13:40:11.906Z", "2026-05-06T15:40:12.000+02:00"]
    versions = [fact_of("stage_changed", updatedAt=time).vendor_version or "" for time in times]
    assert versions[0] == "2026-05-06T13:40:11.000+00:00"
    assert versions == sorted(set(versions))
    assert fact_of("stage_changed", updatedAt=None).vendor_version is None


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("Lead", None),
        ("PreInterviewScreen", StageKind.SCREEN),
        ("Active", None),
        ("Offer", StageKind.OFFER),
        ("Hired", StageKind.HIRED),
        ("Archived", StageKind.REJECTED),
        ("Elsewhere", None),
        (None, None),
    ],
)
def test_the_type_of_a_stage_is_its_kind(type_: str | None, kind: StageKind | None) -> None:
    stage = {"id": "s-1", "title": "Hired and rejected", "type": type_, "orderInInterviewPlan": 3}
    fact = fact_of("application_updated", currentInterviewStage=stage)
    assert fact.application
    assert fact.application.stage == Stage(id="s-1", name="Hired and rejected", kind=kind, index=3)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("RejectedByOrg", RejectionKind.REJECTED_BY_COMPANY),
        ("RejectedByCandidate", RejectionKind.WITHDRAWN_BY_CANDIDATE),
        ("Other", RejectionKind.OTHER),
        (None, None),
    ],
)
def test_a_rejection_is_of_a_kind(type_: str | None, kind: RejectionKind | None) -> None:
    application = fact_of("rejected", archiveReason={"id": "r", "text": "T", "reasonType": type_}).application
    assert application
    assert application.rejection_reason
    assert application.rejection_reason.kind is kind


def test_a_rejection_without_a_reason_or_a_time() -> None:
    fact = fact_of("rejected", archiveReason=None, archivedAt=None)
    assert fact.application
    assert fact.application.rejection_reason is None
    assert fact.application.rejected_at is None
    assert fact.occurred_at == fact.application.updated_at


def test_each_event_has_the_time_that_is_its_own() -> None:
    times = {
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-02T00:00:00Z",
        "archivedAt": "2026-01-03T00:00:00Z",
    }
    days = {
        "application_created": 1,
        "application_updated": 2,
        "stage_changed": 2,
        "hired": 2,
        "rejected": 3,
        "rejected_application_updated": 2,
        "unarchived": 2,
    }
    for name, day in days.items():
        assert fact_of(name, **times).occurred_at == datetime(2026, 1, day, tzinfo=UTC), name


@pytest.mark.parametrize("stage", [None, {}, {"id": None, "title": ""}, [], "Offer"])
def test_a_stage_change_without_a_stage_is_drift(stage: object) -> None:
    with pytest.raises(Drift, match=r"^data\.application\.currentInterviewStage"):
        normalised(body_of("stage_changed", currentInterviewStage=stage))
    assert fact_of("application_updated", currentInterviewStage=stage).type is UPDATED


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("application_created", "data.application.id"),
        ("hired", "data.application.id"),
        ("offer_updated", "data.offer.applicationId"),
        ("offer_deleted", "data.offer.applicationId"),
        ("interview_scheduled", "data.interviewSchedule.applicationId"),
        ("interview_scheduled", "data.interviewSchedule.id"),
        ("candidate_deleted", "data.candidate.id"),
        ("candidate_merged", "data.deletedCandidate.id"),
    ],
)
@pytest.mark.parametrize("wrong", [None, True, [], "", {}])
def test_drift_names_the_path_that_failed(name: str, path: str, wrong: object) -> None:
    with pytest.raises(Drift) as drift:
        normalised(body_of(name, **{path.rpartition(".")[2]: wrong}))
    assert drift.value.path == path


def test_a_body_may_have_no_job_no_team_no_source_and_no_address() -> None:
    bare: dict[str, object] = {
        "job": None,
        "hiringTeam": [],
        "source": None,
        "creditedToUser": None,
        "customFields": None,
    }
    result = normalised(body_of("stage_changed", **bare, candidate={"id": "c", "name": "Tomas Lindqvist"}))
    fact = result.facts[0]
    assert result.soft_drift == ()
    assert fact.job is None
    assert fact.application
    assert fact.application.source is None
    assert fact.application.referrer is None
    assert fact.candidate
    assert (fact.candidate.emails, fact.candidate.phones) == ([], [])


def test_the_team_is_told_by_role() -> None:
    def member(role: str | None, number: int) -> dict[str, object]:
        return {"userId": f"u-{number}", "firstName": "A", "lastName": str(number), "email": None, "role": role}

    roles = ["Recruiter", "hiring manager", "Recruiting Coordinator", "RECRUITER", "Sourcer", None]
    job = fact_of("stage_changed", hiringTeam=[member(role, number) for number, role in enumerate(roles)]).job
    assert job
    assert [person.id for person in job.recruiters] == ["u-0", "u-3"]
    assert [person.id for person in job.hiring_managers] == ["u-1"]
    assert job.coordinators == [Person(id="u-2", name="A 2")]


@pytest.mark.parametrize("name", sorted(fixtures_of("ashby")))
def test_nothing_that_no_one_asked_for_is_passed_on(name: str) -> None:
    text = "".join(fact.model_dump_json() for fact in ASHBY.normalise(fixtures_of("ashby")[name].receipt).facts)
    for private in ("private matter", "Gender", "Salary wish", "203.0.113.9", "Mozilla", "560000", "SEK", "Bonus"):
        assert private not in text


def test_a_choice_is_told_by_its_label() -> None:
    body = body_of("stage_changed")
    body["data"]["application"]["customFields"] = [
        {"id": "1", "title": "Notice", "value": "opt_1", "valueLabel": "One month"},
        {"id": "2", "title": "Languages", "value": ["a", "b"], "valueLabel": ["English", "German"]},
        {"id": "3", "title": "Remote", "value": False},
    ]
    application = normalised(body).facts[0].application
    assert application
    assert application.custom_fields == {"Notice": "One month", "Languages": ["English", "German"], "Remote": False}


@pytest.mark.parametrize(
    ("offer", "status"),
    [
        ({"offerStatus": "WaitingOnApprovalStart"}, OfferStatus.DRAFT),
        ({"offerStatus": "WaitingOnOfferApproval"}, OfferStatus.DRAFT),
        ({"offerStatus": "WaitingOnApprovalDefinition"}, OfferStatus.DRAFT),
        ({"offerStatus": "WaitingOnCandidateResponse"}, OfferStatus.SENT),
        ({"offerStatus": "CandidateRejected"}, OfferStatus.DECLINED),
        ({"offerStatus": "CandidateAccepted"}, OfferStatus.ACCEPTED),
        ({"offerStatus": "OfferCancelled"}, OfferStatus.ABANDONED),
        ({"offerStatus": "OfferCancelled", "acceptanceStatus": "Accepted"}, OfferStatus.ABANDONED),
        ({"offerStatus": None, "acceptanceStatus": "Accepted"}, OfferStatus.ACCEPTED),
        ({"offerStatus": None, "acceptanceStatus": "Declined"}, OfferStatus.DECLINED),
        ({"offerStatus": None, "acceptanceStatus": "Created"}, OfferStatus.DRAFT),
        ({"offerStatus": None, "acceptanceStatus": "Cancelled"}, OfferStatus.ABANDONED),
        ({"offerStatus": None, "acceptanceStatus": "WaitingOnResponse"}, OfferStatus.SENT),
        ({"offerStatus": None, "acceptanceStatus": "Pending"}, OfferStatus.SENT),
        ({"offerStatus": None, "acceptanceStatus": "Unheard"}, None),
    ],
)
def test_the_status_of_an_offer(offer: dict[str, object], status: OfferStatus | None) -> None:
    result = normalised(body_of("offer_updated", **offer))
    assert result.soft_drift == ()
    assert result.facts[0].offer
    assert result.facts[0].offer.status is status
    deleted = fact_of("offer_deleted", **offer)
    assert deleted.offer
    assert deleted.offer.status is OfferStatus.ABANDONED


def test_an_offer_may_be_decided_on_a_day() -> None:
    fact = fact_of("offer_updated", decidedAt="2026-05-20")
    assert fact.offer
    assert fact.offer.resolved_at == "2026-05-20"
    assert fact.occurred_at is None
    assert fact_of("offer_updated", decidedAt="2026-05-20T12:00:00+02:00").occurred_at == datetime(
        2026, 5, 20, 10, tzinfo=UTC
    )


def test_who_wrote_an_offer_is_who_created_it_and_not_who_changed_it() -> None:
    assert fact_of("offer_created").actor
    assert fact_of("offer_updated").actor is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((word, None) for word in ("NeedsScheduling", "WaitingOnCandidateBooking", "WaitingOnCandidateAvailability")),
        *((word, None) for word in ("CandidateAvailabilitySubmitted", "OnHold", "Unknown", None)),
        ("Scheduled", InterviewStatus.SCHEDULED),
        ("WaitingOnFeedback", InterviewStatus.COMPLETED),
        ("Complete", InterviewStatus.COMPLETED),
        ("Cancelled", InterviewStatus.CANCELLED),
    ],
)
def test_the_status_of_an_interview(status: str | None, expected: InterviewStatus | None) -> None:
    result = normalised(body_of("interview_scheduled", status=status))
    assert result.soft_drift == ()
    assert result.facts[0].interview
    assert result.facts[0].interview.status is expected
    assert (result.facts[0].actor is not None) == (status == "Scheduled")  # who scheduled it did nothing of the others


def test_a_retry_is_known_by_its_act_and_other_events_of_it_are_not_the_same() -> None:
    def dedupe(name: str, act: str | None = "act", **changes: object) -> str | None:
        return normalised({**body_of(name, **changes), "webhookActionId": act}).dedupe

    assert dedupe("stage_changed") == dedupe("stage_changed", updatedAt="2026-05-06T13:40:12.000Z")
    assert dedupe("stage_changed") != dedupe("stage_changed", "another act")
    assert len({dedupe(name) for name in ("stage_changed", "application_updated", "hired", "offer_updated")}) == 4
    assert dedupe("stage_changed") != dedupe("stage_changed", id="another application")
    assert dedupe("stage_changed", None) is None


@pytest.mark.parametrize(
    ("titles", "expected"),
    [([], None), ([None], None), (["Screen"], "Screen"), (["Screen", None, "Panel", "Screen"], "Screen, Panel")],
)
def test_a_schedule_is_called_like_its_interviews(titles: list[str | None], expected: str | None) -> None:
    interviews = [{"startTime": None, "endTime": None, "interview": title and {"title": title}} for title in titles]
    result = normalised(body_of("interview_scheduled", interviewEvents=interviews))
    assert result.facts[0].interview
    assert result.facts[0].interview.title == expected
    assert result.soft_drift == ()


def test_a_new_interview_is_told_twice_and_taken_once() -> None:
    same = {"webhookActionId": "act"}
    created, updated = body_of("interview_created") | same, body_of("interview_scheduled") | same
    assert normalised(created).dedupe == normalised(updated).dedupe
    another = body_of("interview_scheduled", id="another schedule") | same
    assert normalised(another).dedupe != normalised(updated).dedupe


@pytest.mark.parametrize("api_url", ["api.ashbyhq.com", "ftp://api.ashbyhq.com"])
def test_an_api_url_that_cannot_be_called_is_refused(api_url: str) -> None:
    with pytest.raises(ValidationError, match="https://"):
        ashby(api_url=api_url)


def test_there_is_a_sample_of_what_ashby_tells() -> None:
    def sample(type_: EventType, outcome: Outcome = Outcome.PENDING) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(ASHBY.sample(Sample(type_, "9", "Ada L", "Analyst", NOW, "Offer", outcome)))
        return body

    assert [sample(type_)["action"] for type_ in (CREATED, MOVED, UPDATED)] == [
        "applicationSubmit",
        "candidateStageChange",
        "applicationUpdate",
    ]
    decided = {outcome: sample(DECIDED, outcome) for outcome in Outcome}
    assert decided[Outcome.HIRED]["action"] == "candidateHire"
    assert decided[Outcome.DECLINED]["data"]["application"]["status"] == "Archived"
    assert decided[Outcome.PENDING]["data"]["application"]["status"] == "Active"
    assert len({body["webhookActionId"] for body in decided.values()}) == 3
    events = told(*(normalised(decided[outcome]).facts[0] for outcome in (Outcome.DECLINED, Outcome.PENDING)))
    assert [event.type for event in events if event.type is DECIDED] == [DECIDED, DECIDED]
    with pytest.raises(ValueError, match="no Ashby sample of OfferChanged"):
        sample(EventType.OFFER_CHANGED)


def entry(number: int, stage: str, title: str, entered: str, actor: str | None = None) -> dict[str, object]:
    times = {"enteredStageAt": f"2026-05-{entered}Z", "allowedActions": ["delete"]}
    return {"id": f"h-{number}", "stageId": stage, "title": title, "stageNumber": number, "actorId": actor, **times}


REVIEW, SCREEN = "11112222-3333-4444-8555-666677778888", "22222222-3333-4444-8555-666677778888"
HISTORY = [
    entry(0, REVIEW, "Application Review", "04T09:14:02.331"),
    entry(1, SCREEN, "Recruiter Screen", "06T13:40:11.880", "u-1"),
]
USER = {"id": "u-1", "firstName": "Ines", "lastName": "Moreau", "email": "ines@example.com", "globalRole": "x"}


def failed(*errors: object, **info: object) -> Answers:
    """An error as Ashby answers it: with status 200."""
    return Answers({"success": False, "errors": list(errors), "errorInfo": info or None})


def quick(handler: Ashby) -> Access | None:
    """Its API without the waits between calls."""
    access = handler.access()
    return access and replace(access, per_second=1000.0)


async def completed(
    fact: Fact, history: object = HISTORY, asked: list[Asked] | None = None, **answers: Answers
) -> Fact:
    """The fact after asking an Ashby with this history; ``answers`` are of application_info and user_info."""

    def answer(asked: Asked) -> Answers:
        results = {"application_info": {"id": APPLICATION, "applicationHistory": history}, "user_info": USER}
        name = asked.target.strip("/").replace(".", "_")
        return answers.get(name, Answers({"success": True, "results": results[name]}))

    async with stand_in(answer) as vendor:
        handler = ashby(api_key="the key", api_url=vendor.url)
        async with api_of(quick(handler)) as api:
            (result,) = await handler.enrich(fact, api)
        if asked is not None:
            asked += vendor.asked
    assert result.subject == fact.subject
    assert not result.needs_enrichment
    assert result.application == fact.application
    assert result.to_stage == fact.to_stage
    return result


def test_only_moves_are_completed_and_only_with_a_key() -> None:
    knowing = ashby(api_key="the key")
    assert ASHBY.access() is None
    for name in fixtures_of("ashby"):
        for handler in (ASHBY, knowing):
            body = body_of(name)
            thin = [fact.needs_enrichment for fact in normalised(body, handler).facts]
            assert any(thin) == (handler is knowing and body["action"] == "candidateStageChange"), name


async def test_a_move_gets_its_mover_its_time_and_where_it_came_from() -> None:
    asked: list[Asked] = []
    fact = await completed(fact_of("stage_changed"), asked=asked)
    assert fact.from_stage == Stage(id=REVIEW, name="Application Review")
    assert fact.actor == Person(id="u-1", name="Ines Moreau", email="ines@example.com")
    assert fact.occurred_at == datetime(2026, 5, 6, 13, 40, 11, 880000, tzinfo=UTC)
    info, user = asked
    assert (info.method, info.target, info.json) == ("POST", "/application.info", {"applicationId": APPLICATION})
    assert (user.target, user.json) == ("/user.info", {"userId": "u-1"})
    assert info.headers["authorization"] == "Basic dGhlIGtleTo="
    assert info.headers["accept"] == "application/json; version=1"
    (event,) = told(fact)
    assert event.from_stage == fact.from_stage
    assert "dGhl" not in repr(ashby(api_key="the key").access())


async def test_a_move_stays_what_it_was_when_the_candidate_has_moved_on() -> None:
    history = [
        HISTORY[1],
        entry(3, SCREEN, "Recruiter Screen", "08T08:00:00.000", "u-3"),
        HISTORY[0],
        entry(2, "offer", "Offer", "07T08:00:00.000", "u-2"),
    ]
    fact = await completed(fact_of("stage_changed"), history)
    assert fact.from_stage == Stage(id=REVIEW, name="Application Review")
    assert fact.occurred_at == datetime(2026, 5, 6, 13, 40, 11, 880000, tzinfo=UTC)


async def test_a_rejection_is_a_move_in_the_history_too() -> None:
    archived = body_of("rejected")["data"]["application"]["currentInterviewStage"]["id"]
    history = [*HISTORY, entry(2, archived, "Archived", "08T16:02:59.098")]
    fact = await completed(fact_of("rejected"), history)
    assert fact.from_stage == Stage(id=SCREEN, name="Recruiter Screen")
    assert fact.actor is None
    assert types(fact) == [MOVED, DECIDED]


@pytest.mark.parametrize(
    "history",
    [
        [],
        None,
        "x",
        HISTORY[:1],
        [entry(1, SCREEN, "Recruiter Screen", "01T00:00:00.000", "u-1")],
        [{"stageId": SCREEN, "stageNumber": None, "enteredStageAt": None}],
    ],
)
async def test_a_history_without_the_move_adds_nothing(history: object) -> None:
    fact = fact_of("stage_changed")
    assert await completed(fact, history) == fact
    without_time = fact.model_copy(update={"occurred_at": None})
    assert await completed(without_time) == without_time


async def test_the_first_stage_came_from_nowhere() -> None:
    fact = await completed(fact_of("stage_changed"), HISTORY[1:])
    assert fact.from_stage is None
    assert fact.actor


async def test_a_user_who_is_gone_is_an_id() -> None:
    for answer in (failed("user_not_found"), Answers({}, 404)):
        fact = await completed(fact_of("stage_changed"), user_info=answer)
        assert fact.actor == Person(id="u-1")
    nameless = Answers({"success": True, "results": {"id": None, "firstName": ""}})
    assert (await completed(fact_of("stage_changed"), user_info=nameless)).actor is None


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (failed("application_not_found"), NotThere),
        (failed("invalid_input", code="invalid_input", message="Tomas Lindqvist is no id", requestId="1"), NotThere),
        (failed({"message": "Missing required permission candidatesRead", "parameter": None}), Refused),
        (failed("missing_endpoint_permission"), Refused),
        (failed(code="unauthorized", message="No"), Refused),
        (failed(code="x", message="The API key was deactivated"), Refused),
        (failed("rate_limit_exceeded"), Unavailable),
        (failed("internal_server_error"), Unavailable),
        (failed(), NotThere),
        (Answers({"success": False}), NotThere),
        (Answers("Unauthorized", 401), Refused),
        (Answers({"errors": ["missing_endpoint_permission"]}, 403), Refused),
        (Answers(None, 404), NotThere),
        (Answers(None, 429, {"retry-after": "7"}), Unavailable),
        (Answers(None, 500), Unavailable),
        (Answers(b"<html>"), Unavailable),
        (Answers({"success": True}), Drift),
        (Answers({"success": True, "results": []}), Drift),
    ],
)
async def test_an_api_that_does_not_work(answer: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await completed(fact_of("stage_changed"), application_info=answer)
    assert type(raised.value) is problem
    for secret in ("the key", "Tomas"):
        assert secret not in str(raised.value)
    if isinstance(raised.value, Unavailable) and answer.headers:
        assert raised.value.wait == 7


URL = "https://hooks.example.com/webhooks/ashby"


class Webhooks:
    """What Ashby does with webhooks: no two are alike, and there is no list of them."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def __call__(self, asked: Asked) -> Answers:
        assert asked.method == "POST"
        assert isinstance(asked.json, dict)
        match asked.target:
            case "/webhook.create":
                if any(asked.json.items() <= one.items() for one in self.kept.values()):
                    return failed({"message": "Duplicate webhook", "parameter": "requestUrl"})
                id_ = f"w-{len(self.kept)}"
                self.kept[id_] = {"id": id_, "enabled": True, **asked.json}
                return Answers({"success": True, "results": self.kept[id_]})
            case "/webhook.info" if asked.json["webhookId"] in self.kept:
                return Answers({"success": True, "results": self.kept[asked.json["webhookId"]]})
            case "/webhook.delete" if self.kept.pop(asked.json["webhookId"], None):
                return Answers({"success": True, "results": asked.json})
        return failed("webhook_not_found")


async def test_each_event_is_registered_once_with_the_sources_secret() -> None:
    webhooks = Webhooks()
    async with stand_in(webhooks) as vendor:
        handler = ashby(secret=["ours", "the old one"], api_key="the key", api_url=vendor.url)
        async with api_of(quick(handler)) as api:
            hooks = [hook async for hook in handler.connect(URL, api)]
            kept = list(webhooks.kept.values())
            assert [hook.events for hook in hooks] == [(one["webhookType"],) for one in kept]
            assert {(one["requestUrl"], one["secretToken"]) for one in kept} == {(URL, "ours")}
            assert all(hook.secret is None for hook in hooks)
            assert [hook.events[0] for hook in hooks] == list(handler.guide.events)
            assert all(hook.events[0] in line for hook, line in zip(hooks, handler.plan(URL), strict=True))
            assert "ours" not in "".join(handler.plan(URL))
            assert await handler.working(hooks, URL, api) == {hook.id for hook in hooks}
            kept[1]["enabled"] = False
            kept[2]["requestUrl"] = "https://example.com/elsewhere"
            await handler.remove(hooks[0], api)
            await handler.remove(hooks[0], api)
            assert await handler.working(hooks, URL, api) == {hook.id for hook in hooks[3:]}


async def test_what_is_registered_already_is_named_after_the_rest_is_done() -> None:
    webhooks = Webhooks()
    token = {"requestUrl": URL, "secretToken": "ours", "enabled": True}
    webhooks.kept["theirs"] = {"id": "theirs", "webhookType": "candidateHire", **token}
    made: list[Hook] = []
    async with stand_in(webhooks) as vendor:
        handler = ashby(secret="ours", api_key="the key", api_url=vendor.url)
        async with api_of(quick(handler)) as api:
            registering = aiter(handler.connect(URL, api))
            made += [await anext(registering) for _ in range(9)]
            with pytest.raises(NotThere, match="candidateHire") as raised:
                await anext(registering)
    assert "ours" not in str(raised.value)
    assert ("candidateHire",) not in [hook.events for hook in made]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (failed({"message": "This key lacks the permission apiKeysWrite"}), Refused),
        (Answers(None, 403), Refused),
        (Answers(None, 429, {"retry-after": "3"}), Unavailable),
        (Answers(None, 502), Unavailable),
    ],
)
async def test_ashby_may_not_do_it(answer: Answers, problem: type[ApiProblem]) -> None:
    steps: Mapping[str, Callable[[Ashby, Api], Awaitable[object]]] = {
        "connect": lambda handler, api: anext(aiter(handler.connect(URL, api))),
        "working": lambda handler, api: handler.working([Hook("w-0")], URL, api),
        "remove": lambda handler, api: handler.remove(Hook("w-0"), api),
    }
    for step in steps.values():
        async with stand_in(lambda _: answer) as vendor:
            handler = ashby(api_key="the key", api_url=vendor.url)
            async with api_of(quick(handler)) as api:
                with pytest.raises(problem):
                    await step(handler, api)
