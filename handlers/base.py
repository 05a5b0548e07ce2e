"""The interface of a vendor handler: bytes in, facts out, no state.

A handler is one module in this package with one subclass of `Handler`. It says how the vendor signs, what its events
are called and where the fields are; everything else is done by the router. It never touches Redis, the configuration
file or another handler.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from router.schema import EventType, Fact, Outcome
from router.secret import Secret
from router.units import OneOrSeveral

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


class SourceSettings(BaseModel):
    """Settings that every source has; a handler's own settings extend them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    vendor: str
    enabled: bool = True

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every secret that is valid now, the one to sign with first."""
        return ()


class SignedSettings(SourceSettings):
    """For vendors that sign. While a secret is being changed both the new and the old one are valid."""

    secret: OneOrSeveral[Secret] = Field(
        min_length=1, description="what the vendor signs with, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}"
    )

    @field_validator("secret")
    @classmethod
    def _none_is_blank(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(secret.get_secret_value().strip() for secret in secrets):
            raise PydanticCustomError("blank_secret", "a secret is empty, so that anyone could sign with it")
        return secrets

    @property
    def secrets(self) -> tuple[bytes, ...]:
        return tuple(secret.get_secret_value().encode() for secret in self.secret)


class Handler(ABC):
    """One vendor. Made once per source, with that source's settings."""

    vendor: ClassVar[str]
    title: ClassVar[str]
    Settings: ClassVar[type[SourceSettings]]
    registration: ClassVar[str]
    """Where a person enters the URL in the ATS, and what else to enter there, in one or two sentences."""

    kept_headers: ClassVar[frozenset[str]] = frozenset()
    """Lower-case names of the headers that are kept with the receipt; never one that carries a secret."""

    def __init__(self, settings: SourceSettings) -> None:
        """``settings`` is an instance of the class's own ``Settings``."""
        self.settings = settings

    @abstractmethod
    def verify(self, receipt: Receipt) -> None:
        """Return if the request came from the vendor; fail closed and in constant time otherwise.

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
    def sign(self, body: bytes, at: datetime) -> dict[str, str]:
        """The headers with which the vendor would send ``body``, signed with the first secret of the settings."""

    @abstractmethod
    def sample(self, step: Sample) -> bytes:
        """The body with which the vendor would tell ``step``. Normalising it gives the step back."""

    def read(self, receipt: Receipt) -> Normalised:
        """`normalise`, with drift as an answer. Never raises: what is signed is kept, whatever it holds."""
        try:
            return self.normalise(receipt)
        except Drift as drift:
            return Normalised(Disposition.DRIFT, reason=str(drift))
        except Exception as error:  # a fault of ours must not cost the vendor's event: it is kept and can be replayed
            log.exception("the %s handler failed; the request is kept as drift", self.vendor)
            return Normalised(Disposition.DRIFT, reason=f"the handler failed with {type(error).__name__}")
