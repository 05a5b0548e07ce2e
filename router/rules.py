"""Routes: which event goes where. Compiled when they are loaded; matching is pure and touches no text of the file.

Routes run in order. A route that matches sends to its sinks and lets the next ones run, unless it says ``stop``; the
default route gets what no other one matched.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from router.conditions import (
    DATES,
    NUMBERS,
    AllOf,
    AnyOf,
    BadExpression,
    Compares,
    Expression,
    Finding,
    IsOneOf,
    IsThere,
    NoneOf,
    Pattern,
    Place,
    Test,
    View,
    comparable,
    first_failed,
    folded,
    moment_of,
    number_of,
)
from router.fields import Field, Kind, UnknownField, field_at, is_field, text_of
from router.matching import Matcher
from router.schema import Event
from router.synonyms import COMPARISONS, event_meant
from router.wording import did_you_mean, listed, quoted

Choices = Mapping[str, Collection[str]]

DEFAULT = "default"
"""The name under which the default route is shown."""

_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})
_ALIKE = {word: words for words in (_TRUE, _FALSE) for word in words}
"""What a yes or a no may be: some systems send a word, some a boolean."""

_SIGN = re.compile(r"(>=|<=|!=|>|<)\s*(.+)")
_IN_WORDS = {">=": "at_least", "<=": "at_most", ">": "above", "<": "below", "!=": "not"}

_TYPOGRAPHIC = tuple("\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb")  # as word processors make them
_GROUPS = ("any", "all", "not")
_NO_FIELDS = {
    "or": 'write "any" instead of "or"',
    "and": 'all lines must be true anyway; where they are in groups, write "all" instead of "and"',
    "unless": '"unless" stands beside "when", indented as "when" is',
    "present": '"present" stands behind a field, as in job.custom_fields.budget: {present: true}',
}
"""What people write as a field and is none."""

_OPERATORS = ("not", "present", *NUMBERS, *DATES)


@dataclass(frozen=True, slots=True)
class RuleError:
    """One mistake; ``path`` leads to it from the route: ``when`` or ``unless``, the field, the item of a list."""

    path: Place
    sentence: str
    is_field: bool = False


class RuleErrors(Exception):
    """All mistakes of one route's conditions."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__("; ".join(error.sentence for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Asked:
    """One value that a rule compares a field with, and where in the route it stands."""

    path: Place
    field: Field
    value: object


@dataclass(frozen=True, slots=True)
class SendTo:
    """A sink's name, and its settings for this route only, as they are written there."""

    sink: str
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Review:
    """A person has to approve each delivery; after so many seconds without a word it counts as rejected."""

    reject_after: float | None = None

    def stricter(self, other: "Review | None") -> "Review":
        """Where several routes lead to one target: one that wants a review is enough, and the shorter time counts."""
        times = [one.reject_after for one in (self, other) if one is not None and one.reject_after is not None]
        return Review(min(times, default=None))


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """``asked`` is what its conditions name, for who looks whether such a thing exists."""

    name: str
    send_to: tuple[SendTo, ...]
    tests: tuple[Test, ...] = ()
    stop: bool = False
    enabled: bool = True
    review: Review | None = None
    asked: tuple[Asked, ...] = field(default=(), repr=False, compare=False)


class Ruleset:
    """All routes, compiled so that an event need not be held against each of them."""

    def __init__(self, routes: Sequence[CompiledRoute], default: CompiledRoute | None = None) -> None:
        self.routes = tuple(routes)
        self.default = default
        self._used = tuple(route for route in routes if route.enabled)
        self._matcher = Matcher([route.tests for route in self._used])

    def match(self, event: Event) -> list[CompiledRoute]:
        """The routes that send this event somewhere, in their order."""
        matched = []
        for position in self._matcher.matching(View(event)):
            matched.append(route := self._used[position])
            if route.stop:
                break
        return matched or ([self.default] if self.default else [])

    def review_of(self, sink: str) -> Review | None:
        """How what goes to a sink by its name is reviewed: as strictly as by any route."""
        review: Review | None = None
        for route in (*self.routes, *([self.default] if self.default else [])):
            if route.review is not None and any(to.sink == sink for to in route.send_to):
                review = route.review.stricter(review)
        return review

    def explain(self, event: Event) -> Iterator[tuple[CompiledRoute, Finding | str | None]]:
        """Each route with None where it matched, the first condition that failed, or why it did not get its turn."""
        view, stopped, matched = View(event), None, False
        for route in self.routes:
            failed = first_failed(route.tests, view)
            if not route.enabled:
                yield route, "it is switched off"
            elif stopped is not None:
                yield route, f"{stopped} matched before, and stops"
            elif failed is not None:
                yield route, failed
            else:
                matched = True
                stopped = route.name if route.stop else None
                yield route, None
        if self.default is not None:
            yield self.default, "another route matched" if matched else None


