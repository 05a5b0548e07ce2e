"""How long from an ATS's POST to the arrival at an HTTP endpoint that has nothing else to do?

`python -m benchmarks.latency` runs `ats-router up` with the embedded server on loopback, posts signed Greenhouse
webhooks at a calm rate, and prints what it measured beside a floor: the events that arrived, posted by the same client
straight to the same endpoint, one after each webhook, so that both see the same machine. Exit code 1: the median is
not below the target. On a busy machine run it several times.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence

from tests.chaos.harness import Rig, Step, eventually, make_rig

TARGET_MS = 50.0
WARM_UP = 40
_SHOWN = (50, 90, 99)


async def measure(rig: Rig, count: int, rate: float) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from POST to success code, from POST to arrival, and from direct POST to arrival."""
    posted: list[float] = []
    direct: list[float] = []

    async def webhook(number: int) -> None:
        posted.append(time.monotonic())
        await rig.vendor.post(Step(number + 1, 1))

    async def floor(number: int) -> None:
        key = f"direct {number}"
        headers = {"content-type": "application/json", "idempotency-key": key, "webhook-id": key}
        direct.append(time.monotonic())
        await rig.client.request("POST", rig.endpoint.url, body=event.body, headers=headers, timeout=10, keep=0)

    await rig.vendor.post(Step(0, 1))
    await eventually(lambda: rig.endpoint.arrivals)
    [event] = rig.endpoint.arrivals
    started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(WARM_UP + count):
            for step, act in ((number, webhook), (number + 0.5, floor)):
                await asyncio.sleep(started + step / rate - time.monotonic())
                tasks.create_task(act(number))
    await eventually(lambda: len(rig.endpoint.arrivals) > 2 * (WARM_UP + count))

    arrived = {
        arrival.key if arrival.key.startswith("direct") else arrival.step: arrival.at
        for arrival in rig.endpoint.arrivals
    }
    numbers = range(WARM_UP, WARM_UP + count)
    return (
        [(rig.vendor.acknowledged[Step(number + 1, 1)] - posted[number]) * 1000 for number in numbers],
        [(arrived[Step(number + 1, 1)] - posted[number]) * 1000 for number in numbers],
        [(arrived[f"direct {number}"] - direct[number]) * 1000 for number in numbers],
    )


def row(title: str, ms: Sequence[float]) -> str:
    percentiles = statistics.quantiles(ms, n=100, method="inclusive")
    return f"{title:26}" + "".join(f"{value:8.1f}" for value in (*(percentiles[p - 1] for p in _SHOWN), max(ms)))


async def run(count: int, rate: float) -> int:
    async with make_rig() as rig:
        rig.start("up")
        await rig.ready()
        accepted, arrived, direct = await measure(rig, count, rate)
    median = statistics.median(arrived)
    print(f"{count} webhooks, {rate:g} a second, after {WARM_UP} to warm up; milliseconds")
    print(" " * 26 + "".join(f"{name:>8}" for name in (*(f"p{p}" for p in _SHOWN), "max")))
    print(row("POST to success code", accepted))
    print(row("POST to arrival", arrived))
    print(row("floor: POSTed directly", direct))
    print(f"median: {median / statistics.median(direct):.1f} times the floor, the target is below {TARGET_MS:.0f} ms")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load average {load}")
    return 0 if median < TARGET_MS else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="From POST to arrival, in milliseconds.")
    parser.add_argument("--count", type=int, default=300, help="webhooks that are measured (default: 300)")
    parser.add_argument("--rate", type=float, default=20.0, help="webhooks a second (default: 20)")
    given = parser.parse_args()
    sys.exit(asyncio.run(run(given.count, given.rate)))
