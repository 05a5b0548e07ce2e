"""Half of the sinks have a bad day: the others notice nothing, and afterwards each has got everything, in order.

`pytest tests/chaos/test_bad_day.py -s` prints what was measured; `python -m benchmarks.isolation` is the long form.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import pytest

from router.identity import partition_in
from router.ledger import Ledger
from router.ledger_keys import deliveries_index
from router.records import DeliveryState, GateState
from sinks.base import Result
from tests.chaos.bad_day import BAD, TAKEN_PER_SECOND, BadDay, Mood, make_bad_day
from tests.chaos.harness import Endpoint, Rig, Vendor, assert_promises, eventually
from tests.chaos.test_chaos import some_arrive

pytestmark = pytest.mark.usefixtures("chaos_round")

BAD_SECONDS = 8.0
KILLS = 5


@pytest.fixture
async def day() -> AsyncIterator[BadDay]:
    async with make_bad_day() as day:
        yield day


def has_all(vendor: Vendor, endpoint: Endpoint) -> bool:
    return vendor.acknowledged.keys() <= {arrival.step for arrival in endpoint.arrivals}


async def test_a_bad_day(day: BadDay) -> None:
    rig = day.rig
    rig.start("up")
    await rig.ready()
    async with rig.vendor.busy(applications=20, pause=1.0):
        await eventually(lambda: all(len(endpoint.arrivals) > 20 for endpoint in [*day.good, *day.moody]))
        await day.begins()
        before = [len(endpoint.asked) for endpoint in day.moody]
        await asyncio.sleep(BAD_SECONDS)
        asked = {
            mood: len(endpoint.asked) - so_far for mood, endpoint, so_far in zip(BAD, day.moody, before, strict=True)
        }
        async with rig.redis() as redis:
            ledger = Ledger(redis)
            gates = {mood: await ledger.read_gate(mood) for mood in BAD}
            well = [(await ledger.read_gate(name)).state for name in ("endpoint", "good0", "good1", "good2")]
        await day.ends()
        ended = time.monotonic()
    await rig.check("four sinks have a bad day, the first good one")
    for endpoint in day.good:
        assert_promises(rig.vendor.acknowledged, endpoint.arrivals)
    for endpoint in day.moody:
        await eventually(partial(has_all, rig.vendor, endpoint))
        assert_promises(rig.vendor.acknowledged, endpoint.arrivals, [ended])
    lost = {}
    async with rig.redis() as redis:
        for mood in BAD:
            lost[mood] = await Ledger(redis).how_many(deliveries_index(mood, DeliveryState.DEAD))
    assert set(lost.values()) == {0}
    assert set(well) == {GateState.CLOSED}
    assert {mood: gate.state for mood, gate in gates.items() if mood is not Mood.BUSY} == dict.fromkeys(
        (Mood.HANGS, Mood.FAILS, Mood.DOWN), GateState.OPEN
    )
    assert all(asked[mood] < 50 for mood in (Mood.HANGS, Mood.FAILS)), asked  # of 160 that waited, each with its tries
    assert asked[Mood.BUSY] < 3 * TAKEN_PER_SECOND * BAD_SECONDS


async def test_two_workers_of_which_one_is_killed_again_and_again(own_rig: Rig) -> None:
    """What came twice did so only where nobody could know, and under its one key."""
    rig = own_rig
    rig.start("serve")
    rig.start("work")
    victim = rig.start("work")
    await rig.ready()
    rig.endpoint.seconds = 0.05
    async with rig.vendor.busy(applications=40, pause=0.3):
        for _ in range(KILLS):
            await some_arrive(rig, 40)
            await eventually(partial(victim.said, "attempt"))
            rig.kill(victim.pid)
            victim = rig.start("work")
        await some_arrive(rig, 40)
    rig.endpoint.seconds = 0.0
    figures = await rig.check(f"one of two workers killed {KILLS} times")
    assert figures.duplicates > 0, "no attempt was in flight, so this test showed nothing"
    arrived = Counter(arrival.key for arrival in rig.endpoint.arrivals)
    twice = [key for key, count in arrived.items() if count > 1]
    async with rig.redis() as redis:
        for key in twice:
            [stored] = await Ledger(redis).load_deliveries(partition_in(key), [key])
            assert stored is not None
            assert Result.AMBIGUOUS in {attempt.result for attempt in stored.record.attempts}
