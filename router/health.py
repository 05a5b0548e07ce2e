"""Whether this process can do its work: server, memory, disk. Looked at once a second, not per request."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from router.ledger import Ledger

MEMORY_LIMIT = 0.85
"""Share of the server's memory above which nothing new is taken, so that workers keep room to work the backlog off."""

DISK_RESERVE = 64 * 1024**2
"""Bytes that must stay free where the embedded server writes."""

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """One sentence per part that is not ready; None where it is."""

    server: str | None = "not looked at yet"
    memory: str | None = None
    disk: str | None = None

    @property
    def refuses(self) -> str | None:
        """Why nothing new can be taken. An unreachable server is not among it: the next request may find it back."""
        return self.memory or self.disk

    @property
    def problems(self) -> dict[str, str]:
        return {part: text for part in ("server", "memory", "disk") if (text := getattr(self, part)) is not None}


class Health:
    """Keeps `condition` up to date. ``data_dir`` is where the embedded server writes; None where there is none."""

    def __init__(self, ledger: Ledger, data_dir: Path | None) -> None:
        self.condition = Condition()
        self._ledger = ledger
        self._data_dir = data_dir

    async def watch(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        server = memory = None
        try:
            used = await self._ledger.memory_used()
            await self._ledger.count_replicas()
            if used > MEMORY_LIMIT:
                memory = f"{used:.0%} of the server's memory is used; above {MEMORY_LIMIT:.0%} nothing new is taken"
        except (RedisError, OSError) as error:
            server = f"the Redis server does not answer ({type(error).__name__})"
        self.condition = Condition(server, memory, self._disk())

    def _disk(self) -> str | None:
        if self._data_dir is None:
            return None
        try:
            free = shutil.disk_usage(self._data_dir).free
        except OSError as error:
            return f"the data directory can't be looked at ({(error.strerror or 'unknown error').lower()})"
        if free >= DISK_RESERVE:
            return None
        return f"{free // 1024**2} MiB are free in the data directory, {DISK_RESERVE // 1024**2} MiB are needed"
