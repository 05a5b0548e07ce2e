"""Do sinks that work notice that others do not?

`python -m benchmarks.isolation` runs `ats-router up` with the embedded server and eight HTTP sinks on loopback, posts
signed Greenhouse webhooks at a steady rate, and lets four sinks have a bad day again and again: one hangs, one answers
500, one answers 429 to most, one is down. It prints how long the other four took from POST to arrival in the quiet and
in the bad times of the same run. Exit code 1: the 99th percentile of the bad times is above 1.2 times the quiet one.
"""

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator

from tests.chaos.bad_day import BAD, BadDay, make_bad_day
from tests.chaos.harness import Endpoint, Step, eventually

MOST = 1.2
WARM_UP_SECONDS = 5.0
APPLICATIONS = 1000


async def post_for(day: BadDay, steps: Iterator[Step], rate: float, seconds: float) -> dict[Step, float]:
    """Webhooks at a steady rate; when each was posted."""
    posted: dict[Step, float] = {}

    async def post(step: Step) -> None:
        posted[step] = time.monotonic()
        await day.rig.vendor.post(step)

    started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for n, step in enumerate(itertools.islice(steps, round(rate * seconds))):
            await asyncio.sleep(started + n / rate - time.monotonic())
            tasks.create_task(post(step))
    return posted


def took(day: BadDay, posted: dict[Step, float]) -> list[float]:
    """Milliseconds from POST to the arrival at each good sink."""
    return [
        (arrival.at - posted[arrival.step]) * 1000
        for endpoint in day.good
        for arrival in endpoint.arrivals
        if arrival.step in posted
    ]


def has_all(day: BadDay, endpoint: Endpoint) -> bool:
    return len({arrival.step for arrival in endpoint.arrivals}) == len(day.rig.vendor.acknowledged)


def percentile(ms: list[float], percent: int) -> float:
    return statistics.quantiles(ms, n=100, method="inclusive")[percent - 1]


async def run(rounds: int, seconds: float, rate: float) -> int:
    quiet: dict[Step, float] = {}
    bad: dict[Step, float] = {}
    steps = (Step(application, stage) for stage in itertools.count(1) for application in range(1, APPLICATIONS + 1))
    async with make_bad_day() as day:
        day.rig.start("up")
        await day.rig.ready()
        await post_for(day, steps, rate, WARM_UP_SECONDS)
        for _ in range(rounds):
            quiet |= await post_for(day, steps, rate, seconds)
            await day.begins()
            before = [len(endpoint.asked) for endpoint in day.moody]
            bad |= await post_for(day, steps, rate, seconds)
            asked = [len(endpoint.asked) - so_far for endpoint, so_far in zip(day.moody, before, strict=True)]
            await day.ends()
            print("requests in a bad time:", ", ".join(f"{m} {n}" for m, n in zip(BAD, asked, strict=True)))
            await eventually(lambda: all(has_all(day, endpoint) for endpoint in day.moody), 120)
        await eventually(lambda: all(has_all(day, endpoint) for endpoint in day.good))
        times = {"quiet": took(day, quiet), "bad": took(day, bad)}
    print(f"{rate:g} webhooks a second x 8 sinks, {rounds} x {seconds:g} s each; ms from POST to arrival at good ones")
    print(f"{'':8}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}{'arrivals':>10}")
    for name, ms in times.items():
        cells = "".join(f"{value:8.1f}" for value in (*(percentile(ms, p) for p in (50, 90, 99)), max(ms)))
        print(f"{name:8}{cells}{len(ms):10}")
    ratio = percentile(times["bad"], 99) / percentile(times["quiet"], 99)
    print(f"p99: {ratio:.2f} times the quiet one, at most {MOST} is the target")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load average {load}")
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Sinks that work beside sinks that do not.")
    parser.add_argument("--rounds", type=int, default=3, help="quiet and bad times (default: 3)")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each (default: 20)")
    parser.add_argument("--rate", type=float, default=15.0, help="webhooks a second (default: 15)")
    given = parser.parse_args()
    sys.exit(asyncio.run(run(given.rounds, given.seconds, given.rate)))