def compile_route(
    name: str,
    when: Mapping[str, object],
    send_to: Sequence[str | SendTo],
    allowed: Choices | None = None,
    *,
    unless: Mapping[str, object] | None = None,
    stop: bool = False,
) -> CompiledRoute:
    """Prepare a route. ``allowed`` has the values of fields that only the configuration knows, such as ``source``.

    Raises:
        RuleErrors: a field does not exist, or a value can never be in it.
    """
    compiler = _Compiler(allowed or {})
    tests = compiler.lines(when, ("when",))
    if unless:
        excluded = compiler.lines(unless, ("unless",))
        tests = (*tests, NoneOf(excluded, "unless", place=("unless",)))
    if compiler.errors:
        raise RuleErrors(compiler.errors)
    targets = tuple(SendTo(to) if isinstance(to, str) else to for to in send_to)
    return CompiledRoute(name, targets, tests, stop, asked=tuple(compiler.asked))


class _Compiler:
    """Turns what is written under ``when`` into tests and gathers mistakes on the way."""

    def __init__(self, allowed: Choices) -> None:
        self.errors: list[RuleError] = []
        self.asked: list[Asked] = []
        self._allowed = allowed

    def lines(self, written: Mapping[str, object], path: Place) -> tuple[Test, ...]:
        """One test per line; all have to hold."""
        tests = [self._line(name, value, (*path, name)) for name, value in written.items()]
        return tuple(test for test in tests if test is not None)

    def _line(self, name: str, value: object, path: Place) -> Test | None:
        if name in _GROUPS:
            return self._group(name, value, path)
        if name == "expr":
            return self._expression(value, path)
        try:
            wanted = field_at(name)
        except UnknownField as unknown:
            self.errors.append(RuleError(path, _NO_FIELDS.get(name.lower(), str(unknown)), is_field=True))
            return None
        if isinstance(value, dict):
            return self._operators(name, wanted, value, path)
        return self._one_of(name, wanted, value, path)

    def _group(self, name: str, value: object, path: Place) -> Test | None:
        groups = value if isinstance(value, list) else [value]
        if not groups or not all(isinstance(group, dict) and group for group in groups):
            self._mistake(path, f'"{name}" must have conditions below it, indented, one a line: event: StageChanged')
            return None
        inner = [self.lines(group, (*path, i) if isinstance(value, list) else path) for i, group in enumerate(groups)]
        if name == "any":  # one group: any of its lines; several: any of the groups
            return AnyOf(inner[0] if len(inner) == 1 else tuple(map(AllOf, inner)))
        tests = tuple(test for group in inner for test in group)
        return AllOf(tests) if name == "all" else NoneOf(tests, "not", place=path)

    def _expression(self, value: object, path: Place) -> Test | None:
        if not isinstance(value, str):
            self._mistake(path, '"expr" must be a text in quotes, a JMESPath expression over the event')
            return None
        try:
            return Expression.of(value)
        except BadExpression as error:
            self._mistake(path, f'"expr": {error}')
            return None

    def _operators(self, name: str, wanted: Field, value: Mapping[str, object], path: Place) -> Test | None:
        if not value:
            self._mistake(path, f"{quoted(name)} has no value; write one, or remove the line")
        tests = [self._operator(name, wanted, how, limit, (*path, how)) for how, limit in value.items()]
        kept = tuple(test for test in tests if test is not None)
        return kept[0] if len(kept) == 1 else AllOf(kept)

    def _operator(self, name: str, wanted: Field, how: str, limit: object, path: Place) -> Test | None:
        if how == "not":
            values = limit if isinstance(limit, list) else [limit]
            unwanted = self._one_of(name, wanted, limit, path)
            return NoneOf((unwanted,), name, listed(map(quoted, values)), wanted, path)
        if how == "present":
            if folded(text_of(limit)) not in _ALIKE:
                self._mistake(path, '"present" is true (the event has it) or false (it has not)')
            return IsThere(name, wanted, folded(text_of(limit)) in _TRUE, path)
        if how in NUMBERS or how in DATES:
            return self._comparison(name, wanted, how, limit, path)
        if how in _GROUPS:
            hint = f"; for any of several values write a list: {name}: [a, b]"
        elif how.lower().replace(" ", "_") in COMPARISONS:
            hint = f"; {COMPARISONS[how.lower().replace(' ', '_')].format(name=name)}"
        elif wanted.kind is not Kind.FREE and is_field(f"{name}.{how}"):
            hint = f"; a field of a field is written with a dot: {name}.{how}"
        else:
            hint = did_you_mean(how, _OPERATORS) or f"; known: {listed(_OPERATORS, 'and')}"
        self.errors.append(RuleError(path, f"{quoted(how)} is no comparison{hint}", is_field=True))
        return None

    def _comparison(self, name: str, wanted: Field, how: str, written: object, path: Place) -> Test | None:
        of_dates = how in DATES
        kind = "date" if of_dates else "number"
        if not (wanted.is_moment if of_dates else wanted.is_number):
            self._mistake(path, f"{quoted(name)} is no {kind}, so {quoted(how)} can't be asked of it; write a value")
            return None
        limit: float | datetime | None = moment_of(written) if of_dates else number_of(written)
        if limit is None:
            example = "a date like 2026-01-31, or a time like 2026-01-31T09:00:00Z" if of_dates else "a number like 5"
            self._mistake(path, f"{quoted(how)} must be {example}")
            return None
        return Compares(name, wanted, how, limit, written, path)

    def _one_of(self, name: str, wanted: Field, written: object, path: Place) -> IsOneOf:
        values = written if isinstance(written, list | tuple) else [written]
        if not values:
            self._mistake(path, f"{quoted(path[-1])} is an empty list; write values into it, or remove the line")
        exact: set[str] = set()
        patterns = []
        for i, value in enumerate(values):
            place = path if values is not written else (*path, i)
            if problem := _problem(name, wanted, value, self._allowed.get(wanted.path, wanted.choices)):
                self._mistake(place, problem)
                continue
            self.asked.append(Asked(place, wanted, value))
            text = folded(text_of(value))
            if "*" in text:
                patterns.append(Pattern.of(text))
            else:
                exact |= _ALIKE.get(text, {text}) if wanted.kind in (Kind.BOOL, Kind.FREE) else {text}
        return IsOneOf(name, wanted, tuple(values), frozenset(exact), tuple(patterns), path)

    def _mistake(self, path: Place, sentence: str) -> None:
        self.errors.append(RuleError(path, sentence))


