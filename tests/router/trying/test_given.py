"""Events made of a few fields, and of recorded webhooks."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.stages import StageKinds
from router.fields import Kind, UnknownField, field_at, field_names, text_of
from router.inspection import handler_for
from router.schema import CANDIDATE_TYPES, Envelope, EventType, Outcome, Person, StageKind
from router.trying.given import BadFields, NoEvents, event_of, events_of_body

FIXTURES = Path(__file__).parents[2] / "fixtures" / "greenhouse"
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="*"), min_size=1),
    Kind.NUMBER: st.integers(-9, 10**6),
    Kind.BOOL: st.booleans(),
    Kind.MOMENT: st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
}
MADE_UP = {"type", "from_stage", "to_stage", "application.stage", "application.answers", "changes"}
"""Said beside others, or depending on others."""

ALWAYS_THERE = {*Envelope.model_fields, "vendor_event", "recovered", "application.id", "candidate.id"}


def simple_fields() -> list[str]:
    names = []
    for name in field_names():
        try:
            field = field_at(name)
        except UnknownField:
            continue
        if not any(field.path == path or field.path.startswith(f"{path}.") for path in MADE_UP):
            names.append(name)
    return names


@st.composite
def said(draw: st.DrawFn) -> dict[str, Any]:
    by_path = {field_at(name).steps: name for name in draw(st.lists(st.sampled_from(simple_fields()), max_size=6))}
    fields: dict[str, Any] = {}
    for name in by_path.values():
        field = field_at(name)
        fields[name] = draw(st.sampled_from(field.choices) if field.choices else VALUES[field.kind])
    return fields


@given(fields=said(), event_type=st.sampled_from(EventType))
def test_rules_see_exactly_what_is_said(fields: dict[str, Any], event_type: EventType) -> None:
    event = event_of({"event": event_type, **fields})
    assert event.type is event_type
    for name, value in fields.items():
        wanted = field_at(name)
        assert text_of(value) in wanted.texts(event), name
    said_steps = {field_at(name).steps for name in fields}
    for name in simple_fields():
        field = field_at(name)
        of_person = field.steps[-1] == "name"  # of a person rules see name and address
        if field.steps not in said_steps and field.path not in ALWAYS_THERE and not of_person:
            assert not field.texts(event), (name, fields)


def test_an_event_has_the_id_that_its_type_needs() -> None:
    for event_type in EventType:
        event = event_of({"event": event_type})
        assert event.subject == ("c:1" if event_type in CANDIDATE_TYPES else "a:1")


def test_values_are_read_as_in_rules() -> None:
    event = event_of(
        {
            "event": "stagechanged",
            "outcome": " hired ",
            "application.is_prospect": "yes",
            "job.requisition_id": 12,
            "offer.status": "SENT",
            "interview.start": "2026-05-04",
            "job.custom_fields.Level": {"name": "L5"},
        },
        "greenhouse",
        "greenhouse",
    )
    assert event.application is not None
    assert event.job is not None
    assert event.interview is not None
    assert event.application.outcome is Outcome.HIRED
    assert event.application.is_prospect is True
    assert (event.source, event.vendor, event.job.requisition_id) == ("greenhouse", "greenhouse", "12")
    assert event.interview.start == datetime(2026, 5, 4, tzinfo=UTC)
    assert event.job.custom_fields == {"Level": {"name": "L5"}}


def test_several_values_go_into_as_many_items() -> None:
    event = event_of(
        {
            "event": "ApplicationCreated",
            "recruiter": ["Ann", "Bo", "Cy"],
            "job.recruiters.email": ["ann@x.org", "bo@x.org"],
            "tag": "vip",
            "application.answers.question": ["Visa?"],
            "application.answers.answer": ["Yes"],
            "changes.field": ["title"],
            "changes.from": ["a"],
        }
    )
    assert event.job is not None
    assert [(who.name, who.email) for who in event.job.recruiters] == [
        ("Ann", "ann@x.org"),
        ("Bo", "bo@x.org"),
        ("Cy", None),
    ]
    assert event.candidate is not None
    assert event.candidate.tags == ["vip"]


def test_after_a_move_the_application_is_where_it_moved_to() -> None:
    moved = event_of({"event": "StageChanged", "to_stage": "Onsite", "stage_kind": "INTERVIEW"})
    assert moved.application is not None
    assert moved.application.stage == moved.to_stage
    assert moved.to_stage is not None
    assert (moved.to_stage.name, moved.to_stage.kind) == ("Onsite", StageKind.INTERVIEW)
    offer = event_of({"event": "OfferChanged", "stage": "Offer"})
    assert offer.to_stage is None


@pytest.mark.parametrize(
    ("fields", "path", "sentence"),
    [
        ({}, (), "an event needs a type"),
        ({"event": "StageChanegd"}, ("event",), 'did you mean "StageChanged"?'),
        ({"evnt": "StageChanged"}, ("evnt",), "an event has no field"),
        ({"event": "StageChanged", "offer": 1}, ("offer",), "holds several fields"),
        ({"event": "StageChanged", "job": True}, ("job",), 'put the value in quotes: "true"'),
        ({"event": "StageChanged", "job": {"title": "x"}}, ("job",), "written with a dot, as in job.title"),
        ({"event": "StageChanged", "job": None}, ("job",), "must be a value"),
        ({"event": "StageChanged", "job": []}, ("job",), "has one value, not a list"),
        ({"event": "StageChanged", "tag": ["a", "b*"]}, ("tag", 1), "not a pattern"),
        ({"event": "StageChanged", "sequence": "--5"}, ("sequence",), "is a whole number"),
        ({"event": "StageChanged", "test": "perhaps"}, ("test",), "is true or false"),
        ({"event": "StageChanged", "occurred_at": "yesterday"}, ("occurred_at",), "must be a date like"),
        ({"event": "StageChanged", "application.answers.answer": "x"}, (), "application.answers.question"),
    ],
)
def test_what_no_event_can_have_is_told(fields: dict[str, Any], path: tuple[object, ...], sentence: str) -> None:
    with pytest.raises(BadFields) as caught:
        event_of(fields)
    [mistake] = caught.value.mistakes
    assert mistake.path == path
    assert sentence in mistake.sentence


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(BadFields) as caught:
        event_of({"event": "X", "outcome": "Y", "nothing": 1})
    assert [mistake.path for mistake in caught.value.mistakes] == [("event",), ("outcome",), ("nothing",)]


def test_a_recorded_webhook_becomes_the_events_of_its_source() -> None:
    handler = handler_for("greenhouse", [])
    stages = StageKinds([(StageKind.ASSESSMENT, ["*"])])
    [event] = events_of_body(handler, "eu", stages, (FIXTURES / "stage_changed.json").read_bytes())
    assert (event.type, event.source, event.vendor) == (EventType.STAGE_CHANGED, "eu", "greenhouse")
    assert event.to_stage is not None
    assert event.to_stage.kind is StageKind.ASSESSMENT


@pytest.mark.parametrize(
    ("body", "is_drift", "reason"),
    [
        (b"no json", True, "it can't be read"),
        (b"{}", True, "it can't be read"),
        ((FIXTURES / "ping.json").read_bytes(), False, "(ping)"),
        ((FIXTURES / "unknown_event.json").read_bytes(), False, "(ignored)"),
    ],
)
def test_a_webhook_that_becomes_no_event_says_why(body: bytes, is_drift: bool, reason: str) -> None:
    with pytest.raises(NoEvents) as caught:
        events_of_body(handler_for("greenhouse", []), "greenhouse", StageKinds(()), body)
    assert caught.value.is_drift is is_drift
    assert reason in str(caught.value)


def test_a_person_is_told_by_name_or_by_address() -> None:
    said = {
        "event": "OfferChanged",
        "recruiter": "ann@example.com",
        "hiring_manager": "Bob",
        "job.coordinators.id": "1",
    }
    job = event_of(said).job
    assert job is not None
    assert job.recruiters == [Person(email="ann@example.com")]
    assert job.hiring_managers == [Person(name="Bob")]
    both = event_of({"event": "OfferChanged", "recruiter": "Ann", "job.recruiters.email": "ann@example.com"}).job
    assert both is not None
    assert both.recruiters == [Person(name="Ann", email="ann@example.com")]
    moved = event_of({"event": "StageChanged", "to_stage": "a@b.de"})
    assert moved.to_stage is not None
    assert moved.to_stage.name == "a@b.de"
