"""What is particular to polling Greenhouse: Harvest v3, whose rows hold ids and other words than webhooks."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from handlers.base import Drift, Receipt
from handlers.enriching import Access, NotThere
from handlers.greenhouse import Greenhouse
from handlers.polling import greenhouse
from handlers.polling.greenhouse import GreenhousePolls
from handlers.reading import Node
from router.schema import Application, Candidate, EventType, Fact, Job, Outcome, RejectionReason, Stage
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_greenhouse import GreenhouseAccount, stage_id
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers
from tests.handlers.vendors import handler_of

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED
ONSITE = Stage(id=str(stage_id("Onsite")), name="Onsite")


def polled() -> AbstractAsyncContextManager[Reader[GreenhouseAccount, GreenhousePolls]]:
    return reader(GreenhouseAccount(50), GreenhousePolls)


def webhook(action: str, one: Applicant, status: str = "active") -> Receipt:
    """The stage is told of those too who are decided."""
    at = f"{one.updated_at:%Y-%m-%dT%H:%M:%SZ}"
    application = {
        "id": int(one.id),
        "status": status,
        "prospect": False,
        "applied_at": f"{one.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "last_activity_at": at,
        "rejected_at": at if status == "rejected" else None,
        "current_stage": {"id": stage_id(one.stage), "name": one.stage, "interviews": []},
        "candidate": {"id": one.number, "first_name": one.first_name, "last_name": "Lovelace"},
        "jobs": [{"id": 512033, "name": "Engineer"}],
    }
    body = {"action": action, "payload": {"application": application}}
    return Receipt((), json.dumps(body).encode(), one.updated_at)


def application_of(fact: Fact) -> Application:
    assert fact.application is not None
    return fact.application


async def only_row(made: Reader[GreenhouseAccount, GreenhousePolls]) -> Node:
    [row] = (await made.page()).rows
    return row


async def test_a_pass_turns_pages_by_the_cursor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(greenhouse, "PER_PAGE", 2)
    async with polled() as made:
        ones = made.account.add_old(4)
        since = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        first = await made.page(since=since)
        second = await made.page(first.next, since)
        found = [application_of(made.polls.row_facts(row)[-1]).id for row in (*first.rows, *second.rows)]
        assert found == [one.id for one in ones[:0:-1]]
        assert second.next is None
        token, *asked = made.vendor.asked
        assert token.json == {"grant_type": "client_credentials", "sub": "4107"}
        assert parse_qsl(urlsplit(asked[0].target).query) == [
            ("per_page", "2"),
            ("last_activity_at", "gte|2026-03-02T09:30:00Z"),
        ]
        assert [name for name, _ in parse_qsl(urlsplit(asked[1].target).query)] == ["cursor"]
        with pytest.raises(NotThere):
            await made.page(f"{first.next}&per_page=2")


def test_without_a_user_greenhouse_asks_as_who_it_likes_and_without_credentials_not_at_all() -> None:
    def access_of(**settings: object) -> Access | None:
        handler = handler_of("greenhouse", **settings)
        assert isinstance(handler, Greenhouse)
        return GreenhousePolls(handler).access()

    access = access_of(client_id="cid", client_secret="made-up")
    assert access is not None
    assert access.grant is not None
    assert access.grant.form == {"grant_type": "client_credentials"}
    assert access.grant.authorization == "Basic Y2lkOm1hZGUtdXA="
    assert "Y2lk" not in repr(access)
    assert access_of() is None


async def test_a_row_is_read_in_the_words_of_webhooks() -> None:
    async with polled() as made:
        waiting, hired, declined = made.account.add_old(3)
        made.account.move(waiting, "Onsite")
        made.account.hire(hired)
        made.account.decline(declined)
        facts = [made.polls.row_facts(row) for row in (await made.page()).rows]
        found = {application_of(now).id: (created, now) for created, now in facts}
        created, now = found[waiting.id]
        assert (application_of(now).outcome, application_of(now).stage) == (Outcome.PENDING, ONSITE)
        assert (now.candidate, now.job) == (Candidate(id="1"), Job(id="512033"))
        assert created.occurred_at == waiting.created_at
        assert now.occurred_at == application_of(now).updated_at
        assert (application_of(found[hired.id][1]).outcome, application_of(found[hired.id][1]).stage) == (
            Outcome.HIRED,
            None,
        )
        application = application_of(found[declined.id][1])
        assert (application.outcome, application.stage) == (Outcome.DECLINED, None)
        assert application.rejection_reason == RejectionReason(id="14")
        assert found[declined.id][1].occurred_at == application.rejected_at is not None


async def test_the_id_of_a_visit_is_never_taken_for_that_of_the_stage() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.move(one, "Onsite")
        row = (await only_row(made)).raw
        older = Node.of({name: value for name, value in row.items() if name != "job_interview_stage_id"})
        stage = application_of(made.polls.row_facts(older)[-1]).stage
        assert stage == Stage(name="Onsite")
        assert stage.same_as(ONSITE)


async def test_details_tell_who_it_is_and_the_job_as_far_as_they_are_shown() -> None:
    async with polled() as made:
        ones = made.account.add_old(2)
        for row in (await made.page()).rows:
            *_, now = await made.polls.details(row, made.polls.row_facts(row), made.api)
            assert now.job == Job(id="512033", title="Engineer", requisition_id="ENG-204", status="open")
        assert now.candidate is not None
        assert (now.candidate.name, now.candidate.emails) == ("Ada1 Lovelace", [ones[0].email])
        assert [asked.target for asked in made.vendor.asked].count("/v3/jobs?ids=512033") == 1
        made.account.applicants.clear()
        *_, now = await made.polls.details(row, made.polls.row_facts(row), made.api)
        assert now.candidate == Candidate(id="1")


async def test_an_answer_that_is_no_list_is_no_empty_page() -> None:
    async with polled() as made:
        made.vendor.answer = lambda asked: (
            made.account.answer(asked) if asked.target == "/token" else Answers({"message": "maintenance"})
        )
        with pytest.raises(Drift, match="items: is missing"):
            await made.page()


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("new_candidate_application", one)
        assert await told.by_webhook(created) == [CREATED]
        assert await told.by_polling((await made.page()).rows, created, details=True) == []
        made.account.move(one, "Onsite")
        moved = webhook("candidate_stage_change", one)
        assert await told.by_webhook(moved) == [MOVED]
        assert await told.by_polling((await made.page()).rows, moved, details=True) == []
        made.account.decline(one)
        declined = webhook("reject_candidate", one, "rejected")
        assert await told.by_webhook(declined) == [DECIDED]
        assert await told.by_polling((await made.page()).rows, declined, details=True) == []


async def test_webhooks_that_come_after_polling_told_it_are_nothing_new() -> None:
    async with polled() as made:
        one, another = made.account.add_old(2)
        told = Told(made.polls, made.api)
        await told.by_webhook(*(webhook("new_candidate_application", each) for each in (one, another)))
        made.account.move(one, "Onsite")
        late = webhook("candidate_stage_change", one)
        await asyncio.sleep(0.002)
        made.account.hire(another)
        missed = webhook("hire_candidate", another, "hired")
        now = Receipt((), b"", datetime.now(UTC))
        assert sorted(await told.by_polling((await made.page()).rows, now, details=True)) == [DECIDED, MOVED]
        assert await told.by_webhook(late, missed) == []
