"""The whole story of one event: the receipt it came from, the routes it matched, every attempt of every delivery."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.headline import headline, plain
from router.identity import event_of
from router.ledger import Ledger, sink_lane
from router.records import DeliveryRecord, DeliveryState, ReceiptRecord
from router.remedies import what_to_do
from router.rules import Ruleset
from router.schema import Event, Model

_LOOK_AGAIN_SECONDS = 0.02


class DeliveryStory(Model):
    id: str
    record: DeliveryRecord


class Story(Model):
    """``receipt`` is None where only the event is left. ``routes``: those that matched; ``rules``: the hash
    of the rules that they are of, empty where that was not recorded."""

    event: Event
    receipt_id: str
    receipt: ReceiptRecord | None
    routes: Sequence[str]
    rules: str = ""
    deliveries: Sequence[DeliveryStory]


async def read_story(ledger: Ledger, identifier: str) -> Story | None:
    """The story of an event, by its id or that of one of its deliveries; None where it is unknown or purged.

    Raises:
        ValueError: this is no id of an event or a delivery.
    """
    event_id = event_of(identifier) if identifier.startswith("dlv_") else identifier
    if not event_id.startswith("evt_"):
        raise ValueError(f"{identifier!r} is no id of an event")
    stored = await ledger.read_event(event_id)
    if stored is None:
        return None
    event = Event.model_validate_json(stored.body)
    receipt = await ledger.read_receipt(stored.receipt)
    deliveries = [
        DeliveryStory(id=delivery, record=await _as_it_stands(ledger, event, delivery, record))
        for delivery, record in stored.deliveries.items()
    ]
    return Story(
        event=event,
        receipt_id=stored.receipt,
        receipt=receipt.record if receipt else None,
        routes=stored.routes,
        rules=stored.rules,
        deliveries=deliveries,
    )


async def events_of(ledger: Ledger, receipt: str, *, within: float) -> Sequence[str]:
    """The ids of a receipt's events, as soon as a worker has routed all of its facts; those so far after ``within``
    seconds."""
    give_up = time.monotonic() + within
    while True:
        stored = await ledger.read_receipt(receipt)
        if stored is None or stored.waiting == 0 or time.monotonic() > give_up:
            return stored.events if stored else ()
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _as_it_stands(ledger: Ledger, event: Event, delivery: str, record: DeliveryRecord) -> DeliveryRecord:
    if record.state is not DeliveryState.PENDING:
        return record
    if await ledger.being_sent(sink_lane(record.sink), record.line(delivery, event), delivery):
        return record.model_copy(update={"state": DeliveryState.SENDING})
    return record


def print_story(story: Story, rules: Ruleset, console: Console, *, rules_hash: str) -> None:
    """``rules``: those of today, to say why an event did not match, with their hash."""
    event, receipt = story.event, story.receipt
    console.print(f"[bold]{escape(headline(event))}[/]  {event.type}{'  (test)' if event.test else ''}")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("event", f"{event.id}  number {event.sequence} of its application{', late' if event.late else ''}")
    facts.add_row("happened", f"{_time(event.occurred_at)}{' (estimate)' if event.occurred_at_is_estimate else ''}")
    facts.add_row("received", f"{_time(event.received_at)} from {event.source} ({event.vendor})")
    facts.add_row("webhook", f"{story.receipt_id}  {escape(plain(event.vendor_event))}, verified")
    if receipt and receipt.soft_drift:
        facts.add_row("missing", escape(", ".join(receipt.soft_drift)))
    facts.add_row("routes", escape(", ".join(story.routes)) or "none matched")
    if story.rules:
        changed = f", not those of today: `ats-router rules diff {story.rules}`" if story.rules != rules_hash else ""
        facts.add_row("rules", f"{story.rules}{changed}")
    for rule, why_not in rules.explain(event):
        if rule.name not in story.routes and why_not is not None:
            facts.add_row("", escape(plain(f"not {rule.name}: {why_not}")))
    console.print(facts)
    for delivery in story.deliveries:
        _print_delivery(delivery, console)


def _print_delivery(delivery: DeliveryStory, console: Console) -> None:
    record = delivery.record
    due = f", next attempt {_time(record.next_at)}" if record.state is DeliveryState.PENDING and record.next_at else ""
    reason = f" ({record.reason})" if record.reason else ""
    late = ", late" if record.late else ""
    console.print(f"\n[bold]{escape(record.sink)}[/]  {record.state}{escape(plain(reason))}{late}{due}  {delivery.id}")
    for decision in record.decisions:
        why = f": {decision.why}" if decision.why else ""
        console.print(escape(plain(f"{decision.word} by {decision.by} at {_time(decision.at)}{why}")))
    if todo := what_to_do(delivery.id, record):
        console.print(escape(todo))
    if not record.attempts:
        return
    table = Table("attempt", "at", "ms", "result", "reason", "answer", box=None, padding=(0, 2))
    for number, attempt in enumerate(record.attempts, start=1):
        ms = "" if attempt.ms is None else str(attempt.ms)
        counted = f"{number} (x {attempt.times})" if attempt.times > 1 else str(number)
        answer = escape(plain(attempt.response[:80].replace("\n", " ")))
        table.add_row(counted, _time(attempt.at), ms, attempt.result, escape(attempt.reason), answer)
    console.print(table)


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "unknown"
