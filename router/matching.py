"""Which of many routes an event matches, without asking each: compiled when they are loaded.

A route has one way or several in which all of its conditions hold, and each way is a bit of a number. A column has all
that ways ask of one field: a text in that field lets some pass and refuses others, which is worked out once per text,
and remembered. What is left after all columns is asked for the few conditions that no column has, such as expressions.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from router.conditions import AllOf, AnyOf, Compares, IsOneOf, IsThere, NoneOf, OfField, Pattern, Test, View
from router.fields import Field

_REMEMBERED = 4096
"""Texts of one field; stages, jobs and departments are few, e-mail addresses are not."""

_MOST_WAYS = 16
"""Of one route; beyond, its groups are asked one by one."""


class _Asked:
    """Tests of one field, each with the ways that it is part of. The same value or pattern is looked at once."""

    def __init__(self) -> None:
        self._exact: defaultdict[str, int] = defaultdict(int)
        self._parts: defaultdict[str, int] = defaultdict(int)  # patterns that are *part*, as most are
        self._patterns: defaultdict[Pattern, int] = defaultdict(int)
        self._others: list[tuple[int, OfField]] = []

    def add(self, way: int, test: OfField) -> None:
        if not isinstance(test, IsOneOf):
            self._others.append((way, test))
            return
        for text in test.exact:
            self._exact[text] |= way
        for pattern in test.patterns:
            if len(pattern.middle) == 1 and not (pattern.first or pattern.last):
                self._parts[pattern.middle[0]] |= way
            else:
                self._patterns[pattern] |= way

    def takers(self, text: str) -> int:
        """The ways with a test that takes this text."""
        ways = self._exact.get(text, 0)
        for part, of_part in self._parts.items():
            if part in text:
                ways |= of_part
        for pattern, of_pattern in self._patterns.items():
            if pattern.fits(text):
                ways |= of_pattern
        for way, test in self._others:
            if test.takes(frozenset((text,))):
                ways |= way
        return ways


class Column:
    """What all ways ask of one field."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.asking = 0
        self._wanting = 0
        self._wanted, self._unwanted = _Asked(), _Asked()
        self._known: dict[str, tuple[int, int]] = {}

    def add(self, way: int, test: OfField, *, wanted: bool) -> None:
        self.asking |= way
        self._wanting |= way if wanted else 0
        (self._wanted if wanted else self._unwanted).add(way, test)

    def refused(self, texts: frozenset[str]) -> int:
        """The ways that are none for an event with these texts."""
        passed = refused = 0
        for text in texts:
            known = self._known.get(text)
            if known is None:
                known = self._look_up(text)
            passed |= known[0]
            refused |= known[1]
        return refused | (self._wanting & ~passed)

    def _look_up(self, text: str) -> tuple[int, int]:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        known = self._known[text] = self._wanted.takers(text), self._unwanted.takers(text)
        return known


class Matcher:
    """The tests of many routes, by their positions."""

    def __init__(self, routes: Sequence[Sequence[Test]]) -> None:
        ways = [(position, way) for position, tests in enumerate(routes) for way in _ways(tests)]
        columns: dict[tuple[str, ...], Column] = {}
        self._all = (1 << len(ways)) - 1
        self._routes = [position for position, _ in ways]
        self._rest = [self._left_over(1 << number, way, columns) for number, (_, way) in enumerate(ways)]
        self._columns = sorted(columns.values(), key=lambda column: column.field.path != "type")

    def _left_over(self, way: int, tests: Sequence[Test], columns: dict[tuple[str, ...], Column]) -> tuple[Test, ...]:
        """The tests of a way that are in no column."""
        rest, asked = [], set[tuple[str, ...]]()
        for test in tests:
            simple = _of_field(test)
            if simple is None or simple[0].field.steps in asked:  # a column asks each way once
                rest.append(test)
                continue
            of_field, wanted = simple
            asked.add(of_field.field.steps)
            column = columns.setdefault(of_field.field.steps, Column(of_field.field))
            column.add(way, of_field, wanted=wanted)
        return tuple(rest)

    def matching(self, view: View) -> Iterator[int]:
        """The positions of the routes that match, in their order."""
        left = self._all
        for column in self._columns:
            if left & column.asking:
                left &= ~column.refused(view.texts(column.field))
        found = -1
        while left:
            lowest = left & -left
            left ^= lowest
            number = lowest.bit_length() - 1
            if self._routes[number] != found and all(test.holds(view) for test in self._rest[number]):
                found = self._routes[number]
                yield found


def _ways(tests: Sequence[Test]) -> list[tuple[Test, ...]]:
    """Lists of tests, such that all tests hold if all of at least one list do."""
    ways: list[tuple[Test, ...]] = [()]
    for test in tests:
        options = _options(test)
        if len(ways) * len(options) > _MOST_WAYS:
            options = [(test,)]
        ways = [(*way, *option) for way in ways for option in options]
    return ways


def _options(test: Test) -> list[tuple[Test, ...]]:
    match test:
        case AllOf():
            return _ways(test.tests)
        case AnyOf():
            return [way for part in test.tests for way in _ways([part])]
        case NoneOf() if len(test.tests) > 1:
            return [(NoneOf((part,), test.name),) for part in test.tests]
    return [(test,)]


def _of_field(test: Test) -> tuple[OfField, bool] | None:
    """A test of single texts of one field, and whether one of them must pass or none may."""
    if isinstance(test, IsThere):
        return test, test.wanted
    if isinstance(test, IsOneOf | Compares):
        return test, True
    if isinstance(test, NoneOf) and len(test.tests) == 1:
        inner = _of_field(test.tests[0])
        return (inner[0], not inner[1]) if inner else None
    return None
