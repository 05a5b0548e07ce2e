"""The gate before a sink: several workers' gates share one ledger, as in life."""

import asyncio
import itertools
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from router import ledger_gates
from router.connection import client
from router.gate import RUN_OF_FAILURES, SAFE_SHARE, Gate, Turn
from router.ledger import Ledger
from router.ledger_keys import gate_key, pace_key
from router.records import GateState
from sinks.base import Outcome, Result, SinkSettings
from tests.valkey import Valkey

DOWN = Outcome(Result.RETRY, "http_503", 503)
HUNG = Outcome(Result.AMBIGUOUS, "timeout")
FINE = Outcome(Result.DELIVERED, "ok", 200)
FORBIDDEN = Outcome(Result.REFUSED, "http_401", 401)
UNFIT = Outcome(Result.PERMANENT, "http_400", 400)
TOO_MANY = Outcome(Result.RETRY, "http_429", 429)


def gate(ledger: Ledger, rate: str | None = None, sink: str = "s") -> Gate:
    return Gate(ledger, sink, SinkSettings.model_validate({"type": "recording", "rate": rate}))


async def fail(gate: Gate, outcome: Outcome = DOWN, times: int = RUN_OF_FAILURES) -> None:
    for _ in range(times):
        await gate.note(outcome, None)


async def admitted(gate: Gate, most: int = 64) -> int:
    await gate.look()
    return (await gate.admit(most))[0]


async def probe(gate: Gate, ledger: Ledger) -> Turn:
    """The turn of a probe, as soon as the pause is over."""
    await ledger.probe_now("s")
    assert await admitted(gate) == 1
    turn = gate.take()
    assert turn is not None
    assert turn.probe
    return turn


@pytest.fixture
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_gates, "FIRST_PAUSE", {GateState.OPEN: 0.1, GateState.PARKED: 0.2})
    monkeypatch.setattr(ledger_gates, "LONGEST_PAUSE", {GateState.OPEN: 0.4, GateState.PARKED: 0.8})


# --- the breaker --------------------------------------------------------------------------------------------------


async def test_a_sink_that_works_is_open_to_all_and_asks_the_ledger_nothing(ledger: Ledger, redis: Redis) -> None:
    here = gate(ledger)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
    for _ in range(10):
        assert await here.admit(64) == (64, 0.0)
        assert here.take() is None
        await here.note(FINE, None)
    assert (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0) == before


@pytest.mark.parametrize("outcome", [DOWN, HUNG])
async def test_a_run_of_failures_shuts_it_for_every_worker(ledger: Ledger, outcome: Outcome) -> None:
    here, there = gate(ledger), gate(ledger)
    await fail(here, outcome, RUN_OF_FAILURES - 1)
    assert await admitted(there) == 64
    await fail(here, outcome, 1)
    assert await admitted(here) == 0
    assert await admitted(there) == 0
    told = await ledger.read_gate("s")
    assert (told.state, told.reason, told.failures) == (GateState.OPEN, outcome.reason, 1)
    assert told.since == pytest.approx(time.time(), abs=5)
    assert told.since + 1 <= told.probe_at <= told.since + 1.3


@pytest.mark.parametrize(
    "good", [FINE, UNFIT, Outcome(Result.RETRY, "not_in_channel", 200, only_here=True)], ids=lambda one: one.reason
)
async def test_a_sink_that_answers_is_not_broken(ledger: Ledger, good: Outcome) -> None:
    here = gate(ledger)
    for _ in range(3):
        await fail(here, DOWN, RUN_OF_FAILURES - 1)
        await here.note(good, None)
    await fail(here, good, 3 * RUN_OF_FAILURES)
    assert await admitted(here) == 64


async def test_another_sink_is_not_touched(ledger: Ledger) -> None:
    await fail(gate(ledger))
    assert await admitted(gate(ledger, sink="other")) == 64


async def test_one_probe_at_a_time_over_all_workers(ledger: Ledger, quick_probes: None) -> None:
    gates = [gate(ledger) for _ in range(5)]
    await fail(gates[0])
    await asyncio.sleep(0.13)
    assert sorted([await admitted(one) for one in gates]) == [0, 0, 0, 0, 1]
    assert sorted([await admitted(one) for one in gates]) == [0, 0, 0, 0, 1]  # the one who may has not begun yet


@pytest.mark.timed
async def test_the_pauses_between_probes_grow_up_to_a_limit(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 1.0)
    here = gate(ledger)
    await fail(here)
    pauses = []
    for _ in range(6):
        turn = await probe(here, ledger)
        await here.note(DOWN, turn)
        pauses.append((await ledger.read_gate("s")).probe_at - time.time())
    assert pauses == pytest.approx([2, 4, 8, 12, 12, 12], abs=0.5)
    assert (await ledger.read_gate("s")).failures == 7


