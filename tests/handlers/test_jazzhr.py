"""What is particular to JazzHR: exports of whole candidates, in two shapes, and what their order makes of them."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import EventType, Outcome, Person, StageKind
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

JAZZHR = handler_of("jazzhr", secret=["key"])
EXPORT = {"x-jazzhr-event": "CANDIDATE-EXPORT"}


def body_of(name: str) -> dict[str, Any]:
    """The body of a fixture, to be changed at will."""
    body: dict[str, Any] = json.loads(fixtures_of("jazzhr")[name].body)
    return body


def opening_of(body: dict[str, Any]) -> dict[str, Any]:
    opening: dict[str, Any] = body["candidate"]["profiles"][0]["associatedPositionOpenings"][0]
    return opening


def normalised(body: object, headers: dict[str, str] | None = None) -> Normalised:
    return JAZZHR.normalise(receipt(json.dumps(body).encode(), EXPORT if headers is None else headers))


def events_of(*bodies: dict[str, Any]) -> list[str]:
    """The events that exports make one after the other, by type and what came about."""
    state, told = ApplicationState(), []
    for number, body in enumerate(bodies):
        sent = receipt(json.dumps(body).encode(), EXPORT)
        result = JAZZHR.with_kinds(JAZZHR.normalise(sent))
        named = {"receipt_id": f"rcp_00{number}", "source": "s", "vendor": "jazzhr"}
        for waiting in waiting_facts(result, receipt=sent, mark=None, **named):
            state, events = project(state, waiting)
            told += [f"{event.type}{' late' if event.late else ''}" for event in events]
    return told


def standing(name: str, category: str, at: str = "2026-02-16 17:20:31") -> dict[str, Any]:
    body = body_of("export_stage")
    opening_of(body)["candidateStatus"] = {"name": name, "category": category, "transitionDateTime": at}
    return body


def test_the_signature_is_the_hex_digest_of_the_exact_body() -> None:
    body = b'{"data": "JazzHR Verify Event"}'
    digest = hmac.new(b"key", body, hashlib.sha256).hexdigest()
    JAZZHR.verify(receipt(body, {"x-jazzhr-signature": digest}))
    assert JAZZHR.sign(body, NOW).headers == {"x-jazzhr-event": "VERIFY", "x-jazzhr-signature": digest}
    for other in (digest.upper(), f"sha256={digest}", digest[:-2], hmac.new(b"key", body, hashlib.sha1).hexdigest()):
        with pytest.raises(Rejected):
            JAZZHR.verify(receipt(body, {"x-jazzhr-signature": other}))


def test_the_verify_event_is_a_ping_and_must_be_signed() -> None:
    body = fixtures_of("jazzhr")["verify"].body
    with pytest.raises(Rejected):
        JAZZHR.verify(receipt(body, {"x-jazzhr-event": "VERIFY"}))
    for headers in ({"x-jazzhr-event": "VERIFY"}, {}):
        assert normalised(json.loads(body), headers) == Normalised(Disposition.PING, "VERIFY")
    assert JAZZHR.success == 200


def test_a_verify_event_without_a_body_is_one_too_if_it_is_signed() -> None:
    assert JAZZHR.normalise(receipt(b"", {"x-jazzhr-event": "VERIFY"})) == Normalised(Disposition.PING, "VERIFY")
    JAZZHR.verify(receipt(b"", {"x-jazzhr-signature": hmac.new(b"key", b"", hashlib.sha256).hexdigest()}))
    with pytest.raises(Rejected):
        JAZZHR.verify(receipt(b"", {"x-jazzhr-event": "VERIFY"}))
    for headers in (EXPORT, {}):
        with pytest.raises(Drift):
            JAZZHR.normalise(receipt(b"", headers))


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ({"roleCode": "Hiring Manager", "name": {"given": "Lena", "family": None}}, [Person(name="Lena")]),
        ({"roleCode": "Recruiter", "name": {"given": "Lena", "family": "Hart"}}, []),
        ({"roleCode": "Hiring Manager", "name": {"given": None, "family": None}}, []),
        (None, []),
    ],
)
def test_of_a_posting_s_contacts_the_hiring_manager_is_told(contact: object, expected: list[Person]) -> None:
    body = body_of("export_of_2018")
    posting = body["positionOpenings"][0]["positionProfiles"][0]["postingInstructions"][0]
    posting["applicationMethods"][0]["personContact"] = contact
    result = normalised(body)
    assert result.facts[0].job
    assert result.facts[0].job.hiring_managers == expected
    assert result.soft_drift == ()


def test_without_the_header_an_export_is_known_by_its_body() -> None:
    assert normalised(body_of("export_stage"), {}).facts == normalised(body_of("export_stage")).facts


def test_an_event_of_another_name_is_ignored_whatever_it_holds() -> None:
    result = normalised(body_of("export_stage"), {"x-jazzhr-event": "CANDIDATE-DELETE"})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, "CANDIDATE-DELETE")


@pytest.mark.parametrize(
    ("category", "outcome", "kind"),
    [
        ("New", Outcome.PENDING, StageKind.APPLIED),
        ("Active", Outcome.PENDING, None),
        ("Hired", Outcome.HIRED, StageKind.HIRED),
        ("Not Hired", Outcome.DECLINED, StageKind.REJECTED),
        ("Archived", None, None),
        (None, None, None),
    ],
)
def test_the_category_of_the_step_is_the_outcome(category: str, outcome: Outcome | None, kind: StageKind) -> None:
    result = normalised(standing("A step", category))
    application = result.facts[-1].application
    assert application
    assert application.stage
    assert (application.outcome, application.stage.kind) == (outcome, kind)
    assert bool(result.soft_drift) == (category == "Archived")
    assert (application.hired_at is not None) == (outcome is Outcome.HIRED)
    assert (application.rejected_at is not None) == (outcome is Outcome.DECLINED)


@pytest.mark.parametrize("at", ["2026-02-16 17:20:31", "2026-02-16T17:20:31+00:00", "2026-02-16T12:20:31-05:00"])
def test_a_time_without_a_mark_is_utc(at: str) -> None:
    occurred_at = normalised(standing("Phone Interview", "Active", at)).facts[0].occurred_at
    assert occurred_at
    assert occurred_at.isoformat() == "2026-02-16T17:20:31+00:00"


def test_only_the_first_step_is_a_beginning() -> None:
    for name, category, types in [
        ("New", "New", ["ApplicationCreated", "ApplicationUpdated"]),
        ("Applied", "New", ["ApplicationCreated", "ApplicationUpdated"]),
        ("New", "Active", ["ApplicationCreated", "ApplicationUpdated"]),
        ("Phone Interview", "Active", ["ApplicationUpdated"]),
        ("New", "Hired", ["ApplicationUpdated"]),
    ]:
        assert [fact.type for fact in normalised(standing(name, category)).facts] == types, (name, category)


def test_what_differs_from_the_export_before_becomes_the_events() -> None:
    new, phone = standing("New", "New", "2026-02-14 13:01:00"), standing("Phone Interview", "Active")
    declined, hired = standing("Not a Fit", "Not Hired"), standing("Hired", "Hired")
    assert events_of(new) == ["ApplicationCreated"]
    assert events_of(new, new, phone, phone) == ["ApplicationCreated", "StageChanged"]
    assert events_of(new, phone, new) == ["ApplicationCreated", "StageChanged", "StageChanged"]
    assert events_of(phone) == ["StageChanged"]
    for end in (declined, hired):
        assert events_of(new, end) == ["ApplicationCreated", "StageChanged", "OutcomeChanged"]
        assert events_of(end) == ["StageChanged", "OutcomeChanged"]
        assert events_of(end, phone) == 2 * ["StageChanged", "OutcomeChanged"]


def test_an_export_that_tells_no_step_is_told_as_a_change() -> None:
    body = body_of("export_of_2018")
    del body["additionalProfileInformation"], body["candidate"]["profiles"][1]
    assert events_of(body, body) == ["ApplicationUpdated"]


def test_several_openings_of_one_profile_have_ids_of_their_own() -> None:
    body = body_of("export_several_openings")
    applications = [fact.application for fact in normalised(body).facts if fact.application]
    assert [application.id for application in applications] == ["31777120:884211", "31777120:884212"]
    body["candidate"]["profiles"][0]["associatedPositionOpenings"][1]["positionOpeningId"] = {"value": None}
    with pytest.raises(Drift, match="positionOpeningId"):
        normalised(body)


def test_a_profile_without_openings_is_an_application_all_the_same() -> None:
    body = body_of("export_of_2018")
    body["candidate"]["profiles"][0]["associatedPositionOpenings"] = None
    fact = normalised(body).facts[0]
    assert fact.job is None
    assert fact.application
    assert fact.application.stage
    assert (fact.application.id, fact.application.stage.name) == ("934839", "Offer")


@pytest.mark.parametrize("profiles", [7, {}, "x"])
def test_an_export_without_applications_where_they_should_be_is_drift(profiles: object) -> None:
    body = body_of("export_stage")
    body["candidate"]["profiles"] = profiles
    with pytest.raises(Drift, match=r"^candidate\.profiles"):
        normalised(body)
    del body["candidate"]["profiles"]
    with pytest.raises(Drift, match=r"^candidate\.profiles"):
        normalised(body)
    body["candidate"]["profiles"] = None
    assert normalised(body).disposition is Disposition.IGNORED


@pytest.mark.parametrize("identifier", [None, {}, {"value": None}, {"value": ""}, {"value": True}])
def test_an_application_without_an_id_is_drift(identifier: object) -> None:
    body = body_of("export_stage")
    body["candidate"]["profiles"][0]["profileId"] = identifier
    with pytest.raises(Drift, match="profileId"):
        normalised(body)


def test_every_optional_field_may_be_null() -> None:
    body = body_of("export_stage")
    person = body["candidate"]["person"]
    for key in person:
        person[key] = None
    for key in opening_of(body):
        opening_of(body)[key] = None
    result = normalised(body)
    assert result.facts[0].application
    assert result.facts[0].application.id == "31777120"
    assert result.soft_drift == ()


def test_what_nobody_asked_for_is_not_in_the_facts() -> None:
    for name in ("export_of_2018", "export_first_step_of_category_active"):
        told = " ".join(fact.model_dump_json() for fact in normalised(body_of(name)).facts)
        for word in (
            "Female",
            "Citizen",
            "veteran",
            "Decline",
            "token-that-expires",
            "felony",
            "Technicians",
            "Street",
        ):
            assert word not in told


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://app.jazz.co/c/1", "https://app.jazz.co/c/1"),
        ('<https://app.jazz.co/c/1>; rel="self"', "https://app.jazz.co/c/1"),
        ("http://app.jazz.co/c/1", None),
        ("javascript:alert(1)", None),
        ("//app.jazz.co/c/1", None),
        ("", None),
    ],
)
def test_the_link_header_is_the_candidates_page_where_it_is_https(link: str, url: str | None) -> None:
    candidate = normalised(body_of("export_stage"), {**EXPORT, "link": link}).facts[0].candidate
    assert candidate
    assert candidate.url == url


def test_an_export_that_comes_again_is_known_by_its_bytes() -> None:
    assert normalised(body_of("export_stage")).dedupe is None
    assert JAZZHR.kept_headers == {"x-jazzhr-event", "x-jazzhr-uuid", "link"}


def test_the_requests_id_is_told_but_never_used_to_deduplicate() -> None:
    told = normalised(body_of("export_stage"), {**EXPORT, "x-jazzhr-uuid": "5f1d7a84"})
    assert {fact.vendor_event_id for fact in told.facts} == {"5f1d7a84"}
    assert told.dedupe is None


@pytest.mark.parametrize(
    ("type_", "outcome"),
    [(EventType.OUTCOME_CHANGED, Outcome.PENDING), (EventType.OFFER_CHANGED, Outcome.PENDING)],
)
def test_there_are_no_samples_of_what_no_export_tells(type_: EventType, outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="no JazzHR sample"):
        JAZZHR.sample(Sample(type_, "1", "Ada", "Analyst", NOW, "Offer", outcome))
