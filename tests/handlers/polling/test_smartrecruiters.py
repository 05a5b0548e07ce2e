"""What is particular to polling SmartRecruiters: candidates on several jobs, histories, and webhooks of bare ids."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest

from handlers.base import Drift, Receipt
from handlers.enriching import NotThere
from handlers.polling import smartrecruiters
from handlers.polling.smartrecruiters import SmartRecruitersPolls
from handlers.reading import Node
from router.schema import EventType, Outcome, RejectionKind, RejectionReason, Stage, StageKind
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_smartrecruiters import SmartRecruitersAccount
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED

CREATION = Receipt((), b"", datetime.now(UTC))


def polled() -> AbstractAsyncContextManager[Reader[SmartRecruitersAccount, SmartRecruitersPolls]]:
    return reader(SmartRecruitersAccount(50), SmartRecruitersPolls)


async def row_of(one: Applicant, made: Reader[SmartRecruitersAccount, SmartRecruitersPolls]) -> Node:
    rows = (await made.page()).rows
    return next(row for row in rows if made.polls.row_facts(row)[0].subject == f"a:{one.id}")


def webhook(event: str, one: Applicant, at: datetime) -> Receipt:
    candidate, job = one.id.split(":")
    headers = {"event-name": event, "event-id": f"{event} {at}", "smartrecruiters-timestamp": str(int(at.timestamp()))}
    body = json.dumps({"candidate_id": candidate, "job_id": job}).encode()
    return Receipt(tuple(headers.items()), body, at)


async def test_a_pass_reads_every_job_of_every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smartrecruiters, "PER_PAGE", 2)
    async with polled() as made:
        ones = made.account.add_old(7)
        made.account.move(ones[2], "Onsite")
        found, cursor = [], None
        while True:
            page = await made.page(cursor)
            found += [made.polls.row_facts(row)[-1] for row in page.rows]
            if (cursor := page.next) is None:
                break
        assert [fact.subject for fact in found] == [f"a:{one.id}" for one in ones]
        assert page.total == 5
        second = found[2].application
        assert second is not None
        assert second.stage == Stage(id="INTERVIEW/Onsite", name="Onsite", kind=StageKind.INTERVIEW)
        targets = [asked.target for asked in made.vendor.asked]
        assert targets[0] == "/candidates?limit=2"
        assert targets[1] == "/candidates/candidate-2/jobs/job-2"
        assert targets[2].startswith("/candidates?limit=2&pageId=")
        assert targets[2].endswith("%3D")


async def test_only_what_was_updated_since_is_asked_for() -> None:
    async with polled() as made:
        ones = made.account.add_old(4)
        made.account.hire(ones[3])
        page = await made.page(since=datetime(2026, 5, 1, 12, 30, tzinfo=UTC))
        assert made.vendor.asked[-1].target == "/candidates?limit=100&updatedAfter=2026-05-01T12:30:00.000%2B00:00"
        [(_, now)] = [made.polls.row_facts(row) for row in page.rows]
        assert now.application is not None
        assert (now.application.id, now.application.outcome) == (ones[3].id, Outcome.HIRED)
        assert now.application.created_at is None


async def test_details_tell_the_history_the_reason_and_the_job() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.move(one, "Phone Screen")
        await asyncio.sleep(0.002)  # the API tells milliseconds
        made.account.decline(one)
        row = await row_of(one, made)
        created, *moves, now = await made.polls.details(row, made.polls.row_facts(row), made.api)
        assert [(move.from_stage and move.from_stage.name, move.to_stage and move.to_stage.name) for move in moves] == [
            ("NEW", "Phone Screen"),
            ("Phone Screen", "REJECTED"),
        ]
        assert [move.application and move.application.outcome for move in moves] == [Outcome.PENDING, Outcome.DECLINED]
        assert now.application is not None
        assert now.application.rejection_reason == RejectionReason(
            id="reason-1", name="Lacks experience", kind=RejectionKind.REJECTED_BY_COMPANY
        )
        assert moves[-1].application == now.application
        assert now.application.created_at == one.created_at
        assert now.occurred_at == now.application.rejected_at == moves[-1].occurred_at
        assert now.job is not None
        assert (now.job.requisition_id, now.job.departments) == ("R-job-1", ["IT"])
        assert created.type is CREATED


async def test_an_application_that_polling_finds_has_come_to_its_first_status() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.move(one, "Phone Screen")
        row = await row_of(one, made)
        [created, *_] = facts = await made.polls.details(row, made.polls.row_facts(row), made.api)
        assert created.occurred_at == one.created_at
        assert created.application is not None
        assert created.application.stage == Stage(id="NEW", name="NEW", kind=StageKind.APPLIED)
        assert [fact.is_snapshot for fact in facts] == [False, False, True]
        assert await Told(made.polls, made.api).by_polling([row], CREATION, details=True) == [CREATED, MOVED]


async def test_what_is_gone_since_is_no_row() -> None:
    async with polled() as made:
        ones = made.account.add_old(3)
        rows = (await made.page()).rows
        made.account.delete(ones[1])
        with pytest.raises(NotThere):
            await made.polls.details(rows[1], made.polls.row_facts(rows[1]), made.api)
        answer = made.account.answer
        made.vendor.answer = lambda asked: Answers({}, 404) if "/jobs/" in asked.target else answer(asked)
        made.account.applicants[1].deleted = False
        assert len((await made.page()).rows) == 2


@pytest.mark.parametrize("body", [{"totalFound": 0}, {"content": {}, "totalFound": 0}])
async def test_an_answer_without_candidates_is_no_empty_page(body: object) -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers(body)
        with pytest.raises(Drift, match="content: is"):
            await made.page()


async def test_one_candidate_that_can_not_be_read_does_not_stop_the_others() -> None:
    async with polled() as made:
        person = {"id": "c", "secondaryAssignments": [{"job": {}}]}
        made.vendor.answer = lambda _: Answers({"content": [person, {}], "totalFound": 2})
        [row] = (await made.page()).rows
        with pytest.raises(Drift, match="id: is missing"):
            made.polls.row_facts(row)


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("application.created", one, one.created_at)
        assert await told.by_webhook(created) == [CREATED]
        assert await told.by_polling([await row_of(one, made)], created) == []
        made.account.move(one, "Phone Screen")
        moved = webhook("application.status.updated", one, one.updated_at)
        assert await told.by_webhook(moved) == [MOVED]
        for details in (False, True):
            assert await told.by_polling([await row_of(one, made)], moved, details=details) == []
        made.account.hire(one)
        hired = webhook("application.status.updated", one, one.updated_at)
        assert await told.by_webhook(hired) == [MOVED, DECIDED]
        for details in (True, False):
            assert await told.by_polling([await row_of(one, made)], hired, details=details) == []


async def test_a_webhook_that_comes_after_polling_told_it_is_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        await told.by_webhook(webhook("application.created", one, one.created_at))
        made.account.move(one, "Phone Screen")
        first = webhook("application.status.updated", one, one.updated_at - timedelta(seconds=2))
        await asyncio.sleep(0.002)
        made.account.move(one, "Onsite")
        missed = webhook("application.status.updated", one, one.updated_at)
        assert await told.by_polling([await row_of(one, made)], first, details=True) == [MOVED, MOVED]
        assert await told.by_webhook(missed) == []
