"""The loop that works a lane: claim, run, renew, settle. Used for intake and for every sink.

A loop keeps a sliding window of slots: it claims little more than it has slots for and never waits for the slowest of a
batch.
Any number of loops in any number of processes share a lane; a subject belongs to one of them for as long as it renews
its lease.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from redis.exceptions import RedisError

from router.connection import end, is_outage
from router.gate import Gate, Turn
from router.identity import PARTITIONS
from router.ledger import BATCH, Ledger
from router.records import Claim, PutOff

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""A loop looks by itself so often; rings only make it faster."""

RENEW_SECONDS = 2.0
_COALESCE_SECONDS = 0.002
_AHEAD = 4
"""For so many slots one item is claimed ahead, so that a slot need not wait for the next claim."""

_PAUSE_WITHOUT_SERVER = 0.25
_NEVER = float("inf")

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")


class Lease:
    """A worker's hold on a subject, as this process knows it. ``turn``: when the work may begin; None: at once."""

    def __init__(self, claim: Claim, turn: Turn | None = None) -> None:
        self.claim = claim
        self.turn = turn
        self.deadline = claim.deadline

    def holds(self) -> bool:
        """By the monotonic clock: also right after this process was stopped for longer than its lease."""
        return time.monotonic() < self.deadline


class Work(Protocol[J, R]):
    """What a lane's items are and what is done with them."""

    lane: str

    async def load(self, partition: int, claims: Sequence[Claim]) -> Sequence[J]:
        """Read what the claimed items need, in one call. May be called again after an error of the server."""

    async def run(self, job: J, lease: Lease) -> R | PutOff | None:
        """Do the work on one item. None: the lease ran out before anything was done, so there is nothing to settle."""

    async def settle(self, partition: int, results: Sequence[R]) -> Sequence[int]:
        """Store results. Per result 0: lease lost, 1: done, 2: done and the next of the line is due."""


@dataclass(slots=True)
class _Finished(Generic[R]):
    lease: Lease
    result: R | PutOff
    settled: asyncio.Event


