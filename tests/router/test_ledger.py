import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from handlers.base import Disposition
from router import ledger as ledger_module
from router.connection import ServerProblem, client, is_outage
from router.identity import PARTITIONS, receipt_id
from router.ledger import INTAKE, Ledger, sink_lane
from router.records import ApplicationState, Claim, DeliveryRecord, DeliveryState, NewReceipt, Settled
from router.schema import Outcome
from tests.factories import (
    PARTITION,
    SOURCE,
    claim_one,
    make_event,
    make_receipt,
    make_record,
    make_routed,
    make_stage,
    put_deliveries,
)

LANE = sink_lane("slack")
DAY = 86400.0


def key(name: str) -> str:
    return f"ats:{{p{PARTITION:02d}}}:{name}"


async def accept(ledger: Ledger, *receipts: NewReceipt) -> list[bool | RedisError]:
    return await ledger.accept(PARTITION, receipts)


async def everything(redis: Redis) -> dict[bytes, object]:
    """All that the server holds, to see that something changed nothing."""
    held: dict[bytes, object] = {}
    for name in sorted(await redis.keys()):
        kind = await redis.type(name)
        held[name] = await redis.dump(name) if kind != b"zset" else await redis.zrange(name, 0, -1, withscores=True)
    return held


async def make_old(redis: Redis, receipt: NewReceipt, seconds: float) -> None:
    await redis.zadd(key("receipts"), {receipt.id: (time.time() - seconds) * 1000})


async def make_due(redis: Redis, lane: str, subject: str) -> None:
    """As if its lease or its wait had run out."""
    await redis.zadd(key(f"lane:{lane}"), {subject: 0})


@pytest.fixture
async def full(ledger: Ledger, redis: Redis) -> AsyncIterator[None]:
    """Once something waits in the intake and in a sink's lane, the server has no memory left."""
    await put_deliveries(ledger, "slack", ["a", "a"])
    await accept(ledger, make_receipt("a"), make_receipt("b"))
    await redis.config_set("maxmemory", 1)
    yield
    await redis.config_set("maxmemory", 0)


# --- open ---------------------------------------------------------------------------------------------------------


async def test_a_ledger_opens_again(ledger: Ledger) -> None:
    await ledger.open()


@pytest.mark.parametrize("name", ["schema_version", "partitions"])
async def test_a_ledger_of_another_layout_is_refused(ledger: Ledger, redis: Redis, name: str) -> None:
    await cast("Awaitable[int]", redis.hset("ats:meta", name, "99"))
    with pytest.raises(ServerProblem, match=f"{name} .*99"):
        await ledger.open()


async def test_a_full_server_can_be_opened_so_that_it_drains(full: None, ledger: Ledger) -> None:
    await ledger.open()


@pytest.mark.parametrize(
    "info",
    [
        {"redis_version": "6.2.14"},
        {"redis_version": "7.2.4", "valkey_version": "7.0.0"},
    ],
)
async def test_a_server_that_is_too_old_is_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, info: dict[str, str]
) -> None:
    async def old(self: Redis, *command: str) -> dict[str, str]:
        return info

    monkeypatch.setattr(Redis, "execute_command", old)
    with pytest.raises(ServerProblem, match="too old"):
        await ledger.open()


# --- accept -------------------------------------------------------------------------------------------------------


async def test_what_was_accepted_can_be_read(ledger: Ledger) -> None:
    receipt = make_receipt("1", [("a", b"x"), ("b", b"y")])
    assert await accept(ledger, receipt) == [True]
    stored = await ledger.read_receipt(receipt.id)
    assert stored is not None
    assert (stored.record, stored.body, stored.waiting, stored.events) == (receipt.record, b"{}", 2, [])


async def test_a_duplicate_is_told_apart_and_appends_nothing(ledger: Ledger, redis: Redis) -> None:
    receipt = make_receipt("1", [("a", b"x"), ("a", b"y")])
    await accept(ledger, receipt)
    before = await everything(redis)
    assert await accept(ledger, receipt) == [False]
    assert (await ledger.counts()).pop((SOURCE, "duplicate")) == 1
    await cast("Awaitable[int]", redis.hdel(key("counts"), f"{SOURCE} duplicate"))
    assert await everything(redis) == before


