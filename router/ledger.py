"""The ledger: everything that touches Redis, and the truth. All keys can be read here; only arq's are not ours.

This is what changes it; what only looks is in `ledger_reading`, what is about sources in `ledger_sources`, about
polling in `ledger_polls`, about the configuration in `ledger_rules`, about failing sinks in `ledger_gates`, what a
person mends in `ledger_mending`, the form of keys in `ledger_keys`.

Key (after ``ats:{pNN}:``)  type    what
receipt:ID                  hash    record, body, waiting (facts in intake), events (ids). Its being there is how
                                    duplicates are seen: purge leaves ``gone`` while the vendor may still send again
receipts                    zset    receipt ids by time of acceptance, ms
event:ID                    hash    body (JSON), routes, rules (the hash of those that routed it), receipt, open
                                    (deliveries that are not terminal), index (the names of the indexes it is in), and
                                    a record per delivery under d:SUFFIX, what a sink rendered of it under b:SUFFIX;
                                    purged with its receipt
state:SUBJECT               string  the application state; ends a year after its last change
lane:LANE                   zset    subjects by when to look next, ms
heads:LANE                  hash    subject -> first item of its line
leases:LANE                 hash    subject -> fencing token of who works on it
line:LANE:SUBJECT           list    what waits behind the head
tokens                      string  the last fencing token
counts                      hash    "SOURCE WHAT" -> how often
seen                        hash    SOURCE -> when its last receipt was kept, ms
events:SOURCE TYPE          zset    event ids by time of commit, ms; so are the other indexes. Purge trims them all
about:HASH                  zset    event ids of one application or candidate
deliveries:SINK STATE       zset    delivery ids by when they came into this state. What failed and waits for its next
                                    attempt is in "pending" by its commit, and in "retrying" by its last attempt
drift:SOURCE                zset    ids of receipts that are drift, by time of acceptance
soft_drift                  hash    "SOURCE PATH" -> how often an optional field was missing or odd
polled:SOURCE:N             hash    subject -> how polling saw it lastly, see `sightings`; ends as states do
polled:SOURCE:stages        list    the stages that those name by number, as JSON
recovered                   hash    SOURCE -> when an event came about last that only polling told, ms
and ``ats:hooks``           hash    "SOURCE ID" -> a registration at a vendor, as JSON, with its secret
and ``ats:vendor_apis``     hash    SOURCE -> how its vendor's API answers, as JSON
and ``ats:silences``        hash    SOURCE -> how long its webhooks usually keep silent, as JSON
and ``ats:workers``         zset    ids of workers by when they last showed themselves, ms
and ``ats:sinks``           set     names of all sinks that ever were a worker's
and ``ats:replays``         hash    id -> a replay that has not come to its end, as JSON
and ``ats:config``          hash    process -> what of its changed configuration it does not use, as JSON
and ``ats:{rules}:log``     list    "HASH JSON" of rules that were in use, the newest first
and ``ats:{rules}:editions`` hash   HASH -> the rules, as long as they are in the log
and ``ats:{poll:SOURCE}:state`` string how far polling came, as JSON; ``:poller`` who polls; ``:asked`` is there where a
                                    webhook asked for it; ``:backfill`` one that broke off
and ``ats:{sink:NAME}:gate`` hash   state, since, reason, failures, probe_at of a sink that fails; interval, slowed_at
                                    of one that gets too much; free_at: when its rate allows the next attempt, ms
and ``ats:{sink:NAME}:pace:T`` hash free_at, back_at: when target T may be tried, and who came too early come back, ms
and ``ats:meta``            hash    schema_version, partitions

LANE is ``intake`` or ``sink:NAME``. An intake item is a packed `WaitingFact`, a sink's item is a delivery id. NN is the
partition, a hash tag: one script call touches one partition only, so the same code runs on a cluster.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from router import codec
from router.connection import ServerProblem, check_version, clocks, close
from router.durability import Durability, call_on_replicas, replicas_of, shortfall
from router.identity import PARTITIONS, event_of, partition_in
from router.ledger_gates import GatesLedger
from router.ledger_keys import (
    INTAKE,
    LISTINGS,
    RETRYING,
    SINKS,
    WORKERS,
    about_index,
    deliveries_index,
    drift_index,
    events_index,
    field,
    frozen_field,
    key,
    packed,
    sink_lane,
)
from router.ledger_mending import MendingLedger
from router.ledger_polls import PollsLedger
from router.ledger_reading import LedgerReader, receipt_record
from router.ledger_rules import RulesLedger
from router.ledger_sources import SourcesLedger
from router.records import (
    ApplicationState,
    Backlog,
    Claim,
    DeliveryRecord,
    DeliveryState,
    NewReceipt,
    PutOff,
    Routed,
    Settled,
    StoredDelivery,
)

log = logging.getLogger(__name__)

__all__ = ["INTAKE", "Ledger", "sink_lane"]

SCHEMA_VERSION = 1
LEASE_SECONDS = 6.0
FURTHEST_SECONDS = 8 * 86400.0
"""No lease, back-off or Retry-After is longer; a score further ahead means that the server's clock was set back."""

