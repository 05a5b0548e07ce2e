"""What a person does to deliveries that did not go well: try again, give up, confirm that they arrived.

Each is changed only if it is still as it was read, so that two people, or a person and a worker, never mix.
"""

import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from router.identity import partition_in
from router.ledger import BATCH, Ledger
from router.records import Change, Changed, Decision, DeliveryRecord, DeliveryState, StoredDelivery
from router.schema import Event

_READ_AGAIN = 5
_CHANGING = "it changes all the time; try once more"
_WORDS = {
    Changed.DUE: "it waited for its next attempt, and is due now",
    Changed.BEHIND: "it waits behind an earlier delivery of its application, and goes out after that one",
    Changed.SENDING: "it is being sent right now",
}

Prepared = DeliveryRecord | str
"""The record as it shall be; or in words why it stays as it is."""

Put = Callable[[str, int, Sequence[Change]], Awaitable[list[Changed]]]


@dataclass(frozen=True, slots=True)
class Mended:
    """``done``: it was changed; ``words`` say what came of it."""

    delivery: str
    done: bool
    words: str


async def retry(ledger: Ledger, deliveries: Sequence[str], sinks: Mapping[str, bool]) -> list[Mended]:
    """Let deliveries be tried again, in the order given. ``sinks``: whether each that is configured is switched on.

    Raises:
        ValueError: one of them is no id of a delivery.
    """

    def prepare(record: DeliveryRecord) -> Prepared:
        return _why_not_again(record, sinks) or put_back(record)

    words = "it is back in its line, with a fresh count of tries"
    return await change(ledger, deliveries, ledger.put_back, prepare, words)


async def cancel(ledger: Ledger, deliveries: Sequence[str], decision: Decision) -> list[Mended]:
    """Let deliveries never be sent; what waits behind them moves up.

    Raises:
        ValueError: one of them is no id of a delivery.
    """

    def prepare(record: DeliveryRecord) -> Prepared:
        return _why_not_cancelled(record) or decided(record, DeliveryState.CANCELLED, decision)

    return await change(ledger, deliveries, ledger.conclude, prepare, "it is cancelled")


async def confirm(ledger: Ledger, deliveries: Sequence[str], decision: Decision) -> list[Mended]:
    """A person saw that deliveries arrived whose outcome was not known.

    Raises:
        ValueError: one of them is no id of a delivery.
    """

    def prepare(record: DeliveryRecord) -> Prepared:
        if record.state is not DeliveryState.UNKNOWN:
            return f"it is {record.state}, and only what is unknown can be confirmed"
        return decided(record, DeliveryState.DELIVERED, decision)

    return await change(ledger, deliveries, ledger.conclude, prepare, "it is taken for delivered")


def put_back(record: DeliveryRecord) -> DeliveryRecord:
    """As it is when it is to be tried at once: what was out of its line counts its tries anew, and is late."""
    changed: dict[str, object] = {"next_at": None}
    if not record.state.in_line:
        changed |= {"state": DeliveryState.PENDING, "reason": None, "forgiven": len(record.attempts), "late": True}
    return record.model_copy(update=changed)


def decided(record: DeliveryRecord, state: DeliveryState, decision: Decision) -> DeliveryRecord:
    """As it is after a person's word."""
    reason = f"{decision.word} by {decision.by}{f': {decision.why}' if decision.why else ''}"
    changed = {"state": state, "reason": reason, "next_at": None, "decisions": (*record.decisions, decision)}
    return record.model_copy(update=changed)


def _why_not_again(record: DeliveryRecord, sinks: Mapping[str, bool]) -> str | None:
    if record.state is DeliveryState.DELIVERED:
        at = f" at {record.attempts[-1].at:%Y-%m-%d %H:%M:%S} UTC" if record.attempts else ""
        return f"it was delivered{at}, so there is nothing to try again"
    if record.state is DeliveryState.SKIPPED:
        return f"it was skipped ({record.reason}); `ats-router send --deliver` makes tests that sinks get"
    if record.sink not in sinks:
        return f"its sink {record.sink} is not in the configuration any more, so nothing would send it"
    if record.lacks_approval:
        said = f", and it was {record.decisions[-1].word} by {record.decisions[-1].by}" if record.decisions else ""
        return f"it is held for review until `ats-router review approve`{said}"
    if not sinks[record.sink]:
        return f"its sink {record.sink} is switched off: take `enabled: false` out of the configuration first"
    return None


def _why_not_cancelled(record: DeliveryRecord) -> str | None:
    if record.state in (DeliveryState.DELIVERED, DeliveryState.CANCELLED, DeliveryState.SKIPPED):
        return f"it is {record.state}, so there is nothing to cancel"
    return None


async def change(
    ledger: Ledger, deliveries: Sequence[str], put: Put, prepare: Callable[[DeliveryRecord], Prepared], words: str
) -> list[Mended]:
    """Change deliveries as ``prepare`` says, by the ledger's ``put``; what changed meanwhile is read again.

    Raises:
        ValueError: one of them is no id of a delivery.
    """
    answers: dict[str, Mended] = {}
    for _ in range(_READ_AGAIN):
        left = [delivery for delivery in deliveries if delivery not in answers]
        for i in range(0, len(left), BATCH):
            answers |= await _change(ledger, left[i : i + BATCH], put, prepare, words)
    return [answers.get(delivery) or Mended(delivery, False, _CHANGING) for delivery in deliveries]


async def _change(
    ledger: Ledger, deliveries: Sequence[str], put: Put, prepare: Callable[[DeliveryRecord], Prepared], words: str
) -> dict[str, Mended]:
    """What came of those that did not change between reading and writing."""
    answers: dict[str, Mended] = {}
    batches: dict[tuple[str, int], list[Change]] = defaultdict(list)
    for partition, ids in itertools.groupby(deliveries, partition_in):
        chunk = list(ids)
        for delivery, stored in zip(chunk, await ledger.load_deliveries(partition, chunk), strict=True):
            prepared = prepare(stored.record) if stored else "it is not in the ledger"
            if stored is None or isinstance(prepared, str):
                answers[delivery] = Mended(delivery, False, str(prepared))
            else:
                change = Change(delivery, _line(delivery, stored), stored, prepared)
                batches[stored.record.sink, partition].append(change)
    for (sink, partition), batch in batches.items():
        for item, answer in zip(batch, await put(sink, partition, batch), strict=True):
            if answer is not Changed.OTHERWISE:
                done = answer in (Changed.DONE, Changed.DUE)
                answers[item.delivery] = Mended(item.delivery, done, _WORDS.get(answer, words))
    return answers


def _line(delivery: str, stored: StoredDelivery) -> str:
    return stored.record.line(delivery, Event.model_validate_json(stored.event))
