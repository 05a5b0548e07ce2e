"""arq, the bell and the clock: it makes work start at once, and house-keeping run on time. Never the truth.

All of arq's keys can be lost at any moment: loops look by themselves every second, and house-keeping runs next time.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast
from uuid import uuid4

from arq.connections import ArqRedis
from arq.cron import CronJob, cron
from arq.typing import WorkerCoroutine
from arq.worker import Worker, func
from redis.exceptions import RedisError

from router.connection import Servers, end

log = logging.getLogger(__name__)

QUEUE = "ats:arq"
_POLL_SECONDS = 0.02
_RING_PAUSE_SECONDS = 0.01
_RESTART_PAUSE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 0.5
_JOB_LIFE_MS = 60_000


def _dump(job: dict[str, Any]) -> bytes:
    return json.dumps(job, default=repr).encode()


def arq_redis(servers: Servers) -> ArqRedis:
    """arq's client over a pool with time-outs; JSON, because pickle would let who can write to Redis run code."""
    return ArqRedis(
        pool_or_conn=servers.bell_pool(),
        job_serializer=_dump,
        job_deserializer=json.loads,
        default_queue_name=QUEUE,
        expires_extra_ms=_JOB_LIFE_MS,
    )


class Bell:
    """Tells the workers, best effort, that partitions of the intake lane have work."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._partitions: set[int] = set()
        self._ringing: asyncio.Task[None] | None = None

    def ring(self, partition: int) -> None:
        """Never waits and never fails. Rings in quick succession become one."""
        self._partitions.add(partition)
        if self._ringing is None or self._ringing.done():
            self._ringing = asyncio.create_task(self._ring())

    async def _ring(self) -> None:
        while self._partitions:
            partitions = sorted(self._partitions)
            self._partitions.clear()
            try:
                # an id of its own: arq refuses an id that is queued or still running
                await self._redis.enqueue_job("ring", *partitions, _job_id=f"ring:{uuid4().hex}")
            except (RedisError, OSError) as error:
                log.debug("the bell did not ring: %s", type(error).__name__)
            await asyncio.sleep(_RING_PAUSE_SECONDS)

    async def close(self) -> None:
        if self._ringing is not None:
            await self._ringing
        await self._redis.aclose(close_connection_pool=True)


def chore(name: str, work: Callable[[], Awaitable[None]], *, seconds: set[int], timeout: float) -> CronJob:
    """Something to do at these seconds of every minute, by one worker of all; a run ends after ``timeout`` seconds."""

    async def run(_ctx: dict[Any, Any]) -> None:
        await work()

    return cron(cast(WorkerCoroutine, run), name=name, second=seconds, timeout=timeout, keep_result=0, max_tries=1)


async def listen(servers: Servers, on_ring: Callable[[Sequence[int]], None], chores: Sequence[CronJob]) -> None:
    """Answer the bell and run chores on time, until cancelled.

    An arq worker ends at the first error of the server, so it is made anew as often as it takes.
    """

    async def ring(_ctx: dict[Any, Any], *partitions: int) -> None:
        on_ring(partitions)

    while True:
        worker = Worker(
            functions=[func(cast(WorkerCoroutine, ring), name="ring")],
            cron_jobs=chores,
            queue_name=QUEUE,
            redis_pool=arq_redis(servers),
            handle_signals=False,
            poll_delay=_POLL_SECONDS,
            keep_result=0,
            max_tries=1,
            job_timeout=300,
            job_serializer=_dump,
            job_deserializer=json.loads,
            log_results=False,
        )
        try:
            await worker.async_run()
        except (RedisError, OSError) as error:
            log.warning("the arq worker ended (%s); a new one starts", type(error).__name__)
        finally:
            await _close(worker)
        await asyncio.sleep(_RESTART_PAUSE_SECONDS)


async def _close(worker: Worker) -> None:
    """`Worker.close` writes to the server, which may be away, and must not keep its tasks from being cancelled.

    Rings are over in a moment. Cancelled, one would leave its last words to arq on a connection that is closed here.
    """
    if worker.tasks:
        await asyncio.wait(worker.tasks.values(), timeout=_LAST_WORDS_SECONDS)
    await end(*worker.tasks.values())
    closing: Awaitable[None] = worker.pool.aclose(close_connection_pool=True)
    await closing
