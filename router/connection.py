"""Connections to the Redis or Valkey server: time-outs on everything, no hidden repeats, versions checked."""

import asyncio
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
)

OLDEST_REDIS = (7, 0)
OLDEST_VALKEY = (7, 2)
_CONNECT_TIMEOUT = 2.0
_ANSWER_TIMEOUT = 3.0
_CANCEL_AGAIN_SECONDS = 0.2


class ServerProblem(Exception):
    """The server can't be used. The text says what is wrong and what to do; it never holds the URL's password."""


def pool(url: str, *, connections: int = 32) -> BlockingConnectionPool:
    """A pool whose calls end in seconds when the server is silent; redis-py 5 would wait for ever."""
    keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=_ANSWER_TIMEOUT,
        socket_timeout=_ANSWER_TIMEOUT,
        socket_connect_timeout=_CONNECT_TIMEOUT,
        health_check_interval=15,
        **keepalive,
    )


def client(url: str) -> Redis:
    return Redis(connection_pool=pool(url))


async def check_version(redis: Redis) -> None:
    """Scripts use flags that older servers don't know.

    Raises:
        ServerProblem: the server is too old, or does not let us in.
        RedisError: it does not answer.
    """
    try:
        info: dict[str, Any] = await redis.info("server")
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise ServerProblem("the Redis server does not let us in: check user and password in redis.url") from error
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
    return isinstance(error, (ReadOnlyError, MasterDownError)) or str(error).startswith(
        ("MISCONF", "BUSY", "NOREPLICAS")
    )


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
