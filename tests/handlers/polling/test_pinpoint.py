"""What is particular to polling Pinpoint: what was updated last comes first, and stages are all that decides."""

import json
from contextlib import AbstractAsyncContextManager
from urllib.parse import parse_qsl, urlsplit

import pytest

from handlers.base import Drift, Receipt
from handlers.polling import pinpoint
from handlers.polling.pinpoint import PinpointPolls
from router.schema import EventType, StageKind
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_pinpoint import PinpointAccount
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED


def polled() -> AbstractAsyncContextManager[Reader[PinpointAccount, PinpointPolls]]:
    return reader(PinpointAccount(50), PinpointPolls)


def webhook(event: str, one: Applicant) -> Receipt:
    at = int(one.updated_at.timestamp())
    body = {"event": event, "triggeredAt": at, "data": {"application": {"id": int(one.id)}, "job": {"id": 30412}}}
    return Receipt((), json.dumps(body).encode(), one.updated_at)


async def test_what_was_updated_last_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinpoint, "PER_PAGE", 2)
    async with polled() as made:
        ones = made.account.add_old(3)
        made.account.move(ones[0], "Onsite")
        first = await made.page()
        second = await made.page(first.next)
        subjects = [made.polls.row_facts(row)[0].subject for row in (*first.rows, *second.rows)]
        assert subjects == [f"a:{one.id}" for one in (ones[0], ones[2], ones[1])]
        last = await made.page(second.next)
        assert (last.rows, last.next) == ([], None)
        assert dict(parse_qsl(urlsplit(made.vendor.asked[-2].target).query)) == {
            "include": "job,stage,candidate",
            "sort": "-updated_at",
            "page[size]": "2",
            "page[number]": "2",
        }


async def test_a_row_is_read_and_kept_without_answers_on_equality() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.hire(one)
        [row] = (await made.page()).rows
        now = made.polls.handler.with_kind(made.polls.row_facts(row)[-1])
        assert now.application is not None
        assert now.application.stage is not None
        assert (now.application.stage.name, now.application.stage.kind) == ("Hired", StageKind.HIRED)
        assert now.application.outcome is None
        assert (now.application.created_at, now.application.updated_at) == (one.created_at, one.updated_at)
        assert now.candidate is not None
        assert now.candidate.emails == [one.email]
        assert now.job is not None
        assert now.job.title == "Chef"
        assert "Woman" not in json.dumps(row.raw)


async def test_an_answer_without_rows_is_no_empty_page() -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers({"errors": []})
        with pytest.raises(Drift, match="data: is missing"):
            await made.page()


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("application_created", one)
        assert await told.by_webhook(created) == [CREATED]
        assert await told.by_polling((await made.page()).rows, created) == []
        made.account.move(one, "Onsite")
        moved = webhook("application_moved", one)
        assert await told.by_webhook(moved) == [MOVED]
        assert await told.by_polling((await made.page()).rows, moved) == []
        made.account.hire(one)
        hired = webhook("application_hired", one)
        assert await told.by_webhook(hired) == [DECIDED]
        assert await told.by_webhook(webhook("application_moved", one)) == [MOVED]
        assert await told.by_polling((await made.page()).rows, hired) == []
