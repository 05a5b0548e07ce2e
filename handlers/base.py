"""The interface of a vendor handler: bytes in, facts out, no state.

A handler is one module in this package with one subclass of `Handler`. It says how the vendor signs, what its events
are called and where the fields are; everything else is done by the router. It never touches Redis, the configuration
file or another handler.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, ClassVar

from handlers.guide import Guide
from handlers.settings import SourceSettings
from handlers.stages import StageKinds
from router.schema import EventType, Fact, Outcome, StageKind

log = logging.getLogger(__name__)


class Rejected(Exception):
    """The request did not come from the vendor, as far as can be told. The text says why, without any secret."""


class Drift(Exception):
    """A request that did come from the vendor lacks what its event name promises.

    ``path`` is where in the payload (``payload.application.id``), ``problem`` what is wrong there; no values in either.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class Disposition(StrEnum):
    """What became of one verified request. `REJECTED` is said of the others."""

    EVENTS = "events"
    PING = "ping"
    HANDSHAKE = "handshake"
    SIGNAL = "signal"
    IGNORED = "ignored"
    DRIFT = "drift"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One inbound request as it came. Header names are lower case; ``rest`` is what follows the source in the path."""

    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: datetime
    rest: str = ""

    def header(self, name: str) -> str | None:
        """The value of a header that came exactly once; None where it is missing or came more than once."""
        values = [value for key, value in self.headers if key == name]
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Post:
    """One request as the vendor would send it. ``rest`` is what follows the source's name in the path."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handshake must be answered with."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Normalised:
    """What a handler made of one request.

    ``dedupe`` is an id inside the signed bytes that is the same when the vendor sends this again; None stands for the
    hash of the body. ``soft_drift`` lists the paths of optional fields that were missing or of another type.
    """

    disposition: Disposition
    vendor_event: str | None = None
    facts: tuple[Fact, ...] = ()
    account: str | None = None
    dedupe: str | None = None
    reason: str | None = None
    soft_drift: tuple[str, ...] = ()
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One step of a made-up application, for `Handler.sample`: what a test command wants the vendor to have said."""

    type: EventType
    application_id: str
    candidate_name: str
    job_title: str
    at: datetime
    stage: str | None = None
    outcome: Outcome = Outcome.PENDING


class Handler(ABC):
    """One vendor. Made once per source, with that source's settings."""

    vendor: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[SourceSettings]]
    guide: ClassVar[Guide]

    kept_headers: ClassVar[frozenset[str]] = frozenset()
    """Lower-case names of the headers that are kept with the receipt; never one that carries a secret."""

    success: ClassVar[int] = 200
    """The status with which a webhook that is safe is answered."""

    secret_in_path: bool = False
    """Whether the source's URL ends with its secret."""

    stage_kinds: ClassVar[Mapping[StageKind, Sequence[str]]] = {}
    """Names of stages that mean a kind at every customer of this vendor, where the vendor tells it no other way."""

    def __init__(self, settings: SourceSettings) -> None:
        """``settings`` is an instance of the class's own ``Settings``."""
        self.settings = settings
        self.stage_patterns = StageKinds([*settings.stages.items(), *self.stage_kinds.items()])

    @abstractmethod
    def verify(self, receipt: Receipt) -> None:
        """Return if the request came from the vendor, or is a handshake, which can't be verified and is never an event;
        fail closed and in constant time otherwise.

        Raises:
            Rejected: the signature or secret is missing, malformed, outdated or wrong.
        """

    @abstractmethod
    def normalise(self, receipt: Receipt) -> Normalised:
        """Turn a verified request into facts.

        Raises:
            Drift: the payload lacks what its event name promises, or can't be read at all.
        """

    @abstractmethod
    def sign(self, body: bytes, at: datetime) -> Post:
        """The request with which the vendor would send ``body``, signed with the first secret of the settings.

        Raises:
            ValueError: the vendor sends nothing.
        """

    @abstractmethod
    def sample(self, step: Sample) -> bytes:
        """The body with which the vendor would tell ``step``. Normalising it gives the step back, as far as it says it.

        Raises:
            ValueError: the vendor has no webhook that tells this.
        """

    def read(self, receipt: Receipt) -> Normalised:
        """`normalise`, with stage kinds from the settings and drift as an answer. Never raises: what is signed is kept,
        whatever it holds."""
        try:
            return self.with_kinds(self.normalise(receipt))
        except Drift as drift:
            return Normalised(Disposition.DRIFT, reason=str(drift))
        except Exception as error:  # a fault of ours must not cost the vendor's event: it is kept and can be replayed
            log.exception("the %s handler failed; the request is kept as drift", self.vendor)
            return Normalised(Disposition.DRIFT, reason=f"the handler failed with {type(error).__name__}")

    def with_kinds(self, normalised: Normalised) -> Normalised:
        """The same, with the kinds of stages that the vendor told no kind of."""
        return replace(normalised, facts=tuple(map(self.with_kind, normalised.facts)))

    def with_kind(self, fact: Fact) -> Fact:
        """The same, for one fact."""
        return self.stage_patterns.complete(fact)


def windowed(receipt: Receipt, minutes: int = 10) -> str:
    """A `Normalised.dedupe` for bodies without time or id: the same bytes are the same event for some minutes only."""
    return f"{sha256(receipt.body).hexdigest()}:{int(receipt.received_at.timestamp() // (60 * minutes))}"


def ignored(vendor_event: str | None, reason: str, **more: Any) -> Normalised:
    """A genuine request that becomes no event. ``reason``: why, as a clause; ``more``: other fields of `Normalised`."""
    return Normalised(Disposition.IGNORED, vendor_event, reason=reason, **more)


NO_TYPE = "the common event has no type for it"
"""The reason for ignoring an event that the vendor documents, or one that nobody has heard of."""
