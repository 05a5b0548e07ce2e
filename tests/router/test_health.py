import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from router import health as health_module
from router.connection import client, end
from router.health import Condition, Health
from router.ledger import Ledger


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
