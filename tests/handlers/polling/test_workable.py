"""What is particular to polling Workable: pages by address, activities, and what only a candidate alone shows."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from handlers.base import Drift, Receipt
from handlers.polling import workable
from handlers.polling.workable import WorkablePolls
from handlers.reading import Node
from router.schema import Application, EventType, Fact, Outcome, Person, RejectionKind, RejectionReason, StageKind
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_workable import WorkableAccount
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED


def polled() -> AbstractAsyncContextManager[Reader[WorkableAccount, WorkablePolls]]:
    return reader(WorkableAccount(50), WorkablePolls)


def webhook(event: str, one: Applicant, account: WorkableAccount) -> Receipt:
    sent_at = one.updated_at.isoformat(timespec="milliseconds")
    body = {"id": "5f1a2b3c4d01", "event_type": event, "resource_type": "candidate", "fired_at": sent_at}
    return Receipt((), json.dumps({**body, "data": account.alone(one)}).encode(), one.updated_at)


def application_of(fact: Fact) -> Application:
    assert fact.application is not None
    return fact.application


async def only_row(made: Reader[WorkableAccount, WorkablePolls]) -> Node:
    [row] = (await made.page()).rows
    return row


async def details_of(made: Reader[WorkableAccount, WorkablePolls]) -> list[Fact]:
    row = await only_row(made)
    return list(await made.polls.details(row, made.polls.row_facts(row), made.api))


async def test_a_pass_follows_the_addresses_of_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workable, "PER_PAGE", 2)
    async with polled() as made:
        ones = made.account.add_old(4)
        since = ones[0].updated_at + timedelta(minutes=30)
        first = await made.page(since=since)
        second = await made.page(first.next, since)
        facts = [made.polls.row_facts(row)[-1] for row in (*first.rows, *second.rows)]
        assert [application_of(fact).id for fact in facts] == [one.id for one in ones[1:]]
        assert second.next is None
        asked = [urlsplit(asked.target) for asked in made.vendor.asked]
        assert [target.path for target in asked] == ["/candidates"] * 2
        assert dict(parse_qsl(asked[0].query)) == {"limit": "2", "updated_after": "2026-03-02T09:30:00Z"}
        assert dict(parse_qsl(asked[1].query)) == {**dict(parse_qsl(asked[0].query)), "since_id": "4"}


async def test_a_row_is_read_as_a_webhook() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.move(one, "Phone Screen")
        created, now = made.polls.row_facts(await only_row(made))
        application = application_of(now)
        assert application.stage is not None
        assert (application.stage.name, application.stage.kind) == ("Phone Screen", StageKind.SCREEN)
        assert (application.outcome, application.source) == (Outcome.PENDING, "linkedin.com")
        assert (created.occurred_at, now.occurred_at) == (one.created_at, one.updated_at.replace(microsecond=0))
        assert now.candidate is not None
        assert now.candidate.emails == [one.email]
        assert now.job is not None
        assert (now.job.id, now.job.title) == ("7B3C", "Engineer")


@pytest.mark.parametrize(
    ("withdrew", "kind", "actor"),
    [
        (False, RejectionKind.REJECTED_BY_COMPANY, Person(id="m2", name="Lena Hart")),
        (True, RejectionKind.WITHDRAWN_BY_CANDIDATE, None),
    ],
)
async def test_when_and_why_somebody_was_disqualified_is_asked_for(
    withdrew: bool, kind: RejectionKind, actor: Person | None
) -> None:
    async with polled() as made:
        made.account.withdrew = withdrew
        [one] = made.account.add_old(1)
        made.account.move(one, "Phone Screen")
        await asyncio.sleep(0.002)  # activities have milliseconds
        made.account.decline(one)
        listed = application_of(made.polls.row_facts(await only_row(made))[-1])
        assert listed.outcome is Outcome.DECLINED
        assert listed.rejection_reason == RejectionReason(name="Not a fit", kind=None)
        *_, moved, now = await details_of(made)
        assert application_of(now).rejection_reason == RejectionReason(name="Not a fit", kind=kind)
        assert application_of(now).rejected_at == one.updated_at.replace(microsecond=0)
        assert (moved.actor, now.actor) == (Person(id="m1", name="Noor Haddad"), actor)


async def test_who_disqualified_is_not_told_of_who_was_taken_back() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.move(one, "Phone Screen")
        await asyncio.sleep(0.002)
        made.account.decline(one)
        back = made.account.alone(one) | {"disqualified": False}
        answer = made.vendor.answer
        made.vendor.answer = lambda asked: (
            Answers({"candidates": [back]}) if asked.target.startswith("/candidates?") else answer(asked)
        )
        *_, now = await details_of(made)
        assert now.actor == Person(id="m1", name="Noor Haddad")
        assert application_of(now).outcome is Outcome.PENDING
        assert "/candidates/1001" not in [asked.target for asked in made.vendor.asked]


async def test_all_pages_of_activities_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        stages = ["Phone Screen", "Onsite", "Phone Screen", "Final Round"]
        for stage in stages:
            await asyncio.sleep(0.002)
            made.account.move(one, stage)
        monkeypatch.setattr(workable, "PER_PAGE", 2)
        _, *moves, now = await details_of(made)
        assert [move.to_stage and move.to_stage.name for move in moves] == stages
        assert [move.from_stage and move.from_stage.name for move in moves] == ["Applied", *stages[:-1]]
        assert now.occurred_at == moves[-1].occurred_at
        assert sum("/activities" in asked.target for asked in made.vendor.asked) == 3


async def test_an_answer_without_candidates_is_no_empty_page() -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers({"paging": {}})
        with pytest.raises(Drift, match="candidates: is missing"):
            await made.page()


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        created = webhook("candidate_created", one, made.account)
        assert await told.by_webhook(created) == [CREATED]
        assert await told.by_polling((await made.page()).rows, created, details=True) == []
        made.account.move(one, "Onsite")
        moved = webhook("candidate_moved", one, made.account)
        assert await told.by_webhook(moved) == [MOVED]
        assert await told.by_polling((await made.page()).rows, moved, details=True) == []
        made.account.decline(one)
        declined = webhook("candidate_moved", one, made.account)
        assert await told.by_webhook(declined) == [DECIDED]
        assert await told.by_polling((await made.page()).rows, declined, details=True) == []


async def test_webhooks_that_come_after_polling_told_it_are_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        await told.by_webhook(webhook("candidate_created", one, made.account))
        made.account.move(one, "Onsite")
        one.updated_at = one.moves[-1].at = one.updated_at - timedelta(seconds=5)  # webhooks tell whole seconds
        late = webhook("candidate_moved", one, made.account)
        made.account.hire(one)
        missed = webhook("candidate_moved", one, made.account)
        now = Receipt((), b"", datetime.now(UTC))
        assert await told.by_polling((await made.page()).rows, now, details=True) == [MOVED, DECIDED]
        assert await told.by_webhook(late, missed) == []
