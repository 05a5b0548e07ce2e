"""What is particular to polling Recruitee: placements with references beside them, and webhooks with a clock."""

import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Drift, Receipt
from handlers.enriching import Refused
from handlers.polling import recruitee
from handlers.polling.recruitee import RecruiteePolls
from handlers.recruitee import Recruitee
from router.schema import Application, EventType, Outcome, RejectionReason, Stage, StageKind
from router.secret import Reference
from tests.handlers.polling.account import Applicant
from tests.handlers.polling.account_recruitee import OFFERS, RecruiteeAccount, stage_id
from tests.handlers.polling.reader import Reader, Told, reader
from tests.handlers.vendor_api import Answers
from tests.handlers.vendors import handler_of

CREATED, MOVED, DECIDED = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED


def polled() -> AbstractAsyncContextManager[Reader[RecruiteeAccount, RecruiteePolls]]:
    return reader(RecruiteeAccount(50), RecruiteePolls)


async def applications(made: Reader[RecruiteeAccount, RecruiteePolls]) -> dict[str, Application]:
    facts = [made.polls.row_facts(row)[-1] for row in (await made.page()).rows]
    return {fact.application.id: fact.application for fact in facts if fact.application}


def webhook(one: Applicant, event: str, *, subtype: str, details: object) -> Receipt:
    """As public receivers got it: Recruitee's own clock stands in the envelope, a moment after the change."""
    candidate, _, offer = one.id.partition(":")
    job = {"id": int(offer), "title": OFFERS[offer], "kind": "job", "department": None}
    person = {"id": int(candidate), "name": one.first_name, "emails": [], "phones": [], "source": "career_site"}
    at = one.updated_at + timedelta(milliseconds=200)
    envelope = {"id": f"{event} {at}", "created_at": at.isoformat(), "event_type": event, "event_subtype": subtype}
    payload = {"candidate": person, "details": details, **({"offers": [job]} if "created" in event else {"offer": job})}
    return Receipt((), json.dumps({**envelope, "payload": payload}).encode(), at)


def stage(name: str) -> dict[str, Any]:
    return {"id": stage_id(name), "name": name}


def creation(one: Applicant) -> Receipt:
    return webhook(one, "candidate_created", subtype="career_site", details={"stage": stage(one.stage)})


def move(one: Applicant, before: str, to: str) -> Receipt:
    details = {"from_stage": stage(before), "to_stage": stage(to)}
    return webhook(one, "candidate_moved", subtype="stage_changed", details=details)


async def test_a_pass_reads_all_placements_whatever_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recruitee, "PER_PAGE", 3)
    async with polled() as made:
        ones = made.account.add_old(7)
        found: list[str] = []
        cursor, since = None, datetime(2026, 6, 1, tzinfo=UTC)
        while True:
            page = await made.page(cursor, since)
            found += [made.polls.row_facts(row)[0].subject for row in page.rows]
            if (cursor := page.next) is None:
                break
        assert sorted(found) == sorted(f"a:{one.id}" for one in ones)
        assert [asked.target for asked in made.vendor.asked] == [
            f"/c/78057/candidates?limit=3&offset={offset}&sort=by_date" for offset in (0, 3, 5)
        ]


async def test_stages_jobs_and_decisions_are_read_from_what_stands_beside() -> None:
    async with polled() as made:
        waiting, declined, second = made.account.add_old(3)
        made.account.move(waiting, "Onsite")
        made.account.decline(declined)
        made.account.hire(second)
        found = await applications(made)
        assert found[waiting.id].stage == Stage(id=str(stage_id("Onsite")), name="Onsite", kind=StageKind.INTERVIEW)
        assert found[waiting.id].updated_at == waiting.updated_at
        assert found[waiting.id].created_at == waiting.created_at
        assert (found[waiting.id].outcome, found[waiting.id].is_prospect) == (Outcome.PENDING, False)
        assert found[declined.id].outcome is Outcome.DECLINED
        assert found[declined.id].rejection_reason == RejectionReason(name="Wrong skill set")
        assert (found[second.id].outcome, found[second.id].hired_at) == (Outcome.HIRED, second.decided_at)
        [row] = [row for row in (await made.page()).rows if made.polls.row_facts(row)[0].subject == f"a:{second.id}"]
        job = made.polls.row_facts(row)[-1].job
        assert job is not None
        assert (job.id, job.title) == ("12", "Designer")
        assert "placements" not in json.dumps(row.raw)


