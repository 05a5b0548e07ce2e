"""The promise: every webhook that got a success code is delivered at least once, under one stable key, in order per
application, and after any fault work goes on within 15 s without anyone's help.

Real processes, real HTTP, real `kill -9`. `pytest tests/chaos -s` prints what was measured. The long form runs every
scenario 20 times, in half an hour: `ATS_ROUTER_CHAOS_ROUNDS=20 pytest tests/chaos -s`.
"""

import asyncio
import random
import signal
import time

import pytest
from redis.asyncio import Redis

from router.embedded import EmbeddedServer
from tests.chaos.harness import PROMISED_SECONDS, Program, Rig, eventually, has_ended

AWAY_SECONDS = 5.0
BEYOND_LEASE_SECONDS = 8.5
"""A lease is 6 s."""

STORM_FAULTS = 6

pytestmark = pytest.mark.usefixtures("chaos_round")


async def up(rig: Rig) -> Program:
    program = rig.start("up")
    await rig.ready()
    return program


async def some_arrive(rig: Rig, count: int = 30) -> None:
    wanted = len(rig.endpoint.arrivals) + count
    await eventually(lambda: len(rig.endpoint.arrivals) >= wanted)


async def in_mid_delivery(rig: Rig, attempts: int = 5) -> None:
    """Attempts that began after this call are in flight."""
    await eventually(lambda: rig.endpoint.in_flight == 0)
    await eventually(lambda: rig.endpoint.in_flight >= attempts)


async def next_child(program: Program, name: str, after: int) -> int:
    """The pid of the one that was started in its place."""
    await eventually(lambda: program.children(name)[-1] != after)
    return program.children(name)[-1]


async def wipe_arq(redis: Redis) -> int:
    keys = [key for pattern in ("arq:*", "ats:arq*") for key in await redis.keys(pattern)]
    return int(await redis.delete(*keys)) if keys else 0


async def test_a_worker_that_is_killed_in_mid_delivery_twice_in_a_row(rig: Rig) -> None:
    program = await up(rig)
    rig.endpoint.seconds = 0.3
    async with rig.vendor.busy(applications=40, pause=1.0):
        await some_arrive(rig)
        await eventually(lambda: rig.endpoint.in_flight >= 5)
        [worker] = program.children("worker")
        rig.kill(worker)
        worker = await next_child(program, "worker", after=worker)
        await in_mid_delivery(rig)
        rig.kill(worker)
        await next_child(program, "worker", after=worker)
    rig.endpoint.seconds = 0.0
    figures = await rig.check("worker killed twice")
    assert figures.duplicates > 0, "no attempt was in flight, so this test showed nothing"


async def test_a_receiver_that_is_killed_under_load(rig: Rig) -> None:
    program = await up(rig)
    async with rig.vendor.busy(applications=40, pause=0.3):
        await some_arrive(rig)
        [receiver] = program.children("receiver")
        rig.kill(receiver)
        receiver = await next_child(program, "receiver", after=receiver)
        await some_arrive(rig)
        rig.kill(receiver)
        await next_child(program, "receiver", after=receiver)
        await some_arrive(rig)
    assert rig.vendor.refusals.total() > 0
    await rig.check("receiver killed twice")


async def test_an_embedded_server_that_is_killed_under_load(rig: Rig) -> None:
    await up(rig)
    rig.endpoint.seconds = 0.1
    async with rig.vendor.busy(applications=40, pause=0.3):
        await some_arrive(rig)
        for _ in range(2):
            rig.kill(await rig.server_pid())
            await some_arrive(rig, 60)
    assert rig.vendor.refusals["503"] > 0
    await rig.check("embedded server killed twice")


async def test_a_worker_that_is_stopped_beyond_its_leases_while_another_one_works(own_rig: Rig) -> None:
    rig = own_rig
    rig.start("serve")
    stopped, _ = rig.start("work"), rig.start("work")
    await rig.ready()
    rig.endpoint.seconds = 0.3
    async with rig.vendor.busy(applications=40, pause=0.5):
        await some_arrive(rig, 60)
        await eventually(lambda: stopped.said("attempt"))
        await eventually(lambda: rig.endpoint.in_flight >= 10)
        rig.pause(stopped.pid)
        await asyncio.sleep(BEYOND_LEASE_SECONDS)
        rig.resume(stopped.pid)
        await eventually(lambda: stopped.said("came after their lease was lost"))
        done = len(stopped.said("attempt"))
        await eventually(lambda: len(stopped.said("attempt")) > done)  # it takes part again
    rig.endpoint.seconds = 0.0
    await rig.check(f"worker stopped, {_refused(stopped)} late settles refused")


