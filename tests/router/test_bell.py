import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from arq.cron import CronJob
from redis import Redis as BlockingRedis

from router import bell as bell_module
from router.bell import Bell, arq_redis, chore, listen
from router.connection import Servers, end
from tests.factories import until
from tests.valkey import Valkey

SOON = 0.2


@asynccontextmanager
async def listening(url: str, chores: Sequence[CronJob] = ()) -> AsyncIterator[list[int]]:
    """The partitions that were rung."""
    heard: list[int] = []
    task = asyncio.create_task(listen(Servers(url), heard.extend, chores))
    try:
        yield heard
    finally:
        await end(task)


@asynccontextmanager
async def a_bell(url: str) -> AsyncIterator[Bell]:
    bell = Bell(arq_redis(Servers(url)))
    try:
        yield bell
    finally:
        await bell.close()


async def heard_again(bell: Bell, heard: list[int], partition: int) -> None:
    """Ring until somebody listens."""
    deadline = time.monotonic() + 8
    while partition not in heard:
        assert time.monotonic() < deadline, "nobody listens"
        bell.ring(partition)
        await asyncio.sleep(0.05)


async def test_a_ring_wakes_a_listening_worker_at_once(url: str) -> None:
    async with listening(url) as heard, a_bell(url) as bell:
        await heard_again(bell, heard, 3)
        for partition in (4, 5, 6):
            bell.ring(partition)
            assert await until(lambda: heard[-1] == partition) < SOON  # noqa: B023 (awaited at once)
            await asyncio.sleep(0.02)


async def test_rings_in_quick_succession_become_few(url: str) -> None:
    redis = BlockingRedis.from_url(url)
    async with a_bell(url) as bell:
        for n in range(1000):
            bell.ring(n % 16)
    assert redis.zcard(bell_module.QUEUE) == 1
    redis.close()


async def test_one_of_several_workers_hears_it(url: str) -> None:
    async with listening(url) as one, listening(url) as other, a_bell(url) as bell:
        await heard_again(bell, one, 1)
        await heard_again(bell, other, 2)
        one.clear()
        other.clear()
        bell.ring(7)
        await until(lambda: bool(one or other))
        await asyncio.sleep(0.1)
        assert one + other == [7]


async def test_jobs_are_written_as_json(url: str) -> None:
    """pickle would let who can write to the server run code in the worker."""
    async with a_bell(url) as bell:
        bell.ring(3)
    with BlockingRedis.from_url(url) as redis:
        [key] = [key for key in redis.scan_iter() if redis.type(key) == b"string"]
        job = json.loads(str(redis.get(key), "ascii"))
        assert (job["f"], job["a"]) == ("ring", [3])
        assert 0 < int(str(redis.pttl(key))) <= 60_000


async def test_a_worker_leaves_no_results(url: str) -> None:
    async with listening(url) as heard, a_bell(url) as bell:
        await heard_again(bell, heard, 1)
        await asyncio.sleep(0.1)
        with BlockingRedis.from_url(url) as redis:
            assert not [key for key in redis.scan_iter() if b"result" in key or b"arq:job" in key]


async def test_the_loss_of_all_of_arqs_keys_is_survived(url: str) -> None:
    async with listening(url) as heard, a_bell(url) as bell:
        await heard_again(bell, heard, 1)
        with BlockingRedis.from_url(url) as redis:
            for partition in (2, 3):
                redis.flushall()
                bell.ring(partition)
                await until(lambda: partition in heard)  # noqa: B023 (awaited at once)


async def test_what_others_put_into_the_queue_is_survived(url: str) -> None:
    async with listening(url) as heard, a_bell(url) as bell, arq_redis(Servers(url)) as others:
        await heard_again(bell, heard, 1)
        await others.enqueue_job("no such function")
        await others.enqueue_job("ring", "not", "numbers", None)
        await others.enqueue_job("ring", _job_id="ring:strange", unknown=True)
        with BlockingRedis.from_url(url) as redis:
            redis.set("arq:job:odd", b"\x80\x04no json")
            redis.zadd(bell_module.QUEUE, {"odd": 1, "nowhere": 1})
        heard.clear()
        await heard_again(bell, heard, 2)
        await others.connection_pool.disconnect()


async def test_a_listener_ends_when_it_is_told_to_whatever_it_does(url: str) -> None:
    """redis-py loses a cancellation now and then under Python 3.11."""
    async with a_bell(url) as bell:
        for n in range(20):
            task = asyncio.create_task(listen(Servers(url), lambda _: None, []))
            for _ in range(n % 5):
                bell.ring(1)
                await asyncio.sleep(0.003)
            async with asyncio.timeout(3):
                await end(task)


async def test_a_restart_of_the_server_is_survived(
    own_server: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell_module, "_RESTART_PAUSE_SECONDS", 0.1)
    async with listening(own_server.url) as heard, a_bell(own_server.url) as bell:
        await heard_again(bell, heard, 1)
        own_server.stop()
        bell.ring(2)
        await asyncio.sleep(0.3)
        own_server.start()
        await heard_again(bell, heard, 3)
    assert "a new one starts" in caplog.text


async def test_a_listener_waits_for_a_server_that_comes_later(
    own_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell_module, "_RESTART_PAUSE_SECONDS", 0.05)
    own_server.stop()
    async with listening(own_server.url) as heard:
        await asyncio.sleep(0.2)
        own_server.start()
        async with a_bell(own_server.url) as bell:
            await heard_again(bell, heard, 1)


@pytest.mark.timed
async def test_a_ring_never_fails_nor_waits(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "router")
    async with asyncio.timeout(2), a_bell("unix:///nowhere/at.all") as bell:
        started = time.monotonic()
        for _ in range(10):
            bell.ring(1)
        assert time.monotonic() - started < 0.05
        await until(lambda: "did not ring" in caplog.text)


async def test_a_chore_runs_on_time_and_its_failure_stops_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    async def fail() -> None:
        ran.append("fail")
        raise ValueError("a fault of ours")

    async def work() -> None:
        ran.append("work")

    every_second = set(range(60))
    chores = [
        chore("fail", fail, seconds=every_second, timeout=1),
        chore("work", work, seconds=every_second, timeout=1),
    ]
    async with listening(url, chores) as heard, a_bell(url) as bell:
        await until(lambda: ran.count("work") >= 2 and ran.count("fail") >= 2)
        await heard_again(bell, heard, 1)
