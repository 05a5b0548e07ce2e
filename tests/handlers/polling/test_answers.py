"""What adapters make of errors that come with a success code, and of what only another call tells."""

from datetime import datetime

import pytest

from handlers import polling as adapters
from handlers.base import Drift
from handlers.enriching import ApiProblem, Refused, Unavailable
from router.schema import EventType, Fact, Outcome
from tests.handlers.polling.reader import reader
from tests.handlers.polling.world import accounts
from tests.handlers.vendor_api import Answers

_FAULT = "<e:Envelope xmlns:e='x'><e:Body><e:Fault><faultcode>e:%s</faultcode></e:Fault></e:Body></e:Envelope>"


def _kombo(code: str) -> Answers:
    return Answers({"status": "error", "error": {"code": code, "title": None, "message": "ada@example.com"}})


@pytest.mark.parametrize(
    ("account", "answer", "kind", "wait"),
    [
        ("kombo", _kombo("PLATFORM.RATE_LIMIT_EXCEEDED"), Unavailable, None),
        ("kombo", _kombo("REMOTE.SERVICE_UNAVAILABLE"), Unavailable, None),
        ("kombo", _kombo("INTEGRATION.AUTHENTICATION_INVALID"), Refused, None),
        ("bamboohr", Answers({"error": {"code": 429, "message": "Over rate limit"}}), Unavailable, 60.0),
        ("bamboohr", Answers({"error": {"code": 500, "message": "no"}}), Unavailable, None),
        ("bamboohr", Answers({"error": {"code": 403, "message": "no"}}), Refused, None),
        ("jobvite", Answers({"status": "INVALID_KEY_SECRET", "responseMessage": "no"}), Refused, None),
        ("jobvite", Answers({"status": {"code": 401, "messages": []}}), Refused, None),
        ("jobvite", Answers({"errors": {"code": 500, "messages": ["no"]}}), Unavailable, None),
        ("applicantstack", Answers({"error": "something went wrong"}), Unavailable, None),
        ("workday soap", Answers((_FAULT % "Client.authenticationError").encode(), 500), Refused, None),
        ("workday soap", Answers((_FAULT % "Server.processingError").encode(), 500), Unavailable, None),
        ("ashby", Answers({"success": False, "errors": ["missing_endpoint_permission"]}), Refused, None),
    ],
)
async def test_an_error_with_a_success_code_is_an_error(
    account: str, answer: Answers, kind: type[ApiProblem], wait: float | None
) -> None:
    made_up = accounts()[account]()
    async with reader(made_up, adapters.by_vendor()[made_up.vendor]) as made:
        made.vendor.answer = lambda _: answer
        with pytest.raises(kind) as problem:
            await made.page()
    assert getattr(problem.value, "wait", None) == wait
    assert "ada@example.com" not in str(problem.value)


@pytest.mark.parametrize("account", sorted(accounts()))
async def test_an_answer_that_is_no_list_is_no_empty_page(account: str) -> None:
    made_up = accounts()[account]()
    async with reader(made_up, adapters.by_vendor()[made_up.vendor]) as made:
        made.vendor.answer = lambda _: Answers({"unexpected": True})
        with pytest.raises((Drift, ApiProblem)):
            await made.page()


async def moved(account: str) -> tuple[Fact, datetime]:
    """The present state of an application that moved once, with what another call tells, and when it moved."""
    made_up = accounts()[account]()
    async with reader(made_up, adapters.by_vendor()[made_up.vendor]) as made:
        [one] = made_up.add_old(1)
        made_up.move(one, made_up.stages[1])
        [row] = (await made.page()).rows
        facts = await made.polls.details(row, made.polls.row_facts(row), made.api)
        return facts[-1], one.moves[-1].at


@pytest.mark.parametrize("account", ["bamboohr", "applicantstack", "stackone", "workable", "ashby", "lever"])
async def test_who_moved_an_application_and_when_is_told(account: str) -> None:
    now, at = await moved(account)
    assert now.type is EventType.APPLICATION_UPDATED
    assert now.actor is not None
    assert now.actor.name == "Noor Haddad"
    assert now.occurred_at is not None
    assert abs((now.occurred_at - at).total_seconds()) < 1.0


async def test_when_an_application_moved_is_told_by_personio() -> None:
    now, at = await moved("personio")
    assert now.occurred_at == at


async def test_manatal_tells_names_by_calls_of_their_own() -> None:
    now, _ = await moved("manatal")
    assert now.candidate is not None
    assert (now.candidate.name, now.candidate.emails) == ("Ada1 Okafor", ["ada1@example.com"])
    assert now.job is not None
    assert now.job.title == "Analyst"


async def test_of_several_changes_stackone_tells_who_made_the_last() -> None:
    made_up = accounts()["stackone"]()
    async with reader(made_up, adapters.by_vendor()["stackone"]) as made:
        made_up.add_old(1)
        [row] = (await made.page()).rows
        changes = [
            {
                "change_type": {"value": "interview_stage"},
                "effective_at": f"2026-06-0{day}T10:00:00Z",
                "actor": {"id": who},
            }
            for day, who in ((1, "first"), (3, "last"), (2, "second"))
        ]
        made.vendor.answer = lambda _: Answers({"next": None, "data": changes})
        facts = await made.polls.details(row, made.polls.row_facts(row), made.api)
    assert facts[-1].actor is not None
    assert facts[-1].actor.id == "last"


async def test_applicantstack_is_asked_for_hires_after_candidates() -> None:
    made_up = accounts()["applicantstack"]()
    async with reader(made_up, adapters.by_vendor()["applicantstack"]) as made:
        made_up.add_old(1)
        hires = Answers({"Hires": [{"Hire Serial": "h1", "Stage": "Paperwork"}], "NumPages": 1})
        made.vendor.answer = lambda asked: hires if "/o/api/hires/1" in asked.target else made_up.answer(asked)
        candidates = await made.page()
        page = await made.page(candidates.next)
        assert page.next is None
        [row] = page.rows
        application = made.polls.row_facts(row)[-1].application
        assert application is not None
        assert (application.id, application.outcome) == ("h1", Outcome.HIRED)
        made.vendor.answer = made_up.answer  # an account without onboarding
        without = await made.page(candidates.next)
        assert (without.rows, without.next) == ((), None)
