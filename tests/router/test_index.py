"""The indexes of the ledger: everything is found by them, while it is there and no longer."""

import asyncio
import random
import time
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from handlers.base import Disposition
from router import lists
from router.delivery import Deliveries
from router.identity import about_key, receipt_id
from router.lanes import LaneLoop
from router.ledger import Ledger, sink_lane
from router.ledger_keys import LISTINGS, RETRYING, about_index, deliveries_index, drift_index, events_index
from router.lists import DeliveryRow, Filter, follow, newest_deliveries, newest_events, scan_deliveries
from router.mending import retry
from router.records import DeliveryState, NewReceipt
from router.schema import EventType
from sinks.base import Outcome, Result, RetrySettings, SinkSettings
from tests.factories import PARTITION, SOURCE, RecordingSink, claim_one, destination, make_record, until
from tests.router.bulk import SINK, Bulk, fill

DAY = 86400.0
SINKS = {SINK: True}


def key(name: str) -> str:
    return f"ats:{{p{PARTITION:02d}}}:{name}"


def drifted(dedupe: str) -> NewReceipt:
    return NewReceipt(receipt_id(SOURCE, None, dedupe), make_record(Disposition.DRIFT), b"{}", [])


async def found(ledger: Ledger, **wanted: object) -> Sequence[DeliveryRow]:
    return (await newest_deliveries(ledger, Filter(**{"limit": 1000, **wanted}), SINKS)).rows  # type: ignore[arg-type]


async def sizes(ledger: Ledger) -> dict[str, int]:
    return {listing: await ledger.how_many(deliveries_index(SINK, listing)) for listing in LISTINGS}


async def test_a_delivery_is_listed_by_its_state(ledger: Ledger) -> None:
    nothing = dict.fromkeys(LISTINGS, 0)
    await fill(ledger, 8, Bulk(attempted=False))
    assert await sizes(ledger) == nothing | {"pending": 8}
    await fill(ledger, 8, Bulk(dead_every=4), first=8)  # works off the others as well
    assert await sizes(ledger) == nothing | {"delivered": 12, "dead": 4}
    await fill(ledger, 4, Bulk(retrying_every=2), first=16)
    counted = await sizes(ledger)  # the second of four of one application fails, two wait behind it
    assert (counted["pending"], counted[RETRYING]) == (3, 1)


async def test_filters_combine(ledger: Ledger) -> None:
    await fill(ledger, 40, Bulk(dead_every=10))
    every = await found(ledger)
    assert len({row.id for row in every}) == 40
    assert [row.at for row in every] == sorted((row.at for row in every), reverse=True)
    dead = await found(ledger, state="dead")
    assert {row.state for row in dead} == {"dead"}
    assert {row.id for row in await found(ledger, reason="HTTP_503")} == {row.id for row in dead}
    moved = await found(ledger, type=EventType.STAGE_CHANGED)
    assert {row.id for row in moved} == {row.id for row in every if row.type is EventType.STAGE_CHANGED}
    assert await found(ledger, source="another") == []
    assert len(await found(ledger, candidate="cand-1")) == 8
    assert len(await found(ledger, candidate="cand-1", application="app-2")) == 4
    assert len(await found(ledger, application="app-2", type=EventType.OFFER_CHANGED, sink=SINK)) == 1
    assert await found(ledger, application="app-2", candidate="cand-2") == []
    assert await found(ledger, application="cand-1") == []
    assert await found(ledger, since=time.time() + 60) == []
    assert await found(ledger, application="app-2", until=time.time() - 60) == []
    assert len(await found(ledger, until=time.time() + 60)) == 40


async def test_of_several_sinks_only_what_was_asked_for_is_listed(ledger: Ledger) -> None:
    await fill(ledger, 8, Bulk(sinks=(SINK, "newer")))
    await ledger.show_worker("a", [SINK, "newer"])
    for more in ({}, {"application": "app-1"}, {"reason": "ok"}):
        assert [row.sink for row in await found(ledger, sink=SINK, limit=3, **more)] == [SINK] * 3


async def test_the_deliveries_of_one_application_are_sorted_and_filtered(ledger: Ledger) -> None:
    await fill(ledger, 8, Bulk(dead_every=4))
    rows = await found(ledger, application="app-1")
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)
    assert await found(ledger, application="app-1", limit=3) == rows[:3]
    assert await found(ledger, application="app-1", state="dead") == [row for row in rows if row.state == "dead"]
    assert await found(ledger, application="app-1", since=rows[0].at.timestamp()) == rows[:1]


async def test_a_delivery_tells_how_it_stands(ledger: Ledger) -> None:
    await fill(ledger, 2, Bulk(retrying_every=2))
    rows = {row.state: row for row in await found(ledger)}  # by state: both may be of the same millisecond
    assert rows.keys() == {RETRYING, "dead"}
    assert [(row.tries, row.reason) for row in rows.values() if row.next_at] == [(1, "http_503")]
    assert (rows["dead"].tries, rows["dead"].next_at) == (2, None)


