"""The interface of a sink: one event in, one attempt, one outcome.

A sink is one module in this package with one subclass of `Sink`. It attempts; the router decides when to try again,
keeps order and records. It never touches Redis, the configuration file or another sink.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from router.allowed import allow_list
from router.client import Client
from router.fields import Shape, UnknownField
from router.schema import Event
from router.templates import Asked
from router.units import OneOrSeveral, Rate, Seconds, Timezone
from router.wording import OF_ITS_OWNER, listed, quoted

RESPONSE_KEPT = 2048
"""Bytes of a target's answer that are kept with the attempt."""


class Result(StrEnum):
    """How an attempt ended.

    `AMBIGUOUS`: the request may or may not have taken effect (time-out or reset after sending, a worker that died).
    `REFUSED`: the target refuses us as we are set up, so a person has to mend it; all of the sink's deliveries wait.
    `PERMANENT`: the same request will never succeed.
    """

    DELIVERED = "delivered"
    RETRY = "retry"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"
    PERMANENT = "permanent"


class Order(StrEnum):
    """How the deliveries of one application to one sink go out.

    `STRICT`: in order of acceptance. `LATEST`: likewise, but what is no longer so is skipped. `NONE`: each for itself.
    """

    STRICT = "strict"
    LATEST = "latest"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt gave. ``reason`` is a short label (``http_503``, ``refused``) that metrics and people read.

    ``retry_after`` is in seconds, as the target asked for; ``response`` at most `RESPONSE_KEPT` bytes, as text.
    ``only_here``: it says something of this event's target, such as one channel of many, and nothing of the sink.
    """

    result: Result
    reason: str
    code: int | None = None
    response: str = ""
    retry_after: float | None = None
    only_here: bool = False


class SinkProblem(Exception):
    """The sink can't work as it is set up. The text says what is wrong and what to do, without any secret."""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one sink. ``id`` is the idempotency key: the same for every attempt.

    ``event_body`` is the event as JSON; ``body`` what the sink rendered of it, empty only before that. Both are byte
    for byte the same at every attempt. ``late``: it was held or given up, and later ones may have gone out before it.
    """

    id: str
    event_body: bytes
    body: bytes = b""
    late: bool = False

    @cached_property
    def event(self) -> Event:
        return Event.model_validate_json(self.event_body)


Place = tuple[str | int, ...]
"""Keys and list positions from a sink's settings to a value."""


def located(problems: Iterable[tuple[Place, str]], kind: str = "setting") -> ValidationError:
    """What a check of several values found: where in the settings, and in one sentence what to do."""
    lines = [
        InitErrorDetails(type=PydanticCustomError(kind, "{sentence}", {"sentence": sentence}), loc=place, input=None)
        for place, sentence in problems
    ]
    return ValidationError.from_exception_data("settings", lines)


def _known_fields(names: tuple[str, ...]) -> tuple[str, ...]:
    problems: list[tuple[Place, str]] = []
    for i, name in enumerate(names):
        try:
            Shape.at(name)
        except UnknownField as unknown:
            is_all = name.lower() in ("all", "everything", "*")
            problems.append(((i,), "without this line a sink gets all fields; remove it" if is_all else str(unknown)))
    if problems:
        raise located(problems)
    return names


