"""How safe the ledger's servers are asked to keep what was accepted, and whether they do."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.cluster import PipelineCommand, RedisCluster
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError, MovedError, NoScriptError, ResponseError, TimeoutError

from router.connection import as_outage, follow, on_each_primary

_REPLICAS_MS = 1000
_CALLS = 3


class Durability(StrEnum):
    """What a webhook's success code promises. `MEMORY`: a server has it, and keeps it as it is set up to; `AOF`: it is
    on that server's disk; `REPLICATED`: all but one of its replicas have it, too."""

    MEMORY = "memory"
    AOF = "aof"
    REPLICATED = "replicated"


_NEEDED = {
    Durability.AOF: {"appendonly", "appendfsync"},
    Durability.REPLICATED: {"min-replicas-to-write"},
}
_HIDDEN = "a server does not let its settings be seen (CONFIG GET), so look yourself"


async def shortfall(redis: Redis, durability: Durability) -> str | None:
    """What a server lacks for this, in words; None: nothing."""
    if durability is Durability.MEMORY:
        return None
    try:
        told = await on_each_primary(redis, "CONFIG GET", *_NEEDED[durability])
    except ResponseError:
        return _HIDDEN
    for settings in told:
        if not _NEEDED[durability] <= settings.keys():  # managed servers show some only
            return _HIDDEN
        if durability is Durability.AOF and (settings["appendonly"], settings["appendfsync"]) != ("yes", "always"):
            return "a server lacks `appendonly yes` and `appendfsync always`; a power cut there loses webhooks"
        if durability is Durability.REPLICATED and int(settings["min-replicas-to-write"]) < 1:
            return "a server lacks `min-replicas-to-write 1`; cut off from the others it would go on taking webhooks"
    return None


async def call_on_replicas(
    redis: Redis, script: AsyncScript, keys: Sequence[str], args: Sequence[Any], *, replicas: int
) -> Any:
    """Call a script, and return its answer when so many replicas have what it wrote.

    Raises:
        ConnectionError: they did not get it in time; it may be lost with the primary.
        RedisError: the call failed.
    """
    call = ("EVALSHA", script.sha, len(keys), *keys, *args)
    for _ in range(_CALLS):
        answer, reached = await _on_one_connection(redis, keys[0], call, ("WAIT", replicas, _REPLICAS_MS))
        if isinstance(answer, NoScriptError):
            await redis.script_load(script.script)
        elif isinstance(answer, MovedError):
            follow(redis, answer)
        elif isinstance(answer, Exception):
            raise answer
        elif isinstance(reached, Exception):
            raise reached
        elif reached < replicas:
            raise ConnectionError(f"{reached} replicas have it, {replicas} have to")
        else:
            return answer
    raise ConnectionError("the cluster is being rearranged")


async def _on_one_connection(redis: Redis, key: str, *commands: Sequence[Any]) -> list[Any]:
    """The answers, or errors, one after the other: WAIT is about what came over its own connection before."""
    if not isinstance(redis, RedisCluster):
        async with redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return await pipe.execute(raise_on_error=False)
    await redis.initialize()
    sent = [PipelineCommand(place, *command) for place, command in enumerate(commands)]
    with as_outage():
        node = redis.get_node_from_key(key)
        assert node is not None  # only a replica may be missing
        try:
            await node.execute_pipeline(sent)
            if isinstance(lost := sent[0].result, (ConnectionError, TimeoutError)):
                raise lost
        except (ConnectionError, TimeoutError):
            await redis.aclose()  # the next call asks anew who has which slot
            raise
    return [command.result for command in sent]


async def replicas_of(redis: Redis) -> int:
    """How many replicas are connected; in a cluster to the primary that has the fewest."""
    return min(int(told["connected_slaves"]) for told in await on_each_primary(redis, "INFO", "replication"))
