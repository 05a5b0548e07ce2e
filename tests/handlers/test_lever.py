"""What is particular to Lever: a signature in the body that covers no data, bare ids, and an API that is right."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised, Receipt, Rejected, Sample
from handlers.connecting import Hook
from handlers.enriching import Access, Api, ApiProblem, NotThere, Refused, Unavailable
from handlers.lever import Lever
from router.project import project
from router.records import ApplicationState, WaitingFact
from router.schema import (
    Change,
    Event,
    EventType,
    Fact,
    InterviewStatus,
    Outcome,
    Person,
    RejectionReason,
    Stage,
    StageKind,
)
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

SECRET = "4f1d0c9be2a7c3d58890ab12cd34ef567890abcdef123456"
TOKEN, TRIGGERED_AT = "d1f6c0a2b3e44d5f8a90", 1780304042118
SIGNATURE = "ee507e923a87fa41e11f4da350c792b7c71d20e21933c55d248cfa626b7bf747"
"""`printf '%s%s' TOKEN TRIGGERED_AT | openssl dgst -sha256 -hmac SECRET`"""

SIGNED_AT = datetime(2026, 6, 1, 8, 54, 2, 118000, tzinfo=UTC)
OPPORTUNITY = "2b7a1d90-4c5e-4f37-8a1b-9d0e6f7a8b9c"
CONTACT = "e6f7a8b9-0c1d-4e2f-9a3b-4c5d6e7f8091"
SCREEN = "f0a1b2c3-d4e5-4f60-8172-93a4b5c6d7e8"
REJECTED_FOR, HIRED_FOR = "63dd55b2-a99f-4e7b-985f-22c7bf80ab42", "0092d31b-502b-4f0d-b4da-3827e1a2991f"


def lever(**settings: object) -> Lever:
    handler = handler_of("lever", **settings)
    assert isinstance(handler, Lever)
    return handler


LEVER = lever(secret=[SECRET])


def quick(handler: Lever) -> Access | None:
    """Its API without the waits between calls."""
    access = handler.access()
    return access and replace(access, per_second=1000.0)


def signed(**changes: object) -> Receipt:
    """The request of the vector above; ``changes`` are made after it was signed."""
    body = {"id": "1", "event": "candidateHired", "triggeredAt": TRIGGERED_AT, "token": TOKEN, "signature": SIGNATURE}
    return Receipt((), json.dumps({**body, "data": {"opportunityId": "o"}, **changes}).encode(), SIGNED_AT)


def body_of(name: str, **data: object) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(fixtures_of("lever")[name].body)
    return {**body, "data": {**body["data"], **data}}


def normalised(body: object, handler: Lever = LEVER) -> Normalised:
    return handler.normalise(receipt(json.dumps(body).encode()))


def fact_of(name: str, handler: Lever = LEVER, **data: object) -> Fact:
    (fact,) = normalised(body_of(name, **data), handler).facts
    return fact


def told(facts: list[Fact]) -> list[Event]:
    """What becomes of facts of one subject, one after the other."""
    state, events = ApplicationState(), []
    for number, fact in enumerate(facts):
        waiting = WaitingFact(
            receipt=str(number), ordinal=0, source="s", vendor="lever", received_at=NOW, fact=LEVER.with_kind(fact)
        )
        state, news = project(state, waiting)
        events += news
    return events


def types(events: list[Event]) -> list[tuple[EventType, Outcome | None]]:
    return [(event.type, event.application.outcome if event.application else None) for event in events]


def test_the_signature_is_of_the_token_and_the_time_right_after_it() -> None:
    LEVER.verify(signed())
    LEVER.verify(signed(triggeredAt=str(TRIGGERED_AT)))
    changed: list[dict[str, object]] = [
        {"token": TOKEN + " "},
        {"token": TOKEN[:-1]},
        {"token": None},
        {"triggeredAt": TRIGGERED_AT + 1},
        {"triggeredAt": float(TRIGGERED_AT)},
        {"triggeredAt": f"+{TRIGGERED_AT}"},
        {"triggeredAt": None},
        {"triggeredAt": True},
        {"signature": SIGNATURE.upper()},
        {"signature": SIGNATURE[:-1]},
        {"signature": f"sha256={SIGNATURE}"},
        {"signature": None},
        {"signature": [SIGNATURE]},
    ]
    for changes in changed:
        with pytest.raises(Rejected) as rejected:
            LEVER.verify(signed(**changes))
        assert SIGNATURE[:8] not in str(rejected.value)


def test_what_lever_does_not_sign_is_not_covered() -> None:
    LEVER.verify(signed(data={"opportunityId": "another"}, event="candidateDeleted", id="2"))
    LEVER.verify(Receipt((("lever-signature", "0" * 64),), signed().body, SIGNED_AT))


def test_every_token_of_the_list_is_tried() -> None:
    lever(secret=["one", "two", SECRET]).verify(signed())
    with pytest.raises(Rejected):
        lever(secret=["one", "two"]).verify(signed())


@pytest.mark.parametrize(("later", "fine"), [(2.99, True), (-2.99, True), (3.01, False), (-3.01, False), (400, False)])
def test_a_webhook_may_be_three_days_old(later: float, fine: bool) -> None:
    sent = Receipt((), signed().body, SIGNED_AT + timedelta(days=later))
    if fine:
        LEVER.verify(sent)
    else:
        with pytest.raises(Rejected, match="timestamp"):
            LEVER.verify(sent)


def test_a_connection_is_verified_before_its_token_is_known() -> None:
    pending = lever(secret="pending")
    empty: dict[str, object] = {}
    for body in ({"event": "candidateHired", "data": empty}, {"data": empty}, body_of("verify_connection")):
        test = receipt(json.dumps(body).encode())
        pending.verify(test)
        assert pending.normalise(test).disposition is Disposition.PING
        assert pending.normalise(test).facts == ()


@pytest.mark.parametrize("data", [None, [], "", {"opportunityId": "o"}, {"a": None}, 0])
def test_nothing_else_is_let_in_before_a_token_is_known(data: object) -> None:
    with pytest.raises(Rejected):
        lever(secret="pending").verify(signed(data=data))


def test_a_connection_is_verified_with_its_signature_once_a_token_is_known() -> None:
    LEVER.verify(signed(data={}))
    with pytest.raises(Rejected):
        LEVER.verify(signed(data={}, signature="0" * 64))


def test_a_retry_is_known_by_its_id_and_else_by_its_token() -> None:
    first = normalised(body_of("hired"))
    again = normalised({**body_of("hired"), "token": "another", "triggeredAt": 1})
    assert first.dedupe == again.dedupe == body_of("hired")["id"]
    assert normalised({**body_of("hired"), "id": None}).dedupe == body_of("hired")["token"]
    assert len({normalised(body_of(name)).dedupe for name in fixtures_of("lever") if body_of(name)["data"]}) > 10


def test_the_time_that_is_signed_says_what_is_newer() -> None:
    versions = [
        normalised({**body_of("hired"), "triggeredAt": at}).facts[0].vendor_version
        for at in (TRIGGERED_AT - TRIGGERED_AT % 1000, TRIGGERED_AT, TRIGGERED_AT + 1, TRIGGERED_AT + 900)
    ]
    assert versions[1] == "2026-06-01T08:54:02.118+00:00"
    assert versions == sorted(versions, key=str)
    assert len(set(versions)) == 4


def test_an_event_without_a_type_is_ignored_by_name() -> None:
    result = normalised({**body_of("hired"), "event": "offerCreated"})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, "offerCreated")


@pytest.mark.parametrize("name", sorted(fixtures_of("lever")))
def test_neither_token_nor_signature_is_passed_on(name: str) -> None:
    body = body_of(name)
    text = "".join(fact.model_dump_json() for fact in normalised(body).facts)
    assert body["token"] not in text
    assert body["signature"] not in text


def test_an_application_is_the_opportunity_or_what_was_called_candidate() -> None:
    assert fact_of("hired", opportunityId="a", candidateId="b").subject == "a:a"
    assert fact_of("hired", opportunityId=None, candidateId="b").subject == "a:b"
    assert fact_of("hired", opportunityId="", contactId=None).candidate is None


@pytest.mark.parametrize(
    ("name", "data", "path"),
    [
        ("hired", {"opportunityId": None, "candidateId": None}, "data.opportunityId"),
        ("deleted", {"opportunityId": [], "candidateId": {}}, "data.opportunityId"),
        ("stage_changed", {"toStageId": None}, "data.toStageId"),
        ("stage_changed", {"toStageId": {"id": "x"}}, "data.toStageId"),
        ("archived", {"toArchived": "x"}, "data.toArchived"),
        ("archived", {"toArchived": []}, "data.toArchived"),
        ("contact_updated", {"contactId": None}, "data.contactId"),
    ],
)
def test_drift_names_the_path_that_failed(name: str, data: dict[str, object], path: str) -> None:
    with pytest.raises(Drift) as drift:
        normalised(body_of(name, **data))
    assert drift.value.path == path


@pytest.mark.parametrize("data", [None, [], "x"])
def test_an_event_without_data_is_drift(data: object) -> None:
    with pytest.raises(Drift, match="data"):
        normalised({**body_of("hired"), "data": data})


def test_an_archive_change_that_tells_no_more_than_where_from_is_the_way_back() -> None:
    body = body_of("unarchived")
    del body["data"]["toArchived"]
    assert types(told([*normalised(body).facts])) == [(EventType.OUTCOME_CHANGED, Outcome.PENDING)]
    body["data"]["fromArchived"] = None
    with pytest.raises(Drift, match="toArchived"):
        normalised(body)


def test_an_archived_candidate_may_be_a_hired_one() -> None:
    fact = fact_of("archived")
    assert types(told([fact])) == [(EventType.APPLICATION_UPDATED, None)]
    assert fact.changes == [Change(field="archived", to=REJECTED_FOR)]
    assert fact_of("archived", toArchived={"archivedAt": None, "reason": None}).changes == [
        Change(field="archived", to=True)
    ]
    again = fact_of("archived", fromArchived={"reason": HIRED_FOR})
    assert again.changes == [Change(field="archived", from_=HIRED_FOR, to=REJECTED_FOR)]


def test_an_archived_candidate_is_told_apart_by_the_reasons_that_mean_hired() -> None:
    knowing = lever(hired_reasons=HIRED_FOR)
    at = datetime(2026, 6, 1, 12, 29, 0, 480000, tzinfo=UTC)
    rejected = fact_of("archived", knowing)
    assert rejected.type is EventType.OUTCOME_CHANGED
    assert rejected.occurred_at == at
    assert rejected.application
    assert rejected.application.outcome is Outcome.DECLINED
    assert rejected.application.rejected_at == at
    assert rejected.application.rejection_reason == RejectionReason(id=REJECTED_FOR)
    hired = fact_of("archived", knowing, toArchived={"archivedAt": 1780316940480, "reason": HIRED_FOR})
    assert hired.application
    assert (hired.application.outcome, hired.application.hired_at) == (Outcome.HIRED, at)
    assert hired.application.rejection_reason is None
    assert fact_of("archived", knowing, toArchived={"archivedAt": 1}).type is EventType.APPLICATION_UPDATED


def test_a_default_stage_is_known_by_its_id() -> None:
    kinds = LEVER.with_kind(fact_of("stage_changed", toStageId="offer", fromStageId="lead-new"))
    assert kinds.to_stage == Stage(id="offer", kind=StageKind.OFFER)
    assert kinds.from_stage == Stage(id="lead-new")


@pytest.mark.parametrize("api_url", ["api.lever.co", "ftp://api.lever.co", "https://me:pw@api.lever.co/v1"])
def test_an_api_url_that_cannot_be_called_is_refused(api_url: str) -> None:
    with pytest.raises(ValidationError, match=r"https://|no user and password"):
        lever(api_url=api_url)


def test_there_is_a_sample_of_what_lever_tells() -> None:
    def sample(type_: EventType, outcome: Outcome = Outcome.PENDING, name: str = "Ada Lovelace") -> dict[str, Any]:
        body: dict[str, Any] = json.loads(LEVER.sample(Sample(type_, "9001", name, "Analyst", NOW, "Offer", outcome)))
        return body

    outcomes = [sample(EventType.OUTCOME_CHANGED, outcome) for outcome in Outcome]
    assert [body["event"] for body in outcomes] == [
        "candidateArchiveChange",
        "candidateHired",
        "candidateArchiveChange",
    ]
    assert [body["data"].get("toArchived") is None for body in outcomes] == [True, True, False]
    move = sample(EventType.STAGE_CHANGED)
    assert move["data"]["toStageId"] == "Offer"
    assert move["id"] != sample(EventType.STAGE_CHANGED, name="Grace Hopper")["id"]
    with pytest.raises(ValueError, match="no Lever sample of OfferChanged"):
        sample(EventType.OFFER_CHANGED)


def test_what_is_no_object_is_sent_as_it_is() -> None:
    assert LEVER.sign(b"[1]", NOW).body == b"[1]"
    assert LEVER.sign(b"nonsense", NOW).body == b"nonsense"


def at(text: str) -> int:
    """An hour and minute of the day on which the fixtures were sent, as Lever writes it."""
    return int(datetime.fromisoformat(f"2026-06-01T{text}+00:00").timestamp() * 1000)


def opportunity(**changes: object) -> dict[str, Any]:
    """What GET /opportunities/:id answers, as it was recorded, the application and the stage expanded."""
    return {
        "id": OPPORTUNITY,
        "name": "Mara Quist",
        "contact": CONTACT,
        "headline": "Example Works",
        "stage": {"id": SCREEN, "text": "Recruiter screen"},
        "location": "Oslo",
        "phones": [{"type": "mobile", "value": "+47 555 01 001"}],
        "emails": ["mara@example.org"],
        "links": ["https://example.org/mara"],
        "archived": None,
        "tags": ["Engineering"],
        "sources": ["Referral"],
        "stageChanges": [
            {"toStageId": SCREEN, "toStageIndex": 4, "updatedAt": at("12:29:01.900"), "userId": "u-2"},
            {"toStageId": "applicant-new", "toStageIndex": 3, "updatedAt": at("09:00"), "userId": None},
        ],
        "applications": [
            {"id": "a-1", "posting": "p-old", "createdAt": at("08:00"), "archived": {"reason": REJECTED_FOR}},
            {"id": "a-2", "posting": "p-1", "createdAt": at("09:00"), "archived": None},
        ],
        "createdAt": at("09:00"),
        "updatedAt": at("12:29:01.950"),
        "urls": {"list": "https://hire.lever.co/candidates", "show": f"https://hire.lever.co/candidates/{OPPORTUNITY}"},
        "isAnonymized": False,
        **changes,
    }


STAGES = [
    {"id": "applicant-new", "text": "New applicant"},
    {"id": SCREEN, "text": "Recruiter screen"},
    {"id": "offer", "text": "Offer"},
]
OBJECTS: Mapping[str, object] = {
    f"/opportunities/{OPPORTUNITY}": opportunity(),
    "/stages": STAGES,
    "/postings/p-1": {
        "id": "p-1",
        "text": "Data Engineer",
        "state": "published",
        "hiringManager": "u-1",
        "categories": {"department": "Engineering", "location": "Oslo", "team": "Data"},
        "requisitionCodes": ["ENG-7"],
        "urls": {"show": "https://jobs.lever.co/example/p-1"},
    },
    "/users/u-1": {"id": "u-1", "name": "Ines Moreau", "email": "ines@example.com", "accessRole": "admin"},
    "/users/u-2": {"id": "u-2", "name": "Lena Hart", "email": "lena@example.com"},
    f"/archive_reasons/{REJECTED_FOR}": {"id": REJECTED_FOR, "text": "Timing", "status": "active", "type": "non-hired"},
    f"/archive_reasons/{HIRED_FOR}": {"id": HIRED_FOR, "text": "Hired", "status": "active", "type": "hired"},
    "/archive_reasons/odd": {"id": "odd", "text": "Elsewhere", "type": "something-new"},
    f"/contacts/{CONTACT}": {
        "id": CONTACT,
        "name": "Mara Quist",
        "location": {"name": "Bergen"},
        "emails": ["mara@example.org"],
        "phones": [{"type": "mobile", "value": "+47 555 01 001"}],
    },
}


async def completed(fact: Fact, asked: list[Asked] | None = None, /, **changes: object) -> Fact:
    """The fact after asking a Lever whose opportunity has ``changes``; paths as names replace other objects."""
    paths = {name: value for name, value in changes.items() if name.startswith("/")}
    fields = {name: value for name, value in changes.items() if not name.startswith("/")}
    objects = {**OBJECTS, f"/opportunities/{OPPORTUNITY}": opportunity(**fields), **paths}

    def answer(asked: Asked) -> Answers:
        data = objects.get(asked.target.partition("?")[0].removeprefix("/v1"))
        missing = Answers({"code": "ResourceNotFound", "message": "Not found"}, 404)
        return data if isinstance(data, Answers) else missing if data is None else Answers({"data": data})

    async with stand_in(answer) as vendor:
        handler = lever(api_key="the key", api_url=f"{vendor.url}/v1")
        async with api_of(quick(handler)) as api:
            (result,) = await handler.enrich(fact, api)
        if asked is not None:
            asked += vendor.asked
    assert Fact.model_validate_json(result.model_dump_json()) == result
    assert result.subject == fact.subject
    assert not result.needs_enrichment
    return result


def archived(reason: str | None, when: str = "12:29") -> dict[str, object]:
    return {"reason": reason, "archivedAt": at(when)}


def test_without_a_key_nothing_is_asked() -> None:
    assert LEVER.access() is None


async def test_the_key_is_sent_with_a_blank_password_and_hidden() -> None:
    access = lever(api_key="the key").access()
    assert access
    assert (access.base, access.per_second) == ("https://api.lever.co/v1", 10)
    asked: list[Asked] = []
    await completed(fact_of("stage_changed"), asked)
    assert {one.headers["authorization"] for one in asked} == {"Basic dGhlIGtleTo="}
    assert asked[0].target == f"/v1/opportunities/{OPPORTUNITY}?expand=applications&expand=stage"
    assert "dGhl" not in repr(lever(api_key="the key").access())
    assert "the key" not in repr(lever(api_key="the key").settings)


async def test_who_was_sourced_applied_when_the_application_was_made_and_may_have_been_referred() -> None:
    referral = {"id": "a-2", "type": "referral", "user": "u-1", "posting": "p-1", "createdAt": at("10:30")}
    told = (await completed(fact_of("application_created"), applications=[{**referral, "archived": None}])).application
    assert told
    assert told.created_at == datetime(2026, 6, 1, 10, 30, tzinfo=UTC)
    assert told.referrer == Person(id="u-1", name="Ines Moreau", email="ines@example.com")
    for applications in ([], [{**referral, "type": "user", "createdAt": None, "archived": None}]):
        told = (await completed(fact_of("application_created"), applications=applications)).application
        assert told
        assert (told.created_at, told.referrer) == (datetime(2026, 6, 1, 9, tzinfo=UTC), None)


async def test_a_move_gets_names_its_mover_and_its_time() -> None:
    fact = await completed(fact_of("stage_changed", fromStageId="offer"))
    assert fact.type is EventType.STAGE_CHANGED
    assert fact.to_stage == Stage(id=SCREEN, name="Recruiter screen", index=4)
    assert fact.from_stage == Stage(id="applicant-new", name="New applicant", index=3)  # the webhook's is not signed
    assert fact.actor == Person(id="u-2", name="Lena Hart", email="lena@example.com")
    assert fact.occurred_at == datetime(2026, 6, 1, 12, 29, 1, 900000, tzinfo=UTC)
    assert fact.vendor_version == fact_of("stage_changed").vendor_version
    assert fact.application
    assert fact.application.stage == fact.to_stage
    assert fact.application.outcome is None
    assert fact.application.source == "Referral"
    assert fact.application.created_at == datetime(2026, 6, 1, 9, tzinfo=UTC)
    assert fact.application.url == f"https://hire.lever.co/candidates/{OPPORTUNITY}"
    assert fact.candidate
    assert fact.candidate.id == CONTACT
    assert fact.candidate.name == "Mara Quist"
    assert fact.candidate.emails == ["mara@example.org"]
    assert fact.candidate.phones == ["+47 555 01 001"]
    assert fact.candidate.location == "Oslo"
    assert fact.job
    assert fact.job.id == "p-1"
    assert fact.job.title == "Data Engineer"
    assert fact.job.requisition_id == "ENG-7"
    assert fact.job.departments == ["Engineering"]
    assert fact.job.hiring_managers == [Person(id="u-1", name="Ines Moreau", email="ines@example.com")]
    assert [event.type for event in told([fact])] == [EventType.STAGE_CHANGED]


async def test_a_move_stays_what_it_was_when_the_candidate_has_moved_on() -> None:
    later = {"toStageId": "offer", "toStageIndex": 5, "updatedAt": at("12:29:30"), "userId": "u-1"}
    gone_on = {"stage": {"id": "offer", "text": "Offer"}, "stageChanges": [*opportunity()["stageChanges"], later]}
    fact = await completed(fact_of("stage_changed"), **gone_on, archived=archived(HIRED_FOR))
    assert fact.to_stage == Stage(id=SCREEN, name="Recruiter screen", index=4)
    assert fact.application
    assert fact.application.stage == fact.to_stage
    assert [event.type for event in told([fact])] == [EventType.STAGE_CHANGED]


async def test_of_two_visits_to_a_stage_it_is_the_one_at_that_time() -> None:
    visits = [
        {"toStageId": "applicant-new", "updatedAt": at("09:00"), "userId": None},
        {"toStageId": SCREEN, "updatedAt": at("12:20"), "userId": "u-1"},
        {"toStageId": "offer", "updatedAt": at("12:25"), "userId": "u-1"},
        {"toStageId": SCREEN, "updatedAt": at("12:29:02"), "userId": "u-2"},
        {"toStageId": "offer", "updatedAt": at("12:50"), "userId": "u-1"},
        {"toStageId": SCREEN, "updatedAt": at("12:55"), "userId": "u-1"},
    ]
    fact = await completed(fact_of("stage_changed"), stageChanges=visits)
    assert fact.from_stage == Stage(id="offer", name="Offer")
    assert fact.actor
    assert fact.actor.id == "u-2"


async def test_a_move_that_the_api_knows_nothing_of_is_what_the_api_says_instead() -> None:
    """Somebody who saw one signed webhook can put other ids into it."""
    forged = fact_of("stage_changed", toStageId="offer")
    fact = await completed(forged)
    assert (fact.type, fact.is_snapshot) == (EventType.APPLICATION_UPDATED, True)
    assert fact.to_stage is None
    assert fact.from_stage is None
    assert fact.application
    assert fact.application.stage == Stage(id=SCREEN, name="Recruiter screen")
    assert fact.application.outcome is Outcome.PENDING
    before = await completed(fact_of("stage_changed"))
    assert [event.type for event in told([before, fact])] == [EventType.STAGE_CHANGED]
    long_ago = fact_of("stage_changed", toStageId="applicant-new")
    assert (await completed(long_ago)).is_snapshot


async def test_a_move_is_taken_as_it_came_where_the_history_is_not_shown() -> None:
    fact = await completed(fact_of("stage_changed"), stageChanges=[])
    assert fact.to_stage == Stage(id=SCREEN, name="Recruiter screen")
    assert fact.from_stage == Stage(id="applicant-new", name="New applicant")
    assert fact.actor is None
    assert fact.occurred_at == fact_of("stage_changed").occurred_at
    hidden = await completed(fact_of("stage_changed", toStageId="gone"), stageChanges=[], stage="")
    assert hidden.to_stage == Stage(id="gone")


async def test_the_first_move_in_the_history_came_from_where_the_webhook_says() -> None:
    only = [{"toStageId": SCREEN, "updatedAt": at("12:29"), "userId": None}]
    fact = await completed(fact_of("stage_changed"), stageChanges=only)
    assert fact.from_stage == Stage(id="applicant-new", name="New applicant")


async def test_an_archived_candidate_is_rejected_or_hired_by_the_type_of_the_reason() -> None:
    rejected = await completed(fact_of("archived"), archived=archived(REJECTED_FOR))
    assert rejected.type is EventType.OUTCOME_CHANGED
    assert rejected.changes is None
    assert rejected.occurred_at == datetime(2026, 6, 1, 12, 29, tzinfo=UTC)
    assert rejected.application
    assert rejected.application.outcome is Outcome.DECLINED
    assert rejected.application.rejected_at == rejected.occurred_at
    assert rejected.application.rejection_reason == RejectionReason(id=REJECTED_FOR, name="Timing")
    assert types(told([rejected])) == [(EventType.OUTCOME_CHANGED, Outcome.DECLINED)]
    hired = await completed(fact_of("archived"), archived=archived(HIRED_FOR))
    assert hired.application
    assert hired.application.outcome is Outcome.HIRED
    assert hired.application.hired_at == hired.occurred_at
    assert hired.application.rejection_reason is None


async def test_a_hire_is_one_event_whichever_webhook_comes_first() -> None:
    hire = await completed(fact_of("hired"), archived=archived(HIRED_FOR))
    archive = await completed(fact_of("archived"), archived=archived(HIRED_FOR))
    for facts in ([hire, archive], [archive, hire]):
        assert types(told(facts)) == [(EventType.OUTCOME_CHANGED, Outcome.HIRED)]


async def test_the_way_back_and_forth() -> None:
    gone = await completed(fact_of("archived"), archived=archived(REJECTED_FOR))
    back = await completed(fact_of("unarchived"))
    assert types(told([gone, back])) == [
        (EventType.OUTCOME_CHANGED, Outcome.DECLINED),
        (EventType.OUTCOME_CHANGED, Outcome.PENDING),
    ]


@pytest.mark.parametrize(
    ("name", "now", "outcome"),
    [
        ("archived", None, Outcome.PENDING),
        ("hired", None, Outcome.PENDING),
        ("unarchived", archived(REJECTED_FOR), Outcome.DECLINED),
        ("unarchived", archived(HIRED_FOR), Outcome.HIRED),
    ],
)
async def test_where_the_api_says_the_contrary_it_is_right(name: str, now: object, outcome: Outcome) -> None:
    fact = await completed(fact_of(name), archived=now)
    assert (fact.type, fact.is_snapshot) == (EventType.APPLICATION_UPDATED, True)
    assert fact.changes is None
    assert fact.application
    assert fact.application.outcome is outcome


async def test_a_hire_that_the_api_calls_a_rejection_is_one() -> None:
    fact = await completed(fact_of("hired"), archived=archived(REJECTED_FOR))
    assert types(told([fact])) == [(EventType.OUTCOME_CHANGED, Outcome.DECLINED)]


@pytest.mark.parametrize("reason", ["gone", "odd", "../users", "", None])
async def test_a_reason_that_tells_nothing_leaves_what_the_webhook_said(reason: str | None) -> None:
    unsure = await completed(fact_of("archived"), archived=archived(reason))
    assert types(told([unsure])) == [(EventType.APPLICATION_UPDATED, None)]
    assert unsure.changes == [Change(field="archived", to=REJECTED_FOR)]
    assert unsure.candidate
    assert unsure.candidate.name == "Mara Quist"
    assert types(told([await completed(fact_of("hired"), archived=archived(reason))])) == [
        (EventType.OUTCOME_CHANGED, Outcome.HIRED)
    ]


async def test_an_application_begins_in_the_stage_it_had_then() -> None:
    created = fact_of("application_created").model_copy(update={"occurred_at": datetime(2026, 6, 1, 9, 5, tzinfo=UTC)})
    fact = await completed(created, archived=archived(REJECTED_FOR))
    assert types(told([fact])) == [(EventType.APPLICATION_CREATED, Outcome.PENDING)]
    assert fact.application
    assert fact.application.stage == Stage(id="applicant-new", name="New applicant", index=3)
    early = created.model_copy(update={"occurred_at": datetime(2026, 6, 1, 8, tzinfo=UTC)})
    assert (await completed(early)).application == fact.application
    hidden = await completed(created, stageChanges=None)
    assert hidden.application
    assert hidden.application.stage == Stage(id=SCREEN, name="Recruiter screen")


INTERVIEW = {
    "id": "7a6b5c4d-3e2f-4a1b-9c8d-7e6f5a4b3c2d",
    "subject": "First talk",
    "interviewers": [{"id": "u-1", "name": "Ines Moreau", "email": "ines@example.com", "feedbackTemplate": "x"}],
    "date": at("14:00"),
    "duration": 45,
    "location": None,
    "user": "u-2",
    "canceledAt": None,
}
INTERVIEW_PATH = f"/opportunities/{OPPORTUNITY}/interviews/{INTERVIEW['id']}"


async def test_an_interview_gets_its_time_and_its_people() -> None:
    fact = await completed(fact_of("interview_created"), **{INTERVIEW_PATH: INTERVIEW})
    assert fact.type is EventType.INTERVIEW_CHANGED
    assert fact.interview
    assert fact.interview.title == "First talk"
    assert fact.interview.status is InterviewStatus.SCHEDULED
    assert fact.interview.start == datetime(2026, 6, 1, 14, tzinfo=UTC)
    assert fact.interview.end == datetime(2026, 6, 1, 14, 45, tzinfo=UTC)
    assert fact.interview.interviewers == [Person(id="u-1", name="Ines Moreau", email="ines@example.com")]
    assert fact.actor
    assert fact.actor.name == "Lena Hart"
    updated = await completed(fact_of("interview_updated"), **{INTERVIEW_PATH: INTERVIEW})
    assert updated.actor is None
    off = await completed(fact_of("interview_updated"), **{INTERVIEW_PATH: {**INTERVIEW, "canceledAt": at("13:00")}})
    assert off.interview
    assert off.interview.status is InterviewStatus.CANCELLED


@pytest.mark.parametrize("duration", [None, 0, -5, 10**12, "45"])
async def test_an_interview_of_an_odd_length_has_no_end(duration: object) -> None:
    fact = await completed(fact_of("interview_created"), **{INTERVIEW_PATH: {**INTERVIEW, "duration": duration}})
    assert fact.interview
    assert fact.interview.start
    assert fact.interview.end is None


async def test_an_interview_that_is_gone_is_cancelled_or_as_it_came() -> None:
    asked: list[Asked] = []
    deleted = await completed(fact_of("interview_deleted"), asked)
    assert deleted.interview
    assert deleted.interview.status is InterviewStatus.CANCELLED
    assert not any("interviews" in one.target for one in asked)
    missing = await completed(fact_of("interview_created"))
    assert missing.interview
    assert missing.interview.status is InterviewStatus.SCHEDULED
    assert missing.job
    assert missing.job.title == "Data Engineer"


async def test_a_contact_gets_its_name() -> None:
    fact = await completed(fact_of("contact_updated"))
    assert fact.candidate
    assert fact.candidate.model_dump(exclude_defaults=True) == {
        "id": CONTACT,
        "name": "Mara Quist",
        "emails": ["mara@example.org"],
        "phones": ["+47 555 01 001"],
        "location": "Bergen",
    }
    unknown = await completed(fact_of("contact_updated", contactId="gone"))
    assert unknown.candidate
    assert unknown.candidate.model_dump(exclude_defaults=True) == {"id": "gone"}


async def test_what_is_empty_in_an_answer_is_not_shown() -> None:
    hidden: dict[str, object] = {
        "name": "",
        "emails": [],
        "contact": None,
        "applications": [],
        "sources": [],
        "urls": None,
        "tags": None,
    }
    fact = await completed(fact_of("stage_changed"), **hidden)
    assert fact.candidate
    assert (fact.candidate.id, fact.candidate.name) == (CONTACT, None)
    assert fact.job is None


async def test_names_that_cannot_be_found_leave_their_ids() -> None:
    fact = await completed(
        fact_of("stage_changed"), **{"/users/u-2": None, "/postings/p-1": None, "/stages": [{"id": "other"}]}
    )
    assert fact.actor == Person(id="u-2")
    assert fact.job
    assert fact.job.model_dump(exclude_defaults=True) == {"id": "p-1"}
    assert fact.from_stage == Stage(id="applicant-new", index=3)
    only_old = await completed(fact_of("stage_changed"), applications=opportunity()["applications"][:1])
    assert only_old.job
    assert only_old.job.id == "p-old"


@pytest.mark.parametrize("id_", ["../users/u-1", "x?expand=", "a b", "x/y", "%2e%2e", ".."])
async def test_an_id_out_of_an_unsigned_body_leads_nowhere_else(id_: str) -> None:
    asked: list[Asked] = []
    with pytest.raises(NotThere):
        await completed(fact_of("hired", opportunityId=id_), asked)
    contact = await completed(fact_of("contact_updated", contactId=id_), asked)
    assert contact.candidate
    assert contact.candidate.name is None
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answers({"code": "Unauthorized"}, 401), Refused),
        (Answers({"code": "Forbidden"}, 403), Refused),
        (Answers({"code": "ResourceNotFound"}, 404), NotThere),
        (Answers({"code": "TooManyRequests"}, 429, {"retry-after": "7"}), Unavailable),
        (Answers(None, 500), Unavailable),
        (Answers(None, 503), Unavailable),
        (Answers(b"<html>"), Unavailable),
        (Answers({"data": []}), Drift),
        (Answers({"data": None}), Drift),
        (Answers([]), Drift),
    ],
)
async def test_an_api_that_does_not_work(answer: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await completed(fact_of("stage_changed"), **{f"/opportunities/{OPPORTUNITY}": answer})
    if isinstance(raised.value, Unavailable) and answer.headers:
        assert raised.value.wait == 7
    assert "the key" not in str(raised.value)


@pytest.mark.parametrize("path", ["/users/u-2", "/postings/p-1", "/stages"])
async def test_a_refused_name_stops_the_fact_instead_of_leaving_it_out(path: str) -> None:
    with pytest.raises(Refused):
        await completed(fact_of("stage_changed"), **{path: Answers({"code": "Forbidden"}, 403)})


async def test_names_are_asked_for_once() -> None:
    facts = [fact_of("stage_changed"), fact_of("application_created"), fact_of("hired")]

    def answer(asked: Asked) -> Answers:
        data = OBJECTS.get(asked.target.partition("?")[0])
        return Answers({"data": data}) if data else Answers({}, 404)

    async with stand_in(answer) as vendor:
        handler = lever(api_key="k", api_url=vendor.url)
        async with api_of(quick(handler)) as api:
            for fact in facts:
                await handler.enrich(fact, api)
        targets = [one.target for one in vendor.asked]
    assert sum("/opportunities/" in target for target in targets) == 3
    assert len([target for target in targets if "/opportunities/" not in target]) == 4


URL = "https://hooks.example.com/webhooks/lever"


class Webhooks:
    """What Lever does with webhooks: it makes a token for each, and lists them without."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, object]] = {}
        self.tokens = True

    def __call__(self, asked: Asked) -> Answers:
        assert asked.target.startswith("/v1/webhooks")
        if asked.method == "POST":
            assert isinstance(asked.json, dict)
            id_ = f"w-{len(self.kept)}"
            self.kept[id_] = {"id": id_, **asked.json}
            secret = {"signatureToken": f"token {id_}"} if self.tokens else {}
            return Answers({"data": {**self.kept[id_], "configuration": {"conditions": {}, **secret}}}, 201)
        if asked.method == "DELETE":
            gone = self.kept.pop(asked.target.rpartition("/")[2], None)
            return Answers(None, 204) if gone else Answers({"code": "ResourceNotFound"}, 404)
        return Answers({"data": list(self.kept.values())})


