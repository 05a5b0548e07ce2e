"""What is particular to Workable: one event for moves and decisions, its API token as the key, its API."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.connecting import Connects, Hook
from handlers.enriching import ApiProblem, Enriches, NotThere, Refused, Unavailable
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import (
    Answer,
    Application,
    Event,
    EventType,
    Fact,
    Outcome,
    Person,
    RejectionKind,
    Stage,
    StageKind,
)
from router.vendor_api import VendorApi
from tests.handlers.vendor_api import Answers, Asked, StandIn, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

WORKABLE = handler_of("workable", secret=["token of the account"])
SIGNATURE = "x-workable-signature"
BODY = b'{"event_type":"candidate_moved","data":{"id":"7"}}'
DIGEST = "1899cbbd27863298c53f8da5f90b4ff7394ac5ceb243b4f87c9118144666a955"
"""`printf BODY | openssl dgst -sha256 -hmac "token of the account"`"""


def body_of(name: str, **data: object) -> dict[str, Any]:
    """A fixture's body, with other values in its data."""
    body: dict[str, Any] = json.loads(fixtures_of("workable")[name].body)
    body["data"] |= data
    return body


def told(body: dict[str, Any]) -> Normalised:
    return WORKABLE.normalise(receipt(json.dumps(body).encode()))


def fact_of(body: dict[str, Any]) -> Fact:
    (fact,) = told(body).facts
    return fact


def application_of(body: dict[str, Any]) -> Application:
    application = fact_of(body).application
    assert application
    return application


def events_of(*bodies: dict[str, Any]) -> list[Event]:
    """What comes out, one webhook after the other."""
    state, events = ApplicationState(), []
    for body in bodies:
        sent = receipt(json.dumps(body).encode())
        waiting = waiting_facts(told(body), receipt_id="r", source="s", vendor="workable", receipt=sent, mark=None)
        for fact in waiting:
            state, news = project(state, fact)
            events += news
    return events


def types_of(*bodies: dict[str, Any]) -> list[str]:
    return [str(event.type) for event in events_of(*bodies)]


def test_the_signature_is_lower_case_hex_of_the_exact_body_under_the_token() -> None:
    WORKABLE.verify(receipt(BODY, {SIGNATURE: DIGEST}))
    for other in (DIGEST.upper(), f"sha256={DIGEST}", f"sha256 {DIGEST}", bytes.fromhex(DIGEST).hex(" "), DIGEST[:40]):
        with pytest.raises(Rejected):
            WORKABLE.verify(receipt(BODY, {SIGNATURE: other}))
    with pytest.raises(Rejected):
        WORKABLE.verify(receipt(json.dumps(json.loads(BODY)).encode(), {SIGNATURE: DIGEST}))


def test_the_event_in_the_path_is_for_workable_alone() -> None:
    """Targets must differ; which event it is stands in the signed body."""
    sent = receipt(BODY, {SIGNATURE: DIGEST}, rest="candidate_deleted")
    WORKABLE.verify(sent)
    assert WORKABLE.normalise(sent).vendor_event == "candidate_moved"


MOVED, DECLINED, HIRED = (body_of(name) for name in ("candidate_moved", "disqualified", "hired"))
CREATED, REQUALIFIED, WITHDRAWN = (body_of(name) for name in ("candidate_created", "requalified", "withdrawn"))


def test_what_nothing_was_told_of_before_is_a_move_a_decision_or_both() -> None:
    assert types_of(MOVED) == ["StageChanged"]
    assert types_of(DECLINED) == ["OutcomeChanged"]
    assert types_of(WITHDRAWN) == ["OutcomeChanged"]
    assert types_of(HIRED) == ["StageChanged", "OutcomeChanged"]


def test_a_whole_story_is_told_step_by_step() -> None:
    events = events_of(CREATED, MOVED, DECLINED, REQUALIFIED, HIRED, HIRED)
    assert [str(event.type) for event in events] == [
        *("ApplicationCreated", "StageChanged", "OutcomeChanged", "OutcomeChanged", "StageChanged", "OutcomeChanged"),
    ]
    outcomes = [event.application and event.application.outcome for event in events]
    assert outcomes == ["PENDING", "PENDING", "DECLINED", "PENDING", "HIRED", "HIRED"]
    assert events[1].from_stage == Stage(name="Applied", kind=StageKind.APPLIED)
    assert events[2].occurred_at == datetime(2026, 5, 8, 16, 2, 59, tzinfo=UTC)
    assert events[5].occurred_at == datetime(2026, 5, 20, 10, tzinfo=UTC)


