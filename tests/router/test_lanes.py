import asyncio
import logging
import os
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis import Redis as BlockingRedis
from redis.exceptions import ResponseError

from router import lanes as lanes_module
from router import ledger as ledger_module
from router.connection import client, end
from router.gate import Gate
from router.lanes import LaneLoop, Lease
from router.ledger import INTAKE, Ledger, sink_lane
from router.records import Claim, DeliveryRecord, DeliveryState, Settled
from sinks.base import SinkSettings
from tests.factories import PARTITION, make_event, make_receipt, make_routed, put_deliveries, until
from tests.valkey import Valkey

LANE = sink_lane("toy")
SOON = 0.2


def settled(claim: Claim, wait: float | None = None) -> Settled:
    state = DeliveryState.DELIVERED if wait is None else DeliveryState.PENDING
    return Settled(claim, claim.head.decode(), DeliveryRecord(sink="toy", routes=("all",), state=state), wait)


class Toy:
    """Work that notes what it does. ``seconds`` is how long each item takes, by subject."""

    lane = LANE

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.seconds: dict[str, float] = defaultdict(float)
        self.waits: dict[str, list[float]] = defaultdict(list)
        self.running = self.most_running = 0
        self.ran: list[Claim] = []
        self.done: list[tuple[str, str]] = []
        self.refused: list[str] = []

    async def load(self, partition: int, claims: Sequence[Claim]) -> Sequence[Claim]:
        return claims

    async def run(self, job: Claim, lease: Lease) -> Settled | None:
        self.ran.append(job)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await asyncio.sleep(self.seconds[job.subject])
        finally:
            self.running -= 1
        waits = self.waits[job.subject]
        return settled(job, waits.pop(0) if waits else None)

    async def settle(self, partition: int, results: Sequence[Settled]) -> Sequence[int]:
        answers = await self._ledger.settle(self.lane, partition, results)
        for result, answer in zip(results, answers, strict=True):
            if not answer:
                self.refused.append(result.claim.subject)
            elif result.wait is None:
                self.done.append((result.claim.subject, result.delivery))
        return answers


