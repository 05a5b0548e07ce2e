"""A made-up account, the router's polling of it, and an intake that makes events of what it finds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache

import handlers
from handlers import polling as adapters
from handlers.stages import StageKinds
from router.client import Client
from router.identity import PARTITIONS
from router.intake import Intake, Job
from router.lanes import LaneLoop
from router.ledger import INTAKE, Ledger
from router.parts import Source
from router.plugins import concrete_subclasses
from router.polling import Polling
from router.records import Routed
from router.rules import Ruleset
from router.schema import Event, EventType
from router.vendor_api import VendorApi
from tests.handlers.polling.account import Account
from tests.handlers.vendor_api import StandIn, stand_in

SOURCE = "account"
Told = tuple[str, str, str | None]
"""What an event says: its type, the application, and the stage that it came to or the outcome."""


@cache
def accounts() -> dict[str, type[Account]]:
    """The made-up accounts of all vendors by vendor, and by way where there are several, found by being here."""
    found = concrete_subclasses("tests.handlers.polling", Account)  # type: ignore[type-abstract]
    return {f"{account.vendor} {account.way}".strip(): account for account in found}


class World:
    """``poll`` polls to the end; ``told`` are the events that came since the last look, in order per application."""

    def __init__(self, account: Account, vendor: StandIn, ledger: Ledger, client: Client) -> None:
        self.account = account
        self.vendor = vendor
        self.timeout = 10.0
        self.ledger = ledger
        self._client = client
        self._seen: set[str] = set()
        intake = Intake(ledger, Ruleset(()), StageKinds(()), {}, lambda *_: None)
        self.loop = LaneLoop[Job, Routed](ledger, intake, 16)
        self.polling = self.restarted()

    def restarted(self, **settings: object) -> Polling:
        """The poller of another process."""
        given = {"vendor": self.account.vendor, **self.account.settings(self.vendor.url), **settings}
        handler_of = handlers.by_vendor()[self.account.vendor]
        handler = handler_of(handler_of.Settings.model_validate(given))
        polls = adapters.by_vendor()[self.account.vendor](handler)
        access = polls.access()
        assert access is not None
        quick = replace(access, per_second=10_000.0, timeout=self.timeout)
        self.polling = Polling(Source(SOURCE, handler, True), polls, VendorApi(self._client, quick), self.ledger)
        return self.polling

    async def poll(self, *, everything: bool = False) -> None:
        """A pass to its end, however often it has to be begun again."""
        if everything:
            state = await self.ledger.read_poll(SOURCE)
            await self.ledger.keep_poll(SOURCE, state.model_copy(update={"everything_at": 0.0}))
        for _ in range(60):
            await self.polling.run()
            state = await self.ledger.read_poll(SOURCE)
            if state.running is None and not state.failures:
                return
        raise AssertionError("the pass does not come to its end")

    async def told(self) -> list[Told]:
        """What came since the last look."""
        self.loop.wake(range(PARTITIONS))
        async with asyncio.timeout(10):
            while (await self.ledger.backlog(INTAKE)).subjects:  # noqa: ASYNC110 the lane tells nobody
                await asyncio.sleep(0.005)
        events = [event for event in await self.events() if event.id not in self._seen]
        self._seen |= {event.id for event in events}
        return [_said(event) for event in sorted(events, key=lambda one: (one.subject, one.sequence))]

    async def events(self) -> list[Event]:
        """All events that ever came."""
        ids = [entry.id for entry in await self.ledger.listed([f"events:{SOURCE} {one}" for one in EventType], 10_000)]
        stored = await self.ledger.read_events(ids)
        return [Event.model_validate_json(one.body) for one in stored.values() if one is not None]


def _said(event: Event) -> Told:
    application = event.application.id if event.application else event.subject
    if event.type is EventType.OUTCOME_CHANGED and event.application is not None:
        return event.type, application, event.application.outcome
    return event.type, application, (event.to_stage.name or event.to_stage.id) if event.to_stage else None


@asynccontextmanager
async def world(name: str, ledger: Ledger, per_page: int = 3) -> AsyncIterator[World]:
    """As long as the context lasts, the account is there and what polling finds is worked off."""
    account = accounts()[name](per_page)
    async with stand_in(account.answer) as running, Client() as client:
        made = World(account, running, ledger, client)
        working = asyncio.create_task(made.loop.run())
        try:
            yield made
        finally:
            made.loop.stop()
            await working
