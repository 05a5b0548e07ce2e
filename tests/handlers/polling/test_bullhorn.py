"""Bullhorn: sessions, and what a submission went through."""

import pytest

from handlers.enriching import Refused
from handlers.polling.bullhorn import BullhornPolls
from router.schema import EventType
from tests.handlers.polling.account_bullhorn import BullhornAccount
from tests.handlers.polling.reader import reader
from tests.handlers.vendor_api import Answers, Asked


async def test_a_session_is_logged_in_once_and_anew_when_it_ended() -> None:
    async with reader(BullhornAccount(), BullhornPolls) as made:
        made.account.add_old(1)
        await made.page()
        await made.page()
        assert made.account.sessions == 1
        made.account.sessions += 1  # the one that was given is no longer valid
        assert (await made.page()).rows
        assert made.account.sessions == 3


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        (
            "/oauth/authorize",
            Answers(None, 302, {"location": "https://example.com/?error=x"}),
            "does not let this API user",
        ),
        ("/oauth/authorize", Answers(None, 307, {"location": "https://auth-emea.bullhornstaffing.com/x"}), "auth-emea"),
        ("/oauth/token", Answers({"error": "invalid_client"}, 400), "refuses to log in"),
        ("/oauth/token", Answers({"error": "no"}), "no access token"),
        ("/rest-services/login", Answers({}, 403), "refuses to log in"),
    ],
)
async def test_why_nobody_is_let_in_is_said_without_a_secret(path: str, answer: Answers, words: str) -> None:
    async with reader(BullhornAccount(), BullhornPolls) as made:

        def refusing(asked: Asked) -> Answers:
            return answer if asked.target == path else made.account.answer(asked)

        made.vendor.answer = refusing
        with pytest.raises(Refused, match=words) as refused:
            await made.page()
        assert made.account.key not in str(refused.value)


async def test_the_history_tells_each_status_with_time_and_actor() -> None:
    async with reader(BullhornAccount(), BullhornPolls) as made:
        one = made.account.add()
        made.account.move(one, "Onsite")
        made.account.hire(one)
        [row] = (await made.page()).rows
        facts = await made.polls.details(row, made.polls.row_facts(row), made.api)
        moves = [fact for fact in facts if fact.type is EventType.STAGE_CHANGED]
        told = [(fact.from_stage and fact.from_stage.name, fact.to_stage and fact.to_stage.name) for fact in moves]
        assert told == [("Applied", "Onsite"), ("Onsite", "Placed")]
        assert [fact.actor and fact.actor.id for fact in moves] == ["5", "5"]
        assert all(fact.occurred_at for fact in moves)