async def test_events_are_found_by_every_filter(ledger: Ledger) -> None:
    await fill(ledger, 40)

    async def ids(**wanted: object) -> list[str]:
        return [row.id for row in await newest_events(ledger, Filter(**{"limit": 100, **wanted}))]  # type: ignore[arg-type]

    assert len(await ids()) == len(set(await ids())) == 40
    assert len(await ids(limit=7)) == 7
    assert len(await ids(type=EventType.STAGE_CHANGED)) == 20
    assert len(await ids(source=SOURCE, type=EventType.OFFER_CHANGED)) == 10
    assert await ids(source="another") == []
    assert len(await ids(application="app-3", type=EventType.STAGE_CHANGED)) == 2
    assert len(await ids(candidate="cand-1", application="app-3")) == 4
    assert await ids(since=time.time() + 60) == []


async def test_no_key_and_no_index_tells_a_vendors_id(ledger: Ledger, redis: Redis) -> None:
    await fill(ledger, 8)
    assert not [name for name in await redis.keys() if b"app-" in name or b"cand-" in name]


async def test_a_scan_says_how_far_it_looked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(ledger, 32, Bulk(dead_every=16))
    monkeypatch.setattr(lists, "SCANNED", 10)
    nothing = await scan_deliveries(ledger, Filter(limit=5, reason="no such"), SINKS)
    assert (nothing.rows, nothing.looked_at) == ([], 10)
    full = await scan_deliveries(ledger, Filter(limit=5, reason="ok"), SINKS)
    assert (len(full.rows), full.looked_at) == (5, None)


async def test_the_newest_cost_the_same_in_a_small_ledger_and_in_a_full_one(ledger: Ledger, redis: Redis) -> None:
    async def commands(**wanted: object) -> int:
        before = (await redis.info("stats"))["total_commands_processed"]
        await found(ledger, **{"limit": 20, **wanted})
        await newest_events(ledger, Filter(limit=20))
        return int((await redis.info("stats"))["total_commands_processed"]) - int(before)

    asked: list[dict[str, object]] = [{}, {"sink": SINK}, {"state": "dead"}, {"application": "app-1"}]
    await fill(ledger, 400, Bulk(dead_every=8))
    small = [await commands(**wanted) for wanted in asked]
    await fill(ledger, 2000, Bulk(dead_every=8), first=400)
    assert [await commands(**wanted) for wanted in asked] == small


async def test_following_shows_every_change_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LOOK_SECONDS", 0.01)
    await fill(ledger, 4, Bulk(attempted=False))
    shown: list[tuple[str, str]] = []

    async def look(wanted: Filter) -> Sequence[DeliveryRow]:
        return (await scan_deliveries(ledger, wanted, SINKS)).rows

    async def watch() -> None:
        async for row in follow(ledger, Filter(limit=50), look):
            shown.append((row.id, row.state))

    watching = asyncio.create_task(watch())
    await until(lambda: len(shown) == 4)
    await fill(ledger, 4, first=4)
    await until(lambda: len({shown for shown in shown if shown[1] in ("delivered", "dead")}) == 8)
    await asyncio.sleep(0.05)
    watching.cancel()
    assert len(shown) == len(set(shown))


async def test_purge_trims_every_index(ledger: Ledger, redis: Redis) -> None:
    await fill(ledger, 24, Bulk(dead_every=3))
    await ledger.accept(PARTITION, [drifted("odd")])
    assert await ledger.how_many(drift_index(SOURCE)) == 1
    for receipt in await redis.zrange(key("receipts"), 0, -1):
        await redis.zadd(key("receipts"), {receipt: (time.time() - 40 * DAY) * 1000})
    assert await ledger.purge(PARTITION, older_than=30 * DAY) == 25
    left = {name.split(b":")[2] for name in await redis.keys("ats:{*")}
    assert left == {b"state", b"counts", b"seen", b"tokens"}


async def test_what_waits_stays_in_its_indexes(ledger: Ledger) -> None:
    await fill(ledger, 4, Bulk(attempted=False))
    await ledger.purge(PARTITION, older_than=-10)
    assert (await sizes(ledger))["pending"] == 4
    assert await ledger.how_many(about_index(about_key("application", "app-0"))) == 4
    assert await ledger.how_many(events_index(SOURCE, EventType.STAGE_CHANGED)) == 2


async def test_drift_is_listed_by_source(ledger: Ledger) -> None:
    await ledger.accept(PARTITION, [drifted("1"), drifted("1"), drifted("2")])
    listed = await ledger.listed([drift_index(SOURCE)], 10)
    assert {one.id for one in listed} == {drifted("1").id, drifted("2").id}
    assert (await ledger.last_seen())[SOURCE] == pytest.approx(time.time(), abs=5)


