"""What is particular to ApplicantStack: a secret in the body, JSON or form; records that are polled or asked for."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from handlers.applicantstack import ApplicantStack
from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.enriching import NotThere, Refused, Unavailable
from router.schema import EventType, Fact, Outcome, Person, StageKind
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

STACK = handler_of("applicantstack", secret=["k3y-new", "k3y-old"])


def body_of(name: str, **changes: object) -> dict[str, Any]:
    """The body of a fixture; names of fields with _ for the space."""
    body: dict[str, Any] = json.loads(fixtures_of("applicantstack")[name].body)
    return body | {key.replace("_", " "): value for key, value in changes.items()}


def normalised(body: object) -> Normalised:
    return STACK.with_kinds(STACK.normalise(receipt(json.dumps(body).encode())))


def fact_of(name: str, **changes: object) -> Fact:
    (fact,) = normalised(body_of(name, **changes)).facts
    return fact


def polled(row: object, **settings: object) -> tuple[Fact, ...]:
    handler = handler_of("applicantstack", **settings)
    assert isinstance(handler, ApplicantStack)
    return handler.with_kinds(handler.normalise_rows(json.dumps(row).encode())).facts


async def enriched(fact: Fact, answers: Answers) -> tuple[Fact, list[Asked]]:
    async with stand_in(lambda asked: answers) as server:
        handler = handler_of("applicantstack", api_token="the token", api_url=server.url)
        assert isinstance(handler, ApplicantStack)
        async with api_of(handler.access()) as api:
            (complete,) = await handler.enrich(fact, api)
        return handler.with_kind(complete), server.asked


@pytest.mark.parametrize("written", [lambda body: json.dumps(body).encode(), lambda body: urlencode(body).encode()])
def test_the_secret_stands_in_the_body_be_it_json_or_a_form(written: Any) -> None:
    for secret in ("k3y-new", "k3y-old"):
        STACK.verify(receipt(written(body_of("candidate_stage_changed", Secret=secret))))
    for wrong in ("", "k3y", "k3y-new ", "K3Y-NEW", "é"):
        with pytest.raises(Rejected) as rejected:
            STACK.verify(receipt(written(body_of("candidate_stage_changed", Secret=wrong))))
        assert "k3y" not in str(rejected.value).lower()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"Secret": ["k3y-new"]}',
        b'{"Secret": null}',
        b'{"secret": "k3y-new"}',
        b'[{"Secret": "k3y-new"}]',
        b'{"Secret": "k3y-new"',
        b"Secret=%FF",
        b"\xff",
        b"&".join(b"a=1" for _ in range(200)) + b"&Secret=k3y-new",
    ],
)
def test_a_body_without_a_readable_secret_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        STACK.verify(receipt(body))


def test_a_form_says_what_json_says() -> None:
    for name in ("candidate_stage_changed", "hire_stage_changed"):
        form = urlencode(body_of(name)).encode()
        assert STACK.normalise(receipt(form)) == STACK.normalise(receipt(json.dumps(body_of(name)).encode()))


def test_the_secret_is_in_no_fact_and_in_no_key() -> None:
    for name in ("candidate_stage_changed", "hire_stage_changed", "unknown_event"):
        assert "fixture key" not in repr(normalised(body_of(name)))


def test_signing_puts_the_secret_into_an_object_and_into_nothing_else() -> None:
    assert json.loads(STACK.sign(b'{"Stage": "New", "Secret": "x"}', NOW).body) == {"Stage": "New", "Secret": "k3y-new"}
    for body in (b"[1]", b"x"):
        assert STACK.sign(body, NOW).body == body


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"Object_Type": "Candidate", "Event_Type": "StageChange"}, "candidate stagechange"),
        ({"Event_Type": "created"}, "candidate created"),
        ({"Object_Type": "job"}, "job stagechange"),
    ],
)
def test_only_moves_of_candidates_and_hires_are_understood(changes: dict[str, str], event: str) -> None:
    result = normalised(body_of("candidate_stage_changed", **changes))
    assert result.vendor_event == event
    assert (result.disposition is Disposition.EVENTS) == (event == "candidate stagechange")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("candidate_stage_changed", "Candidate Serial"),
        ("candidate_stage_changed", "Stage"),
        ("candidate_stage_changed", "Object Type"),
        ("candidate_stage_changed", "Event Type"),
        ("hire_stage_changed", "Hire Serial"),
    ],
)
def test_drift_names_the_field_that_failed(name: str, key: str) -> None:
    wrong: list[object] = [None, "", [], {}]
    for bad in wrong:
        with pytest.raises(Drift) as drift:
            normalised(body_of(name) | {key: bad})
        assert drift.value.path == key


def test_a_hire_is_hired_and_has_an_id_of_its_own() -> None:
    fact = fact_of("hire_stage_changed", Candidate_Serial="a4q81mzt77kd")
    assert fact.application
    assert fact.candidate
    assert (fact.application.id, fact.application.outcome) == ("e2q81mzt62pf", Outcome.HIRED)
    assert fact.candidate.id == "a4q81mzt77kd"
    assert fact.actor is None


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("Do Not Pursue", StageKind.REJECTED), ("Hired", StageKind.HIRED), ("hired", StageKind.HIRED), ("Offer", None)],
)
def test_the_two_names_that_mean_an_end_everywhere(stage: str, kind: StageKind | None) -> None:
    to_stage = fact_of("candidate_stage_changed", Stage=stage).to_stage
    assert to_stage
    assert to_stage.kind is kind


def test_an_event_that_comes_again_has_the_same_key_also_with_another_secret() -> None:
    first = normalised(body_of("candidate_stage_changed")).dedupe
    assert first == normalised(body_of("candidate_stage_changed", Secret="another")).dedupe
    others = [
        normalised(body_of("candidate_stage_changed", **change)).dedupe
        for change in (
            {"Stage": "Offer"},
            {"Candidate_Serial": "b"},
            {"Event_Date": "2026-02-15T10:26:41-05:00"},
            {"Event_Date": None},
        )
    ]
    assert len({first, *others}) == 5


def test_without_a_date_the_same_bytes_are_the_same_event_for_some_minutes_only() -> None:
    sent = receipt(json.dumps(body_of("candidate_stage_changed", Event_Date=None)).encode())
    first, again, later = (
        STACK.normalise(replace(sent, received_at=NOW + timedelta(minutes=minutes))).dedupe for minutes in (0, 5, 15)
    )
    assert first
    assert first == again != later


def test_a_date_without_a_zone_is_in_the_accounts_zone() -> None:
    fact = fact_of("candidate_stage_changed", Event_Date="2026-02-15T10:26:40")
    assert fact.occurred_at == fact_of("candidate_stage_changed").occurred_at


@pytest.mark.parametrize(
    ("type_", "outcome", "kind"),
    [
        ("", Outcome.PENDING, None),
        ("Do Not Pursue", Outcome.DECLINED, StageKind.REJECTED),
        ("Hired", Outcome.HIRED, StageKind.HIRED),
        ("On Hold", None, None),
    ],
)
def test_the_type_of_the_stage_is_the_outcome(type_: str, outcome: Outcome | None, kind: StageKind | None) -> None:
    _, now = polled(body_of("polled_candidate", Stage="A stage", Stage_Type=type_, Disposition="Because"))
    assert now.application
    assert now.application.stage
    assert (now.application.outcome, now.application.stage.kind) == (outcome, kind)
    assert (now.application.rejection_reason is not None) == (outcome is Outcome.DECLINED)


def test_the_stages_of_a_customer_decide_where_the_vendor_tells_no_type() -> None:
    _, now = polled(body_of("polled_candidate", Stage="Onboarding"), stages={"HIRED": "onboarding"})
    assert now.application
    assert now.application.stage
    assert now.application.stage.kind is StageKind.HIRED


def test_a_row_without_a_serial_is_drift_and_an_empty_list_is_none() -> None:
    for body in ({}, {"Method Result": "Error"}, {"Candidates": [{"Stage": "New"}]}):
        with pytest.raises(Drift, match="Candidate Serial"):
            polled(body)
    assert polled({"Candidates": []}) == polled({"Hires": []}) == ()


def test_local_times_need_the_accounts_zone_and_unix_time_does_not() -> None:
    row = body_of("polled_candidate")
    created, _ = polled(row, timezone=None)
    assert created.occurred_at == polled(row)[0].occurred_at is not None
    row.pop("Create Date Timestamp")
    created, _ = polled(row)
    assert created.occurred_at
    assert created.occurred_at.astimezone(ZoneInfo("America/New_York")).strftime("%m/%d/%Y %I:%M %p") == (
        "02/14/2026 09:05 AM"
    )
    assert polled(row, timezone=None)[0].occurred_at is None
    for odd in ("2026-02-14", "13/45/2026 09:05 AM", "01/01/0001 12:00 AM"):
        assert polled(row | {"Create Date": odd}, timezone="Asia/Tokyo")[0].occurred_at is None


def test_what_nobody_asked_for_is_not_in_the_facts() -> None:
    for name in ("polled_candidate", "polled_hire", "polled_hires"):
        told = " ".join(fact.model_dump_json() for fact in polled(body_of(name)))
        for word in ("000-00-0000", "1990", "Woman", "Which group", "apikey", "Example Street"):
            assert word not in told


def test_a_stage_that_no_note_tells_has_no_history() -> None:
    _, now = polled(body_of("polled_candidate", Stage="Offer"))  # the note of a user is not one of the system
    assert (now.from_stage, now.actor, now.occurred_at) == (None, None, None)


async def test_the_record_completes_a_move_and_tells_where_it_came_from() -> None:
    fact, asked = await enriched(fact_of("candidate_stage_changed"), Answers(body_of("polled_candidate")))
    assert [request.target for request in asked] == ["/api/candidate/a4q81mzt77kd"]
    assert (asked[0].headers["token"], asked[0].headers["publisher"]) == ("the token", "ats-router")
    assert (fact.type, fact.is_snapshot, fact.needs_enrichment) == (EventType.STAGE_CHANGED, False, False)
    assert fact.vendor_event == "candidate stagechange"
    assert fact.occurred_at == fact_of("candidate_stage_changed").occurred_at
    assert fact.from_stage
    assert fact.to_stage
    assert (fact.from_stage.name, fact.to_stage.name) == ("Manager Review", "Phone Screen")
    assert fact.actor == Person(id="a1q81mzt90uu", name="Dana O'Hara")
    assert fact.candidate
    assert fact.job
    assert (fact.candidate.name, fact.job.title) == ("Devon Marsh", "Night Shift Caregiver [2044]")


async def test_a_move_that_was_overtaken_keeps_its_stage_when_the_history_has_it() -> None:
    thin = fact_of("candidate_stage_changed", Stage="Manager Review")
    fact, _ = await enriched(thin, Answers(body_of("polled_candidate_declined")))
    assert fact.to_stage
    assert fact.application
    assert fact.application.stage
    assert (fact.to_stage.name, fact.application.stage.name, fact.from_stage) == (
        "Manager Review",
        "Manager Review",
        None,
    )
    assert (fact.application.outcome, fact.application.rejected_at, fact.application.rejection_reason) == (
        None,
        None,
        None,
    )
    assert fact.candidate
    assert fact.candidate.name == "Devon Marsh"


async def test_a_move_that_the_record_knows_nothing_of_gives_way_to_the_record() -> None:
    thin = fact_of("candidate_stage_changed", Stage="Hired")
    fact, _ = await enriched(thin, Answers(body_of("polled_candidate")))
    assert fact.to_stage
    assert fact.application
    assert (fact.to_stage.name, fact.application.outcome) == ("Phone Screen", Outcome.PENDING)


async def test_a_hire_is_asked_for_where_hires_are() -> None:
    fact, asked = await enriched(fact_of("hire_stage_changed"), Answers(body_of("polled_hire")))
    assert [request.target for request in asked] == ["/o/api/hire/e2q81mzt62pf"]
    assert fact.application
    assert fact.candidate
    assert fact.offer
    assert (fact.application.id, fact.application.outcome) == ("e2q81mzt62pf", Outcome.HIRED)
    assert (fact.candidate.id, fact.offer.start_date) == ("a4q81mzt77kd", "2026-03-12")


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers(None, 401), Refused),
        (Answers(None, 403), Refused),
        (Answers(None, 404), NotThere),
        (Answers(None, 429, {"retry-after": "9"}), Unavailable),
        (Answers(None, 503), Unavailable),
        (Answers(b"<html>"), Unavailable),
        (Answers({"error": "no such candidate"}), Drift),
        (Answers({"Candidate Serial": "another"}), Drift),
    ],
)
async def test_an_api_that_fails_is_told_apart(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        await enriched(fact_of("candidate_stage_changed"), answers)


def test_without_a_token_nothing_is_asked_and_half_of_it_is_refused() -> None:
    assert isinstance(STACK, ApplicantStack)
    assert STACK.access() is None
    for half in ({"api_token": "t"}, {"api_url": "https://example.applicantstack.com"}):
        with pytest.raises(ValidationError, match="go together"):
            handler_of("applicantstack", **half)
    with pytest.raises(ValidationError, match="a URL is"):
        handler_of("applicantstack", api_token="t", api_url="example")


@pytest.mark.parametrize(
    ("type_", "stage", "outcome"),
    [
        (EventType.APPLICATION_CREATED, "New", Outcome.PENDING),
        (EventType.OUTCOME_CHANGED, "Hired", Outcome.HIRED),
        (EventType.STAGE_CHANGED, None, Outcome.PENDING),
    ],
)
def test_there_are_no_samples_of_what_is_not_told(type_: EventType, stage: str | None, outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="no ApplicantStack sample"):
        STACK.sample(Sample(type_, "1", "Ada", "Analyst", NOW, stage, outcome))
