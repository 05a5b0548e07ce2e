"""Does this event match this route, and why not? Pure functions; everything costly is done when a route is compiled.

Values compare as text without case and surrounding blanks: ``true`` is "true", 5 is "5", a Stage or a Person is its
name. A list in the event matches if any of its elements does. In a pattern, ``*`` is any run of characters.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from router.fields import Field, Kind, UnknownField, field_at, text_of
from router.schema import Event
from router.wording import did_you_mean, listed, quoted

_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})
_ALIKE = {word: words for words in (_TRUE, _FALSE) for word in words}
"""What a yes or a no may be: some systems send a word, some a boolean."""


@dataclass(frozen=True, slots=True)
class RuleError:
    """One mistake in ``when``; ``path`` leads to it from there: the field, and the item of a list of values."""

    path: tuple[str | int, ...]
    sentence: str
    is_field: bool = False


class RuleErrors(Exception):
    """All mistakes of one ``when``."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        super().__init__("; ".join(error.sentence for error in errors))
        self.errors = tuple(errors)


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
class Condition:
    """Holds if any of the texts in the event's field is in ``exact`` or fits a pattern.

    ``name`` and ``wanted`` are the field and its values as the route has them, ``path`` is the field's one true name.
    """

    name: str
    path: str
    field: Field
    wanted: tuple[object, ...]
    exact: frozenset[str]
    patterns: tuple[Pattern, ...]

    def holds(self, texts: frozenset[str]) -> bool:
        return not self.exact.isdisjoint(texts) or self.fits(texts)

    def fits(self, texts: frozenset[str]) -> bool:
        """Whether one of the patterns fits."""
        for pattern in self.patterns:
            for text in texts:
                if pattern.fits(text):
                    return True
        return False


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    name: str
    send_to: tuple[str, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first condition that does not hold: what the route wants and what the event has there."""

    field: str
    wanted: tuple[object, ...]
    found: tuple[str, ...]

    def __str__(self) -> str:
        found = listed(map(quoted, self.found), "and") if self.found else "not in this event"
        return f"{self.field} is {found}, not {listed(map(quoted, self.wanted))}"


def compile_route(
    name: str,
    when: Mapping[str, object],
    send_to: Sequence[str],
    allowed: Mapping[str, Collection[str]] | None = None,
) -> CompiledRoute:
    """Prepare a route. ``allowed`` has the values of fields that only the configuration knows, such as ``source``.

    Raises:
        RuleErrors: a field does not exist, or a value can never be in it.
    """
    errors: list[RuleError] = []
    conditions = []
    for field_name, written in when.items():
        try:
            field = field_at(field_name)
        except UnknownField as unknown:
            errors.append(RuleError((field_name,), str(unknown), is_field=True))
            continue
        condition, problems = _compiled(field_name, field, written, (allowed or {}).get(field.path, field.choices))
        conditions.append(condition)
        errors += problems
    if errors:
        raise RuleErrors(errors)
    return CompiledRoute(name, tuple(send_to), tuple(conditions))


def matching(routes: Iterable[CompiledRoute], event: Event) -> tuple[CompiledRoute, ...]:
    """The routes whose every condition holds, in their order. Each field of the event is read once."""
    known: dict[str, frozenset[str]] = {}
    matched = []
    for route in routes:
        for condition in route.conditions:
            if (texts := known.get(condition.path)) is None:
                texts = known[condition.path] = _comparable(condition.field.texts(event))
            # Written out, as a call for each condition would double the time of many routes.
            if condition.exact.isdisjoint(texts) and not (condition.patterns and condition.fits(texts)):
                break
        else:
            matched.append(route)
    return tuple(matched)


def explain(route: CompiledRoute, event: Event) -> Mismatch | None:
    """The first condition that fails, in the order in which the route has them; None where the route matches."""
    for condition in route.conditions:
        found = condition.field.texts(event)
        if not condition.holds(_comparable(found)):
            return Mismatch(condition.name, condition.wanted, found)
    return None


def _comparable(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(_folded(text) for text in texts)


def _folded(text: str) -> str:
    return text.casefold().strip()


def _compiled(name: str, field: Field, written: object, choices: Collection[str]) -> tuple[Condition, list[RuleError]]:
    values = written if isinstance(written, list | tuple) else [written]
    errors = []
    if not values:
        errors.append(RuleError((name,), f"{quoted(name)} has no value; remove the line to match every event"))
    exact: set[str] = set()
    patterns = []
    for i, value in enumerate(values):
        path = (name,) if values is not written else (name, i)
        if problem := _problem(name, field.kind, value, choices):
            errors.append(RuleError(path, problem))
            continue
        text = _folded(text_of(value))
        if "*" in text:
            patterns.append(Pattern.of(text))
        else:
            exact |= _ALIKE.get(text, {text}) if field.kind in (Kind.BOOL, Kind.FREE) else {text}
    return Condition(name, field.path, field, tuple(values), frozenset(exact), tuple(patterns)), errors


def _problem(name: str, kind: Kind, value: object, choices: Collection[str]) -> str | None:
    """Why this value can never be in the field."""
    if value is None or isinstance(value, dict | list | tuple):
        return (
            f"{quoted(name)} must be a value or a list of values; a field of a field is written with a dot: job.title"
        )
    text = _folded(text_of(value))
    if choices and not _can_be(text, _comparable(choices)):
        hint = did_you_mean(str(value), choices) or "."
        return f"{quoted(name)} is never {quoted(value)}{hint} It can be {listed(choices)}"
    if kind is Kind.TEXT and isinstance(value, bool | float):
        return f'{quoted(name)} is a text; put the value in quotes: "{quoted(value)}"'
    if kind is Kind.BOOL and text not in _ALIKE:
        return f"{quoted(name)} is true or false, never {quoted(value)}"
    if kind is Kind.NUMBER and not text.lstrip("-").isdecimal():
        return f"{quoted(name)} is a whole number, never {quoted(value)}"
    return None


def _can_be(text: str, choices: Collection[str]) -> bool:
    return text in choices or ("*" in text and any(map(Pattern.of(text).fits, choices)))