def test_an_older_state_that_comes_late_takes_nothing_back() -> None:
    late = events_of(CREATED, HIRED, MOVED)[3:]
    assert str(late[0].type) == "StageChanged"
    assert all(event.late for event in late)
    assert len(events_of(CREATED, HIRED, MOVED, HIRED)) == 3 + len(late)


def test_a_retry_that_shows_a_newer_state_tells_it_once() -> None:
    retried = {**HIRED, "id": MOVED["id"], "fired_at": MOVED["fired_at"]}
    assert types_of(CREATED, retried, HIRED) == ["ApplicationCreated", "StageChanged", "OutcomeChanged"]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("sourced", StageKind.OTHER),
        ("applied", StageKind.APPLIED),
        ("shortlisted", StageKind.SCREEN),
        ("phone-screen", StageKind.SCREEN),
        ("assessment", StageKind.ASSESSMENT),
        ("interview", StageKind.INTERVIEW),
        ("offer", StageKind.OFFER),
        ("hired", StageKind.HIRED),
    ],
)
def test_a_stage_is_of_the_kind_that_workable_tells(kind: str, expected: StageKind) -> None:
    application = application_of(body_of("candidate_moved", stage="Whatever", stage_kind=kind))
    assert application.stage == Stage(name="Whatever", kind=expected)
    assert application.is_prospect is (kind == "sourced")


def test_an_unknown_kind_is_noted_and_no_guess_is_made_from_the_name() -> None:
    body = body_of("candidate_moved", stage="Hired", stage_kind="onboarding")
    assert application_of(body).stage == Stage(name="Hired")
    assert application_of(body).outcome is Outcome.PENDING
    assert application_of(body).is_prospect is None
    assert told(body).soft_drift == ("data.stage_kind",)


def test_without_its_kind_the_last_stage_is_known_by_its_name() -> None:
    body = body_of("candidate_moved", stage="Hired")
    del body["data"]["stage_kind"]
    assert application_of(body).outcome is Outcome.PENDING
    normalised = WORKABLE.read(receipt(json.dumps(body).encode()))
    assert normalised.facts[0].application
    assert normalised.facts[0].application.stage == Stage(name="Hired", kind=StageKind.HIRED)


TIME, LATER = "2026-05-08T16:00:00Z", "2026-05-09T16:00:00Z"


@pytest.mark.parametrize(
    ("data", "outcome", "kind"),
    [
        ({}, Outcome.PENDING, None),
        ({"disqualified": None}, None, None),
        ({"disqualified": "no"}, None, None),
        ({"disqualified": True}, Outcome.DECLINED, RejectionKind.REJECTED_BY_COMPANY),
        ({"disqualified": True, "withdrew": None}, Outcome.DECLINED, RejectionKind.REJECTED_BY_COMPANY),
        ({"disqualified": True, "withdrew": True}, Outcome.DECLINED, RejectionKind.WITHDRAWN_BY_CANDIDATE),
        ({"withdrew": True}, Outcome.DECLINED, RejectionKind.WITHDRAWN_BY_CANDIDATE),
        ({"hired_at": TIME}, Outcome.HIRED, None),
        ({"hired_at": "2026-05-08"}, Outcome.HIRED, None),
        ({"stage_kind": "hired"}, Outcome.HIRED, None),
        ({"disqualified": True, "disqualified_at": TIME, "hired_at": LATER}, Outcome.HIRED, None),
        (
            {"disqualified": True, "disqualified_at": LATER, "hired_at": TIME},
            Outcome.DECLINED,
            RejectionKind.REJECTED_BY_COMPANY,
        ),
    ],
)
def test_the_outcome_is_hired_declined_or_pending_as_the_flags_say(
    data: dict[str, object], outcome: Outcome | None, kind: RejectionKind | None
) -> None:
    application = application_of(body_of("candidate_moved", **data))
    assert application.outcome is outcome
    assert (application.rejection_reason and application.rejection_reason.kind) is kind
    assert (application.rejected_at is None) or outcome is Outcome.DECLINED


def test_a_hire_on_a_day_without_a_time_is_no_drift() -> None:
    body = body_of("candidate_moved", hired_at="2026-05-08")
    assert told(body).soft_drift == ()
    assert application_of(body).hired_at is None


