"""Receipts that were drift, and make sense by now."""

from dataclasses import dataclass

from handlers.base import Disposition, Receipt
from router.assess import Marked, intake_items, waiting_facts
from router.ledger import Ledger
from router.parts import Source
from router.records import Replayed


@dataclass(frozen=True, slots=True)
class ReplayedReceipt:
    """``disposition`` is today's; still DRIFT where the handler makes nothing of it, for ``reason``. ``done`` is false
    where it was replayed by somebody else meanwhile."""

    receipt: str
    disposition: Disposition
    facts: int
    reason: str | None
    done: bool


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
