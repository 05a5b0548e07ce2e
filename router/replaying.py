"""Replay: stored events once more through today's rules, or to one sink, behind all live traffic.

Nothing is sent to a sink that has it already, so a replay that broke off can simply be run again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

from router.destinations import Destination, Planned, plan
from router.identity import delivery_id, partition_in
from router.intake import new_delivery
from router.ledger import BATCH, Ledger, sink_lane
from router.records import DeliveryState, GateState, Listed, NewDelivery, Replay, StoredEvent
from router.rules import Ruleset
from router.schema import Event

ROOM = 32
"""So many subjects may be due in a sink's lane before a replay adds none: what is live never waits behind more."""

LOOK_SECONDS = 0.1
PAGE = 256

_HAVE_IT = (DeliveryState.DELIVERED, DeliveryState.UNKNOWN)
"""What `force` sends again. What still waits goes out anyway, and what is dead is retried."""

_TO = "replay"
"""What stands for the routes of a delivery that a replay sent to a sink by its name."""


@dataclass(slots=True)
class Page:
    """Some receipts: ``reached`` is the time of the last, ``new`` what is to be added, ``had_it`` what was there."""

    receipts: int
    reached: float
    new: list[NewDelivery] = field(default_factory=list)
    had_it: int = 0


class Replayer:
    """Runs one replay with the rules and sinks of today."""

    def __init__(self, ledger: Ledger, rules: Ruleset, destinations: Mapping[str, Destination], asked: Replay) -> None:
        self._ledger = ledger
        self._rules = rules
        self._destinations = destinations
        self._asked = asked

    async def pages(self) -> AsyncIterator[Page]:
        """What it would add, oldest first, from where it is; nothing is changed."""
        since = max(self._asked.since, self._asked.reached)
        most = PAGE
        while True:
            receipts = await self._ledger.accepted(since, self._asked.until, most)
            if not receipts:
                return
            page = Page(len(receipts), receipts[-1].at)
            for event, stored in await self._events(receipts):
                self._plan(page, event, stored)
            yield page
            if len(receipts) < most:
                return
            since = receipts[-1].at + 0.001  # all of a millisecond came together

    async def _events(self, receipts: Sequence[Listed]) -> list[tuple[Event, StoredEvent]]:
        """Their events in the order of acceptance; of one millisecond in that of their application."""
        at = {receipt.id: receipt.at for receipt in receipts}
        ids = await self._ledger.events_of([receipt.id for receipt in receipts])
        stored = [one for one in (await self._ledger.read_events(ids)).values() if one is not None]
        events = [(Event.model_validate_json(one.body), one) for one in stored]
        return sorted(events, key=lambda pair: (at[pair[1].receipt], pair[0].sequence))

    def _plan(self, page: Page, event: Event, stored: StoredEvent) -> None:
        for planned in self._planned(event) if self._is_asked_for(event) else ():
            known = stored.deliveries.get(delivery_id(event.id, planned.sink, planned.target))
            again = self._asked.id if self._asked.force and known is not None and known.state in _HAVE_IT else ""
            made = new_delivery(event, planned, self._destinations[planned.sink], send=True, again=again)
            if made.id in stored.deliveries:
                page.had_it += 1
            else:
                record = made.record.model_copy(update={"late": True, "replay": self._asked.id})
                page.new.append(replace(made, record=record))

    def _is_asked_for(self, event: Event) -> bool:
        asked = self._asked
        return (
            not event.test
            and asked.source in (None, event.source)
            and asked.type in (None, event.type)
            and asked.application in (None, event.application.id if event.application else None)
        )

    def _planned(self, event: Event) -> Sequence[Planned]:
        if self._asked.to is not None:
            planned = self._destinations[self._asked.to].plan({}, event, _TO)
            return [replace(planned, review=self._rules.review_of(self._asked.to))]
        matched = self._rules.match(event)
        if self._asked.route is not None:
            matched = [route for route in matched if route.name == self._asked.route]
        return plan(event, matched, self._destinations)

    async def run(self, per_second: float | None, told: Callable[[int, str], None]) -> Replay:
        """Add what is to be added, and note after each page how far it came. ``told`` hears of how many receipts more,
        or in words what it waits for."""
        state = self._asked
        async for page in self.pages():
            added = dict(state.added)
            for sink, deliveries in groupby(sorted(page.new, key=_sink), _sink):
                for partition, some in groupby(deliveries, lambda one: partition_in(one.id)):
                    batch = list(some)
                    for i in range(0, len(batch), BATCH):
                        is_on = self._destinations[sink].settings.enabled
                        await room(self._ledger, sink, partial(told, 0), enabled=is_on)
                        answers = await self._ledger.add(sink, partition, batch[i : i + BATCH])
                        added[sink] = added.get(sink, 0) + sum(answers)
                        if per_second is not None:
                            await asyncio.sleep(len(answers) / per_second)
            changed = {"reached": page.reached, "added": added, "had_it": state.had_it + page.had_it}
            state = state.model_copy(update=changed)
            await self._ledger.keep_replay(state)
            told(page.receipts, "")
        await self._ledger.forget_replay(state.id)
        return state.model_copy(update={"done": True})


async def room(ledger: Ledger, sink: str, waits: Callable[[str], None], *, enabled: bool) -> None:
    """Until the sink has little to do. One that is off holds what it gets, so there is always room."""
    while enabled:
        gate = await ledger.read_gate(sink)
        if gate.state is not GateState.CLOSED:
            waits(f"{sink} fails ({gate.reason}): it goes on when it works again")
        elif await ledger.due(sink_lane(sink)) < ROOM:
            return
        else:
            waits(f"{sink} has enough to do")
        await asyncio.sleep(LOOK_SECONDS)


def _sink(delivery: NewDelivery) -> str:
    return delivery.record.sink