def test_each_event_has_its_time() -> None:
    assert fact_of(CREATED).occurred_at == datetime(2026, 5, 4, 9, 14, 2, tzinfo=UTC)
    assert fact_of(CREATED | {"data": CREATED["data"] | {"created_at": None}}).occurred_at == datetime(
        2026, 5, 4, 9, 14, 3, 120000, tzinfo=UTC
    )
    without = {key: value for key, value in MOVED.items() if key != "fired_at"}
    assert fact_of(without).occurred_at == datetime(2026, 5, 6, 13, 40, 11, tzinfo=UTC)
    nowhere = {**without, "data": MOVED["data"] | {"updated_at": None}}
    assert fact_of(nowhere).occurred_at is None
    assert fact_of(nowhere).vendor_version is None


@pytest.mark.parametrize("id_", ["27273038", "3a7f19c2", "00012", "2e5"])
def test_an_id_is_a_text_whatever_it_looks_like(id_: str) -> None:
    for body in (body_of("candidate_moved", id=id_), body_of("candidate_deleted", id=id_)):
        fact = fact_of(body)
        assert fact.application
        assert fact.candidate
        assert (fact.application.id, fact.candidate.id) == (id_, id_)


def test_the_candidate_may_stand_one_level_further_inside() -> None:
    flat = body_of("candidate_moved")
    nested = {**flat, "data": {"candidate": flat["data"]}}
    assert fact_of(nested) == fact_of(flat)
    both = {**flat, "data": flat["data"] | {"candidate": {"id": "another one"}}}
    assert fact_of(both) == fact_of(flat)


@pytest.mark.parametrize("name", ["candidate_created", "candidate_moved", "candidate_deleted"])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data": {}}, "data.id"),
        ({"data": {"id": ""}}, "data.id"),
        ({"data": {"id": True}}, "data.id"),
        ({"data": {"candidate": {"name": "x"}}}, "data.candidate.id"),
        ({"event_type": None}, "event_type"),
    ],
)
def test_drift_names_the_path_that_failed(name: str, change: dict[str, object], path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(body_of(name) | change)
    assert drift.value.path == path


@pytest.mark.parametrize(
    "event", ["job_deleted", "employee_created", "timeoff_updated", "candidate.hired", "CANDIDATE_MOVED"]
)
def test_other_events_are_ignored_by_name_whatever_they_hold(event: str) -> None:
    result = told({"event_type": event, "data": None})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, event)


def test_a_retry_is_known_by_the_event_even_if_the_candidate_has_changed_since() -> None:
    """The body shows the candidate as of its sending, so its hash is no help; nor would an id be that is not the
    event's own."""
    assert told(MOVED).dedupe == told(MOVED | {"data": HIRED["data"]}).dedupe
    others = [HIRED, CREATED, MOVED | {"fired_at": HIRED["fired_at"]}, MOVED | {"id": "x"}, CREATED | {"id": "x"}]
    assert len({told(body).dedupe for body in (MOVED, *others)}) == 6
    for key in ("id", "fired_at"):
        assert told(MOVED | {key: None}).dedupe is None
    assert told(MOVED | {"fired_at": "soon"}).dedupe is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"body": "yes"}, "yes"),
        ({"checked": False}, False),
        ({"number": 0}, 0),
        ({"date": "2026-08-01"}, "2026-08-01"),
        ({"choices": [{"body": "a"}, {"body": "b"}]}, ["a", "b"]),
        ({"file_url": "https://files.example.com/x?signature=y"}, None),
        (None, None),
    ],
)
def test_every_form_of_an_answer_but_a_file_is_told(answer: object, expected: object) -> None:
    body = body_of("candidate_created", answers=[{"question": {"body": "Q"}, "answer": answer}])
    assert application_of(body).answers == [Answer(question="Q", answer=expected)]
    assert told(body).soft_drift == ()


def test_nothing_that_no_one_asked_for_is_passed_on() -> None:
    for name in fixtures_of("workable"):
        text = "".join(fact.model_dump_json() for fact in told(body_of(name)).facts)
        for private in ("files.example.com", "a letter", "a summary", "gender", "private", "mail.example.com", "BSc"):
            assert private not in text


def test_of_a_deleted_candidate_only_ids_are_passed_on() -> None:
    fact = fact_of(body_of("candidate_deleted"))
    assert fact.candidate
    assert fact.candidate.model_dump(exclude_defaults=True) == {"id": "27273038"}
    assert fact.subject == "a:27273038"
    assert types_of(CREATED, body_of("candidate_deleted")) == ["ApplicationCreated", "CandidateDeleted"]


