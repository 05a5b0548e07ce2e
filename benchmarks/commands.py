"""How long do the daily commands take on a ledger of 100,000 events?

`python -m benchmarks.commands` fills a server of its own on loopback and runs each command as a process, as an operator
does. It prints the medians of wall and CPU time, and how many times `python -c "import typer, rich.table"` that is, in
the same run. Exit code 1: a command took more than a second.
"""

import argparse
import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from router.connection import client
from router.embedded import EmbeddedServer
from router.ledger import Ledger
from tests.router.bulk import SINK, Bulk, fill

MOST_SECONDS = 1.0
FLOOR = [sys.executable, "-c", "import typer, rich.table"]
CONFIG = """
redis: {url: '${REDIS}'}
sources:
  greenhouse: {vendor: greenhouse, secret: '${SECRET}'}
sinks:
  my-service: {type: http, url: '${ENDPOINT}'}
  recruiters: {type: slack, webhook_url: '${SLACK}'}
routes:
  - {name: moves, when: {event: StageChanged}, send_to: my-service}
"""
COMMANDS = (
    "check {config}",
    "status",
    "sources",
    "events",
    "events --type OfferChanged",
    "events --type CandidateMerged",
    "events --application app-77",
    "deliveries",
    "deliveries --state dead",
    "deliveries --type OfferChanged",
    "deliveries --type CandidateMerged",
    "deliveries --candidate cand-77",
    "deliveries --candidate nobody",
    "deliveries --reason http_503",
    "deliveries --reason nothing_like_that",
    "drift list",
    "show {event}",
    "explain {event}",
    "rules log",
    "preview recruiters",
)


def timed(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of wall and of CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, f"{argv}: {ended.stdout}{ended.stderr}"
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def filled(url: str, count: int) -> str:
    """The id of an event in a ledger of so many."""
    async with client(url) as redis:
        ledger = Ledger(redis)
        await ledger.open()
        await fill(ledger, count, Bulk(retrying_every=50))
        [event] = await ledger.listed(["events:greenhouse StageChanged"], 1)
        await redis.connection_pool.disconnect()
    return event.id


def run(count: int, rounds: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder:
        server = EmbeddedServer(Path(folder), 4 * 1024**3)
        server.start()
        try:
            event = asyncio.run(filled(server.url, count))
            config = Path(folder) / "config.yaml"
            config.write_text(CONFIG)
            secrets = {"REDIS": server.url, "SECRET": "s" * 20, "ENDPOINT": "http://127.0.0.1:9/", "NO_COLOR": "1"}
            secrets["SLACK"] = "https://hooks.slack.com/services/T0/B0/x"
            environment = {**os.environ, **secrets}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pip compiles what it installs
            return _measure(environment, config, event, count, rounds)
        finally:
            server.stop()


def _measure(environment: dict[str, str], config: Path, event: str, count: int, rounds: int) -> bool:
    program = str(Path(sys.executable).with_name("ats-router"))
    rows: list[tuple[str, float, float]] = []
    for command in ("", *COMMANDS):
        argv = FLOOR
        if command:
            words = command.format(config=config, event=event).split()
            argv = [program, *words] + ([] if command.startswith("check") else ["--config", str(config)])
        times = [timed(argv, environment) for _ in range(rounds)]
        walls, cpus = zip(*times, strict=True)
        rows.append((command or "floor", statistics.median(walls), statistics.median(cpus)))
    floor = rows[0][1]
    print(f"{count} events with a delivery to {SINK} each; medians of {rounds}")
    print(f"{'command':42}{'wall s':>8}{'CPU s':>8}{'x floor':>9}")
    for command, wall, cpu in rows:
        print(f"{command:42}{wall:8.2f}{cpu:8.2f}{wall / floor:9.1f}")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, load average {load}")
    return all(wall <= MOST_SECONDS for _, wall, _ in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The daily commands on a full ledger.")
    parser.add_argument("--count", type=int, default=100_000, help="events in the ledger (default: 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (default: 5)")
    given = parser.parse_args()
    sys.exit(0 if run(given.count, given.rounds) else 1)
