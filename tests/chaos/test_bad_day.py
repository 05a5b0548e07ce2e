"""Half of the sinks have a bad day: the others notice nothing, and afterwards each has got everything, in order.

`pytest tests/chaos/test_bad_day.py -s` prints what was measured; `python -m benchmarks.isolation` is the long form.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from router.ledger import Ledger
from router.ledger_keys import deliveries_index
from router.records import DeliveryState, GateState
from tests.chaos.bad_day import BAD, TAKEN_PER_SECOND, BadDay, Mood, make_bad_day
from tests.chaos.harness import Endpoint, Vendor, assert_promises, eventually

pytestmark = pytest.mark.usefixtures("chaos_round")

BAD_SECONDS = 8.0


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