async def test_workers_that_show_themselves_are_counted(ledger: Ledger) -> None:
    assert await ledger.workers(within=15) == 0
    for worker in ("a", "b", "a"):
        await ledger.show_worker(worker)
    assert await ledger.workers(within=15) == 2
    await ledger.forget_worker("a")
    assert await ledger.workers(within=15) == 1


# --- retry ----------------------------------------------------------------------------------------------------------


async def ids_in(ledger: Ledger, listing: str) -> list[str]:
    return [one.id for one in reversed(await ledger.listed([deliveries_index(SINK, listing)], 1000))]


async def test_a_dead_delivery_goes_back_to_the_tail_with_a_fresh_count_of_tries(ledger: Ledger) -> None:
    await fill(ledger, 1, Bulk(dead_every=1))
    [dead] = await ids_in(ledger, "dead")
    await fill(ledger, 1, Bulk(attempted=False), first=1)  # of the same application
    [ahead] = await ids_in(ledger, "pending")
    [result] = await retry(ledger, [dead], SINKS)
    assert result.done
    [again] = await retry(ledger, [dead], SINKS)
    assert (again.done, "waits behind" in again.words) == (False, True)
    claim = await claim_one(ledger, sink_lane(SINK))
    assert claim.head.decode() == ahead
    [stored] = await ledger.load_deliveries(PARTITION, [dead])
    assert stored is not None
    assert (stored.record.state, len(stored.record.attempts), stored.record.forgiven) == (DeliveryState.PENDING, 2, 2)
    assert (await sizes(ledger))["dead"] == 0


async def test_what_waits_for_its_next_attempt_is_due_now(ledger: Ledger) -> None:
    await fill(ledger, 2, Bulk(retrying_every=1, dead_every=1000))
    waiting = await ids_in(ledger, "pending")
    await fill(ledger, 2, Bulk(retrying_every=2, dead_every=1000), first=4)
    [failed] = await ids_in(ledger, RETRYING)
    assert (await ledger.due_in(sink_lane(SINK)))[PARTITION] == pytest.approx(3600, abs=10)
    [result] = await retry(ledger, [failed], SINKS)
    assert (result.done, waiting) == (True, [])
    assert (await claim_one(ledger, sink_lane(SINK))).head.decode() == failed
    [sending] = await retry(ledger, [failed], SINKS)
    assert (sending.done, sending.words) == (False, "it is being sent right now")


async def test_what_can_not_be_retried_is_refused_with_a_reason(ledger: Ledger) -> None:
    await fill(ledger, 2, Bulk(dead_every=2))
    [dead], [delivered] = await ids_in(ledger, "dead"), await ids_in(ledger, "delivered")
    unknown = "dlv_00" + "0" * 24 + "_00000000"
    for delivery, sinks, words in (
        (delivered, SINKS, "delivered at"),
        (dead, {"another": True}, "not in the configuration"),
        (dead, {SINK: False}, "switched off"),
        (unknown, SINKS, "not in the ledger"),
    ):
        [result] = await retry(ledger, [delivery], sinks)
        assert not result.done
        assert words in result.words
    assert await sizes(ledger) == dict.fromkeys(LISTINGS, 0) | {"dead": 1, "delivered": 1}


async def test_retries_race_with_workers_and_with_each_other(ledger: Ledger) -> None:
    """Whatever happens at the same time: every delivery ends delivered, once, and in exactly one listing."""
    count = 30
    await fill(ledger, count, Bulk(dead_every=1))
    dead = await ids_in(ledger, "dead")
    sink = RecordingSink()
    sink.outcomes = [
        random.choice([Outcome(Result.PERMANENT, "http_400"), Outcome(Result.RETRY, "http_503")]) for _ in range(40)
    ]
    settings = SinkSettings(
        type="recording", retry=RetrySettings.model_validate({"first": "1ms", "longest": "2ms", "tries": 2})
    )
    loops = [LaneLoop(ledger, Deliveries(ledger, destination(sink, settings, SINK)), 8) for _ in range(2)]
    running = [asyncio.create_task(loop.run()) for loop in loops]
    give_up = time.monotonic() + 30
    while (await sizes(ledger))["delivered"] < count:
        assert time.monotonic() < give_up
        some = random.sample(dead, 10)
        await asyncio.gather(*(retry(ledger, some, SINKS) for _ in range(3)))
        for loop in loops:
            loop.wake()
    for loop in loops:
        loop.stop()
    await asyncio.gather(*running)
    assert await sizes(ledger) == dict.fromkeys(LISTINGS, 0) | {"delivered": count}
    assert (await ledger.backlog(sink_lane(SINK))).subjects == 0
    records = await ledger.load_deliveries(PARTITION, dead)
    results = [[attempt.result for attempt in one.record.attempts] for one in records if one]
    assert all(result.count(Result.DELIVERED) == 1 and result[-1] is Result.DELIVERED for result in results)
    assert len({attempt.id for attempt in sink.attempts}) == count
    await ledger.purge(PARTITION, older_than=-10)
    assert await ledger.load_deliveries(PARTITION, dead) == [None] * count  # so none of them counts as open
