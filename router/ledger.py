"""The ledger: everything that touches Redis, and the truth. All keys can be read here; only arq's are not ours.

Key (after ``ats:{pNN}:``)  type    what
receipt:ID                  hash    record, body, waiting (facts in intake), events (ids). Its being there is how
                                    duplicates are seen: purge leaves ``gone`` while the vendor may still send again
receipts                    zset    receipt ids by time of acceptance, ms
event:ID                    hash    body (JSON), routes, receipt, open (deliveries that are not terminal), and a record
                                    per delivery under d:SUFFIX; purged with its receipt
state:SUBJECT               string  the application state; ends a year after its last change
lane:LANE                   zset    subjects by when to look next, ms
heads:LANE                  hash    subject -> first item of its line
leases:LANE                 hash    subject -> fencing token of who works on it
line:LANE:SUBJECT           list    what waits behind the head
tokens                      string  the last fencing token
counts                      hash    "SOURCE WHAT" -> how often
and ``ats:meta``            hash    schema_version, partitions

LANE is ``intake`` or ``sink:NAME``. An intake item is a packed `WaitingFact`, a sink's item is a delivery id. NN is the
partition, a hash tag: one script call touches one partition only, so the same code runs on a cluster.
"""

import json
import time
from collections.abc import Awaitable, Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from router import codec
from router.connection import ServerProblem, check_version
from router.identity import PARTITIONS, event_of, partition_in
from router.records import (
    ApplicationState,
    Backlog,
    Claim,
    DeliveryRecord,
    NewReceipt,
    ReceiptRecord,
    Routed,
    Settled,
    StoredEvent,
    StoredReceipt,
)

SCHEMA_VERSION = 1
LEASE_SECONDS = 6.0
FURTHEST_SECONDS = 8 * 86400.0
"""No lease, back-off or Retry-After is longer; a score further ahead means that the server's clock was set back."""

DUPLICATES_KNOWN_SECONDS = 10 * 86400.0
"""Longer than any vendor sends the same webhook again."""

BATCH = 16
"""Items of one script call: 16 keep the server busy for about a millisecond, 64 for six."""

_PURGE_PUT_OFF_SECONDS = 3600.0
INTAKE = "intake"


def sink_lane(sink: str) -> str:
    return f"sink:{sink}"


def _key(partition: int, name: str) -> str:
    return f"ats:{{p{partition:02d}}}:{name}"


