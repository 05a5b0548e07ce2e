"""What is particular to Homerun: a row says hired or disqualified itself, and more than anybody asked for."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.base import Drift, Normalised
from handlers.polled import PolledHandler
from tests.handlers.vendors import fixtures_of, handler_of


def row(**fields: object) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(fixtures_of("homerun")["page"].body)["data"][0]
    return whole | fields


def told(answer: object, **settings: object) -> Normalised:
    handler = handler_of("homerun", **settings)
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "PENDING"),
        ({"disqualified": True}, "DECLINED"),
        ({"hired_at": "2026-10-02T09:00:00Z"}, "HIRED"),
        ({"hired_at": "2026-10-02T09:00:00Z", "disqualified": True}, "HIRED"),
        ({"hired_at": "yesterday"}, "HIRED"),
        ({"stage": {"name": "Contract"}}, "HIRED"),
        ({"stage": {"name": "Contract"}, "disqualified": True}, "DECLINED"),
        ({"stage": {"name": "hired"}}, "PENDING"),
        ({"stage": None, "disqualified": None}, None),
    ],
)
def test_a_hire_goes_before_a_disqualification_and_both_before_the_stage(
    fields: dict[str, object], outcome: str | None
) -> None:
    application = told({"data": [row(**fields)]}, stages={"HIRED": ["Contract"]}).facts[-1].application
    assert application
    assert application.outcome == outcome


def test_a_stage_has_an_id_where_one_is_told() -> None:
    for stage in ({"id": 7, "name": "Interview"}, {"name": "Interview"}):
        application = told({"data": [row(stage=stage)]}).facts[-1].application
        assert application
        assert application.stage
        assert (application.stage.id, application.stage.name) == ("7" if "id" in stage else None, "Interview")


def test_times_are_in_utc_whatever_the_account_s_zone_is() -> None:
    fields = {"created_at": "2026-10-01T09:00:00", "hired_at": "2026-10-02 09:00:00"}
    application = told({"data": row(**fields)}, timezone="Europe/Amsterdam").facts[-1].application
    assert application
    assert (application.created_at, application.hired_at) == (
        datetime(2026, 10, 1, 9, tzinfo=UTC),
        datetime(2026, 10, 2, 9, tzinfo=UTC),
    )


def test_only_a_hire_has_a_time() -> None:
    assert told({"data": [row(disqualified=True)]}).facts[-1].occurred_at is None
    assert told({"data": row(hired_at="2026-10-02T09:00:00Z")}).facts[-1].occurred_at


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"code": 401, "error": True, "message": "Unauthenticated"}, "data"),
        ({"data": None}, "data"),
        ([], "data"),
        ({"data": [{"hired_at": None}]}, "data[].id"),
    ],
)
def test_an_error_is_neither_a_row_nor_an_empty_page(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path


def test_nothing_that_no_one_asked_for_is_passed_on() -> None:
    handler = handler_of("homerun")
    text = "".join(
        fact.model_dump_json()
        for fixture in fixtures_of("homerun").values()
        for fact in fixture.normalised(handler).facts
    )
    assert "hr-2131" in text
    for private in ("1990-01-01", "female", "she/her", "files.example.com"):
        assert private not in text
