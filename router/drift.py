"""Receipts that were drift, and make sense by now."""

from dataclasses import dataclass

from handlers import polling
from handlers.base import Disposition, Drift, Normalised, Receipt
from handlers.reading import Node
from router.assess import Marked, intake_items, waiting_facts
from router.ledger import Ledger
from router.parts import Source
from router.records import ReceiptRecord, Replayed


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
    normalised = _read_row(source, record, stored.body) if record.polled else source.handler.read(request)
    if normalised.disposition is Disposition.DRIFT:
        return ReplayedReceipt(receipt, Disposition.DRIFT, 0, normalised.reason, False)
    waiting = waiting_facts(
        normalised,
        receipt_id=receipt,
        source=record.source,
        vendor=record.vendor,
        receipt=request,
        mark=Marked(deliver=False) if record.test else None,
    )
    facts = [one.model_copy(update={"polled": record.polled}) for one in waiting]
    changed = {
        "disposition": normalised.disposition,
        "vendor_event": normalised.vendor_event,
        "reason": normalised.reason,
        "soft_drift": normalised.soft_drift,
    }
    replayed = Replayed(receipt, stored, record.model_copy(update=changed), intake_items(facts))
    done = await ledger.replay(replayed)
    return ReplayedReceipt(receipt, normalised.disposition, len(facts), normalised.reason, done)


def _read_row(source: Source, record: ReceiptRecord, body: bytes) -> Normalised:
    """What a polled row says."""
    adapter = polling.by_vendor().get(record.vendor)
    if adapter is None:
        return Normalised(Disposition.DRIFT, reason=f"{record.vendor} can't be polled any more")
    try:
        facts = tuple(adapter(source.handler).row_facts(Node.parse(body)))
    except Drift as drift:
        return Normalised(Disposition.DRIFT, reason=str(drift))
    told = Normalised(Disposition.EVENTS, facts[-1].vendor_event if facts else None, facts, record.account)
    return source.handler.with_kinds(told)