async def test_a_duplicate_in_the_same_batch_is_told_apart(ledger: Ledger) -> None:
    assert await accept(ledger, make_receipt("1"), make_receipt("2"), make_receipt("1")) == [True, True, False]


async def test_one_bad_item_fails_alone(ledger: Ledger, redis: Redis) -> None:
    await redis.set(key("line:intake:bad"), "of another type")
    good, bad, fine = make_receipt("1"), make_receipt("2", [("bad", b"1"), ("bad", b"2")]), make_receipt("3")
    first, second, third = await accept(ledger, good, bad, fine)
    assert (first, third) == (True, True)
    assert isinstance(second, ResponseError)
    assert await ledger.read_receipt(bad.id) is None
    assert await ledger.read_receipt(fine.id) is not None


async def test_a_line_keeps_the_order_of_acceptance(ledger: Ledger) -> None:
    await accept(ledger, make_receipt("1", [("a", b"1"), ("b", b"-"), ("a", b"2")]), make_receipt("2", [("a", b"3")]))
    await accept(ledger, make_receipt("3", [("a", b"4")]))
    seen = []
    for _ in range(4):
        _, claims = await ledger.claim(INTAKE, PARTITION, 10)
        [claim] = [claim for claim in claims if claim.subject == "a"]
        seen.append(claim.head)
        await ledger.commit(PARTITION, [make_routed(claim, receipt_id(SOURCE, None, "1"))])
    assert seen == [b"1", b"2", b"3", b"4"]


STRANGE = ["{a}", "{p01}:x", "a\nb", "a b", "a\0b", "", "ü€\U0001f600", "lane:sink:slack"]


@pytest.mark.parametrize("strange", STRANGE)
async def test_subjects_and_items_may_hold_any_character(ledger: Ledger, strange: str) -> None:
    await accept(ledger, make_receipt("1", [(strange, strange.encode() + b"\xff\x00")]))
    claim = await claim_one(ledger)
    assert (claim.subject, claim.head) == (strange, strange.encode() + b"\xff\x00")
    assert await ledger.commit(PARTITION, [make_routed(claim, receipt_id(SOURCE, None, "1"))]) == [1]


@pytest.mark.parametrize("account", [*STRANGE, "half a pair \ud800"])
async def test_ids_may_come_from_any_text(ledger: Ledger, account: str) -> None:
    identifier = receipt_id(SOURCE, account, account)
    receipt = NewReceipt(identifier, make_record(), b"", [])
    assert await ledger.accept(receipt.partition, [receipt]) == [True]
    assert await ledger.accept(receipt.partition, [receipt]) == [False]


@pytest.mark.parametrize("name", ["{a}", "sink with blanks", "a}b{c", "line\nbreak"])
async def test_a_sink_may_have_any_name(ledger: Ledger, name: str) -> None:
    [delivery] = await put_deliveries(ledger, name, ["a"])
    assert (await claim_one(ledger, sink_lane(name))).head == delivery.encode()


async def test_scripts_are_loaded_again_after_the_server_forgot_them(ledger: Ledger, redis: Redis) -> None:
    await accept(ledger, make_receipt("1"))
    await redis.script_flush()
    assert await accept(ledger, make_receipt("2")) == [True]


# --- claim --------------------------------------------------------------------------------------------------------


async def test_a_claim_gives_the_head_of_each_subject_only(ledger: Ledger) -> None:
    await accept(ledger, make_receipt("1", [("a", b"1"), ("a", b"2"), ("b", b"3")]))
    _, claims = await ledger.claim(INTAKE, PARTITION, 10)
    assert {(claim.subject, claim.head, claim.reclaimed) for claim in claims} == {
        ("a", b"1", False),
        ("b", b"3", False),
    }


async def test_what_is_claimed_is_not_claimed_again(ledger: Ledger) -> None:
    await accept(ledger, make_receipt("1"))
    await claim_one(ledger)
    next_due, claims = await ledger.claim(INTAKE, PARTITION, 10)
    assert claims == []
    assert next_due == pytest.approx(ledger_module.LEASE_SECONDS, abs=1)


