"""Connections to the Redis or Valkey servers: time-outs on everything, no hidden repeats, versions checked.

One server, one that sentinels name, or a cluster: the ledger speaks to each alike, as each of its script calls touches
keys of one hash slot only.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, cast

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterError,
    ConnectionError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    SlotNotCoveredError,
    TimeoutError,
    TryAgainError,
)

OLDEST_REDIS = (7, 0)
OLDEST_VALKEY = (7, 2)
_CONNECT_TIMEOUT = 2.0
_ANSWER_TIMEOUT = 3.0
_CANCEL_AGAIN_SECONDS = 0.2
_NOBODY = "no node of the cluster answers"
_TIMEOUTS: dict[str, Any] = {
    "socket_timeout": _ANSWER_TIMEOUT,
    "socket_connect_timeout": _CONNECT_TIMEOUT,
    "health_check_interval": 15,
}
"""redis-py 5 would wait for ever."""
_OF_ONE_SERVER = ("host", "port", "db", "connection_class")
"""Of a URL; the rest (user, password, `ssl_ca_certs` and the like) holds for all nodes of a cluster."""


class ServerProblem(Exception):
    """The server can't be used. The text says what is wrong and what to do; it never holds the URL's password."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the ledger is: at ``url``; or at whichever server ``sentinels`` name, ``url`` then having its name in place
    of a host; or spread over a cluster, of which ``nodes`` are some, with ``bell`` for what arq keeps."""

    url: str = field(default="", repr=False)
    sentinels: Sequence[str] = field(default=(), repr=False)
    nodes: Sequence[str] = field(default=(), repr=False)
    bell: str = field(default="", repr=False)

    def client(self) -> Redis:
        """For the ledger."""
        if not self.nodes:
            return Redis(connection_pool=self._pool(self.url, 32))
        told = [_options_of(url) for url in self.nodes]
        options = {name: value for name, value in told[0].items() if name not in _OF_ONE_SERVER}
        cluster = _Cluster(  # type: ignore[abstract]  # a mistake of its stubs
            startup_nodes=[ClusterNode(one["host"], one.get("port", 6379)) for one in told],
            ssl=told[0].get("connection_class") is SSLConnection,
            require_full_coverage=False,  # what is only about partitions on other nodes goes on
            connection_error_retry_attempts=1,
            **options,
            **_TIMEOUTS,
        )
        return cast(Redis, cluster)  # it has the same commands

    def bell_pool(self) -> ConnectionPool:
        """For arq, which has several keys in one call, and so can't use a cluster."""
        return self._pool(self.bell or self.url, 8)

    def _pool(self, url: str, connections: int) -> ConnectionPool:
        if self.sentinels:
            return _SentinelPool.of(url, self.sentinels, connections)
        keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
        ours: dict[str, Any] = {"max_connections": connections, "timeout": _ANSWER_TIMEOUT, **_TIMEOUTS, **keepalive}
        return BlockingConnectionPool(**ours | _options_of(url))


class _Cluster(RedisCluster):
    """Where a node or a slot is missing for now it raises what other clients raise then; redis-py's own error is no
    `RedisError`, and stands for mistakes of the caller as well. No command is sent twice: the first may have been done.
    """

    ERRORS_ALLOW_RETRY = ()  # type: ignore[assignment]  # of its stubs, which allow no other classes

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._given = list(self.nodes_manager.startup_nodes.values())

    async def initialize(self) -> Self:
        if self._initialize:  # redis-py strikes out nodes that failed, until none is left to ask
            for node in self._given:
                self.nodes_manager.startup_nodes.setdefault(node.name, node)
        try:
            with as_outage():
                await super().initialize()
        except RedisClusterException as error:
            raise ConnectionError(_NOBODY) from error
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with as_outage():
            return await super().execute_command(*args, **options)

    def get_node_from_key(self, key: str, replica: bool = False) -> ClusterNode:
        with as_outage():  # redis-py's own looks past a slot that moved
            return self.nodes_manager.get_node_from_slot(self.keyslot(key), replica)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        return _ClusterPipeline(self)  # type: ignore[abstract]  # a mistake of its stubs


class _ClusterPipeline(ClusterPipeline):
    ERRORS_ALLOW_RETRY = ()  # type: ignore[assignment]  # of its stubs, which allow no other classes

    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        try:
            with as_outage():
                return await super().execute(raise_on_error, allow_redirections)
        except ClusterPipeline.ERRORS_ALLOW_RETRY:
            await self._client.aclose()  # the next call asks anew who has which slot
            raise


@contextmanager
def as_outage() -> Iterator[None]:
    """What a cluster's client raises where a slot is nowhere, or another call just closed this one's connection (it may
    be closed already, or have no writer any more) or changed the nodes that this one goes through."""
    try:
        yield
    except (SlotNotCoveredError, RuntimeError, AttributeError) as error:
        raise ConnectionError("the cluster is being rearranged") from error