class RetrySettings(BaseModel):
    """Exponential back-off with full jitter: the n-th wait is random below ``first`` x 4^n, at most ``longest``.

    The defaults spread 12 tries over 3 days on average.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tries: int = Field(12, ge=1, le=100, description="After so many tries the delivery is dead.")
    first: Seconds = Field(1.0, gt=0, description="The longest first wait; it grows fourfold with each try.")
    longest: Seconds = Field(60 * 3600.0, gt=0, le=7 * 86400.0, description="No wait is longer than this.")


class SinkSettings(BaseModel):
    """Settings that every sink has; a sink's own settings extend them.

    ``overridable`` are those that a route can have otherwise for itself; only of sinks whose `Sink.open` does nothing.
    ``needed`` are the fields that the sink can't work without.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    overridable: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[tuple[str, ...]] = ()

    type: str = Field(description="What kind of place it is.")
    enabled: bool = Field(
        True,
        description="false: it gets nothing; its deliveries are held until `ats-router release` sends or drops them.",
    )
    timeout: Seconds = Field(
        15.0, gt=0, le=300, description="Time limit of one attempt, from connecting to the last byte."
    )
    concurrency: int = Field(64, ge=1, le=1000, description="Attempts at the same time, per worker.")
    rate: Rate | None = Field(
        None, description="At most so many attempts, by all workers together: 10/s, 100/m, 2000/h."
    )
    order: Order = Field(
        Order.STRICT,
        description="strict: what is about one application goes out in order. latest: likewise, but a stage or outcome"
        " that is no longer so is skipped. none: each delivery for itself.",
    )
    retry: RetrySettings = Field(
        RetrySettings(),
        description="What failed is tried again: tries (12 of them, about three days), first and longest pause.",
    )
    timezone: Timezone = Field("UTC", description="Where its dates and times are. That of the company if left out.")
    fields: Annotated[OneOrSeveral[str], AfterValidator(_known_fields)] | None = Field(
        None, description="The only fields of events that it gets; without it, all. What says which event it is stays."
    )
    _written: Mapping[str, Any] = PrivateAttr({})

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, written: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        settings = check(written)
        if isinstance(written, Mapping):
            settings._written = written
        return settings

    @model_validator(mode="after")
    def _asks_for_what_it_gets(self) -> Self:
        if self.fields is None:
            return self
        allowed = allow_list(self.fields)
        if lacking := [name for name in self.needed if not allowed.covers(name)]:
            sentence = f"a sink of this type can't work without {listed(map(quoted, lacking), 'and')}; add it here"
            raise located([(("fields",), sentence)])
        problems = []
        for place, asked in self.asks():
            beyond = [each.path for each in asked if not (allowed.covers if each.whole else allowed.reaches)(each.path)]
            if beyond:
                names = listed(map(quoted, beyond), "and")
                problems.append((place, f"does not get {names}; add it to its fields, or do not ask for it here"))
        if problems:
            raise located(problems, OF_ITS_OWNER)
        return self

    def asks(self) -> Iterator[tuple[Place, Sequence[Asked]]]:
        """Which fields the settings ask for, and where in them."""
        return iter(())

    def advice(self) -> Iterator[tuple[Place, str]]:
        """What is right by itself and yet hardly meant, and where in the settings."""
        return iter(())

    def overridden(self, overrides: Mapping[str, Any]) -> Self:
        """The same settings, some of them otherwise.

        Raises:
            ValidationError: they can't be.
        """
        return type(self).model_validate({**self._written, **overrides})

    def let_through(self, event: Event) -> Event:
        """What of an event this sink may get."""
        return allow_list(self.fields).trimmed(event) if self.fields is not None else event


class Sink(ABC):
    """One configured destination. Made once per worker, with the sink's settings and the shared HTTP client."""

    sink_type: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[SinkSettings]]
    exactly_once: ClassVar[str]
    """Whether a repeat can be told there, in a few words for people."""

    target_rate: ClassVar[float | None] = None
    """At most so many attempts a second at each target, where the targets have a limit of their own."""

    gives_up_ambiguous: bool = False
    """Whether what may have arrived is not sent again, but left for a person to look at."""

    shows_after: float = 0.0
    """Seconds until `look_up` can see what arrived."""

    @abstractmethod
    def __init__(self, settings: SinkSettings, client: Client) -> None: ...

    @abstractmethod
    def target(self, event: Event) -> str:
        """Where this event goes: the channel, table or URL. Part of the delivery's id, never logged."""

    def unfit(self, event: Event) -> str | None:
        """The setting that gives something impossible for this event; None: none does."""
        return None

    async def open(self) -> None:
        """Get ready, before the first attempt. While it fails deliveries wait, and it is called again.

        Raises:
            SinkProblem: a person has to mend something.
        """
        return

    async def close(self) -> None:
        """Let go of what `open` took."""
        return

    def render(self, delivery: Delivery) -> bytes:
        """What `attempt` will send: the event as JSON, unless the sink has a form of its own. Pure; called once."""
        return delivery.event_body

    async def look_up(self, delivery: Delivery, since: datetime | None) -> Outcome | None:
        """Whether an earlier attempt arrived whose outcome is not known; asked before the next one.

        ``since`` is when the first attempt was, or None where that is not known. `DELIVERED`: it is there. `AMBIGUOUS`:
        it can't be told, and is left to a person. Another outcome: it can't be told now, so it is asked again later.
        None: it is not there, or there is no way to tell; it is sent again.
        """
        return None

    @abstractmethod
    async def attempt(self, delivery: Delivery) -> Outcome:
        """Try once, within ``settings.timeout``. Every failure is an `Outcome`, never an exception."""
