"""What goes into the ledger, lies in it and comes out of it, as types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from pydantic import Field, JsonValue

from handlers.base import Disposition
from router.identity import partition_in, subject_key
from router.schema import Event, EventType, Fact, Job, Model, Outcome, Stage
from sinks.base import Order, Result


class ReceiptRecord(Model):
    """One inbound request, kept beside its body. The path's rest and headers that carry secrets are not in it."""

    source: str
    vendor: str
    account: str | None = None
    received_at: datetime
    disposition: Disposition
    vendor_event: str | None = None
    reason: str | None = None
    soft_drift: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    test: bool = False
    polled: bool = Field(False, description="It is a row of the vendor's API, no webhook.")


class ApplicationState(Model):
    """What the ledger knows of one application (or of a candidate, for events that have no application).

    A stage or outcome is *told* by an event that is about it, or only *mentioned* in passing by another one. What is
    only mentioned serves as the previous value, but never makes a later telling look like no news.
    """

    sequence: int = 0
    version: str | None = None
    stage: Stage | None = None
    outcome: Outcome | None = None
    told: frozenset[str] = frozenset()
    job: Job | None = Field(None, description="What was told of its job; nothing of the candidate is kept here.")
    content: str | None = Field(None, description="A digest of the rest that was last said of it.")
    heard_at: float | None = Field(
        None, description="Unix seconds: as of then it is known; what polling read earlier is outdated."
    )
    read_at: float | None = Field(
        None, description="Unix seconds: polling read it lastly; a webhook of an earlier move is late."
    )


class WaitingFact(Model):
    """One fact in the intake lane, with what its events need of the receipt."""

    receipt: str
    ordinal: int = Field(description="How many facts of the same type and subject stand before it in the receipt.")
    source: str
    vendor: str
    account: str | None = None
    received_at: datetime
    fact: Fact
    test: bool = False
    send_test: bool = Field(False, description="Deliver it to the sinks although it is a test.")
    polled: bool = Field(False, description="Read from the vendor's API, by polling, at `received_at`.")
    known: ApplicationState | None = Field(None, description="What polling saw of the application before.")
    only_to: tuple[str, ...] | None = Field(None, description="The sinks that get it, whatever the routes say.")


class DeliveryState(StrEnum):
    """`sending` is not stored: it is a pending delivery under a lease.

    `HELD`: it waits for a person, out of its line. `UNKNOWN`: it may have arrived, and is not sent again by itself.
    """

    PENDING = "pending"
    SENDING = "sending"
    HELD = "held"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def in_line(self) -> bool:
        """Whether it goes out by itself."""
        return self in (DeliveryState.PENDING, DeliveryState.SENDING)

    @property
    def terminal(self) -> bool:
        """Whether it is over, so that it is forgotten with its event."""
        return not self.in_line and self is not DeliveryState.HELD


class GateState(StrEnum):
    """Of a sink's breaker. `OPEN`: it fails; `PARKED`: it refuses us, and a person has to mend it. Both are probed."""

    CLOSED = ""
    OPEN = "open"
    PARKED = "parked"


class Attempt(Model):
    """One try of a delivery. ``ms`` is null where the worker died in mid-attempt."""

    at: datetime
    ms: int | None = None
    result: Result
    reason: str
    code: int | None = None
    response: str = ""
    spared: bool = Field(False, description="It does not count as a try: the sink as a whole failed.")
    times: int = Field(1, description="So many spared attempts in a row ended like this one, the last of them.")


APPROVED = "approved"


class Decision(Model):
    """What a person, or a time limit, decided about a delivery; ``word`` is what became of it by that."""

    word: str
    by: str
    at: datetime
    why: str | None = None


class DeliveryRecord(Model):
    sink: str
    routes: tuple[str, ...]
    overrides: Mapping[str, JsonValue] = Field({}, description="Settings of the sink as a route has them, as written.")
    state: DeliveryState = DeliveryState.PENDING
    reason: str | None = Field(None, description="Why it is held, skipped, unknown, cancelled or dead.")
    next_at: datetime | None = Field(None, description="When the next attempt is due, where one failed.")
    attempts: tuple[Attempt, ...] = ()
    forgiven: int = Field(0, description="How many of the first attempts no longer count as tries: it was put back.")
    order: Order = Field(Order.STRICT, description="That of its sink when it was routed.")
    replay: str | None = Field(None, description="The id of the replay that made it.")
    late: bool = Field(False, description="It was held or given up, and came back to the tail of its line.")
    decisions: tuple[Decision, ...] = ()
    review: bool = Field(False, description="It may be sent only once a person approved it.")
    reject_at: datetime | None = Field(None, description="When it counts as rejected, if nobody says a word.")

    @property
    def lacks_approval(self) -> bool:
        return self.review and not any(decision.word == APPROVED for decision in self.decisions)

    def line(self, delivery: str, event: Event) -> str:
        """The subject of the line that it waits in."""
        if self.order is Order.NONE:
            return delivery
        return subject_key(event.source, event.account, event.subject)


class ConfigState(Model):
    """What of a changed configuration a process does not use, and since when."""

    path: str
    since: datetime
    errors: int = Field(0, description="So many mistakes keep all of it from being used.")
    restart: tuple[str, ...] = Field((), description="Settings that are used only after a restart.")


