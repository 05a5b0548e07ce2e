"""What happens when a sink comes back for which 100,000 deliveries wait?

`python -m benchmarks.drain` puts them into a ledger of its own, starts a receiver and two workers on loopback, brings
the sink back, and goes on posting signed Greenhouse webhooks for it at a steady rate. It prints how fast the backlog
drained, the most that came within any second beside the sink's `rate`, what came in the first second, and how long live
webhooks took from POST to arrival meanwhile, beside a floor: the same once the backlog is gone. Exit code 1: the rate
was exceeded, something was lost, came twice or out of order, or live webhooks took above two seconds in the median.
"""

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from router.connection import Servers, client
from router.embedded import EmbeddedServer
from router.ledger import Ledger
from tests.chaos.bad_day import Mood, Moody
from tests.chaos.harness import Place, Step, Vendor, eventually, make_rig
from tests.router.bulk import Bulk, fill

SINK = "drained"
LIVE_PER_SECOND = 5.0
MOST_LIVE_MS = 2000.0


class Drained(Moody):
    """Notes every key. ``live`` has when webhooks came, ``order`` what came of each application of the backlog."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[float] = []
        self.keys: Counter[str] = Counter()
        self.live: dict[Step, float] = {}
        self.order: dict[str, list[int]] = {}
        self.backlog = 0

    def note(self, key: str, body: bytes, at: float) -> None:
        event = json.loads(body)
        self.taken.append(at)
        self.keys[key] += 1
        application = event["application"]["id"]
        if application.startswith("app-"):
            self.backlog += 1
            self.order.setdefault(application, []).append(event["sequence"])
        else:
            self.live[Step(int(application), int(event["to_stage"]["name"]))] = at


def most_in_a_second(moments: list[float]) -> int:
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def shown(ms: list[float]) -> str:
    percentiles = statistics.quantiles(ms, n=100, method="inclusive")
    return f"p50 {percentiles[49]:.0f} ms, p99 {percentiles[98]:.0f} ms ({len(ms)} webhooks)"


async def measure(count: int, rate: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder:
        server = EmbeddedServer(Path(folder), 4 * 1024**3)
        server.start()
        try:
            async with Drained() as sink:
                await sink.set(Mood.DOWN)
                async with client(server.url) as redis:
                    ledger = Ledger(redis)
                    await ledger.open()
                    await fill(ledger, count, Bulk(attempted=False, sinks=(SINK,)))
                    await redis.connection_pool.disconnect()
                return await _drain(server.url, sink, count, rate)
        finally:
            server.stop()


async def _post(vendor: Vendor, posted: dict[Step, float]) -> None:
    started = time.monotonic()
    for n in itertools.count(1):
        posted[step := Step(n, 1)] = time.monotonic()
        await vendor.post(step)
        await asyncio.sleep(max(0.0, started + n / LIVE_PER_SECOND - time.monotonic()))


async def _drain(url: str, sink: Drained, count: int, rate: int) -> bool:
    async with make_rig(Servers(url), {SINK: Place("http", sink.url, f"rate: {rate}/s")}) as rig:
        for command in ("serve", "work", "work"):
            rig.start(command)
        await rig.ready()
        await asyncio.sleep(3.0)  # the workers find it down
        posted: dict[Step, float] = {}
        posting = asyncio.create_task(_post(rig.vendor, posted))
        await sink.set(Mood.FINE)
        back = time.monotonic()
        await eventually(lambda: sink.backlog >= count, 2 * count / rate + 120)
        drained = sink.taken[-1]
        await asyncio.sleep(15.0)
        posting.cancel()
        await asyncio.wait([posting])
        await eventually(lambda: len(sink.live) == len(rig.vendor.acknowledged))
    began = sink.taken[0]
    first = sum(moment < began + 1.0 for moment in sink.taken)
    most = most_in_a_second(sink.taken)
    live = {step: (sink.live[step] - at) * 1000 for step, at in posted.items() if step in sink.live and at > began + 5}
    during = [ms for step, ms in live.items() if posted[step] < drained]
    after = [ms for step, ms in live.items() if posted[step] >= drained]
    lost = count + len(rig.vendor.acknowledged) - len(sink.keys)
    twice = sum(many > 1 for many in sink.keys.values())
    swapped = sum(line != sorted(line) for line in sink.order.values())
    print(f"{count} waiting deliveries, rate {rate}/s, two workers")
    print(f"first arrival {began - back:.1f} s after the sink was back, {first} in the first second")
    print(f"drained in {(took := drained - began):.0f} s, {count / took:.0f}/s; at the rate {count / rate:.0f} s")
    print(f"most within any second: {most} ({most / rate:.2f} of the rate)")
    print(f"live meanwhile: {shown(during)}")
    print(f"live with no backlog: {shown(after)}")
    print(f"lost {lost}, twice {twice}, out of order {swapped}")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load average {load}")
    is_fine = not lost and not twice and not swapped and most <= rate
    return is_fine and statistics.median(during) <= MOST_LIVE_MS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A sink comes back for which many deliveries wait.")
    parser.add_argument("--count", type=int, default=100_000, help="deliveries that wait (default: 100000)")
    parser.add_argument("--rate", type=int, default=250, help="what the sink bears a second (default: 250)")
    given = parser.parse_args()
    sys.exit(0 if asyncio.run(measure(given.count, given.rate)) else 1)
