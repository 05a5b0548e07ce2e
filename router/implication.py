"""Whether one condition can only hold where another does: for telling that a rule never gets its turn, or never fits.

Only what is certain: False stands for "not known". So what is said of a rule is true, and much is left unsaid.
"""

from collections.abc import Sequence
from datetime import datetime

from router.conditions import AllOf, AnyOf, Compares, Expression, IsOneOf, IsThere, NoneOf, Test

UP, DOWN = ("above", "at_least", "after"), ("below", "at_most", "before")
STRICT = ("above", "after", "below", "before")


def all_imply(narrow: Sequence[Test], wide: Sequence[Test]) -> bool:
    """Whether all of ``wide`` hold wherever all of ``narrow`` do."""
    return all(_any_implies(taken_apart(narrow), other) for other in taken_apart(wide))


def taken_apart(tests: Sequence[Test]) -> list[Test]:
    """Groups of which all must hold, as one list."""
    return [part for test in tests for part in (taken_apart(test.tests) if isinstance(test, AllOf) else [test])]


def _any_implies(narrow: Sequence[Test], wide: Test) -> bool:
    if isinstance(wide, AnyOf) and any(all_imply(narrow, [part]) for part in wide.tests):
        return True
    return any(_implies(one, wide) for one in narrow)


def _implies(narrow: Test, wide: Test) -> bool:
    if isinstance(narrow, AnyOf):
        return all(all_imply([part], [wide]) for part in narrow.tests)
    match wide:
        case NoneOf():
            return isinstance(narrow, NoneOf) and all_imply(wide.tests, narrow.tests)
        case IsThere(wanted=True) if isinstance(narrow, (IsOneOf, Compares)):
            return narrow.field.steps == wide.field.steps
        case IsThere():
            return isinstance(narrow, IsThere) and (narrow.field.steps, narrow.wanted) == (
                wide.field.steps,
                wide.wanted,
            )
        case IsOneOf():
            return isinstance(narrow, IsOneOf) and narrow.field.steps == wide.field.steps and _within(narrow, wide)
        case Compares():
            return isinstance(narrow, Compares) and narrow.field.steps == wide.field.steps and _stricter(narrow, wide)
        case Expression():
            return isinstance(narrow, Expression) and narrow.text == wide.text
    return False


def _within(narrow: IsOneOf, wide: IsOneOf) -> bool:
    """A pattern that fits the text of another one, its ``*`` included, fits all that the other one does."""
    texts = (*narrow.exact, *(pattern.text for pattern in narrow.patterns))
    return all(wide.takes(frozenset({text})) for text in texts)


def _stricter(narrow: Compares, wide: Compares) -> bool:
    if isinstance(narrow.limit, datetime) is not isinstance(wide.limit, datetime):
        return False
    for way in (UP, DOWN):
        if narrow.how in way and wide.how in way:
            difference = (narrow.limit > wide.limit) - (narrow.limit < wide.limit)  # type: ignore[operator]
            further = difference > 0 if way is UP else difference < 0
            return further or (difference == 0 and (narrow.how in STRICT or wide.how not in STRICT))
    return False