def _refused(worker: Program) -> int:
    return sum(int(said.split(": ")[1].split()[0]) for said in worker.said("came after their lease was lost"))


async def test_a_server_that_hangs(rig: Rig) -> None:
    await up(rig)
    rig.endpoint.seconds = 0.2
    async with rig.vendor.busy(applications=40, pause=0.3):
        await some_arrive(rig)
        server = await rig.server_pid()
        rig.pause(server)
        await eventually(lambda: rig.vendor.refusals["503"] > 0)
        rig.resume(server)
        await some_arrive(rig)
    await rig.check("server hung")


async def test_a_server_that_is_away_for_some_seconds(own_rig: Rig, own_server: EmbeddedServer) -> None:
    rig = own_rig
    rig.start("serve")
    rig.start("work")
    await rig.ready()
    rig.endpoint.seconds = 0.1
    async with rig.vendor.busy(applications=40, pause=0.3):
        await some_arrive(rig)
        rig.kill(await rig.server_pid())
        own_server.stop()
        await asyncio.sleep(AWAY_SECONDS)
        assert rig.vendor.refusals.keys() == {"503"}
        own_server.start()
        await some_arrive(rig)
    await rig.check("server away")


async def test_all_keys_of_arq_are_wiped_again_and_again(rig: Rig) -> None:
    await up(rig)
    wiped = 0

    async def wipe_on() -> None:
        nonlocal wiped
        async with rig.redis() as redis:
            while True:
                wiped += await wipe_arq(redis)
                await asyncio.sleep(random.uniform(0, 0.02))

    async with rig.vendor.busy(applications=40, pause=0.3):
        await some_arrive(rig)
        rig.faults.append(time.monotonic())
        wiping = asyncio.create_task(wipe_on())
        await some_arrive(rig, 300)
    figures = await rig.check("keys of arq wiped all the time")
    wiping.cancel()
    assert figures.stall < 5, "loops that look by themselves every second need no bell"
    assert wiped > 100
    assert not rig.vendor.refusals


async def test_an_up_that_is_killed_and_started_again(rig: Rig) -> None:
    program = await up(rig)
    rig.endpoint.seconds = 0.1
    async with rig.vendor.busy(applications=40, pause=0.3):
        await some_arrive(rig)
        server = await rig.server_pid()
        children = program.children("receiver") + program.children("worker")
        rig.kill(program.pid)
        killed_at = time.monotonic()
        assert program.process.wait() == -signal.SIGKILL
        await eventually(lambda: all(map(has_ended, children)))
        ended = time.monotonic() - killed_at
        again = rig.start("up")
        await rig.ready()
        assert again.said(f"adopted the server that was left in {rig.folder}/data (pid {server})")
        await some_arrive(rig)
    await rig.check(f"up killed, its children ended after {ended:.1f} s")
    assert ended < PROMISED_SECONDS


async def test_a_storm_of_faults(rig: Rig) -> None:
    program = await up(rig)
    rig.endpoint.seconds = 0.1
    story = []
    async with rig.vendor.busy(applications=40, pause=0.5):
        await some_arrive(rig)
        for fault in random.choices(("receiver", "worker", "server", "hang", "arq"), k=STORM_FAULTS):
            story.append(fault)
            if fault in ("receiver", "worker"):
                await eventually(lambda: not has_ended(program.children(fault)[-1]))  # noqa: B023 (runs at once)
                rig.kill(program.children(fault)[-1])
            elif fault == "server":
                rig.kill(await rig.server_pid())
            elif fault == "hang":
                server = await rig.server_pid()
                rig.pause(server)
                await asyncio.sleep(1)
                rig.resume(server)
            else:
                async with rig.redis() as redis:
                    await wipe_arq(redis)
            await asyncio.sleep(random.uniform(0, 1.5))
    await rig.check(f"storm ({', '.join(story)})")
