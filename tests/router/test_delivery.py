import asyncio
import time
from datetime import timedelta
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from router import ledger as ledger_module
from router.delivery import LONGEST_RETRY_AFTER, after_attempt, pause
from router.lanes import Lease
from router.ledger import FURTHEST_SECONDS, Ledger
from router.records import Attempt, Claim, DeliveryRecord, DeliveryState, Settled
from sinks.base import Outcome, Result, RetrySettings
from tests.factories import (
    NOW,
    PARTITION,
    RecordingSink,
    claim_one,
    put_deliveries,
    until,
)
from tests.router.delivering import LANE, NOT_NOW, attempt, deliver_all, record_of, run_once, work

RETRY = RetrySettings()
RECORD = DeliveryRecord(sink="slack", routes=("all",))


def after(tries: int, last: Attempt, retry_after: float | None = None) -> tuple[DeliveryRecord, float | None]:
    """The record after so many tries, of which only the last one matters."""
    record = RECORD.model_copy(update={"attempts": (attempt(),) * (tries - 1)})
    return after_attempt(record, last, retry_after, RETRY)


# --- when to try again --------------------------------------------------------------------------------------------


def test_what_was_delivered_is_not_tried_again() -> None:
    record, wait = after(1, attempt(Result.DELIVERED, "ok"))
    assert (record.state, record.reason, record.next_at, wait) == (DeliveryState.DELIVERED, None, None, None)


@pytest.mark.parametrize("result", [Result.RETRY, Result.AMBIGUOUS])
def test_what_may_succeed_later_is_tried_again(result: Result) -> None:
    record, wait = after(1, attempt(result))
    assert (record.state, record.reason) == (DeliveryState.PENDING, None)
    assert wait is not None
    assert record.next_at == NOW + timedelta(milliseconds=1500, seconds=wait)


def test_what_can_never_succeed_is_dead_at_once() -> None:
    record, wait = after(1, attempt(Result.PERMANENT, "http_410"))
    assert (record.state, wait) == (DeliveryState.DEAD, None)
    assert record.reason == "http_410: the same request would fail again"


@pytest.mark.parametrize("result", [Result.RETRY, Result.AMBIGUOUS])
def test_after_the_last_try_it_is_dead(result: Result) -> None:
    assert after(11, attempt(result))[1] is not None
    record, wait = after(12, attempt(result))
    assert (record.state, record.reason, wait) == (DeliveryState.DEAD, "http_503 at the last of 12 tries", None)
    assert record.next_at is None
    assert len(record.attempts) == 12


def test_the_last_try_can_still_deliver() -> None:
    assert after(12, attempt(Result.DELIVERED, "ok"))[0].state is DeliveryState.DELIVERED


LOST = attempt(Result.AMBIGUOUS, "worker_lost")


def test_what_a_dead_worker_began_is_tried_again_soon() -> None:
    waits = [after(11, LOST)[1] for _ in range(100)]
    assert all(wait is not None and wait <= RETRY.first for wait in waits)


retries = st.builds(
    RetrySettings.model_construct,
    first=st.floats(0.001, 7 * 86400),
    longest=st.floats(0.001, 7 * 86400),
)


@given(st.integers(1, 100), retries)
def test_any_wait_is_within_its_bounds(tries: int, retry: RetrySettings) -> None:
    assert 0 <= pause(tries, None, retry) <= min(retry.longest, retry.first * 4.0 ** (tries - 1)) < FURTHEST_SECONDS


@given(st.integers(1, 100), st.floats(-1e6, 1e12), retries)
def test_what_the_target_asks_for_counts_within_a_day_and_with_a_tenth_more(
    tries: int, retry_after: float, retry: RetrySettings
) -> None:
    asked = min(max(retry_after, 0), LONGEST_RETRY_AFTER)
    assert asked <= pause(tries, retry_after, retry) <= asked * 1.1 < FURTHEST_SECONDS


@pytest.mark.parametrize("retry_after", [None, 100.0])
def test_waits_are_spread(retry_after: float | None) -> None:
    waits = [pause(5, retry_after, RETRY) for _ in range(200)]
    highest = RETRY.first * 4**4 if retry_after is None else 110.0
    lowest = 0.0 if retry_after is None else 100.0
    reach = highest - lowest
    assert min(waits) < lowest + reach * 0.1
    assert max(waits) > highest - reach * 0.1


def test_the_tries_of_a_delivery_spread_over_three_days_on_average() -> None:
    totals = [sum(pause(tries, None, RETRY) for tries in range(1, RETRY.tries)) for _ in range(2000)]
    assert mean(totals) == pytest.approx(3 * 86400, rel=0.1)


def test_no_setting_allows_a_wait_that_looks_like_an_adjusted_clock() -> None:
    longest = RetrySettings.model_validate({"first": "300d", "longest": "7d"})
    assert max(pause(tries, None, longest) for tries in range(1, 100)) < FURTHEST_SECONDS
    assert max(after_attempt(RECORD, LOST, None, longest)[1] or 0 for _ in range(100)) < FURTHEST_SECONDS
    with pytest.raises(ValidationError):
        RetrySettings.model_validate({"longest": "8d"})


