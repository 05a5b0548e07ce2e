"""Polling as a worker and as commands do it: when, by whom, and what is told of the time before."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from handlers import polling as adapters
from handlers.enriching import Access
from handlers.homerun import Homerun, HomerunSettings
from handlers.polling import homerun
from handlers.polling.homerun import HomerunPolls
from router import polled_rows, polling, vendor_api
from router.client import Client
from router.config.check import check, load
from router.drift import replay
from router.identity import partition_of, receipt_id
from router.issues import Issue, read_issues
from router.ledger import Ledger
from router.ledger_keys import drift_index
from router.parts import Source
from router.records import NewReceipt, StoredEvent
from router.rounds import Rounds
from router.schema import Event, EventType
from router.source_book import SourceBook
from router.vendor_api import VendorApi
from tests.factories import make_record
from tests.handlers.polling.account import LONG_AGO
from tests.handlers.polling.account_homerun import HomerunAccount
from tests.handlers.polling.world import SOURCE, World, world
from tests.handlers.vendor_api import Answers, Asked
from tests.router.operating import Router

CREATED = EventType.APPLICATION_CREATED
SEEN_ONLY = 7


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_api, "REFUSED_PAUSE", 0.0)
    monkeypatch.setattr(vendor_api, "UNAVAILABLE_PAUSE", 0.0)
    monkeypatch.setattr(homerun, "PER_PAGE", 4)
    access = HomerunPolls.access

    def quick_access(self: HomerunPolls) -> Access | None:
        found = access(self)
        return replace(found, per_second=1000.0, timeout=1.0) if found is not None else None

    monkeypatch.setattr(HomerunPolls, "access", quick_access)


@pytest.fixture
async def there(ledger: Ledger) -> AsyncIterator[World]:
    async with world("homerun", ledger) as made:
        made.account.add_old(SEEN_ONLY)
        yield made


# --- what is told of the time before ------------------------------------------------------------------------------


async def test_a_source_can_be_told_from_some_day_on(there: World) -> None:
    late = there.account.add(at=LONG_AGO + timedelta(days=40))
    there.restarted(poll={"backfill": {"since": (LONG_AGO + timedelta(days=30)).date().isoformat()}})
    await there.poll()
    told = await there.told()
    assert told[0] == (CREATED, late.id, None)
    assert {application for _, application, _ in told} == {late.id}


async def test_what_is_missing_at_once_in_great_number_is_not_taken_for_deleted(there: World) -> None:
    there.account.add_old(40)
    await there.poll()
    gone = there.account.applicants[:30]
    for one in gone:
        there.account.delete(one)
    for _ in range(3):
        await there.poll(everything=True)
    assert await there.told() == []
    for one in gone[5:]:
        one.deleted = False
    for _ in range(2):
        await there.poll(everything=True)
    assert len(await there.told()) == 5


async def test_a_row_that_can_not_be_read_is_kept_once_and_replayed(there: World) -> None:
    row = there.account.answer

    def without_id(asked: Asked) -> Answers:
        answer = row(asked)
        assert isinstance(answer.body, dict)
        if "&page=1" in asked.target:
            del answer.body["data"][0]["id"]
        return answer

    there.vendor.answer = without_id
    await there.poll()
    await there.poll(everything=True)
    [kept] = await there.ledger.listed([drift_index(SOURCE)], 10)
    stored = await there.ledger.read_receipt(kept.id)
    assert stored is not None
    assert stored.record.polled
    again = await replay(there.ledger, kept.id, there.polling.source)
    assert again is not None
    assert again.reason == "id: is missing"


def webhook(source: str) -> NewReceipt:
    return NewReceipt(receipt_id(source, None, "a webhook"), make_record(source=source), b"{}", [])


async def test_what_just_changed_is_left_to_the_webhook_that_is_on_its_way(
    ledger: Ledger, config_of: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world("merge", ledger) as there:
        one = there.account.add_old(1)[0]
        await there.poll()
        there.account.move(one, there.account.stages[1])
        await there.poll()
        assert await there.told() == []
        monkeypatch.setattr(polled_rows, "SETTLE", timedelta(0))
        await there.poll()
        assert await there.told() == [(EventType.STAGE_CHANGED, one.id, there.account.stages[1])]
        [event] = await there.events()
        assert event.recovered
        counts = await there.ledger.counts()
        assert counts[SOURCE, "recovered"] == 1
        hook = (await issues_of(ledger, config_of))["hook"]
        assert (hook.about, hook.times, hook.since) == (SOURCE, 1, None)
        await ledger.accept(partition_of(SOURCE, None), [webhook(SOURCE)])
        assert await issues_of(ledger, config_of) == {}


async def test_what_a_new_application_went_through_since_it_came_is_told_as_well(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polled_rows, "SETTLE", timedelta(days=-1))
    async with world("lever", ledger) as there:
        there.account.add_old(1)
        await there.poll()
        one = there.account.add()
        await asyncio.sleep(0.01)
        there.account.move(one, there.account.stages[1])
        await asyncio.sleep(0.01)
        there.account.move(one, there.account.stages[2])
        there.account.decline(one)
        await there.poll()
        assert await there.told() == [
            (CREATED, one.id, None),
            (EventType.STAGE_CHANGED, one.id, there.account.stages[1]),
            (EventType.STAGE_CHANGED, one.id, there.account.stages[2]),
            (EventType.OUTCOME_CHANGED, one.id, "DECLINED"),
        ]


async def test_a_row_that_slipped_past_a_counted_page_is_read_by_the_next_pass(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "OVERLAP", timedelta(0))
    async with world("join", ledger) as there:
        account = there.account
        first, *others = account.add_old(5)
        await there.poll()
        for one in (first, *others):
            account.move(one, account.stages[1])

        def shifting(asked: Asked) -> Answers:
            if "page=2" in asked.target:
                account.delete(first)  # so that the fourth is now on the page that was read already
            return account.answer(asked)

        there.vendor.answer = shifting
        await there.poll()
        there.vendor.answer = account.answer
        await there.poll()
        assert {application for _, application, _ in await there.told()} >= {one.id for one in others}


async def test_a_move_there_and_back_is_told_by_the_history(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polled_rows, "SETTLE", timedelta(days=-1))
    async with world("lever", ledger) as there:
        one, (begin, other) = there.account.add_old(1)[0], there.account.stages[:2]
        await there.poll()
        for stage in (other, begin):
            await asyncio.sleep(0.01)
            there.account.move(one, stage)
        await there.poll()
        assert await there.told() == [
            (EventType.STAGE_CHANGED, one.id, other),
            (EventType.STAGE_CHANGED, one.id, begin),
        ]


async def test_a_page_that_the_vendor_does_not_know_any_more_begins_the_pass_anew(there: World) -> None:
    gone = Answers({"code": 404, "error": True}, 404)
    there.vendor.answer = lambda asked: gone if "&page=2" in asked.target else there.account.answer(asked)
    await there.polling.run()
    assert (await there.ledger.read_poll(SOURCE)).running is None
    there.vendor.answer = there.account.answer
    before = len(there.vendor.asked)
    await there.poll()
    assert len(there.vendor.asked) - before == 3


async def test_pages_that_lead_in_a_circle_are_a_problem_and_no_endless_pass(there: World) -> None:
    def circle(asked: Asked) -> Answers:
        answer = there.account.answer(asked)
        assert isinstance(answer.body, dict)
        return Answers({**answer.body, "status": "success", "data": {"next": "c", "results": []}})

    async with world("kombo", there.ledger) as kombo:
        kombo.vendor.answer = circle
        async with asyncio.timeout(5):
            await kombo.polling.run()
        assert "next" in str((await there.ledger.api_states())[SOURCE].problem)


async def test_what_was_seen_of_a_source_that_is_polled_no_more_ends(there: World, redis: Redis) -> None:
    await there.poll()
    names = [name async for name in redis.scan_iter("*polled:*")]
    assert len(names) > 1
    lives = [await redis.ttl(name) for name in names]
    assert all(there.ledger.state_life - 60 < life <= there.ledger.state_life for life in lives)


async def test_what_nobody_asked_for_is_not_kept(there: World) -> None:
    await there.poll()
    there.account.move(there.account.applicants[0], there.account.stages[1])
    await there.poll()
    [event] = (await there.ledger.read_events([event.id for event in await _told(there)])).values()
    assert event is not None
    receipt = await there.ledger.read_receipt(event.receipt)
    assert receipt is not None
    assert b"ada1@example.com" in receipt.body
    assert b"1990" not in receipt.body


async def _told(there: World) -> list[Event]:
    await there.told()
    return await there.events()


# --- who polls, and when ------------------------------------------------------------------------------------------


async def test_a_source_is_polled_by_one_at_a_time(there: World) -> None:
    first = there.polling
    async with first.alone() as is_alone:
        assert is_alone
        assert not await there.restarted().run()
    assert await there.polling.run()


@asynccontextmanager
async def rounds(there: World, **poll: object) -> AsyncIterator[Rounds]:
    async with Client() as client:
        made = Rounds(there.ledger, client)
        made.use({SOURCE: source(there, **poll)})
        try:
            yield made
        finally:
            await made.stop()


def source(there: World, **poll: object) -> Source:
    settings = HomerunSettings.model_validate(
        {"vendor": "homerun", **there.account.settings(there.vendor.url), "poll": poll}
    )
    return Source(SOURCE, Homerun(settings), True)


async def passes(there: World, made: Rounds) -> int:
    """How many calls one look makes, once they are over."""
    before = len(there.vendor.asked)
    await made.look()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        while await there.ledger.poller(SOURCE).locked():  # noqa: ASYNC110 nobody is told
            await asyncio.sleep(0.01)
    return len(there.vendor.asked) - before


async def test_a_source_is_polled_when_it_is_due(there: World) -> None:
    async with rounds(there, every="10s") as made:
        assert await passes(there, made) == 3
        assert await passes(there, made) == 0
        state = await there.ledger.read_poll(SOURCE)
        assert 9 < state.next_at - state.last.began < 11 if state.last else False
        await there.ledger.keep_poll(SOURCE, state.model_copy(update={"next_at": time.time()}))
        assert await passes(there, made) == 3


async def test_a_webhook_that_only_says_that_something_changed_makes_it_due(there: World) -> None:
    async with rounds(there) as made:
        await passes(there, made)
        book = SourceBook({}, there.ledger)
        book.ask_to_poll(SOURCE)
        await book.sync()
        assert await passes(there, made) == 3
        assert await passes(there, made) == 0


async def test_what_is_off_or_has_no_credentials_is_not_polled(there: World) -> None:
    async with rounds(there, enabled=False) as made:
        assert await passes(there, made) == 0
        without = HomerunSettings.model_validate({"vendor": "homerun"})
        made.use({SOURCE: Source(SOURCE, Homerun(without), True)})
        assert await passes(there, made) == 0
        made.use({SOURCE: replace(source(there), enabled=False)})
        assert await passes(there, made) == 0
        made.use({SOURCE: source(there)})
        assert await passes(there, made) == 3


async def test_after_a_failure_it_waits_longer_each_time(there: World) -> None:
    there.vendor.answer = lambda _: Answers({}, 500)
    pauses = []
    for _ in range(4):
        await there.polling.run()
        pauses.append((await there.ledger.read_poll(SOURCE)).next_at - time.time())
    assert [round(pause / least) for pause, least in zip(pauses, (5, 10, 20, 40), strict=True)] == [1, 1, 1, 1]


async def test_what_failed_is_tried_at_once_with_new_settings_and_no_earlier_with_the_same(there: World) -> None:
    there.vendor.answer = lambda _: there.account.unauthorised()
    async with rounds(there) as made:
        assert await passes(there, made) == 1
        assert await passes(there, made) == 0
        made.use({SOURCE: source(there)})
        assert await passes(there, made) == 0
        there.vendor.answer = there.account.answer
        made.use({SOURCE: source(there, every="20s")})
        assert await passes(there, made) == 3


async def test_a_limit_that_is_used_up_is_waited_for_and_no_problem(there: World) -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "0.2"}
    there.vendor.answer = lambda asked: replace(there.account.answer(asked), headers=headers)
    began = time.monotonic()
    await there.polling.run()
    assert time.monotonic() - began > 0.4
    assert (await there.ledger.api_states())[SOURCE].problem is None
    assert (await there.ledger.read_poll(SOURCE)).running is None


async def test_an_api_that_is_slow_is_left_and_asked_again(there: World) -> None:
    slow = True

    def answer(asked: Asked) -> Answers:
        return replace(there.account.answer(asked), delay=1.5 if slow and "&page=2" in asked.target else 0.0)

    there.vendor.answer = answer
    async with rounds(there) as made:
        await made.look()
        async with asyncio.timeout(5):
            while SOURCE not in await there.ledger.api_states():  # noqa: ASYNC110 nobody is told
                await asyncio.sleep(0.05)
        assert "did not answer" in str((await there.ledger.api_states())[SOURCE].problem)
        state = await there.ledger.read_poll(SOURCE)
        assert state.running is not None
        assert state.running.pages == 1
        slow = False
        await there.ledger.keep_poll(SOURCE, state.model_copy(update={"next_at": 0.0}))
        assert await passes(there, made) == 2
    assert (await there.ledger.api_states())[SOURCE].problem is None


async def test_all_that_use_the_same_credentials_share_the_vendors_rate(there: World) -> None:
    access = adapters.by_vendor()["homerun"](source(there).handler).access()
    assert access is not None
    slow = replace(access, per_second=20.0)
    async with Client() as client:
        apis = [VendorApi(client, slow, there.ledger.api_turn) for _ in range(4)]
        began = time.monotonic()
        await asyncio.gather(*(api.get("/job-applications") for api in apis for _ in range(2)))
    assert time.monotonic() - began > 7 / 20 * 0.9


# --- what needs a person ------------------------------------------------------------------------------------------

CONFIG = """
redis: {{url: '{redis}'}}
sources:
  account:
    vendor: homerun
    api_key: ${{HOMERUN_KEY}}
    api_url: {url}
  pushed:
    vendor: greenhouse
    secret: ${{HOMERUN_KEY}}
