"""What is particular to Jobvite: errors with HTTP 200 in three shapes, and data of the kind that is never kept."""

import json
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised
from handlers.polled import PolledHandler
from router.schema import Offer
from tests.handlers.vendors import fixtures_of, handler_of

PAGE = fixtures_of("jobvite")["page"]


def page(**application: object) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(PAGE.body)
    whole["candidates"][0]["application"].update(application)
    return whole


def told(answer: object, **settings: object) -> Normalised:
    handler = handler_of("jobvite", **settings)
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"status": "INVALID_KEY_SECRET", "responseMessage": "no"}, "status"),
        ({"errors": {"code": 400, "messages": ["no"]}}, "errors"),
        ({"status": {"code": 401, "messages": ["Invalid api/secret"]}}, "status"),
        ({"status": {}, "candidates": []}, "status"),
        (page() | {"status": "INVALID_KEY_SECRET"}, "status"),
        (page() | {"errors": {"code": 500}}, "errors"),
        ({"total": 0}, "candidates"),
        ({}, "candidates"),
        (page(eId=None), "candidates[].application.eId"),
    ],
)
def test_an_error_is_neither_a_row_nor_an_empty_page(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path


@pytest.mark.parametrize(
    "answer", [{"status": {"code": 200}, "total": 0}, {"status": {"code": "200"}, "candidates": []}]
)
def test_no_candidates_at_all_are_an_empty_page(answer: object) -> None:
    assert told(answer).disposition is Disposition.IGNORED


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "PENDING"),
        ({"disposition": "Not qualified"}, "DECLINED"),
        ({"hireDate": 1789344000000}, "HIRED"),
        ({"hireDate": 1789344000000, "disposition": "Not qualified"}, "HIRED"),
        ({"hireDate": "14/09/2026"}, "HIRED"),
        ({"workflowState": "Offer Accepted"}, "HIRED"),
        ({"workflowState": "Offer Accepted", "disposition": "x"}, "HIRED"),
        ({"workflowState": "Hired"}, "PENDING"),
        ({"disposition": ""}, "PENDING"),
    ],
)
def test_a_hire_date_or_a_configured_state_is_a_hire_and_a_disposition_a_rejection(
    fields: dict[str, object], outcome: str
) -> None:
    application = told(page(**fields)).facts[-1].application
    assert application
    assert application.outcome == outcome
    assert bool(application.rejection_reason) == (outcome == "DECLINED")


def test_a_start_date_is_the_day_on_which_it_is_that_moment_in_the_account_s_zone() -> None:
    evening_in_utc = page(startDate=1790802000000)  # 2026-09-30T21:00Z
    for settings, day in (({}, "2026-09-30"), ({"timezone": "Asia/Kolkata"}, "2026-10-01")):
        assert [fact.offer for fact in told(evening_in_utc, **settings).facts] == 2 * [Offer(start_date=day)]
    assert [fact.offer for fact in told(page(startDate=None)).facts] == [None, None]


def test_nothing_that_no_one_asked_for_is_passed_on() -> None:
    text = "".join(fact.model_dump_json() for fact in told(page()).facts)
    assert b"Undefined" in PAGE.body
    for private in ("Undefined", "Self Identify", "gender", "veteran"):
        assert private not in text
