"""Rows of a vendor's API: what an application is at the moment, not what happened to it.

A row becomes two facts: the application was created, and this is its state now. The router compares the latter with
what it knows of the application, so that only what differs becomes an event.
"""

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime

from handlers.base import Disposition, Handler, Normalised, Post, Receipt, Rejected, Sample
from handlers.reading import Node
from router.schema import Application, Candidate, EventType, Fact, Job, Offer, Person


def state_facts(
    vendor_event: str,
    application: Application,
    *,
    candidate: Candidate | None = None,
    job: Job | None = None,
    offer: Offer | None = None,
    changed_at: datetime | None = None,
    actor: Person | None = None,
    version: str | None = None,
) -> tuple[Fact, Fact]:
    """The two facts of a row. ``changed_at``: when the application got its present stage, as far as the row says."""
    created = Fact(
        type=EventType.APPLICATION_CREATED,
        occurred_at=application.created_at,
        vendor_event=vendor_event,
        application=application,
        candidate=candidate,
        job=job,
        offer=offer,
    )
    now = {"occurred_at": changed_at, "vendor_version": version, "actor": actor}
    return created, created.model_copy(update={"type": EventType.APPLICATION_UPDATED, "is_snapshot": True, **now})


class ReadsRows(Handler):
    """A handler that reads what the vendor's API answers about applications."""

    @abstractmethod
    def rows(self, answer: Node) -> Sequence[Node]:
        """The rows in one answer of the API: a page of them, or a single one."""

    @abstractmethod
    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        """What one row says.

        Raises:
            Drift: the row has no id.
        """

    def parse_answer(self, body: bytes) -> Node:
        """An answer of the API, JSON where nothing else is said; a list comes as an object with ``items``.

        Raises:
            Drift: it can't be read.
        """
        return Node.parse(body, several=True)

    def normalise_rows(self, body: bytes) -> Normalised:
        """Everything that one answer of the API says.

        Raises:
            Drift: it is no such answer, or a row of it can't be read.
        """
        answer = self.parse_answer(body)
        rows = self.rows(answer)
        facts = tuple(fact for row in rows for fact in self.row_facts(row))
        if not facts:
            return Normalised(Disposition.IGNORED, reason="there is no application in it", soft_drift=answer.soft_drift)
        return Normalised(Disposition.EVENTS, facts[0].vendor_event, facts, soft_drift=answer.soft_drift)


class PolledHandler(ReadsRows):
    """A vendor that sends no webhooks of applications. A push that a customer builds is for the generic handler."""

    def verify(self, receipt: Receipt) -> None:
        raise Rejected(f"{self.title} sends no webhooks; it is polled")

    def normalise(self, receipt: Receipt) -> Normalised:
        return self.normalise_rows(receipt.body)

    def sign(self, body: bytes, at: datetime) -> Post:
        raise ValueError(f"{self.title} sends no webhooks")

    def sample(self, step: Sample) -> bytes:
        raise ValueError(f"{self.title} sends no webhooks")
