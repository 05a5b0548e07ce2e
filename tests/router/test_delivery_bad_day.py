"""Deliveries where a sink fails as a whole, is off, or may have got something; and in which order they go."""

import asyncio
from datetime import datetime, timedelta
from unittest.mock import AsyncMock

import pytest

from router import delivery as delivery_module
from router import ledger as ledger_module
from router import ledger_gates
from router.delivery import AFTER_PROBE_SECONDS, Deliveries, after_attempt
from router.gate import RUN_OF_FAILURES, Turn
from router.lanes import LaneLoop, Lease
from router.ledger import Ledger
from router.ledger_keys import deliveries_index
from router.records import DeliveryRecord, DeliveryState, GateState, PutOff, Settled
from sinks.base import Delivery, Order, Outcome, Result, RetrySettings, SinkSettings
from tests.factories import (
    NOW,
    PARTITION,
    RecordingSink,
    claim_one,
    destination,
    put_deliveries,
    until,
)
from tests.router.delivering import (
    LANE,
    NOT_NOW,
    SLOTS,
    attempt,
    deliver_all,
    put_events,
    record_of,
    run,
    run_once,
    work,
)

RETRY = RetrySettings()
RECORD = DeliveryRecord(sink="slack", routes=("all",))


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


# --- a sink that fails as a whole ---------------------------------------------------------------------------------

PROBE = Turn(0.0, probe=True)


async def test_a_probe_that_fails_is_no_try_and_lets_others_probe(ledger: Ledger, sink: RecordingSink) -> None:
    await put_deliveries(ledger, "slack", ["a"])
    sink.outcomes = [NOT_NOW]
    result = await run_once(ledger, sink, await claim_one(ledger, LANE), PROBE)
    assert result is not None
    [made] = result.record.attempts
    assert (made.spared, made.times) == (True, 1)
    assert result.wait == AFTER_PROBE_SECONDS


def test_probes_do_not_use_up_tries_and_a_record_does_not_grow_by_them() -> None:
    record = RECORD
    for _ in range(1000):
        probed = attempt().model_copy(update={"spared": True})
        record, wait = after_attempt(record, probed, None, RETRY)
        assert wait == AFTER_PROBE_SECONDS
    assert [made.times for made in record.attempts] == [1000]
    for _ in range(RETRY.tries - 1):
        record, wait = after_attempt(record, attempt(), None, RETRY)
        assert record.state is DeliveryState.PENDING
    record, wait = after_attempt(record, attempt(), None, RETRY)
    assert record.state is DeliveryState.DEAD


def test_probes_that_end_otherwise_are_told_apart() -> None:
    record = RECORD
    for reason in ("refused", "refused", "timeout", "refused"):
        spared = attempt(reason=reason).model_copy(update={"spared": True})
        record, _ = after_attempt(record, spared, None, RETRY)
    assert [(made.reason, made.times) for made in record.attempts] == [("refused", 2), ("timeout", 1), ("refused", 1)]


@pytest.mark.parametrize("result", [Result.DELIVERED, Result.PERMANENT])
async def test_a_probe_that_gets_an_answer_ends_the_delivery_as_any_attempt(
    ledger: Ledger, sink: RecordingSink, result: Result
) -> None:
    await put_deliveries(ledger, "slack", ["a"])
    sink.outcomes = [Outcome(result, "x")]
    settled = await run_once(ledger, sink, await claim_one(ledger, LANE), PROBE)
    assert settled is not None
    assert settled.wait is None
    assert not settled.record.attempts[0].spared


async def test_what_a_sink_refuses_waits_and_is_no_try(ledger: Ledger, sink: RecordingSink) -> None:
    await put_deliveries(ledger, "slack", ["a"])
    sink.outcomes = [Outcome(Result.REFUSED, "http_401", 401)]
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert result is not None
    assert (result.record.state, result.record.attempts[0].spared) == (DeliveryState.PENDING, True)
    assert (await ledger.read_gate("slack")).state is GateState.PARKED