sinks:
  here: {{type: http, url: 'https://example.com/hook'}}
routes:
  - name: everything
    send_to: here
"""


@pytest.fixture
def config_of(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMERUN_KEY", HomerunAccount.key)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(redis=url, url="https://api.homerun.example"))
    return path


async def issues_of(ledger: Ledger, path: Path) -> dict[str, Issue]:
    return {issue.kind: issue for issue in await read_issues(ledger, load(path)) if issue.kind != "no_worker"}


async def test_refused_credentials_and_a_failing_api_are_issues_that_close_by_themselves(
    there: World, config_of: Path
) -> None:
    there.vendor.answer = lambda _: there.account.unauthorised()
    for _ in range(3):
        await there.polling.run()
    [credentials] = (await issues_of(there.ledger, config_of)).values()
    assert (credentials.kind, credentials.about, credentials.times) == ("credentials", SOURCE, 3)
    there.vendor.answer = lambda _: Answers({}, 500)
    await there.polling.run()
    assert set(await issues_of(there.ledger, config_of)) == {"vendor_api"}
    there.vendor.answer = there.account.answer
    await there.poll()
    assert await issues_of(there.ledger, config_of) == {}


async def test_a_hook_that_is_silent_for_longer_than_usual_is_an_issue(
    ledger: Ledger, config_of: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, hour = await ledger.time(), 3600.0
    for ago in (400, 300, 250, 240, 239):
        await ledger.note_silences({"pushed": now - ago * hour}, now)
    assert await issues_of(ledger, config_of) == {}
    assert await ledger.silences() == {}  # not watched for a week yet
    await ledger.note_silences({"pushed": now - 200 * hour}, now)
    assert await ledger.silences() == {"pushed": 100 * hour}
    await ledger.accept(partition_of("pushed", None), [webhook("pushed")])
    for ahead, kinds in ((199, set()), (201, {"silent"})):

        async def time_then(ahead: int = ahead) -> float:
            return now + ahead * hour

        monkeypatch.setattr(ledger, "time", time_then)
        assert set(await issues_of(ledger, config_of)) == kinds


def test_a_source_that_nothing_can_come_from_is_warned_of(config_of: Path) -> None:
    text = config_of.read_text()
    for wrong, words in (
        ("", ""),
        ("    api_key: ${HOMERUN_KEY}\n", "no credentials for Homerun's API"),
    ):
        config_of.write_text(text.replace(wrong, "") if wrong else text)
        problems = [problem.sentence for problem in check(config_of).problems]
        assert any(words in problem for problem in problems) if words else not problems
    config_of.write_text(text.replace("    vendor: homerun\n", "    vendor: homerun\n    poll: false\n"))
    assert "without polling nothing comes" in str(check(config_of).problems[0])
    icims = "    vendor: icims\n    secret: ${HOMERUN_KEY}\n    poll: {every: 10m}\n"
    head, _, tail = text.partition("    vendor: homerun\n")
    config_of.write_text(head + icims + tail.partition("  pushed:")[1] + tail.partition("  pushed:")[2])
    assert "iCIMS can't be polled; remove poll" in str(check(config_of).problems[0])


# --- backfill -----------------------------------------------------------------------------------------------------


async def typed(config: Path, *words: str) -> "asyncio.subprocess.Process":
    program = [sys.executable, "-m", "router.cli", *words, "--config", str(config)]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*program, env=os.environ, stdout=pipe, stderr=pipe)


async def answered(config: Path, *words: str) -> str:
    process = await typed(config, *words)
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


@pytest.fixture
def configured(there: World, config_of: Path, url: str) -> Path:
    config_of.write_text(CONFIG.format(redis=url, url=there.vendor.url))
    return config_of


async def test_a_backfill_tells_of_the_time_before_and_sends_nothing(there: World, configured: Path) -> None:
    await there.poll()
    since = (LONG_AGO + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    words = await answered(configured, "backfill", SOURCE, "--since", since, "--dry-run")
    assert "7 applications were read, 5 of that time would be told" in words
    assert await there.told() == []
    assert "5 of that time were told" in await answered(configured, "backfill", SOURCE, "--since", since)
    told = await there.told()
    assert sorted(one[1] for one in told if one[0] == CREATED) == [one.id for one in there.account.applicants[2:]]
    assert all(not stored.deliveries for stored in await stored_events(there))
    await answered(configured, "backfill", SOURCE, "--since", since)
    assert await there.told() == []


async def stored_events(there: World) -> list[StoredEvent]:
    ids = [event.id for event in await there.events()]
    return [stored for stored in (await there.ledger.read_events(ids)).values() if stored]


async def test_a_backfill_that_is_killed_goes_on_where_it_was(there: World, configured: Path) -> None:
    there.account.add_old(3)
    stuck = asyncio.Event()

    def answer(asked: Asked) -> Answers:
        if "&page=3" in asked.target and not stuck.is_set():
            stuck.set()
            process.send_signal(signal.SIGKILL)
        return there.account.answer(asked)

    there.vendor.answer = answer
    process = await typed(configured, "backfill", SOURCE, "--since", "2026-01-01")
    await process.communicate()
    assert process.returncode == -signal.SIGKILL
    there.vendor.asked.clear()
    await asyncio.sleep(0)
    async with asyncio.timeout(40):
        while "polls this source" in (words := await continued(configured)):  # noqa: ASYNC110 the dead one's lock ends
            await asyncio.sleep(1)
    done = json.loads(words)
    assert (done["rows"], done["told"]) == (10, 10)
    assert "page=1&" not in there.vendor.asked[0].target + "&"
    told = await there.told()
    assert len([one for one in told if one[0] == CREATED]) == 10


async def continued(config: Path) -> str:
    process = await typed(config, "backfill", SOURCE, "--continue", "--json")
    out, errors = await process.communicate()
    return (out + errors).decode()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("backfill nobody --since 1d", "no source 'nobody'"),
        ("backfill account", "--since"),
        ("backfill account --since 1d --to nowhere", "no sink"),
        ("backfill account --continue", "nothing to continue"),
        ("backfill account --continue --since 1d", "give nothing else"),
        ("backfill pushed --since 1d", "can't be read"),
    ],
)
def test_what_can_not_be_backfilled_is_said(config_of: Path, url: str, line: str, words: str) -> None:
    result = Router(config_of, url).run(line)
    assert result.exit_code in (1, 2)
    assert words in result.stderr
