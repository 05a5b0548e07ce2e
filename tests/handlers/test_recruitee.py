"""What is particular to Recruitee: tests before there is a secret, moves with subtypes, applications without ids."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Handler, Normalised, Rejected, Sample
from handlers.settings import ConnectSettings
from router.assess import assess, dedupe_of, waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import Event, EventType, Fact, Outcome, Person, RejectionReason, Stage, StageKind
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

RECRUITEE = handler_of("recruitee", secret=["key"])
PENDING = handler_of("recruitee", secret="pending")
HEADER = "x-recruitee-signature"
TEST = b'{"test":true}'


def body_of(name: str) -> dict[str, Any]:
    """The body of a fixture, to be changed at will."""
    body: dict[str, Any] = json.loads(fixtures_of("recruitee")[name].body)
    return body


def read(body: Mapping[str, object], handler: Handler = RECRUITEE) -> Normalised:
    return handler.with_kinds(handler.normalise(receipt(json.dumps(body).encode())))


def fact_of(body: Mapping[str, object]) -> Fact:
    (fact,) = read(body).facts
    return fact


def told(bodies: Sequence[Mapping[str, object]]) -> list[Event]:
    """The events that a series of bodies makes of one application."""
    state, events = ApplicationState(), []
    for body in bodies:
        sent = receipt(json.dumps(body).encode())
        for waiting in waiting_facts(read(body), receipt_id="r", source="s", vendor="v", receipt=sent, mark=None):
            state, news = project(state, waiting)
            events += news
    return events


def test_the_signature_is_hex_over_the_exact_bytes() -> None:
    body = '{"event_type":"x","name":"Piëter"}'.encode()
    digest = hmac.new(b"key", body, hashlib.sha256).hexdigest()
    RECRUITEE.verify(receipt(body, {HEADER: digest}))
    assert RECRUITEE.sign(body, NOW).headers == {HEADER: digest}
    openssl = "c95c6a7c2c7c761e984c68cf64b4bca93f07242900aafdbb328d3bb75ab0dcb0"
    RECRUITEE.verify(receipt(b'{"id":1}', {HEADER: openssl}))
    for other in (f"sha256={digest}", digest.upper(), f"{digest} "):
        with pytest.raises(Rejected):
            RECRUITEE.verify(receipt(body, {HEADER: other}))


@pytest.mark.parametrize("handler", [PENDING, RECRUITEE], ids=["before there is a secret", "with one"])
@pytest.mark.parametrize("body", [TEST, b'{"test": false}', b' {"test": "x", "event_type": "candidate_moved"}'])
def test_a_test_is_answered_without_a_signature_and_is_never_an_event(handler: Handler, body: bytes) -> None:
    result = assess(handler, receipt(body))
    assert (result.disposition, result.facts) == (Disposition.PING, ())


def test_a_test_with_a_made_up_event_is_never_an_event() -> None:
    body = json.dumps(body_of("hired") | {"test": True}).encode()
    for handler, headers in ((PENDING, {}), (RECRUITEE, {}), (RECRUITEE, RECRUITEE.sign(body, NOW).headers)):
        assert assess(handler, receipt(body, headers)).disposition is Disposition.PING


def test_a_test_that_is_signed_with_something_else_shows_that_the_secret_is_wrong() -> None:
    sent = receipt(TEST, handler_of("recruitee", secret=["another"]).sign(TEST, NOW).headers)
    with pytest.raises(Rejected):
        RECRUITEE.verify(sent)
    PENDING.verify(sent)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b'["test"]', b'"test"', b"test", b'{"test"', b"\xff"),
        *(b'{"test": null}', b'{"tests": true}', b'{"Test": true}', b'{"payload": {"test": true}}'),
        json.dumps(body_of("stage_changed")).encode(),
    ],
)
@pytest.mark.parametrize("handler", [PENDING, RECRUITEE], ids=["before there is a secret", "with one"])
def test_nothing_else_comes_in_without_a_signature(handler: Handler, body: bytes) -> None:
    with pytest.raises(Rejected):
        handler.verify(receipt(body))


def test_a_signature_counts_for_nothing_before_there_is_a_secret() -> None:
    body = json.dumps(body_of("hired")).encode()
    for secret in (b"", b"pending", b"key"):
        digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
        with pytest.raises(Rejected):
            PENDING.verify(receipt(body, {HEADER: digest}))
    assert isinstance(PENDING.settings, ConnectSettings)


def test_a_retry_is_the_same_event() -> None:
    first = body_of("stage_changed")
    again = first | {"attempt_count": 2}
    keys = {dedupe_of(read(body), receipt(json.dumps(body).encode())) for body in (first, again)}
    assert keys == {"candidate_moved:90110002"}
    assert read(body_of("hired")).dedupe != read(first).dedupe
    assert read(first | {"id": None}).dedupe is None


def test_a_candidate_applies_once_for_each_job() -> None:
    result = read(body_of("candidate_created_on_two"))
    applications = [(fact.application.id, fact.application.is_prospect) for fact in result.facts if fact.application]
    assert applications == [("61200344:1530022", False), ("61200344:1530777", True)]
    events = told(
        [body_of("candidate_created"), body_of("candidate_assigned") | {"payload": body_of("hired")["payload"]}]
    )
    assert [event.type for event in events] == [EventType.APPLICATION_CREATED]


def test_an_assignment_may_have_its_jobs_in_either_place_but_has_one() -> None:
    body = body_of("candidate_assigned")
    body["payload"]["offers"] = [body["payload"].pop("offer")]
    assert fact_of(body).type is EventType.APPLICATION_CREATED
    assert read(body).soft_drift == ()
    del body["payload"]["offers"]
    with pytest.raises(Drift, match=r"^payload\.offer: is missing"):
        read(body)


@pytest.mark.parametrize(
    ("category", "kind"),
    [
        ("referred", StageKind.OTHER),
        ("sourced", StageKind.OTHER),
        ("apply", StageKind.APPLIED),
        ("phone_screen", StageKind.SCREEN),
        ("interview", StageKind.INTERVIEW),
        ("evaluation", StageKind.ASSESSMENT),
        ("offer", StageKind.OFFER),
        ("hire", StageKind.HIRED),
        (None, None),
    ],
)
def test_the_category_of_a_stage_is_its_kind(category: str | None, kind: StageKind | None) -> None:
    body = body_of("stage_changed")
    body["payload"]["details"]["to_stage"]["category"] = category
    assert fact_of(body).to_stage == Stage(id="3002", name="Phone call", kind=kind)
    assert read(body).soft_drift == ()


def test_a_category_that_nobody_has_heard_of_is_noted_and_the_settings_decide() -> None:
    body = body_of("stage_changed")
    body["payload"]["details"]["to_stage"] = {"id": 9, "name": "Signed", "category": "signature"}
    result = read(body, handler_of("recruitee", stages={"HIRED": ["9"]}))
    assert result.facts[0].to_stage == Stage(id="9", name="Signed", kind=StageKind.HIRED)
    assert result.soft_drift == ("payload.details.to_stage.category",)


@pytest.mark.parametrize("name", ["hired", "hired_by_name"])
def test_a_stage_of_the_hire_category_or_name_is_a_hire(name: str) -> None:
    moved, hired = told([body_of(name)])
    assert (moved.type, hired.type) == (EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED)
    assert hired.application
    assert hired.application.outcome is Outcome.HIRED
    assert moved.from_stage
    assert moved.from_stage.name == "Offer"


def test_a_stage_that_sounds_like_a_rejection_is_none() -> None:
    (event,) = told([body_of("stage_changed_without_categories")])
    assert event.type is EventType.STAGE_CHANGED
    assert event.to_stage == Stage(id="3009", name="Rejection")


def test_who_is_disqualified_can_be_requalified() -> None:
    names = ["candidate_created", "stage_changed", "disqualified", "requalified"]
    events = told([body_of(name) for name in names])
    assert [(event.type, event.application.outcome) for event in events if event.application] == [
        (EventType.APPLICATION_CREATED, Outcome.PENDING),
        (EventType.STAGE_CHANGED, Outcome.PENDING),
        (EventType.OUTCOME_CHANGED, Outcome.DECLINED),
        (EventType.OUTCOME_CHANGED, Outcome.PENDING),
    ]
    declined = events[2].application
    assert declined
    assert declined.stage == Stage(id="3002", name="Phone call")


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"disqualify_reason": {"id": 51, "name": "Not a fit"}}, RejectionReason(id="51", name="Not a fit")),
        ({"disqualify_reason": "Not a fit"}, RejectionReason(name="Not a fit")),
        ({"disqualification_reason": {"name": "Not a fit"}}, RejectionReason(name="Not a fit")),
        ({"reason": "Not a fit"}, RejectionReason(name="Not a fit")),
        ({"disqualify_reason": None, "reason": ""}, None),
        ({"disqualify_reason": 7}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_reason_is_found_under_several_names(details: object, reason: RejectionReason | None) -> None:
    body = body_of("disqualified")
    body["payload"]["details"] = details
    fact = fact_of(body)
    assert fact.application
    assert fact.application.rejection_reason == reason
    assert fact.application.outcome is Outcome.DECLINED
    requalified = fact_of(body | {"event_subtype": "requalified"}).application
    assert requalified
    assert requalified.rejection_reason is None


@pytest.mark.parametrize("key", ["stage", "to_stage", "from_stage"])
def test_a_decision_says_where_the_candidate_stands_if_it_can(key: str) -> None:
    body = body_of("requalified")
    body["payload"]["details"] = {key: {"id": 7, "name": "Somewhere"}}
    application = fact_of(body).application
    assert application
    assert application.stage == Stage(id="7", name="Somewhere")


def test_a_move_without_a_subtype_is_one_where_it_has_a_stage() -> None:
    assert fact_of(body_of("stage_changed") | {"event_subtype": None}).type is EventType.STAGE_CHANGED
    for name in ("disqualified", "disqualified_without_details"):
        with pytest.raises(Drift, match=r"^payload\.details"):
            read(body_of(name) | {"event_subtype": None})


@pytest.mark.parametrize("stage", [None, {}, [], {"id": None, "name": ""}, {"category": "hire"}])
def test_a_stage_change_without_a_stage_is_drift(stage: object) -> None:
    body = body_of("stage_changed")
    body["payload"]["details"]["to_stage"] = stage
    with pytest.raises(Drift, match=r"^payload\.details\.to_stage"):
        read(body)


@pytest.mark.parametrize("path", ["payload.candidate.id", "payload.offer.id", "payload.offer", "payload.candidate"])
@pytest.mark.parametrize("name", ["stage_changed", "disqualified", "candidate_assigned"])
def test_an_application_needs_a_candidate_and_a_job(name: str, path: str) -> None:
    body = body_of(name)
    *parents, key = path.split(".")
    place: Any = body
    for parent in parents:
        place = place[parent]
    place[key] = None
    with pytest.raises(Drift) as drift:
        read(body)
    assert drift.value.path == path


@pytest.mark.parametrize("event", ["offer_changed", "offer_published", "offer_unpublished", "job_updated"])
def test_an_offer_is_a_job(event: str) -> None:
    result = read(body_of("offer_changed") | {"event_type": event})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, event)
    assert "of a job" in (result.reason or "")


def test_a_referrer_is_a_name() -> None:
    body = body_of("candidate_created")
    body["payload"]["candidate"]["referrer"] = "Kim Janssen"
    application = fact_of(body).application
    assert application
    assert application.referrer == Person(name="Kim Janssen")


def test_times_without_a_zone_are_utc_unless_the_source_says_otherwise() -> None:
    body = body_of("stage_changed") | {"created_at": "2026-05-06T13:40:11.500000"}
    assert fact_of(body) == fact_of(body_of("stage_changed"))
    (fact,) = read(body, handler_of("recruitee", timezone="Europe/Amsterdam")).facts
    assert fact.vendor_version == "2026-05-06T11:40:11.500000+00:00"


def test_a_late_retry_changes_nothing() -> None:
    moved, hired = told([body_of("hired")])
    events = told([body_of("hired"), body_of("stage_changed")])
    assert events[:2] == [moved, hired]
    (late,) = events[2:]
    assert (late.type, late.late) == (EventType.STAGE_CHANGED, True)


@pytest.mark.parametrize("name", sorted(fixtures_of("recruitee")))
def test_nothing_that_no_one_asked_for_is_passed_on(name: str) -> None:
    result = RECRUITEE.normalise(fixtures_of("recruitee")[name].receipt)
    assert "files.example.com" not in "".join(fact.model_dump_json() for fact in result.facts)


def test_samples_of_the_same_stage_and_of_different_ones() -> None:
    steps = [Sample(EventType.STAGE_CHANGED, "9", "A B", "C", NOW, stage) for stage in ("Call", "Call", "Visit")]
    bodies = [json.loads(RECRUITEE.sample(step)) for step in steps]
    assert [event.to_stage.name for event in told(bodies) if event.to_stage] == ["Call", "Visit"]
    assert len({read(body).dedupe for body in bodies}) == 2
    requalified = Sample(EventType.OUTCOME_CHANGED, "9", "A B", "C", NOW, "Call")
    assert fact_of(json.loads(RECRUITEE.sample(requalified))).type is EventType.OUTCOME_CHANGED
    with pytest.raises(ValueError, match="no Recruitee sample of ApplicationUpdated"):
        RECRUITEE.sample(Sample(EventType.APPLICATION_UPDATED, "9", "A B", "C", NOW))
