"""The whole system on this machine, whatever runs where: latency, what it sustains, memory per event, start-up."""

import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from benchmarks.normalise import median_us
from benchmarks.report import Measure, Sample
from benchmarks.rules import realistic
from benchmarks.stand import Arrivals, Endpoint, NotMeasured, Stand, stand, webhook_body
from handlers.base import Receipt
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.rules import Ruleset, compile_route
from tests.handlers.vendors import handler_of

_SINKS = 3
_CALM_RATE = 200.0
_SECONDS = 10.0
_CAUGHT_UP_SECONDS = 1.0
"""After the last webhook everything has arrived in so many seconds, where the backlog stayed flat."""

_RATES = range(200, 2001, 50)
_COUNTED = 3_000
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.01


@contextmanager
def _system(fsync: str = "always") -> Iterator[tuple[Stand, Sequence[Endpoint]]]:
    with stand() as one:
        endpoints = [one.endpoint(core=None) for _ in range(_SINKS)]
        one.server(fsync=fsync, core=None)
        one.configure(*endpoints)
        one.run("work", core=None)
        one.run("serve", core=None)
        one.post(2.0, _CALM_RATE, core=None)
        time.sleep(1.0)
        for endpoint in endpoints:
            endpoint.arrivals()
        yield one, endpoints


def _arrived(endpoints: Sequence[Endpoint], count: int, seconds: float) -> list[Arrivals]:
    """What came to each, which is so many; wrk may have posted some more whose answer it did not wait for."""
    return [endpoint.await_arrivals(count, seconds) for endpoint in endpoints]


def _latency(percent: float) -> Generator[Sample]:
    """Milliseconds from a webhook's POST to its arrival at a sink."""
    with _system() as (one, endpoints):
        while True:
            load = one.post(_SECONDS, _CALM_RATE, core=None)
            ms = sorted(ms for arrivals in _arrived(endpoints, load.answered, 30) for ms in arrivals.ms)
            yield Sample(ms[int(len(ms) * percent / 100)], more={"arrivals": len(ms)})


def _sustained() -> Generator[Sample]:
    """The highest rate at which the backlog stays flat, to 50 webhooks a second."""
    while True:
        low, high = 0, len(_RATES)
        with _system() as (one, endpoints):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _keeps_up(one, endpoints, _RATES[middle]) else (low, middle)
        yield Sample(_RATES[low])


def _keeps_up(one: Stand, endpoints: Sequence[Endpoint], rate: float) -> bool:
    load = one.post(_SECONDS, rate, core=None)
    ended = time.monotonic()
    arrivals = _arrived(endpoints, load.answered, 120)
    if any(one.twice for one in arrivals):
        raise NotMeasured("deliveries came twice")
    return load.rate > 0.97 * rate and time.monotonic() - ended < _CAUGHT_UP_SECONDS


def _memory_per_event() -> Generator[Sample]:
    """Bytes of Redis per webhook with its receipt, event and three delivered deliveries, against those of the body."""
    while True:
        with _system("no file") as (one, endpoints):
            before = one.memory()
            load = one.post(_COUNTED / 300, 300, core=None)
            came = _arrived(endpoints, load.answered, 60)[0].came
            time.sleep(1.0)
            used = one.memory() - before
            yield Sample(used / came, len(webhook_body()))


def _start() -> Generator[Sample]:
    """Seconds from `ats-router up` to the first webhook that is answered with 200."""
    while True:
        with stand() as one:
            one.redis_setting = f"data_dir: {one.folder}/data"
            one.configure(Endpoint("http://127.0.0.1:9"))
            command = [sys.executable, "-m", "router.cli", "up", "--config", str(one.config)]
            started = time.monotonic()
            one.start(command, None, env=one.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not one.is_accepting():
                if time.monotonic() > started + _START_SECONDS:
                    raise NotMeasured("`ats-router up` takes no webhook")
                time.sleep(_LOOK_SECONDS)
            yield Sample(time.monotonic() - started)


def _normalise_and_match() -> Generator[Sample]:
    """Microseconds of the processor for reading a webhook and matching its event against 20 routes."""
    body = webhook_body().replace(b"@APPLICATION@", b"5100001").replace(b"@POSTED_AT_MICROS@", b"1764183600000000")
    handler, rules = handler_of("greenhouse"), Ruleset([compile_route(f"r{n}", realistic(n), ["s"]) for n in range(20)])
    receipt = Receipt((), body, datetime.now(UTC))
    [waiting] = waiting_facts(
        handler.read(receipt), receipt_id="rcp_00", source="s", vendor="greenhouse", receipt=receipt, mark=None
    )
    _, [event] = project(ApplicationState(), waiting)
    while True:
        costs = median_us(lambda: handler.read(receipt)) + median_us(lambda: rules.match(event))
        yield Sample(costs, median_us(lambda: json.loads(body)), {"match us": median_us(lambda: rules.match(event))})


MEASURES = (
    Measure("arrival-p50", "POST to arrival, 200/s x 3 sinks, p50", "ms", 40, 20, lambda: _latency(50), True),
    Measure("arrival-p99", "POST to arrival, 200/s x 3 sinks, p99", "ms", 150, 60, lambda: _latency(99), True),
    Measure("sustain", "webhooks/s x 3 sinks that two cores sustain", "/s", 300, 700, _sustained),
    Measure("memory", "Redis memory per webhook and 3 deliveries", "bytes", 1.2, 0.8, _memory_per_event, True),
    Measure("start", "start of `up` to the first 200", "s", 2, 1, _start, True),
    Measure("read", "normalise and match", "us", 6, 3, _normalise_and_match, True),
)