async def test_a_claim_takes_no_more_than_asked_for_and_says_that_more_is_due(ledger: Ledger) -> None:
    await accept(ledger, make_receipt("1", [(subject, b"1") for subject in "abcde"]))
    next_due, claims = await ledger.claim(INTAKE, PARTITION, 3)
    assert len(claims) == 3
    assert next_due == 0
    _, rest = await ledger.claim(INTAKE, PARTITION, 3)
    assert {claim.subject for claim in claims + rest} == set("abcde")


async def test_nothing_due_is_no_claim(ledger: Ledger) -> None:
    assert await ledger.claim(INTAKE, PARTITION, 10) == (None, [])
    assert await ledger.due_in(INTAKE) == [None] * PARTITIONS


async def test_tokens_grow(ledger: Ledger) -> None:
    await accept(ledger, make_receipt("1", [(subject, b"1") for subject in "abc"]))
    tokens = [int((await claim_one(ledger)).token) for _ in range(3)]
    assert tokens == sorted(set(tokens))


async def test_what_was_leased_too_long_is_claimed_again_under_a_greater_token(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.05)
    await accept(ledger, make_receipt("1"))
    first = await claim_one(ledger)
    await asyncio.sleep(0.06)
    second = await claim_one(ledger)
    assert (first.reclaimed, second.reclaimed) == (False, True)
    assert int(second.token) > int(first.token)


async def test_subjects_that_an_adjusted_clock_left_far_ahead_are_due(ledger: Ledger, redis: Redis) -> None:
    await accept(ledger, make_receipt("1"))
    await redis.zadd(key("lane:intake"), {"a": (time.time() + 400 * DAY) * 1000})
    assert (await ledger.due_in(INTAKE))[PARTITION] == 0.0
    assert (await claim_one(ledger)).subject == "a"


async def test_the_longest_wait_is_not_taken_for_an_adjusted_clock(ledger: Ledger, redis: Redis) -> None:
    await accept(ledger, make_receipt("1"))
    await redis.zadd(key("lane:intake"), {"a": (time.time() + 7 * DAY) * 1000})
    assert (await ledger.due_in(INTAKE))[PARTITION] == pytest.approx(7 * DAY, abs=5)
    assert (await ledger.claim(INTAKE, PARTITION, 10))[1] == []


async def test_a_subject_without_a_head_is_cleared_away(ledger: Ledger, redis: Redis) -> None:
    await redis.zadd(key("lane:intake"), {"ghost": 0})
    assert await ledger.claim(INTAKE, PARTITION, 10) == (None, [])


# --- renew --------------------------------------------------------------------------------------------------------


@pytest.mark.timed
async def test_a_renewed_lease_lasts_longer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.2)
    await accept(ledger, make_receipt("1"))
    claim = await claim_one(ledger)
    for _ in range(3):
        await asyncio.sleep(0.1)
        deadline, held = await ledger.renew(INTAKE, PARTITION, [claim])
        assert held == [True]
        assert deadline == pytest.approx(time.monotonic() + 0.2, abs=0.05)
    assert (await ledger.claim(INTAKE, PARTITION, 1))[1] == []


def settled(claim: Claim, wait: float | None) -> Settled:
    state = DeliveryState.PENDING if wait is not None else DeliveryState.DELIVERED
    return Settled(claim, claim.head.decode(), DeliveryRecord(sink="slack", routes=("all",), state=state), wait)


async def test_with_a_token_of_the_past_nothing_is_renewed_settled_or_committed(ledger: Ledger, redis: Redis) -> None:
    await put_deliveries(ledger, "slack", ["a", "a"])
    receipt = make_receipt("new")
    await accept(ledger, receipt)
    stale, stale_fact = await claim_one(ledger, LANE), await claim_one(ledger)
    for lane in (LANE, INTAKE):
        await make_due(redis, lane, "a")
        await claim_one(ledger, lane)
    before = await everything(redis)
    assert (await ledger.renew(LANE, PARTITION, [stale]))[1] == [False]
    assert await ledger.settle(LANE, PARTITION, [settled(stale, None), settled(stale, 1.0)]) == [0, 0]
    event = make_event(receipt.id, [("slack", "a")])
    assert await ledger.commit(PARTITION, [make_routed(stale_fact, receipt.id, [event])]) == [0]
    assert await everything(redis) == before


