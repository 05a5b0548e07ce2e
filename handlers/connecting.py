"""Registering the router's URL through a vendor's API: for `ats-router connect`."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from handlers.enriching import Access, Api


@dataclass(frozen=True, slots=True)
class Hook:
    """One registration at the vendor. ``secret``: what the vendor made to sign with, where it makes one.

    ``expires_at``: when the vendor forgets it, where it does.
    """

    id: str
    events: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


class Connects(ABC):
    """A handler whose vendor lets webhooks be registered by its API."""

    @abstractmethod
    def access(self) -> Access | None:
        """How the API is reached; None without credentials."""

    @abstractmethod
    def plan(self, url: str) -> Sequence[str]:
        """What `connect` will do, a sentence each, with the vendor's names of the events. No secret is in it."""

    @abstractmethod
    def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        """Register ``url``. A hook is yielded as soon as it exists, and again (same id) with what is learnt later, so
        that nothing is lost when this breaks off.

        Raises:
            ApiProblem: the vendor did not do it.
        """

    @abstractmethod
    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        """The ids of those of ``hooks`` that exist at the vendor, are switched on and lead to ``url``.

        Raises:
            ApiProblem: the vendor could not be asked.
        """

    @abstractmethod
    async def remove(self, hook: Hook, api: Api) -> None:
        """Take back one registration; one that is gone already is no problem.

        Raises:
            ApiProblem: the vendor did not do it.
        """

    async def renew(self, hook: Hook, url: str, api: Api) -> Hook:
        """The same registration with a later end; only called for hooks that expire.

        Raises:
            ApiProblem: the vendor did not do it.
        """
        raise NotImplementedError
