"""Events to try rules on: from a few fields as a person writes them, or from a recorded webhook."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from handlers.base import Disposition, Handler, Receipt
from handlers.stages import StageKinds
from router.conditions import folded, moment_of
from router.fields import Field, Kind, Shape, UnknownField, field_at, text_of
from router.inspection import events_told, read_body
from router.schema import CANDIDATE_TYPES, Event, EventType, Person
from router.wording import did_you_mean, listed, quoted

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_UNSAID = {"id": "evt_00000000000000000000000000", "vendor_event": "", "sequence": 1}


@dataclass(frozen=True, slots=True)
class FieldMistake:
    """``path`` leads to it from the fields: nothing, the field, the item of a list."""

    path: tuple[str | int, ...]
    sentence: str
    is_field: bool = False


class BadFields(Exception):
    """No event can have these fields."""

    def __init__(self, mistakes: Sequence[FieldMistake]) -> None:
        super().__init__("; ".join(mistake.sentence for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class NoEvents(Exception):
    """A webhook that becomes no event. The text says why; ``is_drift``: it should have become one."""

    def __init__(self, reason: str, *, is_drift: bool) -> None:
        super().__init__(reason)
        self.is_drift = is_drift


def event_of(fields: Mapping[str, object], source: str = "", vendor: str = "") -> Event:
    """The event that has these fields, by their dotted names or everyday words. What is not said is absent.

    Only what every event has is made up: ids, and the time at which it came in. After a move, the application's stage
    is the one that it moved to.

    Raises:
        BadFields: everything that is wrong with them.
    """
    said: dict[str, Any] = {}
    mistakes = list(_put_all(said, fields))
    if not mistakes and "type" not in said:
        mistakes.append(FieldMistake((), "an event needs a type; add event: StageChanged, or another one"))
    if mistakes:
        raise BadFields(mistakes)
    if said["type"] in CANDIDATE_TYPES:
        said["candidate"] = {"id": "1"} | said.get("candidate", {})
    if said["type"] not in CANDIDATE_TYPES or "application" in said:
        said["application"] = {"id": "1"} | said.get("application", {})
    if said["type"] == EventType.STAGE_CHANGED:
        stage = said["application"].get("stage", {}) | said.get("to_stage", {})
        said["application"]["stage"] = said["to_stage"] = stage
    unsaid = _UNSAID | {"source": source, "vendor": vendor, "received_at": datetime.now(UTC)}
    try:
        return Event.model_validate(unsaid | said)
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"] if isinstance(step, str))
        raise BadFields([FieldMistake((), f"{where}: {first['msg']}")]) from None


def events_of_body(handler: Handler, source: str, stages: StageKinds, body: bytes) -> list[Event]:
    """The events of a recorded webhook, as if it were the first that is heard of its application.

    Raises:
        NoEvents: there are none.
    """
    receipt = Receipt([], body, datetime.now(UTC))
    normalised = read_body(handler, receipt)
    events = events_told(handler, receipt, normalised, source=source, stages=stages)
    if not events:
        is_drift = normalised.disposition is Disposition.DRIFT
        what = "it can't be read" if is_drift else f"it becomes no event ({normalised.disposition})"
        raise NoEvents(f"{what}: {normalised.reason}" if normalised.reason else what, is_drift=is_drift)
    return events


def _put_all(said: dict[str, Any], fields: Mapping[str, object]) -> Iterator[FieldMistake]:
    names: dict[tuple[str, ...], str] = {}
    for name, written in fields.items():
        try:
            field = field_at(name)
        except UnknownField as unknown:
            yield FieldMistake((name,), str(unknown), is_field=True)
            continue
        if first := names.get(field.steps):
            yield FieldMistake((name,), f"{quoted(name)} and {quoted(first)} are the same field; say it once", True)
            continue
        names[field.steps] = name
        mistakes, values = _values(name, field, written)
        yield from mistakes
        if not mistakes:
            _put(said, Event, _steps(field, values), values)


def _steps(field: Field, values: Sequence[object]) -> tuple[str, ...]:
    """A person is named by name or by address, as in rules; a message needs to know which one it is."""
    is_person = Shape.at(field.path).annotation is Person
    if is_person and all(_ADDRESS.fullmatch(str(value)) for value in values):
        return (*field.steps[:-1], "email")
    return field.steps


def _values(name: str, field: Field, written: object) -> tuple[list[FieldMistake], list[object]]:
    """What is wrong with a value or its items, and the values as the event has them."""
    if field.kind is Kind.FREE:
        return [], [written]
    items = written if isinstance(written, list) else [written]
    if len(items) != 1 and not _has_several(Event, field.steps):
        return [FieldMistake((name,), f"{quoted(name)} has one value, not a list")], []
    mistakes, values = [], []
    for i, item in enumerate(items):
        value, problem = _value(name, field, item)
        if problem:
            mistakes.append(FieldMistake((name, i) if isinstance(written, list) else (name,), problem))
        values.append(value)
    return mistakes, values


def _value(name: str, field: Field, written: object) -> tuple[object, str]:
    """The value as the event has it, or what is wrong with it."""
    if written is None or isinstance(written, dict | list):
        return None, f"{quoted(name)} must be a value; a field of a field is written with a dot, as in job.title"
    text = folded(text_of(written))
    match field.kind:
        case Kind.CHOICE:
            value: object = {folded(choice): choice for choice in field.choices}.get(text)
            hint = did_you_mean(text, field.choices) or "."
            problem = f"{quoted(name)} is never {quoted(written)}{hint} It can be {listed(field.choices)}"
        case Kind.BOOL:
            value, problem = _TRUTH.get(text), f"{quoted(name)} is true or false, never {quoted(written)}"
        case Kind.NUMBER:
            value = int(text) if _NUMBER.fullmatch(text) else None
            problem = f"{quoted(name)} is a whole number, never {quoted(written)}"
        case Kind.MOMENT:
            value = moment_of(written)
            problem = f"{quoted(name)} must be a date like 2026-01-31, or a time like 2026-01-31T09:00:00Z"
        case _ if isinstance(written, bool | float):
            value, problem = None, f'{quoted(name)} is a text; put the value in quotes: "{quoted(written)}"'
        case _:
            value = None if "*" in text else str(written)
            problem = f"{quoted(name)} is what an event has, not a pattern: write a text without *"
    return value, problem if value is None else ""


def _put(node: dict[str, Any], model: type[BaseModel], steps: Sequence[str], values: Sequence[object]) -> None:
    """Put values where ``steps`` lead; several go into as many items of the list on the way."""
    step, *rest = steps
    annotation = model.model_fields[step].annotation
    inner = _model_in(annotation)
    if not rest:
        node[step] = list(values) if _is_list(annotation) else values[0]
    elif inner is None:  # a map of custom fields
        node.setdefault(step, {})[rest[0]] = values[0]
    elif _is_list(annotation):
        items = node.setdefault(step, [])
        items += [{} for _ in range(len(values) - len(items))]
        for item, value in zip(items, values, strict=False):
            _put(item, inner, rest, [value])
    else:
        _put(node.setdefault(step, {}), inner, rest, values)


def _has_several(model: type[BaseModel] | None, steps: Sequence[str]) -> bool:
    if model is None or not steps:
        return False
    annotation = model.model_fields[steps[0]].annotation
    return _is_list(annotation) or _has_several(_model_in(annotation), steps[1:])


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