async def test_each_event_is_registered_with_a_token_of_its_own() -> None:
    webhooks = Webhooks()
    async with stand_in(webhooks) as vendor:
        handler = lever(api_key="the key", api_url=f"{vendor.url}/v1")
        async with api_of(quick(handler)) as api:
            hooks = [hook async for hook in handler.connect(URL, api)]
            assert [hook.events for hook in hooks] == [(str(one["event"]),) for one in webhooks.kept.values()]
            assert [hook.secret for hook in hooks] == [f"token w-{number}" for number in range(8)]
            assert {one["url"] for one in webhooks.kept.values()} == {URL}
            *lines, by_hand = handler.plan(URL)
            assert all(hook.events[0] in line for hook, line in zip(hooks, lines, strict=True))
            assert "Super Admin" in by_hand
            assert await handler.working(hooks, URL, api) == {hook.id for hook in hooks}
            webhooks.kept["w-1"]["url"] = "https://example.com/elsewhere"
            await handler.remove(hooks[0], api)
            await handler.remove(hooks[0], api)
            assert await handler.working(hooks, URL, api) == {hook.id for hook in hooks[2:]}
            knowing = type(handler)(handler.settings.knowing([hook.secret or "" for hook in hooks]))
            for hook in hooks:
                made = lever(secret=[hook.secret]).sign(json.dumps({"event": hook.events[0], "data": {}}).encode(), NOW)
                knowing.verify(receipt(made.body))