# --- against a sink -----------------------------------------------------------------------------------------------


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


async def test_a_delivery_gets_the_event_as_it_was_stored_under_its_id(ledger: Ledger, sink: RecordingSink) -> None:
    [delivery] = await put_deliveries(ledger, "slack", ["a"])
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert [(sent.id, sent.body) for sent in sink.attempts] == [(delivery, b'{"a": []}')]
    assert result is not None
    assert (result.delivery, result.record.state, result.wait) == (delivery, DeliveryState.DELIVERED, None)
    [made] = result.record.attempts
    assert (made.result, made.reason, made.code) == (Result.DELIVERED, "ok", 200)
    assert made.ms is not None


async def test_nothing_is_sent_when_the_lease_has_run_out(ledger: Ledger, sink: RecordingSink) -> None:
    """As when the process stood still between claiming and sending."""
    await put_deliveries(ledger, "slack", ["a"])
    claim = await claim_one(ledger, LANE)
    late = Claim(claim.partition, claim.subject, claim.token, claim.head, claim.reclaimed, time.monotonic())
    assert await run_once(ledger, sink, late) is None
    assert sink.attempts == []


async def test_what_another_worker_began_is_noted_as_ambiguous_and_not_sent_yet(
    ledger: Ledger, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.02)
    await put_deliveries(ledger, "slack", ["a"])
    await claim_one(ledger, LANE)
    await asyncio.sleep(0.03)
    result = await run_once(ledger, sink, await claim_one(ledger, LANE))
    assert sink.attempts == []
    assert result is not None
    [lost] = result.record.attempts
    assert (lost.result, lost.reason, lost.ms) == (Result.AMBIGUOUS, "worker_lost", None)
    assert result.record.state is DeliveryState.PENDING
    assert result.wait == pytest.approx(0, abs=0.01)


async def test_a_delivery_whose_event_is_gone_leaves_the_lane(
    ledger: Ledger, sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    await put_deliveries(ledger, "slack", ["a"])
    claim = await claim_one(ledger, LANE)
    deliveries = work(ledger, sink)
    gone = Claim(claim.partition, claim.subject, claim.token, b"dlv_" + b"0" * 26 + b"_00000000", False, claim.deadline)
    [job] = await deliveries.load(PARTITION, [gone])
    result = await deliveries.run(job, Lease(gone))
    assert sink.attempts == []
    assert isinstance(result, Settled)
    assert await deliveries.settle(PARTITION, [result]) == [1]
    assert (await ledger.backlog(LANE)).subjects == 0
    assert "gone" in caplog.text


async def test_a_delivery_is_tried_until_it_arrives(ledger: Ledger, sink: RecordingSink) -> None:
    await put_deliveries(ledger, "slack", ["a"])
    sink.outcomes = [NOT_NOW]
    await deliver_all(ledger, sink, 2)
    record = await record_of(ledger)
    assert record.state is DeliveryState.DELIVERED
    assert [made.result for made in record.attempts] == [Result.RETRY, Result.DELIVERED]
    assert len({(sent.id, sent.body) for sent in sink.attempts}) == 1


@pytest.mark.parametrize(("outcome", "tries"), [(NOT_NOW, 3), (Outcome(Result.PERMANENT, "http_400", 400), 1)])
async def test_a_dead_delivery_lets_the_next_one_up(
    ledger: Ledger, sink: RecordingSink, outcome: Outcome, tries: int
) -> None:
    first, second = await put_deliveries(ledger, "slack", ["a", "a"])
    sink.outcomes = [outcome] * tries
    await deliver_all(ledger, sink, tries + 1)
    assert [sent.id for sent in sink.attempts] == [first] * tries + [second]
    assert (await record_of(ledger, "0")).state is DeliveryState.DEAD
    assert (await record_of(ledger, "1")).state is DeliveryState.DELIVERED


async def test_a_dead_worker_costs_one_try(
    ledger: Ledger, sink: RecordingSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.05)
    await put_deliveries(ledger, "slack", ["a"])
    await claim_one(ledger, LANE)
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 6.0)
    await deliver_all(ledger, sink, 1)
    assert [made.reason for made in (await record_of(ledger)).attempts] == ["worker_lost", "ok"]


async def test_the_order_of_a_subject_survives_retries(ledger: Ledger, sink: RecordingSink) -> None:
    deliveries = await put_deliveries(ledger, "slack", ["a"] * 5)
    sink.outcomes = [NOT_NOW, Outcome(Result.DELIVERED, "ok"), NOT_NOW]
    await deliver_all(ledger, sink, 7)
    await until(lambda: len(sink.attempts) == 7)
    assert list(dict.fromkeys(sent.id for sent in sink.attempts)) == deliveries