# --- settle -------------------------------------------------------------------------------------------------------


async def test_a_delivery_that_is_done_lets_the_next_one_up(ledger: Ledger) -> None:
    first, second = await put_deliveries(ledger, "slack", ["a", "a"])
    claim = await claim_one(ledger, LANE)
    assert claim.head == first.encode()
    assert await ledger.settle(LANE, PARTITION, [settled(claim, None)]) == [2]
    claim = await claim_one(ledger, LANE)
    assert claim.head == second.encode()
    assert not claim.reclaimed
    assert await ledger.settle(LANE, PARTITION, [settled(claim, None)]) == [1]
    assert (await ledger.backlog(LANE)).subjects == 0


async def test_a_delivery_that_is_retried_stays_the_head_until_it_is_due(ledger: Ledger, redis: Redis) -> None:
    first, _ = await put_deliveries(ledger, "slack", ["a", "a"])
    assert await ledger.settle(LANE, PARTITION, [settled(await claim_one(ledger, LANE), 60.0)]) == [1]
    assert (await ledger.claim(LANE, PARTITION, 1))[1] == []
    assert (await ledger.due_in(LANE))[PARTITION] == pytest.approx(60, abs=1)
    await make_due(redis, LANE, "a")
    claim = await claim_one(ledger, LANE)
    assert (claim.head, claim.reclaimed) == (first.encode(), False)


async def test_how_a_delivery_went_can_be_read(ledger: Ledger) -> None:
    [delivery] = await put_deliveries(ledger, "slack", ["a"])
    claim = await claim_one(ledger, LANE)
    assert await ledger.being_sent(LANE, "a", delivery)
    await ledger.settle(LANE, PARTITION, [settled(claim, None)])
    assert not await ledger.being_sent(LANE, "a", delivery)
    event = await ledger.read_event(make_event(receipt_id(SOURCE, None, "0")).id)
    assert event is not None
    assert event.deliveries[delivery].state is DeliveryState.DELIVERED


async def test_a_delivery_whose_event_is_gone_can_be_settled_and_leaves_nothing(ledger: Ledger, redis: Redis) -> None:
    [delivery] = await put_deliveries(ledger, "slack", ["a"])
    event = key(f"event:{make_event(receipt_id(SOURCE, None, '0')).id}")
    await redis.delete(event)
    assert await ledger.load_deliveries(PARTITION, [delivery]) == [None]
    assert await ledger.settle(LANE, PARTITION, [settled(await claim_one(ledger, LANE), None)]) == [1]
    assert not await redis.exists(event)


# --- commit -------------------------------------------------------------------------------------------------------


async def test_a_commit_keeps_event_state_and_deliveries(ledger: Ledger) -> None:
    receipt = make_receipt("1", [("a", b"1"), ("a", b"2")])
    await accept(ledger, receipt)
    event = make_event(receipt.id, [("slack", "a"), ("hris", None)])
    assert await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), receipt.id, [event])]) == [2]
    stored_receipt, stored = await ledger.read_receipt(receipt.id), await ledger.read_event(event.id)
    assert stored_receipt is not None
    assert (stored_receipt.waiting, stored_receipt.events) == (1, [event.id])
    assert stored is not None
    assert (stored.receipt, stored.body, stored.routes) == (receipt.id, event.body, ["all"])
    assert set(stored.deliveries) == {delivery.id for delivery in event.deliveries}
    assert (await ledger.backlog(LANE)).subjects == 1
    assert (await ledger.backlog(sink_lane("hris"))).subjects == 0
    assert await ledger.load_states(PARTITION, ["a", "b"]) == [ApplicationState(sequence=1), ApplicationState()]


