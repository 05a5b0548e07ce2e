"""What the ledger keeps of sources: registrations at vendors, how their APIs answer, and how far polling came."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from handlers.connecting import Hook
from router.schema import Model


@dataclass(frozen=True, slots=True)
class KeptHook:
    """A registration at a vendor, and the URL that it was made for."""

    hook: Hook
    url: str


@dataclass(frozen=True, slots=True)
class ApiState:
    """How a vendor's API answers; ``problem`` is None where it does as it should. ``refused``: it is the credentials;
    ``times``: how often it was noted."""

    problem: str | None
    since: datetime
    refused: bool = False
    times: int = 1


class RunningPass(Model):
    """A pass over a vendor's list that has not come to its end; ``began`` is in unix seconds, ``cursor`` the next page.
    ``changed``: how many rows were not as they were seen before."""

    id: str
    began: float
    everything: bool
    cursor: str | None = None
    pages: int = 0
    rows: int = 0
    changed: int = 0


class PollState(Model):
    """How far polling of a source came. Times are in unix seconds."""

    first_contact: float = 0.0
    knows_all: bool = Field(False, description="A pass over everything came to its end.")
    since: float | None = Field(None, description="What changed until then was read.")
    mark: str | None = Field(None, description="What the adapter left for the next pass.")
    everything_at: float = Field(0.0, description="When the last pass over everything began.")
    running: RunningPass | None = None
    last: RunningPass | None = Field(None, description="The last pass that came to its end.")
    next_at: float = 0.0
    failures: int = Field(0, description="How often it failed since it last went on.")


class Backfill(Model):
    """A backfill as it was asked for, and how far it came. Times are in unix seconds; ``to`` is a sink."""

    id: str
    since: float
    until: float
    to: str | None = None
    cursor: str | None = None
    rows: int = 0
    told: int = 0
