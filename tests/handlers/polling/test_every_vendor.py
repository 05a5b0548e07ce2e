"""Whatever happens in an account between two passes is told once, by every vendor's documented API."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from handlers import polling as adapters
from router import polled_rows, vendor_api
from router.ledger import Ledger
from router.schema import EventType, Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.polling.world import SOURCE, Told, World, accounts, world
from tests.handlers.vendor_api import Answers, Asked

ACCOUNTS = sorted(accounts())
VENDORS = {account.vendor for account in accounts().values()}
OLD = 7


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the vendor, nor for webhooks."""
    monkeypatch.setattr(vendor_api, "REFUSED_PAUSE", 0.0)
    monkeypatch.setattr(vendor_api, "UNAVAILABLE_PAUSE", 0.0)
    monkeypatch.setattr(polled_rows, "SETTLE", timedelta(days=-1))
    for vendor in VENDORS:
        module = adapters.by_vendor()[vendor].__module__
        monkeypatch.setattr(f"{module}.PER_PAGE", 4)  # one more than is listed: a short page need not be the last


@pytest.fixture(params=ACCOUNTS)
async def known(request: pytest.FixtureRequest, ledger: Ledger) -> AsyncIterator[World]:
    """An account with some applications of long ago, after the first contact."""
    async with world(request.param, ledger) as made:
        made.account.add_old(OLD)
        await made.poll()
        yield made


def created(one: Applicant) -> Told:
    return EventType.APPLICATION_CREATED, one.id, None


def moved(one: Applicant, stage: str) -> Told:
    return EventType.STAGE_CHANGED, one.id, stage


def decided(one: Applicant, outcome: Outcome) -> Told:
    return EventType.OUTCOME_CHANGED, one.id, outcome


def about(told: list[Told], *types: EventType) -> list[Told]:
    return [one for one in told if one[0] in types]


NEWS = (EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED)


def test_every_adapter_has_an_account_to_be_tried_with() -> None:
    assert set(adapters.by_vendor()) == VENDORS


async def test_what_was_there_before_is_known_and_not_told(known: World) -> None:
    assert await known.told() == []
    await known.poll(everything=True)
    assert await known.told() == []


async def test_a_new_application_is_told_once(known: World) -> None:
    one = known.account.add()
    await known.poll()
    assert about(await known.told(), *NEWS) in ([created(one)], [created(one), moved(one, one.stage)])
    await known.poll()
    await known.poll(everything=True)
    assert await known.told() == []