class Ledger:
    """One Redis or Valkey server, spoken to in batches."""

    def __init__(self, redis: Redis, *, state_life: float = 365 * 86400.0) -> None:
        self._redis = redis
        self._state_life = state_life
        self._scripts = {name: redis.register_script(source) for name, source in _sources().items()}

    async def open(self) -> None:
        """Check that this server and this ledger can be used.

        Raises:
            ServerProblem: the server is away or too old, or another version of ats-router laid the ledger out.
        """
        await check_version(self._redis)
        for name, ours in (("schema_version", SCHEMA_VERSION), ("partitions", PARTITIONS)):
            theirs = await self._meta(name)
            if theirs is None:  # asked first: a full server refuses every write
                await cast("Awaitable[int]", self._redis.hsetnx("ats:meta", name, str(ours)))
                theirs = await self._meta(name)
            if theirs != str(ours).encode():
                raise ServerProblem(f"this ledger has {name} {theirs!r}, this version of ats-router needs {ours}")

    async def _meta(self, name: str) -> bytes | None:
        return await cast("Awaitable[bytes | None]", self._redis.hget("ats:meta", name))

    async def close(self) -> None:
        await self._redis.aclose(close_connection_pool=True)

    # --- receive ------------------------------------------------------------------------------------------------

    async def accept(self, partition: int, receipts: Sequence[NewReceipt]) -> list[bool | RedisError]:
        """Keep receipts of one partition; True for each that is new, False for a duplicate, an error where it failed.

        Raises:
            RedisError: nothing is known of any of them; the vendor has to send again.
        """
        keys = [_key(partition, name) for name in (f"lane:{INTAKE}", f"heads:{INTAKE}", "receipts", "counts")]
        args: list[str | bytes | int] = [len(receipts)]
        for receipt in receipts:
            record = receipt.record
            packed = codec.pack(record.model_dump_json(exclude_defaults=True).encode())
            keys.append(_key(partition, f"receipt:{receipt.id}"))
            args += [
                receipt.id,
                packed,
                codec.pack(receipt.body),
                record.source,
                record.disposition,
                len(receipt.facts),
            ]
            for subject, item in receipt.facts:
                keys.append(_key(partition, f"line:{INTAKE}:{subject}"))
                args += [subject, item]
        answers = cast("list[int | RedisError]", await self._scripts["accept"](keys, args))
        return [answer if isinstance(answer, RedisError) else bool(answer) for answer in answers]

    # --- lanes --------------------------------------------------------------------------------------------------

    async def due_in(self, lane: str) -> list[float | None]:
        """Per partition: seconds until its first subject is due (negative: since when), None where none waits."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition in range(PARTITIONS):
                pipe.zrange(_key(partition, f"lane:{lane}"), 0, 0, withscores=True)
            pipe.time()
            *firsts, (seconds, microseconds) = await pipe.execute()
        now = seconds + microseconds / 1e6
        ahead = [first[0][1] / 1000 - now if first else None for first in firsts]
        return [0.0 if seconds is not None and seconds > FURTHEST_SECONDS else seconds for seconds in ahead]

    async def claim(self, lane: str, partition: int, most: int) -> tuple[float | None, list[Claim]]:
        """Lease up to ``most`` due subjects; also seconds until the partition's next one is due, None: none waits."""
        deadline = time.monotonic() + LEASE_SECONDS
        keys = [_key(partition, name) for name in (f"lane:{lane}", f"heads:{lane}", f"leases:{lane}", "tokens")]
        args = [most, round(LEASE_SECONDS * 1000), round(FURTHEST_SECONDS * 1000)]
        next_due, *rows = cast(list[Any], await self._scripts["claim"](keys, args))
        claims = [
            Claim(partition, rows[i].decode(), rows[i + 1], rows[i + 2], bool(rows[i + 3]), deadline)
            for i in range(0, len(rows), 4)
        ]
        return (None if next_due < 0 else next_due / 1000), claims

    async def renew(self, lane: str, partition: int, claims: Sequence[Claim]) -> tuple[float, list[bool]]:
        """Extend leases; the new deadline on the monotonic clock, and per claim whether it still holds."""
        deadline = time.monotonic() + LEASE_SECONDS
        keys = [_key(partition, f"lane:{lane}"), _key(partition, f"leases:{lane}")]
        args: list[str | bytes | int] = [round(LEASE_SECONDS * 1000)]
        for claim in claims:
            args += [claim.subject, claim.token]
        return deadline, [bool(held) for held in cast(list[int], await self._scripts["renew"](keys, args))]

    async def load_states(self, partition: int, subjects: Iterable[str]) -> list[ApplicationState]:
        """The application states of some subjects; an empty one where nothing is known."""
        blobs = await self._redis.mget([_key(partition, f"state:{subject}") for subject in subjects])
        return [
            ApplicationState.model_validate_json(codec.unpack(blob)) if blob is not None else ApplicationState()
            for blob in blobs
        ]

    async def load_deliveries(
        self, partition: int, deliveries: Iterable[str]
    ) -> list[tuple[bytes, DeliveryRecord] | None]:
        """The event's body and the record of some deliveries; None where there is no such delivery any more."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for delivery in deliveries:
                pipe.hmget(_key(partition, f"event:{event_of(delivery)}"), ["body", _field(delivery)])
            rows = await pipe.execute()
        return [
            (codec.unpack(body), DeliveryRecord.model_validate_json(codec.unpack(record))) if body and record else None
            for body, record in rows
        ]

    async def commit(self, partition: int, batch: Sequence[Routed]) -> list[int]:
        """Store what intake made of claimed facts. Per fact 0: lease lost, 1: done, 2: done and the next one is due."""
        keys = [_key(partition, name) for name in (f"lane:{INTAKE}", f"heads:{INTAKE}", f"leases:{INTAKE}", "counts")]
        args: list[str | bytes | int] = [len(batch)]
        for routed in batch:
            subject = routed.claim.subject
            keys += [
                _key(partition, name)
                for name in (f"line:{INTAKE}:{subject}", f"state:{subject}", f"receipt:{routed.receipt}")
            ]
            state = codec.pack(routed.state.model_dump_json(exclude_defaults=True).encode())
            args += [subject, routed.claim.token, state, round(self._state_life * 1000), routed.source]
            args.append(len(routed.events))
            for event in routed.events:
                keys.append(_key(partition, f"event:{event.id}"))
                args += [event.id, event.type, codec.pack(event.body), json.dumps(event.routes), len(event.deliveries)]
                for delivery in event.deliveries:
                    args += [delivery.id, _field(delivery.id), _packed(delivery.record), delivery.subject or ""]
                    if delivery.subject is not None:
                        lane = sink_lane(delivery.record.sink)
                        keys += [
                            _key(partition, name)
                            for name in (f"lane:{lane}", f"heads:{lane}", f"line:{lane}:{delivery.subject}")
                        ]
        return cast(list[int], await self._scripts["commit"](keys, args))

    async def settle(self, lane: str, partition: int, batch: Sequence[Settled]) -> list[int]:
        """Store how claimed deliveries went. Per delivery 0: lease lost, 1: done, 2: done and the next one is due."""
        keys = [_key(partition, f"{part}:{lane}") for part in ("lane", "heads", "leases")]
        args: list[str | bytes | int] = [len(batch)]
        for settled in batch:
            subject = settled.claim.subject
            keys.append(_key(partition, f"line:{lane}:{subject}"))
            keys.append(_key(partition, f"event:{event_of(settled.delivery)}"))
            wait = -1 if settled.wait is None else round(settled.wait * 1000)
            args += [subject, settled.claim.token, _field(settled.delivery), _packed(settled.record), wait]
        return cast(list[int], await self._scripts["settle"](keys, args))

    # --- keep house ---------------------------------------------------------------------------------------------

    async def purge(self, partition: int, *, older_than: float, most: int = 100) -> int:
        """Forget up to ``most`` receipts (with events and deliveries) that are older than so many seconds.

        Returns how many were looked at; as long as it is ``most``, there may be more.
        """
        seconds, _ = await self._redis.time()
        index = _key(partition, "receipts")
        ids = await self._redis.zrangebyscore(index, "-inf", (seconds - older_than) * 1000, start=0, num=most)
        if not ids:
            return 0
        async with self._redis.pipeline(transaction=False) as pipe:
            for receipt in ids:
                pipe.hget(_key(partition, f"receipt:{receipt.decode()}"), "events")
            lists = await pipe.execute()
        remember = max(0, round((DUPLICATES_KNOWN_SECONDS - older_than) * 1000))
        put_off = round((_PURGE_PUT_OFF_SECONDS - older_than) * 1000)  # that old it will be looked at again
        for receipt, events in zip(ids, lists, strict=True):
            keys = [index, _key(partition, f"receipt:{receipt.decode()}")]
            keys += [_key(partition, f"event:{event}") for event in (events or b"").decode().split()]
            args = [receipt, events or b"", remember, put_off]
            await self._scripts["purge"](keys, args)
        return len(ids)

    async def backlog(self, lane: str) -> Backlog:
        """What waits in a lane, over all partitions."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition in range(PARTITIONS):
                pipe.zcard(_key(partition, f"lane:{lane}"))
                pipe.hlen(_key(partition, f"leases:{lane}"))
            sizes = await pipe.execute()
        due = [-seconds for seconds in await self.due_in(lane) if seconds is not None]
        return Backlog(sum(sizes[::2]), sum(sizes[1::2]), max([0.0, *due]))

    async def counts(self) -> dict[tuple[str, str], int]:
        """How often what happened, by (source, what): dispositions, ``duplicate``, ``unchanged`` and event types."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition in range(PARTITIONS):
                pipe.hgetall(_key(partition, "counts"))
            answers = await pipe.execute()
        totals: dict[tuple[str, str], int] = {}
        for answer in answers:
            for field, count in answer.items():
                source, _, what = field.decode().rpartition(" ")
                totals[source, what] = totals.get((source, what), 0) + int(count)
        return totals

    async def memory_used(self) -> float:
        """The share of the server's memory limit that is used, 0 to 1; 0 where it has no limit."""
        info: dict[str, Any] = await self._redis.info("memory")
        limit = int(info.get("maxmemory", 0))
        return int(info["used_memory"]) / limit if limit else 0.0

    # --- read ---------------------------------------------------------------------------------------------------

    async def read_receipt(self, receipt: str) -> StoredReceipt | None:
        """A receipt with the ids of its events so far; None where it is unknown or already purged."""
        fields = await self._hash(_key(partition_in(receipt), f"receipt:{receipt}"))
        if b"record" not in fields:
            return None
        return StoredReceipt(
            ReceiptRecord.model_validate_json(codec.unpack(fields[b"record"])),
            codec.unpack(fields[b"body"]),
            int(fields[b"waiting"]),
            fields.get(b"events", b"").decode().split(),
        )

    async def read_event(self, event: str) -> StoredEvent | None:
        """An event with its deliveries as they stand now; None where it is unknown or already purged."""
        fields = await self._hash(_key(partition_in(event), f"event:{event}"))
        if not fields:
            return None
        deliveries = {
            f"dlv_{event[4:]}_{field[2:].decode()}": DeliveryRecord.model_validate_json(codec.unpack(record))
            for field, record in fields.items()
            if field.startswith(b"d:")
        }
        receipt = fields[b"receipt"].decode().rpartition(":")[2]
        return StoredEvent(receipt, codec.unpack(fields[b"body"]), json.loads(fields[b"routes"]), deliveries)

    async def _hash(self, key: str) -> dict[bytes, bytes]:
        return await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(key))

    async def being_sent(self, lane: str, subject: str, delivery: str) -> bool:
        """Whether a worker holds a lease on this very delivery."""
        partition = partition_in(delivery)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(_key(partition, f"heads:{lane}"), subject)
            pipe.hexists(_key(partition, f"leases:{lane}"), subject)
            head, leased = await pipe.execute()
        return bool(leased) and head == delivery.encode()


def _field(delivery: str) -> str:
    return f"d:{delivery.rpartition('_')[2]}"


def _packed(record: DeliveryRecord) -> bytes:
    return codec.pack(record.model_dump_json(exclude_defaults=True).encode())


@cache
def _sources() -> dict[str, str]:
    """Every script with the prelude behind its first line, which must stay the first."""
    folder = resources.files("router") / "lua"
    prelude = (folder / "prelude.lua").read_text()
    sources = {}
    for name in ("accept", "claim", "renew", "commit", "settle", "purge"):
        flags, _, body = (folder / f"{name}.lua").read_text().partition("\n")
        sources[name] = f"{flags}\n{prelude}\n{body}"
    return sources
