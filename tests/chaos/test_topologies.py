"""The promise where the ledger is on several machines: a primary that sentinels watch, or a cluster, dies under load.

With ``durability: replicated`` nothing that got a success code is lost, and work goes on within 15 s, without help.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.crc import key_slot

from router.connection import Servers
from router.durability import Durability
from router.identity import partition_of
from tests.chaos.harness import SOURCES, Rig, eventually, make_rig
from tests.topologies import NAME, PASSWORD, Cluster, Server, Watched
from tests.valkey import Valkey

APPLICATIONS = 40

pytestmark = pytest.mark.usefixtures("chaos_round")


@pytest.fixture
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder, Watched(Path(folder)) as watched:
        yield watched


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder, Cluster(Path(folder)) as cluster:
        yield cluster


@asynccontextmanager
async def running(servers: Servers, title: str) -> AsyncIterator[Rig]:
    """One receiver, two workers, and an ATS that moves candidates all the time; at the end the promise is checked."""
    async with make_rig(servers, durability=Durability.REPLICATED) as rig:
        for command in ("serve", "work", "work"):
            rig.start(command)
        await rig.ready()
        async with rig.vendor.busy(applications=APPLICATIONS, pause=0.5):
            await arrive(rig, 60)
            yield rig
            await arrive(rig, 100)
        await rig.check(title)


async def arrive(rig: Rig, count: int) -> None:
    wanted = len(rig.endpoint.arrivals) + count
    await eventually(lambda: len(rig.endpoint.arrivals) >= wanted, 30)


async def killed(rig: Rig, server: Server) -> None:
    """Kill a server, and say how long nothing was acknowledged and nothing arrived."""
    rig.faults.append(at := time.monotonic())
    server.kill()
    await asyncio.sleep(0.2)  # what was on its way at that moment
    acknowledged = len(rig.vendor.acknowledged)
    await eventually(lambda: len(rig.vendor.acknowledged) > acknowledged + APPLICATIONS // 2, 30)
    back = time.monotonic() - at
    arrived = len(rig.endpoint.arrivals)
    await eventually(lambda: len(rig.endpoint.arrivals) > arrived + APPLICATIONS // 2, 30)
    sys.stdout.write(f"\nwebhooks are taken again {back:.1f} s, and delivered {time.monotonic() - at:.1f} s, after it")


async def test_a_primary_that_sentinels_watch_is_killed(watched: Watched) -> None:
    servers = Servers(f"redis://:{PASSWORD}@{NAME}", [sentinel.url for sentinel in watched.sentinels])
    async with running(servers, "primary killed under sentinels") as rig:
        await killed(rig, watched.primary)


async def test_a_node_of_a_cluster_is_killed(cluster: Cluster, own_server: Valkey) -> None:
    async with running(Servers(nodes=cluster.urls, bell=own_server.url), "node of a cluster killed") as rig:
        await killed(rig, cluster.owner_of(slot_of(SOURCES[0])))


async def test_a_partition_moves_to_another_node(cluster: Cluster, own_server: Valkey) -> None:
    slot = slot_of(SOURCES[0])
    async with running(Servers(nodes=cluster.urls, bell=own_server.url), "partition moved") as rig:
        owner = cluster.owner_of(slot)
        other = next(node for node in cluster.nodes[:3] if node is not owner)
        rig.faults.append(at := time.monotonic())
        keys = await asyncio.to_thread(move, cluster, slot, owner, other)
        sys.stdout.write(f"\n{keys} keys moved in {time.monotonic() - at:.1f} s")
        assert cluster.owner_of(slot) is other


def slot_of(source: str) -> int:
    """Of the partition that has all keys of a source."""
    return key_slot(f"{{p{partition_of(source, None):02d}}}".encode())


def move(cluster: Cluster, slot: int, owner: Server, other: Server) -> int:
    """Move a slot as `valkey-cli --cluster reshard` does; how many keys it had."""
    other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id_of(owner))
    owner.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id_of(other))
    moved = 0
    while keys := owner.ask("CLUSTER", "GETKEYSINSLOT", slot, 4):
        owner.ask("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "AUTH", PASSWORD, "KEYS", *keys)
        moved += len(keys)
        time.sleep(0.1)  # as long as with many keys
    for node in (other, owner):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(other))
    return moved
