"""The ledger on a cluster, and on a server that sentinels name; what happens when one dies is in `tests/chaos`."""

import asyncio
import itertools
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import (
    ConnectionError,
    MovedError,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TimeoutError,
)

from router import connection
from router.bell import Bell, arq_redis, listen
from router.connection import Servers, client, clocks, close, end, follow, is_outage, on_each_primary, reason_of
from router.durability import Durability
from router.identity import PARTITIONS
from router.ledger import INTAKE, Ledger, sink_lane
from router.ledger_keys import key
from tests.factories import PARTITION, make_receipt
from tests.router.bulk import SINK, Bulk, fill
from tests.topologies import HOST, NAME, PASSWORD, Cluster, Watched


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder, Cluster(Path(folder)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder, Watched(Path(folder)) as watched:
        yield watched


@pytest.fixture
async def spread(cluster: Cluster) -> AsyncIterator[Ledger]:
    for node in cluster.nodes[:3]:
        node.ask("FLUSHALL")
    ledger = Ledger(Servers(nodes=cluster.urls).client())
    await ledger.open()
    yield ledger
    await ledger.close()


def client_of(ledger: Ledger) -> Any:
    return cast(RedisCluster, ledger._redis)


async def test_a_ledger_on_a_cluster_takes_routes_and_lists_events(spread: Ledger) -> None:
    await fill(spread, 40, Bulk(dead_every=10))
    assert (await spread.counts())["greenhouse", "events"] == 40
    assert (await spread.backlog(sink_lane(SINK))).subjects == 0
    await fill(spread, 20, Bulk(attempted=False), first=40)
    backlog = await spread.backlog(sink_lane(SINK))
    assert backlog.subjects == 5  # four facts an application
    assert 0.0 <= backlog.oldest_due < 10.0
    await spread.show_worker("worker", [SINK])
    assert (await spread.workers(within=5), await spread.sinks()) == (1, [SINK])
    assert await spread.memory_used() == 0.0


async def test_partitions_are_spread_over_the_nodes(spread: Ledger) -> None:
    redis = client_of(spread)
    owners = [redis.get_node_from_key(key(partition, "receipts")).name for partition in range(PARTITIONS)]
    assert min(owners.count(name) for name in set(owners)) >= PARTITIONS // 4
    assert len(set(owners)) == 3


async def test_the_time_is_that_of_each_keys_own_node(spread: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = client_of(spread)
    keys = [key(partition, "receipts") for partition in range(PARTITIONS)]
    assert all(abs(at - time.time()) < 2 for at in await clocks(redis, keys))
    ask, fast = redis.execute_command, redis.get_node_from_key(keys[0])

    async def ahead(*command: str, **options: Any) -> Any:
        told = await ask(*command, **options)
        return (told[0] + 100, told[1]) if command == ("TIME",) and options["target_nodes"] == fast else told

    monkeypatch.setattr(redis, "execute_command", ahead)
    for name, at in zip(keys, await clocks(redis, keys), strict=True):
        assert (at - time.time() > 90) is (redis.get_node_from_key(name) == fast)


async def test_nodes_that_were_struck_out_are_asked_again(spread: Ledger) -> None:
    redis = client_of(spread)
    await redis.aclose()
    redis.nodes_manager.startup_nodes.clear()
    assert len(await spread.due_in(INTAKE)) == PARTITIONS


async def test_a_cluster_that_is_away_is_an_outage_like_any_other() -> None:
    ledger = Ledger(Servers(nodes=["redis://127.0.0.1:1", "redis://127.0.0.1:2"]).client())
    with pytest.raises(ConnectionError) as away:
        await ledger.due_in(INTAKE)
    assert is_outage(away.value)
    await ledger.close()


@pytest.mark.parametrize("call", ["command", "pipeline"])
async def test_a_slot_that_is_nowhere_is_an_outage(spread: Ledger, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    redis = client_of(spread)

    def nowhere(*_: object) -> None:
        raise SlotNotCoveredError("it is nowhere")

    await redis.initialize()
    monkeypatch.setattr("redis.asyncio.cluster.NodesManager.get_node_from_slot", nowhere)
    with pytest.raises(ConnectionError):
        await (spread.sinks() if call == "command" else spread.counts())


@pytest.mark.parametrize("call", ["command", "pipeline"])
async def test_nothing_is_sent_twice_to_a_node_that_does_not_answer(
    spread: Ledger, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setitem(connection._TIMEOUTS, "socket_timeout", 0.5)
    redis = Servers(nodes=cluster.urls).client()
    name = key(PARTITION, "counts")
    await redis.hincrby(name, "made", 0)  # type: ignore[misc]
    owner = cluster.owner_of(key_slot(name.encode()))
    owner.process.send_signal(signal.SIGSTOP)

    async def together() -> None:
        async with redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(name, "made", 1)
            await pipe.execute()

    try:
        with pytest.raises((ConnectionError, TimeoutError)):
            await (redis.hincrby(name, "made", 1) if call == "command" else together())  # type: ignore[misc]
    finally:
        owner.process.send_signal(signal.SIGCONT)
    made = await redis.hget(name, "made")  # type: ignore[misc]
    assert made == b"1"  # it was done after all, once
    await close(redis)


async def test_nodes_that_change_while_they_are_asked_are_an_outage(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def as_redis_py(nodes: Any) -> None:
        for node in nodes.startup_nodes.values():
            nodes.startup_nodes.pop(node.name)  # in another call meanwhile

    monkeypatch.setattr("redis.asyncio.cluster.NodesManager.initialize", as_redis_py)
    redis = Servers(nodes=cluster.urls).client()
    for ask in (clocks(redis, ["a"]), on_each_primary(redis, "PING"), redis.ping()):
        with pytest.raises(ConnectionError):
            await ask
    await close(redis)


async def test_a_slot_that_moved_is_followed_without_closing_what_others_use(cluster: Cluster) -> None:
    redis = Servers(nodes=cluster.urls).client()
    await redis.ping()
    name = key(PARTITION, "counts")
    slot = key_slot(name.encode())
    other = next(node for node in cluster.nodes[:3] if node is not cluster.owner_of(slot))
    any_redis = cast(Any, redis)
    waits = asyncio.create_task(any_redis.execute_command("WAIT", 9, 300, target_nodes=any_redis.get_primaries()))
    await asyncio.sleep(0.1)
    follow(redis, MovedError(f"{slot} {HOST}:{other.port}"))  # type: ignore[no-untyped-call]
    assert any_redis.get_node_from_key(name).port == other.port
    assert await waits == 3 * 2  # replicas, as nobody was cut off
    await close(redis)


async def test_calls_whose_connections_others_close_end_with_an_outage_or_well(
    spread: Ledger, cluster: Cluster
) -> None:
    ledger = Ledger(Servers(nodes=cluster.urls).client(), durability=Durability.REPLICATED)
    await ledger.open()
    numbers = itertools.count()
    refused: list[RedisError] = []

    async def accept(until: float) -> None:
        while time.monotonic() < until:
            try:
                await ledger.accept(PARTITION, [make_receipt(str(next(numbers)))])
            except RedisError as error:
                refused.append(error)

    async def look(until: float) -> None:
        while time.monotonic() < until:
            await client_of(ledger).aclose()  # as redis-py does after each failure
            await asyncio.sleep(0.003)

    until = time.monotonic() + 2
    await asyncio.gather(look(until), *(accept(until) for _ in range(20)))
    await ledger.close()
    assert refused
    assert all(map(is_outage, refused))


@pytest.mark.parametrize(
    ("answer", "outage"),
    [
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("MISCONF Errors writing to the AOF file", True),
        ("BUSY Valkey is busy running a script.", True),
        ("WRONGTYPE Operation against a key", False),
    ],
)
def test_an_error_that_passes_by_itself_is_an_outage(answer: str, outage: bool) -> None:
    assert is_outage(ResponseError(answer)) is outage


def test_no_password_is_in_the_text_of_servers() -> None:
    assert "hunter2" not in repr(Servers("redis://:hunter2@a", ["redis://:hunter2@b"], ["redis://:hunter2@c"]))


@pytest.mark.parametrize(
    ("options", "checked"),
    [
        ("", True),
        ("&ssl_cert_reqs=required", True),
        ("&ssl_cert_reqs=none", False),
        ("&ssl_check_hostname=no", False),
    ],
)
def test_with_tls_the_name_of_the_server_is_checked_wherever_it_is(options: str, checked: bool) -> None:
    def url(place: str) -> str:
        return f"rediss://:hunter2@{place}?ssl_ca_certs=/ca.pem{options}"

    one = Servers(url("one/0")).client().connection_pool
    watched = cast(Any, Servers(url(NAME), [url("two")]).client().connection_pool)
    cluster = cast(Any, Servers(nodes=[url("three/0")]).client())
    for options_of in (
        one.connection_kwargs,
        watched.connection_kwargs,
        watched.sentinel_manager.sentinels[0].connection_pool.connection_kwargs,
        cluster.connection_kwargs,
    ):
        assert (options_of["ssl_ca_certs"], options_of["ssl_check_hostname"]) == ("/ca.pem", checked)
        assert options_of["password"] == "hunter2"


async def test_why_a_server_can_not_be_reached_is_told(tmp_path: Path) -> None:
    async with client(f"unix://{tmp_path}/nothing") as redis:
        with pytest.raises(ConnectionError) as away:
            await redis.ping()
    assert reason_of(away.value) == "ConnectionError: No such file or directory"
    assert reason_of(SlotNotCoveredError()) == "SlotNotCoveredError"


async def test_the_ledger_and_the_bell_find_the_primary_by_its_name(watched: Watched) -> None:
    servers = Servers(f"redis://:{PASSWORD}@{NAME}/0", [sentinel.url for sentinel in watched.sentinels])
    ledger = Ledger(servers.client())
    await ledger.open()
    assert watched.primary.ask("HGET", "ats:meta", "partitions") == str(PARTITIONS).encode()
    await asyncio.gather(*(ledger.due_in(INTAKE) for _ in range(100)))  # more than there are connections
    await ledger.close()
    heard: list[int] = []
    listening = asyncio.create_task(listen(servers, heard.extend, []))
    bell = Bell(arq_redis(servers))
    for _ in range(100):
        bell.ring(3)
        await asyncio.sleep(0.05)
        if heard:
            break
    assert set(heard) == {3}
    await bell.close()
    await end(listening)


async def test_sentinels_that_are_away_are_an_outage() -> None:
    redis = Servers(f"redis://{NAME}", ["redis://127.0.0.1:1"]).client()
    with pytest.raises(ConnectionError) as away:
        await redis.ping()
    assert is_outage(away.value)
    await close(redis)