async def test_the_events_of_all_facts_of_a_receipt_are_listed(ledger: Ledger) -> None:
    receipt = make_receipt("1", [("a", b"1"), ("a", b"2")])
    await accept(ledger, receipt)
    events = [make_event(receipt.id, ordinal=ordinal) for ordinal in (0, 1)]
    for event in events:
        await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), receipt.id, [event])])
    stored = await ledger.read_receipt(receipt.id)
    assert stored is not None
    assert (stored.waiting, stored.events) == (0, [event.id for event in events])


async def test_a_state_keeps_all_it_knows_and_ends_when_nothing_happens(ledger: Ledger, redis: Redis) -> None:
    state = ApplicationState(
        sequence=3, version="v", stage=make_stage("Phone"), outcome=Outcome.HIRED, told=frozenset({"stage", "created"})
    )
    receipt = make_receipt("1")
    await accept(ledger, receipt)
    routed = make_routed(await claim_one(ledger), receipt.id)
    await ledger.commit(PARTITION, [type(routed)(routed.claim, routed.receipt, routed.source, state, [])])
    assert await ledger.load_states(PARTITION, ["a"]) == [state]
    assert await redis.pttl(key("state:a")) == pytest.approx(365 * DAY * 1000, rel=0.01)


async def test_what_happened_is_counted(ledger: Ledger) -> None:
    receipt = make_receipt("1", [("a", b"1"), ("a", b"2")])
    odd = NewReceipt(receipt_id(SOURCE, None, "2"), make_record(Disposition.DRIFT, "my source"), b"", [])
    await accept(ledger, receipt, receipt, odd)
    await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), receipt.id, [make_event(receipt.id)])])
    await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), receipt.id)])
    assert await ledger.counts() == {
        (SOURCE, "events"): 1,
        (SOURCE, "duplicate"): 1,
        (SOURCE, "ApplicationUpdated"): 1,
        (SOURCE, "unchanged"): 1,
        ("my source", "drift"): 1,
    }


async def test_the_backlog_tells_how_much_waits_and_how_long(ledger: Ledger, redis: Redis) -> None:
    await accept(ledger, make_receipt("1", [(subject, b"1") for subject in "abc"]))
    await claim_one(ledger)
    await redis.zadd(key("lane:intake"), {"c": (time.time() - 60) * 1000})
    backlog = await ledger.backlog(INTAKE)
    assert (backlog.subjects, backlog.leased) == (3, 1)
    assert backlog.oldest_due == pytest.approx(60, abs=1)


# --- purge --------------------------------------------------------------------------------------------------------


async def purge(ledger: Ledger, older_than: float) -> int:
    return await ledger.purge(PARTITION, older_than=older_than)


async def worked_off(ledger: Ledger, dedupe: str = "1", sink: str | None = None) -> NewReceipt:
    """A receipt whose fact made an event, with a delivery that waits where a sink is named."""
    receipt = make_receipt(dedupe)
    await accept(ledger, receipt)
    event = make_event(receipt.id, [(sink, "a")] if sink else [])
    await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), receipt.id, [event])])
    return receipt


async def names(redis: Redis) -> set[bytes]:
    return {name.partition(b":")[2].partition(b":")[2].partition(b":")[0] for name in await redis.keys("ats:{*")}


async def test_a_young_receipt_is_kept(ledger: Ledger, redis: Redis) -> None:
    receipt = await worked_off(ledger)
    await make_old(redis, receipt, 19 * DAY)
    assert await purge(ledger, 20 * DAY) == 0
    assert await ledger.read_receipt(receipt.id) is not None


@pytest.mark.parametrize(("days", "left"), [(20, 0), (3, 7)])
async def test_an_old_receipt_goes_with_its_events_and_stays_known_for_ten_days(
    ledger: Ledger, redis: Redis, days: float, left: float
) -> None:
    receipt = await worked_off(ledger)
    await make_old(redis, receipt, days * DAY + 1)
    assert await purge(ledger, days * DAY) == 1
    assert await ledger.read_receipt(receipt.id) is None
    assert await ledger.read_event(make_event(receipt.id).id) is None
    assert await redis.zcard(key("receipts")) == 0
    if left:
        assert await redis.pttl(key(f"receipt:{receipt.id}")) == pytest.approx(left * DAY * 1000, rel=0.001)
    assert await accept(ledger, receipt) == [left == 0]


