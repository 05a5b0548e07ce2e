"""What an expression of a mapping found -> the value of a common field. Odd values become None and are noted.

Every reader takes a `Node` with what was found, by the fields' names, and the name of a field.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import AwareDatetime

from handlers.mapping import Day, DayOrTime, Id, MappingSettings, Version
from handlers.reading import Node, is_not_asked_for
from router.fields import text_of
from router.schema import Answer, Change, CustomFields, Person

T = TypeVar("T")
Reader: TypeAlias = Callable[[Node, str], Any]

_FIRST_MILLISECONDS = 100_000_000_000
"""What is larger counts milliseconds: as seconds it would be in the year 5138, as milliseconds it is in 1973."""

_UNIX = re.compile(r"\d{9,14}", re.ASCII)  # eight digits are a date
_WHOLE = re.compile(r"\d{1,20}", re.ASCII)


class Words(Generic[T]):
    """What the vendor's words mean: a whole word goes before those with *, which go in the order of writing."""

    def __init__(self, meanings: Mapping[str, T]) -> None:
        self._whole = {word.casefold(): meaning for word, meaning in meanings.items() if "*" not in word}
        self._patterns = [(_pattern(word), meaning) for word, meaning in meanings.items() if "*" in word]

    def get(self, word: str) -> T | None:
        meaning = self._whole.get(word.casefold())
        if meaning is None:
            return next((meaning for pattern, meaning in self._patterns if pattern.fullmatch(word)), None)
        return meaning


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, word.split("*"))), re.IGNORECASE | re.DOTALL)


def readers(settings: MappingSettings) -> Mapping[Any, Reader]:
    """The reader of each type that `handlers.mapping.FIELDS` names."""
    time = _time(settings.zone)
    return {
        str: Node.text,
        int: Node.integer,
        bool: Node.flag,
        Id: Node.id,
        Version: _version,
        AwareDatetime: time,
        Day: _day(time),
        DayOrTime: _day_or_time(time),
        list[str]: _texts,
        list[Person]: _people,
        list[Answer]: _answers,
        list[Change]: _changes,
        CustomFields: _custom_fields,
        **{kind: _choice(kind, table) for kind, table in settings.values.by_type.items()},
    }


def _choice(kind: type[StrEnum], table: Mapping[str, StrEnum]) -> Reader:
    words = Words({**{word.value: word for word in kind}, **table})

    def read(node: Node, name: str) -> StrEnum | None:
        value = node.raw[name]
        if value is None or value == "":
            return None
        meaning = words.get(text_of(value)) if isinstance(value, (str, int)) else None
        if meaning is None:
            node.note(name)
        return meaning

    return read


def _time(zone: tzinfo | None) -> Callable[[Node, str], datetime | None]:
    def read(node: Node, name: str) -> datetime | None:
        """ISO 8601, or unix time in seconds or milliseconds."""
        value = node.raw[name]
        if isinstance(value, str) and _UNIX.fullmatch(value):
            value = int(value)
        if isinstance(value, (int, float)):
            return node.epoch(name, unit=0.001 if abs(value) >= _FIRST_MILLISECONDS else 1.0)
        return node.time(name, zone=zone)

    return read


def _day(time: Callable[[Node, str], datetime | None]) -> Reader:
    def read(node: Node, name: str) -> str | None:
        if isinstance(node.raw[name], (int, float)):
            moment = time(node, name)
            return moment.date().isoformat() if moment else None
        return node.date(name)

    return read


def _day_or_time(time: Callable[[Node, str], datetime | None]) -> Reader:
    def read(node: Node, name: str) -> str | None:
        value = node.raw[name]
        if isinstance(value, str) and ":" not in value and not _UNIX.fullmatch(value):
            return node.date(name)
        moment = time(node, name)
        return moment.isoformat().replace("+00:00", "Z") if moment else None

    return read


def _version(node: Node, name: str) -> str | None:
    """Versions compare as text: times in one form, numbers at one length."""
    text = node.id(name)
    if text is None:
        return None
    if _WHOLE.fullmatch(text):
        return text.zfill(20)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat("T", "microseconds")
    except (ValueError, OverflowError):
        return text


def _texts(node: Node, name: str) -> list[str]:
    """A list of texts, or one."""
    return node.texts(name) if _several(node, name, str) else []


def _people(node: Node, name: str) -> list[Person]:
    """Objects with id, name or email, or texts: names, or addresses."""
    if not (items := _several(node, name, dict, str)):
        return []
    if all(isinstance(item, str) for item in items):
        return [Person(email=text) if "@" in text else Person(name=text) for text in node.texts(name)]
    return [person for item in node.nodes(name) if (person := _person(item))]


def _person(node: Node) -> Person | None:
    told = {"id": node.id("id", sometimes=True), **{key: node.text(key, sometimes=True) for key in ("name", "email")}}
    return Person(**told) if any(told.values()) else None


def _answers(node: Node, name: str) -> list[Answer]:
    """Objects with question and answer."""
    items = node.nodes(name) if _several(node, name, dict) else []
    return [
        Answer(question=question, answer=item.json("answer", sometimes=True))
        for item in items
        if (question := item.text("question")) and not is_not_asked_for(question)
    ]


def _changes(node: Node, name: str) -> list[Change]:
    """Objects with field, from and to."""
    items = node.nodes(name) if _several(node, name, dict) else []
    return [
        Change(field=field, from_=item.json("from", sometimes=True), to=item.json("to", sometimes=True))
        for item in items
        if (field := item.text("field")) and not is_not_asked_for(field)
    ]


def _custom_fields(node: Node, name: str) -> CustomFields:
    """An object of names with values, or a list of objects with name and value."""
    if isinstance(node.raw[name], dict):
        inner = node.node(name)
        return {key: inner.json(key) for key in inner.raw if key and not _is_private(key, inner.raw[key])}
    items = node.nodes(name) if _several(node, name, dict) else []
    return {
        key: item.json("value", sometimes=True)
        for item in items
        if (key := item.id("name")) and not is_not_asked_for(key)
    }


def _is_private(key: str, value: object) -> bool:
    """By its key, or by the name that an object tells of itself."""
    name = value.get("name") if isinstance(value, dict) else None
    return is_not_asked_for(key) or (isinstance(name, str) and is_not_asked_for(name))


def _several(node: Node, name: str, *kinds: type) -> list[object]:
    """What was found as a list, which a single one of these kinds is made as well; empty where it is neither."""
    value = node.raw[name]
    if isinstance(value, kinds) and value != "":
        value = node.raw[name] = [value]
    if isinstance(value, list):
        return value
    if value not in (None, ""):
        node.note(name)
    return []