class RulesChange(Model):
    """Since when rules are in use, and how they differ from those before."""

    hash: str
    at: datetime
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GateRecord:
    """How a sink does, as all workers know it. ``since`` and ``probe_at`` are in unix seconds; ``interval`` is the
    pause between attempts, in seconds, that it is slowed down to, 0 for none."""

    state: GateState = GateState.CLOSED
    since: float = 0.0
    reason: str = ""
    failures: int = 0
    probe_at: float = 0.0
    interval: float = 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Attempts that may begin, each in so many seconds: a probe where the ``state`` is not closed. Where there is none,
    ``wait`` says in how many seconds to ask again."""

    state: GateState
    wait: float
    turns: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """That polling saw a row: ``value`` is how, ``bucket`` the name of the hash that keeps it under ``subject``."""

    bucket: str
    subject: str
    value: bytes


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """A receipt to accept. ``facts`` are (subject, packed item) pairs, in the vendor's order; ``mark`` is kept with it,
    where it is a polled row."""

    id: str
    record: ReceiptRecord
    body: bytes
    facts: Sequence[tuple[str, bytes]]
    mark: Mark | None = None

    @property
    def partition(self) -> int:
        return partition_in(self.id)


@dataclass(frozen=True, slots=True)
class Claim:
    """A subject under lease. ``reclaimed``: an earlier lease of it ran out; ``deadline`` is on our monotonic clock."""

    partition: int
    subject: str
    token: bytes
    head: bytes
    reclaimed: bool
    deadline: float


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """``subject`` is None where it is only recorded, not sent. ``frozen`` is what its sink rendered already."""

    id: str
    record: DeliveryRecord
    subject: str | None
    frozen: bytes = b""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """``about``: by what it is found, see `identity.about_key`. ``recovered``: only polling told it."""

    id: str
    type: str
    body: bytes
    routes: Sequence[str]
    deliveries: Sequence[NewDelivery]
    about: Sequence[str] = ()
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class PutOff:
    """What was claimed can't be worked on yet. ``wait`` is in seconds."""

    claim: Claim
    wait: float


@dataclass(frozen=True, slots=True)
class Routed:
    """What intake made of one claimed fact. ``rules``: the hash of those that it went by."""

    claim: Claim
    receipt: str
    source: str
    state: ApplicationState
    events: Sequence[NewEvent]
    rules: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """How one claimed delivery went. ``wait`` is in seconds until the next attempt; None: there is none."""

    claim: Claim
    delivery: str
    record: DeliveryRecord
    wait: float | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one lane. ``due``: so many are, and nobody works on them. ``oldest_due`` is in seconds: how long
    the first subject has been due, or up to a minute more where its line goes on (see `lua/prelude.lua`)."""

    subjects: int
    leased: int
    due: int
    oldest_due: float


@dataclass(frozen=True, slots=True)
class StoredReceipt:
    """A receipt as it lies in the ledger. ``waiting``: facts that intake has not come to yet; ``events``: their ids."""

    record: ReceiptRecord
    body: bytes
    waiting: int
    events: Sequence[str]
    packed: bytes = b""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the ledger; ``deliveries`` by id, ``indexes`` by the names in their keys,
    ``rules`` the hash of those that routed it, empty where that was not recorded."""

    receipt: str
    body: bytes
    routes: Sequence[str]
    deliveries: Mapping[str, DeliveryRecord]
    indexes: Sequence[str] = ()
    rules: str = ""


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """``event`` is its JSON; ``frozen`` what the sink rendered of it; empty where that is the event itself.

    ``packed`` is the record byte for byte, to tell whether it changed meanwhile.
    """

    event: bytes
    record: DeliveryRecord
    frozen: bytes
    packed: bytes = b""


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of an index: an event, a delivery or a receipt, and when it came in, in unix seconds."""

    id: str
    at: float


@dataclass(frozen=True, slots=True)
class ListedDelivery:
    """A delivery as lists need it; ``at`` as in `Listed`."""

    id: str
    at: float
    record: DeliveryRecord


@dataclass(frozen=True, slots=True)
class Change:
    """A delivery that a person changes: as it was read, and its record as it shall be. ``line`` is the subject of its
    line."""

    delivery: str
    line: str
    before: StoredDelivery
    record: DeliveryRecord


class Changed(IntEnum):
    """What came of it. `OTHERWISE`: it was changed meanwhile; `DONE`; `DUE`: it was in its line, and is due now;
    `BEHIND`: another delivery of its line goes first; `SENDING`: it is on its way now. All but two change nothing."""

    OTHERWISE = 0
    DONE = 1
    DUE = 2
    BEHIND = 3
    SENDING = 4


class Replay(Model):
    """A replay as it was asked for, and how far it came. Times are in unix seconds; ``added`` is by sink."""

    id: str
    since: float
    until: float
    source: str | None = None
    type: EventType | None = None
    application: str | None = None
    to: str | None = None
    route: str | None = None
    force: bool = False
    reached: float = 0.0
    added: Mapping[str, int] = Field({})
    had_it: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """A receipt that is no drift any more: as it was read, its record as it shall be, and its facts."""

    receipt: str
    before: StoredReceipt
    record: ReceiptRecord
    facts: Sequence[tuple[str, bytes]]
