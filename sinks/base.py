"""The interface of a sink: one event in, one attempt, one outcome.

A sink is one module in this package with one subclass of `Sink`. It attempts; the router decides when to try again,
keeps order and records. It never touches Redis, the configuration file or another sink.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from router.client import Client
from router.schema import Event
from router.units import Seconds

RESPONSE_KEPT = 2048
"""Bytes of a target's answer that are kept with the attempt."""


class Result(StrEnum):
    """How an attempt ended.

    `AMBIGUOUS`: the request may or may not have taken effect (time-out or reset after sending, a worker that died).
    `PERMANENT`: the same request will never succeed.
    """

    DELIVERED = "delivered"
    RETRY = "retry"
    AMBIGUOUS = "ambiguous"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt gave. ``reason`` is a short label (``http_503``, ``refused``) that metrics and people read.

    ``retry_after`` is in seconds, as the target asked for; ``response`` at most `RESPONSE_KEPT` bytes, as text.
    """

    result: Result
    reason: str
    code: int | None = None
    response: str = ""
    retry_after: float | None = None


class SinkProblem(Exception):
    """The sink can't work as it is set up. The text says what is wrong and what to do, without any secret."""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one sink. ``id`` is the idempotency key: the same for every attempt.

    ``event_body`` is the event as JSON; ``body`` what the sink rendered of it, empty only before that. Both are byte
    for byte the same at every attempt.
    """

    id: str
    event_body: bytes
    body: bytes = b""

    @cached_property
    def event(self) -> Event:
        return Event.model_validate_json(self.event_body)


class RetrySettings(BaseModel):
    """Exponential back-off with full jitter: the n-th wait is random below ``first`` x 4^n, at most ``longest``.

    The defaults spread 12 tries over 3 days on average.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    tries: int = Field(12, ge=1, le=100, description="After so many tries the delivery is dead.")
    first: Seconds = Field(1.0, gt=0, description="The longest first wait; it grows fourfold with each try.")
    longest: Seconds = Field(60 * 3600.0, gt=0, le=7 * 86400.0, description="No wait is longer than this.")


class SinkSettings(BaseModel):
    """Settings that every sink has; a sink's own settings extend them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    type: str = Field(description="What kind of place it is.")
    timeout: Seconds = Field(
        15.0, gt=0, le=300, description="Time limit of one attempt, from connecting to the last byte."
    )
    concurrency: int = Field(64, ge=1, le=1000, description="Attempts at the same time, per worker.")
    retry: RetrySettings = Field(RetrySettings(), description="How often and when what failed is tried again.")


class Sink(ABC):
    """One configured destination. Made once per worker, with the sink's settings and the shared HTTP client."""

    sink_type: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[SinkSettings]]

    @abstractmethod
    def __init__(self, settings: SinkSettings, client: Client) -> None: ...

    @abstractmethod
    def target(self, event: Event) -> str:
        """Where this event goes: the channel, table or URL. Part of the delivery's id, never logged."""

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

    @abstractmethod
    async def attempt(self, delivery: Delivery) -> Outcome:
        """Try once, within ``settings.timeout``. Every failure is an `Outcome`, never an exception."""
