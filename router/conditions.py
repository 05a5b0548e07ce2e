"""What a rule asks of an event, compiled: `holds` is fast, `finding` tells people what became of it.

Values compare as text without case and surrounding blanks: ``true`` is "true", 5 is "5", a Stage is its name, a Person
its name or e-mail address. A list in the event fits if any of its elements does. In a pattern, ``*`` is any run of
characters.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Protocol, Self

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import JsonValue

from router.fields import Field
from router.schema import Event
from router.wording import listed, quoted

Place = tuple[str | int, ...]
"""Where a condition stands in its route: keys and list positions."""


@dataclass
class View:
    """An event while it is matched: each field is read once, however many rules ask for it."""

    event: Event
    _known: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)

    def texts(self, wanted: Field) -> frozenset[str]:
        """The field's values, comparable."""
        texts = self._known.get(wanted.path)
        if texts is None:
            texts = self._known[wanted.path] = comparable(wanted.texts(self.event))
        return texts

    @cached_property
    def as_json(self) -> JsonValue:
        return self.event.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a condition holds: what the rule wants and what the event has there.

    Of a group, ``field`` is its word in the rule, and ``parts`` are the conditions in it.
    """

    field: str
    holds: bool
    wanted: str = ""
    found: tuple[str, ...] = ()
    parts: "tuple[Finding, ...]" = ()

    @property
    def heading(self) -> str:
        """What is so of the parts of a group, without the parts."""
        if self.field == "any":
            return "one of these is so" if self.holds else "none of these is so"
        if self.field == "all":
            return "all of these are so" if self.holds else "not all of these are so"
        return f"{'not all' if self.holds else 'all'} of what stands under {self.field} is so"

    def __str__(self) -> str:
        if self.parts:
            return f"{self.heading}: {'; '.join(f'({part})' if part.parts else str(part) for part in self.parts)}"
        found = listed(map(quoted, self.found), "and") if self.found else "not in this event"
        if self.holds:
            same = self.wanted in ("", _PRESENT) or self.wanted.strip('"') in self.found
            return f"{self.field} is {found}" + ("" if same else f" (wanted: {self.wanted})")
        if self.wanted == _PRESENT:
            return f"{self.field} is {found}"
        joined = ", and must be" if self.wanted.startswith(_OTHER) else ", not" if self.found else ", so not"
        return f"{self.field} is {found}{joined} {self.wanted}"


_PRESENT, _OTHER = "present", "anything but "


class Test(Protocol):
    """One thing that a rule asks."""

    def holds(self, view: View) -> bool: ...

    def finding(self, view: View) -> Finding: ...


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text in which ``*`` is any run of characters. Nothing else is special."""

    first: str
    middle: tuple[str, ...]
    last: str

    @classmethod
    def of(cls, text: str) -> Self:
        first, *middle, last = text.split("*")
        return cls(first, tuple(middle), last)

    @property
    def text(self) -> str:
        return "*".join((self.first, *self.middle, self.last))

    def fits(self, text: str) -> bool:
        at, end = len(self.first), len(text) - len(self.last)
        if at > end or not (text.startswith(self.first) and text.endswith(self.last)):
            return False
        for part in self.middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


@dataclass(frozen=True, slots=True)
class IsOneOf:
    """Holds if any of the texts in the event's field is in ``exact`` or fits a pattern.

    ``name`` and ``wanted`` are the field and its values as the rule has them.
    """

    name: str
    field: Field
    wanted: tuple[object, ...]
    exact: frozenset[str]
    patterns: tuple[Pattern, ...]
    place: Place = dataclasses.field(default=(), compare=False, repr=False)

    def holds(self, view: View) -> bool:
        return self.takes(view.texts(self.field))

    def takes(self, texts: frozenset[str]) -> bool:
        """Whether one of the values is wanted."""
        if not self.exact.isdisjoint(texts):
            return True
        for pattern in self.patterns:
            for text in texts:
                if pattern.fits(text):
                    return True
        return False

    @property
    def wish(self) -> str:
        return listed(map(quoted, self.wanted))

    def finding(self, view: View) -> Finding:
        return Finding(self.name, self.holds(view), self.wish, self.field.texts(view.event))


@dataclass(frozen=True, slots=True)
class IsThere:
    """Holds if the field has a value; with ``wanted`` false, if it has none."""

    name: str
    field: Field
    wanted: bool
    place: Place = dataclasses.field(default=(), compare=False, repr=False)

    def holds(self, view: View) -> bool:
        return self.takes(view.texts(self.field)) is self.wanted

    def takes(self, texts: frozenset[str]) -> bool:
        """Whether there are any."""
        return bool(texts)

    @property
    def wish(self) -> str:
        return _PRESENT if self.wanted else "absent"

    def finding(self, view: View) -> Finding:
        return Finding(self.name, self.holds(view), self.wish, self.field.texts(view.event))


NUMBERS = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}
DATES = {"after": "after", "before": "before"}


