"""What is particular to Manatal: a match that is dropped or inactive, and relations that are ids or objects."""

import json
from typing import Any

import pytest

from handlers.base import Drift, Normalised
from handlers.polled import PolledHandler
from router.schema import Candidate, Job, Stage
from tests.handlers.vendors import fixtures_of, handler_of


def row(**fields: object) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(fixtures_of("manatal")["page"].body)["results"][0]
    return whole | fields


def told(answer: object) -> Normalised:
    handler = handler_of("manatal")
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(json.dumps(answer).encode())


DAY = "2026-09-20T08:00:00Z"


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "PENDING"),
        ({"is_active": False}, "DECLINED"),
        ({"dropped_at": DAY}, "DECLINED"),
        ({"hired_at": DAY, "is_active": False}, "HIRED"),
        ({"hired_at": "soon"}, "HIRED"),
        ({"stage": {"id": 142142, "name": "x"}, "is_active": False}, "HIRED"),
        ({"stage": {"id": 1, "name": "Hired"}}, "PENDING"),
        ({"is_active": None}, None),
    ],
)
def test_a_hire_goes_before_a_match_that_is_no_longer_active(fields: dict[str, object], outcome: str | None) -> None:
    application = told({"results": [row(**fields)]}).facts[-1].application
    assert application
    assert application.outcome == outcome


OWN, OF_JOB = {"id": 5, "name": "Interview"}, {"id": 77, "name": "On site", "rank": 3}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stage": OWN, "job_pipeline_stage": OF_JOB}, Stage(id="5", name="Interview")),
        ({"stage": None, "job_pipeline_stage": OF_JOB}, Stage(id="77", name="On site", index=3)),
        ({"stage": {"name": "Interview"}, "job_pipeline_stages": OF_JOB}, Stage(id="77", name="On site", index=3)),
        ({"stage": {"name": "Interview"}, "job_pipeline_stage": {"name": "On site"}}, Stage(name="Interview")),
        ({"stage": None}, None),
    ],
)
def test_the_stage_is_the_match_s_own_or_that_of_the_job_s_pipeline(
    fields: dict[str, object], expected: Stage | None
) -> None:
    result = told(row(**fields))
    application = result.facts[-1].application
    assert application
    assert (application.stage, result.soft_drift) == (expected, ())


def test_the_time_of_the_end_goes_before_that_of_the_last_update() -> None:
    for fields in ({"hired_at": DAY}, {"dropped_at": DAY}):
        assert str(told(row(**fields)).facts[-1].occurred_at) == "2026-09-20 08:00:00+00:00"
    assert str(told(row()).facts[-1].occurred_at) == "2026-09-15 10:00:00+00:00"


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (7, Candidate(id="7")),
        ("7", Candidate(id="7")),
        (None, None),
        ({"id": 7, "full_name": "Ada Brook"}, Candidate(id="7", name="Ada Brook")),
    ],
)
def test_a_candidate_is_an_id_or_an_object(candidate: object, expected: Candidate | None) -> None:
    result = told(row(candidate=candidate) if candidate else {"results": [row(candidate=None)]})
    assert result.facts[-1].candidate == expected
    assert result.soft_drift == ()


@pytest.mark.parametrize(
    ("job", "expected"),
    [({"id": 9, "position_name": "Packer"}, Job(id="9", title="Packer")), (9, Job(id="9")), (None, None)],
)
def test_and_so_is_a_job(job: object, expected: Job | None) -> None:
    assert told(row(job=job)).facts[-1].job == expected


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"detail": "Request was throttled. Expected available in 1 second."}, "results"),
        ({"results": None}, "results"),
        ([], "results"),
        ({"results": [{"candidate": 7}]}, "results[].id"),
    ],
)
def test_an_error_is_neither_a_row_nor_an_empty_page(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path
