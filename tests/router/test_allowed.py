"""Privacy by allow-list: what a sink may get of an event, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.allowed import ALWAYS, AllowList
from router.fields import Shape, UnknownField
from router.schema import Event
from tests.router.any_event import any_events, markers


def seen(*names: str) -> dict[str, Any]:
    """What is left that was let through by name."""
    left = json.loads(AllowList(names).trimmed(markers()).model_dump_json(exclude_defaults=True))
    return {name: value for name, value in left.items() if name not in ALWAYS}


def custom(part: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {part: {"custom_fields": fields}}


STAGE = "@application.stage.name@"


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ((), {}),
        (("candidate.name",), {"candidate": {"name": "@candidate.name@"}}),
        (("job.title", "to_stage.kind"), {"job": {"title": "@job.title@"}, "to_stage": {"kind": "APPLIED"}}),
        (("department",), {"job": {"departments": ["@job.departments@"] * 2}}),
        (("job.recruiters.email",), {"job": {"recruiters": [{"email": "@job.recruiters.email@"}] * 2}}),
        (("to_stage", "to_stage.name"), {"to_stage": json.loads(markers().to_stage.model_dump_json())}),  # type: ignore[union-attr]
        (("job.custom_fields.cost CENTRE",), custom("job", {"Cost Centre": "@job.custom_fields.Cost Centre@"})),
        (("job.custom_fields.team.name",), custom("job", {"team": {"name": "@job.custom_fields.team.name@"}})),
        (("application.stage.name",), {"application": {"id": "@application.id@", "stage": {"name": STAGE}}}),
        (("changes.to",), {"changes": [{"field": "@changes.field@", "to": "@changes.to@"}] * 2}),
        (("test",), {}),
    ],
)  # fmt: skip
def test_what_is_named_stays_and_nothing_else(names: tuple[str, ...], left: dict[str, Any]) -> None:
    assert seen(*names) == left


def test_a_branch_stays_whole() -> None:
    trimmed = AllowList(["candidate"]).trimmed(markers())
    assert trimmed.candidate == markers().candidate
    assert (trimmed.job, trimmed.application, trimmed.actor) == (None, None, None)


def test_what_says_which_event_it_is_stays() -> None:
    trimmed, whole = AllowList(()).trimmed(markers()), markers()
    for name in ALWAYS:
        assert getattr(trimmed, name) == getattr(whole, name)
    asked = {"id", "type", "schema_version", "source", "sequence", "occurred_at", "received_at", "test", "late"}
    assert asked <= set(ALWAYS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("candidate.nam", 'did you mean "name"'),
        ("departments", 'did you mean "job.departments"'),
        ("candidate.name.first", "is a single value"),
        ("", "no field"),
        ("candidate.", '"candidate" has no ""'),
    ],
)
def test_what_no_event_has_is_told(name: str, words: str) -> None:
    with pytest.raises(UnknownField, match=words):
        AllowList([name])


def test_covers_and_reaches() -> None:
    allowed = AllowList(["candidate.name", "job", "application.custom_fields.Team"])
    assert allowed.covers("candidate.name")
    assert allowed.covers("job.recruiters.email")
    assert allowed.covers("application.custom_fields.team.lead")
    assert allowed.covers("id")
    assert not allowed.covers("candidate")
    assert not allowed.covers("candidate.names")
    assert allowed.reaches("candidate")
    assert not allowed.reaches("candidate.emails")
    assert not allowed.reaches("offer")


NAMES = sorted(
    {f"{part}.{name}" for part in ("candidate", "application", "job", "offer", "interview", "to_stage", "actor")
     for name in type(getattr(markers(), part)).model_fields}
    | {"candidate", "job", "changes", "job.recruiters.name", "application.answers.answer", "job.custom_fields.team"}
)  # fmt: skip


@given(st.sets(st.sampled_from(NAMES), max_size=4))
def test_no_marker_of_another_field_is_left(names: set[str]) -> None:
    """What an object can't be without stays with it: the id of an application, the question of an answer."""
    allowed = AllowList(sorted(names))
    text = allowed.trimmed(markers()).model_dump_json()
    found = {part for part in text.split('"') if part.startswith("@")}
    for marker in found:
        path = marker.strip("@")
        required = path in ("application.id", "application.answers.question", "changes.field")
        assert allowed.covers(path) or (required and allowed.reaches(path.rpartition(".")[0]))


@given(any_events(), st.sets(st.sampled_from(NAMES), max_size=4))
def test_what_is_left_is_an_event(event: Event, names: set[str]) -> None:
    trimmed = AllowList(sorted(names)).trimmed(event)
    assert Event.model_validate_json(trimmed.model_dump_json()).id == event.id
    assert AllowList(sorted(names)).trimmed(trimmed) == trimmed
    for name in names:
        first, _, rest = name.partition(".")
        if not rest or Shape.at(name).is_map:
            assert getattr(trimmed, first) is None or getattr(event, first) is not None
