"""Polling: how the applications of one account are read from its vendor's API, page by page.

An adapter says which page to ask for and what a row means; everything else is done by the router: when to ask, the
vendor's rate, what to do about errors, which rows differ from what was seen before, and that nothing is lost or told
twice when a pass over the pages breaks off anywhere. An adapter holds no state: a page depends on its arguments only.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Generic, TypeVar

from handlers.base import Drift, Handler
from handlers.enriching import Access, Api, Enriches
from handlers.polled import ReadsRows
from handlers.reading import Node
from router.schema import Application, EventType, Fact, Outcome, Person, Stage

OFTEN, SELDOM, HOURLY = 300.0, 900.0, 3600.0
"""Seconds between passes: where the vendor tells what changed, where everything has to be read, and where webhooks tell
it first."""

H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Pass:
    """One reading of the vendor's list; the same for all its pages, also when it breaks off and goes on later.

    ``since``: what did not change since then is not needed; None: everything is. ``until``: when the pass began.
    ``mark``: what the last pass left that came to its end.
    """

    since: datetime | None
    until: datetime
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows. ``next``: with what to ask for the page after it; None: there is none. ``mark``: for the next pass.
    ``total``: how many rows all pages have, where the vendor tells it."""

    rows: Sequence[Node]
    next: str | None = None
    mark: str | None = None
    total: int | None = None


class Polls(ABC, Generic[H]):
    """How one vendor is polled. Made once per source, with that source's handler."""

    vendor: ClassVar[str]

    cost: ClassVar[str]
    """The calls of a pass, as a clause, for 50,000 applications of which 20 changed."""

    usual: ClassVar[float] = OFTEN
    """Seconds between two passes where the source does not say."""

    recovers: ClassVar[bool] = False
    """Whether the vendor's webhooks tell the same events, so that what polling finds was missed by them."""

    newest_first: ClassVar[bool] = False
    """Whether what changed last comes first, so that a pass may end at a page with nothing new."""

    shifting: ClassVar[bool] = False
    """Whether pages are counted, so that a row may slip to a page that was read already."""

    complete: ClassVar[bool] = False
    """Whether a pass without ``since`` lists every application that there is: what is not in it was deleted."""

    thin: ClassVar[bool] = False
    """Whether rows lack what is to be told of an application, so that new ones need `details` as well."""

    def __init__(self, handler: H) -> None:
        self.handler = handler

    @property
    def account(self) -> str | None:
        """The customer account inside a unified API, as its webhooks name it."""
        return None

    def access(self) -> Access | None:
        """How the API is reached; None without credentials: nothing is polled then."""
        return self.handler.access() if isinstance(self.handler, Enriches) else None

    @abstractmethod
    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        """The page at ``cursor``, the first one where that is None.

        Raises:
            ApiProblem: the API does not answer as it should, also where it says so with a success code.
            Drift: the answer lacks what it promises.
        """

    def row_facts(self, row: Node) -> Sequence[Fact]:
        """What a row says, as `handlers.polled.state_facts`: that it was created, and what it is now; or that it is
        gone.

        Raises:
            Drift: the row has no id.
        """
        if not isinstance(self.handler, ReadsRows):
            raise NotImplementedError(f"the {self.vendor} adapter has to read rows itself")
        return self.handler.row_facts(row)

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The same with what only another call knows, for a row that changed: who and when. What the application went
        through may come before its present state, oldest first, as `router.schema.Fact` StageChanged with times; what
        the router knows already of it is left out there.

        Raises:
            ApiProblem: it can't be fetched; but the facts go on as they are where it is gone (`NotThere`).
            Drift: the answer lacks what it promises.
        """
        return facts


@dataclass(frozen=True, slots=True)
class Move:
    """One step of an application's history, as far as it is told."""

    before: Stage | None
    to: Stage
    at: datetime | None = None
    actor: Person | None = None


def with_history(facts: Sequence[Fact], moves: Sequence[Move]) -> tuple[Fact, ...]:
    """The facts of a row with the moves, oldest first, before its present state, which gets time and actor of the last
    one. What is told of its creation begins where the history does."""
    *others, now = facts
    if not moves:
        return tuple(facts)
    history = [
        now.model_copy(
            update={
                "type": EventType.STAGE_CHANGED,
                "is_snapshot": False,
                "vendor_version": None,  # which is of what it is now
                "occurred_at": move.at,
                "actor": move.actor,
                "from_stage": move.before,
                "to_stage": move.to,
                "application": _undecided(now.application, move.to),
            }
        )
        for move in moves
    ]
    begun = [fact.model_copy(update={"application": _undecided(fact.application, moves[0].before)}) for fact in others]
    last = moves[-1]
    return *begun, *history, now.model_copy(update={"occurred_at": last.at, "actor": last.actor or now.actor})


def _undecided(application: Application | None, stage: Stage | None) -> Application | None:
    """The application as it was at that stage: what came of it in the end is left to its present state."""
    if application is None:
        return None
    later = ("rejected_at", "hired_at", "rejection_reason")
    return application.model_copy(update={"stage": stage, "outcome": Outcome.PENDING, **dict.fromkeys(later)})


def in_utc(moment: datetime, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """A time as most APIs take it; ``form`` as in `strftime`."""
    return moment.astimezone(UTC).strftime(form)


def with_since(params: Mapping[str, str], name: str, asked: Pass, form: str = "%Y-%m-%dT%H:%M:%SZ") -> dict[str, str]:
    """Parameters, with that of what changed since where not everything is asked for."""
    return {**params, name: in_utc(asked.since, form)} if asked.since is not None else dict(params)


def listed(answer: Node, key: str) -> list[Node]:
    """The objects of a list that has to be there, as an answer without it is no page without rows.

    Raises:
        Drift: there is no such list.
    """
    if not isinstance(answer.raw.get(key), list):
        raise Drift(key, "is missing" if key not in answer.raw else "is not a list")
    return answer.nodes(key)