def _problem(name: str, wanted: Field, value: object, choices: Collection[str]) -> str | None:
    """Why this value can never be in the field."""
    if value is None or isinstance(value, dict | list | tuple):
        return f"{quoted(name)} must be a value, or a list of values in brackets: [a, b]"
    text = folded(text_of(value))
    if len(text) > 1 and text[0] in _TYPOGRAPHIC and text[-1] in _TYPOGRAPHIC:
        straight = f'"{str(value).strip()[1:-1]}"'
        return f"these quotation marks belong to the value, as a word processor made them: write {straight}"
    comparable_to = number_of if wanted.is_number else moment_of if wanted.is_moment else None
    if comparable_to and (sign := _SIGN.fullmatch(text)) and comparable_to(sign[2]) is not None:
        return f"{quoted(value)} is compared in words: {name}: {{{_IN_WORDS[sign[1]]}: {sign[2]}}}"
    if choices and not _can_be(text, comparable(choices)):
        return f"{quoted(name)} is never {quoted(value)}{_instead(name, wanted, str(value), choices)}"
    if wanted.kind is Kind.TEXT and isinstance(value, bool | float):
        return f'{quoted(name)} is a text; put the value in quotes: "{quoted(value)}"'
    if wanted.kind is Kind.BOOL and text not in _ALIKE:
        return f"{quoted(name)} is true or false, never {quoted(value)}"
    if wanted.kind is Kind.NUMBER and not text.lstrip("-").isdecimal():
        return f"{quoted(name)} is a whole number, never {quoted(value)}"
    return None


def _instead(name: str, wanted: Field, written: str, choices: Collection[str]) -> str:
    """What to write where this is none of the choices."""
    parts = [part.strip() for part in re.split(r"[,;|]|\bor\b", written) if part.strip()]
    if len(parts) > 1 and all(_can_be(folded(part), comparable(choices)) for part in parts):
        return f"; any of several values is a list: {name}: [{', '.join(parts)}]"
    if wanted.path == "type" and "*" not in written and (meant := event_meant(written)):
        return f"; {meant}"
    hint = did_you_mean(written, choices) or "."
    if hint == "." and wanted.path.endswith("stage.kind"):
        hint = f"; a stage by its name is {name.removesuffix('_kind').removesuffix('.kind')}: {written}."
    return f"{hint} It can be {listed(choices)}"


def _can_be(text: str, choices: Collection[str]) -> bool:
    return text in choices or ("*" in text and any(map(Pattern.of(text).fits, choices)))
