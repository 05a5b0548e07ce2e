"""What rules without a name are called."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from router.naming import names_of
from tests.router import strategies


def named(route: str) -> str:
    [name] = names_of([yaml.safe_load(route)])
    return name


@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("{send_to: a}", "everything to a"),
        ("{send_to: [a, b: {channel: x}]}", "everything to a, b"),
        ("{name: hires, when: {outcome: HIRED}, send_to: a}", "hires"),
        ('{when: {event: StageChanged, to_stage: "*Onsite*", department: [A, B]}, send_to: a}',
         "StageChanged, A, B, *Onsite* to a"),
        ('{when: {any: [{job.custom_fields.confidential: true}, {job: "*secret*"}]}, stop: true}',
         "confidential true, *secret* to nowhere"),
        ("{when: {department: {not: Sales}, job.custom_fields.level: {at_least: 5}}, send_to: a}",
         "not Sales, level at least 5 to a"),
        ("{when: {offer.start_date: {after: '2026-01-01'}}, unless: {office: Berlin, job: X}, send_to: a}",
         "start_date after 2026-01-01, unless X, Berlin to a"),
        ("{when: {not: {department: Sales, job: X}}, send_to: a}", "not department Sales, not job X to a"),
        ("{when: {job.custom_fields.budget: {present: true}}, send_to: a}", "budget present true to a"),
        ('{when: {department: [1, " two\\n lines"]}, send_to: a}', "department 1, two lines to a"),
        ("x", ""),
        ("{send_to: null, when: null}", "everything to nowhere"),
    ],
)  # fmt: skip
def test_by_what_it_says(route: str, name: str) -> None:
    assert named(route) == name


def test_a_long_one_is_cut() -> None:
    name = named(f"{{when: {{department: [{', '.join('Engineering' for _ in range(30))}]}}, send_to: [{'b' * 60}]}}")
    assert len(name) <= 80
    assert name.count("…") == 2


@given(st.lists(strategies.plain, max_size=5), strategies.plain, st.data())
def test_no_two_are_called_alike_and_none_is_renamed_by_one_above(
    conditions: list[dict[str, Any]], new: dict[str, Any], data: st.DataObject
) -> None:
    routes = [{"when": when, "send_to": "a"} for when in conditions]
    names = names_of(routes)
    assert len(set(names)) == len(names)
    at = data.draw(st.integers(0, len(routes)))
    more = names_of([*routes[:at], {"when": new, "send_to": "another"}, *routes[at:]])
    assert [*more[:at], *more[at + 1 :]] == names


def test_a_name_that_somebody_gave_stays_that_ones() -> None:
    assert names_of([{"send_to": "a"}, {"name": "everything to a", "send_to": "b"}]) == [
        "everything to a (2)",
        "everything to a",
    ]
