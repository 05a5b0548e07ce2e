"""Thin payloads: asking the vendor's API for what a webhook did not say.

A handler that can do it says how its API is reached (`Enriches.access`) and completes a fact (`Enriches.enrich`). The
router makes the calls: it keeps to the vendor's rate, waits where it is told to, remembers what was asked with
``cache``, and turns failures into the exceptions below. A handler lets those pass except `NotThere`.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from handlers.reading import Node
from router.access_token import Grant
from router.client import Client
from router.schema import Fact


class ApiProblem(Exception):
    """The API gave no usable answer. The text says why, without a secret or a candidate's data."""


class NotThere(ApiProblem):
    """The object is gone, or the API does not take such a question (400, 404, 410, 422): asking again is no use."""


class Refused(ApiProblem):
    """The credentials are not accepted (401, 403): somebody has to look."""


class Unavailable(ApiProblem):
    """For now (429, 5xx, no answer, garbage). ``wait``: seconds that the vendor asks to wait."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Session:
    """What logging in gives where a vendor has sessions: where the API is from then on, and what shows the session."""

    base: str
    headers: Mapping[str, str] = field(repr=False)


Login = Callable[[Client], Awaitable[Session]]
"""Logs in; raises `ApiProblem`."""


@dataclass(frozen=True, slots=True)
class Access:
    """``base``: the URL that paths are appended to. ``headers`` carry the credentials, names in lower case.

    ``per_second``: how many calls the vendor allows; ``at_once``: how many at the same time; ``timeout``: seconds that
    one may take. ``grant``: what the `authorization` header is had with, where it does not last; ``login``: what a
    session is had with, which ends when it is refused. ``user`` tells apart whose calls they are, where neither headers
    nor grant do.
    """

    base: str
    headers: Mapping[str, str] = field(repr=False)
    per_second: float = 5.0
    at_once: int = 4
    timeout: float = 10.0
    grant: Grant | None = None
    login: Login | None = None
    user: str = ""


def basic(user: str, password: str = "") -> str:
    """The value of `authorization` (RFC 7617)."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class Api(Protocol):
    """The vendor's API with the source's credentials. Every method raises `ApiProblem`."""

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, cache: float = 0.0) -> Node:
        """The JSON that GET answers; a list comes as an object with ``items``. ``cache``: seconds it may be reused."""

    async def linked(self, path: str, params: Mapping[str, str] | None = None) -> tuple[Node, str | None]:
        """As `get`, with the query of the address that the header Link (RFC 8288) names as the next page."""

    async def raw(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        """What is answered to a body that is no JSON, also where the status is 500: SOAP tells its faults with it."""

    async def send(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Node:
        """The JSON answer to a request with a JSON body; an empty object where the answer has no body."""


class Enriches(ABC):
    """A handler whose vendor sends bare ids."""

    @abstractmethod
    def access(self) -> Access | None:
        """How the API is reached; None without credentials: facts then go on with what they have."""

    @abstractmethod
    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        """What a fact with ``needs_enrichment`` says once its object was fetched: one fact or several, all of the same
        subject. What a signed webhook said stays; what only a hint said gives way to what was fetched.

        Raises:
            ApiProblem: it can't be fetched; but where the object is gone (`NotThere`), the fact goes on as it is.
            Drift: the API's answer lacks what it promises.
        """
