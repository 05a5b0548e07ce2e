"""What one receiver process takes: webhooks a second, latency at half of that, memory after a million."""

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Measure, Sample
from benchmarks.stand import MEASURED, Endpoint, Stand, stand

_WARM_UP_SECONDS = 2.0
_SECONDS = 6.0
_NOWHERE = Endpoint("http://127.0.0.1:9")  # no worker runs, so nothing is ever sent there
_FEW, _MANY = 10_000, 1_000_000


@contextmanager
def _floor() -> Iterator[Stand]:
    """A handler that only reads the body, behind the same uvicorn."""
    with stand() as floor:
        floor.start([sys.executable, "-m", "benchmarks.floors", "receive", str(floor.port)], MEASURED)
        floor.is_ready()
        yield floor


@contextmanager
def _receiver(fsync: str) -> Iterator[Stand]:
    with stand() as real:
        real.server(fsync=fsync)
        real.configure(_NOWHERE)
        real.run("serve")
        yield real


def _accepted(fsync: str) -> Generator[Sample]:
    with _floor() as floor, _receiver(fsync) as real:
        for one in (floor, real):
            one.post(_WARM_UP_SECONDS)
        while True:
            least, taken = floor.post(_SECONDS), real.post(_SECONDS)
            yield Sample(taken.rate, least.rate, {"p50 ms": taken.p50_ms, "p99 ms": taken.p99_ms})


def _p99_at_half() -> Generator[Sample]:
    with _floor() as floor, _receiver("always") as real:
        floor.post(_WARM_UP_SECONDS)
        rate = real.post(_SECONDS).rate / 2
        while True:
            least, taken = floor.post(_SECONDS, rate), real.post(_SECONDS, rate)
            yield Sample(taken.p99_ms, least.p99_ms, {"webhooks a second": taken.rate, "p50 ms": taken.p50_ms})


def _memory() -> Generator[Sample]:
    """Resident memory of the receiver, in MiB, after a million webhooks and after the first ten thousand."""
    while True:
        with stand() as real:
            real.server(fsync="no file")
            real.configure(_NOWHERE)
            pid = real.run("serve").pid
            taken, few = 0, 0.0
            while taken < _MANY:
                taken += real.post(5.0 if few else 1.0).answered
                if not few and taken >= _FEW:
                    few = _resident_mib(pid)
            yield Sample(_resident_mib(pid), few, {"webhooks": taken})


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1024**2


MEASURES = (
    Measure("receive", "accepted webhooks/s, appendfsync always", "/s", 0.25, 0.40, lambda: _accepted("always")),
    Measure("receive-everysec", "accepted webhooks/s, everysec", "/s", 0.25, 0.40, lambda: _accepted("everysec")),
    Measure("receive-p99", "p99 of accepting at half that rate", "ms", 5, 3, _p99_at_half, less_is_better=True),
    Measure("receive-memory", "receiver memory after 1,000,000", "MiB", 1.1, 1.02, _memory, less_is_better=True),
)
