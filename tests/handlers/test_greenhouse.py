"""What is particular to Greenhouse: its signature, its events and their oddities."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from router.schema import EventType, Fact, OfferStatus, Outcome, Person, RejectionKind
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

GREENHOUSE = handler_of("greenhouse", secret=["key"])


def payload_of(name: str) -> dict[str, Any]:
    """The body of a fixture, to be changed at will."""
    body: dict[str, Any] = json.loads(fixtures_of("greenhouse")[name].body)
    return body


def application_of(body: dict[str, Any]) -> dict[str, Any]:
    application: dict[str, Any] = body["payload"]["application"]
    return application


def normalised(body: dict[str, Any]) -> Normalised:
    return GREENHOUSE.normalise(receipt(json.dumps(body).encode()))


def fact_of(body: dict[str, Any]) -> Fact:
    (fact,) = normalised(body).facts
    return fact


def test_the_signature_is_the_algorithm_one_space_and_the_digest_of_the_exact_bytes() -> None:
    body = b'{"action":"ping","note":"\\u003cp\\u003e"}'
    digest = hmac.new(b"key", body, hashlib.sha256).hexdigest()
    GREENHOUSE.verify(receipt(body, {"signature": f"sha256 {digest}"}))
    assert GREENHOUSE.sign(body, NOW).headers["signature"] == f"sha256 {digest}"
    for other in (f"sha256={digest}", f"sha256  {digest}", f"sha1 {digest}", digest, f"SHA256 {digest}"):
        with pytest.raises(Rejected):
            GREENHOUSE.verify(receipt(body, {"signature": other}))


def test_a_body_that_was_parsed_and_written_again_is_rejected() -> None:
    body = b'{"note":"\\u003cp\\u003e \\u00fc"}'
    with pytest.raises(Rejected):
        GREENHOUSE.verify(receipt(json.dumps(json.loads(body)).encode(), GREENHOUSE.sign(body, NOW).headers))


def test_a_digest_that_begins_like_the_prefix_keeps_its_digits() -> None:
    bodies = (str(number).encode() for number in range(10_000))
    body = next(body for body in bodies if hmac.digest(b"key", body, "sha256").hex().startswith(("2", "5", "6", "a")))
    GREENHOUSE.verify(receipt(body, GREENHOUSE.sign(body, NOW).headers))


def test_the_delivery_id_is_told_but_never_used_to_deduplicate() -> None:
    body = json.dumps(payload_of("stage_changed")).encode()
    told = GREENHOUSE.normalise(receipt(body, {"greenhouse-event-id": "d-1"}))
    assert told.facts[0].vendor_event_id == "d-1"
    assert told.dedupe is None
    assert GREENHOUSE.normalise(receipt(body)).facts[0].vendor_event_id is None


WITHOUT_A_TYPE = [
    *("job_created", "job_updated", "job_deleted", "job_approved", "job_interview_stage_deleted"),
    *("job_post_created", "job_post_updated", "job_post_deleted"),
    *("department_deleted", "office_deleted", "scorecard_deleted", "PING"),
]


@pytest.mark.parametrize("action", WITHOUT_A_TYPE)
def test_events_without_a_common_type_are_ignored_by_name(action: str) -> None:
    result = normalised({"action": action, "payload": None})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, action)


@pytest.mark.parametrize(("status", "outcome"), [("active", "PENDING"), ("hired", "HIRED"), ("rejected", "DECLINED")])
@pytest.mark.parametrize("name", ["application_created", "prospect_created", "application_updated", "stage_changed"])
def test_the_status_is_the_outcome_where_the_action_is_none(name: str, status: str, outcome: str) -> None:
    body = payload_of(name)
    application_of(body)["status"] = status
    application = fact_of(body).application
    assert application
    assert application.outcome == outcome


def test_a_converted_prospect_is_pending_and_an_unknown_status_is_noted() -> None:
    body = payload_of("application_updated")
    application_of(body)["status"] = "converted"
    application = fact_of(body).application
    assert application
    assert application.outcome is Outcome.PENDING
    application_of(body)["status"] = "archived"
    result = normalised(body)
    assert result.facts[0].application
    assert result.facts[0].application.outcome is None
    assert result.soft_drift == ("payload.application.status",)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("hired", "HIRED"), ("unhired", "PENDING"), ("rejected", "DECLINED"), ("unrejected", "PENDING")],
)
def test_the_action_decides_the_outcome_whatever_the_status(name: str, outcome: str) -> None:
    body = payload_of(name)
    for status in ("active", "hired", "rejected", None, 7):
        application_of(body)["status"] = status
        application = fact_of(body).application
        assert application
        assert application.outcome == outcome


@pytest.mark.parametrize("stage", [None, {}, {"id": None, "name": ""}, [], "Offer"])
def test_a_stage_change_without_a_stage_is_drift(stage: object) -> None:
    body = payload_of("stage_changed")
    application_of(body)["current_stage"] = stage
    with pytest.raises(Drift, match=r"^payload\.application\.current_stage"):
        normalised(body)
    del application_of(body)["current_stage"]
    with pytest.raises(Drift, match=r"^payload\.application\.current_stage: is missing"):
        normalised(body)


@pytest.mark.parametrize("stage", [{"id": 1}, {"name": "Offer"}])
def test_an_id_or_a_name_is_enough_of_a_stage(stage: dict[str, object]) -> None:
    body = payload_of("stage_changed")
    application_of(body)["current_stage"] = stage
    assert fact_of(body).to_stage


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("application_created", "payload.application.id"),
        ("application_deleted", "payload.application.id"),
        ("offer_created", "payload.application_id"),
        ("offer_deleted", "payload.offer.application_id"),
        ("candidate_updated", "payload.candidate.id"),
        ("candidate_deleted", "payload.person.id"),
        ("candidate_merged", "payload.person.id"),
        ("candidate_anonymized", "payload.candidate_id"),
        ("ping", "action"),
    ],
)
def test_drift_names_the_path_that_failed(name: str, path: str) -> None:
    body = payload_of(name)
    *parents, key = path.split(".")
    place: Any = body
    for parent in parents:
        place = place[parent]
    wrong: list[object] = [None, True, [], ""]
    for bad in wrong:
        place[key] = bad
        with pytest.raises(Drift) as drift:
            normalised(body)
        assert drift.value.path == path
    assert GREENHOUSE.read(receipt(json.dumps(body).encode())).disposition is Disposition.DRIFT


def test_each_event_has_the_time_that_the_docs_give_it() -> None:
    applied, activity, rejected, resolved = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4))
    times = {"applied_at": applied, "last_activity_at": activity, "rejected_at": rejected}
    own = {"application_created": applied, "prospect_created": applied, "rejected": rejected, "hired": resolved}
    for name in (*own, "stage_changed", "application_updated", "unhired", "unrejected"):
        body = payload_of(name)
        application_of(body).update({key: at.isoformat() for key, at in times.items()})
        application_of(body)["offer"] = {"resolved_at": resolved.isoformat()}
        assert fact_of(body).occurred_at == own.get(name, activity), name
        application_of(body).update(applied_at=None, rejected_at=None, offer=None)
        assert fact_of(body).occurred_at == activity, name
        application_of(body)["last_activity_at"] = None
        assert fact_of(body).occurred_at is None, name


def test_a_hire_without_an_offer_or_without_the_newer_form_of_the_job() -> None:
    body = payload_of("hired")
    application_of(body).update(offer=None, jobs=[])
    fact = fact_of(body)
    assert fact.offer is None
    assert fact.job
    assert fact.job.title == "The older form"


@pytest.mark.parametrize("key", ["sent_at", "sent_on"])
def test_the_day_on_which_an_offer_was_sent_has_two_names(key: str) -> None:
    body = payload_of("hired")
    offer = application_of(body)["offer"]
    del offer["sent_at"]
    offer[key] = "2026-03-02"
    result = normalised(body)
    assert result.facts[0].offer
    assert result.facts[0].offer.sent_at == "2026-03-02"
    assert result.soft_drift == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [({"id": 1, "name": "A"}, "A"), ({"id": 1, "public_name": "B"}, "B"), ({"id": 1}, None), (None, None)],
)
def test_a_source_has_either_name(source: dict[str, object] | None, expected: str | None) -> None:
    body = payload_of("application_created")
    application_of(body)["source"] = source
    result = normalised(body)
    assert result.facts[0].application
    assert result.facts[0].application.source == expected
    assert result.soft_drift == ()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ({"id": 1, "name": "We rejected them"}, RejectionKind.REJECTED_BY_COMPANY),
        ({"id": 2, "name": "They rejected us"}, RejectionKind.WITHDRAWN_BY_CANDIDATE),
        ({"id": 3, "name": "None specified"}, RejectionKind.OTHER),
        ({"id": 3, "name": "Wrong skill set"}, RejectionKind.OTHER),
        (None, None),
    ],
)
def test_a_rejection_is_of_a_kind(kind: object, expected: RejectionKind | None) -> None:
    body = payload_of("rejected")
    application_of(body)["rejection_reason"]["type"] = kind
    application = fact_of(body).application
    assert application
    assert application.rejection_reason
    assert application.rejection_reason.kind is expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("Leeds, UK", "Leeds, UK"),
        ({"name": "Leeds, UK"}, "Leeds, UK"),
        ({"name": None}, None),
        (None, None),
        ("", None),
    ],
)
def test_the_place_of_an_office_has_two_forms(location: object, expected: str | None) -> None:
    body = payload_of("hired")
    application_of(body)["jobs"][0]["offices"] = [{"id": 1, "name": "A", "location": location}]
    result = normalised(body)
    assert result.facts[0].job
    assert result.facts[0].job.location == expected
    assert result.soft_drift == ()


def test_names_from_the_candidate_complete_the_ids_of_the_hiring_team() -> None:
    body = payload_of("application_created")
    application_of(body)["jobs"][0]["hiring_team"]["hiring_managers"] = [{"user_id": 302}, {"user_id": 303}]
    job = fact_of(body).job
    assert job
    coordinator = Person(id="302", name="Tomas Vik", email="tomas.vik@example.com")
    recruiter = Person(id="301", name="Nadia Rahn", email="nadia.rahn@example.com")
    assert job.hiring_managers == [coordinator, Person(id="303")]
    assert job.recruiters == [recruiter, Person(id="304")]
    assert job.coordinators == [coordinator]


def test_who_is_credited_is_the_referrer_and_never_the_actor() -> None:
    fact = fact_of(payload_of("application_created"))
    assert fact.actor is None
    assert fact.application
    assert fact.application.referrer == Person(id="306", name="Ina Holm", email="ina.holm@example.com")


@pytest.mark.parametrize("place", ["application", "candidate", "job"])
def test_an_empty_map_of_custom_fields_may_be_a_list(place: str) -> None:
    body = payload_of("application_created")
    application = application_of(body)
    {"application": application, "candidate": application["candidate"], "job": application["jobs"][0]}[place][
        "custom_fields"
    ] = []
    assert normalised(body).soft_drift == ()


@pytest.mark.parametrize(("key", "name"), [("gender", "Field 9"), ("field_9", "Gender"), ("gender", None)])
def test_a_private_custom_field_is_known_by_its_first_name_and_by_its_present_one(key: str, name: str | None) -> None:
    body = payload_of("application_created")
    application_of(body)["custom_fields"] = {key: {"name": name, "value": "x"}, "kept": {"name": "Kept", "value": 1}}
    application = fact_of(body).application
    assert application
    assert application.custom_fields == {"kept": 1}


@pytest.mark.parametrize("name", sorted(fixtures_of("greenhouse")))
def test_nothing_that_no_one_asked_for_is_passed_on(name: str) -> None:
    told = GREENHOUSE.normalise(fixtures_of("greenhouse")[name].receipt)
    text = "".join(fact.model_dump_json() for fact in told.facts)
    for private in ("1990-01-01", "Man", "Gender", "Lindenweg", "files.example.com", "Kiel", "Example Works"):
        assert private not in text


@pytest.mark.parametrize(
    ("name", "offer", "status"),
    [
        ("offer_approved", {"offer_status": "Accepted"}, OfferStatus.APPROVED),
        ("offer_created", {"sent_on": "2026-03-02"}, OfferStatus.SENT),
        ("offer_created", {"offer_status": "Accepted"}, OfferStatus.ACCEPTED),
        ("offer_created", {"offer_status": "Elsewhere"}, None),
    ],
)
def test_the_status_of_an_offer(name: str, offer: dict[str, str], status: OfferStatus | None) -> None:
    body = payload_of(name)
    body["payload"] |= offer
    fact = fact_of(body)
    assert fact.offer
    assert fact.offer.status is status
    assert fact.occurred_at is None


def test_a_body_of_onboarding_with_an_action_is_read_by_its_action() -> None:
    assert normalised(payload_of("ping") | {"event_type": "x"}).disposition is Disposition.PING


def test_a_sample_is_written_like_greenhouse_writes() -> None:
    body = GREENHOUSE.sample(Sample(EventType.STAGE_CHANGED, "9", "Zoë <x>", "Köchin", NOW, "A>B"))
    assert body.isascii()
    assert b"<" not in body
    assert b"Zo\\u00eb" in body
    assert b"\\u003cx\\u003e" in body
    assert json.loads(body)["payload"]["application"]["id"] == 9


@pytest.mark.parametrize(
    ("step", "outcome", "action"),
    [
        (EventType.APPLICATION_CREATED, Outcome.PENDING, "new_candidate_application"),
        (EventType.OUTCOME_CHANGED, Outcome.PENDING, "unreject_candidate"),
        (EventType.OUTCOME_CHANGED, Outcome.HIRED, "hire_candidate"),
    ],
)
def test_of_two_actions_that_say_the_same_a_sample_has_the_usual_one(
    step: EventType, outcome: Outcome, action: str
) -> None:
    assert json.loads(GREENHOUSE.sample(Sample(step, "9", "A B", "C", NOW, "D", outcome)))["action"] == action


def test_there_is_no_sample_of_what_greenhouse_tells_in_another_form() -> None:
    with pytest.raises(ValueError, match="no Greenhouse sample of InterviewChanged"):
        GREENHOUSE.sample(Sample(EventType.INTERVIEW_CHANGED, "9", "A B", "C", NOW))
