"""What is particular to Bullhorn: events with ids only, statuses that are everyone's own, milliseconds."""

import json
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised
from handlers.polled import PolledHandler
from router.schema import EventType, StageKind
from tests.handlers.vendors import fixtures_of, handler_of


def submission(**fields: object) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(fixtures_of("bullhorn")["single"].body)["data"]
    return whole | fields


def event(**fields: object) -> dict[str, Any]:
    batch: dict[str, Any] = json.loads(fixtures_of("bullhorn")["events_updated"].body)
    whole: dict[str, Any] = batch["events"][0]
    return {"requestId": 1, "events": [whole | fields]}


def told(answer: object, **settings: object) -> Normalised:
    handler = handler_of("bullhorn", **settings)
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("name", "type_", "thin"),
    [
        ("INSERTED", EventType.APPLICATION_CREATED, True),
        ("UPDATED", EventType.APPLICATION_UPDATED, True),
        ("DELETED", EventType.APPLICATION_DELETED, False),
    ],
)
def test_an_event_tells_what_happened_to_which_submission_and_that_the_rest_is_to_be_asked(
    name: str, type_: EventType, thin: bool
) -> None:
    (fact,) = told(event(entityEventType=name)).facts
    assert (fact.type, fact.needs_enrichment, fact.is_snapshot) == (type_, thin, False)
    assert fact.application
    assert (fact.application.id, fact.application.stage, fact.application.outcome) == ("771204", None, None)


@pytest.mark.parametrize("fields", [{"entityName": "Candidate"}, {"entityName": None}, {"entityEventType": "MERGED"}])
def test_events_of_others_and_unheard_of_ones_are_none_of_an_application(fields: dict[str, object]) -> None:
    assert told(event(**fields)).disposition is Disposition.IGNORED


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        ("New Lead", "APPLIED", None),
        ("Internally Submitted", None, None),
        ("placed", "HIRED", "HIRED"),
        ("Client Rejected", "REJECTED", "DECLINED"),
    ],
)
def test_what_a_status_means_is_told_by_the_settings(status: str, kind: StageKind | None, outcome: str | None) -> None:
    application = told({"data": [submission(status=status)]}).facts[-1].application
    assert application
    assert application.stage
    assert (application.stage.name, application.stage.kind, application.outcome) == (status, kind, outcome)


def test_a_deleted_submission_is_told_as_that() -> None:
    assert [fact.type for fact in told({"data": submission(isDeleted=True)}).facts] == [EventType.APPLICATION_DELETED]


def test_the_history_of_submissions_is_not_taken_for_submissions() -> None:
    entry = {"id": 1, "dateAdded": 1709550000000, "status": "Interview", "jobSubmission": {"id": 4711}}
    assert told({"data": [entry]}).disposition is Disposition.IGNORED
    both = told({"data": [entry, submission()]})
    assert {fact.application.id for fact in both.facts if fact.application} == {str(submission()["id"])}


def test_a_submission_without_status_candidate_and_job_is_one_all_the_same() -> None:
    result = told({"data": [{"id": 1}]})
    assert result.facts[0].application
    assert result.facts[0].application.model_dump(exclude_defaults=True) == {"id": "1"}
    assert set(result.soft_drift) == {f"data[].{key}" for key in ("status", "dateAdded", "candidate", "jobOrder")}


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"errorMessage": "BhRestToken expired", "errorMessageKey": "x", "errorCode": 401}, "events"),
        ({"events": {}}, "events"),
        ({"data": [{"status": "New Lead"}]}, "data[].id"),
        (event(entityId=None), "events[].entityId"),
    ],
)
def test_an_error_is_neither_a_row_nor_an_empty_page(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path
