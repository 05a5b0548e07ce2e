"""Access tokens that end: asked for once, again when they do, and told apart from what is only slow."""

from collections.abc import Callable

import pytest

from handlers.enriching import Access, Refused, Unavailable
from router.access_token import Grant
from router.client import Client
from router.vendor_api import VendorApi
from tests.handlers.vendor_api import Answers, Asked, StandIn, stand_in


def access(url: str) -> Access:
    return Access(url, {}, per_second=1000, grant=Grant(f"{url}/token", {"refresh_token": "r&r"}, "Zoho-oauthtoken"))


def tokens(asked: list[Asked]) -> int:
    return sum(request.target == "/token" for request in asked)


def answering(expires_in: int = 3600, good: Callable[[str], bool] = lambda _: True) -> Callable[[Asked], Answers]:
    """Tokens t1, t2, ...; the API takes those that are ``good``."""
    given: list[str] = []

    def answer(asked: Asked) -> Answers:
        if asked.target == "/token":
            given.append(f"t{len(given) + 1}")
            return Answers({"access_token": given[-1], "expires_in": expires_in})
        token = asked.headers["authorization"].removeprefix("Zoho-oauthtoken ")
        return Answers({"token": token}) if good(token) else Answers(None, 401)

    return answer


async def ask(server: StandIn, times: int) -> list[str | None]:
    async with Client() as client:
        api = VendorApi(client, access(server.url))
        return [(await api.get("/thing")).text("token") for _ in range(times)]


async def test_a_token_is_asked_for_once() -> None:
    async with stand_in(answering()) as server:
        assert await ask(server, 3) == ["t1", "t1", "t1"]
        assert tokens(server.asked) == 1
        assert server.asked[0].method == "POST"
        assert server.asked[0].json == {"refresh_token": "r&r"}


async def test_who_asks_may_stand_in_a_header_and_shares_no_budget_with_others() -> None:
    async with stand_in(answering()) as server, Client() as client:
        form = {"grant_type": "client_credentials"}
        budgets = set()

        async def turn(budget: str, _: float) -> float:
            budgets.add(budget)
            return 0.0

        for one in ("Basic b25l", "Basic dHdv"):
            grant = Grant(f"{server.url}/token", form, "Zoho-oauthtoken", authorization=one)
            await VendorApi(client, Access(server.url, {}, grant=grant), turn).get("/thing")
            assert server.asked[-2].headers["authorization"] == one
            assert one not in repr(grant)
        assert len(budgets) == 2


async def test_a_token_that_ends_soon_is_asked_for_again() -> None:
    async with stand_in(answering(expires_in=30)) as server:
        assert await ask(server, 2) == ["t1", "t2"]


async def test_a_token_that_was_taken_back_is_asked_for_once_more() -> None:
    async with stand_in(answering(good=lambda token: token != "t1")) as server:
        assert await ask(server, 2) == ["t2", "t2"]
        assert tokens(server.asked) == 2
    async with stand_in(answering(good=lambda _: False)) as server:
        with pytest.raises(Refused):
            await ask(server, 1)
        assert tokens(server.asked) == 2


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers({"error": "invalid_client"}), Refused),
        (Answers({"error": "invalid_grant"}, 400), Refused),
        (Answers({"error": "invalid_client"}, 401), Refused),
        (Answers({"access_token": ""}), Refused),
        (Answers(None, 429, {"retry-after": "7"}), Unavailable),
        (Answers(None, 502), Unavailable),
        (Answers(b"<html>"), Unavailable),
    ],
)
async def test_why_there_is_no_token_is_told_apart(answers: Answers, problem: type[Exception]) -> None:
    async with stand_in(lambda asked: answers) as server, Client() as client:
        api = VendorApi(client, access(server.url))
        with pytest.raises(problem) as raised:
            await api.get("/thing")
        assert "r&r" not in str(raised.value)
        assert api.pause > 0
        assert tokens(server.asked) == len(server.asked) == 1
    if answers.status == 429:
        assert isinstance(raised.value, Unavailable)
        assert raised.value.wait == 7


async def test_accounts_that_do_not_answer_are_waited_for() -> None:
    async with Client() as client:
        api = VendorApi(client, access("http://127.0.0.1:9"))
        with pytest.raises(Unavailable):
            await api.get("/thing")
