"""What more receivers, workers and ledger nodes bring on this machine.

`python -m benchmarks.scaling` prints a table: 1, 2 and 4 receivers, and as many workers, against one server and against
a cluster of three, all on loopback and on whatever cores there are; what four accounts' webhooks are accepted a second
while no worker runs, and then how many of their deliveries arrive a second. Efficiency is the share of so many times
what one of each does there; the processor's share says whether the machine itself is used up. Servers keep nothing on
disk, as one disk would be shared by all of them.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.stand import CONNECTIONS, Stand, load_of, stand
from tests.topologies import Cluster, free_port

_SOURCES = ("greenhouse", "north", "south", "west")
_SECONDS = 6.0
_COUNTS = (1, 2, 4)


@contextmanager
def _ledger(nodes: int) -> Iterator[Stand]:
    with stand() as one:
        if nodes == 1:
            one.server(fsync="no file", core=None)
            yield one
            return
        with tempfile.TemporaryDirectory(prefix="ats-") as folder, Cluster(Path(folder), 0, "") as cluster:
            for node in cluster.nodes:
                node.redis.config_set("appendonly", "no")
            one.server(fsync="no file", core=None)
            one.redis_setting = f"cluster: {{nodes: {cluster.urls}, bell: '{one.redis_url}'}}"
            yield one


def measured(nodes: int, count: int) -> tuple[float, float, float]:
    """Webhooks accepted a second, deliveries a second, and the share of the processor that was used meanwhile."""
    with _ledger(nodes) as one:
        endpoint = one.endpoint(core=None)
        one.configure(endpoint, sources=_SOURCES)
        urls = []
        for _ in range(count):
            one.port = free_port()
            one.run("serve", None, "--port", str(one.port))
            urls.append(one.url)
        started, idle = time.monotonic(), _idle_seconds()
        posting = [
            one.posting(f"{urls[n % count]}/webhooks/{source}", _SECONDS, 0, CONNECTIONS // len(_SOURCES), None)
            for n, source in enumerate(_SOURCES)
        ]
        loads = [load_of(process) for process in posting]
        accepted = sum(load.answered for load in loads)
        for _ in range(count):
            one.run("work", None)
        arrivals = endpoint.await_arrivals(accepted, 300)
        took = time.monotonic() - started
        used = 1 - (_idle_seconds() - idle) / (took * (os.cpu_count() or 1))
        return sum(load.rate for load in loads), arrivals.rate, used


def _idle_seconds() -> float:
    """Of all cores since the machine started."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    table = Table(box=None, pad_edge=False)
    for title in ("ledger", "receivers, workers", "accepted/s", "efficiency", "delivered/s", "efficiency", "processor"):
        table.add_column(title, justify="right")
    for nodes in (1, 3):
        alone: tuple[float, float] | None = None
        for count in _COUNTS:
            accepted, delivered, used = measured(nodes, count)
            alone = alone or (accepted, delivered)
            table.add_row(
                "one server" if nodes == 1 else f"{nodes} nodes",
                f"{count}, {count}",
                f"{accepted:,.0f}",
                f"{accepted / alone[0] / count:.0%}",
                f"{delivered:,.0f}",
                f"{delivered / alone[1] / count:.0%}",
                f"{used:.0%}",
            )
    Console(width=120, highlight=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
