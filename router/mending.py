"""What an operator does to what did not go well: try deliveries again, replay receipts that were drift."""

import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from handlers.base import Disposition, Receipt
from router.assess import Marked, intake_items, waiting_facts
from router.identity import partition_in
from router.ledger import BATCH, Ledger
from router.parts import Source
from router.records import Change, Changed, DeliveryState, Replayed, StoredDelivery
from router.schema import Event

_READ_AGAIN = 5
_WORDS = {
    Changed.OTHERWISE: "it changes all the time; try once more",
    Changed.DONE: "it is back in its line, with a fresh count of tries",
    Changed.DUE: "it waited for its next attempt, and is due now",
    Changed.BEHIND: "it waits behind an earlier delivery of its application, and goes out after that one",
    Changed.SENDING: "it is being sent right now",
}


@dataclass(frozen=True, slots=True)
class Retried:
    """``done``: it will be attempted at once; ``words`` say what came of it."""

    delivery: str
    done: bool
    words: str


@dataclass(frozen=True, slots=True)
class ReplayedReceipt:
    """``disposition`` is today's; still DRIFT where the handler makes nothing of it, for ``reason``. ``done`` is false
    where it was replayed by somebody else meanwhile."""

    receipt: str
    disposition: Disposition
    facts: int
    reason: str | None
    done: bool


async def retry(ledger: Ledger, deliveries: Sequence[str], sinks: Collection[str]) -> list[Retried]:
    """Let deliveries be tried again, in the order given. ``sinks``: those that workers work.

    Raises:
        ValueError: one of them is no id of a delivery.
    """
    answers: dict[str, Retried] = {}
    for _ in range(_READ_AGAIN):
        left = [delivery for delivery in deliveries if delivery not in answers]
        for i in range(0, len(left), BATCH):
            answers |= await _retry(ledger, left[i : i + BATCH], sinks)
    changing = _WORDS[Changed.OTHERWISE]
    return [answers.get(delivery) or Retried(delivery, False, changing) for delivery in deliveries]


async def _retry(ledger: Ledger, deliveries: Sequence[str], sinks: Collection[str]) -> dict[str, Retried]:
    """What came of those that did not change between reading and writing."""
    answers: dict[str, Retried] = {}
    batches: dict[tuple[str, int], list[Change]] = defaultdict(list)
    for partition, ids in itertools.groupby(deliveries, partition_in):
        chunk = list(ids)
        for delivery, stored in zip(chunk, await ledger.load_deliveries(partition, chunk), strict=True):
            if stored is None:
                answers[delivery] = Retried(delivery, False, "it is not in the ledger")
            elif (refusal := _refusal(stored, sinks)) is not None:
                answers[delivery] = Retried(delivery, False, refusal)
            else:
                batches[stored.record.sink, partition].append(_put_back(delivery, stored))
    for (sink, partition), batch in batches.items():
        for item, answer in zip(batch, await ledger.put_back(sink, partition, batch), strict=True):
            if answer is not Changed.OTHERWISE:
                done = answer in (Changed.DONE, Changed.DUE)
                answers[item.delivery] = Retried(item.delivery, done, _WORDS[answer])
    return answers


def _refusal(stored: StoredDelivery, sinks: Collection[str]) -> str | None:
    record = stored.record
    if record.state is DeliveryState.DELIVERED:
        return f"it was delivered at {record.attempts[-1].at:%Y-%m-%d %H:%M:%S} UTC, so there is nothing to try again"
    if record.state is DeliveryState.SKIPPED:
        return f"it was skipped ({record.reason}); `ats-router send --deliver` makes tests that sinks get"
    if record.sink not in sinks:
        return f"its sink {record.sink} is not in the configuration any more, so nothing would send it"
    return None


def _put_back(delivery: str, stored: StoredDelivery) -> Change:
    event, record = Event.model_validate_json(stored.event), stored.record
    changed: dict[str, object] = {"next_at": None}
    if not record.state.in_line:
        changed |= {"state": DeliveryState.PENDING, "reason": None, "forgiven": len(record.attempts), "late": True}
    return Change(delivery, record.line(delivery, event), stored, record.model_copy(update=changed))


async def replay(ledger: Ledger, receipt: str, source: Source) -> ReplayedReceipt | None:
    """Normalise a kept receipt with today's handler, and route what it says now; None where it is no drift (any more).

    It was verified when it came, so it is not verified again.
    """
    stored = await ledger.read_receipt(receipt)
    if stored is None or stored.record.disposition is not Disposition.DRIFT:
        return None
    record = stored.record
    request = Receipt(record.headers, stored.body, record.received_at)
    normalised = source.handler.read(request)
    if normalised.disposition is Disposition.DRIFT:
        return ReplayedReceipt(receipt, Disposition.DRIFT, 0, normalised.reason, False)
    facts = waiting_facts(
        normalised,
        receipt_id=receipt,
        source=record.source,
        vendor=record.vendor,
        receipt=request,
        mark=Marked(deliver=False) if record.test else None,
    )
    changed = {
        "disposition": normalised.disposition,
        "vendor_event": normalised.vendor_event,
        "reason": normalised.reason,
        "soft_drift": normalised.soft_drift,
    }
    replayed = Replayed(receipt, stored, record.model_copy(update=changed), intake_items(facts))
    done = await ledger.replay(replayed)
    return ReplayedReceipt(receipt, normalised.disposition, len(facts), normalised.reason, done)
