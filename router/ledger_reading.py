"""What only looks into the ledger: single things by their ids, and lists by the indexes."""

import asyncio
import heapq
import itertools
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any, cast

from redis.asyncio import Redis

from router import codec
from router.connection import on_each_primary
from router.identity import PARTITIONS, event_of, partition_in
from router.ledger_keys import SINKS, WORKERS, field, key
from router.records import (
    DeliveryRecord,
    Listed,
    ListedDelivery,
    ReceiptRecord,
    StoredEvent,
    StoredReceipt,
)

_CHUNK = 1000
"""Commands of one pipeline."""


def receipt_record(packed: bytes) -> ReceiptRecord:
    return ReceiptRecord.model_validate_json(codec.unpack(packed))


def _delivery_record(packed: bytes) -> DeliveryRecord:
    return DeliveryRecord.model_validate_json(codec.unpack(packed))


class LedgerReader:
    """The reading half of the ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts = {name: redis.register_script(source) for name, source in _sources().items()}

    # --- by id --------------------------------------------------------------------------------------------------

    async def read_receipt(self, receipt: str) -> StoredReceipt | None:
        """A receipt with the ids of its events so far; None where it is unknown or already purged."""
        fields = await self._hash(key(partition_in(receipt), f"receipt:{receipt}"))
        if b"record" not in fields:
            return None
        return StoredReceipt(
            receipt_record(fields[b"record"]),
            codec.unpack(fields[b"body"]),
            int(fields[b"waiting"]),
            fields.get(b"events", b"").decode().split(),
            fields[b"record"],
        )

    async def read_receipt_records(self, receipts: Sequence[str]) -> list[ReceiptRecord | None]:
        """The records without the bodies; None where one is unknown or already purged."""
        rows = await self._each("hget", [(key(partition_in(one), f"receipt:{one}"), "record") for one in receipts])
        return [receipt_record(row) if row else None for row in rows]

    async def read_event(self, event: str) -> StoredEvent | None:
        """An event with its deliveries as they stand now; None where it is unknown or already purged."""
        return (await self.read_events([event]))[event]

    async def read_events(self, events: Iterable[str]) -> dict[str, StoredEvent | None]:
        """Several events by their ids, as `read_event` reads one."""
        ids = list(dict.fromkeys(events))
        rows = await self._each("hgetall", [(key(partition_in(event), f"event:{event}"),) for event in ids])
        return {event: _stored_event(event, row) if row else None for event, row in zip(ids, rows, strict=True)}

    async def read_bodies(self, events: Sequence[str]) -> list[bytes | None]:
        """Only the events themselves, as JSON; None where one is unknown or already purged."""
        rows = await self._each("hget", [(key(partition_in(event), f"event:{event}"), "body") for event in events])
        return [codec.unpack(row) if row else None for row in rows]

    async def being_sent(self, lane: str, subject: str, delivery: str) -> bool:
        """Whether a worker holds a lease on this very delivery."""
        partition = partition_in(delivery)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(key(partition, f"heads:{lane}"), subject)
            pipe.hexists(key(partition, f"leases:{lane}"), subject)
            head, leased = await pipe.execute()
        return bool(leased) and head == delivery.encode()

    # --- by index -----------------------------------------------------------------------------------------------

    async def listed(
        self,
        indexes: Iterable[str],
        most: int,
        *,
        since: float | None = None,
        until: float | None = None,
        oldest: bool = False,
    ) -> list[Listed]:
        """The newest entries of these indexes, over all partitions, newest first; each id once, by its newest entry.

        ``since`` and ``until`` are in unix seconds, both included. ``oldest``: the other end, oldest first.
        """
        ends = _scores(since, until)
        names = [key(partition, name) for name in indexes for partition in range(PARTITIONS)]
        ranges = [(name, *(ends if oldest else ends[::-1])) for name in names]
        options = {"desc": not oldest, "byscore": True, "offset": 0, "num": most, "withscores": True}
        found: dict[bytes, float] = {}
        for row in await self._each("zrange", ranges, **options):
            for identifier, score in row:
                found[identifier] = max(score, found.get(identifier, 0.0))
        from_the_end = heapq.nsmallest if oldest else heapq.nlargest
        entries = from_the_end(most, found.items(), key=lambda entry: (entry[1], entry[0]))
        return [Listed(identifier.decode(), score / 1000) for identifier, score in entries]

    async def accepted(self, since: float, until: float, most: int) -> list[Listed]:
        """The oldest receipts that were accepted between two times, both included, oldest first; those of one
        millisecond are not torn apart, so they may be more than ``most``."""
        first, last = _scores(since, until)
        names, options = _everywhere("receipts"), {"byscore": True, "withscores": True}
        rows = await self._each("zrange", [(name, first, last) for name in names], offset=0, num=most, **options)
        scores = sorted(score for row in rows for _, score in row)
        if len(scores) >= most:
            rows = await self._each("zrange", [(name, first, scores[most - 1]) for name in names], **options)
        entries = sorted((score, identifier) for row in rows for identifier, score in row)
        return [Listed(identifier.decode(), score / 1000) for score, identifier in entries]

    async def due(self, lane: str) -> int:
        """How many subjects of a lane are due."""
        now = f"{await self.time() * 1000:.0f}"
        names = _everywhere(f"lane:{lane}")
        return sum(await self._each("zcount", [(name, "-inf", now) for name in names]))

    async def events_of(self, receipts: Sequence[str]) -> list[str]:
        """The ids of all events of some receipts, in their order."""
        rows = await self._each("hget", [(key(partition_in(one), f"receipt:{one}"), "events") for one in receipts])
        return [event for row in rows for event in (row or b"").decode().split()]

    async def oldest(self, index: str) -> float | None:
        """When the oldest entry of an index came in, in unix seconds; None where it is empty."""
        rows = await self._each("zrange", [(name, 0, 0) for name in _everywhere(index)], withscores=True)
        scores = [score / 1000 for row in rows for _, score in row]
        return min(scores, default=None)

    async def how_many(self, index: str, *, since: float | None = None, until: float | None = None) -> int:
        """The entries of an index; ``since`` and ``until`` as in `listed`."""
        if since is None and until is None:
            return sum(await self._each("zcard", [(name,) for name in _everywhere(index)]))
        first, last = _scores(since, until)
        return sum(await self._each("zcount", [(name, first, last) for name in _everywhere(index)]))

    async def read_listed(
        self,
        entries: Iterable[Listed],
        fits: Callable[[Sequence[str]], bool] = lambda _indexes: True,
        holding: bytes = b"",
    ) -> list[ListedDelivery]:
        """The deliveries of some entries whose events' indexes fit, newest first, without those purged meanwhile; only
        those whose records, as JSON in small letters, have ``holding`` in them.

        One command per partition, so at most about 1000 entries: that keeps the server busy for some milliseconds.
        """
        by_partition: dict[int, list[Listed]] = defaultdict(list)
        for entry in entries:
            by_partition[partition_in(entry.id)].append(entry)
        found = await asyncio.gather(*(self._read_listed(*some, fits, holding) for some in by_partition.items()))
        return sorted(itertools.chain(*found), key=lambda delivery: (delivery.at, delivery.id), reverse=True)

    async def _read_listed(
        self, partition: int, entries: Sequence[Listed], fits: Callable[[Sequence[str]], bool], holding: bytes
    ) -> list[ListedDelivery]:
        keys = [key(partition, f"event:{event_of(entry.id)}") for entry in entries]
        args = ["index", *(field(entry.id) for entry in entries)]
        answer = cast("list[bytes | None]", await self._scripts["read"](keys, args))
        return [
            ListedDelivery(entry.id, entry.at, DeliveryRecord.model_validate_json(record))
            for entry, packed, indexes in zip(entries, answer[::2], answer[1::2], strict=True)
            if packed
            and fits((indexes or b"").decode().splitlines())
            and holding in (record := codec.unpack(packed)).lower()
        ]

    # --- as a whole ---------------------------------------------------------------------------------------------

    async def counts(self) -> dict[tuple[str, str], int]:
        """How often what happened, by (source, what): dispositions, ``duplicate``, ``unchanged`` and event types."""
        totals: dict[tuple[str, str], int] = {}
        for answer in await self._each("hgetall", [(name,) for name in _everywhere("counts")]):
            for pair, count in answer.items():
                source, _, what = pair.decode().rpartition(" ")
                totals[source, what] = totals.get((source, what), 0) + int(count)
        return totals

    async def last_seen(self) -> dict[str, float]:
        """When the last receipt of each source was kept, in unix seconds."""
        return await self._last("seen")

    async def last_recovered(self) -> dict[str, float]:
        """When an event of each source came about last that only polling told, in unix seconds."""
        return await self._last("recovered")

    async def _last(self, name: str) -> dict[str, float]:
        """Times by source, the latest over all partitions."""
        last: dict[str, float] = {}
        for answer in await self._each("hgetall", [(name,) for name in _everywhere(name)]):
            for source, at in answer.items():
                last[source.decode()] = max(int(at) / 1000, last.get(source.decode(), 0.0))
        return last

    async def time(self) -> float:
        """The server's, in unix seconds."""
        seconds, microseconds = await self._redis.time()
        return float(seconds + microseconds / 1e6)

    async def workers(self, *, within: float) -> int:
        """How many workers showed themselves in the last seconds."""
        seconds, _ = await self._redis.time()
        return int(await self._redis.zcount(WORKERS, (seconds - within) * 1000, "+inf"))

    async def sinks(self) -> list[str]:
        """The names of all sinks that ever were a worker's, also of those that are no longer configured."""
        names = await cast("Awaitable[set[bytes]]", self._redis.smembers(SINKS))
        return sorted(name.decode() for name in names)

    async def memory(self) -> tuple[int, int]:
        """The bytes that the server uses, and its limit; 0 where it has none. Of a cluster, those of the fullest."""
        infos = await on_each_primary(self._redis, "INFO", "memory")
        sizes = [(int(info["used_memory"]), int(info.get("maxmemory", 0))) for info in infos]
        return max(sizes, key=lambda size: size[0] / size[1] if size[1] else 0.0)

    async def memory_used(self) -> float:
        """The share of the server's memory limit that is used, 0 to 1; 0 where it has no limit."""
        used, limit = await self.memory()
        return used / limit if limit else 0.0

    async def _each(self, command: str, arguments: Sequence[tuple[Any, ...]], **options: Any) -> list[Any]:
        """The answers to one command with different arguments, a pipeline at a time."""
        answers: list[Any] = []
        for i in range(0, len(arguments), _CHUNK):
            async with self._redis.pipeline(transaction=False) as pipe:
                for some in arguments[i : i + _CHUNK]:
                    getattr(pipe, command)(*some, **options)
                answers += await pipe.execute()
        return answers

    async def _hash(self, name: str) -> dict[bytes, bytes]:
        return await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(name))