DUPLICATES_KNOWN_SECONDS = 10 * 86400.0
"""Longer than any vendor sends the same webhook again."""

BATCH = 16
"""Items of one script call: 16 keep the server busy for about a millisecond, 64 for six."""

_PURGE_PUT_OFF_SECONDS = 3600.0


class Ledger(LedgerReader, MendingLedger, SourcesLedger, PollsLedger, RulesLedger, GatesLedger):
    """One Redis or Valkey server, spoken to in batches."""

    def __init__(
        self, redis: Redis, *, state_life: float = 365 * 86400.0, durability: Durability = Durability.MEMORY
    ) -> None:
        super().__init__(redis)
        self.state_life = state_life
        self._durability = durability
        self._replicas = 1

    async def open(self) -> None:
        """Check that this server and this ledger can be used.

        Raises:
            ServerProblem: the server is away or too old, or another version of ats-router laid the ledger out.
        """
        await check_version(self._redis)
        await self.count_replicas()
        if (problem := await shortfall(self._redis, self._durability)) is not None:
            log.warning("the ledger is less durable than redis.durability says: %s", problem)
        for name, ours in (("schema_version", SCHEMA_VERSION), ("partitions", PARTITIONS)):
            theirs = await self._meta(name)
            if theirs is None:  # asked first: a full server refuses every write
                await cast("Awaitable[int]", self._redis.hsetnx("ats:meta", name, str(ours)))
                theirs = await self._meta(name)
            if theirs != str(ours).encode():
                raise ServerProblem(f"this ledger has {name} {theirs!r}, this version of ats-router needs {ours}")

    async def _meta(self, name: str) -> bytes | None:
        return await cast("Awaitable[bytes | None]", self._redis.hget("ats:meta", name))

    async def count_replicas(self) -> None:
        """Where that is asked for, look how many replicas there are: all but one have to get what is accepted."""
        if self._durability is Durability.REPLICATED:
            self._replicas = max(1, await replicas_of(self._redis) - 1)

    async def close(self) -> None:
        await close(self._redis)

    # --- receive ------------------------------------------------------------------------------------------------

    async def accept(self, partition: int, receipts: Sequence[NewReceipt]) -> list[bool | RedisError]:
        """Keep receipts of one partition; True for each that is new, False for a duplicate, an error where it failed.

        Raises:
            RedisError: nothing is known of any of them; the vendor has to send again.
        """
        names = (f"lane:{INTAKE}", f"heads:{INTAKE}", "receipts", "counts", "seen")
        keys = [key(partition, name) for name in names]
        args: list[str | bytes | int] = [len(receipts)]
        for receipt in receipts:
            record = receipt.record
            keys += [key(partition, f"receipt:{receipt.id}"), key(partition, drift_index(record.source))]
            args += [receipt.id, packed(record), codec.pack(receipt.body)]
            args += [record.source, record.disposition, len(receipt.facts)]
            for subject, item in receipt.facts:
                keys.append(key(partition, f"line:{INTAKE}:{subject}"))
                args += [subject, item]
            if receipt.mark is None:
                args += ["", ""]
            else:
                keys.append(key(partition, receipt.mark.bucket))
                args += [receipt.mark.subject, receipt.mark.value]
        if self._durability is Durability.REPLICATED:
            script = self._scripts["accept"]
            answers = await call_on_replicas(self._redis, script, keys, args, replicas=self._replicas)
        else:
            answers = await self._scripts["accept"](keys, args)
        return [answer if isinstance(answer, RedisError) else bool(answer) for answer in answers]

    # --- lanes --------------------------------------------------------------------------------------------------

    async def due_in(self, lane: str) -> list[float | None]:
        """Per partition: seconds until its first subject is due (negative: since when), None where none waits."""
        names = [key(partition, f"lane:{lane}") for partition in range(PARTITIONS)]
        firsts, now = await asyncio.gather(
            self._each("zrange", [(name, 0, 0) for name in names], withscores=True), clocks(self._redis, names)
        )
        ahead = [first[0][1] / 1000 - at if first else None for first, at in zip(firsts, now, strict=True)]
        return [0.0 if seconds is not None and seconds > FURTHEST_SECONDS else seconds for seconds in ahead]

    async def claim(self, lane: str, partition: int, most: int, *, newest: int = 0) -> tuple[float | None, list[Claim]]:
        """Lease up to ``most`` due subjects, so many of them the newest, the rest the oldest; also seconds until the
        partition's next one is due, None: none waits."""
        deadline = time.monotonic() + LEASE_SECONDS
        keys = [key(partition, name) for name in (f"lane:{lane}", f"heads:{lane}", f"leases:{lane}", "tokens")]
        args = [most, newest, round(LEASE_SECONDS * 1000), round(FURTHEST_SECONDS * 1000)]
        next_due, *rows = cast(list[Any], await self._scripts["claim"](keys, args))
        claims = [
            Claim(partition, rows[i].decode(), rows[i + 1], rows[i + 2], bool(rows[i + 3]), deadline)
            for i in range(0, len(rows), 4)
        ]
        return (None if next_due < 0 else next_due / 1000), claims

    async def renew(self, lane: str, partition: int, claims: Sequence[Claim]) -> tuple[float, list[bool]]:
        """Extend leases; the new deadline on the monotonic clock, and per claim whether it still holds."""
        deadline = time.monotonic() + LEASE_SECONDS
        keys = [key(partition, f"lane:{lane}"), key(partition, f"leases:{lane}")]
        args: list[str | bytes | int] = [round(LEASE_SECONDS * 1000)]
        for claim in claims:
            args += [claim.subject, claim.token]
        return deadline, [bool(held) for held in cast(list[int], await self._scripts["renew"](keys, args))]

    async def load_states(self, partition: int, subjects: Iterable[str]) -> list[ApplicationState]:
        """The application states of some subjects; an empty one where nothing is known."""
        blobs = await self._redis.mget([key(partition, f"state:{subject}") for subject in subjects])
        return [
            ApplicationState.model_validate_json(codec.unpack(blob)) if blob is not None else ApplicationState()
            for blob in blobs
        ]

    async def load_deliveries(self, partition: int, deliveries: Iterable[str]) -> list[StoredDelivery | None]:
        """What is known of some deliveries; None where there is no such delivery any more."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for delivery in deliveries:
                fields = ["body", field(delivery), frozen_field(delivery)]
                pipe.hmget(key(partition, f"event:{event_of(delivery)}"), fields)
            rows = await pipe.execute()
        return [
            StoredDelivery(
                codec.unpack(body),
                DeliveryRecord.model_validate_json(codec.unpack(record)),
                codec.unpack(frozen) if frozen else b"",
                record,
            )
            if body and record
            else None
            for body, record, frozen in rows
        ]

    async def freeze(self, delivery: str, body: bytes) -> None:
        """Keep what a sink rendered, before the first attempt: every later one sends the same bytes."""
        event = key(partition_in(delivery), f"event:{event_of(delivery)}")
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(event, mapping={frozen_field(delivery): codec.pack(body)})
            await pipe.execute()

    async def commit(self, partition: int, batch: Sequence[Routed]) -> list[int]:
        """Store what intake made of claimed facts. Per fact 0: lease lost, 1: done, 2: done and the next one is due."""
        keys = [key(partition, name) for name in (f"lane:{INTAKE}", f"heads:{INTAKE}", f"leases:{INTAKE}")]
        keys += [key(partition, name) for name in ("counts", "recovered")]
        args: list[str | bytes | int] = [len(batch)]
        for routed in batch:
            subject = routed.claim.subject
            keys += [
                key(partition, name)
                for name in (f"line:{INTAKE}:{subject}", f"state:{subject}", f"receipt:{routed.receipt}")
            ]
            state = codec.pack(routed.state.model_dump_json(exclude_defaults=True).encode())
            args += [subject, routed.claim.token, state, round(self.state_life * 1000), routed.source]
            args.append(len(routed.events))
            for event in routed.events:
                indexes = [events_index(routed.source, event.type), *map(about_index, event.about)]
                keys += [key(partition, name) for name in (f"event:{event.id}", *indexes)]
                args += [event.id, event.type, codec.pack(event.body), json.dumps(event.routes), routed.rules]
                args.append("1" if event.recovered else "")
                args += ["\n".join(indexes), len(indexes), len(event.deliveries)]
                for delivery in event.deliveries:
                    record = delivery.record
                    keys.append(key(partition, deliveries_index(record.sink, record.state)))
                    args += [delivery.id, field(delivery.id), packed(record), int(record.state.terminal)]
                    args += [frozen_field(delivery.id), codec.pack(delivery.frozen) if delivery.frozen else b""]
                    args.append(delivery.subject or "")
                    if delivery.subject is not None:
                        lane = sink_lane(record.sink)
                        keys += [
                            key(partition, name)
                            for name in (f"lane:{lane}", f"heads:{lane}", f"line:{lane}:{delivery.subject}")
                        ]
        return cast(list[int], await self._scripts["commit"](keys, args))

    async def settle(self, lane: str, partition: int, batch: Sequence[Settled]) -> list[int]:
        """Store how claimed deliveries went. Per delivery 0: lease lost, 1: done, 2: done and the next one is due."""
        keys = [key(partition, f"{part}:{lane}") for part in ("lane", "heads", "leases")]
        sink = lane.removeprefix(sink_lane(""))
        keys += [key(partition, deliveries_index(sink, listing)) for listing in (DeliveryState.PENDING, RETRYING)]
        args: list[str | bytes | int] = [len(batch)]
        for settled in batch:
            subject = settled.claim.subject
            keys.append(key(partition, f"line:{lane}:{subject}"))
            keys.append(key(partition, f"event:{event_of(settled.delivery)}"))
            keys.append(key(partition, deliveries_index(sink, settled.record.state)))
            wait = -1 if settled.wait is None else round(settled.wait * 1000)
            args += [subject, settled.claim.token, settled.delivery, field(settled.delivery), packed(settled.record)]
            args += [wait, int(settled.record.state.terminal)]
        return cast(list[int], await self._scripts["settle"](keys, args))

    async def put_off(self, lane: str, partition: int, batch: Sequence[PutOff]) -> list[int]:
        """Give claims back, to be looked at again after some time. Per claim 0: lease lost, 1: done."""
        keys = [key(partition, f"{part}:{lane}") for part in ("lane", "leases")]
        args: list[str | bytes | int] = []
        for item in batch:
            args += [item.claim.subject, item.claim.token, round(item.wait * 1000)]
        return cast(list[int], await self._scripts["put_off"](keys, args))

    async def backlog(self, lane: str) -> Backlog:
        """What waits in a lane, over all partitions."""
        now = await self.time() * 1000
        async with self._redis.pipeline(transaction=False) as pipe:
            for partition in range(PARTITIONS):
                pipe.zcard(key(partition, f"lane:{lane}"))
                pipe.hlen(key(partition, f"leases:{lane}"))
                pipe.zcount(key(partition, f"lane:{lane}"), "-inf", now)
            sizes = await pipe.execute()
        ages = [-seconds for seconds in await self.due_in(lane) if seconds is not None]
        return Backlog(sum(sizes[::3]), sum(sizes[1::3]), sum(sizes[2::3]), max([0.0, *ages]))

    # --- keep house ---------------------------------------------------------------------------------------------

    async def purge(self, partition: int, *, older_than: float, most: int = 100) -> int:
        """Forget up to ``most`` receipts (with events and deliveries) that are older than so many seconds.

        Returns how many were looked at; as long as it is ``most``, there may be more.
        """
        seconds, _ = await self._redis.time()
        index = key(partition, "receipts")
        ids = await self._redis.zrangebyscore(index, "-inf", (seconds - older_than) * 1000, start=0, num=most)
        if not ids:
            return 0
        names = [receipt.decode() for receipt in ids]
        async with self._redis.pipeline(transaction=False) as pipe:
            for receipt in names:
                pipe.hmget(key(partition, f"receipt:{receipt}"), ["events", "record"])
            rows = await pipe.execute()
        indexes = await self._indexes_of([event for events, _ in rows for event in (events or b"").decode().split()])
        remember = max(0, round((DUPLICATES_KNOWN_SECONDS - older_than) * 1000))
        put_off = round((_PURGE_PUT_OFF_SECONDS - older_than) * 1000)  # that old it will be looked at again
        for receipt, (events, record) in zip(names, rows, strict=True):
            mine = (events or b"").decode().split()
            entries = [entry for event in mine for entry in indexes[event]]
            if record and (source := receipt_record(record).source):
                entries.append((drift_index(source), receipt))
            keys = [index, key(partition, f"receipt:{receipt}"), *(key(partition, f"event:{event}") for event in mine)]
            keys += [key(partition, name) for name, _ in entries]
            args = [receipt, events or b"", remember, put_off, len(mine), *(member for _, member in entries)]
            await self._scripts["purge"](keys, args)
        return len(ids)

    async def _indexes_of(self, events: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Per event the indexes that it and its deliveries may be in, and as what."""
        entries = {}
        for event, stored in (await self.read_events(events)).items():
            entries[event] = [(name, event) for name in stored.indexes] if stored else []
            for delivery, record in stored.deliveries.items() if stored else ():
                entries[event] += [(deliveries_index(record.sink, listing), delivery) for listing in LISTINGS]
        return entries

    async def show_worker(self, worker: str, sinks: Collection[str] = ()) -> None:
        """Say that a worker with these sinks is there; who did not for a minute is forgotten, its sinks are not."""
        seconds, _ = await self._redis.time()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zadd(WORKERS, {worker: seconds * 1000})
            pipe.zremrangebyscore(WORKERS, "-inf", (seconds - 60) * 1000)
            if sinks:
                pipe.sadd(SINKS, *sinks)
            await pipe.execute()

    async def forget_worker(self, worker: str) -> None:
        await self._redis.zrem(WORKERS, worker)
