"""One adapter and a made-up account, to see what it asks for and reads, and what that tells after webhooks."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import handlers
from handlers.base import Receipt
from handlers.enriching import Enriches
from handlers.polling.base import Page, Pass, Polls
from handlers.reading import Node
from router.project import project
from router.records import ApplicationState
from router.schema import EventType, Fact
from router.vendor_api import VendorApi
from tests.factories import make_waiting
from tests.handlers.polling.account import Account
from tests.handlers.vendor_api import StandIn, api_of, stand_in

A = TypeVar("A", bound=Account)
P = TypeVar("P", bound=Polls[Any])


@dataclass
class Reader(Generic[A, P]):
    account: A
    vendor: StandIn
    polls: P
    api: VendorApi

    async def page(self, cursor: str | None = None, since: datetime | None = None) -> Page:
        return await self.polls.page(Pass(since, datetime.now(UTC)), cursor, self.api)


@asynccontextmanager
async def reader(account: A, adapter: type[P]) -> AsyncIterator[Reader[A, P]]:
    """As long as the context lasts, the account's API is there, and answers as quickly as it is asked."""
    async with stand_in(account.answer) as vendor:
        handler_of = handlers.by_vendor()[account.vendor]
        settings = handler_of.Settings.model_validate({"vendor": account.vendor, **account.settings(vendor.url)})
        polls = adapter(handler_of(settings))
        access = polls.access()
        assert access is not None
        async with api_of(replace(access, per_second=1000.0)) as api:
            yield Reader(account, vendor, polls, api)


class Told:
    """What is known of each application, as intake learns it. ``polls`` reads rows where nothing is polled before."""

    def __init__(self, polls: Polls[Any], api: VendorApi) -> None:
        self._polls = polls
        self._api = api
        self._states: dict[str, ApplicationState] = {}

    async def by_webhook(self, *receipts: Receipt) -> list[EventType]:
        """The events of webhooks, completed by the API where the handler does that."""
        handler = self._polls.handler
        events = []
        for receipt in receipts:
            for fact in handler.normalise(receipt).facts:
                completed: Sequence[Fact] = [fact]
                if fact.needs_enrichment:
                    assert isinstance(handler, Enriches)
                    completed = await handler.enrich(fact, self._api)
                for whole in map(handler.with_kind, completed):
                    events += self._learn(whole, receipt)
        return events

    async def by_polling(self, rows: Sequence[Node], after: Receipt, *, details: bool = False) -> list[EventType]:
        """The events of rows that were read right after that webhook, before anything else happened."""
        events = []
        for row in rows:
            facts = self._polls.row_facts(row)
            if details:
                facts = await self._polls.details(row, facts, self._api)
            for fact in facts:
                whole = self._polls.handler.with_kind(fact).model_copy(update={"recovered": True})
                events += self._learn(whole, after, polled=True)
        return events

    def _learn(self, fact: Fact, receipt: Receipt, *, polled: bool = False) -> list[EventType]:
        waiting = make_waiting(fact).model_copy(
            update={"polled": polled, "received_at": receipt.received_at + timedelta(milliseconds=polled)}
        )
        state, events = project(self._states.get(fact.subject, ApplicationState()), waiting)
        self._states[fact.subject] = state
        return [event.type for event in events]
