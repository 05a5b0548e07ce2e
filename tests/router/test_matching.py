"""Many routes are matched as each of them would be by itself."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from router.conditions import View
from router.matching import Matcher
from router.rules import CompiledRoute, Ruleset, compile_route
from router.schema import Event
from tests.router import strategies
from tests.router.test_rules import event

Written = dict[str, Any]


def compiled(rules: Sequence[tuple[Written, Written, bool]]) -> list[CompiledRoute]:
    return [
        compile_route(f"r{i}", when, ["s"], unless=unless, stop=stop) for i, (when, unless, stop) in enumerate(rules)
    ]


written = st.tuples(strategies.conditions, st.one_of(st.just({}), strategies.conditions), st.booleans())


@settings(max_examples=150, deadline=None)
@given(rules=st.lists(written, max_size=6), events=st.lists(strategies.events(), min_size=1, max_size=3))
def test_a_route_matches_among_others_as_it_does_alone(
    rules: list[tuple[Written, Written, bool]], events: list[Event]
) -> None:
    routes = compiled(rules)
    ruleset = Ruleset(routes)
    for what in events:
        expected = []
        for route in routes:
            if all(test.holds(View(what)) for test in route.tests):
                expected.append(route)
                if route.stop:
                    break
        assert ruleset.match(what) == expected
        told = [route for route, reason in ruleset.explain(what) if reason is None]
        assert told == expected


def test_a_route_with_many_groups_is_asked_group_by_group() -> None:
    """Its ways would be too many: 3 to the power of 5."""
    groups = [{"any": [{"tag": "vip"}, {"job": "Chef"}, {"sequence": number}]} for number in range(5)]
    [route] = compiled([({"all": groups}, {}, False)])
    assert Matcher([route.tests])._rest != [()]
    assert Ruleset([route]).match(event()) == [route]


def test_texts_that_never_come_again_are_forgotten() -> None:
    [route] = compiled([({"job": "Engineer*"}, {}, False)])
    rules = Ruleset([route])
    assert route.tests
    job = event().job
    assert job is not None
    for number in range(5000):
        what = event(job=job.model_copy(update={"title": f"Engineer {number}"}))
        assert rules.match(what) == [route]
    [column] = rules._matcher._columns
    assert len(column._known) <= 4096
