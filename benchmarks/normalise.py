"""What does it cost to read one webhook, for every vendor?

`python -m benchmarks.normalise [VENDOR ...]` normalises each vendor's largest recorded webhook (filled up to 3 kB with
fields that nobody reads, as real ones are) and prints the median beside a floor measured in the same run: `json.loads`
of the same bytes. Exit code 1: a vendor is above the limit.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from handlers import by_vendor
from handlers.base import Disposition
from tests.handlers.vendors import Fixture, fixtures_of, handler_of

LIMIT_US, AIM_US = 150.0, 80.0
SIZE = 3000
_ROUNDS, _CALLS = 15, 200


def median_us(work: Callable[[], object]) -> float:
    """The median of several rounds, in microseconds a call."""
    rounds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_CALLS):
            work()
        rounds.append((time.perf_counter() - started) / _CALLS * 1e6)
    return statistics.median(rounds)


def of_size(fixture: Fixture) -> bytes:
    """The fixture's body, as large as a real one."""
    body = json.loads(fixture.body)
    missing = SIZE - len(fixture.body)
    if missing > 0 and isinstance(body, dict):
        body["not_read"] = [{"key": f"value {number}"} for number in range(missing // 22)]
    return json.dumps(body).encode()


def measured(vendor: str) -> tuple[Fixture, int, float, float] | None:
    """The largest recorded webhook of a vendor, its size, and the microseconds of `normalise` and of the floor."""
    fixtures = [f for f in fixtures_of(vendor).values() if f.expected["disposition"] == Disposition.EVENTS]
    fixtures = [f for f in fixtures if f.body.lstrip().startswith(b"{") and not f.polled]
    if not fixtures:
        return None
    fixture, handler = max(fixtures, key=lambda f: len(f.body)), handler_of(vendor)
    body = of_size(fixture)
    cost = median_us(partial(fixture.normalised, handler, body))
    return fixture, len(body), cost, median_us(partial(json.loads, body))


def main() -> int:
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}\n")
    print(f"{'vendor':<20}{'fixture':<28}{'bytes':>7}{'normalise, us':>15}{'json.loads, us':>16}{'ratio':>7}")
    slow = []
    for vendor in sys.argv[1:] or sorted(by_vendor()):
        if (row := measured(vendor)) is None:
            continue
        fixture, size, cost, floor = row
        print(f"{vendor:<20}{fixture.name:<28}{size:>7}{cost:>15.0f}{floor:>16.0f}{cost / floor:>7.1f}")
        if cost > LIMIT_US:
            slow.append(vendor)
    print(
        f"\nlimit {LIMIT_US:.0f}, aim {AIM_US:.0f}: " + (f"too slow: {', '.join(slow)}" if slow else "all are within")
    )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
