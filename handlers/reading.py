"""Reading a vendor's JSON: every value is checked when it is taken, nothing a body holds can break the reader.

Optional fields come back as None when they are missing, null, blank or of another type; the first and the last of
these are *soft drift* and their paths are noted. Required ones (``need_...``) raise `Drift`. Nothing is noted below an
object that is not there, so handlers chain without asking: ``body.node("candidate").text("name")``.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from math import isfinite
from typing import Final, TypeVar, cast

from pydantic import JsonValue
from pydantic_core import from_json

from handlers.base import Drift

T = TypeVar("T")

_MISSING: Final = object()
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_DEEPEST_VALUE = 32
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NOT_ASKED_FOR = re.compile(
    r"(?<![a-z])(ssn|social[ _-]?security|date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day)|dob|gender|sex|race|ethnic\w*"
    r"|veteran\w*|disabilit\w*|religio\w*|sexual[ _-]?orientation|demographic\w*|eeoc?)(?![a-z])",
    re.IGNORECASE,
)


def is_not_asked_for(name: str) -> bool:
    """Whether a custom field of this name tells what is never stored: EEO and demographic answers, SSN, birth date."""
    return _matches_not_asked_for(name[:200])


@lru_cache(maxsize=4096)
def _matches_not_asked_for(name: str) -> bool:
    return _NOT_ASKED_FOR.search(name) is not None


def whole_name(first_name: str | None, last_name: str | None) -> str | None:
    """Both, or the one that there is."""
    return " ".join(part for part in (first_name, last_name) if part) or None


class Node:
    """One JSON object of a body and where it stands; falsy when it is not there.

    ``sometimes=True`` says that the vendor documents the field as absent at times, so that its absence is no drift.
    """

    __slots__ = ("_above", "_data", "_key", "_soft")

    def __init__(self, data: dict[str, object] | None, above: "Node | None", key: str, soft: dict[str, None]) -> None:
        self._data = data
        self._above = above  # a path is put together only when it is asked for, as most never are
        self._key = key
        self._soft = soft

    @classmethod
    def parse(cls, body: bytes, *, several: bool = False) -> "Node":
        """The object that ``body`` is. ``several``: a list is welcome too, as an object with ``items``.

        Raises:
            Drift: it is not UTF-8, not JSON, not an object, or nested too deeply.
        """
        try:
            data = _parsed(body)
        except UnicodeDecodeError:
            raise Drift("body", "is not UTF-8") from None
        except (ValueError, RecursionError):
            raise Drift("body", "is not JSON, or nested too deeply") from None
        if several and isinstance(data, list):
            data = {"items": data}
        if not isinstance(data, dict):
            raise Drift("body", "is not an object")
        return cls(data, None, "", {})

    @classmethod
    def of(cls, data: dict[str, object]) -> "Node":
        """An object that was made or parsed elsewhere, of JSON's types."""
        return cls(data, None, "", {})

    def __bool__(self) -> bool:
        return self._data is not None

    @property
    def soft_drift(self) -> tuple[str, ...]:
        """Paths of optional fields that were missing or oddly typed, in the whole body and so far."""
        return tuple(self._soft)

    @property
    def raw(self) -> dict[str, object]:
        """The object itself, parsed but not checked, for what looks at it in a way of its own."""
        return self._data or {}

    def note(self, key: str) -> None:
        """Count the field as missing or oddly typed, where only the caller can tell."""
        self._soft[self._path_of(key)] = None

    def text(self, key: str, *, sometimes: bool = False) -> str | None:
        if self._data is None:
            return None
        value = self._data.get(key, _MISSING)
        if isinstance(value, str):  # most often, so nothing else is asked before
            return value or None
        if value is not None and not (sometimes and value is _MISSING):
            self.note(key)
        return None

    def id(self, key: str, *, sometimes: bool = False) -> str | None:
        """An id, which vendors write as a number or as text."""
        if self._data is None:
            return None
        value = self._data.get(key, _MISSING)
        if isinstance(value, str):
            return value or None
        if type(value) is int:
            return str(value)
        if value is not None and not (sometimes and value is _MISSING):
            self.note(key)
        return None

    def flag(self, key: str, *, sometimes: bool = False) -> bool | None:
        value = self._take(key, sometimes)
        return self._kept(key, value, value if isinstance(value, bool) else None)

    def integer(self, key: str, *, sometimes: bool = False) -> int | None:
        value = self._take(key, sometimes)
        return self._kept(key, value, value if type(value) is int else None)

    def choice(self, key: str, meanings: Mapping[str, T], *, sometimes: bool = False) -> T | None:
        """What the vendor's word means in ours; a word that is not among them is odd."""
        value = self._take(key, sometimes)
        return self._kept(key, value, meanings.get(value) if isinstance(value, str) else None)

    def time(self, key: str, *, zone: tzinfo | None = None, sometimes: bool = False) -> datetime | None:
        """An ISO 8601 time in UTC; ``zone`` is for vendors that write local time without one."""
        value = self._take(key, sometimes)
        return self._kept(key, value, _moment(value, zone))

    def epoch(self, key: str, *, unit: float = 1.0, sometimes: bool = False) -> datetime | None:
        """Unix time as a number or its digits; ``unit`` is in seconds, 0.001 for the milliseconds that many write."""
        value = self._take(key, sometimes)
        return self._kept(key, value, _unix(value, unit))

    def date(self, key: str, *forms: str, sometimes: bool = False) -> str | None:
        """A day as YYYY-MM-DD; ``forms`` are the ways besides ISO 8601 in which the vendor writes it."""
        value = self._take(key, sometimes)
        return self._kept(key, value, _day(value, forms))

    def date_or_time(self, key: str, *, zone: tzinfo | None = None, sometimes: bool = False) -> str | None:
        """A time as RFC 3339 in UTC, or the day alone where the vendor tells no more."""
        value = self._take(key, sometimes)
        if isinstance(value, str) and ":" not in value:
            return self._kept(key, value, _day(value))
        moment = self._kept(key, value, _moment(value, zone))
        return moment.isoformat().replace("+00:00", "Z") if moment else None

    def json(self, key: str, *, sometimes: bool = False) -> JsonValue:
        """The value as it is, of any type."""
        value = self._take(key, sometimes, blank="")
        if isinstance(value, str) or _is_plain(value):
            return cast(JsonValue, value)
        self.note(key)
        return None

    def node(self, key: str, *, sometimes: bool = False) -> "Node":
        value = self._take(key, sometimes)
        if isinstance(value, dict):
            return Node(value, self, key, self._soft)
        return Node(self._kept(key, value, None), self, key, self._soft)

    def named(self, key: str, *, sometimes: bool = False) -> "dict[str, Node]":
        """The objects of an object whose keys are names, not fields. ``[]`` is how some vendors write an empty one."""
        value = self._take(key, sometimes)
        if not isinstance(value, dict):
            self._kept(key, value, {} if value == [] else None)
            return {}
        each = f"{key}.*"
        named = {name: Node(item, self, each, self._soft) for name, item in value.items() if isinstance(item, dict)}
        if len(named) < len(value) - list(value.values()).count(None):
            self.note(each)
        return named

    def nodes(self, key: str, *, sometimes: bool = False) -> "list[Node]":
        each = f"{key}[]"
        return [Node(item, self, each, self._soft) for item in self._items(key, dict, sometimes)]

    def texts(self, key: str, *, sometimes: bool = False) -> list[str]:
        return [item for item in self._items(key, str, sometimes) if item]

    def texts_of(self, key: str, field: str, *, sometimes: bool = False) -> list[str]:
        """One text field of every object of a list, such as the addresses in ``[{"value": ..., "type": ...}]``."""
        texts = []
        for item in self._items(key, dict, sometimes):
            value = item.get(field, _MISSING)
            if isinstance(value, str):
                texts.append(value)
            elif value is not None:
                self.note(f"{key}[].{field}")
        return [text for text in texts if text]

    def need_text(self, key: str) -> str:
        return self._needed(key, self.text(key), "text")

    def need_id(self, key: str) -> str:
        return self._needed(key, self.id(key), "an id")

    def need_node(self, key: str) -> "Node":
        node = self.node(key)
        self._needed(key, node._data, "an object")
        return node

    def _take(self, key: str, sometimes: bool, blank: str | None = None) -> object:
        if self._data is None:
            return None
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            if not sometimes:
                self.note(key)
            return None
        return blank if value == "" else value

    def _items(self, key: str, kind: type[T], sometimes: bool) -> list[T]:
        value = self._take(key, sometimes)
        if not isinstance(value, list):
            self._kept(key, value, None)
            return []
        items = [item for item in value if isinstance(item, kind)]
        if len(items) < len(value) and len(items) < len(value) - value.count(None):
            self.note(f"{key}[]")
        return items

    def _kept(self, key: str, given: object, read: T | None) -> T | None:
        if read is None and given is not None:
            self.note(key)
        return read

    def _needed(self, key: str, read: T | None, kind: str) -> T:
        if read is None:
            given = (self._data or {}).get(key)
            raise Drift(self._path_of(key), "is missing" if given in (None, "") else f"is not {kind}")
        return read

    def _path_of(self, key: str) -> str:
        node, path = self, key
        while node._above is not None:
            node, path = node._above, f"{node._key}.{path}"
        return path