@dataclass(frozen=True, slots=True)
class Compares:
    """Holds if a value of the field stands so to ``limit``: a number, or a moment. What is neither never does."""

    name: str
    field: Field
    how: str
    limit: float | datetime
    written: object
    place: Place = dataclasses.field(default=(), compare=False, repr=False)

    def holds(self, view: View) -> bool:
        return self.takes(view.texts(self.field))

    def takes(self, texts: frozenset[str]) -> bool:
        """Whether one of the values stands so to the limit."""
        return any(map(self._fits, texts))

    @property
    def wish(self) -> str:
        return f"{(NUMBERS | DATES)[self.how]} {_shown(self.written)}"

    def finding(self, view: View) -> Finding:
        return Finding(self.name, self.holds(view), self.wish, self.field.texts(view.event))

    def _fits(self, text: str) -> bool:
        value = moment_of(text) if isinstance(self.limit, datetime) else number_of(text)
        if value is None:
            return False
        difference = (value > self.limit) - (value < self.limit)  # type: ignore[operator]
        return {
            "above": difference > 0,
            "after": difference > 0,
            "at_least": difference >= 0,
            "below": difference < 0,
            "before": difference < 0,
            "at_most": difference <= 0,
        }[self.how]


OfField = IsOneOf | IsThere | Compares
"""What asks one field; it `takes` its values or not."""


@dataclass(frozen=True, slots=True)
class AllOf:
    tests: tuple[Test, ...]

    def holds(self, view: View) -> bool:
        return all(test.holds(view) for test in self.tests)

    def finding(self, view: View) -> Finding:
        if len(self.tests) == 1:
            return self.tests[0].finding(view)
        return Finding("all", self.holds(view), parts=_findings(self.tests, view))


@dataclass(frozen=True, slots=True)
class AnyOf:
    tests: tuple[Test, ...]

    def holds(self, view: View) -> bool:
        return any(test.holds(view) for test in self.tests)

    def finding(self, view: View) -> Finding:
        return Finding("any", self.holds(view), parts=_findings(self.tests, view))


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Holds if not all of the tests do. ``written`` is what a field must not be; empty for a group of conditions."""

    tests: tuple[Test, ...]
    name: str
    written: str = ""
    field: Field | None = None
    place: Place = dataclasses.field(default=(), compare=False, repr=False)

    def holds(self, view: View) -> bool:
        return not all(test.holds(view) for test in self.tests)

    @property
    def wish(self) -> str:
        return f"{_OTHER}{self.written}"

    def finding(self, view: View) -> Finding:
        if self.field is None:
            return Finding(self.name, self.holds(view), parts=_findings(self.tests, view))
        return Finding(self.name, self.holds(view), self.wish, self.field.texts(view.event))


def _findings(tests: Iterable[Test], view: View) -> tuple[Finding, ...]:
    return tuple(test.finding(view) for test in tests)


def first_failed(tests: Iterable[Test], view: View) -> Finding | None:
    """Of conditions that all must hold, also of groups of them, the first one that does not."""
    failed = next((test for test in tests if not test.holds(view)), None)
    if isinstance(failed, AllOf):
        return first_failed(failed.tests, view)
    return failed.finding(view) if failed is not None else None


class BadExpression(Exception):
    """The text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A JMESPath expression over the event as JSON; holds if it gives anything but null, false, "", [] or {}.

    JMESPath has no loops, no calls out and no names but the event's: it can't do harm, and its cost is bounded by the
    size of the event and of the expression (https://jmespath.org/specification.html).
    """

    text: str
    compiled: jmespath.parser.ParsedResult

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises:
        BadExpression: this is no JMESPath, or too long.
        """
        if len(text) > _LONGEST_EXPRESSION:
            raise BadExpression(f"an expression has at most {_LONGEST_EXPRESSION} characters; write conditions instead")
        try:
            compiled = jmespath.compile(text)
            unknown = _functions(compiled.parsed) - Functions.FUNCTION_TABLE.keys()
            if unknown:
                raise BadExpression(f"JMESPath has no function {sorted(unknown)[0]}; see https://jmespath.org")
            return cls(text, compiled)
        except JMESPathError as error:
            at = getattr(error, "lex_position", None)
            where = f" near character {at + 1}" if isinstance(at, int) else ""
            raise BadExpression(f"this is no JMESPath expression{where}; see https://jmespath.org") from None

    def holds(self, view: View) -> bool:
        try:
            return self.compiled.search(view.as_json) not in (None, False, "", [], {})
        except JMESPathError:  # a function was given a value of another type than it takes
            return False

    def finding(self, view: View) -> Finding:
        try:
            found = quoted(self.compiled.search(view.as_json))
        except JMESPathError:
            found = "an error"
        return Finding("expr", self.holds(view), f"{quoted(self.text)} being true", (found,))


_LONGEST_EXPRESSION = 1000


def _functions(tree: Any) -> set[str]:
    """The names of the functions that an expression calls: they are looked up only when it is used."""
    called = {tree["value"]} if tree["type"] == "function_expression" else set()
    return called.union(*(_functions(child) for child in tree["children"] if isinstance(child, dict)))


def comparable(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(map(folded, texts))


def folded(text: str) -> str:
    return text.casefold().strip()


def number_of(value: object) -> float | None:
    """A number, or a text that is one; no other text, and no boolean."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number else None


def moment_of(value: object) -> datetime | None:
    """A date or a time, or a text that is one, in ISO 8601; without a zone it is UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.upper())  # compared texts are in small letters
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _shown(value: object) -> str:
    return str(value) if isinstance(value, (date, datetime)) else quoted(value)
