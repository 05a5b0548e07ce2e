"""What a person changes in the ledger: deliveries to be tried again or not any more, drift that makes sense now."""

from collections.abc import Awaitable, Sequence
from typing import cast

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from router import codec
from router.identity import event_of, partition_in
from router.ledger_keys import (
    INTAKE,
    REPLAYS,
    RETRYING,
    deliveries_index,
    drift_index,
    field,
    frozen_field,
    key,
    packed,
    sink_lane,
)
from router.records import Change, Changed, DeliveryState, NewDelivery, Replay, Replayed


class MendingLedger:
    """The part of the ledger that is about mending by hand."""

    _redis: Redis
    _scripts: dict[str, AsyncScript]

    async def put_back(self, sink: str, partition: int, batch: Sequence[Change]) -> list[Changed]:
        """Let deliveries of one sink be tried again, each unless it changed since it was read."""
        keys = _lane_keys(sink, partition, DeliveryState.PENDING)
        args: list[str | bytes | int] = [len(batch)]
        for item in batch:
            keys += _keys_of(item, sink, partition)
            args += _args_of(item)
        return [Changed(answer) for answer in await self._run("put_back", keys, args)]

    async def conclude(self, sink: str, partition: int, batch: Sequence[Change]) -> list[Changed]:
        """Take deliveries of one sink out of their lines for good, each unless it changed since it was read."""
        keys = _lane_keys(sink, partition, DeliveryState.PENDING, RETRYING)
        args: list[str | bytes | int] = [len(batch)]
        for item in batch:
            keys += [*_keys_of(item, sink, partition), key(partition, deliveries_index(sink, item.record.state))]
            args += _args_of(item)
        return [Changed(answer) for answer in await self._run("conclude", keys, args)]

    async def add(self, sink: str, partition: int, batch: Sequence[NewDelivery]) -> list[bool]:
        """Append further deliveries of stored events to one sink's lane; False where one is there already, or its event
        is gone."""
        lane = sink_lane(sink)
        keys = [key(partition, f"{part}:{lane}") for part in ("lane", "heads")]
        args: list[str | bytes | int] = [len(batch)]
        for item in batch:
            listing = deliveries_index(sink, item.record.state)
            names = (f"line:{lane}:{item.subject or ''}", f"event:{event_of(item.id)}", listing)
            keys += [key(partition, name) for name in names]
            args += [item.subject or "", item.id, field(item.id), packed(item.record)]
            args += [frozen_field(item.id), codec.pack(item.frozen) if item.frozen else b""]
        return [bool(answer) for answer in await self._run("add", keys, args)]

    async def keep_replay(self, replay: Replay) -> None:
        """Note how far a replay came."""
        await cast("Awaitable[int]", self._redis.hset(REPLAYS, replay.id, replay.model_dump_json()))

    async def forget_replay(self, replay: str) -> None:
        """It came to its end."""
        await cast("Awaitable[int]", self._redis.hdel(REPLAYS, replay))

    async def replays(self) -> list[Replay]:
        """All that were begun and did not come to their end."""
        rows = await cast("Awaitable[dict[bytes, bytes]]", self._redis.hgetall(REPLAYS))
        return [Replay.model_validate_json(row) for row in rows.values()]

    async def replay(self, replayed: Replayed) -> bool:
        """Take a receipt out of drift and append its facts to intake; False where another one was faster."""
        receipt, before, record = replayed.receipt, replayed.before, replayed.record
        partition = partition_in(receipt)
        names = [f"lane:{INTAKE}", f"heads:{INTAKE}", "counts", f"receipt:{receipt}", drift_index(record.source)]
        names += [f"line:{INTAKE}:{subject}" for subject, _ in replayed.facts]
        args: list[str | bytes | int] = [receipt, before.packed, packed(record)]
        args += [f"{record.source} replayed", len(replayed.facts)]
        args += [part for fact in replayed.facts for part in fact]
        return bool(await self._scripts["replay"]([key(partition, name) for name in names], args))

    async def _run(self, script: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> list[int]:
        return await cast("Awaitable[list[int]]", self._scripts[script](keys, args))


def _lane_keys(sink: str, partition: int, *listings: str) -> list[str]:
    names = [f"{part}:{sink_lane(sink)}" for part in ("lane", "heads", "leases")]
    return [key(partition, name) for name in (*names, *(deliveries_index(sink, listing) for listing in listings))]


def _keys_of(item: Change, sink: str, partition: int) -> list[str]:
    names = (
        f"line:{sink_lane(sink)}:{item.line}",
        f"event:{event_of(item.delivery)}",
        deliveries_index(sink, item.before.record.state),
    )
    return [key(partition, name) for name in names]


def _args_of(item: Change) -> list[str | bytes | int]:
    state = item.before.record.state
    before, now = item.before.packed, packed(item.record)
    return [item.line, item.delivery, field(item.delivery), before, now, int(state.in_line), int(state.terminal)]
