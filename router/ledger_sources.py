"""What the ledger keeps of sources besides their webhooks: registrations at vendors, whether an API works, counts."""

import json
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from handlers.connecting import Hook
from router.identity import PARTITIONS, partition_of
from router.ledger_keys import HOOKS, SILENCES, VENDOR_APIS, key
from router.source_records import ApiState, KeptHook

_REMEMBERED, _WATCHED = 30 * 86400.0, 7 * 86400.0
_GAPS = 5


class _Silences(NamedTuple):
    """``gaps``: when each of the longest silences ended, and how long it was."""

    first: float
    last: float
    gaps: tuple[tuple[float, float], ...] = ()


class SourcesLedger:
    """The part of the ledger that is about sources."""

    _redis: Redis
    _scripts: dict[str, AsyncScript]

    # --- registrations ------------------------------------------------------------------------------------------

    async def keep_hook(self, source: str, hook: Hook, url: str) -> None:
        """Remember a registration; one of the same id is replaced, but keeps its secret where the new one has none."""
        known = {kept.hook.id: kept for kept in (await self.hooks()).get(source, ())}
        before = known.get(hook.id)
        record = {
            "url": url,
            "events": list(hook.events),
            "secret": hook.secret or (before.hook.secret if before else None),
            "expires_at": hook.expires_at.timestamp() if hook.expires_at else None,
        }
        await cast("Awaitable[int]", self._redis.hset(HOOKS, f"{source} {hook.id}", json.dumps(record)))

    async def forget_hook(self, source: str, hook_id: str) -> None:
        await cast("Awaitable[int]", self._redis.hdel(HOOKS, f"{source} {hook_id}"))

    async def hooks(self) -> dict[str, list[KeptHook]]:
        """Every registration that `connect` made, by source."""
        found: dict[str, list[KeptHook]] = {}
        rows = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(HOOKS))
        for name, packed in sorted(rows.items()):
            source, _, identifier = name.decode().partition(" ")
            record = json.loads(packed)
            ends = record["expires_at"]
            hook = Hook(
                id=identifier,
                events=tuple(record["events"]),
                secret=record["secret"],
                expires_at=datetime.fromtimestamp(ends, UTC) if ends else None,
            )
            found.setdefault(source, []).append(KeptHook(hook, record["url"]))
        return found

    # --- vendors' APIs ------------------------------------------------------------------------------------------

    async def note_api(self, source: str, problem: str | None, *, refused: bool = False) -> None:
        """How the API of a source's vendor answers: None, as it should. A problem keeps the time when it began.
        ``refused``: it does not accept the credentials."""
        before = (await self.api_states()).get(source)
        seconds, _ = await self._redis.time()
        goes_on = before is not None and (before.problem is None) is (problem is None)
        since, times = (before.since.timestamp(), before.times + 1) if before and goes_on else (seconds, 1)
        record = json.dumps({"problem": problem, "since": since, "refused": refused, "times": times})
        await cast("Awaitable[int]", self._redis.hset(VENDOR_APIS, source, record))

    async def api_states(self) -> dict[str, ApiState]:
        """How the vendors' APIs answered lastly, by source; a source that never asked is not among them."""
        rows = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(VENDOR_APIS))
        states = {}
        for source, packed in rows.items():
            record = json.loads(packed)
            since = datetime.fromtimestamp(record["since"], UTC)
            refused, times = record.get("refused", False), record.get("times", 1)
            states[source.decode()] = ApiState(record["problem"], since, refused, times)
        return states

    async def api_turn(self, budget: str, interval: float) -> float:
        """Reserve one call of those that share a vendor's rate: in how many seconds it may begin."""
        args = [round(interval * 1000), 86_400_000]
        _, wait = await self._scripts["pace"]([f"ats:{{api:{budget}}}:pace"], args)
        return int(wait) / 1000

    # --- silences -----------------------------------------------------------------------------------------------

    async def note_silences(self, heard: Mapping[str, float], now: float) -> None:
        """Learn how long the sources' webhooks usually keep silent; ``heard``: when the last one came, all in unix
        seconds. To be called often."""
        known = await self._silences()
        for source, at in heard.items():
            record = known.get(source) or _Silences(first=at, last=at)
            if at == record.last and source in known:
                continue
            gaps = [*record.gaps, (at, at - record.last)]
            longest = sorted((gap for gap in gaps if gap[0] > now - _REMEMBERED), key=lambda gap: -gap[1])[:_GAPS]
            told = json.dumps([record.first, at, longest])
            await cast("Awaitable[int]", self._redis.hset(SILENCES, source, told))

    async def silences(self) -> dict[str, float]:
        """The longest silence of each source in the last month, in seconds, of those that were watched for a week."""
        found = {}
        for source, record in (await self._silences()).items():
            if record.gaps and record.last - record.first >= _WATCHED:
                found[source] = max(gap for _, gap in record.gaps)
        return found

    async def _silences(self) -> "dict[str, _Silences]":
        rows = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(SILENCES))
        found = {}
        for source, packed in rows.items():
            first, last, gaps = json.loads(packed)
            found[source.decode()] = _Silences(first, last, tuple((at, gap) for at, gap in gaps))
        return found

    # --- counts -------------------------------------------------------------------------------------------------

    async def add_counts(self, rejected: Mapping[str, int], soft_drift: Mapping[tuple[str, str], int]) -> None:
        """Add to how many requests of a source were rejected, and to how often a path of it was missing or odd."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for source, count in rejected.items():
                pipe.hincrby(key(partition_of(source, None), "counts"), f"{source} rejected", count)
            for (source, path), count in soft_drift.items():
                pipe.hincrby(key(partition_of(source, None), "soft_drift"), f"{source} {path}", count)
            await pipe.execute()

    async def soft_drift(self) -> dict[str, dict[str, int]]:
        """Per source and path how often an optional field was missing or of another type."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition in range(PARTITIONS):
                pipe.hgetall(key(partition, "soft_drift"))
            rows = await pipe.execute()
        found: dict[str, dict[str, int]] = {}
        for row in rows:
            for name, count in row.items():
                source, _, path = name.decode().partition(" ")
                found.setdefault(source, {})[path] = int(count)
        return found
