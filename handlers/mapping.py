"""Mappings: a vendor described in YAML. This is what can be written there; it is all checked when it is loaded.

``event`` says where the event's name is, ``events`` what each becomes, ``fields`` where each common field is in the
body, and ``values`` what the vendor's words mean. `handlers.mapped` makes facts of bodies with it.
"""

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, NewType, Self, TypeAlias, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from handlers.expressions import BadExpression, expression
from handlers.reading import is_not_asked_for
from handlers.settings import SecretSettings
from router.schema import (
    CANDIDATE_TYPES,
    EventType,
    InterviewStatus,
    OfferStatus,
    Outcome,
    RejectionKind,
    StageKind,
    Told,
)
from router.secret import Reference
from router.wording import did_you_mean, listed, nearest, quoted

Problem: TypeAlias = tuple[tuple[str, ...], str]
"""Where among the settings something is wrong, and what."""

# texts of the common event that are read in a way of their own
Id = NewType("Id", str)
Version = NewType("Version", str)
Day = NewType("Day", str)
DayOrTime = NewType("DayOrTime", str)

SNAPSHOT = "snapshot"
NO_FACTS = ("ignored", "ping", "signal")
_MEANINGS = (*EventType, SNAPSHOT, *NO_FACTS)
_SPECIAL = {
    **dict.fromkeys(("id", "remote_id", "requisition_id", "merged_into", "vendor_event_id"), Id),
    "vendor_version": Version,
    "start_date": Day,
    **dict.fromkeys(("sent_at", "resolved_at"), DayOrTime),
}
_NOT_MAPPED = {"type", "vendor_event", "recovered", "application.previous_outcome"}
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STAGES = ("to_stage.name", "to_stage.id", "application.stage.name", "application.stage.id")


def _single(annotation: Any) -> Any:
    """The type of a field without its being optional or annotated; of a list the list."""
    while get_origin(annotation) in (Union, types.UnionType, Annotated):
        annotation = next(part for part in get_args(annotation) if part is not types.NoneType)
    return annotation


def _fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        path, kind = prefix + name, _single(info.annotation)
        if path in _NOT_MAPPED:
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields_of(kind, f"{path}.")
        else:
            yield path, _SPECIAL.get(name, kind)


FIELDS: Mapping[str, Any] = dict(_fields_of(Told))
"""Every common field that a mapping can fill, by its dotted path, and of which type it is."""


def custom_field(field: str) -> tuple[str, str] | None:
    """The owner's path and the name, where a field is a single custom one: ``job.custom_fields``, ``team``."""
    owner, _, name = field.partition(".custom_fields.")
    whole = f"{owner}.custom_fields"
    return (whole, name) if name and whole in FIELDS else None


def _known_field(name: str) -> str:
    if name in FIELDS:
        return name
    if (custom := custom_field(name)) is not None:
        if is_not_asked_for(custom[1]):
            raise PydanticCustomError("field", "birth dates, social security numbers and EEO answers are never kept")
        return name
    if inner := [path for path in FIELDS if path.startswith(f"{name}.")]:
        raise PydanticCustomError("field", f"this holds several fields; name one with a dot: {listed(inner)}")
    last = {path.rpartition(".")[2]: path for path in sorted(FIELDS, key=len, reverse=True)}
    meant = last.get(name) or nearest(name, FIELDS)
    hint = f"did you mean {quoted(meant)}?" if meant else "names are like application.id or to_stage.name"
    raise PydanticCustomError("field", f"the common event has no such field; {hint}")


