"""Stored events once more: to new sinks, by other rules, never twice, and behind what is live."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.stages import StageKinds
from router.connection import client, end
from router.delivery import Deliveries
from router.destinations import Destination
from router.identity import event_of
from router.intake import Intake
from router.lanes import LaneLoop, Lease
from router.ledger import Ledger, sink_lane
from router.ledger_keys import deliveries_index
from router.records import DeliveryState, GateState, NewDelivery, Replay, Routed
from router.replaying import ROOM, Replayer
from router.rules import CompiledRoute, Review, Ruleset, SendTo, compile_route
from router.schema import EventType
from sinks.base import Delivery, Outcome, SinkSettings
from tests.factories import PARTITION, RecordingSink, claim_one, destination, make_fact, receipt_of, until
from tests.router.bulk import SINK, Bulk, fill
from tests.router.operating import Router

EVERYTHING = Replay(id="r1", since=0.0, until=4e9)
NEW = "new"


def nothing_told(_receipts: int, _words: str) -> None:
    return


def replayer(ledger: Ledger, asked: Replay = EVERYTHING, *routes: CompiledRoute, enabled: bool = True) -> Replayer:
    rules = Ruleset(routes or [compile_route("all", {}, [NEW])])
    return Replayer(ledger, rules, destinations(enabled=enabled), asked)


def destinations(*, enabled: bool = True) -> dict[str, Destination]:
    quiet = SinkSettings(type="recording", enabled=enabled)
    return {name: destination(RecordingSink(), quiet, name) for name in (NEW, SINK)}


async def pending(ledger: Ledger, sink: str = NEW) -> int:
    return await ledger.how_many(deliveries_index(sink, DeliveryState.PENDING))


class Draining:
    """Takes what comes for one sink, as a worker does."""

    def __init__(self, ledger: Ledger, sink: str = NEW, *, seconds: float = 0.0) -> None:
        self.sink = Slow(seconds)
        work = Deliveries(ledger, destination(self.sink, SinkSettings(type="recording", concurrency=8), sink))
        self._loop = LaneLoop(ledger, work, 8, work.gate)

    async def __aenter__(self) -> RecordingSink:
        self._running = asyncio.create_task(self._loop.run())
        self._waking = asyncio.create_task(self._wake())
        return self.sink

    async def __aexit__(self, *_error: object) -> None:
        self._loop.stop()
        await self._running
        await end(self._waking)

    async def _wake(self) -> None:
        while True:
            self._loop.wake([PARTITION])
            await asyncio.sleep(0.01)


class Slow(RecordingSink):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def attempt(self, delivery: Delivery) -> Outcome:
        await asyncio.sleep(self._seconds)
        return await super().attempt(delivery)


# --- what is sent -------------------------------------------------------------------------------------------------


async def test_a_new_sink_gets_what_was_before_it_in_order_and_late(ledger: Ledger) -> None:
    await fill(ledger, 40)
    async with Draining(ledger) as sink:
        done = await replayer(ledger).run(None, nothing_told)
        await until(lambda: len(sink.attempts) >= 40)
    assert (done.added, done.had_it, done.done) == ({NEW: 40}, 0, True)
    assert all(sent.late for sent in sink.attempts)
    of_application: dict[str, list[int]] = {}
    for sent in sink.attempts:
        assert sent.event.application is not None
        of_application.setdefault(sent.event.application.id, []).append(sent.event.sequence)
    assert all(line == sorted(line) for line in of_application.values())
    event = await ledger.read_event(event_of(sink.attempts[0].id))
    assert event is not None
    assert event.deliveries[sink.attempts[0].id].replay == "r1"


async def test_nothing_is_sent_twice(ledger: Ledger) -> None:
    await fill(ledger, 20, Bulk(dead_every=4))
    asked = [compile_route("all", {}, [SINK])]
    done = await replayer(ledger, EVERYTHING, *asked).run(None, nothing_told)
    assert (done.added, done.had_it) == ({}, 20)
    async with Draining(ledger) as sink:
        for number in range(3):
            again = EVERYTHING.model_copy(update={"id": f"r{number}"})
            await replayer(ledger, again).run(None, nothing_told)
        await until(lambda: len(sink.attempts) >= 20)
    assert len(sink.attempts) == 20


async def test_with_force_what_a_sink_has_goes_out_again_under_a_new_key_once_per_replay(ledger: Ledger) -> None:
    await fill(ledger, 16, Bulk(dead_every=4))
    forced = EVERYTHING.model_copy(update={"force": True})
    route = compile_route("all", {}, [SINK])
    async with Draining(ledger, SINK) as sink:
        first = await replayer(ledger, forced, route).run(None, nothing_told)
        second = await replayer(ledger, forced, route).run(None, nothing_told)
        await until(lambda: len(sink.attempts) >= 12)
    assert (first.added, second.added) == ({SINK: 12}, {})  # what is dead is for `retry`
    before = {row.id for row in await ledger.listed([deliveries_index(SINK, DeliveryState.DEAD)], 100)}
    assert not before & {sent.id for sent in sink.attempts}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"type": EventType.STAGE_CHANGED}, 8),
        ({"type": EventType.CANDIDATE_MERGED}, 0),
        ({"source": "greenhouse"}, 16),
        ({"source": "another"}, 0),
        ({"application": "app-1"}, 4),
        ({"until": 1.0}, 0),
        ({"route": "moves"}, 8),
        ({"to": NEW}, 16),
    ],
)
async def test_only_what_is_asked_for(ledger: Ledger, asked: dict[str, object], expected: int) -> None:
    await fill(ledger, 16)
    everything, moves = compile_route("all", {}, [NEW]), compile_route("moves", {"event": "StageChanged"}, [NEW])
    routes = [moves] if "to" in asked else [everything, moves]
    pages = replayer(ledger, EVERYTHING.model_copy(update=asked), *routes).pages()
    assert sum([len(page.new) async for page in pages]) == expected


async def test_test_events_are_not_replayed(ledger: Ledger) -> None:
    there = destination(RecordingSink(), name=SINK)
    intake = Intake(ledger, Ruleset([compile_route("all", {}, [SINK])]), StageKinds(()), {SINK: there}, lambda *_: None)
    await ledger.accept(PARTITION, [receipt_of(make_fact(EventType.APPLICATION_CREATED), test=True)])
    claim = await claim_one(ledger)
    [job] = await intake.load(PARTITION, [claim])
    routed = await intake.run(job, Lease(claim))
    assert isinstance(routed, Routed)
    await intake.settle(PARTITION, [routed])
    assert [page.receipts async for page in replayer(ledger).pages()] == [1]
    assert sum([len(page.new) async for page in replayer(ledger).pages()]) == 0


@pytest.mark.parametrize("to", [None, NEW])
async def test_the_gate_of_a_review_is_not_passed_by(ledger: Ledger, to: str | None) -> None:
    await fill(ledger, 4)
    letters = CompiledRoute("letters", (SendTo(NEW),), review=Review())
    await replayer(ledger, EVERYTHING.model_copy(update={"to": to}), letters).run(None, nothing_told)
    assert await pending(ledger) == 0
    assert await ledger.how_many(deliveries_index(NEW, DeliveryState.HELD)) == 4


async def test_more_than_a_page_and_many_of_one_millisecond(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.replaying.PAGE", 8)
    await fill(ledger, 100)  # 16 are accepted at once
    seen = [one.id async for page in replayer(ledger).pages() for one in page.new]
    assert len(seen) == len(set(seen)) == 100


# --- its place ----------------------------------------------------------------------------------------------------


async def test_it_adds_only_as_much_as_the_sink_has_room_for(ledger: Ledger) -> None:
    await fill(ledger, 400)
    waits: list[str] = []
    running = asyncio.create_task(replayer(ledger).run(None, lambda _n, words: waits.append(words)))
    await until(lambda: bool(waits))
    await asyncio.sleep(0.3)
    assert await ledger.due(sink_lane(NEW)) < ROOM + 16
    assert set(waits) == {"new has enough to do"}
    running.cancel()


def is_of(application: str, sent: Delivery) -> bool:
    return sent.event.application is not None and sent.event.application.id == application


async def test_what_is_live_does_not_wait_behind_it(ledger: Ledger) -> None:
    await fill(ledger, 600)
    async with Draining(ledger, seconds=0.02) as sink:
        running = asyncio.create_task(replayer(ledger).run(None, nothing_told))
        await until(lambda: len(sink.attempts) >= 50)
        await fill(ledger, 1, Bulk(attempted=False, sinks=(NEW,)), first=4001)
        before = len(sink.attempts)
        await until(lambda: any(is_of("app-1000", sent) for sent in sink.attempts))
        assert not running.done()
        running.cancel()
        place = [is_of("app-1000", sent) for sent in sink.attempts].index(True)
    assert place - before <= ROOM + 2 * 16  # of 550 that are still to be replayed


async def test_it_waits_for_a_sink_that_fails(ledger: Ledger) -> None:
    await fill(ledger, 4)
    await ledger.trip(NEW, GateState.OPEN, "refused", probe=False)
    waits: list[str] = []
    running = asyncio.create_task(replayer(ledger).run(None, lambda _n, words: waits.append(words)))
    await until(lambda: bool(waits))
    assert "new fails (refused)" in waits[0]
    assert await pending(ledger) == 0
    await ledger.works(NEW, 1, probe=True)
    assert (await running).added == {NEW: 4}


async def test_a_rate_is_kept(ledger: Ledger) -> None:
    await fill(ledger, 32)
    started = time.monotonic()
    async with Draining(ledger):
        await replayer(ledger).run(64.0, nothing_told)
    assert time.monotonic() - started > 0.45


# --- broken off ---------------------------------------------------------------------------------------------------


async def test_it_goes_on_where_it_was(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.replaying.PAGE", 16)
    await fill(ledger, 64)
    async with Draining(ledger) as sink:
        heard = 0

        def stop_after_two_pages(receipts: int, _words: str) -> None:
            nonlocal heard
            heard += bool(receipts)
            if heard == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await replayer(ledger).run(None, stop_after_two_pages)
        [left] = await ledger.replays()
        assert (left.done, left.added) == (False, {NEW: 32})
        done = await replayer(ledger, left).run(None, nothing_told)
        await until(lambda: len(sink.attempts) >= 64)
    assert (done.added, await ledger.replays()) == ({NEW: 64}, [])
    assert len({sent.id for sent in sink.attempts}) == len(sink.attempts) == 64


async def test_two_replays_at_once_add_each_delivery_once(ledger: Ledger) -> None:
    await fill(ledger, 8)
    [page] = [page async for page in replayer(ledger).pages()]
    answers = await asyncio.gather(*(ledger.add(NEW, PARTITION, page.new) for _ in range(3)))
    assert sorted(sum(answer) for answer in answers) == [0, 0, 8]
    async with Draining(ledger) as sink:
        await until(lambda: len(sink.attempts) >= 8)
        await asyncio.sleep(0.1)
    assert len(sink.attempts) == 8


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 6), max_size=4), st.booleans())
def test_however_often_it_breaks_off_a_sink_gets_each_event_once(
    shared_url: str, breaks: Sequence[int], force: bool
) -> None:
    asyncio.run(_breaks_off(shared_url, breaks, force))


class BreakingOff(Ledger):
    """Ends the process, so to speak, after so many additions."""

    left: int | None = None

    async def add(self, sink: str, partition: int, batch: Sequence[NewDelivery]) -> list[bool]:
        answers = await super().add(sink, partition, batch)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return answers


async def _breaks_off(url: str, breaks: Sequence[int], force: bool) -> None:
    async with client(url) as redis:
        await redis.flushall()
        ledger = BreakingOff(redis)
        await fill(ledger, 48, Bulk(dead_every=1000))
        asked = EVERYTHING.model_copy(update={"force": force})
        name = SINK if force else NEW
        has_dead = await ledger.how_many(deliveries_index(SINK, DeliveryState.DEAD)) if force else 0
        async with Draining(ledger, name) as sink:
            for after in [*breaks, None]:
                ledger.left = after
                with suppress(KeyboardInterrupt):
                    await replayer(ledger, asked, compile_route("all", {}, [name])).run(None, nothing_told)
            await until(lambda: len(sink.attempts) >= 48 - has_dead)
        assert len({sent.id for sent in sink.attempts}) == len(sink.attempts) == 48 - has_dead
        await redis.connection_pool.disconnect()


def test_a_killed_command_is_continued(router: Router, tmp_path: Path) -> None:
    """Nothing takes what it adds, so it stands still in the middle; then it is killed for good."""
    text = router.config.read_text().replace("routes:", "  new: {type: http, url: 'https://example.com'}\nroutes:")
    router.config.write_text(text)
    router.on_ledger(lambda ledger: fill(ledger, 200))
    program = [sys.executable, "-m", "router.cli", "replay", "--since", "1h", "--to", "new", "--yes"]
    process = subprocess.Popen([*program, "--config", str(router.config)], env=os.environ, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 20
    while router.on_ledger(lambda ledger: ledger.how_many(deliveries_index("new", DeliveryState.PENDING))) < ROOM:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    router.config.write_text(text.replace("new: {type", "new: {enabled: false, type"))  # so that there is room
    told = router.json("replay --continue --yes")
    listed = router.on_ledger(lambda ledger: ledger.listed([deliveries_index("new", DeliveryState.PENDING)], 1000))
    assert told["done"]
    assert len({one.id for one in listed}) == len(listed) == 200
    assert router.run("replay --continue").exit_code == 2


# --- by command ---------------------------------------------------------------------------------------------------


def test_it_says_what_it_will_do_and_asks(router: Router) -> None:
    router.config.write_text(
        router.config.read_text().replace("routes:", "  new: {type: http, url: 'https://example.com'}\nroutes:")
    )
    router.on_ledger(lambda ledger: fill(ledger, 12))
    refused = router.run("replay --since 1h --to new", answer="n\n")
    assert refused.exit_code == 1
    assert "new: 12 deliveries" in refused.stderr
    assert "new: 12 deliveries were made" in router.told("replay --since 1h --to new --yes")
    assert "nothing to replay: 12" in router.told("replay --since 1h --to new --yes")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("replay", "--since"),
        ("replay --since 1h --to nowhere", "no sink"),
        ("replay --since 1h --route nothing", "no route"),
        ("replay --since 1h --to my-service --route route-1", "either"),
        ("replay --continue --since 1h", "nothing else"),
        ("replay --continue", "nothing to continue"),
    ],
)
def test_a_wrong_command_is_answered_with_what_to_write(router: Router, line: str, words: str) -> None:
    refused = router.run(line)
    assert refused.exit_code == 2
    assert words in refused.stderr