async def test_without_references_stages_have_ids_and_categories_are_known_by_name() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        made.account.hire(one)
        answer = made.account.answer

        def changed(references: list[dict[str, Any]]) -> None:
            def answered(asked: Any) -> Answers:
                body = answer(asked).body
                assert isinstance(body, dict)
                return Answers({**body, "references": references})

            made.vendor.answer = answered

        changed([])
        bare = (await applications(made))[one.id]
        assert (bare.stage, bare.outcome) == (Stage(id=str(stage_id("Hired"))), Outcome.PENDING)
        changed([{"type": "Stage", "id": stage_id("Hired"), "name": "Hired"}])
        assert (await applications(made))[one.id].outcome is Outcome.HIRED


async def test_refusals_and_answers_without_candidates() -> None:
    async with polled() as made:
        made.vendor.answer = lambda _: Answers({"error": ["x"]})
        with pytest.raises(Drift, match="candidates: is missing"):
            await made.page()
        made.vendor.answer = lambda _: made.account.unauthorised()
        with pytest.raises(Refused):
            await made.page()


async def test_after_webhooks_polling_tells_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        assert await told.by_webhook(creation(one)) == [CREATED]
        assert await told.by_polling((await made.page()).rows, creation(one)) == []
        made.account.move(one, "Onsite")
        moved = move(one, "Applied", "Onsite")
        assert await told.by_webhook(moved) == [MOVED]
        assert await told.by_polling((await made.page()).rows, moved) == []
        made.account.decline(one)
        declined = webhook(one, "candidate_moved", subtype="disqualified", details={})
        assert await told.by_webhook(declined) == [DECIDED]
        assert await told.by_polling((await made.page()).rows, declined) == []


async def test_a_hire_that_a_webhook_told_by_the_stage_is_nothing_new() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        await told.by_webhook(creation(one))
        made.account.hire(one)
        hired = move(one, "Applied", "Hired")
        assert await told.by_webhook(hired) == [MOVED, DECIDED]
        assert await told.by_polling((await made.page()).rows, hired) == []


async def test_webhooks_that_are_tried_again_after_polling_take_nothing_back() -> None:
    async with polled() as made:
        [one] = made.account.add_old(1)
        told = Told(made.polls, made.api)
        await told.by_webhook(creation(one))
        made.account.move(one, "Phone Screen")
        first = move(one, "Applied", "Phone Screen")
        one.updated_at += timedelta(minutes=1)
        made.account.move(one, "Onsite")
        one.updated_at += timedelta(minutes=2)
        last = move(one, "Phone Screen", "Onsite")
        assert await told.by_polling((await made.page()).rows, creation(one)) == [MOVED]
        assert await told.by_webhook(first) == [MOVED]  # late: what polling did not see
        assert await told.by_webhook(last) == []
        assert await told.by_polling((await made.page()).rows, last) == []


def polls_with(**settings: object) -> RecruiteePolls:
    given = {"vendor": "recruitee", "secret": Reference("s"), **settings}
    return RecruiteePolls(Recruitee(Recruitee.Settings.model_validate(given)))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="api_token and company_id go together"):
        handler_of("recruitee", api_token="t-1")
    with pytest.raises(ValidationError, match="company_id"):
        handler_of("recruitee", api_token="t-1", company_id="acme/../other")
    assert polls_with().access() is None
    access = polls_with(api_token=Reference("t-1"), company_id="acme").access()
    assert access is not None
    assert (access.base, access.headers) == ("https://api.recruitee.com/c/acme", {"authorization": "Bearer t-1"})
    assert "t-1" not in repr(access)
