"""What the ledger keeps of polling: how far it came, who polls, and how each application was seen lastly."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.lock import Lock

from router.identity import partition_of
from router.ledger_keys import key, poll_key
from router.records import Mark
from router.schema import Stage
from router.sightings import BUCKETS, bucket_of
from router.source_records import Backfill, PollState

POLLER_SECONDS = 10.0
"""Who polls a source shows itself within this time, or another one takes over."""

_CHUNK = 64


class PollsLedger:
    """The part of the ledger that is about polling. ``account`` is the one that the source's facts carry."""

    _redis: Redis
    state_life: float

    async def read_poll(self, source: str) -> PollState:
        packed = await cast("Awaitable[bytes | None]", self._redis.get(poll_key(source, "state")))
        return PollState.model_validate_json(packed) if packed else PollState()

    async def keep_poll(self, source: str, state: PollState) -> None:
        await self._redis.set(poll_key(source, "state"), state.model_dump_json(exclude_defaults=True))

    def poller(self, source: str) -> Lock:
        """What only one poller of a source holds at a time."""
        return self._redis.lock(poll_key(source, "poller"), timeout=POLLER_SECONDS, blocking=False)

    async def ask_to_poll(self, source: str) -> None:
        """A webhook said that something changed: the next look polls, whatever the schedule says."""
        await self._redis.set(poll_key(source, "asked"), "1")

    async def read_polls(self, sources: Sequence[str]) -> dict[str, tuple[PollState, bool]]:
        """As `read_poll`, of several, with whether a webhook asked for it."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for source in sources:
                pipe.get(poll_key(source, "state"))
                pipe.exists(poll_key(source, "asked"))
            rows = await pipe.execute()
        states = [PollState.model_validate_json(packed) if packed else PollState() for packed in rows[::2]]
        return dict(zip(sources, zip(states, map(bool, rows[1::2]), strict=True), strict=True))

    async def forget_asking(self, source: str) -> None:
        await self._redis.delete(poll_key(source, "asked"))

    async def read_backfill(self, source: str) -> Backfill | None:
        """The one that did not come to its end."""
        packed = await cast("Awaitable[bytes | None]", self._redis.get(poll_key(source, "backfill")))
        return Backfill.model_validate_json(packed) if packed else None

    async def keep_backfill(self, source: str, backfill: Backfill) -> None:
        await self._redis.set(poll_key(source, "backfill"), backfill.model_dump_json())

    async def forget_backfill(self, source: str) -> None:
        await self._redis.delete(poll_key(source, "backfill"))

    async def stages_of(self, source: str, account: str | None) -> list[Stage]:
        """The stages that entries name by their number, from 1."""
        name = key(partition_of(source, account), f"polled:{source}:stages")
        rows = await cast("Awaitable[list[bytes]]", self._redis.lrange(name, 0, -1))
        return [Stage.model_validate_json(row) for row in rows]

    async def add_stages(self, source: str, account: str | None, stages: Sequence[Stage]) -> int:
        """The number of the last of these new ones; those before it have the numbers before."""
        name = key(partition_of(source, account), f"polled:{source}:stages")
        packed = [stage.model_dump_json(exclude_defaults=True) for stage in stages]
        return await cast("Awaitable[int]", self._redis.rpush(name, *packed))

    async def read_seen(self, source: str, account: str | None, subjects: Sequence[str]) -> dict[str, bytes]:
        """The entries of those that were seen before."""
        partition = partition_of(source, account)
        by_bucket: dict[str, list[str]] = defaultdict(list)
        for subject in dict.fromkeys(subjects):
            by_bucket[bucket_of(source, subject)].append(subject)
        async with self._redis.pipeline(transaction=False) as pipe:
            for bucket, some in by_bucket.items():
                pipe.hmget(key(partition, bucket), some)
            rows = await pipe.execute()
        pairs = (zip(some, row, strict=True) for some, row in zip(by_bucket.values(), rows, strict=True))
        return {subject: entry for row in pairs for subject, entry in row if entry is not None}

    async def keep_seen(self, source: str, account: str | None, marks: Sequence[Mark]) -> None:
        """Remember how rows were seen of which nothing is to be told."""
        partition = partition_of(source, account)
        by_bucket: dict[str, dict[str, bytes]] = defaultdict(dict)
        for mark in marks:
            by_bucket[mark.bucket][mark.subject] = mark.value
        async with self._redis.pipeline(transaction=False) as pipe:
            for bucket, entries in by_bucket.items():
                pipe.hset(key(partition, bucket), mapping=entries)
            await pipe.execute()

    async def keep_alive(self, source: str, account: str | None) -> None:
        """What was seen ends as long after this as application states do: of a source that is gone nothing is left."""
        partition, seconds = partition_of(source, account), round(self.state_life)
        names = [*map(str, range(BUCKETS)), "stages"]
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.expire(key(partition, f"polled:{source}:{name}"), seconds)
            await pipe.execute()

    async def all_seen(self, source: str, account: str | None) -> AsyncIterator[Mapping[str, bytes]]:
        """Every entry, some hashes at a time."""
        partition = partition_of(source, account)
        for first in range(0, BUCKETS, _CHUNK):
            async with self._redis.pipeline(transaction=False) as pipe:
                for number in range(first, min(first + _CHUNK, BUCKETS)):
                    pipe.hgetall(key(partition, f"polled:{source}:{number}"))
                rows = await pipe.execute()
            yield {subject.decode(): entry for row in rows for subject, entry in row.items()}
