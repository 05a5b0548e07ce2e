"""How safe the ledger's servers are asked to keep what was accepted, and whether they do."""

from enum import StrEnum

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from router.connection import on_each_primary


class Durability(StrEnum):
    """What a webhook's success code promises. `MEMORY`: a server has it, and keeps it as it is set up to; `AOF`: it is
    on that server's disk; `REPLICATED`: all but one of its replicas have it, too."""

    MEMORY = "memory"
    AOF = "aof"
    REPLICATED = "replicated"


async def shortfall(redis: Redis, durability: Durability) -> str | None:
    """What a server lacks for this, in words; None: nothing."""
    if durability is Durability.MEMORY:
        return None
    try:
        told = await on_each_primary(redis, "CONFIG GET", "append*", "min-replicas-to-write")
    except ResponseError:
        return "a server does not let its settings be seen (CONFIG GET), so look yourself"
    for settings in told:
        if durability is Durability.AOF and (settings["appendonly"], settings["appendfsync"]) != ("yes", "always"):
            return "a server lacks `appendonly yes` and `appendfsync always`; a power cut there loses webhooks"
        if durability is Durability.REPLICATED and int(settings["min-replicas-to-write"]) < 1:
            return "a server lacks `min-replicas-to-write 1`; cut off from the others it would go on taking webhooks"
    return None
