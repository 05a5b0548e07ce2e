"""What templates make of values: text, parts of lists, dates in the company's zone. Nothing here ever fails."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from jinja2.runtime import LoopContext, Undefined
from pydantic import BaseModel

from router.fields import NAMES, text_of
from router.schema import Candidate, Event

MOST_ITEMS = 100
"""Items of one list that a loop goes through."""

_FIRST_YEAR = 1971
"""Vendors write "no time" as the year 1 or 1970."""

_DATE_ONLY = re.compile(r"\d{4}-\d\d-\d\d")
_ACCENTS = re.compile("[\u0300-\u036f]")
_LONGEST_URL = 2000
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?([/?#][!-~]*)?")
_NOT_IN_A_URL = re.compile(r'["<>\\^`{|}]')


def shown(value: object) -> str:
    """As people read it: nothing is empty text, a person or a stage is its name, a list has commas."""
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, list):
        return ", ".join(filter(None, map(shown, value)))
    if isinstance(value, Candidate):  # whose title is that of a job
        return value.whole_name
    if isinstance(value, BaseModel):
        names = (shown(getattr(value, name, None)) for name in (*NAMES, "email"))
        return next(filter(None, names), "")
    if isinstance(value, dict):
        return shown(member(value, "name"))
    return text_of(value)


def member(value: Any, name: str | int) -> Any:
    """What is below a value; of a list the item at a position, or what is below each of its items."""
    if isinstance(value, LoopContext):
        return getattr(value, str(name))
    if isinstance(name, int):
        return value[name] if isinstance(value, list) and 0 <= name < len(value) else None
    if isinstance(value, list):
        below = [member(item, name) for item in value]
        return [inner for item in below for inner in (item if isinstance(item, list) else [item]) if inner is not None]
    if isinstance(value, BaseModel):
        return getattr(value, name) if name in type(value).model_fields else None
    if isinstance(value, dict):
        wanted = name.casefold()
        return next((inner for key, inner in value.items() if key.casefold() == wanted), None)
    return None


class StandIn(str):
    """What is shown instead of a name that nobody told."""


def called(value: Any, event: Event) -> str:
    """The candidate, or the candidate's name, for people to read."""
    name = shown(value)
    return name if name.strip() else shown(event.candidate) or StandIn(event.stand_in)


def items(value: Any) -> list[Any]:
    """What a loop goes through."""
    found = value if isinstance(value, list) else [] if shown(value) == "" else [value]
    return found[:MOST_ITEMS]


def equal(one: Any, other: Any) -> bool:
    """As conditions compare: as text, without case and surrounding blanks; of a list any item."""
    return not _texts(one).isdisjoint(_texts(other))


def within(one: Any, other: Any) -> bool:
    """Whether it is an item of a list, or a part of a text."""
    if isinstance(other, list | tuple):
        return any(equal(one, item) for item in other)
    whole = _folded(other)
    return any(text in whole for text in _texts(one) if text)


def _texts(value: Any) -> set[str]:
    return {_folded(item) for item in value} if isinstance(value, list) and value else {_folded(value)}


def _folded(value: Any) -> str:
    return shown(value).strip().casefold()


def is_web_address(text: str) -> bool:
    """Whether it is a plain http or https address that can be linked."""
    return len(text) <= _LONGEST_URL and bool(_URL.fullmatch(text)) and not _NOT_IN_A_URL.search(text)


def slug(value: Any) -> str:
    """Small letters and digits with hyphens between: ``R&D, Zürich`` is ``r-d-zurich``."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", shown(value).casefold()))
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", plain)).strip("-")


def first_name(value: Any) -> Any:
    """The first word of a name, or of each name; of ``Lovelace, Ada`` what is after the comma."""
    if isinstance(value, list):
        return [first_name(item) for item in value]
    if isinstance(value, StandIn):
        return value
    name = shown(value)
    return next(iter(name.partition(",")[2].split() or name.split()), "")


def default(value: Any, otherwise: Any = "") -> Any:
    """The value, or something else where it would show nothing."""
    return value if shown(value).strip() else otherwise


def join(value: Any, between: str = ", ") -> str:
    return between.join(filter(None, map(shown, value if isinstance(value, list) else [value])))


def first(value: Any) -> Any:
    return next(iter(value), None) if isinstance(value, list) else value


def last(value: Any) -> Any:
    return next(reversed(value), None) if isinstance(value, list) else value


def length(value: Any) -> int:
    """How many items a list has, or how many characters a text."""
    return len(value) if isinstance(value, list) else len(shown(value))


def upper(value: Any) -> str:
    return shown(value).upper()


def lower(value: Any) -> str:
    return shown(value).lower()


def truncate(value: Any, most: int = 100) -> str:
    text = shown(value)
    return text if len(text) <= most else f"{text[: max(most - 1, 0)].rstrip()}…"


def link(value: Any, words: Any = "") -> tuple[str, str] | str:
    """An address and what the link to it says; only the words where it is no address of a web page."""
    url, text = shown(value), shown(words)
    return (url, text or url) if is_web_address(url) else text


def mention(value: Any, people: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """The name of each person, and the id that ``people`` has for the folded e-mail address."""
    return [(shown(one), people.get(_folded(_address(one)))) for one in items(value) if shown(one)]


def _address(person: Any) -> Any:
    """That of a person, never the name; a field of one's own may be the address itself."""
    return member(person, "email") if isinstance(person, BaseModel | dict) else person


def date(value: Any, zone: tzinfo, form: str = "%d %b %Y") -> str:
    return _formatted(value, zone, form)


def time(value: Any, zone: tzinfo, form: str = "%H:%M") -> str:
    """Of what is only a date: nothing."""
    return "" if _DATE_ONLY.fullmatch(shown(value)) else _formatted(value, zone, form)


def date_and_time(value: Any, zone: tzinfo, form: str = "%d %b %Y, %H:%M") -> str:
    return date(value, zone) if _DATE_ONLY.fullmatch(shown(value)) else _formatted(value, zone, form)


def _formatted(value: Any, zone: tzinfo, form: str) -> str:
    """A time as it is in the zone. What is none stays as it is; what vendors write for no time is nothing."""
    text = shown(value)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.year < _FIRST_YEAR:
        return ""
    if not _DATE_ONLY.fullmatch(text):  # a date is the same day everywhere
        moment = _in(moment if moment.tzinfo else moment.replace(tzinfo=UTC), zone)
    return moment.strftime(form)


def _in(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:  # the last hours of the year 9999
        return moment


FILTERS: Mapping[str, Callable[..., Any]] = {
    "date": date,
    "time": time,
    "datetime": date_and_time,
    "default": default,
    "first": first,
    "first_name": first_name,
    "join": join,
    "last": last,
    "length": length,
    "lower": lower,
    "slug": slug,
    "truncate": truncate,
    "upper": upper,
}
"""Those that are the same for every target; ``link`` and ``mention`` are the target's own."""

IN_ZONE = frozenset({"date", "time", "datetime"})
"""Filters that are given the zone as their first argument."""
