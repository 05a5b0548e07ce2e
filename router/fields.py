"""The fields of the common event by their dotted paths, as routes name them. Read off `router.schema`, never listed."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum, StrEnum
from functools import cache
from typing import Annotated, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, JsonValue

from router.schema import Event, Person
from router.synonyms import FIELDS as SYNONYMS
from router.wording import did_you_mean, listed, nearest, quoted

_ALIASES = {
    "event": "type",
    "job": "job.title",
    "department": "job.departments",
    "office": "job.offices",
    "recruiter": "job.recruiters",
    "hiring_manager": "job.hiring_managers",
    "stage": "application.stage",
    "stage_kind": "application.stage.kind",
    "outcome": "application.outcome",
    "candidate_source": "application.source",
    "tag": "candidate.tags",
}
"""Everyday words for fields."""


NAMES = ("name", "title")
"""What stands for something that has several fields, where it is shown."""


class Kind(Enum):
    """What a field holds, and so what a value in a route may be."""

    TEXT = "text"
    CHOICE = "choice"
    NUMBER = "number"
    MOMENT = "moment"
    BOOL = "bool"
    FREE = "free"


class UnknownField(Exception):
    """The text says what to write instead."""


@dataclass(frozen=True, slots=True)
class Field:
    """``steps`` are attribute names; what follows a map of custom fields is one step, the custom field's name."""

    path: str
    kind: Kind
    steps: tuple[str, ...]
    choices: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_number(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.FREE)

    @property
    def has_several(self) -> bool:
        """Whether one event can have several values there: of a list, of a person, of a field of one's own."""
        return _has_several(self.path)

    @property
    def is_moment(self) -> bool:
        """Also dates, which the common event has as text."""
        return self.kind in (Kind.MOMENT, Kind.FREE) or self.steps[-1].endswith(("_at", "_date"))

    def texts(self, event: Event) -> tuple[str, ...]:
        """The field's values as text: none where it is absent, several where it or one above it is a list."""
        value: object = event
        for i, step in enumerate(self.steps):
            if value is None:
                return ()
            if isinstance(value, list | dict | Person):
                return tuple(_texts(value, self.steps[i:]))
            value = getattr(value, step)
        return (value,) if type(value) is str else tuple(_texts(value, ()))

    def names(self, event: Event) -> tuple[str, ...]:
        """As `texts`, to be read: of a person the name, and the e-mail address only where there is none."""
        return tuple(_texts(event, self.steps, only_names=True))


@cache
def field_at(path: str) -> Field:
    """
    Raises:
        UnknownField: there is no such field, or it has several values of which one must be named.
    """
    canonical = _ALIASES.get(path, path)
    annotation: object = Event
    steps: tuple[str, ...] = ()
    names = canonical.split(".")
    for i, name in enumerate(names):
        if annotation is dict and any(names[i:]):
            return Field(canonical, Kind.FREE, (*steps, ".".join(names[i:])))
        if name not in (members := _members(annotation)):
            raise UnknownField(_unknown(path))
        attribute, annotation = members[name]
        steps += (attribute,)
    if annotation is dict:
        raise UnknownField(f"{quoted(path)} holds several fields; name one of yours, as in {path}.team")
    if members := _members(annotation):
        if "name" not in members:
            inner = listed(f"{path}.{name}" for name in members)
            raise UnknownField(f"{quoted(path)} holds several fields; name one with a dot: {inner}")
        return Field(canonical, Kind.TEXT, (*steps, "name"))
    return Field(canonical, _kind(annotation), steps, _choices(annotation))


@dataclass(frozen=True, slots=True)
class Shape:
    """What stands at a path, for who goes down step by step: the type of one value, and whether there are several.

    ``steps`` are attribute names.
    """

    path: str
    annotation: object
    several: bool = False
    steps: tuple[str, ...] = ()

    @classmethod
    def root(cls, name: str) -> "Shape":
        """
        Raises:
            UnknownField: no event has this.
        """
        if name in _members(Event):
            return cls("", Event).member(name)
        if name not in _ALIASES:
            raise UnknownField(_unknown(name))
        return cls.at(_ALIASES[name])

    @classmethod
    def at(cls, path: str) -> "Shape":
        """What a path leads to; of an event's own fields the whole, as in ``job``, though conditions mean its title.

        Raises:
            UnknownField: no event has this.
        """
        first, *rest = path.split(".")
        shape = cls.root(first)
        for i, name in enumerate(rest):
            if shape.is_map:
                return shape.member(".".join(rest[i:]))
            shape = shape.member(name)
        return shape

    @property
    def is_map(self) -> bool:
        """Of custom fields."""
        return self.annotation is dict

    @property
    def is_free(self) -> bool:
        """A custom field, or something inside of one: it can be anything."""
        return self.annotation is JsonValue

    @property
    def item(self) -> "Shape":
        return replace(self, several=False)

    @property
    def shown(self) -> "Shape":
        """What is shown of it as text: of a person or a stage the name, of a job its title.

        Raises:
            UnknownField: it holds several fields, of which none stands for it.
        """
        members = _members(self.annotation)
        if name := next((name for name in NAMES if name in members), None):
            return self.member(name)
        if members or self.is_map:
            inner = f"{self.path}.team" if self.is_map else listed(f"{self.path}.{name}" for name in members)
            raise UnknownField(f"{quoted(self.path)} holds several fields; name one with a dot: {inner}")
        return self

    def member(self, name: str) -> "Shape":
        """
        Raises:
            UnknownField: there is nothing of this name in it.
        """
        path = f"{self.path}.{name}" if self.path else name
        if self.is_map or self.is_free:
            return Shape(path, JsonValue, steps=(*self.steps, name))
        members = _members(self.annotation)
        if name in members:
            attribute, annotation = members[name]
            model = self.annotation.model_fields[attribute]  # type: ignore[attr-defined]
            return Shape(path, annotation, self.several or _is_list(model.annotation), (*self.steps, attribute))
        if not members:
            raise UnknownField(f"{quoted(self.path)} is a single value, so there is no {quoted(path)}")
        if not self.path:
            raise UnknownField(_unknown(name))
        hint = did_you_mean(name, members) or f"; it has {listed(members, 'and')}"
        raise UnknownField(f"{quoted(self.path)} has no {quoted(name)}{hint}")