def _checked_expression(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        expression(text)
    except BadExpression as bad:
        # what a reference stands for is not quoted
        problem = "what this stands for is no JMESPath expression" if isinstance(text, Reference) else str(bad)
        raise PydanticCustomError("expression", problem) from None
    return text


def header_name(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise PydanticCustomError("header", "this is no name of a header, which is like X-Event-Type")
    return name.lower()


def _meaning(word: str) -> str:
    if word not in _MEANINGS:
        hint = did_you_mean(word, _MEANINGS) or "."
        known = f"It can become one of {listed(_MEANINGS)}"
        raise PydanticCustomError("meaning", f"an event can't become {quoted(word)}{hint} {known}")
    return word


def _as_settings(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


FieldName = Annotated[str, AfterValidator(_known_field)]
Path = Annotated[str, BeforeValidator(_checked_expression)]
"""A JMESPath expression."""

HeaderName = Annotated[str, AfterValidator(header_name)]
"""In lower case."""


class Part(BaseModel):
    """Settings within the settings of a source."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class InHeader(Part):
    header: HeaderName = Field(description="the name of a header")


def _is_where(value: object) -> str:
    return "in a header" if isinstance(value, (dict, InHeader)) else "in the body"


Where = Annotated[
    Annotated[Path, Tag("in the body")] | Annotated[InHeader, Tag("in a header")], Discriminator(_is_where)
]
"""An expression on the body, or the name of a header."""


class EventSettings(Part):
    """What one event of the vendor becomes."""

    type: Annotated[str, AfterValidator(_meaning)] = Field(
        description="what the event becomes: a type like StageChanged, snapshot, ignored, ping or signal"
    )
    fields: Mapping[FieldName, Path] = Field({}, description="where fields are in this event, if not where in others")

    @property
    def makes_facts(self) -> bool:
        return self.type not in NO_FACTS

    @property
    def event_type(self) -> EventType:
        return EventType.APPLICATION_UPDATED if self.type == SNAPSHOT else EventType(self.type)


_ShortOrWhole = BeforeValidator(_as_settings, json_schema_input_type=str | EventSettings)


class Values(Part):
    """The vendor's words, and what they mean in ours. ``*`` stands for anything; our own words need no entry."""

    outcome: Mapping[str, Outcome] = Field({}, description="words of application.outcome")
    stage_kind: Mapping[str, StageKind] = Field({}, alias="stage.kind", description="the vendor's types of stages")
    rejection_kind: Mapping[str, RejectionKind] = Field(
        {}, alias="rejection_reason.kind", description="who decided: the company or the candidate"
    )
    offer_status: Mapping[str, OfferStatus] = Field({}, alias="offer.status", description="states of an offer")
    interview_status: Mapping[str, InterviewStatus] = Field(
        {}, alias="interview.status", description="states of an interview"
    )

    @property
    def by_type(self) -> Mapping[type[StrEnum], Mapping[str, StrEnum]]:
        return {
            Outcome: self.outcome,
            StageKind: self.stage_kind,
            RejectionKind: self.rejection_kind,
            OfferStatus: self.offer_status,
            InterviewStatus: self.interview_status,
        }


class MappingSettings(SecretSettings):
    """For sources whose events and fields the configuration describes."""

    event: Where = Field(description="where the event's name is: an expression like data.type, or {header: NAME}")
    events: Mapping[str, Annotated[EventSettings, _ShortOrWhole]] = Field(
        {}, description="what each event becomes, by its name; * stands for anything"
    )
    each: Path | None = Field(
        None, description="the list in a body that tells of several; item is then the one, body the whole"
    )
    fields: Mapping[FieldName, Path] = Field({}, description="where each field of the common event is in the body")
    values: Values = Field(Values(), description="what the vendor's words mean")
    account: Path | None = Field(None, description="where the customer account is, if one URL serves several")

    def fields_in(self, event: EventSettings) -> Mapping[str, str]:
        """Where each field is in an event: its own places go before those of all."""
        return {**self.fields, **event.fields}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_faults(type(self).__name__, self._faults())
        return self

    def _faults(self) -> Iterator[Problem]:
        yield from self._faults_of(("fields",), self.fields)
        for name, event in self.events.items():
            yield from self._faults_of(("events", name, "fields"), event.fields)
            if event.makes_facts and (problem := _lacks(event, self.fields_in(event))):
                yield ("events", name), problem
        for key in ("event", "account", "dedupe"):
            place = getattr(self, key, None)
            if isinstance(place, str) and (problem := self._out_of_scope(place)):
                yield (key,), problem

    def _faults_of(self, loc: tuple[str, ...], fields: Mapping[str, str]) -> Iterator[Problem]:
        for name, text in fields.items():
            if problem := _only_a_word(FIELDS.get(name), text) or self._out_of_scope(text):
                yield (*loc, name), problem

    def _out_of_scope(self, text: str) -> str | None:
        steps = expression(text).steps if self.each else None
        if not steps or steps[0] in ("item", "body"):
            return None
        return 'because of "each", a place begins with item. (the one in the list) or body. (the whole)'


def raise_faults(title: str, faults: Iterable[Problem]) -> None:
    """Raise what settings get wrong together, each at its place.

    Raises:
        ValidationError: there is a fault.
    """
    errors = [
        InitErrorDetails(type=PydanticCustomError("unfit", sentence), loc=loc, input=None) for loc, sentence in faults
    ]
    if errors:
        raise ValidationError.from_exception_data(title, errors)


def _lacks(event: EventSettings, fields: Mapping[str, str]) -> str | None:
    """What the events of a type are nothing without, if no field says where it is."""
    needed: list[tuple[str, ...]] = [("application.id",)]
    if event.event_type in CANDIDATE_TYPES:
        needed = [("candidate.id",)]
    elif event.event_type is EventType.STAGE_CHANGED:
        needed.append(_STAGES)
    elif event.event_type is EventType.OUTCOME_CHANGED:
        needed.append(("application.outcome",))
    for names in needed:
        if not any(name in fields for name in names):
            return f"to become {event.type} it needs {listed(names)}; say under fields where in the body that is"
    return None


def _only_a_word(kind: Any, text: str) -> str | None:
    """What is wrong with ``application.outcome: HIRED``."""
    if isinstance(kind, type) and issubclass(kind, StrEnum) and text in set(kind):
        return (
            f"this is a place in the body named {text}; write \"'{text}'\" in both kinds of quotes for the word itself"
        )
    return None
