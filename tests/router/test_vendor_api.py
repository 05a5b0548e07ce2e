"""A vendor's API over real HTTP: its answers, its errors and its manners."""

import asyncio
import time
from collections.abc import Callable

import pytest

from handlers.enriching import Access, ApiProblem, Login, NotThere, Refused, Session, Unavailable
from router import vendor_api
from router.client import Client
from router.vendor_api import VendorApi
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in

KEY = {"authorization": "Bearer the key"}


def access(url: str, per_second: float = 1000.0, at_once: int = 4) -> Access:
    return Access(url, KEY, per_second, at_once)


def always(*answers: Answers) -> Callable[[Asked], Answers]:
    """One answer after the other, the last one again and again."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


async def test_a_call_carries_the_credentials_and_its_answer_is_read() -> None:
    async with stand_in(always(Answers({"id": 7}))) as vendor, api_of(access(vendor.url + "/v1/")) as api:
        assert (await api.get("/jobs/a b", {"expand": "stage&x", "n": "1"})).id("id") == "7"
        await api.send("POST", "/hooks", {"url": "u"}, {"x-more": "1"})
    first, second = vendor.asked
    assert (first.method, first.target) == ("GET", "/v1/jobs/a%20b?expand=stage%26x&n=1")
    assert first.headers["authorization"] == "Bearer the key"
    assert (second.method, second.json, second.headers["x-more"]) == ("POST", {"url": "u"}, "1")
    assert second.headers["content-type"] == "application/json"


async def test_an_id_out_of_a_body_leads_nowhere_else() -> None:
    async with stand_in(always(Answers({}))) as vendor, api_of(access(vendor.url)) as api:
        with pytest.raises(NotThere):
            await api.get("/candidates/../hooks")
        await api.get("/candidates/..x#y")
    assert [asked.target for asked in vendor.asked] == ["/candidates/..x%23y"]


async def test_a_list_and_an_empty_answer_are_objects_too() -> None:
    answers = always(Answers([{"id": 1}, {"id": 2}]), Answers(None, 204))
    async with stand_in(answers) as vendor, api_of(access(vendor.url)) as api:
        assert [node.id("id") for node in (await api.get("/")).nodes("items")] == ["1", "2"]
        assert (await api.send("DELETE", "/hooks/1")).soft_drift == ()


async def test_what_may_be_reused_is_asked_for_once() -> None:
    async with stand_in(always(Answers({"name": "Onsite"}))) as vendor, api_of(access(vendor.url)) as api:
        for _ in range(3):
            assert (await api.get("/stages/1", cache=60)).text("name") == "Onsite"
        await api.get("/stages/1", {"page": "2"}, cache=60)
        await api.get("/stages/1")
    assert [asked.target for asked in vendor.asked] == ["/stages/1", "/stages/1?page=2", "/stages/1"]


async def test_what_was_remembered_is_asked_for_again_after_its_time() -> None:
    async with stand_in(always(Answers({}))) as vendor, api_of(access(vendor.url)) as api:
        await api.get("/stages", cache=0.05)
        await asyncio.sleep(0.1)
        await api.get("/stages", cache=0.05)
    assert len(vendor.asked) == 2


async def test_not_everything_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_api, "_CACHED_ANSWERS", 3)
    async with stand_in(always(Answers({}))) as vendor, api_of(access(vendor.url)) as api:
        for number in (*range(5), 4, 0):
            await api.get(f"/{number}", cache=60)
    assert [asked.target for asked in vendor.asked] == ["/0", "/1", "/2", "/3", "/4", "/0"]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Answers({}, 401), Refused, "refuses the credentials (401)"),
        (Answers({}, 403), Refused, "refuses the credentials (403)"),
        (Answers({}, 404), NotThere, "answered 404"),
        (Answers({}, 410), NotThere, "answered 410"),
        (Answers({}, 422), NotThere, "answered 422"),
        (Answers({}, 302, {"location": "http://127.0.0.1:1/"}), NotThere, "answered 302"),
        (Answers({}, 500), Unavailable, "failed (500)"),
        (Answers({}, 429), Unavailable, "asks to wait (429)"),
        (Answers(b"<html>"), Unavailable, "something else than JSON"),
        (Answers(b"\xff"), Unavailable, "something else than JSON"),
    ],
)
async def test_an_error_says_what_is_wrong_without_a_secret(answer: Answers, kind: type[ApiProblem], said: str) -> None:
    async with stand_in(always(answer)) as vendor, api_of(access(vendor.url)) as api:
        with pytest.raises(kind, match="the vendor's API") as problem:
            await api.get("/x")
    assert said in str(problem.value)
    assert "key" not in str(problem.value)
    assert len(vendor.asked) == 1


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with api_of(access("http://127.0.0.1:1")) as api:
        with pytest.raises(Unavailable, match="did not answer"):
            await api.get("/x")
        assert api.busy


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "120"}, 110, 120),
        ({"x-rate-limit-reset": "8"}, 7, 8),
        ({"x-ratelimit-reset": "in a minute"}, 30, 61),
        ({"retry-after": "999999"}, 590, 600),
        ({"x-ratelimit-reset": "soon"}, 4, 5),
        ({}, 4, 5),
    ],
)
async def test_nothing_is_asked_before_the_time_that_the_vendor_wants(
    headers: dict[str, str], least: float, most: float
) -> None:
    at = f"{time.time() + 60:.0f}"
    told = {name: at if value == "in a minute" else value for name, value in headers.items()}
    async with stand_in(always(Answers({}, 429, told), Answers({}))) as vendor, api_of(access(vendor.url)) as api:
        for _ in range(3):
            with pytest.raises(Unavailable) as problem:
                await api.get("/x")
        assert problem.value.wait is not None
        assert least <= api.pause <= most
    assert len(vendor.asked) == 1


async def test_after_a_refusal_one_call_tries_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_api, "REFUSED_PAUSE", 0.1)
    async with stand_in(always(Answers({}, 401), Answers({}))) as vendor, api_of(access(vendor.url)) as api:
        for _ in range(3):
            with pytest.raises(Refused):
                await api.get("/x")
        await asyncio.sleep(0.15)
        await api.get("/x")
        await api.get("/x")
    assert len(vendor.asked) == 3


async def test_calls_are_spaced_out_as_the_vendor_allows() -> None:
    async with stand_in(always(Answers({}))) as vendor, api_of(access(vendor.url, per_second=20)) as api:
        started = time.monotonic()
        await asyncio.gather(*(api.get(f"/{number}") for number in range(7)))
        assert time.monotonic() - started > 6 / 20 * 0.9
    assert len(vendor.asked) == 7


def sessions(url: str, given: list[str]) -> Login:
    """Logs in at once: sessions s1, s2, ..., whose API is elsewhere."""

    async def login(client: Client) -> Session:
        given.append(f"s{len(given) + 1}")
        await asyncio.sleep(0.01)
        return Session(f"{url}/e999/", {"x-session": given[-1]})

    return login


async def test_one_session_is_logged_in_for_all_calls_and_says_where_the_api_is() -> None:
    given: list[str] = []
    async with stand_in(always(Answers({}))) as vendor:
        logged_in = Access(f"{vendor.url}/log-in", {}, 1000.0, login=sessions(vendor.url, given))
        async with api_of(logged_in) as api:
            await asyncio.gather(*(api.get(f"/{number}") for number in range(4)))
    assert given == ["s1"]
    assert sorted((asked.target, asked.headers["x-session"]) for asked in vendor.asked) == [
        (f"/e999/{number}", "s1") for number in range(4)
    ]


async def test_a_session_that_ended_is_logged_in_again_once() -> None:
    given: list[str] = []
    ended = {"s1"}

    def answer(asked: Asked) -> Answers:
        return Answers({}, 401 if asked.headers["x-session"] in ended else 200)

    async with stand_in(answer) as vendor:
        logged_in = Access(vendor.url, {}, 1000.0, login=sessions(vendor.url, given))
        async with api_of(logged_in) as api:
            await asyncio.gather(*(api.get(f"/{number}") for number in range(4)))
            assert given == ["s1", "s2"]
            ended |= {"s2", "s3"}
            with pytest.raises(Refused):
                await api.get("/x")
    assert given == ["s1", "s2", "s3"]


async def test_why_there_is_no_session_is_told_apart() -> None:
    async def refused(client: Client) -> Session:
        raise Refused("not this user")

    async def away(client: Client) -> Session:
        await client.request("POST", "http://127.0.0.1:1/", headers={}, timeout=1.0, keep=1)
        raise AssertionError

    for login, kind, said in ((refused, Refused, "not this user"), (away, Unavailable, "log-in did not answer")):
        async with stand_in(always(Answers({}))) as vendor, api_of(Access(vendor.url, {}, login=login)) as api:
            for _ in range(2):
                with pytest.raises(kind, match=said):
                    await api.get("/x")
            assert api.pause > 0
        assert vendor.asked == []


async def test_calls_count_together_by_what_their_credentials_are() -> None:
    counted: list[str] = []

    async def turn(budget: str, _interval: float) -> float:
        counted.append(budget)
        return 0.0

    async with stand_in(always(Answers({}))) as vendor, Client() as client:
        one, same = Access(vendor.url, KEY), Access(vendor.url, KEY, per_second=9.0)
        others = [
            Access(vendor.url, {"authorization": "Bearer another key"}),
            Access(vendor.url, KEY, user="somebody"),
            Access(f"{vendor.url}/v2", KEY),
        ]
        for access in (one, same, *others):
            await VendorApi(client, access, turn).get("/x")
    first, second, *rest = counted
    assert first == second
    assert len({first, *rest}) == 4


async def test_where_the_limit_is_used_up_nothing_is_asked_before_it_is_fresh() -> None:
    used_up = Answers({"fine": True}, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"})
    async with stand_in(always(used_up)) as vendor, api_of(Access(vendor.url, KEY)) as api:
        assert (await api.get("/x")).flag("fine")
        with pytest.raises(Unavailable) as problem:
            await api.get("/x")
    assert problem.value.wait is not None
    assert 29 < problem.value.wait <= 30
    assert len(vendor.asked) == 1
