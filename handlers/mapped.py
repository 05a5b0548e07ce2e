"""Facts of bodies with a mapping: what `handlers.mapping` lets one write, compiled once for each source."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeAlias

from handlers.base import Disposition, Drift, Handler, Normalised, Receipt, Sample, ignored
from handlers.conversions import Reader, Words, readers
from handlers.expressions import Getter, expression, find
from handlers.made_up import made_up_bodies
from handlers.mapping import FIELDS, SNAPSHOT, EventSettings, InHeader, MappingSettings, custom_field
from handlers.reading import Node, whole_name
from handlers.settings import SourceSettings
from router.schema import (
    CANDIDATE_TYPES,
    Application,
    Candidate,
    EventType,
    Fact,
    Interview,
    Job,
    Model,
    Offer,
    Person,
    RejectionReason,
    Stage,
)

Soft: TypeAlias = dict[str, None]

MOST_ITEMS = 1000
"""Of a list in a body, so that one request can't keep the receiver busy."""

_MODELS: Mapping[str, type[Model]] = {
    "application": Application,
    "application.stage": Stage,
    "application.rejection_reason": RejectionReason,
    "application.referrer": Person,
    "candidate": Candidate,
    "job": Job,
    "from_stage": Stage,
    "to_stage": Stage,
    "actor": Person,
    "interview": Interview,
    "offer": Offer,
}
_NOT_OF_CANDIDATES = {"application", "job", "from_stage", "to_stage", "interview", "offer"}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What of one object of a fact a mapping fills: leaves (attribute, field, reader), custom fields (name, field) and
    the objects in it."""

    model: type[Model]
    leaves: Sequence[tuple[str, str, Reader]]
    custom: Sequence[tuple[str, str]]
    inner: "Sequence[tuple[str, _Shape]]"

    def values(self, found: Node) -> dict[str, Any]:
        values, raw = {}, found.raw
        for key, name, read in self.leaves:
            if raw[name] is not None and ((value := read(found, name)) or value == 0):
                values[key] = value
        for key, shape in self.inner:
            if (inner := shape.build(found)) is not None:
                values[key] = inner
        if named := {key: value for key, name in self.custom if (value := found.json(name)) is not None}:
            values["custom_fields"] = {**values.get("custom_fields", {}), **named}
        return values

    def build(self, found: Node) -> Model | None:
        values = self.values(found)
        if self.model is Candidate and "name" not in values:
            name = whole_name(values.get("first_name"), values.get("last_name"))
            values |= {"name": name} if name else {}
        return self.model(**values) if values else None


def _shape(path: str, read: Mapping[Any, Reader], names: Sequence[str]) -> _Shape:
    """The shape of the object at a path, of which the fields with these names are filled."""
    prefix = f"{path}." if path else ""
    mine = [name for name in names if name.startswith(prefix)]
    leaves = [name for name in mine if name in FIELDS and name.rpartition(".")[0] == path]
    customs = [
        (custom[1], name) for name in mine if (custom := custom_field(name)) and custom[0].rpartition(".")[0] == path
    ]
    inner = [below for below in _MODELS if below.rpartition(".")[0] == path]
    return _Shape(
        _MODELS.get(path, Fact),
        [(name.removeprefix(prefix), name, read[FIELDS[name]]) for name in leaves],
        customs,
        [
            (below.removeprefix(prefix), _shape(below, read, mine))
            for below in inner
            if any(name.startswith(f"{below}.") for name in mine)
        ],
    )


class _Plan:
    """An event of the vendor that makes facts."""

    def __init__(self, event: EventSettings, settings: MappingSettings, shape_of: Callable[..., _Shape]) -> None:
        self.type = event.event_type
        self._is_snapshot = event.type == SNAPSHOT
        self._of_candidate = self.type in CANDIDATE_TYPES
        fields = settings.fields_in(event)
        names = tuple(name for name in fields if self._tells(name.partition(".")[0], own=name in event.fields))
        self._needed = ["candidate.id"] if self._of_candidate else []
        self._needed += ["application.id"] if any(name.startswith("application.") for name in names) else []
        self._getters = [(name, expression(fields[name]).get) for name in names]
        self._shape = shape_of(names)

    def _tells(self, root: str, *, own: bool) -> bool:
        """An event of a candidate is about no application, unless it says so itself."""
        if self._of_candidate:
            return root not in _NOT_OF_CANDIDATES or (own and root in ("application", "job"))
        return root != "from_stage" or self.type is EventType.STAGE_CHANGED

    def fact(self, scope: object, vendor_event: str, soft: Soft) -> Fact:
        found = Node(self._found(scope), None, "", soft)
        for name in self._needed:
            found.need_id(name)
        values = self._shape.values(found)
        if not self._of_candidate:
            self._settle_stage(values)
            self._check_outcome(values, found)
        return Fact(type=self.type, vendor_event=vendor_event, is_snapshot=self._is_snapshot, **values)

    def _found(self, scope: object) -> dict[str, object]:
        try:
            return {name: get(scope) for name, get in self._getters}
        except Exception:  # one of them can't take what the body holds
            return {name: find(get, scope) for name, get in self._getters}

    def _settle_stage(self, values: dict[str, Any]) -> None:
        """A stage is the present one and, of a move, the one moved to: either tells the other."""
        application, moved_to = values["application"], values.pop("to_stage", None)
        if self.type is EventType.STAGE_CHANGED:
            stage = moved_to or application.stage
            if stage is None or not (stage.id or stage.name):
                raise Drift("to_stage", "is missing")
            values["to_stage"] = stage
        else:
            stage = application.stage or moved_to
        if stage is not application.stage:
            values["application"] = application.model_copy(update={"stage": stage})

    def _check_outcome(self, values: dict[str, Any], found: Node) -> None:
        if self.type is EventType.OUTCOME_CHANGED and values["application"].outcome is None:
            missing = found.raw["application.outcome"] in (None, "")
            raise Drift("application.outcome", "is missing" if missing else "is a word that values: does not explain")


class MappedHandler(Handler):
    """A handler whose source says in the configuration what its events are."""

    settings: MappingSettings

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        shape_of = cache(partial(_shape, "", readers(self.settings)))  # most events have the same fields
        self._events: Words[_Plan | str] = Words(
            {
                name: _Plan(event, self.settings, shape_of) if event.makes_facts else event.type
                for name, event in self.settings.events.items()
            }
        )
        self._event = getter_at(self.settings.event)
        self._each = getter_at(self.settings.each) if self.settings.each else None
        self._account = getter_at(self.settings.account)

    def dedupe(self, receipt: Receipt, scope: object, vendor_event: str) -> str | None:
        """As `Normalised.dedupe`; ``scope`` is what expressions look at."""
        return None

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body, several=True).raw
        soft: Soft = {}
        scopes = self._scopes(body)
        told = [self._told(receipt, scope, soft) for scope in scopes]
        first = next((one for one in told if one.facts), told[0])
        account = Node({"account": find(self._account, scopes[0])}, None, "", soft).id("account")
        return Normalised(
            first.disposition,
            first.vendor_event,
            tuple(fact for one in told for fact in one.facts),
            account=account,
            dedupe=self.dedupe(receipt, scopes[0], str(first.vendor_event)),
            reason=first.reason,
            soft_drift=tuple(soft),
        )

    def sample(self, step: Sample) -> bytes:
        for name, body in made_up_bodies(self.settings, step):
            where = self.settings.event
            headers = [(where.header, name)] if isinstance(where, InHeader) else []
            if self._says(self.read(Receipt(headers, body, step.at)), step):
                return body
        raise ValueError(f"nothing under events: and fields: of this source makes a sample of {step.type}")

    def _says(self, told: Normalised, step: Sample) -> bool:
        outcomes = (step.outcome,) if step.type is EventType.OUTCOME_CHANGED else (step.outcome, None)
        return any(fact.application is not None and fact.application.outcome in outcomes for fact in told.facts)

    def _scopes(self, body: dict[str, object]) -> list[dict[str, object]]:
        """What expressions look at: the body or, with ``each``, every item of the list and the body beside it."""
        if self._each is None:
            return [body]
        items = find(self._each, body)
        if items is None or items == []:
            return [{"body": body, "items": items}]
        if isinstance(items, dict):
            items = [items]
        if not isinstance(items, list) or len(items) > MOST_ITEMS:
            raise Drift("each", f"is not a list of at most {MOST_ITEMS}")
        return [{"body": body, "item": item} for item in items]

    def _told(self, receipt: Receipt, scope: dict[str, object], soft: Soft) -> Normalised:
        name = self._name(receipt, scope)
        meaning = self._events.get(name)
        if isinstance(meaning, _Plan):
            if self._each is not None and "item" not in scope:
                if scope["items"] is None:
                    raise Drift("each", "is missing")
                return ignored(name, "there is nothing in its list")
            return Normalised(Disposition.EVENTS, name, (meaning.fact(scope, name, soft),))
        if meaning is None or meaning == Disposition.IGNORED:
            return ignored(name, self._why_ignored(meaning))
        return Normalised(Disposition(meaning), name)

    def _name(self, receipt: Receipt, scope: object) -> str:
        where = self.settings.event
        value = receipt.header(where.header) if isinstance(where, InHeader) else find(self._event, scope)
        if type(value) is int:
            return str(value)
        if not isinstance(value, str) or not value:
            raise Drift("event", "is missing" if value in (None, "") else "is not a text")
        return value

    def _why_ignored(self, meaning: str | None) -> str:
        if meaning is not None:
            return "the configuration says so"
        if not self.settings.events:
            return "nothing is configured; say under events: of this source what each event becomes"
        return "nothing under events: of this source is about it"


def getter_at(place: str | InHeader | None) -> Getter:
    """What finds the value of an expression; of what is not in the body it finds nothing."""
    return expression(place).get if isinstance(place, str) else _nothing


def _nothing(_: object) -> None:
    return None