class LaneLoop(Generic[J, R]):
    """Works one lane with so many slots, until stopped."""

    def __init__(self, ledger: Ledger, work: Work[J, R], slots: int, gate: Gate | None = None) -> None:
        self.lane = work.lane
        self._gate = gate
        self._ledger = ledger
        self._work = work
        self._slots = slots
        self._seats = asyncio.Semaphore(slots)
        self._leases: set[Lease] = set()
        self._taken = 0  # slots, and places ahead of them: what only waits to be settled has given its own back
        self._tasks: set[asyncio.Task[None]] = set()
        self._look_at = [0.0] * PARTITIONS
        self._looked = 0.0
        self._shut_until = 0.0
        self._something = asyncio.Event()
        self._finished: asyncio.Queue[_Finished[R]] = asyncio.Queue()
        self._stopping = False
        self._server_away = False

    def wake(self, partitions: Iterable[int] = range(PARTITIONS)) -> None:
        """Something may be due in these partitions."""
        for partition in partitions:
            self._look_at[partition] = 0.0
        self._something.set()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is running is settled."""
        self._stopping = True
        self._something.set()

    async def run(self) -> None:
        """Work until stopped. Outages of the server are waited out."""
        helpers = [asyncio.create_task(self._renew_forever()), asyncio.create_task(self._settle_forever())]
        try:
            while not self._stopping:
                self._something.clear()
                for helper in helpers:
                    if helper.done():
                        helper.result()  # raises what ended it: a loop that does not settle or renew must not go on
                try:
                    await self._fill()
                except (RedisError, OSError) as error:
                    await self._pause(error)
                    continue
                self._note_server_back()
                await self._wait_for_something()
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await end(*helpers, *self._tasks)

    # --- claim --------------------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._look_at = [_NEVER] * PARTITIONS  # before asking: a wake in between must not be forgotten
            for partition, ahead in enumerate(await self._ledger.due_in(self.lane)):
                if ahead is not None:
                    self._look_at[partition] = min(self._look_at[partition], now + ahead)
            self._looked = now
            if self._gate is not None:
                await self._gate.look()
        free = self._free()
        due = sorted((at, partition) for partition, at in enumerate(self._look_at) if at <= now)
        if due and free and self._gate is not None:
            free, wait = await self._gate.admit(free)
            self._shut_until = now + wait if not free else 0.0
        due = due[:free]
        if due:
            share = free // len(due)
            await asyncio.gather(*(self._claim(partition, share) for _, partition in due))

    def _free(self) -> int:
        """How many to claim now: none where those who wait for a slot last for a while, as a claim costs more than its
        items."""
        ahead = self._slots // _AHEAD if self._gate is None or self._gate.is_wide_open else 0
        free = self._slots + ahead - self._taken
        return free if free > ahead // 2 else 0

    async def _claim(self, partition: int, most: int) -> None:
        self._look_at[partition] = _NEVER  # before asking, as above
        newest = self._gate.newest(most) if self._gate is not None else 0
        next_due, claims = await self._ledger.claim(self.lane, partition, most, newest=newest)
        if next_due is not None:
            self._look_at[partition] = min(self._look_at[partition], time.monotonic() + next_due)
        if claims:
            leases = [Lease(claim, self._gate.take() if self._gate is not None else None) for claim in claims]
            self._leases.update(leases)
            self._taken += len(leases)
            self._start(self._work_off(partition, leases))

    async def _work_off(self, partition: int, leases: Sequence[Lease]) -> None:
        try:
            jobs = await self._until_answered(lambda: self._work.load(partition, [lease.claim for lease in leases]))
        except Exception:
            if len(leases) > 1:  # one bad item must fail alone
                for lease in leases:
                    self._start(self._work_off(partition, [lease]))
                return
            self._give_back(len(leases))
            self._leases.difference_update(leases)
            log.exception("lane %s: what was claimed can't be read; it is tried again when its lease ends", self.lane)
            return
        for lease, job in zip(leases, jobs, strict=True):
            self._start(self._run(lease, job))

    async def _run(self, lease: Lease, job: J) -> None:
        try:
            try:
                async with self._seats:
                    if self._stopping:  # another worker takes it
                        result: R | PutOff | None = PutOff(lease.claim, 0.0)
                    else:
                        result = await self._work.run(job, lease)
            finally:
                self._give_back(1)
            if result is not None:
                finished = _Finished(lease, result, asyncio.Event())
                self._finished.put_nowait(finished)
                await finished.settled.wait()
        except Exception:
            log.exception("lane %s: an item failed; it is tried again when its lease ends", self.lane)
        finally:
            self._leases.discard(lease)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_back(self, slots: int) -> None:
        self._taken -= slots
        self._something.set()

    # --- settle and renew ---------------------------------------------------------------------------------------

    async def _settle_forever(self) -> None:
        while True:
            batch = [await self._finished.get()]
            await asyncio.sleep(_COALESCE_SECONDS)
            while not self._finished.empty():
                batch.append(self._finished.get_nowait())
            by_partition = defaultdict(list)
            for finished in batch:
                by_partition[finished.lease.claim.partition].append(finished)
            chunks = [
                (partition, group[i : i + BATCH])
                for partition, group in by_partition.items()
                for i in range(0, len(group), BATCH)
            ]
            await asyncio.gather(*(self._settle(partition, chunk) for partition, chunk in chunks))

    async def _settle(self, partition: int, chunk: Sequence[_Finished[R]]) -> None:
        try:
            answers = await self._until_answered(lambda: self._store(partition, [done.result for done in chunk]))
            if 2 in answers:
                self.wake([partition])
            if lost := list(answers).count(0):
                log.warning("lane %s: %d results came after their lease was lost", self.lane, lost)
        except Exception:
            log.exception(
                "lane %s: results can't be stored; the items are tried again when their leases end", self.lane
            )
        finally:
            for finished in chunk:
                finished.settled.set()

    async def _store(self, partition: int, results: Sequence[R | PutOff]) -> list[int]:
        """What was done, and what was put off; the answers of `Work.settle`, in the order of the results."""
        done = [result for result in results if not isinstance(result, PutOff)]
        later = [result for result in results if isinstance(result, PutOff)]
        settled = iter(await self._work.settle(partition, done) if done else ())
        put_off = iter(await self._ledger.put_off(self.lane, partition, later) if later else ())
        return [next(put_off if isinstance(result, PutOff) else settled) for result in results]

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            by_partition = defaultdict(list)
            for lease in self._leases:
                by_partition[lease.claim.partition].append(lease)
            renewals = (self._renew(partition, leases) for partition, leases in by_partition.items())
            await asyncio.gather(*renewals)

    async def _renew(self, partition: int, leases: Sequence[Lease]) -> None:
        try:
            claims = [lease.claim for lease in leases]
            deadline, held = await self._ledger.renew(self.lane, partition, claims)
        except (RedisError, OSError):
            return  # the deadlines stay as they are, and soon pass
        for lease, holds in zip(leases, held, strict=True):
            lease.deadline = deadline if holds else 0.0

    # --- wait ---------------------------------------------------------------------------------------------------

    async def _wait_for_something(self) -> None:
        next_look = self._looked + LOOK_SECONDS
        if self._free():
            next_look = min(next_look, max(self._shut_until, min(self._look_at)))
        try:
            async with asyncio.timeout(max(0.0, next_look - time.monotonic())):
                await self._something.wait()
        except TimeoutError:
            pass

    async def _until_answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call through an outage of the server; scripts refuse what is no longer ours."""
        while True:
            try:
                return await call()
            except (RedisError, OSError) as error:
                if not is_outage(error):
                    raise
                await self._pause(error)

    async def _pause(self, error: Exception) -> None:
        if not self._server_away:
            self._server_away = True
            log.warning(
                "lane %s: the Redis server does not serve (%s); waiting for it", self.lane, type(error).__name__
            )
        await asyncio.sleep(_PAUSE_WITHOUT_SERVER)

    def _note_server_back(self) -> None:
        if self._server_away:
            self._server_away = False
            log.info("lane %s: the Redis server is back", self.lane)