def _parsed(body: bytes) -> object:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        # half of a surrogate pair is allowed by JSON but is no text, and a mark before the text is common
        text = json.dumps(json.loads(body.decode("utf-8-sig")), ensure_ascii=False)
        return from_json(_LONE_SURROGATES.sub("\ufffd", text), allow_inf_nan=False)


def _is_plain(value: object, depth: int = 0) -> bool:
    """Whether every reader downstream can take it: numbers are finite (1e999 is not), and it is not too deep."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, (list, dict)):
        items = value if isinstance(value, list) else value.values()
        return depth < _DEEPEST_VALUE and all(_is_plain(item, depth + 1) for item in items)
    return True


def _moment(value: object, zone: tzinfo | None) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:  # most are
            return moment
        if moment.tzinfo is None:
            if zone is None:
                return None
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _unix(value: object, unit: float) -> datetime | None:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return _EPOCH + timedelta(seconds=value * unit)
    except (ValueError, OverflowError):
        return None


def _day(value: object, forms: tuple[str, ...] = ()) -> str | None:
    if not isinstance(value, str):
        return None
    for form in (None, *forms):
        try:
            day = datetime.strptime(value, form) if form else datetime.fromisoformat(value)
        except ValueError:
            continue
        return day.date().isoformat()
    return None