@pytest.mark.parametrize(
    ("common", "outlet", "domain", "expected"),
    [("A", "B", "C", "A"), (None, "B", "C", "B"), (None, None, "C", "C"), (None, "", None, None)],
)
def test_the_source_has_three_names(
    common: str | None, outlet: str | None, domain: str | None, expected: str | None
) -> None:
    body = body_of("candidate_created", common_source=common, outlet=outlet, domain=domain)
    assert application_of(body).source == expected
    assert told(body).soft_drift == ()


def test_there_is_no_sample_of_what_workable_never_tells() -> None:
    with pytest.raises(ValueError, match="no Workable sample of OfferChanged"):
        WORKABLE.sample(Sample(EventType.OFFER_CHANGED, "9", "A B", "C", NOW))


@pytest.mark.parametrize("subdomain", ["acme.workable.com", "https://acme", "", "ac me", "a/b", "-acme"])
def test_a_subdomain_is_a_name(subdomain: str) -> None:
    with pytest.raises(ValidationError, match="write only the name: acme"):
        handler_of("workable", subdomain=subdomain)


def test_an_api_url_must_be_one() -> None:
    with pytest.raises(ValidationError, match="a URL is https"):
        handler_of("workable", api_url="acme.workable.com")


def test_the_token_is_given_once_and_the_newest_one_asks() -> None:
    assert enriching(handler_of("workable", secret=["new", "old"])).access() is None
    access = enriching(handler_of("workable", secret=["new", "old"], subdomain="acme")).access()
    assert access
    assert access.base == "https://acme.workable.com/spi/v3"
    assert access.headers == {"authorization": "Bearer new"}
    assert access.per_second == 1.0
    access = enriching(handler_of("workable", secret="client", subdomain="acme", api_key="token")).access()
    assert access
    assert access.headers == {"authorization": "Bearer token"}
    assert "token" not in repr(access)


def enriching(handler: object) -> Enriches:
    assert isinstance(handler, Enriches)
    return handler


def connecting(url: str) -> Connects:
    handler = handler_of("workable", secret=["the token"], subdomain="acme", api_url=f"{url}/spi/v3")
    assert isinstance(handler, Connects)
    return handler


def test_only_a_move_is_completed_and_only_where_the_api_may_be_asked() -> None:
    asking = handler_of("workable", secret=["the token"], subdomain="acme")
    for name, fixture in fixtures_of("workable").items():
        facts = asking.normalise(fixture.receipt).facts
        is_moved = fixture.expected["vendor_event"] == "candidate_moved"
        assert [fact.needs_enrichment for fact in facts] == [is_moved] * len(facts), name
        assert not any(fact.needs_enrichment for fact in WORKABLE.normalise(fixture.receipt).facts)


@asynccontextmanager
async def asked(answer: Callable[[Asked], Answers]) -> AsyncIterator[tuple[StandIn, Connects, VendorApi]]:
    """A stand-in of the API, the handler that knows it, and the way to ask it."""
    async with stand_in(answer) as vendor:
        handler = connecting(vendor.url)
        access = handler.access()
        assert access
        async with api_of(replace(access, per_second=1000)) as api:
            yield vendor, handler, api


def act(action: str, at: str, before: str, after: str | None = None, by: str | None = "Odd Berg") -> dict[str, Any]:
    """An activity as the API was recorded to tell it."""

    def stage(name: str) -> dict[str, Any]:
        return {"id": 5272270, "identifier": "5077a0", "name": name, "slug": name.lower().replace(" ", "-")}

    member = {"member": {"id": "1f3961", "name": by, "type": "Member"}} if by else {}
    target = stage(after) if after else None
    told = {"id": "90746987", "action": action, "stage_name": before, "action_stage": stage(before)}
    return {**told, "target_stage": target, "created_at": at, "updated_at": at, "body": None, **member}


ODD = Person(id="1f3961", name="Odd Berg")


async def completed(body: dict[str, Any], *acts: object) -> Fact:
    """What becomes of a webhook where the API tells these activities."""
    async with asked(lambda _: Answers({"activities": [*acts]})) as (vendor, handler, api):
        (fact,) = await enriching(handler).enrich(fact_of(body), api)
    (question,) = vendor.asked
    assert question.target.startswith("/spi/v3/candidates/27273038/activities?limit=100&updated_after=2026-05-")
    assert question.headers["authorization"] == "Bearer the token"
    assert not fact.needs_enrichment
    return fact


