"""What is particular to Kombo: webhooks that only make somebody look, and the rows that are found then."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.kombo import Kombo
from router.project import project
from router.records import ApplicationState, WaitingFact
from router.schema import Candidate, EventType, Fact, Job, Offer, OfferStatus, Outcome, Stage
from tests.handlers.vendors import FIXTURES, NOW, fixtures_of, handler_of, receipt

KOMBO = handler_of("kombo", secret=["key"])
SAMPLES_OF_ERRORS = {"status": "error", "error": {"code": "PLATFORM.RATE_LIMIT_EXCEEDED", "message": "too many"}}


def body_of(name: str, **data: object) -> dict[str, Any]:
    """The body of a fixture, with other fields in its data."""
    body: dict[str, Any] = json.loads(fixtures_of("kombo")[name].body)
    body["data"] = {**body["data"], **data}
    return body


def normalised(body: object) -> Normalised:
    return KOMBO.normalise(receipt(json.dumps(body).encode()))


def row_of(**changes: object) -> dict[str, Any]:
    row: dict[str, Any] = body_of("polled_page")["data"]["results"][0]
    return {**row, **changes}


def polled(*rows: object) -> Normalised:
    assert isinstance(KOMBO, Kombo)
    return KOMBO.normalise_rows(json.dumps({"status": "success", "data": {"next": None, "results": rows}}).encode())


def state_of(**changes: object) -> Fact:
    """What a row says the application is now."""
    return polled(row_of(**changes)).facts[-1]


@pytest.mark.parametrize("padding", ["", "="])
def test_the_signature_is_base64url_of_the_bytes_as_they_are_printed(padding: str) -> None:
    body = (FIXTURES / "kombo" / "data_changed.json").read_bytes()
    assert b"\n  " in body
    signature = base64.urlsafe_b64encode(hmac.new(b"key", body, hashlib.sha256).digest()).decode().rstrip("=")
    KOMBO.verify(receipt(body, {"x-kombo-signature": signature + padding}))
    assert KOMBO.sign(body, NOW).headers == {"x-kombo-signature": signature}
    with pytest.raises(Rejected):
        KOMBO.verify(receipt(json.dumps(json.loads(body)).encode(), {"x-kombo-signature": signature}))


MODELS = {
    **dict.fromkeys(("ats_applications", "ats_candidates", "ats_application_stages", "ats_interviews"), True),
    **dict.fromkeys(("ats_offers", "ats_something_new"), True),
    **dict.fromkeys(
        ("ats_jobs", "ats_job_postings", "ats_users", "ats_tags", "ats_roles", "ats_join_jobs_users"), False
    ),
    **dict.fromkeys(("ats_screening_questions", "ats_rejection_reasons", "ats_join_candidates_tags"), False),
}


@pytest.mark.parametrize("model", [model for model in MODELS if model != "ats_something_new"])
def test_a_change_is_a_signal_where_it_brings_applications_back(model: str) -> None:
    result = normalised(body_of("data_changed", changed_models=[{"name": "ats_users"}, {"name": model}]))
    assert result.disposition == ("signal" if MODELS[model] else "ignored")
    assert bool(result.reason) == (not MODELS[model])


@pytest.mark.parametrize("models", [[], None, "ats_jobs", [{"name": None}]])
def test_a_change_of_nobody_knows_what_is_a_signal(models: object) -> None:
    assert normalised(body_of("data_changed", changed_models=models)).disposition is Disposition.SIGNAL


STATES = {"SUCCEEDED": True, "PARTIALLY_FAILED": True, "FAILED": False, "CANCELLED": False, "TIMED_OUT": False}


@pytest.mark.parametrize("state", [*STATES, "AUTHENTICATION_FAILED", None])
def test_a_sync_is_a_signal_where_there_is_something_to_read(state: str | None) -> None:
    result = normalised(body_of("sync_finished", sync_state=state))
    assert result.disposition == ("signal" if STATES.get(state or "") else "ignored")


@pytest.mark.parametrize("name", ["data_changed", "sync_finished"])
@pytest.mark.parametrize("category", ["HRIS", "LMS", "ASSESSMENT"])
def test_other_categories_than_the_ats_are_left_out(name: str, category: str) -> None:
    result = normalised(body_of(name, integration_category=category))
    assert (result.disposition, result.reason) == (Disposition.IGNORED, "the integration is not of an ATS")


def test_an_event_of_the_ats_is_a_signal_whatever_it_was() -> None:
    heard = {"integration_id": "lever:1", "integration_tool": "lever", "integration_category": "ATS"}
    result = normalised({"id": "1", "type": "remote-event-received", "data": heard})
    assert (result.disposition, result.account, result.soft_drift) == (Disposition.SIGNAL, "lever:1", ())
    other = normalised({"id": "1", "type": "remote-event-received", "data": heard | {"integration_category": "HRIS"}})
    assert other.disposition is Disposition.IGNORED


def test_the_last_offer_is_told_with_its_application() -> None:
    offers = [{"id": "o1", "status": "DECLINED"}, {"id": "o2", "remote_id": "7", "status": "SENT"}]
    assert state_of(offers=offers).offer == Offer(id="o2", status=OfferStatus.SENT)
    assert state_of(offers=[]).offer is None


def test_a_signal_belongs_to_its_integration_and_its_id_tells_it_from_others() -> None:
    body = body_of("data_changed")
    result = normalised(body)
    assert result.account == "lever:Qm3yT7rWzKf2aBvXc9dEhJ4n"
    assert result.dedupe == "Ev7nQ2rTzX4bKm9sWfYh3pLc"
    assert normalised({**body, "id": None}).dedupe is None


def test_a_body_without_a_type_is_drift_and_one_without_data_is_not() -> None:
    with pytest.raises(Drift, match=r"^type: is missing"):
        normalised({"id": "1", "data": {}})
    assert normalised({"id": "1", "type": "data-changed"}).disposition is Disposition.SIGNAL
    assert normalised({"id": "1", "type": "new"}).disposition is Disposition.IGNORED


@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_the_outcome_is_what_kombo_says_whatever_the_stage(outcome: Outcome | None) -> None:
    fact = state_of(outcome=outcome)
    assert fact.application
    assert fact.application.outcome is outcome
    assert fact.application.stage == Stage(id="St2b", name="Phone Screen", index=1)


def test_an_outcome_that_nobody_knows_is_noted() -> None:
    result = polled(row_of(outcome="ON_HOLD"))
    assert result.soft_drift == ("data.results[].outcome",)
    assert result.facts[0].application
    assert result.facts[0].application.outcome is None


def test_without_the_related_objects_their_ids_remain() -> None:
    fact = state_of(candidate=None, job=None, current_stage=None)
    assert fact.application
    assert (fact.candidate, fact.job) == (Candidate(id="Cd4d"), Job(id="Jb3c"))
    assert fact.application.stage == Stage(id="St2b")
    nothing = state_of(
        candidate=None, job=None, current_stage=None, candidate_id=None, job_id=None, current_stage_id=None
    )
    assert nothing.application
    assert (nothing.candidate, nothing.job, nothing.application.stage) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "at"),
    [({}, (5, 10, 1, 0)), ({"remote_updated_at": None}, (5, 10, 3, 11)), ({"remote_updated_at": "x"}, (5, 10, 3, 11))],
)
def test_the_time_is_that_of_the_ats_before_that_of_kombo(changes: dict[str, object], at: tuple[int, ...]) -> None:
    day, hour, minute, second = at
    assert state_of(**changes).occurred_at == datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def test_rows_one_after_the_other_become_what_differs() -> None:
    state, told = ApplicationState(), []
    for changes in (
        {},
        {"candidate": {**row_of()["candidate"], "source": None}},
        {"current_stage": {"id": "St3", "name": "Onsite", "index": 2}, "changed_at": "2026-03-06T10:00:00.000Z"},
        {"changed_at": "2026-03-05T10:03:11.000Z"},  # the older row again
        {"outcome": "DECLINED", "current_stage": {"id": "St3", "name": "Onsite"}, "changed_at": "2026-03-07T09:05:00Z"},
    ):
        for ordinal, fact in enumerate(polled(row_of(**changes)).facts):
            waiting = WaitingFact(
                receipt="r", ordinal=ordinal, source="s", vendor="kombo", received_at=NOW, fact=fact, test=False
            )
            state, events = project(state, waiting)
            told += [(event.type, event.late) for event in events]
    assert told == [
        *((EventType.APPLICATION_CREATED, False), (EventType.APPLICATION_UPDATED, False)),
        *((EventType.STAGE_CHANGED, False), (EventType.STAGE_CHANGED, True), (EventType.OUTCOME_CHANGED, False)),
    ]


def test_what_was_deleted_in_the_ats_is_told_once() -> None:
    (fact,) = polled(row_of(remote_deleted_at="2026-03-08T09:00:00.000Z")).facts
    assert fact.type is EventType.APPLICATION_DELETED
    assert fact.occurred_at == datetime(2026, 3, 8, 9, tzinfo=UTC)


def test_an_answer_that_is_an_error_or_a_row_without_an_id_is_drift() -> None:
    assert isinstance(KOMBO, Kombo)
    with pytest.raises(Drift, match=r"^data: is missing"):
        KOMBO.normalise_rows(json.dumps(SAMPLES_OF_ERRORS).encode())
    with pytest.raises(Drift, match=r"^data\.results\[\]\.id: is missing"):
        polled(row_of(id=None))


def test_private_answers_and_fields_are_never_passed_on() -> None:
    for fixture in fixtures_of("kombo").values():
        told = repr(fixture.normalised(KOMBO))
        for private in ("Gender", "1990-01-01", "Date of Birth"):
            assert private not in told


def test_there_is_no_sample_as_no_webhook_holds_an_application() -> None:
    with pytest.raises(ValueError, match="no Kombo sample of StageChanged: its webhooks hold no application"):
        KOMBO.sample(Sample(EventType.STAGE_CHANGED, "9", "A B", "C", NOW))