async def test_a_move_is_told_once_with_the_stage_before(known: World) -> None:
    one, stage = known.account.applicants[OLD // 2], known.account.stages[1]
    known.account.move(one, stage)
    await known.poll()
    assert await known.told() == [moved(one, stage)]
    [event] = await known.events()
    assert event.from_stage is not None
    assert known.account.stages[0] in (event.from_stage.name, event.from_stage.id)
    await known.poll()
    assert await known.told() == []


async def test_a_later_pass_reads_little_besides_what_changed(known: World) -> None:
    known.account.move(known.account.applicants[0], known.account.stages[1])
    await known.poll()
    last = (await known.ledger.read_poll(SOURCE)).last
    assert last is not None
    assert last.changed == 1
    assert (last.rows >= OLD) is known.account.reads_everything


async def test_a_hire_and_a_rejection_are_told_once(known: World) -> None:
    hired, declined = known.account.applicants[0], known.account.applicants[-1]
    known.account.hire(hired)
    known.account.decline(declined)
    await known.poll()
    told = about(await known.told(), EventType.OUTCOME_CHANGED)
    assert sorted(told) == sorted([decided(hired, Outcome.HIRED), decided(declined, Outcome.DECLINED)])
    await known.poll()
    assert await known.told() == []


@pytest.mark.parametrize("account", ACCOUNTS)
async def test_what_was_decided_long_ago_is_not_told_when_something_else_changes(account: str, ledger: Ledger) -> None:
    async with world(account, ledger) as made:
        hired, declined, undecided = made.account.add_old(3)
        made.account.hire(hired)
        made.account.decline(declined)
        await made.poll()
        for one in (hired, declined, undecided):
            made.account.touch(one)
        await made.poll()
        await made.poll(everything=True)
        assert about(await made.told(), *NEWS) == []


async def test_two_moves_between_two_passes_are_told_as_far_as_the_api_knows_them(known: World) -> None:
    one, (first, second, third) = known.account.applicants[1], known.account.stages[:3]
    for stage in (second, third):
        await asyncio.sleep(known.account.tick)
        known.account.move(one, stage)
    await known.poll()
    told = await known.told()
    if known.account.tells_moves_between:
        assert told == [moved(one, second), moved(one, third)]
    else:
        assert told == [moved(one, third)]
        [event] = await known.events()
        assert event.from_stage is not None
        assert first in (event.from_stage.name, event.from_stage.id)


async def test_a_move_back_is_told_too(known: World) -> None:
    one, (first, second) = known.account.applicants[2], known.account.stages[:2]
    for stage in (second, first, second):
        known.account.move(one, stage)
        await known.poll()
        assert await known.told() == [moved(one, stage)]


async def test_a_deletion_is_told_once(known: World) -> None:
    if not known.account.tells_deletions:
        pytest.skip("this API does not let it be seen")
    one = known.account.applicants[3]
    known.account.delete(one)
    for _ in range(2):
        await known.poll(everything=True)
    assert await known.told() == [(EventType.APPLICATION_DELETED, one.id, None)]
    await known.poll(everything=True)
    assert await known.told() == []


async def test_rows_that_slip_to_other_pages_meanwhile_are_not_lost(known: World) -> None:
    account = known.account
    pages = 0

    def shifting(asked: Asked) -> Answers:
        nonlocal pages
        answer = account.answer(asked)
        pages += 1
        if pages == 2:
            account.move(account.applicants[0], account.stages[2])
            new.append(account.add())
            account.delete(account.applicants[1])
        return answer

    new: list[Applicant] = []
    several = account.applicants[2:]
    for one in several:
        account.move(one, account.stages[1])
    known.vendor.answer = shifting
    for _ in range(3):
        await known.poll()
    await known.poll(everything=True)
    told = await known.told()
    expected = [*(moved(one, account.stages[1]) for one in several), moved(account.applicants[0], account.stages[2])]
    assert sorted(about(told, EventType.STAGE_CHANGED)) in (
        sorted(expected),
        sorted([*expected, moved(new[0], account.stages[0])]),
    )
    assert about(told, EventType.APPLICATION_CREATED) == [created(new[0])]


def _storm(account: Account, faults: list[Answers]) -> Callable[[Asked], Answers]:
    """Every other answer is a fault, until there are none left."""
    turn = 0

    def answer(asked: Asked) -> Answers:
        nonlocal turn
        turn += 1
        return faults.pop() if faults and turn % 2 else account.answer(asked)

    return answer


async def test_what_the_vendor_answers_wrongly_delays_and_loses_nothing(known: World) -> None:
    account = known.account
    garbage = [Answers(b"<html>sorry</html>"), Answers({"unexpected": True}), Answers(b"")]
    known.timeout = 0.3
    known.restarted()
    slow = [Answers({}, delay=0.4)]
    faults = [account.throttled() for _ in range(4)] + slow + [account.failed() for _ in range(4)] + garbage
    known.vendor.answer = _storm(account, faults)
    one, another = account.applicants[0], account.add()
    account.move(one, account.stages[1])
    await known.poll()
    while faults:
        await known.poll(everything=True)
    told = await known.told()
    assert moved(one, account.stages[1]) in told
    assert about(told, EventType.APPLICATION_CREATED) == [created(another)]
    assert len(told) <= 3
    assert (await known.ledger.api_states())[SOURCE].problem is None


async def test_refused_credentials_are_one_problem_and_no_loop(known: World) -> None:
    account = known.account
    known.vendor.answer = lambda _: account.unauthorised()
    before = len(known.vendor.asked)
    await known.polling.run()
    state = (await known.ledger.api_states())[SOURCE]
    assert state.problem is not None
    assert state.refused
    assert len(known.vendor.asked) - before <= 3
    assert (await known.ledger.read_poll(SOURCE)).failures == 1
    known.vendor.answer = account.answer
    account.move(account.applicants[0], account.stages[1])
    await known.poll()
    assert await known.told() == [moved(account.applicants[0], account.stages[1])]
    assert (await known.ledger.api_states())[SOURCE].problem is None


class Died(BaseException):
    """The process ends here."""


CHANGES = ("read_poll", "keep_poll", "accept", "keep_seen", "read_seen", "add_stages", "stages_of", "note_api")


async def test_a_process_that_dies_anywhere_neither_skips_nor_repeats(
    known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies before or after its n-th step, one step further each time, until a pass comes to its end."""
    account, steps, dies_at = known.account, 0, 0

    def mortal(work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def step(*args: Any, **more: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == dies_at:
                raise Died
            done = await work(*args, **more)
            steps += 1
            if steps == dies_at:
                raise Died
            return done

        return step

    for name in CHANGES:
        monkeypatch.setattr(known.ledger, name, mortal(getattr(known.ledger, name)))
    expected: list[Told] = []
    told: list[Told] = []
    has_died, round_ = True, 0
    while has_died:
        one = account.applicants[round_ % OLD]
        stage = account.stages[(round_ // OLD + 1) % len(account.stages)]
        account.move(one, stage)
        expected.append(moved(one, stage))
        round_ += 1
        steps, dies_at, has_died = 0, round_, False
        try:
            await known.restarted().run()
        except Died:
            has_died, dies_at = True, 0
            await known.poll()
        dies_at = 0
        told += await known.told()
    assert round_ > 10
    await known.poll()
    told += await known.told()
    assert about(told, *NEWS) == expected