@pytest.fixture
def toy(ledger: Ledger) -> Toy:
    return Toy(ledger)


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.3)
    monkeypatch.setattr(lanes_module, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(lanes_module, "LOOK_SECONDS", 0.1)


@asynccontextmanager
async def working(ledger: Ledger, toy: Toy, slots: int = 8) -> AsyncIterator[LaneLoop[Claim, Settled]]:
    loop = LaneLoop(ledger, toy, slots)
    running = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        loop.stop()
        async with asyncio.timeout(10):
            await running


@asynccontextmanager
async def away(server: Valkey) -> AsyncIterator[None]:
    """Nobody reaches the server, which keeps what it has."""
    socket = Path(server.url.removeprefix("unix://"))
    with BlockingRedis.from_url(server.url) as redis:
        redis.ping()  # so that it is connected
        os.rename(socket, socket.with_suffix(".away"))
        redis.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            os.rename(socket.with_suffix(".away"), socket)


# --- the sliding window -------------------------------------------------------------------------------------------


async def test_everything_is_done_once_and_in_order(ledger: Ledger, toy: Toy) -> None:
    deliveries = await put_deliveries(ledger, "toy", [*"abc" * 10])
    async with working(ledger, toy):
        await until(lambda: len(toy.done) == 30)
    for subject, first in zip("abc", range(3), strict=True):
        assert [delivery for of, delivery in toy.done if of == subject] == deliveries[first::3]


async def test_a_slow_item_holds_back_its_own_subject_only(ledger: Ledger, toy: Toy) -> None:
    await put_deliveries(ledger, "toy", ["slow", "slow", *(f"s{n}" for n in range(20)), *"abc" * 5])
    toy.seconds["slow"] = 0.8
    async with working(ledger, toy, slots=3):
        await until(lambda: len(toy.done) == 35, 0.7)
    assert toy.done[-1][0] == "slow"


@pytest.mark.parametrize("slots", [1, 3, 8])
async def test_no_more_items_run_than_there_are_slots(ledger: Ledger, toy: Toy, slots: int) -> None:
    await put_deliveries(ledger, "toy", [f"s{n}" for n in range(30)])
    toy.seconds.update({f"s{n}": 0.01 + n % 4 * 0.007 for n in range(30)})
    async with working(ledger, toy, slots=slots):
        await until(lambda: len(toy.done) == 30)
    assert toy.most_running == slots


async def test_what_is_claimed_ahead_begins_where_the_server_is_slow(
    ledger: Ledger, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_deliveries(ledger, "toy", [f"s{n}" for n in range(10)])
    toy.seconds = defaultdict(lambda: 0.05)
    claim = ledger.claim

    async def claim_once(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(ledger, "claim", never)
        return await claim(*args, **options)

    async def never(*args: Any, **options: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(ledger, "claim", claim_once)
    loop = asyncio.create_task(LaneLoop(ledger, toy, 8).run())
    await until(lambda: len(toy.done) == 10)
    assert toy.most_running == 8
    await end(loop)


@pytest.mark.parametrize(("rate", "most"), [(None, 10), ("1000/s", 8)])
async def test_nothing_is_claimed_ahead_for_a_sink_that_bears_only_so_much(
    ledger: Ledger, toy: Toy, rate: str | None, most: int
) -> None:
    await put_deliveries(ledger, "toy", [f"s{n}" for n in range(20)])
    toy.seconds = defaultdict(lambda: 60.0)
    settings = SinkSettings.model_validate({"type": "recording", "rate": rate})
    loop = LaneLoop(ledger, toy, 8, Gate(ledger, "toy", settings))
    running = asyncio.create_task(loop.run())
    await until(lambda: toy.running == 8)
    await asyncio.sleep(0.2)
    assert (await ledger.backlog(LANE)).leased == most
    await end(running)


async def test_a_slot_is_free_before_its_result_is_stored(ledger: Ledger, toy: Toy) -> None:
    await put_deliveries(ledger, "toy", [f"s{n}" for n in range(9)])
    stored, settle = asyncio.Event(), toy.settle

    async def settle_late(partition: int, results: Sequence[Settled]) -> Sequence[int]:
        await stored.wait()
        return await settle(partition, results)

    toy.settle = settle_late  # type: ignore[method-assign]
    async with working(ledger, toy, slots=3):
        await until(lambda: len(toy.ran) == 9)
        assert not toy.done
        stored.set()


async def test_what_was_claimed_ahead_is_left_to_others_by_a_loop_that_stops(ledger: Ledger, toy: Toy) -> None:
    await put_deliveries(ledger, "toy", [f"s{n}" for n in range(5)])
    toy.seconds = defaultdict(lambda: 0.1)
    async with working(ledger, toy, slots=4):
        await until(lambda: toy.running == 4)
    assert len(toy.done) == 4
    _, [left] = await ledger.claim(LANE, PARTITION, 9)
    assert not left.reclaimed


async def test_what_waits_for_its_next_attempt_holds_no_slot(ledger: Ledger, toy: Toy) -> None:
    await put_deliveries(ledger, "toy", ["a", "b"])
    toy.waits["a"] = toy.waits["b"] = [60.0]
    async with working(ledger, toy, slots=1):
        await until(lambda: len(toy.ran) == 2)
        await put_deliveries(ledger, "toy", ["c"], "later ")
        await until(lambda: len(toy.done) == 1)


# --- when a loop looks --------------------------------------------------------------------------------------------


async def test_a_wake_makes_work_start_at_once(ledger: Ledger, toy: Toy) -> None:
    async with working(ledger, toy) as loop:
        await asyncio.sleep(0.05)
        await put_deliveries(ledger, "toy", ["a"])
        loop.wake([PARTITION])
        assert await until(lambda: bool(toy.done)) < SOON


async def test_the_next_of_a_line_starts_at_once(ledger: Ledger, toy: Toy) -> None:
    await put_deliveries(ledger, "toy", ["a"] * 10)
    async with working(ledger, toy):
        assert await until(lambda: len(toy.done) == 10) < SOON


async def test_a_loop_looks_by_itself_every_second(ledger: Ledger, toy: Toy) -> None:
    async with working(ledger, toy):
        await asyncio.sleep(0.1)
        await put_deliveries(ledger, "toy", ["a"])
        assert SOON < await until(lambda: bool(toy.done)) < 1.3


async def test_a_wake_while_the_loop_looks_is_not_forgotten(
    ledger: Ledger, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    due_in = ledger.due_in
    looks = 0

    async def due_in_slowly(lane: str) -> list[float | None]:
        nonlocal looks
        due = await due_in(lane)
        looks += 1
        await put_deliveries(ledger, "toy", ["a"], f"{looks} ")
        loop.wake([PARTITION])
        return due

    monkeypatch.setattr(ledger, "due_in", due_in_slowly)
    async with working(ledger, toy) as loop:
        assert await until(lambda: bool(toy.done)) < SOON
    assert looks == 1


async def test_a_retry_starts_when_it_is_due_also_between_two_looks(
    ledger: Ledger, toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "LOOK_SECONDS", 0.5)
    await put_deliveries(ledger, "toy", ["a"])
    toy.waits["a"] = [0.6]
    async with working(ledger, toy):
        assert 0.6 <= await until(lambda: bool(toy.done)) < 0.85
    assert [claim.reclaimed for claim in toy.ran] == [False, False]


async def test_what_an_adjusted_clock_left_far_ahead_is_done(ledger: Ledger, toy: Toy, url: str) -> None:
    await put_deliveries(ledger, "toy", ["a"])
    with BlockingRedis.from_url(url) as redis:
        redis.zadd(f"ats:{{p{PARTITION:02d}}}:lane:{LANE}", {"a": (time.time() + 4e7) * 1000})
    async with working(ledger, toy):
        await until(lambda: bool(toy.done))


# --- leases -------------------------------------------------------------------------------------------------------


async def test_a_long_item_keeps_its_lease(ledger: Ledger, toy: Toy, short_leases: None) -> None:
    await put_deliveries(ledger, "toy", ["a"])
    toy.seconds["a"] = 1.0
    other = Toy(ledger)
    async with working(ledger, toy):
        await until(lambda: bool(toy.ran))
        async with working(ledger, other):
            await until(lambda: bool(toy.done))
    assert (len(toy.ran), toy.refused, other.ran) == (1, [], [])


async def test_a_result_that_comes_after_the_lease_was_lost_is_refused(
    ledger: Ledger, toy: Toy, short_leases: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanes_module, "RENEW_SECONDS", 60.0)
    await put_deliveries(ledger, "toy", ["a"])
    toy.seconds["a"] = 0.6
    other = Toy(ledger)
    async with working(ledger, toy, slots=1):
        await until(lambda: bool(toy.ran))
        async with working(ledger, other):
            await until(lambda: bool(toy.refused))
    assert [claim.reclaimed for claim in other.ran] == [True]
    assert len(other.done) == 1
    assert toy.done == []
    assert "came after their lease was lost" in caplog.text


async def test_a_lease_holds_by_the_clock_of_this_process(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await put_deliveries(ledger, "toy", ["a"])
    _, [claim] = await ledger.claim(LANE, PARTITION, 1)
    lease = Lease(claim)
    assert lease.holds()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + ledger_module.LEASE_SECONDS + 0.1)
    assert not lease.holds()


async def test_a_lease_that_another_loop_took_does_not_hold(ledger: Ledger, url: str, short_leases: None) -> None:
    leases: list[Lease] = []

    class Patient(Toy):
        async def run(self, job: Claim, lease: Lease) -> Settled | None:
            leases.append(lease)
            return await super().run(job, lease)

    patient = Patient(ledger)
    patient.seconds["a"] = 0.5
    await put_deliveries(ledger, "toy", ["a"])
    async with working(ledger, patient, slots=1):
        await until(lambda: bool(leases))
        with BlockingRedis.from_url(url) as redis:
            redis.hset(f"ats:{{p{PARTITION:02d}}}:leases:{LANE}", "a", "999")
        await until(lambda: not leases[0].holds(), 0.25)
    assert patient.refused == ["a"]


async def test_without_a_result_nothing_is_settled_and_the_item_comes_back(ledger: Ledger, short_leases: None) -> None:
    class Hesitant(Toy):
        async def run(self, job: Claim, lease: Lease) -> Settled | None:
            result = await super().run(job, lease)
            return result if job.reclaimed else None

    toy = Hesitant(ledger)
    await put_deliveries(ledger, "toy", ["a", "b"])
    async with working(ledger, toy, slots=1):
        await until(lambda: len(toy.done) == 2)
    assert [claim.subject for claim in toy.ran].count("a") == 2


# --- faults -------------------------------------------------------------------------------------------------------


async def test_an_item_that_fails_comes_back_and_stops_nobody(
    ledger: Ledger, short_leases: None, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Toy):
        async def run(self, job: Claim, lease: Lease) -> Settled | None:
            if job.subject == "bad" and not job.reclaimed:
                raise ValueError("a fault of ours")
            return await super().run(job, lease)

    toy = Faulty(ledger)
    await put_deliveries(ledger, "toy", ["bad", *"abcdef"])
    async with working(ledger, toy, slots=1):
        await until(lambda: len(toy.done) == 7)
    assert "an item failed" in caplog.text


async def test_an_item_that_cannot_be_read_stops_nobody(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    class Picky(Toy):
        async def load(self, partition: int, claims: Sequence[Claim]) -> Sequence[Claim]:
            if any(claim.subject == "bad" for claim in claims):
                raise ValueError("written by a newer version")
            return claims

    toy = Picky(ledger)
    await put_deliveries(ledger, "toy", ["a", "bad", "b"])
    async with working(ledger, toy):
        await until(lambda: len(toy.done) == 2)
    assert [claim.reclaimed for claim in toy.ran] == [False, False]
    assert "can't be read" in caplog.text


async def test_results_that_cannot_be_stored_free_their_slots(
    ledger: Ledger, toy: Toy, short_leases: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = ledger.settle

    async def fail_once(lane: str, partition: int, batch: Sequence[Settled]) -> list[int]:
        monkeypatch.setattr(ledger, "settle", settle)
        raise ResponseError("WRONGTYPE")

    monkeypatch.setattr(ledger, "settle", fail_once)
    await put_deliveries(ledger, "toy", ["a"])
    async with working(ledger, toy, slots=1):
        await until(lambda: len(toy.done) == 1)
    assert [claim.reclaimed for claim in toy.ran] == [False, True]
    assert "can't be stored" in caplog.text


async def test_a_loop_that_can_no_longer_renew_ends_with_the_reason(
    ledger: Ledger, toy: Toy, short_leases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(lane: str, partition: int, claims: Sequence[Claim]) -> tuple[float, list[bool]]:
        raise AttributeError("a fault of the client's")

    monkeypatch.setattr(ledger, "renew", broken)
    await put_deliveries(ledger, "toy", ["a"])
    toy.seconds["a"] = 5.0
    with pytest.raises(AttributeError):
        async with asyncio.timeout(2):
            await LaneLoop(ledger, toy, 1).run()


async def test_a_stopped_loop_ends_its_running_work_and_begins_none(ledger: Ledger, toy: Toy) -> None:
    await put_deliveries(ledger, "toy", ["a", "a", "b"])
    toy.seconds.update(a=0.2, b=0.2)
    async with working(ledger, toy, slots=1):
        await until(lambda: toy.running == 1)
    assert len(toy.ran) == len(toy.done) == 1
    assert (await ledger.backlog(LANE)).leased == 0


async def test_a_loop_waits_for_the_server_and_loses_no_result(
    own_server: Valkey, own_ledger: Ledger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(lanes_module, "RENEW_SECONDS", 0.1)
    ledger, toy = own_ledger, Toy(own_ledger)
    await put_deliveries(ledger, "toy", ["a", "a", "b"])
    toy.seconds["a"] = 0.2
    async with working(ledger, toy):
        await until(lambda: toy.running == len(toy.done) == 1)
        async with away(own_server):
            await until(lambda: toy.running == 0)
            await asyncio.sleep(0.6)
            assert len(toy.done) == 1
        await until(lambda: len(toy.done) == 3)
        await put_deliveries(ledger, "toy", ["c"], "later ")
        await until(lambda: len(toy.done) == 4)
    assert (len(toy.ran), toy.refused) == (4, [])
    assert "the Redis server is back" in caplog.text


async def test_loops_that_die_at_random_lose_nothing_and_keep_the_order(ledger: Ledger, short_leases: None) -> None:
    chance = random.Random(7)
    deliveries = await put_deliveries(ledger, "toy", [f"s{n % 30}" for n in range(300)])
    toys = [Toy(ledger) for _ in range(3)]
    ran: list[Claim] = []
    for toy in toys:
        toy.ran = ran
        toy.seconds = defaultdict(lambda: 0.02)
    running = [asyncio.create_task(LaneLoop(ledger, toy, 10).run()) for toy in toys]
    for _ in range(4):
        await asyncio.sleep(0.08)
        victim = chance.randrange(3)
        await end(running[victim])
        running[victim] = asyncio.create_task(LaneLoop(ledger, toys[victim], 10).run())
    async with asyncio.timeout(20):
        while (await ledger.backlog(LANE)).subjects:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await end(*running)
    assert any(claim.reclaimed for claim in ran)
    assert sum(len(toy.refused) for toy in toys) == 0
    for n in range(30):
        heads = dict.fromkeys(claim.head.decode() for claim in ran if claim.subject == f"s{n}")
        assert list(heads) == deliveries[n::30]


# --- any history --------------------------------------------------------------------------------------------------

SUBJECTS = ["a", "b", "c"]
lanes = st.sampled_from([INTAKE, LANE])
subjects = st.sampled_from(SUBJECTS)


class AnyHistory(RuleBasedStateMachine):
    """The scripts against a model of what lanes are; one partition, the intake lane and a sink's."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.loop = asyncio.Runner()
        self.redis = BlockingRedis.from_url(url)
        self.redis.flushall()
        self.ledger = self.loop.run(self._open())
        self.lines: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        self.tokens: dict[tuple[str, str], bytes] = {}
        self.ran_out: set[tuple[str, str]] = set()
        self.waits: set[tuple[str, str]] = set()
        self.claims: list[tuple[str, Claim]] = []
        self.receipts = 0

    async def _open(self) -> Ledger:
        return Ledger(client(self.url))

    def teardown(self) -> None:
        self.loop.run(self.ledger.close())
        self.loop.close()
        self.redis.close()

    def due(self, lane: str) -> set[str]:
        return {
            subject
            for subject in SUBJECTS
            if self.lines[lane, subject]
            and (lane, subject) not in self.waits
            and ((lane, subject) not in self.tokens or (lane, subject) in self.ran_out)
        }

    @rule(told=st.lists(subjects, min_size=1, max_size=3))
    def accept(self, told: list[str]) -> None:
        self.receipts += 1
        facts = [(subject, b"%d %d" % (self.receipts, n)) for n, subject in enumerate(told)]
        assert self.loop.run(self.ledger.accept(PARTITION, [make_receipt(str(self.receipts), facts)])) == [True]
        for subject, item in facts:
            self.lines[INTAKE, subject].append(item)

    @rule(lane=lanes, most=st.integers(1, 4))
    def claim(self, lane: str, most: int) -> None:
        due = self.due(lane)
        next_due, claims = self.loop.run(self.ledger.claim(lane, PARTITION, most))
        claimed = {claim.subject for claim in claims}
        assert len(claims) == len(claimed) == min(most, len(due))
        assert claimed <= due
        assert (next_due is None) == (not any(self.lines[lane, subject] for subject in SUBJECTS))
        for claim in claims:
            place = (lane, claim.subject)
            assert claim.head == self.lines[place][0]
            assert claim.reclaimed == (place in self.tokens)
            assert int(claim.token) > max((int(earlier.token) for _, earlier in self.claims), default=0)
            self.tokens[place] = claim.token
            self.ran_out.discard(place)
            self.claims.append((lane, claim))

    @rule(which=st.integers(0, 99), to=st.lists(subjects, max_size=2), wait=st.sampled_from([None, None, 3600.0]))
    def finish(self, which: int, to: list[str], wait: float | None) -> None:
        if not self.claims:
            return
        lane, claim = self.claims[-1 - which % len(self.claims)]
        place = (lane, claim.subject)
        mine = self.tokens.get(place) == claim.token
        deliveries: list[tuple[str, bytes]] = []
        if lane == INTAKE:
            wait = None
            self.receipts += 1
            receipt = make_receipt(str(self.receipts)).id
            events = [make_event(receipt, [("toy", subject)], n) for n, subject in enumerate(to)]
            deliveries = [(event.deliveries[0].subject or "", event.deliveries[0].id.encode()) for event in events]
            [answer] = self.loop.run(self.ledger.commit(PARTITION, [make_routed(claim, receipt, events)]))
        else:
            [answer] = self.loop.run(self.ledger.settle(lane, PARTITION, [settled(claim, wait)]))
        if not mine:
            assert answer == 0
            return
        del self.tokens[place]
        self.ran_out.discard(place)
        if wait is not None:
            self.waits.add(place)
        else:
            self.lines[place].pop(0)
        assert answer == (2 if wait is None and self.lines[place] else 1)
        for subject, item in deliveries:
            self.lines[LANE, subject].append(item)

    @rule(which=st.integers(0, 99))
    def renew(self, which: int) -> None:
        if self.claims:
            lane, claim = self.claims[-1 - which % len(self.claims)]
            place = (lane, claim.subject)
            _, held = self.loop.run(self.ledger.renew(lane, PARTITION, [claim]))
            assert held == [self.tokens.get(place) == claim.token]
            if held == [True]:
                self.ran_out.discard(place)

    @rule(lane=lanes, subject=subjects)
    def time_passes(self, lane: str, subject: str) -> None:
        """A lease runs out, or a wait is over."""
        place = (lane, subject)
        if place in self.tokens:
            self.ran_out.add(place)
        if place in self.tokens or place in self.waits:
            self.waits.discard(place)
            self.redis.zadd(f"ats:{{p{PARTITION:02d}}}:lane:{lane}", {subject: 0})

    def _subjects(self, what: str, lane: str) -> dict[str, bytes]:
        found = cast("dict[bytes, bytes]", self.redis.hgetall(f"ats:{{p{PARTITION:02d}}}:{what}:{lane}"))
        return {subject.decode(): value for subject, value in found.items()}

    @invariant()
    def the_ledger_is_as_the_model(self) -> None:
        for lane in (INTAKE, LANE):
            heads, leases = self._subjects("heads", lane), self._subjects("leases", lane)
            listed = self.redis.zrange(f"ats:{{p{PARTITION:02d}}}:lane:{lane}", 0, -1)
            assert {subject.decode() for subject in cast("list[bytes]", listed)} == set(heads)
            assert leases == {subject: token for (at, subject), token in self.tokens.items() if at == lane}
            assert set(leases) <= set(heads)
            for subject in SUBJECTS:
                line = cast("list[bytes]", self.redis.lrange(f"ats:{{p{PARTITION:02d}}}:line:{lane}:{subject}", 0, -1))
                head = [heads[subject]] if subject in heads else []
                assert head + line == self.lines[lane, subject]


def test_any_history_loses_nothing_and_keeps_the_order(url: str) -> None:
    class OnThisServer(AnyHistory):
        def __init__(self) -> None:
            super().__init__(url)

    run_state_machine_as_test(OnThisServer, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))