async def test_a_probe_that_succeeds_opens_it_again_with_a_slow_start(ledger: Ledger) -> None:
    here, there = gate(ledger), gate(ledger)
    await fail(here)
    await here.note(FINE, await probe(here, ledger))
    told = await ledger.read_gate("s")
    assert (told.state, told.since, told.reason) == (GateState.CLOSED, 0, "")
    assert told.interval == ledger_gates.AFTER_CLOSING
    first = await admitted(there)
    assert 1 <= first <= 1 + ledger_gates.RESERVED_SECONDS / ledger_gates.AFTER_CLOSING  # not all that waits at once
    for _ in range(100):
        await there.note(FINE, None)
    assert await admitted(there) == 64


async def test_what_slows_a_sink_down_is_forgotten_but_not_that_it_fails(ledger: Ledger, redis: Redis) -> None:
    here = gate(ledger)
    await here.note(TOO_MANY, None)
    assert 0 < await redis.pttl(gate_key("s")) <= 600_000
    await fail(here)
    await here.note(TOO_MANY, None)
    assert await redis.pttl(gate_key("s")) == -1
    await here.note(FINE, await probe(here, ledger))
    assert 0 < await redis.pttl(gate_key("s")) <= 600_000


async def test_a_success_that_began_before_does_not_open_it(ledger: Ledger) -> None:
    here = gate(ledger)
    await fail(here)
    await here.note(FINE, None)
    assert await admitted(here) == 0


async def test_a_probe_that_nobody_ends_is_followed_by_another(ledger: Ledger) -> None:
    """Its worker died. Until the time limit of an attempt is over it may still be on its way."""
    slow = SinkSettings.model_validate({"type": "recording", "timeout": "100ms"})
    here = Gate(ledger, "s", slow)
    here._probing = 0.1
    await fail(here)
    await probe(here, ledger)
    assert await admitted(here) == 0
    await asyncio.sleep(0.12)
    assert await admitted(here) == 1


async def test_one_refusal_parks_it_and_probes_are_rare(ledger: Ledger) -> None:
    here, there = gate(ledger), gate(ledger)
    await here.note(FORBIDDEN, None)
    assert await admitted(there) == 0
    told = await ledger.read_gate("s")
    assert (told.state, told.reason) == (GateState.PARKED, "http_401")
    assert told.since + 59 < told.probe_at < told.since + 73
    await here.note(FINE, await probe(here, ledger))
    assert (await ledger.read_gate("s")).state is GateState.CLOSED


async def test_a_parked_sink_that_fails_otherwise_is_told_so_since_it_first_failed(ledger: Ledger) -> None:
    here = gate(ledger)
    await here.note(FORBIDDEN, None)
    since = (await ledger.read_gate("s")).since
    await here.note(DOWN, await probe(here, ledger))
    told = await ledger.read_gate("s")
    assert (told.state, told.reason, told.since) == (GateState.OPEN, "http_503", since)


async def test_a_clock_that_was_set_back_does_not_keep_it_shut(ledger: Ledger, redis: Redis) -> None:
    here = gate(ledger)
    await fail(here)
    await redis.hset(gate_key("s"), "probe_at", str((time.time() + 86400) * 1000))  # type: ignore[misc]
    assert await admitted(here) == 1


async def test_without_the_server_nothing_is_learnt_and_nothing_raised(own_server: Valkey, own_ledger: Ledger) -> None:
    here = gate(own_ledger)
    own_server.stop()
    await fail(here)


# --- the rate -----------------------------------------------------------------------------------------------------


async def take_all(gate: Gate, seconds: float) -> list[float]:
    """The moments at which attempts began, by a worker that has always more to do."""
    began, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        many, wait = await gate.admit(8)
        for _ in range(many):
            turn = gate.take()
            assert turn is not None
            began.append(turn.at)
        await asyncio.sleep(wait or 0.001)
    return [at for at in began if at < ends]


@pytest.mark.timed
async def test_a_rate_holds_for_all_workers_together(ledger: Ledger) -> None:
    gates = [gate(ledger, "50/s") for _ in range(3)]
    began = sorted(itertools.chain(*await asyncio.gather(*(take_all(one, 1.0) for one in gates))))
    assert 40 <= len(began) <= 50
    assert all(
        later - earlier > 0.15 for earlier, later in zip(began, began[10:], strict=False)
    )  # evenly, not in bunches


@pytest.mark.timed
async def test_what_is_late_is_not_made_up_for_in_a_bunch(ledger: Ledger) -> None:
    here = gate(ledger, "50/s")
    many, _ = await here.admit(64)
    assert many >= 5
    await asyncio.sleep(0.3)
    now = time.monotonic()
    await here.admit(64)
    turns = [here.take() for _ in range(5)]
    assert all(turn is not None and turn.at >= now for turn in turns)


@pytest.mark.timed
async def test_a_slow_rate_lets_one_through_and_says_when_to_ask_again(ledger: Ledger) -> None:
    here = gate(ledger, "6/m")
    assert await here.admit(64) == (1, 0.0)
    here.take()
    many, wait = await here.admit(64)
    assert many == 0
    assert wait == pytest.approx(10 / SAFE_SHARE - 0.1, abs=0.2)


