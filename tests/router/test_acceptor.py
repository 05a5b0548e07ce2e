import asyncio
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from router.acceptor import Acceptor
from router.ledger import BATCH, Ledger
from router.records import NewReceipt
from tests.factories import PARTITION, make_receipt


class Counted(Ledger):
    """A ledger that counts calls and may fail instead. It is no server: the first call answers only when let go."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.answer: BaseException | None = None
        self.open_gate = asyncio.Event()

    async def accept(self, partition: int, receipts: Sequence[NewReceipt]) -> list[bool | RedisError]:
        self.calls.append([receipt.id for receipt in receipts])
        await self.open_gate.wait()
        if self.answer is not None:
            raise self.answer
        return [True] * len(receipts)


@pytest.fixture
def counted() -> Counted:
    return Counted()


def begin(acceptor: Acceptor, receipts: Sequence[NewReceipt]) -> list["asyncio.Task[bool]"]:
    return [asyncio.create_task(acceptor.accept(receipt)) for receipt in receipts]


async def test_requests_that_come_together_share_calls(counted: Counted) -> None:
    rung: list[int] = []
    requests = begin(Acceptor(counted, rung.append), [make_receipt(str(n)) for n in range(40)])
    await asyncio.sleep(0.01)
    counted.open_gate.set()
    assert await asyncio.gather(*requests) == [True] * 40
    assert [len(call) for call in counted.calls] == [BATCH, BATCH, 8]
    assert rung == [PARTITION] * 3


async def test_who_comes_while_a_call_is_under_way_shares_the_next_one(counted: Counted) -> None:
    acceptor = Acceptor(counted, lambda _: None)
    first = begin(acceptor, [make_receipt("1")])
    await asyncio.sleep(0.01)
    others = begin(acceptor, [make_receipt(str(n)) for n in range(2, 7)])
    await asyncio.sleep(0.01)
    counted.open_gate.set()
    await asyncio.gather(*first, *others)
    assert [len(call) for call in counted.calls] == [1, 5]


async def test_two_calls_of_a_partition_are_under_way_and_no_third(counted: Counted) -> None:
    acceptor, requests = Acceptor(counted, lambda _: None), []
    for number in range(4):
        requests += begin(acceptor, [make_receipt(str(number))])
        await asyncio.sleep(0.01)
    assert [len(call) for call in counted.calls] == [1, 1]
    counted.open_gate.set()
    assert await asyncio.gather(*requests) == [True] * 4


async def test_who_comes_in_the_moment_in_which_both_calls_end_begins_another() -> None:
    loop = asyncio.get_running_loop()
    calls: list[asyncio.Future[None]] = []

    class Held(Counted):
        async def accept(self, partition: int, receipts: Sequence[NewReceipt]) -> list[bool | RedisError]:
            calls.append(loop.create_future())
            await calls[-1]
            return [True] * len(receipts)

    acceptor, comes = Acceptor(Held(), lambda _: None), loop.create_future()

    async def late() -> bool:
        await comes
        return await acceptor.accept(make_receipt("late"))

    requests = []
    for number in range(2):
        requests += begin(acceptor, [make_receipt(str(number))])
        await asyncio.sleep(0.01)
    requests.append(asyncio.create_task(late()))
    await asyncio.sleep(0.01)
    for future in (*calls, comes):  # all in one turn of the loop
        future.set_result(None)
    async with asyncio.timeout(2):
        while len(calls) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        calls[-1].set_result(None)
        assert await asyncio.gather(*requests) == [True] * 3


async def test_the_order_of_requests_is_kept(counted: Counted) -> None:
    counted.open_gate.set()
    receipts = [make_receipt(str(n)) for n in range(40)]
    await asyncio.gather(*begin(Acceptor(counted, lambda _: None), receipts))
    assert [receipt for call in counted.calls for receipt in call] == [receipt.id for receipt in receipts]


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (ResponseError("OOM"), ResponseError),
        (ConnectionResetError("gone"), RedisError),
        (ValueError("a fault of ours"), ValueError),
    ],
)
async def test_everybody_hears_of_a_call_that_failed(
    counted: Counted, failure: Exception, seen: type[Exception]
) -> None:
    counted.answer = failure
    counted.open_gate.set()
    rung: list[int] = []
    acceptor = Acceptor(counted, rung.append)
    async with asyncio.timeout(1):
        requests = begin(acceptor, [make_receipt(str(n)) for n in range(20)])
        answers = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(answer) for answer in answers] == [seen] * 20
    assert rung == []
    counted.answer = None
    assert await acceptor.accept(make_receipt("later")) is True


async def test_one_bad_item_fails_alone(ledger: Ledger, redis: Redis) -> None:
    await redis.set(f"ats:{{p{PARTITION:02d}}}:line:intake:bad", "of another type")
    acceptor = Acceptor(ledger, lambda _: None)
    bad = make_receipt("2", [("bad", b"1"), ("bad", b"2")])
    first, second, third = await asyncio.gather(
        *begin(acceptor, [make_receipt("1"), bad, make_receipt("3")]), return_exceptions=True
    )
    assert (first, third) == (True, True)
    assert isinstance(second, ResponseError)


async def test_who_hangs_up_disturbs_nobody(counted: Counted) -> None:
    acceptor = Acceptor(counted, lambda _: None)
    receipts = [make_receipt(str(n)) for n in range(5)]
    requests = begin(acceptor, receipts)
    await asyncio.sleep(0.01)
    requests[0].cancel()
    requests[3].cancel()
    counted.open_gate.set()
    answers = await asyncio.gather(*requests, return_exceptions=True)
    assert [answer is True for answer in answers] == [False, True, True, False, True]
    assert [receipt for call in counted.calls for receipt in call] == [receipt.id for receipt in receipts]


async def test_a_duplicate_is_told_apart_from_what_is_new(ledger: Ledger) -> None:
    rung: list[int] = []
    acceptor = Acceptor(ledger, rung.append)
    answers = await asyncio.gather(*begin(acceptor, [make_receipt("1"), make_receipt("1"), make_receipt("2")]))
    assert answers == [True, False, True]
    assert await acceptor.accept(make_receipt("2")) is False
    assert rung == [PARTITION]
