"""Group commit: concurrent requests share a script call, so that one flush to disk serves them all."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from router.identity import PARTITIONS
from router.ledger import BATCH, Ledger
from router.records import NewReceipt

_CALLS = 2
"""Of one partition at the same time: while one waits for the disk, the next is on its way."""

_Waiting = tuple[NewReceipt, "asyncio.Future[bool]"]


class Acceptor:
    """Gathers receipts per partition while the call before is under way. ``on_accepted(partition)`` after each call."""

    def __init__(self, ledger: Ledger, on_accepted: Callable[[int], None]) -> None:
        self._ledger = ledger
        self._on_accepted = on_accepted
        self._waiting: list[deque[_Waiting]] = [deque() for _ in range(PARTITIONS)]
        self._flushing = [0] * PARTITIONS
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, receipt: NewReceipt) -> bool:
        """Return when the receipt is safe: True where it is new, False where it is a duplicate.

        Raises:
            RedisError: it is not known to be safe; the vendor has to send it again.
        """
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        partition = receipt.partition
        self._waiting[partition].append((receipt, future))
        if self._flushing[partition] < _CALLS:
            self._flushing[partition] += 1
            task = asyncio.create_task(self._flush(partition))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _flush(self, partition: int) -> None:
        waiting = self._waiting[partition]
        try:
            while waiting:
                await self._flush_batch(partition, [waiting.popleft() for _ in range(min(BATCH, len(waiting)))])
        finally:
            # in the same turn in which it saw that nobody waits: who comes later begins anew
            self._flushing[partition] -= 1

    async def _flush_batch(self, partition: int, batch: list[_Waiting]) -> None:
        answers: Sequence[bool | Exception]
        try:
            answers = await self._ledger.accept(partition, [receipt for receipt, _ in batch])
        except OSError as error:
            answers = [RedisError(str(error))] * len(batch)
        except Exception as error:  # whatever it is, nobody may be left waiting
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # the vendor hung up meanwhile; what was accepted stays accepted
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        if True in answers:
            self._on_accepted(partition)
