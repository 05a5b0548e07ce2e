"""What is particular to polling Lever: moves in the row, reasons that say what archiving means, a list of deletions."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from handlers.base import Drift, Receipt
from handlers.polling import lever
from handlers.polling.lever import LeverPolls
from handlers.reading import Node
from router.schema import Application, EventType, Fact, Outcome, Person, RejectionReason, Stage
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_lever import LeverAccount
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED
SINCE = datetime(2026, 3, 2, 9, 30, 7, 250_000, tzinfo=UTC)


def polled() -> AbstractAsyncContextManager[Reader[LeverAccount, LeverPolls]]:
    return reader(LeverAccount(50), LeverPolls)


def webhook(event: str, one: Applicant, **data: object) -> Receipt:
    body = {"id": f"{event} {one.updated_at}", "event": event, "triggeredAt": int(one.updated_at.timestamp() * 1000)}
    said = {"opportunityId": one.id, "contactId": f"c{one.number}", **data}
    return Receipt((), json.dumps({**body, "data": said}).encode(), one.updated_at)


def application_of(fact: Fact) -> Application:
    assert fact.application is not None
    return fact.application


async def only_row(made: Reader[LeverAccount, LeverPolls]) -> Node:
    [row] = (await made.page()).rows
    return row


async def test_a_pass_asks_for_all_that_changed_and_then_for_what_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lever, "PER_PAGE", 2)
    async with polled() as made:
        ones = made.account.add_old(6)
        for one in ones[3:]:
            made.account.delete(one)
        found, asked, cursor = [], [], None
        while True:
            page = await made.page(cursor, datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
            found += [made.polls.row_facts(row)[-1] for row in page.rows]
            asked.append(urlsplit(made.vendor.asked[-1].target))
            if (cursor := page.next) is None:
                break
        assert [application_of(fact).id for fact in found] == [one.id for one in ones[1:]]
        assert [fact.type is EventType.APPLICATION_DELETED for fact in found] == [False, False, True, True, True]
        assert found[-1].occurred_at is not None
        assert abs(found[-1].occurred_at - ones[-1].updated_at) < timedelta(milliseconds=2)
        assert [target.path for target in asked] == ["/opportunities", *["/opportunities/deleted"] * 2]
        assert parse_qsl(asked[0].query) == [
            ("expand", "applications"),
            ("expand", "stage"),
            ("confidentiality", "all"),
            ("updated_at_start", "1772443800000"),
            ("limit", "2"),
        ]
        assert dict(parse_qsl(asked[2].query)) == {"deleted_at_start": "1772443800000", "limit": "2", "offset": "[5]"}


async def test_a_pass_over_everything_asks_for_no_deletions() -> None:
    async with polled() as made:
        made.account.add_old(1)
        page = await made.page()
        assert (len(page.rows), page.next) == (1, None)
        assert "updated_at_start" not in made.vendor.asked[-1].target


async def test_the_type_of_its_reason_says_what_became_of_an_opportunity() -> None:
    async with polled() as made:
        ones = waiting, hired, declined = made.account.add_old(3)
        made.account.hire(hired)
        made.account.decline(declined)
        rows = (await made.page()).rows
        found = {application_of(fact).id: fact for row in rows for fact in made.polls.row_facts(row)[1:]}
        applications = [application_of(found[one.id]) for one in ones]
        assert [one.outcome for one in applications] == [Outcome.PENDING, Outcome.HIRED, Outcome.DECLINED]
        assert [one.hired_at is not None for one in applications] == [False, True, False]
        assert [one.rejected_at is not None for one in applications] == [False, False, True]
        assert applications[2].rejection_reason == RejectionReason(id="r-no", name="Not a fit")
        candidate = found[waiting.id].candidate
        assert candidate is not None
        assert candidate.emails == [waiting.email]
        await made.page()
        assert [asked.target for asked in made.vendor.asked].count("/archive_reasons/r-no") == 1


async def test_a_reason_that_lever_does_not_know_leaves_the_outcome_open() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.decline(one)
        answer = made.vendor.answer
        made.vendor.answer = lambda asked: Answers({}, 404) if "reasons" in asked.target else answer(asked)
        now = made.polls.row_facts(await only_row(made))[-1]
        assert application_of(now).outcome is None


async def test_details_tell_the_job_and_each_move_with_who_made_it() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        for stage in ("Phone Screen", "Onsite"):
            await asyncio.sleep(0.002)  # the API tells milliseconds
            made.account.move(one, stage)
        row = await only_row(made)
        created, first, second, now = await made.polls.details(row, made.polls.row_facts(row), made.api)
        applied, screen, onsite = (
            Stage(id=f"s-{name}".replace(" ", "-"), name=name, index=index)
            for index, name in enumerate(made.account.stages[:3])
        )
        assert (first.from_stage, first.to_stage) == (applied, screen)
        assert (second.from_stage, second.to_stage) == (screen, onsite)
        assert application_of(created).stage == applied
        assert application_of(now).stage == onsite.model_copy(update={"index": None})
        assert first.occurred_at is not None
        assert second.occurred_at is not None
        assert created.occurred_at is not None
        assert created.occurred_at < first.occurred_at < second.occurred_at
        assert second.actor == now.actor == Person(id="u1", name="Noor Haddad", email="noor@example.com")
        assert [fact.job and fact.job.title for fact in (created, first, now)] == ["Engineer"] * 3


async def test_more_without_where_and_no_list_are_drift() -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers({"data": [], "hasNext": True})
        with pytest.raises(Drift, match="next: is missing"):
            await made.page()
        made.vendor.answer = lambda _: Answers({"hasNext": False})
        with pytest.raises(Drift, match="data: is missing"):
            await made.page()


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("applicationCreated", one)
        assert await told.by_webhook(created) == [CREATED]
        assert await told.by_polling((await made.page()).rows, created, details=True) == []
        made.account.move(one, "Onsite")
        moved = webhook("candidateStageChange", one, toStageId="s-Onsite", fromStageId="s-Applied")
        assert await told.by_webhook(moved) == [MOVED]
        assert await told.by_polling((await made.page()).rows, moved, details=True) == []
        made.account.hire(one)
        archived = {"archivedAt": int(one.updated_at.timestamp() * 1000), "reason": "r-hired"}
        hired = webhook("candidateHired", one), webhook("candidateArchiveChange", one, toArchived=archived)
        assert await told.by_webhook(*hired) == [DECIDED]
        assert await told.by_polling((await made.page()).rows, hired[1], details=True) == []
        made.account.delete(one)
        deleted = webhook("candidateDeleted", one)
        assert await told.by_webhook(deleted) == [EventType.APPLICATION_DELETED]
        page = await made.page(since=SINCE)
        assert await told.by_polling((await made.page(page.next, SINCE)).rows, deleted) == []


async def test_webhooks_that_come_after_polling_told_it_are_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("applicationCreated", one)
        await told.by_webhook(created)
        for stage in ("Phone Screen", "Onsite"):
            await asyncio.sleep(0.002)
            made.account.move(one, stage)
        late = webhook("candidateStageChange", one, toStageId="s-Onsite", fromStageId="s-Phone-Screen")
        made.account.decline(one)
        archived = {"archivedAt": int(one.updated_at.timestamp() * 1000), "reason": "r-no"}
        missed = webhook("candidateArchiveChange", one, toArchived=archived)
        rows = (await made.page()).rows
        assert await told.by_polling(rows, missed, details=True) == [MOVED, MOVED, DECIDED]
        assert await told.by_webhook(late, missed) == []