async def test_too_many_requests_slow_it_down_once_for_all_that_hear_it(ledger: Ledger) -> None:
    here = gate(ledger)
    for _ in range(20):
        await here.note(TOO_MANY, None)
        await here.note(FINE, None)
    assert (await ledger.read_gate("s")).interval == ledger_gates.SLOWED
    assert await admitted(gate(ledger)) <= 1 + ledger_gates.RESERVED_SECONDS / ledger_gates.SLOWED


async def test_too_many_requests_of_one_target_slow_nothing_else_down(ledger: Ledger) -> None:
    await gate(ledger).note(Outcome(Result.RETRY, "http_429", 429, retry_after=60.0, only_here=True), None)
    assert await admitted(gate(ledger)) == 64


async def test_it_gets_slower_for_as_long_as_it_complains(ledger: Ledger, redis: Redis) -> None:
    here = gate(ledger, "10/s")
    intervals = []
    for _ in range(12):
        await here.note(TOO_MANY, None)
        await redis.hset(gate_key("s"), "slowed_at", "0")  # type: ignore[misc]
        intervals.append((await ledger.read_gate("s")).interval)
    assert intervals[:3] == pytest.approx([0.2 / SAFE_SHARE, 0.4 / SAFE_SHARE, 0.8 / SAFE_SHARE], rel=0.01)
    assert intervals[-1] == ledger_gates.SLOWEST


@pytest.mark.timed
async def test_it_is_left_alone_for_as_long_as_it_asks(ledger: Ledger) -> None:
    here = gate(ledger)
    await here.note(Outcome(Result.RETRY, "http_429", 429, retry_after=7.0), None)
    await here.look()
    many, wait = await here.admit(64)
    assert many == 0
    assert wait == pytest.approx(6.9, abs=0.2)


async def test_success_makes_it_fast_again_but_not_faster_than_configured(ledger: Ledger) -> None:
    here = gate(ledger, "100/s")
    await here.note(TOO_MANY, None)
    await here.look()
    slowed = (await ledger.read_gate("s")).interval
    await here.note(FINE, None)
    await here.look()
    assert (await ledger.read_gate("s")).interval == pytest.approx(slowed * 0.95)
    for _ in range(200):
        await here.note(FINE, None)
    await here.look()
    assert (await ledger.read_gate("s")).interval == 0
    assert 8 <= await admitted(gate(ledger, "100/s")) <= 12


# --- the pace of a target -----------------------------------------------------------------------------------------


@pytest.mark.timed
async def test_a_target_gets_one_at_a_time_and_what_is_too_early_comes_back_one_after_another(ledger: Ledger) -> None:
    here, there = gate(ledger), gate(ledger)
    started = time.monotonic()
    answers = [await one.turn_at("channel", 2.0) for one in (here, there, here)]
    assert answers == [None, None, None]
    assert time.monotonic() - started == pytest.approx(1.0, abs=0.2)
    early = await asyncio.gather(*(one.turn_at("channel", 0.5) for one in (here, there, here, there)))
    waits = sorted(wait for wait in early if wait is not None)
    gaps = [later - earlier for earlier, later in itertools.pairwise(waits)]
    assert len(waits) >= 3
    assert gaps == pytest.approx([2.0] * len(gaps), abs=0.2)


@pytest.mark.timed
async def test_targets_do_not_wait_for_each_other_and_are_not_named_in_keys(ledger: Ledger, redis: Redis) -> None:
    here = gate(ledger)
    started = time.monotonic()
    for n in range(20):
        assert await here.turn_at(f"channel {n}", 1.0) is None
    assert time.monotonic() - started < 0.5
    keys = [key.decode() for key in await redis.keys(pace_key("s", "*"))]
    assert len(keys) == 20
    assert not any("channel" in key for key in keys)
    assert all([0 < await redis.pttl(key) < 70_000 for key in keys])


# --- which ones ---------------------------------------------------------------------------------------------------


async def test_most_are_taken_from_the_newest_end_but_for_probes(ledger: Ledger) -> None:
    here = gate(ledger)
    assert {here.newest(64) for _ in range(50)} == {48}
    assert 60 < sum(here.newest(1) for _ in range(100)) < 90
    await fail(here)
    assert here.newest(1) == 0


steps = st.lists(st.sampled_from([DOWN, HUNG, FINE, FORBIDDEN, UNFIT, TOO_MANY]), min_size=1, max_size=40)


@given(steps)
def test_whatever_happened_a_sink_that_works_again_is_soon_tried_by_all(
    shared_url: str, outcomes: Sequence[Outcome]
) -> None:
    asyncio.run(_works_again(shared_url, outcomes))


async def _works_again(url: str, outcomes: Sequence[Outcome]) -> None:
    async with client(url) as redis:
        await redis.flushall()
        ledger = Ledger(redis)
        here, there = gate(ledger), gate(ledger)
        for outcome in outcomes:
            await ledger.probe_now("s")
            turn = here.take() if await admitted(here) else None
            await here.note(outcome, turn)
        while (await ledger.read_gate("s")).state is not GateState.CLOSED:
            await there.note(FINE, await probe(there, ledger))
        await there.look()
        for _ in range(300):
            await there.note(FINE, None)
        assert await admitted(there) == 64
        await redis.connection_pool.disconnect()