async def test_a_move_is_told_with_the_stage_before_and_who_did_it() -> None:
    fact = await completed(
        MOVED,
        act("comment", "2026-05-06T13:39:00.000Z", "Applied", by="Some One"),
        act("phone-screen", "2026-05-06T13:40:11.560Z", "Applied", "Phone Screen"),
        act("rating", "2026-05-06T13:40:12.000Z", "Phone Screen", by="Some One"),
    )
    assert fact.from_stage == Stage(name="Applied", kind=StageKind.APPLIED)
    assert fact.actor == ODD
    assert fact.model_copy(update={"from_stage": None, "actor": None}) == fact_of(MOVED)


async def test_moves_before_and_after_the_one_that_is_told_do_not_count() -> None:
    fact = await completed(
        MOVED,
        act("phone-screen", "2026-05-06T13:20:00.000Z", "Assessment", "Phone Screen", by="Too Early"),
        act("phone-screen", "2026-05-06T13:40:11.560Z", "Their Own", "Phone Screen"),
        act("interview", "2026-05-06T13:40:12.100Z", "Phone Screen", "Interview", by="Another Stage"),
        act("phone-screen", "2026-05-06T13:45:00.000Z", "Offer", "Phone Screen", by="Too Late"),
    )
    assert fact.from_stage == Stage(name="Their Own")
    assert fact.actor == ODD


async def test_a_move_of_long_ago_is_not_the_one_that_is_told() -> None:
    fact = await completed(MOVED, act("phone-screen", "2026-05-06T13:20:00.000Z", "Applied", "Phone Screen"))
    assert (fact.from_stage, fact.actor) == (None, None)


async def test_the_last_of_several_moves_to_one_stage_counts_in_whatever_order_they_come() -> None:
    first = act("phone-screen", "2026-05-06T13:38:00.000Z", "Offer", "Phone Screen", by="Some One")
    last = act("phone-screen", "2026-05-06T13:40:11.560Z", "Applied", "Phone Screen")
    for acts in ((first, last), (last, first)):
        fact = await completed(MOVED, *acts)
        assert (fact.from_stage and fact.from_stage.name, fact.actor) == ("Applied", ODD)


async def test_whoever_disqualified_is_the_actor_of_that() -> None:
    disqualified = act("disqualified", "2026-05-08T16:02:59.300Z", "Phone Screen")
    moved = act("phone-screen", "2026-05-08T16:01:00.000Z", "Applied", "Phone Screen", by="Some One")
    fact = await completed(DECLINED, moved, disqualified)
    assert fact.actor == ODD
    assert fact.from_stage
    undone = body_of("requalified", stage="Phone Screen") | {"fired_at": "2026-05-08T16:05:00Z"}
    undone["data"]["updated_at"] = "2026-05-08T16:05:00Z"
    assert (await completed(undone, disqualified)).actor is None


async def test_what_the_system_did_has_no_actor_and_odd_activities_are_passed_over() -> None:
    moved = act("phone-screen", "2026-05-06T13:40:11.560Z", "Applied", "Phone Screen", by=None)
    odd = [None, 7, {}, {**moved, "created_at": "then"}, {**moved, "action": None}, {**moved, "target_stage": 7}]
    fact = await completed(MOVED, *odd, {**moved, "action_stage": None})
    assert (fact.actor, fact.from_stage) == (None, None)
    assert (await completed(MOVED)).actor is None
    assert (await completed(MOVED, moved)).from_stage


async def test_an_event_without_any_time_takes_what_there_is() -> None:
    body = body_of("candidate_moved", updated_at=None) | {"fired_at": None}
    moved = act("phone-screen", "2026-05-06T13:40:11.560Z", "Applied", "Phone Screen")
    async with asked(lambda _: Answers({"activities": [moved]})) as (_, handler, api):
        (fact,) = await enriching(handler).enrich(fact_of(body), api)
        (odd,) = await enriching(handler).enrich(fact_of(body | {"fired_at": "0001-01-01T00:00:00Z"}), api)
    assert fact.actor == odd.actor == ODD


async def test_an_id_leads_nowhere_else() -> None:
    body = body_of("candidate_moved", id="../jobs?x#y")
    async with asked(lambda _: Answers({"activities": []})) as (vendor, handler, api):
        await enriching(handler).enrich(fact_of(body), api)
    assert vendor.asked[0].target.startswith("/spi/v3/candidates/..%2Fjobs%3Fx%23y/activities?")


