import asyncio
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from router import health as health_module
from router.connection import client, end
from router.health import Condition, Health, Waiting
from router.ledger import Ledger, sink_lane
from router.records import Backlog, DeliveryRecord, DeliveryState, GateState, Settled
from tests.factories import PARTITION, make_receipt, put_deliveries
from tests.valkey import Valkey


async def looked(ledger: Ledger, data_dir: Path | None = None) -> Condition:
    health = Health(ledger, data_dir)
    await health.look()
    return health.condition


def test_before_the_first_look_nothing_is_ready(ledger: Ledger) -> None:
    condition = Health(ledger, None).condition
    assert condition.problems == {"server": "not looked at yet"}
    assert condition.refuses is None


async def test_a_server_with_room_is_fine(ledger: Ledger, tmp_path: Path) -> None:
    condition = await looked(ledger, tmp_path)
    assert (condition.problems, condition.refuses) == ({}, None)


async def test_a_server_that_is_away_is_a_problem_but_refuses_nothing() -> None:
    """The next request may find it back."""
    ledger = Ledger(client("unix:///nowhere/at.all"))
    condition = await looked(ledger)
    await ledger.close()
    assert list(condition.problems) == ["server"]
    assert condition.refuses is None


@pytest.mark.parametrize(("share", "refused"), [(0.5, False), (0.95, True)])
async def test_a_server_that_is_nearly_full_refuses(ledger: Ledger, redis: Redis, share: float, refused: bool) -> None:
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", round(used / share))
    condition = await looked(ledger)
    assert list(condition.problems) == (["memory"] if refused else [])
    assert (condition.refuses is not None) is refused


async def test_a_disk_that_is_nearly_full_refuses(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "DISK_RESERVE", 1 << 62)
    condition = await looked(ledger, tmp_path)
    assert list(condition.problems) == ["disk"]
    assert condition.refuses == condition.disk
    assert (await looked(ledger, None)).problems == {}


async def test_a_disk_that_cannot_be_looked_at_refuses(ledger: Ledger, tmp_path: Path) -> None:
    condition = await looked(ledger, tmp_path / "gone")
    assert list(condition.problems) == ["disk"]


async def test_the_watch_sees_a_change_by_itself(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "_LOOK_SECONDS", 0.01)
    health = Health(ledger, None)
    watching = asyncio.create_task(health.watch())
    async with asyncio.timeout(2):
        while health.condition.problems:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await end(watching)


async def test_a_fault_of_ours_does_not_end_the_watch(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = AsyncMock(side_effect=[RuntimeError("odd"), 0.1, 0.1])
    monkeypatch.setattr(ledger, "memory_used", asked)
    health = Health(ledger, None)
    await health.look()
    assert health.condition.problems == {"server": "the Redis server does not answer (RuntimeError)"}
    await health.look()
    assert not health.condition.problems


# --- what more workers would help with ------------------------------------------------------------------------------


async def test_what_waits_and_since_when_is_told_for_intake_and_for_sinks_that_work(ledger: Ledger) -> None:
    health = Health(ledger, None, ["works", "fails", "slow"])
    assert await health.waiting() == Waiting(0, 0.0)
    await put_deliveries(ledger, "works", ["a", "b"])
    await put_deliveries(ledger, "fails", ["a", "b", "c"], "other")
    await put_deliveries(ledger, "slow", ["a", "b", "c"], "another")
    await ledger.trip("fails", GateState.OPEN, "http_500", probe=False)
    await ledger.slow("slow", interval=0.1, pause=0.0)
    await ledger.accept(PARTITION, [make_receipt("in intake", [("subject", b"item")])])
    await asyncio.sleep(health_module._LOOK_SECONDS + 0.2)
    told = await health.waiting()
    assert told.waiting == 3
    assert 1.0 < told.oldest_due_s < 5.0


async def test_what_goes_on_in_a_line_has_not_waited_for_a_minute(ledger: Ledger) -> None:
    await put_deliveries(ledger, "works", ["a", "a"])
    lane = sink_lane("works")
    _, [claim] = await ledger.claim(lane, PARTITION, 1)
    done = DeliveryRecord(sink="works", routes=("all",), state=DeliveryState.DELIVERED)
    await ledger.settle(lane, PARTITION, [Settled(claim, claim.head.decode(), done, None)])
    assert (await ledger.backlog(lane)).oldest_due > 59
    assert await Health(ledger, None, ["works"]).waiting() == Waiting(1, 0.0)


async def test_what_is_due_later_does_not_wait(ledger: Ledger) -> None:
    await put_deliveries(ledger, "works", ["a"])
    lane = sink_lane("works")
    _, [claim] = await ledger.claim(lane, PARTITION, 1)
    later = DeliveryRecord(sink="works", routes=("all",), state=DeliveryState.PENDING)
    await ledger.settle(lane, PARTITION, [Settled(claim, claim.head.decode(), later, 3600)])
    assert (await ledger.backlog(lane)).subjects == 1
    assert (await Health(ledger, None, ["works"]).waiting()).waiting == 0


async def test_without_the_server_it_is_an_error_each_time(own_server: Valkey, own_ledger: Ledger) -> None:
    health = Health(own_ledger, None)
    await health.waiting()
    health._counted_at = float("-inf")
    own_server.stop()
    for _ in range(2):
        with pytest.raises(RedisError):
            await health.waiting()


async def test_what_is_being_worked_on_does_not_wait(ledger: Ledger) -> None:
    await put_deliveries(ledger, "works", ["a", "b"])
    await ledger.claim(sink_lane("works"), PARTITION, 1)
    assert (await Health(ledger, None, ["works"]).waiting()).waiting == 1


async def test_however_often_it_is_asked_the_server_is_asked_once_a_second(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = Health(ledger, None)
    before = await health.waiting()

    async def never(lane: str) -> Backlog:
        raise AssertionError(lane)

    monkeypatch.setattr(ledger, "backlog", never)
    assert await health.waiting() == before
