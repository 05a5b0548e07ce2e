"""A rule that is said never to get its turn never would."""

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from router.conditions import View
from router.implication import all_imply
from router.rules import compile_route
from router.schema import Event
from tests.router import strategies

Written = dict[str, Any]


def implied(narrow: Written, wide: Written) -> bool:
    return all_imply(compile_route("n", narrow, ["s"]).tests, compile_route("w", wide, ["s"]).tests)


NARROW_AND_WIDE = st.one_of(
    st.tuples(strategies.plain, strategies.plain),
    st.tuples(strategies.conditions, strategies.conditions).map(lambda pair: ({"all": list(pair)}, pair[0])),
    st.tuples(strategies.conditions, strategies.plain).map(lambda pair: ({"any": list(pair)}, pair[0])),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(pair=NARROW_AND_WIDE, events=st.lists(strategies.events(), min_size=1, max_size=8))
def test_where_the_narrow_one_holds_the_wide_one_does(pair: tuple[Written, Written], events: list[Event]) -> None:
    narrow, wide = (compile_route("r", when, ["s"]).tests for when in pair)
    assume(all_imply(narrow, wide))
    for event in events:
        if all(test.holds(View(event)) for test in narrow):
            assert all(test.holds(View(event)) for test in wide)


@given(conditions=strategies.conditions, more=strategies.conditions)
def test_a_rule_is_as_narrow_as_itself_and_narrower_with_more(conditions: Written, more: Written) -> None:
    assert implied(conditions, conditions)
    assert implied({"all": [conditions, more]}, conditions)
    assert implied(conditions, {"any": [conditions, more]})
    assert implied({"not": conditions}, {"not": {"all": [conditions, more]}})


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ({"department": "engineering"}, {"job.departments": ["Sales", "Engineering "]}, True),
        ({"department": ["Engineering", "Sales"]}, {"department": "Engineering"}, False),
        ({"to_stage": "Virtual Onsite"}, {"to_stage.name": "*Onsite*"}, True),
        ({"to_stage": "*Virtual Onsite*"}, {"to_stage": "*onsite*"}, True),
        ({"to_stage": "*onsite*"}, {"to_stage": "*Virtual Onsite*"}, False),
        ({"to_stage": "a*b"}, {"to_stage": "a*c*b"}, False),
        ({"to_stage": "Onsite"}, {"to_stage": {"present": True}}, True),
        ({"from_stage": "Onsite"}, {"to_stage": {"present": True}}, False),
        ({"to_stage": {"present": False}}, {"to_stage": {"present": False}}, True),
        ({"to_stage": {"present": True}}, {"to_stage": {"present": False}}, False),
        ({"sequence": {"above": 5}}, {"sequence": {"at_least": 5}}, True),
        ({"sequence": {"at_least": 5}}, {"sequence": {"above": 5}}, False),
        ({"sequence": {"at_least": 6}}, {"sequence": {"above": 5}}, True),
        ({"sequence": {"below": 5}}, {"sequence": {"at_most": 7}}, True),
        ({"sequence": {"below": 5}}, {"sequence": {"above": 1}}, False),
        ({"received_at": {"after": "2026-02-01"}}, {"received_at": {"after": "2026-01-01"}}, True),
        ({"department": {"not": ["A", "B"]}}, {"department": {"not": "A"}}, True),
        ({"department": {"not": "A"}}, {"department": {"not": ["A", "B"]}}, False),
        ({"department": "A"}, {"any": [{"office": "X"}, {"department": "a"}]}, True),
        ({"any": [{"department": "A"}, {"department": "B"}]}, {"department": ["A", "B"]}, True),
        ({"any": [{"department": "A"}, {"office": "B"}]}, {"department": ["A", "B"]}, False),
        ({"expr": "job"}, {"expr": "job"}, True),
        ({"expr": "job"}, {"expr": "job.title"}, False),
        ({"department": "A"}, {}, True),
        ({}, {"department": "A"}, False),
    ],
)
def test_what_is_narrower_than_what(narrow: Written, wide: Written, expected: bool) -> None:
    assert implied(narrow, wide) is expected
