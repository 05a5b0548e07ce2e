"""A rule that is said never to match never does, and a rule that can is not told so."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.contradiction import clashes
from router.rules import Ruleset, compile_route
from router.schema import Event
from tests.router import strategies

Written = dict[str, Any]


def told(when: Written, unless: Written | None = None) -> list[tuple[str, tuple[str | int, ...]]]:
    """The first words of each sentence, and where it is."""
    found = clashes(compile_route("r", when, ["s"], unless=unless).tests)
    return [(("part: " if one.is_part else "") + one.sentence.partition(";")[0], one.test.place) for one in found]


CLASHING = st.one_of(
    st.tuples(strategies.conditions, strategies.conditions).map(lambda pair: {"all": list(pair)}),
    st.tuples(strategies.plain, strategies.plain).map(lambda pair: {"all": [pair[0], {"not": pair[0]}, pair[1]]}),
    st.tuples(strategies.plain, strategies.plain).map(lambda pair: {"all": [pair[0], {"any": [pair[1]]}]}),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(when=CLASHING, events=st.lists(strategies.events(), min_size=1, max_size=8))
def test_what_is_told_never_to_match_never_does(when: Written, events: list[Event]) -> None:
    route = compile_route("r", when, ["s"])
    if any(not clash.is_part for clash in clashes(route.tests)):
        for event in events:
            on_its_type = event if event.type == "StageChanged" else event.model_copy(update={"to_stage": None})
            assert not Ruleset([route]).match(on_its_type)


@given(conditions=strategies.plain)
def test_no_rule_holds_and_does_not_hold(conditions: Written) -> None:
    assert told({"all": [conditions, {"not": conditions}]})
    assert told(conditions, conditions)


@pytest.mark.parametrize(
    ("when", "sentence", "place"),
    [
        ({"event": "OfferChanged", "to_stage": "Offer"},
         '"to_stage" is there on StageChanged only, never on OfferChanged',
         ("when", "to_stage")),
        ({"to_stage.kind": "OFFER", "event": ["OfferChanged", "OutcomeChanged"]},
         '"to_stage.kind" is there on StageChanged only, never on OutcomeChanged or OfferChanged', ("when", "event")),
        ({"event": "Application*", "from_stage": {"present": True}},
         '"from_stage" is there on StageChanged only, never on ApplicationCreated, ApplicationUpdated or'
         " ApplicationDeleted", ("when", "from_stage", "present")),
        ({"event": "StageChanged", "application.previous_outcome": "HIRED"},
         '"application.previous_outcome" is there on OutcomeChanged only, never on StageChanged',
         ("when", "application.previous_outcome")),
        ({"all": [{"to_stage": "Onsite"}, {"to_stage": "Offer"}]}, '"to_stage" can\'t be "Onsite" and "Offer" at once',
         ("when", "all", 1, "to_stage")),
        ({"to_stage": "Onsite", "to_stage.name": ["Offer", "Hired"]},
         '"to_stage.name" can\'t be "Onsite" and "Offer" or "Hired" at once', ("when", "to_stage.name")),
        ({"all": [{"outcome": "hired"}, {"outcome": "pend*"}]}, '"outcome" can\'t be "hired" and "pend*" at once',
         ("when", "all", 1, "outcome")),
        ({"event": "StageChanged", "type": "OfferChanged"},
         '"type" can\'t be "StageChanged" and "OfferChanged" at once',
         ("when", "type")),
        ({"test": True, "all": {"test": "no"}}, '"test" can\'t be true and "no" at once', ("when", "all", "test")),
        ({"to_stage": {"present": False}, "all": {"to_stage": "Onsite"}},
         '"to_stage" can\'t be absent and "Onsite" at once', ("when", "all", "to_stage")),
        ({"department": {"present": True}, "job.departments": {"present": False}},
         '"job.departments" can\'t be absent and present at once', ("when", "job.departments", "present")),
        ({"job.custom_fields.level": {"above": 5, "below": 3}},
         '"job.custom_fields.level" can\'t be above 5 and below 3 at once',
         ("when", "job.custom_fields.level", "below")),
        ({"sequence": {"at_most": 5, "above": 5}}, '"sequence" can\'t be above 5 and at most 5 at once',
         ("when", "sequence", "above")),
        ({"offer.start_date": {"after": "2026-03-01", "before": "2026-01-31"}},
         '"offer.start_date" can\'t be after "2026-03-01" and before "2026-01-31" at once',
         ("when", "offer.start_date", "before")),
        ({"sequence": 3, "all": {"sequence": {"above": 5}}}, '"sequence" can\'t be 3 and above 5 at once',
         ("when", "all", "sequence", "above")),
        ({"department": "Engineering", "all": {"department": {"not": "engineering"}}},
         '"department" can\'t be "engineering" and anything but that at once', ("when", "all", "department", "not")),
        ({"department": "Engineering", "any": {"department": {"not": "Eng*"}, "to_stage": {"present": False}},
          "to_stage": "Onsite"}, '"department" can\'t be "Eng*" and anything but that at once',
         ("when", "any", "department", "not")),
        ({"department": "A", "not": {"department": ["A", "B"]}},
         'wherever the other lines are so, all that stands under "not" is so, too', ("when", "not")),
    ],
)  # fmt: skip
def test_conditions_that_can_not_hold_together(when: Written, sentence: str, place: tuple[str | int, ...]) -> None:
    assert told(when) == [(sentence, place)]


def test_what_unless_takes_back_altogether() -> None:
    sentence = 'wherever the other lines are so, all that stands under "unless" is so, too'
    assert told({"event": "StageChanged", "department": "Sales"}, {"department": "sales"}) == [(sentence, ("unless",))]
    assert told({"any": [{"department": "A"}, {"department": "B"}]}, {"department": ["A", "B"]}) == [
        (sentence, ("unless",))
    ]
    assert told({"department": "Sales"}, {"department": "Sales", "office": "Berlin"}) == []
    assert told({"department": ["Sales", "Legal"]}, {"department": "Sales"}) == []


def test_an_alternative_that_never_holds_where_others_can() -> None:
    when = {"event": "OfferChanged", "any": [{"to_stage": "Offer"}, {"offer.status": "SENT"}]}
    sentence = 'part: "to_stage" is there on StageChanged only, never on OfferChanged'
    assert told(when) == [(sentence, ("when", "any", 0, "to_stage"))]
    nested = {"any": [{"test": True}, {"event": "OfferChanged", "any": [{"to_stage": "x"}, {"job": "y"}]}]}
    assert told(nested) == [(sentence, ("when", "any", 1, "any", 0, "to_stage"))]


@pytest.mark.parametrize(
    "when",
    [
        {"all": [{"department": "Engineering"}, {"department": "Platform"}]},
        {"department": "Engineering", "all": {"department": {"not": "Sales"}}},
        {"all": [{"recruiter": "Ann"}, {"recruiter": "ann@example.com"}]},
        {"all": [{"actor": "Ann"}, {"actor": "ann@example.com"}]},
        {"all": [{"actor.name": "Ann"}, {"actor.name": "ann@example.com"}]},
        {"all": [{"tag": "a"}, {"tag": "b"}, {"candidate.emails": "x"}, {"candidate.emails": "y"}]},
        {"all": [{"job.custom_fields.team": "a"}, {"job.custom_fields.team": "b"}]},
        {"all": [{"application.answers.answer": 1}, {"application.answers.answer": 2}]},
        {"all": [{"changes.field": "a"}, {"changes.field": "b"}, {"changes.from": 1}, {"changes.from": 2}]},
        {"all": [{"application.answers.question": "a"}, {"application.answers.question": "b"}]},
        {"all": [{"to_stage": "*Onsite*"}, {"to_stage": "Virtual*"}]},
        {"all": [{"to_stage": "*Onsite*"}, {"to_stage": "Virtual Onsite"}]},
        {"event": ["StageChanged", "OfferChanged"], "to_stage": "Offer"},
        {"event": "*Changed", "to_stage": "Offer"},
        {"event": "OfferChanged", "to_stage": {"not": "Offer"}},
        {"event": "OfferChanged", "to_stage": {"present": False}},
        {"event": "OfferChanged", "stage": "Offer", "outcome": "PENDING"},
        {"event": "StageChanged", "outcome": "HIRED", "stage_kind": "OFFER"},
        {"sequence": {"at_least": 5, "at_most": 5}},
        {"sequence": {"above": 3, "below": 5}, "all": {"sequence": {"not": 4}}},
        {"offer.start_date": {"after": "2026-01-31", "before": "2026-03-01"}},
        {"any": [{"to_stage": "Onsite"}, {"to_stage": "Offer"}]},
        {"stage": "Onsite", "to_stage": "Offer", "from_stage": "Screen"},
        {"not": {"department": "A", "office": "B"}, "department": "A"},
    ],
)
def test_conditions_that_can_hold_together(when: Written) -> None:
    assert told(when) == []


def test_a_rule_of_many_conditions_is_told_in_no_time() -> None:
    many = {"all": [{"department": f"D{i}"} for i in range(2000)], "any": [{"office": f"O{i}"} for i in range(2000)]}
    route = compile_route("r", many, ["s"])
    started = time.process_time()
    assert list(clashes(route.tests)) == []
    assert time.process_time() - started < 5
