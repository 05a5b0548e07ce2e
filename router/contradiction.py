"""Conditions of one route that can't hold together, so that it never matches.

As in `router.implication` only what is certain is said, with one exception: a field of one's own is taken to hold one
number or one date. Each condition is compared with each other one, and with every alternative by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.conditions import AnyOf, Compares, IsOneOf, IsThere, NoneOf, OfField, Test, folded
from router.fields import Kind
from router.implication import DOWN, STRICT, UP, all_imply, taken_apart
from router.schema import EventType
from router.wording import listed, quoted

_ONLY_ON = {
    ("from_stage",): EventType.STAGE_CHANGED,
    ("to_stage",): EventType.STAGE_CHANGED,
    ("application", "previous_outcome"): EventType.OUTCOME_CHANGED,
}
"""What the router takes out of events of every other type."""

_MOST = 100
"""Conditions that are compared with each other; of what is beyond nothing is said."""

_REMOVE = "change or remove one of the two"


@dataclass(frozen=True, slots=True)
class Clash:
    """``test`` can't hold where the other conditions do; ``sentence`` says why and what to do. ``is_part``: it is one
    of several alternatives, so that the route can match all the same."""

    test: OfField | NoneOf
    sentence: str
    is_part: bool = False


def clashes(tests: Sequence[Test]) -> Iterator[Clash]:
    """Why a route with these conditions never matches; else the alternatives in it that never hold."""
    if whole := _never(tests):
        yield whole
    else:
        yield from _dead_parts(tests, ())


def _never(tests: Sequence[Test], given: Sequence[Test] = ()) -> Clash | None:
    """Why these can't all hold where the ones that are given do, of which it is known that they can."""
    flat = [*given, *taken_apart(tests)][:_MOST]
    simple = [test for test in flat if isinstance(test, OfField | NoneOf)]
    for i, test in enumerate(simple):
        for other in simple[:i] if i >= len(given) else ():
            if sentence := _clash(other, test) or _clash(test, other):
                return Clash(test, sentence)
        if isinstance(test, NoneOf) and all_imply([part for part in flat if part is not test], test.tests):
            return Clash(test, _taken_back(test))
    for group in flat:
        if isinstance(group, AnyOf):
            found = [_never([part], simple) for part in group.tests]
            if found and all(found):
                return found[0]
    return None


def _dead_parts(tests: Sequence[Test], given: Sequence[Test]) -> Iterator[Clash]:
    flat = [*given, *taken_apart(tests)][:_MOST]
    simple = [test for test in flat if isinstance(test, OfField | NoneOf)]
    for group in flat:
        for part in group.tests if isinstance(group, AnyOf) else ():
            if clash := _never([part], simple):
                yield Clash(clash.test, clash.sentence, is_part=True)
            else:
                yield from _dead_parts([part], simple)


def _taken_back(test: NoneOf) -> str:
    if test.field is not None:
        return f"{quoted(test.name)} can't be {test.written} and anything but that at once; {_REMOVE}"
    return (
        f"wherever the other lines are so, all that stands under {quoted(test.name)} is so, too; change one of the two"
    )


def _clash(one: Test, other: Test) -> str | None:
    if not (isinstance(one, OfField) and isinstance(other, OfField)):
        return None
    other_is_absent = isinstance(other, IsThere) and not other.wanted
    is_of_types = isinstance(one, IsOneOf) and one.field.path == "type" and not other_is_absent
    if is_of_types and (sentence := _of_another_type(one, other)):
        return sentence
    if one.field.steps != other.field.steps:
        return None
    match one, other:
        case _, _ if other_is_absent and not (isinstance(one, IsThere) and not one.wanted):
            return f"{quoted(other.name)} can't be absent and {one.wish} at once; {_REMOVE}"
        case IsOneOf(patterns=()), IsOneOf() | Compares() if not one.field.has_several:
            return None if any(other.takes(frozenset({text})) for text in one.exact) else _both(one, other)
        case Compares(), Compares() if one.field.kind is Kind.FREE or not one.field.has_several:
            return _both(one, other) if _is_empty(one, other) else None
    return None


def _both(one: IsOneOf | Compares, other: IsOneOf | Compares) -> str:
    sentence = f"{quoted(other.name)} can't be {one.wish} and {other.wish} at once"
    if isinstance(one, IsOneOf) and isinstance(other, IsOneOf):
        values = ", ".join(str(value) for value in (*one.wanted, *other.wanted))
        return f"{sentence}; where either is enough, write a list: {other.name}: [{values}]"
    return f"{sentence}; {_REMOVE}"


def _is_empty(one: Compares, other: Compares) -> bool:
    """Whether no number or moment is beyond the first limit and below the second one."""
    if (
        one.how not in UP
        or other.how not in DOWN
        or isinstance(one.limit, datetime) is not isinstance(other.limit, datetime)
    ):
        return False
    if one.limit == other.limit:
        return one.how in STRICT or other.how in STRICT
    return one.limit > other.limit  # type: ignore[operator]


def _of_another_type(types: OfField, test: OfField) -> str | None:
    only = next((only for steps, only in _ONLY_ON.items() if test.field.steps[: len(steps)] == steps), None)
    if only is None or types.takes(frozenset({folded(only)})):
        return None
    told = listed(str(one) for one in EventType if types.takes(frozenset({folded(one)})))
    return f"{quoted(test.name)} is there on {only} only, never on {told}; {_REMOVE}"
