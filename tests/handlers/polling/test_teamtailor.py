"""What is particular to polling Teamtailor: JSON:API with its related objects, numbered pages, flat webhooks."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from handlers.base import Drift, Receipt
from handlers.polling import teamtailor
from handlers.polling.teamtailor import TeamtailorPolls
from router.schema import EventType, Outcome, RejectionKind, RejectionReason, Stage, StageKind
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_teamtailor import TeamtailorAccount, stage_id
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED


def polled() -> AbstractAsyncContextManager[Reader[TeamtailorAccount, TeamtailorPolls]]:
    return reader(TeamtailorAccount(50), TeamtailorPolls)


def webhook(event: str, one: Applicant, stage: str, *, rejected: bool = False) -> Receipt:
    """The flat body that public receivers got, which has no id of the stage."""
    at = one.updated_at.isoformat(timespec="milliseconds")
    person = {"id": 7, "first_name": one.first_name, "last_name": "Lovelace", "email": one.email, "phone": "0123"}
    body = {
        "event_name": f"job_application.{event}",
        "id": int(one.id),
        "candidate": person,
        "job_id": 55,
        "job_title": "Engineer",
        "stage_name": stage,
        "last_moved_at": at,
        "rejected_at": at if rejected else None,
        "referer_id": 3,
        "referring_site": "Indeed",
        "updated_at": at,
    }
    return Receipt((), json.dumps(body).encode(), one.updated_at)


async def test_a_pass_asks_for_what_changed_with_all_that_is_related(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teamtailor, "PER_PAGE", 2)
    async with polled() as made:
        made.account.add_old(3)
        since = datetime(2026, 3, 2, 0, 30, 7, 999, tzinfo=UTC)
        first = await made.page(since=since)
        second = await made.page(first.next, since)
        assert (len(first.rows), len(second.rows), second.next, first.total) == (2, 1, None, 3)
        asked = made.vendor.asked[-1]
        assert dict(parse_qsl(urlsplit(asked.target).query)) == {
            "include": "candidate,job,stage,reject-reason",
            "sort": "-changed_stage_at",
            "page[size]": "2",
            "page[number]": "2",
            "filter[updated-at][from]": "2026-03-02T00:30:07Z",
        }
        assert asked.headers["x-api-version"] == "20240904"


async def test_rows_are_read_with_the_objects_that_are_theirs() -> None:
    async with polled() as made:
        waiting, declined, hired = made.account.add_old(3)
        made.account.move(waiting, "Onsite")
        made.account.decline(declined)
        made.account.hire(hired)
        found = [made.polls.row_facts(row)[-1] for row in (await made.page()).rows]
        facts = {fact.application.id: made.polls.handler.with_kind(fact) for fact in found if fact.application}
        application = facts[waiting.id].application
        assert application is not None
        assert application.stage == Stage(id=stage_id("Onsite"), name="Onsite", kind=None)
        assert (application.outcome, application.source) == (Outcome.PENDING, "LinkedIn")
        assert facts[waiting.id].occurred_at is not None
        assert facts[waiting.id].occurred_at == application.updated_at
        assert [fact.candidate and fact.candidate.first_name for fact in facts.values()].count("Ada1") == 1
        application = facts[declined.id].application
        assert application is not None
        assert application.outcome is Outcome.DECLINED
        assert application.rejection_reason == RejectionReason(
            id="31", name="Not a fit", kind=RejectionKind.REJECTED_BY_COMPANY
        )
        application = facts[hired.id].application
        assert application is not None
        assert application.outcome is Outcome.HIRED
        assert application.stage is not None
        assert application.stage.kind is StageKind.HIRED


async def test_an_answer_without_rows_is_no_empty_page() -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers({"errors": []})
        with pytest.raises(Drift, match="data: is missing"):
            await made.page()


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("create", one, one.stage)
        assert await told.by_webhook(created) == [CREATED]
        assert await told.by_polling((await made.page()).rows, created) == []
        made.account.move(one, "Onsite")
        moved = webhook("update", one, "Onsite")
        assert await told.by_webhook(moved) == [MOVED]
        assert await told.by_polling((await made.page()).rows, moved) == []
        made.account.hire(one)
        hired = webhook("update", one, "Hired")
        assert await told.by_webhook(hired) == [MOVED, DECIDED]
        assert await told.by_polling((await made.page()).rows, hired) == []


async def test_a_webhook_that_comes_after_polling_told_it_is_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("create", one, one.stage)
        await told.by_webhook(created)
        made.account.move(one, "Onsite")
        late = webhook("update", one, "Onsite")
        await asyncio.sleep(0.002)  # the API tells milliseconds
        made.account.decline(one)
        missed = webhook("update", one, "Onsite", rejected=True)
        assert await told.by_polling((await made.page()).rows, created) == [MOVED, DECIDED]
        assert await told.by_webhook(late, missed) == []