class _SentinelPool(BlockingConnectionPool, SentinelConnectionPool):
    """Waits for a free connection instead of failing, and asks sentinels with time-outs; arq's own has neither."""

    @classmethod
    def of(cls, url: str, sentinels: Sequence[str], connections: int) -> "_SentinelPool":
        told = _options_of(url)
        name = told.pop("host")
        told.pop("port", None)
        secured = told.pop("connection_class", None) is SSLConnection
        return cls(
            service_name=name,
            sentinel_manager=_sentinels(sentinels),
            connection_class=SentinelManagedSSLConnection if secured else SentinelManagedConnection,
            max_connections=connections,
            timeout=round(_ANSWER_TIMEOUT),
            socket_keepalive=True,
            **told,
            **_TIMEOUTS,
        )

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:  # else it is only that another server is the primary now
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose(close_connection_pool=True)


def _sentinels(urls: Sequence[str]) -> Sentinel:
    manager = Sentinel([])  # type: ignore[no-untyped-call]
    limits: dict[str, Any] = {"socket_timeout": _CONNECT_TIMEOUT, "socket_connect_timeout": _CONNECT_TIMEOUT}
    manager.sentinels = [Redis(connection_pool=ConnectionPool(**limits | _options_of(url))) for url in urls]
    return manager


def _options_of(url: str) -> dict[str, Any]:
    """What a URL says. With TLS the server's name is checked as well, which redis-py does from version 6 on only."""
    told: dict[str, Any] = dict(parse_url(url))
    if told.get("connection_class") is SSLConnection:
        told.setdefault("ssl_check_hostname", told.get("ssl_cert_reqs", "required") == "required")
    return told


def client(url: str) -> Redis:
    """For one server."""
    return Servers(url).client()


async def close(redis: Redis) -> None:
    """With all its connections."""
    if isinstance(redis, RedisCluster):
        await redis.aclose()
    else:
        await redis.aclose(close_connection_pool=True)


def follow(redis: Redis, moved: MovedError) -> None:
    """From now on ask the node that has a slot now, as redis-py does; looking up all slots would close what other calls
    use."""
    if isinstance(redis, RedisCluster):
        redis.nodes_manager._moved_exception = moved


async def on_each_primary(redis: Redis, *command: str | int) -> list[Any]:
    """The answers to a command that is about a server, of every server that takes writes."""
    if not isinstance(redis, RedisCluster):
        return [await redis.execute_command(*command)]  # type: ignore[no-untyped-call]
    await redis.initialize()
    return await asyncio.gather(*(redis.execute_command(*command, target_nodes=node) for node in redis.get_primaries()))


async def clocks(redis: Redis, keys: Sequence[str]) -> list[float]:
    """The time in unix seconds at the server of each key: those of a cluster's nodes may differ."""
    if not isinstance(redis, RedisCluster):
        return [_seconds(await redis.time())] * len(keys)
    await redis.initialize()
    nodes = [redis.get_node_from_key(key) for key in keys]
    asked = {node.name: node for node in nodes if node is not None}
    told = await asyncio.gather(*(redis.execute_command("TIME", target_nodes=node) for node in asked.values()))
    at = dict(zip(asked, map(_seconds, told), strict=True))
    return [at[node.name] if node is not None else 0.0 for node in nodes]


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1e6


async def check_version(redis: Redis) -> None:
    """Scripts use flags that older servers don't know.

    Raises:
        ServerProblem: the server is too old, or does not let us in.
        RedisError: it does not answer.
    """
    try:
        infos = await on_each_primary(redis, "INFO", "server")
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise ServerProblem("the Redis server does not let us in: check user and password in redis.url") from error
    for info in infos:
        valkey = info.get("valkey_version")
        name, version, oldest = (
            ("Valkey", valkey, OLDEST_VALKEY) if valkey else ("Redis", info["redis_version"], OLDEST_REDIS)
        )
        if tuple(int(part) for part in str(version).split(".")[:2]) < oldest:
            raise ServerProblem(f"{name} {version} is too old: {name} {oldest[0]}.{oldest[1]} or newer is needed")


def is_outage(error: BaseException) -> bool:
    """Whether the server as a whole can't serve now, so that the same call may succeed later."""
    if isinstance(error, (ConnectionError, TimeoutError, OSError, BusyLoadingError, OutOfMemoryError)):
        return True
    if isinstance(error, (ClusterError, AskError, TryAgainError)):  # a node is away, or a slot on its way to another
        return True
    return isinstance(error, (ReadOnlyError, MasterDownError)) or str(error).startswith(
        ("MISCONF", "BUSY", "NOREPLICAS")
    )


def reason_of(error: BaseException) -> str:
    """Why a server can't be reached: the error's kind, and what the system or TLS said below it. Holds no password."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and (said := getattr(below, "verify_message", None) or below.strerror):
            return f"{type(error).__name__}: {said}"
        below = below.__cause__ or below.__context__
    return type(error).__name__


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended.

    Once is not enough: redis-py sends under `asyncio.wait_for`, which loses a cancellation now and then before
    Python 3.12, and then the task would go on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