async def test_what_one_target_refuses_is_a_try_like_others(ledger: Ledger, sink: RecordingSink) -> None:
    await put_deliveries(ledger, "slack", ["a"])
    sink.outcomes = [Outcome(Result.REFUSED, "not_in_channel", 200, only_here=True)]
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert result is not None
    assert not result.record.attempts[0].spared
    assert (await ledger.read_gate("slack")).state is GateState.CLOSED


async def test_a_sink_that_was_down_gets_all_in_order_and_no_delivery_lost_a_try(
    ledger: Ledger, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a loop, with ten times more failures than tries."""
    monkeypatch.setattr(ledger_gates, "FIRST_PAUSE", dict.fromkeys(GateState, 0.02))
    monkeypatch.setattr(ledger_gates, "LONGEST_PAUSE", dict.fromkeys(GateState, 0.05))
    monkeypatch.setattr(ledger_gates, "AFTER_CLOSING", 0.01)
    monkeypatch.setattr(delivery_module, "AFTER_PROBE_SECONDS", 0.02)
    put = await put_deliveries(ledger, "slack", [*"abcdefghij"] * 2)
    sink.outcomes = [NOT_NOW] * 30
    await deliver_all(ledger, sink, 50)
    records = [await record_of(ledger, str(n)) for n in range(20)]
    assert {record.state for record in records} == {DeliveryState.DELIVERED}
    spared = sum(made.times for record in records for made in record.attempts if made.spared)
    assert 30 - RUN_OF_FAILURES - SLOTS <= spared <= 30 - RUN_OF_FAILURES
    for subject in range(10):
        arrived = list(dict.fromkeys(sent.id for sent in sink.attempts if sent.id in put[subject::10]))
        assert arrived == put[subject::10]


async def test_nothing_is_sent_and_nothing_noted_where_the_ledger_goes_away_just_before(
    ledger: Ledger, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not look as if it might have arrived."""
    await put_deliveries(ledger, "slack", ["a"])
    claim = await claim_one(ledger, LANE)
    deliveries = work(ledger, sink)
    [job] = await deliveries.load(PARTITION, [claim])
    monkeypatch.setattr(deliveries, "_wait_for_turn", AsyncMock(side_effect=ConnectionError))
    assert await deliveries.run(job, Lease(claim)) == PutOff(claim, 0.0)
    assert sink.attempts == []


# --- a target with a limit of its own -----------------------------------------------------------------------------


@pytest.mark.timed
async def test_what_comes_too_early_for_its_target_gives_its_slot_back(
    ledger: Ledger, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RecordingSink, "target_rate", 0.5)
    await put_events(ledger, ["Screen"])
    await put_events(ledger, ["Screen"], application="2")
    results = [await run(ledger, sink, await claim_one(ledger, LANE)) for _ in range(2)]
    assert isinstance(results[0], Settled)
    assert isinstance(results[1], PutOff)
    assert results[1].wait == pytest.approx(2.0, abs=0.3)
    assert len(sink.attempts) == 1


# --- in which order -----------------------------------------------------------------------------------------------


async def state_of(ledger: Ledger, delivery: str) -> DeliveryRecord:
    [stored] = await ledger.load_deliveries(PARTITION, [delivery])
    assert stored is not None
    return stored.record


def ordered(ledger: Ledger, sink: RecordingSink, order: Order) -> Deliveries:
    return Deliveries(ledger, destination(sink, SinkSettings(type="recording", order=order), "slack"))


async def drain(ledger: Ledger, deliveries: Deliveries) -> None:
    loop = LaneLoop(ledger, deliveries, 8)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        while (await ledger.backlog(LANE)).subjects:
            loop.wake()
            await asyncio.sleep(0.005)
    loop.stop()
    await running


async def test_latest_skips_what_is_no_longer_so(ledger: Ledger, sink: RecordingSink) -> None:
    first, second, third = await put_events(ledger, ["Screen", "Onsite", "Offer"], Order.LATEST)
    await drain(ledger, ordered(ledger, sink, Order.LATEST))
    assert [sent.id for sent in sink.attempts] == [third]
    for delivery in (first, second):
        record = await state_of(ledger, delivery)
        assert (record.state, record.attempts) == (DeliveryState.SKIPPED, ())
        assert record.reason == "outdated: its application has gone on"
    assert (await state_of(ledger, third)).state is DeliveryState.DELIVERED


async def test_latest_sends_each_where_nothing_newer_came(ledger: Ledger, sink: RecordingSink) -> None:
    first = await put_events(ledger, ["Screen"], Order.LATEST)
    await drain(ledger, ordered(ledger, sink, Order.LATEST))
    assert [sent.id for sent in sink.attempts] == first


async def test_strict_sends_each(ledger: Ledger, sink: RecordingSink) -> None:
    put = await put_events(ledger, ["Screen", "Onsite", "Offer"])
    await drain(ledger, ordered(ledger, sink, Order.STRICT))
    assert [sent.id for sent in sink.attempts] == put


async def test_without_an_order_what_fails_holds_nothing_back(ledger: Ledger, sink: RecordingSink) -> None:
    await put_events(ledger, ["Screen", "Onsite", "Offer"], Order.NONE)
    assert (await ledger.backlog(LANE)).subjects == 3
    sink.outcomes = [Outcome(Result.RETRY, "http_503", 503, retry_after=3600.0)]
    loop = LaneLoop(ledger, ordered(ledger, sink, Order.NONE), 8)
    running = asyncio.create_task(loop.run())
    await until(lambda: len(sink.attempts) == 3)
    loop.stop()
    await running
    assert (await ledger.backlog(LANE)).subjects == 1


# --- a sink that is switched off ----------------------------------------------------------------------------------


async def test_a_sink_that_is_off_holds_what_comes_and_it_is_kept(ledger: Ledger, sink: RecordingSink) -> None:
    put = await put_events(ledger, ["Screen", "Onsite"])
    off = destination(sink, SinkSettings(type="recording", enabled=False), "slack")
    await drain(ledger, Deliveries(ledger, off))
    assert sink.attempts == []
    for delivery in put:
        record = await state_of(ledger, delivery)
        assert (record.state, record.reason) == (DeliveryState.HELD, "sink_off")
    await ledger.purge(PARTITION, older_than=0)
    assert await ledger.how_many(deliveries_index("slack", DeliveryState.HELD)) == 2


# --- outcomes that can't be known ---------------------------------------------------------------------------------

HUNG = Outcome(Result.AMBIGUOUS, "timeout")


class Looking(RecordingSink):
    """A sink that can look whether something arrived."""

    def __init__(self, found: Outcome | None) -> None:
        super().__init__()
        self.found = found
        self.looked: list[tuple[str, datetime | None]] = []

    async def look_up(self, delivery: Delivery, since: datetime | None) -> Outcome | None:
        self.looked.append((delivery.id, since))
        return self.found


async def again(ledger: Ledger, sink: RecordingSink) -> Settled:
    """Another attempt, after an ambiguous one."""
    sink.outcomes = [Outcome(Result.AMBIGUOUS, "timeout", retry_after=0.0)]
    await put_deliveries(ledger, "slack", ["a"])
    deliveries = work(ledger, sink)
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert result is not None
    await deliveries.settle(PARTITION, [result])
    await until_due(ledger)
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert result is not None
    return result


async def until_due(ledger: Ledger) -> None:
    await asyncio.sleep(max(0.0, (await ledger.due_in(LANE))[PARTITION] or 0.0))


async def test_what_turns_out_to_have_arrived_is_not_sent_again(ledger: Ledger) -> None:
    sink = Looking(Outcome(Result.DELIVERED, "found"))
    result = await again(ledger, sink)
    assert len(sink.attempts) == 1
    assert [since for _, since in sink.looked] == [result.record.attempts[0].at]
    assert result.record.state is DeliveryState.DELIVERED
    assert [made.reason for made in result.record.attempts] == ["timeout", "found"]


async def test_what_did_not_arrive_is_sent_again(ledger: Ledger) -> None:
    sink = Looking(None)
    assert (await again(ledger, sink)).record.state is DeliveryState.DELIVERED
    assert len(sink.attempts) == 2


async def test_where_it_can_not_be_looked_up_now_it_is_looked_up_later_and_costs_no_try(ledger: Ledger) -> None:
    sink = Looking(Outcome(Result.RETRY, "look_up_http_429", 429, retry_after=30.0))
    result = await again(ledger, sink)
    assert len(sink.attempts) == 1
    assert (result.record.state, result.wait) == (DeliveryState.PENDING, 30.0)
    last = result.record.attempts[-1]
    assert (last.result, last.spared) == (Result.AMBIGUOUS, True)  # so that it is looked up again


async def test_it_is_looked_up_since_the_first_attempt_or_nobody_knows_when(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a dead worker began is noted later; of several told as one the record has the time of the last."""
    sink = Looking(None)
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.02)
    await put_deliveries(ledger, "slack", ["a"])
    await claim_one(ledger, LANE)
    await asyncio.sleep(0.03)
    monkeypatch.undo()
    await deliver_all(ledger, sink, 1)
    [(_, since)] = sink.looked
    assert since is None
    record = RECORD
    for _ in range(2):
        probed = attempt(Result.AMBIGUOUS, "timeout").model_copy(update={"spared": True})
        record, _ = after_attempt(record, probed, None, RETRY)
    sink = Looking(Outcome(Result.DELIVERED, "found"))
    await work(ledger, sink)._attempted(sink, Delivery("dlv_1", b"{}"), record)
    assert [since for _, since in sink.looked] == [None]


def test_the_next_try_waits_until_a_look_up_would_see_what_arrived() -> None:
    hung = attempt(Result.AMBIGUOUS, "timeout")
    waits = [after_attempt(RECORD, hung, None, RETRY, at_least=5.0) for _ in range(50)]
    assert {wait for _, wait in waits} == {5.0}
    assert {record.next_at for record, _ in waits} == {NOW + timedelta(seconds=6.5)}
    late = DeliveryRecord(sink="slack", routes=("all",), attempts=(hung,) * 8)
    assert max(after_attempt(late, hung, None, RETRY, at_least=5.0)[1] or 0 for _ in range(50)) > 1000


async def test_where_it_can_never_be_looked_up_it_is_left_to_a_person(ledger: Ledger) -> None:
    sink = Looking(Outcome(Result.AMBIGUOUS, "missing_scope"))
    record = (await again(ledger, sink)).record
    assert len(sink.attempts) == 1
    assert (record.state, record.reason) == (DeliveryState.UNKNOWN, "missing_scope: it may have arrived")


async def test_a_sink_that_gives_up_leaves_what_may_have_arrived_to_a_person(
    ledger: Ledger, sink: RecordingSink
) -> None:
    sink.gives_up_ambiguous = True
    sink.outcomes = [HUNG]
    first, second = await put_deliveries(ledger, "slack", ["a", "a"])
    await deliver_all(ledger, sink, 2)
    assert [sent.id for sent in sink.attempts] == [first, second]
    assert (await record_of(ledger, "0")).state is DeliveryState.UNKNOWN
    assert (await record_of(ledger, "1")).state is DeliveryState.DELIVERED


async def test_what_a_dead_worker_began_is_left_to_a_person_too(
    ledger: Ledger, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.gives_up_ambiguous = True
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.02)
    await put_deliveries(ledger, "slack", ["a"])
    await claim_one(ledger, LANE)
    await asyncio.sleep(0.03)
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert result is not None
    assert (result.record.state, sink.attempts) == (DeliveryState.UNKNOWN, [])


def test_what_was_put_back_has_all_its_tries_again() -> None:
    record = RECORD.model_copy(update={"attempts": (attempt(),) * RETRY.tries, "forgiven": RETRY.tries})
    for _ in range(RETRY.tries - 1):
        record, wait = after_attempt(record, attempt(), None, RETRY)
        assert wait is not None
    assert after_attempt(record, attempt(), None, RETRY)[0].state is DeliveryState.DEAD
