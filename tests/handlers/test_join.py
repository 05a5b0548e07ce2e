"""What is particular to JOIN: where an application has its stage is told by the settings, or not at all."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Drift, Normalised
from handlers.polled import PolledHandler
from router.schema import EventType, Stage, StageKind
from tests.handlers.vendors import fixtures_of, handler_of


def row(**fields: object) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(fixtures_of("join")["single"].body)
    return whole | fields


def told(answer: object, **settings: object) -> Normalised:
    handler = handler_of("join", **settings)
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(json.dumps(answer).encode())


@pytest.mark.parametrize(
    ("path", "fields", "stage"),
    [
        ("status", {"status": "Interview"}, Stage(name="Interview")),
        ("stage", {"stage": {"id": 7, "name": "Interview"}}, Stage(id="7", name="Interview")),
        ("pipeline.stage.name", {"pipeline": {"stage": {"name": "Interview"}}}, Stage(name="Interview")),
        ("stageId", {"stageId": 7}, Stage(id="7")),
    ],
)
def test_a_stage_is_read_where_the_settings_say(path: str, fields: dict[str, object], stage: Stage) -> None:
    result = told([row(**fields)], stage_path=path)
    created, now = result.facts
    assert now.is_snapshot
    assert created.application
    assert created.application.stage == stage
    assert created.application.outcome == "PENDING"
    assert result.soft_drift == ()


@pytest.mark.parametrize(("stages", "outcome"), [({"HIRED": ["Done"]}, "HIRED"), ({"REJECTED": ["Done"]}, "DECLINED")])
def test_what_a_stage_means_is_told_by_the_settings_too(stages: dict[StageKind, list[str]], outcome: str) -> None:
    application = told([row(status="done")], stage_path="status", stages=stages).facts[-1].application
    assert application
    assert application.outcome == outcome


def test_without_a_path_an_application_is_told_once_and_nothing_of_a_stage() -> None:
    (created,) = told([row(status="Rejected", stage={"name": "Hired"})]).facts
    assert created.type is EventType.APPLICATION_CREATED
    assert created.application
    assert (created.application.stage, created.application.outcome) == (None, None)


def test_a_path_that_leads_nowhere_is_noted() -> None:
    result = told([row(stage={})], stage_path="stage.title")
    assert result.soft_drift == ("items[].stage.title",)
    assert result.facts[-1].application
    assert result.facts[-1].application.stage is None


@pytest.mark.parametrize("path", ["", ".", "stage.", ".name", "a..b", "stage. name"])
def test_a_path_is_names_with_dots_between_them(path: str) -> None:
    with pytest.raises(ValidationError, match="names of fields with dots"):
        handler_of("join", stage_path=path)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"error": {"type": "TOO_MANY_REQUESTS", "message": "Rate limit exceeded"}}, "error"),
        ({}, "candidate"),
        ({"data": None}, "candidate"),
        ([{"candidate": {}}], "items[].id"),
    ],
)
def test_an_error_is_neither_a_row_nor_an_empty_page(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path