async def test_what_a_fact_or_a_delivery_waits_for_is_spared_for_an_hour(ledger: Ledger, redis: Redis) -> None:
    with_delivery = await worked_off(ledger, "1", "slack")
    with_fact = make_receipt("2")
    await accept(ledger, with_fact)
    for receipt in (with_delivery, with_fact):
        await make_old(redis, receipt, 40 * DAY)
    assert await purge(ledger, 30 * DAY) == 2
    assert await purge(ledger, 30 * DAY) == 0
    assert await purge(ledger, 30 * DAY - 3601) == 2
    assert await ledger.read_receipt(with_fact.id) is not None
    await ledger.settle(LANE, PARTITION, [settled(await claim_one(ledger, LANE), None)])
    await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), with_fact.id)])
    await purge(ledger, 0)
    await purge(ledger, -7200)
    assert b"event" not in await names(redis)
    assert await ledger.read_receipt(with_fact.id) is None


async def test_a_delivery_to_be_retried_keeps_its_event(ledger: Ledger) -> None:
    receipt = await worked_off(ledger, "1", "slack")
    await ledger.settle(LANE, PARTITION, [settled(await claim_one(ledger, LANE), 60.0)])
    await purge(ledger, -1)
    assert await ledger.read_event(make_event(receipt.id).id) is not None


async def test_a_purge_goes_in_steps(ledger: Ledger) -> None:
    for dedupe in "12345":
        await accept(ledger, make_receipt(dedupe, []))
    assert [await ledger.purge(PARTITION, older_than=-1, most=2) for _ in range(4)] == [2, 2, 1, 0]


async def test_when_all_is_done_and_purged_only_states_counts_and_dates_are_left(ledger: Ledger, redis: Redis) -> None:
    await worked_off(ledger, "1", "slack")
    await ledger.settle(LANE, PARTITION, [settled(await claim_one(ledger, LANE), None)])
    await ledger.purge(PARTITION, older_than=11 * DAY)
    await redis.zadd(key("receipts"), {receipt_id(SOURCE, None, "1"): 0})
    await ledger.purge(PARTITION, older_than=11 * DAY)
    assert await names(redis) == {b"state", b"counts", b"seen", b"tokens"}


# --- a server that is full or away --------------------------------------------------------------------------------


async def test_a_full_server_takes_nothing_new(full: None, ledger: Ledger) -> None:
    with pytest.raises(RedisError) as raised:
        await accept(ledger, make_receipt("one more"))
    assert is_outage(raised.value)


async def test_a_full_server_drains(full: None, ledger: Ledger) -> None:
    for expected in (2, 1):
        claim = await claim_one(ledger, LANE)
        assert (await ledger.renew(LANE, PARTITION, [claim]))[1] == [True]
        assert await ledger.settle(LANE, PARTITION, [settled(claim, None)]) == [expected]
    receipt = receipt_id(SOURCE, None, "a")
    event = make_event(receipt, [("slack", "a")])
    assert await ledger.commit(PARTITION, [make_routed(await claim_one(ledger), receipt, [event])]) == [2]
    assert await ledger.purge(PARTITION, older_than=-1) == 4


async def test_the_memory_in_use_is_told_as_a_share(ledger: Ledger, redis: Redis) -> None:
    assert await ledger.memory_used() == 0
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", used * 2)
    assert await ledger.memory_used() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (ConnectionResetError(), True),
        (ValueError("a fault of ours"), False),
    ],
)
def test_an_outage_is_what_may_pass(error: Exception, outage: bool) -> None:
    assert is_outage(error) is outage


async def test_a_server_that_is_away_is_an_outage() -> None:
    ledger = Ledger(client("unix:///nowhere/at.all"))
    calls: Sequence[Awaitable[object]] = [
        ledger.accept(PARTITION, [make_receipt("1")]),
        ledger.due_in(INTAKE),
        ledger.claim(INTAKE, PARTITION, 1),
        ledger.memory_used(),
    ]
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, RedisError)
        assert is_outage(error)
    await ledger.close()
