"""What a rule asks of an event, compiled: `holds` is fast, `why_not` tells the one condition that failed.

Values compare as text without case and surrounding blanks: ``true`` is "true", 5 is "5", a Stage is its name, a Person
its name or e-mail address. A list in the event fits if any of its elements does. In a pattern, ``*`` is any run of
characters.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
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


@dataclass
class View:
    """An event while it is matched: each field is read once, however many rules ask for it."""

    event: Event
    _known: dict[str, frozenset[str]] = field(default_factory=dict)

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
class Mismatch:
    """The condition that does not hold: what the rule wants and what the event has there."""

    field: str
    wanted: str
    found: tuple[str, ...]

    def __str__(self) -> str:
        if not self.wanted:
            return f"all of what stands under {self.field} is so"
        found = listed(map(quoted, self.found), "and") if self.found else "not in this event"
        return f"{self.field} is {found}, not {self.wanted}"


class Test(Protocol):
    """One thing that a rule asks."""

    def holds(self, view: View) -> bool: ...

    def why_not(self, view: View) -> Mismatch:
        """Only for a test that does not hold."""


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

    def why_not(self, view: View) -> Mismatch:
        return Mismatch(self.name, listed(map(quoted, self.wanted)), self.field.texts(view.event))


@dataclass(frozen=True, slots=True)
class IsThere:
    """Holds if the field has a value; with ``wanted`` false, if it has none."""

    name: str
    field: Field
    wanted: bool

    def holds(self, view: View) -> bool:
        return self.takes(view.texts(self.field)) is self.wanted

    def takes(self, texts: frozenset[str]) -> bool:
        """Whether there are any."""
        return bool(texts)

    def why_not(self, view: View) -> Mismatch:
        return Mismatch(self.name, "present" if self.wanted else "absent", self.field.texts(view.event))


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

    def holds(self, view: View) -> bool:
        return self.takes(view.texts(self.field))

    def takes(self, texts: frozenset[str]) -> bool:
        """Whether one of the values stands so to the limit."""
        return any(map(self._fits, texts))

    def why_not(self, view: View) -> Mismatch:
        word = {**NUMBERS, **DATES}[self.how]
        return Mismatch(self.name, f"{word} {_shown(self.written)}", self.field.texts(view.event))

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


@dataclass(frozen=True, slots=True)
class AllOf:
    tests: tuple[Test, ...]

    def holds(self, view: View) -> bool:
        return all(test.holds(view) for test in self.tests)

    def why_not(self, view: View) -> Mismatch:
        return next(test for test in self.tests if not test.holds(view)).why_not(view)


@dataclass(frozen=True, slots=True)
class AnyOf:
    tests: tuple[Test, ...]

    def holds(self, view: View) -> bool:
        return any(test.holds(view) for test in self.tests)

    def why_not(self, view: View) -> Mismatch:
        reasons = [test.why_not(view) for test in self.tests]
        fields = {reason.field for reason in reasons}
        found = dict.fromkeys(text for reason in reasons for text in reason.found)
        wanted = listed(f"{reason.field} {reason.wanted}" if len(fields) > 1 else reason.wanted for reason in reasons)
        return Mismatch(listed(sorted(fields)), wanted, tuple(found))


@dataclass(frozen=True, slots=True)
class NoneOf:
    """Holds if not all of the tests do. ``written`` is what a field must not be; empty for a group of conditions."""

    tests: tuple[Test, ...]
    name: str
    written: str = ""
    field: Field | None = None

    def holds(self, view: View) -> bool:
        return not all(test.holds(view) for test in self.tests)

    def why_not(self, view: View) -> Mismatch:
        if self.field is None:
            return Mismatch(self.name, "", ())
        return Mismatch(self.name, f"anything but {self.written}", self.field.texts(view.event))


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

    def why_not(self, view: View) -> Mismatch:
        try:
            found = self.compiled.search(view.as_json)
        except JMESPathError:
            return Mismatch("expr", f"{quoted(self.text)} being true", ("an error",))
        return Mismatch("expr", f"{quoted(self.text)} being true", (quoted(found),))


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
