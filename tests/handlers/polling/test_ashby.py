"""What is particular to polling Ashby: tokens of passes, errors with status 200, the history of an application."""

import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from handlers.base import Drift, Receipt
from handlers.enriching import NotThere, Refused, Unavailable
from handlers.polling.ashby import AshbyPolls
from handlers.polling.base import Page, Pass
from handlers.reading import Node
from router.schema import EventType, Person, Stage
from tests.handlers.polling.account_ashby import AshbyAccount
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED
SINCE = datetime(2026, 3, 2, tzinfo=UTC)
Made = Reader[AshbyAccount, AshbyPolls]


def polled(per_page: int = 2) -> AbstractAsyncContextManager[Made]:
    return reader(AshbyAccount(per_page), AshbyPolls)


async def whole(made: Made) -> Page:
    """The last page of a pass that reads everything."""
    page = await made.page()
    while page.next is not None:
        page = await made.page(page.next)
    return page


async def changed(made: Made, mark: str | None, cursor: str | None = None) -> Page:
    return await made.polls.page(Pass(SINCE, datetime.now(UTC), mark), cursor, made.api)


def questions(made: Made) -> list[dict[str, Any]]:
    return [cast(dict[str, Any], asked.json) for asked in made.vendor.asked]


def ids(page: Page) -> list[str]:
    return [row.need_id("id") for row in page.rows]


def webhook(action: str, row: Node) -> Receipt:
    """A row is what a webhook tells, too."""
    body = {"action": action, "data": {"application": row.raw}, "webhookActionId": f"act of {action}"}
    return Receipt((), json.dumps(body).encode(), datetime.now(UTC))


async def test_everything_is_read_without_a_token_and_then_what_changed_since_the_one_it_ended_with() -> None:
    async with polled() as made:
        one, *others = made.account.add_old(5)
        last = await whole(made)
        assert last.mark is not None
        assert [question.get("syncToken") for question in questions(made)] == [None, None, None]
        for each in (one, *others[:2]):
            made.account.touch(each)
        made.account.tokens[last.mark] = one.updated_at
        del made.vendor.asked[:]
        first = await changed(made, last.mark)
        second = await changed(made, last.mark, first.next)
        assert [*ids(first), *ids(second)] == [each.id for each in (one, *others[:2])]
        assert [question["syncToken"] for question in questions(made)] == [last.mark, last.mark]
        assert (first.mark, second.next) == (None, None)
        assert second.mark not in (None, last.mark)


async def test_everything_is_read_again_with_a_token_that_is_not_taken_any_more() -> None:
    async with polled() as made:
        ones = made.account.add_old(3)
        mark = (await whole(made)).mark
        made.account.tokens.clear()
        del made.vendor.asked[:]
        first = await changed(made, mark)
        second = await changed(made, mark, first.next)
        assert [*ids(first), *ids(second)] == [one.id for one in ones]
        assert ["syncToken" in question for question in questions(made)] == [True, False, False]
        assert second.mark is not None


async def test_a_token_that_ends_between_two_pages_loses_no_row() -> None:
    async with polled() as made:
        ones = made.account.add_old(3)
        mark = (await whole(made)).mark
        assert mark is not None
        made.account.tokens[mark] = ones[0].updated_at
        first = await changed(made, mark)
        assert first.next is not None
        made.account.tokens.clear()
        again = await changed(made, mark, first.next)
        rest = await changed(made, mark, again.next)
        assert [*ids(again), *ids(rest)] == [one.id for one in ones]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"success": False, "errors": ["missing_endpoint_permission"]}, Refused),
        ({"success": False, "errorInfo": {"code": "rate_limit_exceeded"}}, Unavailable),
        ({"success": False, "errors": ["invalid_input"]}, NotThere),
        ({"success": True, "results": {}}, Drift),
        ({"success": True}, Drift),
    ],
)
async def test_errors_that_come_with_status_200_are_no_empty_page(answer: object, problem: type[Exception]) -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers(answer)
        with pytest.raises(problem):
            await made.page()


async def test_the_history_tells_each_move_with_its_time_and_who_made_it() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        for stage in ("Phone Screen", "Onsite"):
            made.account.move(one, stage)
        [row] = (await made.page()).rows
        *_, first, second, now = await made.polls.details(row, made.polls.row_facts(row), made.api)
        applied, screen, onsite = (Stage(id=f"s-{name}", name=name) for name in made.account.stages[:3])
        assert [(each.from_stage, each.to_stage) for each in (first, second)] == [(applied, screen), (screen, onsite)]
        assert first.occurred_at is not None
        assert now.occurred_at == second.occurred_at is not None
        assert first.occurred_at <= second.occurred_at
        noor = Person(id="u1", name="Noor Haddad", email="noor@example.com")
        assert first.actor == second.actor == now.actor == noor


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        expected = [("applicationSubmit", CREATED), ("candidateStageChange", MOVED), ("candidateStageChange", DECIDED)]
        for (action, event), happens in zip(expected, (None, "Onsite", "declined"), strict=True):
            if happens == "Onsite":
                made.account.move(one, happens)
            elif happens == "declined":
                made.account.decline(one)
            rows = (await made.page()).rows
            receipt = webhook(action, rows[0])
            assert await told.by_webhook(receipt) == [event]
            assert await told.by_polling(rows, receipt, details=True) == []