FAILURES = [
    (Answers({}, 401), Refused),
    (Answers({}, 403), Refused),
    (Answers({"error": "Not found"}, 404), NotThere),
    (Answers({}, 429, {"retry-after": "3"}), Unavailable),
    (Answers({}, 500), Unavailable),
    (Answers(b"<html>"), Unavailable),
]


@pytest.mark.parametrize(("answer", "problem"), FAILURES)
async def test_what_the_api_fails_with_is_passed_on(answer: Answers, problem: type[ApiProblem]) -> None:
    async with asked(lambda _: answer) as (_, handler, api):
        with pytest.raises(problem) as raised:
            await enriching(handler).enrich(fact_of(MOVED), api)
        assert "the token" not in str(raised.value)
        if answer.status == 429:
            assert isinstance(raised.value, Unavailable)
            assert raised.value.wait == 3.0


URL = "https://router.example.com/webhooks/workable"
HOOKS = [
    Hook(str(104693 + i), (e,)) for i, e in enumerate(["candidate_created", "candidate_moved", "candidate_deleted"])
]


async def test_each_event_is_registered_for_itself_at_a_target_of_its_own() -> None:
    ids = iter([104693, 104694, 104695])
    async with asked(lambda _: Answers({"id": next(ids)}, 201)) as (vendor, handler, api):
        assert handler.plan(URL) == [f"register {URL}/{event} at Workable for {event}" for event in events()]
        assert [hook async for hook in handler.connect(URL, api)] == HOOKS
    assert [(asked.method, asked.target) for asked in vendor.asked] == [("POST", "/spi/v3/subscriptions")] * 3
    args = {"account_id": "acme", "job_shortcode": "", "stage_slug": ""}
    bodies = [{"target": f"{URL}/{event}", "event": event, "args": args} for event in events()]
    assert [asked.json for asked in vendor.asked] == bodies
    assert "the token" not in str(vendor.asked[0].json)


def events() -> list[str]:
    return [hook.events[0] for hook in HOOKS]


@pytest.mark.parametrize("answer", [Answers({}, 409), Answers({}, 422), Answers({}, 401), Answers({}, 201)])
async def test_what_was_registered_before_a_failure_is_told(answer: Answers) -> None:
    answers = iter([Answers({"id": 104693}, 201), answer])
    hooks = []
    async with asked(lambda _: next(answers)) as (_, handler, api):
        registering = handler.connect(URL, api)
        hooks.append(await anext(registering))
        with pytest.raises(ApiProblem):
            await anext(registering)
    assert hooks == HOOKS[:1]


def listed(hook: Hook, **changes: object) -> dict[str, object]:
    at = {"valid_until": None, "created_at": "2026-05-01T00:00:00.000Z", "stage_slug": None, "job_shortcode": None}
    told = {"id": int(hook.id), "event": hook.events[0], "target": f"{URL}/{hook.events[0]}"}
    return {**told, **at, **changes}


async def test_what_works_is_there_for_its_event_and_leads_here() -> None:
    there = [
        listed(HOOKS[0]),
        listed(HOOKS[1], target="https://elsewhere.example.com/candidate_moved"),
        listed(HOOKS[2], event="candidate_moved"),
        {"id": 5, "event": "employee_created", "target": f"{URL}/employee_created"},
    ]
    async with asked(lambda _: Answers({"subscriptions": there})) as (vendor, handler, api):
        assert await handler.working(HOOKS, URL, api) == {"104693"}
    assert vendor.asked[0].target == "/spi/v3/subscriptions?limit=100"
    async with asked(lambda _: Answers({}, 404)) as (_, handler, api):
        assert await handler.working(HOOKS, URL, api) == set()
    async with asked(lambda _: Answers({}, 401)) as (_, handler, api):
        with pytest.raises(Refused):
            await handler.working(HOOKS, URL, api)


async def test_a_registration_is_taken_back_once_or_twice() -> None:
    answers = iter([Answers(None, 204), Answers({}, 404), Answers({}, 500)])
    async with asked(lambda _: next(answers)) as (vendor, handler, api):
        await handler.remove(HOOKS[0], api)
        await handler.remove(HOOKS[0], api)
        with pytest.raises(Unavailable):
            await handler.remove(HOOKS[0], api)
    assert {(asked.method, asked.target) for asked in vendor.asked} == {("DELETE", "/spi/v3/subscriptions/104693")}
