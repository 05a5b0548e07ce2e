"""The promise of the `hris_staging` sink: whatever is killed, and when, every event is in its tables exactly once, and
each application's row is as its newest event left it.

Real processes, real databases, real `kill -9`; SQLite and PostgreSQL are two sinks of one router, as starting and
recovering takes the most time. `pytest tests/chaos/test_staging.py -s` prints what was measured.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.harness import PROMISED_SECONDS, Place, Program, Rig, eventually, make_rig
from tests.databases import Database, Postgresql, Sqlite

CONCURRENCY = 8
"""So many attempts at once a sink makes, unless it is told otherwise."""

_LOOK_SECONDS = 0.02

pytestmark = pytest.mark.usefixtures("chaos_round")

Databases = Mapping[str, Database]
"""By the name of the sink that writes into it."""


@pytest.fixture
async def databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Databases]:
    """Without PostgreSQL the test runs with SQLite alone, and is then reported as skipped."""
    sqlite = Sqlite(tmp_path)
    try:
        postgresql = Postgresql(request.getfixturevalue("postgres"))
    except pytest.skip.Exception as skipped:
        yield {"sqlite": sqlite}
        pytest.skip(f"good with SQLite, not run with the other: {skipped.msg}")
    await postgresql.empty()
    yield {"sqlite": sqlite, "postgresql": postgresql}


@pytest.fixture
async def rig(databases: Databases) -> AsyncIterator[Rig]:
    """Everything goes to the endpoint and into each database."""
    async with make_rig(
        places={name: Place("hris_staging", database.url) for name, database in databases.items()}
    ) as rig:
        yield rig
        assert rig.checked, "the test did not get to its end"


def attempts(program: Program, sink: str) -> Counter[str]:
    """How the attempts that workers wrote into their log ended; one that is killed writes nothing of its last ones."""
    return Counter(line["reason"] for line in program.log() if line["message"] == "attempt" and line["sink"] == sink)


async def delivers(program: Program, databases: Databases, count: int = 10) -> None:
    """As many new rows as this were written into each."""
    wanted = {sink: attempts(program, sink)["ok"] + count for sink in databases}
    await eventually(lambda: all(attempts(program, sink)["ok"] >= wanted[sink] for sink in databases))


async def next_worker(program: Program, databases: Databases, after: int) -> int:
    """The pid of the one that was started in its place, once it delivers."""
    await eventually(lambda: program.children("worker")[-1] != after)
    await delivers(program, databases)
    return program.children("worker")[-1]


async def staged(database: Database) -> int:
    [row] = await database.query("SELECT count(*) AS events FROM hris_staging_events")
    return int(row["events"])


async def more_than(committed: int, database: Database) -> None:
    async with asyncio.timeout(PROMISED_SECONDS):
        while await staged(database) <= committed:  # noqa: ASYNC110 (another process's doing)
            await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def attempts_are_stuck(rig: Rig, databases: Databases) -> AsyncIterator[None]:
    """Until this is left the worker's transactions wait for locks, while what comes arrives at the endpoint."""
    async with AsyncExitStack() as locks:
        for database in databases.values():
            await locks.enter_async_context(database.locked("hris_staging"))
        arrived = len(rig.endpoint.arrivals)
        await eventually(lambda: len(rig.endpoint.arrivals) >= arrived + 2 * CONCURRENCY)
        yield


async def kill_before_commit(rig: Rig, databases: Databases, worker: int) -> None:
    """Nothing of what is under way takes effect."""
    async with attempts_are_stuck(rig, databases):
        rig.kill(worker)


async def kill_between_commit_and_settling(rig: Rig, databases: Databases, worker: int) -> None:
    """What is under way gets committed, yet the ledger can't be told so."""
    async with attempts_are_stuck(rig, databases):
        server = await rig.server_pid()
        rig.pause(server)
        committed = {name: await staged(database) for name, database in databases.items()}
    for name, database in databases.items():
        await more_than(committed[name], database)
    rig.kill(worker)
    rig.resume(server)


async def check_tables(rig: Rig, database: Database) -> None:
    steps = {json.loads(arrival.body)["id"]: arrival.step for arrival in rig.endpoint.arrivals}
    events = await database.query("SELECT idempotency_key, event_id, sequence FROM hris_staging_events")
    keys = Counter(event["idempotency_key"] for event in events)
    assert [key for key, count in keys.items() if count > 1] == [], "a key has several rows"
    assert sorted(steps[event["event_id"]] for event in events) == sorted(rig.vendor.acknowledged)
    assert len(events) == len(keys) == len(rig.vendor.acknowledged)

    newest: dict[str, tuple[str, int]] = {}
    for step, sequence in sorted((steps[event["event_id"]], event["sequence"]) for event in events):
        application = str(step.application)
        assert sequence > newest.get(application, ("", 0))[1], "sequences do not tell the order"
        newest[application] = (str(step.stage), sequence)
    rows = await database.query("SELECT application_id, stage, sequence FROM hris_staging")
    assert len(rows) == len(newest)
    assert {row["application_id"]: (row["stage"], row["sequence"]) for row in rows} == newest


async def test_every_event_is_staged_exactly_once_though_workers_and_the_embedded_server_are_killed(
    rig: Rig, databases: Databases
) -> None:
    program = rig.start("up")
    await rig.ready()
    async with rig.vendor.busy(applications=40, pause=2.5):
        await delivers(program, databases)
        [worker] = program.children("worker")
        await kill_before_commit(rig, databases, worker)
        worker = await next_worker(program, databases, after=worker)
        await kill_between_commit_and_settling(rig, databases, worker)
        worker = await next_worker(program, databases, after=worker)
        rig.kill(worker)
        await next_worker(program, databases, after=worker)
        rig.kill(await rig.server_pid())
        await delivers(program, databases)
    await rig.check("worker killed three times and embedded server once")
    for name, database in databases.items():
        await check_tables(rig, database)
        ended = attempts(program, name)
        told = ", ".join(f"{count} x {reason}" for reason, count in ended.most_common())
        sys.stdout.write(f"{name}: {await staged(database)} rows; attempts: {told}\n")
        assert ended["worker_lost"] >= CONCURRENCY, "too little was under way, so this test showed nothing"
        assert ended["duplicate"] > 0, "nothing was committed and not settled, so this test showed too little"
