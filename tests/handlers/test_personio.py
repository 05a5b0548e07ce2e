"""What is particular to Personio: local times with their zone beside, stages without names, anonymised applications."""

import json
from typing import Any

import pytest

from handlers.base import Drift, Normalised
from handlers.polled import PolledHandler
from router.schema import EventType, Stage
from tests.handlers.vendors import fixtures_of, handler_of


def row(**fields: object) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(fixtures_of("personio")["single"].body)["_data"]
    return whole | fields


def told(answer: object, **settings: object) -> Normalised:
    handler = handler_of("personio", **settings)
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ({"date-time": "2026-01-17T15:40:55", "timezone": "Europe/Berlin"}, "2026-01-17 14:40:55+00:00"),
        ({"date-time": "2026-07-17T15:40:55", "timezone": "Europe/Berlin"}, "2026-07-17 13:40:55+00:00"),
        ({"date-time": "2026-07-17T15:40:55", "timezone": "America/New_York"}, "2026-07-17 19:40:55+00:00"),
        ({"date-time": "2026-07-17T15:40:55Z", "timezone": "Europe/Berlin"}, "2026-07-17 15:40:55+00:00"),
        ({"date-time": "2026-07-17T15:40:55", "timezone": "Berlin"}, "2026-07-17 10:10:55+00:00"),
        ({"date-time": "2026-07-17T15:40:55", "timezone": "../../etc/passwd"}, "2026-07-17 10:10:55+00:00"),
        ({"date-time": "2026-07-17T15:40:55", "timezone": None}, "2026-07-17 10:10:55+00:00"),
        ("2026-07-17T15:40:55", "2026-07-17 10:10:55+00:00"),
        ("2026-07-17T15:40:55+01:00", "2026-07-17 14:40:55+00:00"),
    ],
)
def test_a_time_is_read_in_its_own_zone_else_in_that_of_the_settings(stamp: object, expected: str) -> None:
    result = told({"_data": [row(updated_at=stamp)]}, timezone="Asia/Kolkata")
    assert str(result.facts[-1].occurred_at) == expected
    assert result.soft_drift == ()


def test_a_time_without_any_zone_is_none_and_noted() -> None:
    result = told({"_data": [row(updated_at="2026-07-17T15:40:55")]})
    assert result.facts[-1].occurred_at is None
    assert result.soft_drift == ("_data[].updated_at",)


@pytest.mark.parametrize(
    ("type_", "kind", "outcome"),
    [
        ("unassigned", None, "PENDING"),
        ("interview", "INTERVIEW", "PENDING"),
        ("offer", "OFFER", "PENDING"),
        ("accepted", "HIRED", "HIRED"),
        ("hired", "HIRED", "HIRED"),
        ("rejected", "REJECTED", "DECLINED"),
        ("withdrawn", "REJECTED", "DECLINED"),
        ("declined", "REJECTED", "DECLINED"),
        ("REJECTED", "REJECTED", "DECLINED"),
        ("something else", None, "PENDING"),
    ],
)
def test_the_type_of_a_stage_is_its_kind_and_names_it_where_nothing_else_does(
    type_: str, kind: str | None, outcome: str
) -> None:
    stage = {"id": None, "kind": "system", "name": None, "type": type_}
    application = told({"_data": row(current_stage=stage)}).facts[-1].application
    assert application
    assert application.stage
    assert (application.stage.name, application.stage.kind, application.outcome) == (type_.lower(), kind, outcome)


def test_the_settings_go_before_the_type() -> None:
    stage = {"id": "801", "kind": "custom", "name": "Signed", "type": "interview"}
    application = told({"_data": row(current_stage=stage)}, stages={"HIRED": ["801"]}).facts[-1].application
    assert application
    assert (application.stage, application.outcome) == (Stage(id="801", name="Signed", kind="HIRED"), "HIRED")


def test_an_anonymised_application_tells_that_its_candidate_is_gone_and_no_more() -> None:
    (gone,) = told({"_data": [row(is_anonymized=True)]}).facts
    assert gone.type is EventType.CANDIDATE_DELETED
    assert gone.candidate
    assert gone.candidate.model_dump(exclude_defaults=True) == {"id": "55120"}
    assert (gone.application, gone.job) == (None, None)


def test_anonymised_without_a_candidate_it_is_an_application_as_any_other() -> None:
    assert len(told({"_data": [row(is_anonymized=True, candidate=None)]}).facts) == 2


@pytest.mark.parametrize("answer", [row(), {"data": row()}, {"data": [row()]}, {"_data": [row()]}])
def test_every_envelope_that_clients_met_is_read(answer: object) -> None:
    assert [fact.application and fact.application.id for fact in told(answer).facts] == ["90417", "90417"]


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"success": False, "error": {"code": 403, "message": "no"}}, "_data"),
        ([], "_data"),
        ({"_data": [{"candidate": {"id": "1"}}]}, "_data[].id"),
    ],
)
def test_any_other_answer_is_drift(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path
