"""What polling tells of applications after webhooks told of them: nothing, where those told everything."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from handlers.base import Receipt
from handlers.enriching import Enriches
from handlers.polling.base import Polls
from handlers.reading import Node
from router.project import project
from router.records import ApplicationState
from router.schema import EventType, Fact
from router.vendor_api import VendorApi
from tests.factories import make_waiting


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
        """The events of rows that were read some time after that webhook."""
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
            update={"polled": polled, "received_at": receipt.received_at + timedelta(hours=polled)}
        )
        state, events = project(self._states.get(fact.subject, ApplicationState()), waiting)
        self._states[fact.subject] = state
        return [event.type for event in events]
