"""The review gate: what routes with ``review`` send waits until a person approves or rejects it."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from router.intake import REVIEW
from router.ledger import Ledger
from router.ledger_keys import deliveries_index
from router.mending import Mended, Prepared, change, decided, put_back
from router.records import Decision, DeliveryRecord, DeliveryState, ListedDelivery

_PAGE = 1000
_MARK = b'"review":true'
"""What the record of each has in it as JSON: what a switched-off sink holds need not be read."""


async def under_review(ledger: Ledger, sinks: Collection[str]) -> list[ListedDelivery]:
    """What waits for a person's word, the oldest first."""
    held = [deliveries_index(sink, DeliveryState.HELD) for sink in sinks]
    found: dict[str, ListedDelivery] = {}
    since: float | None = None
    while True:
        listed = await ledger.listed(held, _PAGE, since=since, oldest=True)
        read = await ledger.read_listed(listed, holding=_MARK)
        found |= {one.id: one for one in reversed(read) if is_under_review(one.record)}
        if len(listed) < _PAGE:
            return list(found.values())
        since = max(listed[-1].at, (since or 0.0) + 0.001)  # those of one millisecond may be torn apart


async def approve(
    ledger: Ledger, deliveries: Sequence[str], decision: Decision, sinks: Collection[str]
) -> list[Mended]:
    """Send deliveries, as they were shown. ``sinks``: those that are configured.

    Raises:
        ValueError: one of them is no id of a delivery.
    """

    def prepare(record: DeliveryRecord) -> Prepared:
        if (refusal := _why_not(record)) is not None:
            return refusal
        if record.sink not in sinks:
            return f"its sink {record.sink} is not in the configuration any more, so nothing would send it"
        approved = put_back(record)
        return approved.model_copy(update={"decisions": (*record.decisions, decision), "reject_at": None})

    return await change(ledger, deliveries, ledger.put_back, prepare, "it is approved, and on its way")


async def reject(ledger: Ledger, deliveries: Sequence[str], decision: Decision) -> list[Mended]:
    """Never send deliveries.

    Raises:
        ValueError: one of them is no id of a delivery.
    """

    def prepare(record: DeliveryRecord) -> Prepared:
        return _why_not(record) or decided(record, DeliveryState.CANCELLED, decision)

    return await change(ledger, deliveries, ledger.conclude, prepare, "it is rejected, and never sent")


async def reject_overdue(ledger: Ledger, sinks: Collection[str]) -> int:
    """Reject what nobody said a word about in the time that its route gives; how many."""
    now = datetime.now(UTC)
    overdue = [
        one.id
        for one in await under_review(ledger, sinks)
        if one.record.reject_at is not None and one.record.reject_at <= now
    ]
    decision = Decision(word="rejected", by="the time limit", at=now)
    return sum(one.done for one in await reject(ledger, overdue, decision))


def is_under_review(record: DeliveryRecord) -> bool:
    return record.state is DeliveryState.HELD and record.reason == REVIEW


def _why_not(record: DeliveryRecord) -> str | None:
    if is_under_review(record):
        return None
    said = record.decisions[-1] if record.decisions else None
    return f"it is {record.state}, not under review" + (f": {said.word} by {said.by}" if said else "")