@cache
def _has_several(path: str) -> bool:
    shapes = [Shape.at(part) for part in (path, path.rpartition(".")[0]) if part]
    return shapes[0].several or shapes[0].is_free or any(shape.annotation is Person for shape in shapes)


def is_field(path: str) -> bool:
    try:
        field_at(path)
    except UnknownField:
        return False
    return True


@cache
def field_names() -> tuple[str, ...]:
    """Every field that a route can name; custom fields stand for all of theirs."""
    return (*_ALIASES, *_names(Event, ""))


def text_of(value: object) -> str:
    """A single value as the text that routes compare."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _names(model: object, prefix: str) -> Iterator[str]:
    for name, (_, annotation) in _members(model).items():
        members = _members(annotation)
        if not members or "name" in members:
            yield prefix + name
        yield from _names(annotation, f"{prefix}{name}.")


def _members(annotation: object) -> Mapping[str, tuple[str, object]]:
    """Field name -> attribute and type; empty for what is not a model."""
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return {}
    fields = annotation.model_fields.items()
    return {field.alias or name: (name, _single(field.annotation)) for name, field in fields}


def _single(annotation: object) -> object:
    """The type of one value: without its being optional, annotated or in a list; ``dict`` for any map."""
    while (origin := get_origin(annotation)) is not None:
        if origin is dict:
            return dict
        if origin not in (Union, types.UnionType, Annotated, list):
            return annotation
        annotation = next(part for part in get_args(annotation) if part is not types.NoneType)
    return annotation


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))


def _kind(annotation: object) -> Kind:
    if annotation is JsonValue:
        return Kind.FREE
    if annotation is bool:
        return Kind.BOOL
    if annotation is int:
        return Kind.NUMBER
    if annotation in (datetime, AwareDatetime):
        return Kind.MOMENT
    return Kind.CHOICE if _choices(annotation) else Kind.TEXT


def _choices(annotation: object) -> tuple[str, ...]:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return tuple(str(choice) for choice in annotation)
    return ()


def _unknown(path: str) -> str:
    """What is meant is most often a field without what is before its dot: ``departments`` for ``job.departments``."""
    last = {name.rpartition(".")[2]: name for name in sorted(field_names(), key=len, reverse=True)}
    known = SYNONYMS.get(path.lower().replace(" ", "_"))
    meant = known or last.get(path) or nearest(path, field_names()) or last.get(nearest(path, last) or "")
    above, _, name = path.rpartition(".")
    own = f"a field of your own is named like {above or 'job'}.custom_fields.{name}"
    if above == "custom_fields":
        own = f"say whose it is: job.custom_fields.{name}, candidate.custom_fields.{name} or the like"
        meant = None
    elif f"{above}.custom_fields" in field_names() and not nearest(name, _names_below(above)):
        meant = None
    hint = f"did you mean {quoted(meant)}?" if meant else own
    return f"an event has no field {quoted(path)}; {hint}"


def _names_below(above: str) -> list[str]:
    return [name.removeprefix(f"{above}.") for name in field_names() if name.startswith(f"{above}.")]


def _texts(value: object, steps: tuple[str, ...], *, only_names: bool = False) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, steps, only_names=only_names)
    elif isinstance(value, dict):
        yield from _texts_of_custom(value, steps)
    elif steps == ("name",) and isinstance(value, Person):
        known = [text for text in (value.name, value.email) if text]
        yield from known[:1] if only_names else known
    elif steps and isinstance(value, BaseModel):
        yield from _texts(getattr(value, steps[0]), steps[1:], only_names=only_names)
    elif not steps and value is not None:
        yield text_of(value)


def _texts_of_custom(fields: Mapping[str, object], steps: tuple[str, ...]) -> Iterator[str]:
    """A custom field by its name, whatever its case; of one that is an object, what is after the dot or its name."""
    if not steps:
        yield from _texts(fields.get("name"), ())
        return
    wanted = steps[0].casefold()
    by_name = {name.casefold(): value for name, value in fields.items()}
    if wanted in by_name:
        yield from _texts(by_name[wanted], ())
    else:
        first, _, rest = wanted.partition(".")
        if rest:
            yield from _texts(by_name.get(first), (rest,))
