"""What the ledger keeps of the configuration: the log of the rules, and whose configuration is not in use."""

import json
from collections.abc import Awaitable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from router import codec
from router.edition import Edition, differences
from router.ledger_keys import CONFIG, EDITIONS, RULES_LOG
from router.records import ConfigState, RulesChange

LOG_KEPT = 1000
SILENT_SECONDS = 15.0
"""Who did not say for so long that something is wrong is gone, or it is mended."""

_FORGOTTEN_SECONDS = 60


class RulesLedger:
    """The part of the ledger that is about the configuration."""

    _redis: Redis
    _scripts: dict[str, AsyncScript]

    # --- the log of the rules -----------------------------------------------------------------------------------

    async def note_rules(self, edition: Edition) -> bool:
        """Log that these rules are in use from now on; False where they are the newest in the log already."""
        while True:
            newest = await cast("Awaitable[bytes | None]", self._redis.lindex(RULES_LOG, 0))
            last = _change(newest).hash if newest else None
            if last == edition.hash:
                return False
            before = await self.edition(last) if last else None
            seconds, _ = await self._redis.time()
            changes = differences(before, edition) if before else [_first(edition)]
            entry = f"{edition.hash} {json.dumps({'at': seconds, 'changes': changes})}"
            packed = codec.pack(json.dumps(asdict(edition)).encode())
            args: list[str | bytes | int] = [newest or b"", entry, edition.hash, packed, LOG_KEPT]
            if await self._scripts["note_rules"]([RULES_LOG, EDITIONS], args):
                return True

    async def rules_log(self, most: int = LOG_KEPT) -> list[RulesChange]:
        """Which rules were in use from when on, the newest first."""
        rows = await cast("Awaitable[list[bytes]]", self._redis.lrange(RULES_LOG, 0, most - 1))
        return [_change(row) for row in rows]

    async def edition(self, hash_: str) -> Edition | None:
        """The rules with this hash; None where they are not in the log any more."""
        packed = await cast("Awaitable[bytes | None]", self._redis.hget(EDITIONS, hash_))
        return Edition(**json.loads(codec.unpack(packed))) if packed else None

    # --- configurations that are not in use ---------------------------------------------------------------------

    async def show_config(self, process: str, state: ConfigState) -> None:
        """Say that a process does not use its changed configuration; to be repeated for as long as that is so."""
        seconds, _ = await self._redis.time()
        record = json.dumps({"shown_at": seconds, "state": state.model_dump(mode="json")})
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(CONFIG, process, record)
            pipe.expire(CONFIG, _FORGOTTEN_SECONDS)
            await pipe.execute()

    async def forget_config(self, process: str) -> None:
        """It is in use."""
        await cast("Awaitable[int]", self._redis.hdel(CONFIG, process))

    async def config_states(self) -> list[ConfigState]:
        """What the processes do not use, each once however many processes say it, with the time of the first."""
        seconds, _ = await self._redis.time()
        rows = [json.loads(row) for row in await cast("Awaitable[list[bytes]]", self._redis.hvals(CONFIG))]
        shown = [
            ConfigState.model_validate(row["state"]) for row in rows if row["shown_at"] >= seconds - SILENT_SECONDS
        ]
        firsts: dict[object, ConfigState] = {}
        for state in sorted(shown, key=lambda state: state.since):
            firsts.setdefault((state.path, state.errors, state.restart), state)
        return list(firsts.values())


def _first(edition: Edition) -> str:
    count = len(edition.routes)
    return f"the first rules: {count} route{'' if count == 1 else 's'}"


def _change(entry: bytes) -> RulesChange:
    hash_, _, rest = entry.decode().partition(" ")
    told = json.loads(rest)
    return RulesChange(hash=hash_, at=datetime.fromtimestamp(told["at"], UTC), changes=tuple(told["changes"]))