def _stored_event(event: str, fields: dict[bytes, bytes]) -> StoredEvent:
    deliveries = {
        f"dlv_{event[4:]}_{name[2:].decode()}": _delivery_record(record)
        for name, record in fields.items()
        if name.startswith(b"d:")
    }
    receipt = fields[b"receipt"].decode().rpartition(":")[2]
    routes = json.loads(fields[b"routes"])
    indexes = fields.get(b"index", b"").decode().splitlines()
    rules = fields.get(b"rules", b"").decode()
    return StoredEvent(receipt, codec.unpack(fields[b"body"]), routes, deliveries, indexes, rules)


def _scores(since: float | None, until: float | None) -> tuple[str, str]:
    """The lowest and the highest score between two times."""
    return (
        "-inf" if since is None else f"{since * 1000:.0f}",
        "+inf" if until is None else f"{until * 1000:.0f}",
    )


def _everywhere(name: str) -> list[str]:
    return [key(partition, name) for partition in range(PARTITIONS)]


_SCRIPTS = (
    "accept",
    "claim",
    "renew",
    "commit",
    "settle",
    "purge",
    "put_back",
    "conclude",
    "add",
    "put_off",
    "replay",
    "read",
    "note_rules",
    "admit",
    "trip",
    "works",
    "slow",
    "pace",
)


@cache
def _sources() -> dict[str, str]:
    """Every script with the prelude behind its first line, which must stay the first."""
    folder = resources.files("router") / "lua"
    prelude = (folder / "prelude.lua").read_text()
    sources = {}
    for name in _SCRIPTS:
        flags, _, body = (folder / f"{name}.lua").read_text().partition("\n")
        sources[name] = f"{flags}\n{prelude}\n{body}"
    return sources