async def test_a_webhook_without_a_token_is_kept_and_told() -> None:
    webhooks = Webhooks()
    webhooks.tokens = False
    async with stand_in(webhooks) as vendor:
        handler = lever(api_key="the key", api_url=f"{vendor.url}/v1")
        async with api_of(quick(handler)) as api:
            hooks = aiter(handler.connect(URL, api))
            assert await anext(hooks) == Hook("w-0", ("applicationCreated",), None)
            with pytest.raises(ApiProblem, match="applicationCreated"):
                await anext(hooks)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answers({"code": "Forbidden"}, 403), Refused),
        (Answers({"code": "BadRequest"}, 400), NotThere),
        (Answers(None, 429, {"retry-after": "3"}), Unavailable),
        (Answers(None, 502), Unavailable),
    ],
)
async def test_lever_may_not_do_it(answer: Answers, problem: type[ApiProblem]) -> None:
    steps: list[Callable[[Lever, Api], Awaitable[object]]] = [
        lambda handler, api: anext(aiter(handler.connect(URL, api))),
        lambda handler, api: handler.working([Hook("w-0")], URL, api),
    ]
    if problem is not NotThere:
        steps.append(lambda handler, api: handler.remove(Hook("w-0"), api))
    for step in steps:
        async with stand_in(lambda _: answer) as vendor:
            handler = lever(api_key="the key", api_url=vendor.url)
            async with api_of(quick(handler)) as api:
                with pytest.raises(problem):
                    await step(handler, api)
