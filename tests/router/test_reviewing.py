"""The review gate: nothing of such a route goes out before somebody said so."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.stages import StageKinds
from router.connection import client
from router.delivery import Deliveries
from router.destinations import Destination
from router.intake import Intake
from router.lanes import LaneLoop, Lease
from router.ledger import Ledger, sink_lane
from router.mending import retry
from router.records import Decision, DeliveryRecord, DeliveryState, Routed
from router.reviewing import approve, reject, reject_overdue, under_review
from router.rules import CompiledRoute, Review, Ruleset, SendTo
from router.schema import EventType
from sinks.base import Delivery, SinkSettings
from tests.factories import PARTITION, RecordingSink, claim_one, destination, make_fact, make_stage, receipt_of
from tests.router.operating import Router

SAID = Decision(word="approved", by="Grace", at=datetime.now(UTC), why="fine")
REJECTED = SAID.model_copy(update={"word": "rejected"})
LANE = sink_lane("slack")
REVIEWED = CompiledRoute("letters", (SendTo("slack"),), review=Review())
DIRECT = CompiledRoute("news", (SendTo("slack"),))


class Rendering(RecordingSink):
    """Its messages depend on its template."""

    template = "first"

    def render(self, delivery: Delivery) -> bytes:
        return f"{self.template} {delivery.event.sequence}".encode()


@pytest.fixture
def sink() -> Rendering:
    return Rendering()


async def route(ledger: Ledger, sink: RecordingSink, stages: Sequence[str], *routes: CompiledRoute) -> list[str]:
    """One application goes through stages; the ids of its deliveries."""
    there = destination(sink, name="slack")
    intake = Intake(ledger, Ruleset(routes or [REVIEWED]), StageKinds(()), {"slack": there}, lambda _s, _p: None)
    made = []
    for stage in stages:
        fact = make_fact(EventType.STAGE_CHANGED, to=make_stage(stage))
        await ledger.accept(PARTITION, [receipt_of(fact, stage)])
        claim = await claim_one(ledger)
        [job] = await intake.load(PARTITION, [claim])
        routed = await intake.run(job, Lease(claim))
        assert isinstance(routed, Routed)
        await intake.settle(PARTITION, [routed])
        made += [delivery.id for event in routed.events for delivery in event.deliveries]
    return made


async def work_off(ledger: Ledger, sink: RecordingSink) -> None:
    loop = LaneLoop(ledger, Deliveries(ledger, destination(sink, name="slack")), 8)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        while (await ledger.backlog(LANE)).subjects:
            loop.wake([PARTITION])
            await asyncio.sleep(0.002)
    loop.stop()
    await running


async def record_of(ledger: Ledger, delivery: str) -> DeliveryRecord:
    [stored] = await ledger.load_deliveries(PARTITION, [delivery])
    assert stored is not None
    return stored.record


async def test_nothing_goes_out_before_somebody_said_so(ledger: Ledger, sink: Rendering) -> None:
    [one] = await route(ledger, sink, ["Offer"])
    await work_off(ledger, sink)
    assert sink.attempts == []
    assert [waiting.id for waiting in await under_review(ledger, ["slack"])] == [one]
    [answer] = await approve(ledger, [one], SAID, ["slack"])
    assert answer.done
    await work_off(ledger, sink)
    assert [sent.id for sent in sink.attempts] == [one]
    record = await record_of(ledger, one)
    assert (record.state, record.decisions, record.late) == (DeliveryState.DELIVERED, (SAID,), True)


async def test_what_was_shown_is_what_is_sent(ledger: Ledger, sink: Rendering) -> None:
    [one] = await route(ledger, sink, ["Offer"])
    [stored] = await ledger.load_deliveries(PARTITION, [one])
    assert stored is not None
    sink.template = "changed meanwhile"
    await approve(ledger, [one], SAID, ["slack"])
    await work_off(ledger, sink)
    assert [sent.body for sent in sink.attempts] == [stored.frozen] == [b"first 1"]


async def test_what_is_rejected_never_goes_out(ledger: Ledger, sink: Rendering) -> None:
    [one] = await route(ledger, sink, ["Offer"])
    assert [answer.done for answer in await reject(ledger, [one], REJECTED)] == [True]
    assert [answer.done for answer in await approve(ledger, [one], SAID, ["slack"])] == [False]
    await work_off(ledger, sink)
    record = await record_of(ledger, one)
    assert (sink.attempts, record.state) == ([], DeliveryState.CANCELLED)
    assert record.reason == "rejected by Grace: fine"


async def test_of_two_people_the_first_word_counts(ledger: Ledger, sink: Rendering) -> None:
    ids = await route(ledger, sink, ["Screen", "Onsite", "Offer"])
    yes, no = await asyncio.gather(approve(ledger, ids, SAID, ["slack"]), reject(ledger, ids, REJECTED))
    assert all(one.done != other.done for one, other in zip(yes, no, strict=True))
    await work_off(ledger, sink)
    assert {sent.id for sent in sink.attempts} == {one.delivery for one in yes if one.done}


async def test_it_can_not_be_retried_past_the_gate(ledger: Ledger, sink: Rendering) -> None:
    [one] = await route(ledger, sink, ["Offer"])
    [answer] = await retry(ledger, [one], {"slack": True})
    assert (answer.done, "held for review" in answer.words) == (False, True)


async def test_one_route_that_wants_a_review_is_enough(ledger: Ledger, sink: Rendering) -> None:
    await route(ledger, sink, ["Offer"], DIRECT, REVIEWED)
    await work_off(ledger, sink)
    assert sink.attempts == []
    [waiting] = await under_review(ledger, ["slack"])
    assert waiting.record.routes == ("news", "letters")


async def test_what_waits_for_a_word_holds_nothing_back(ledger: Ledger, sink: Rendering) -> None:
    [held] = await route(ledger, sink, ["Screen"])
    [direct] = await route(ledger, sink, ["Onsite"], DIRECT)
    await work_off(ledger, sink)
    assert [sent.id for sent in sink.attempts] == [direct]
    assert (await record_of(ledger, held)).state is DeliveryState.HELD


async def test_a_time_limit_rejects_and_never_approves(ledger: Ledger, sink: Rendering) -> None:
    limited = CompiledRoute("letters", (SendTo("slack"),), review=Review(0.001))
    [one] = await route(ledger, sink, ["Offer"], limited)
    [two] = await route(ledger, sink, ["Onsite"], CompiledRoute("l", (SendTo("slack"),), review=Review(3600.0)))
    await asyncio.sleep(0.01)
    assert await reject_overdue(ledger, ["slack"]) == 1
    assert await reject_overdue(ledger, ["slack"]) == 0
    record, other = await record_of(ledger, one), await record_of(ledger, two)
    assert (record.state, record.reason) == (DeliveryState.CANCELLED, "rejected by the time limit")
    assert other.state is DeliveryState.HELD
    assert other.reject_at is not None
    assert other.reject_at - datetime.now(UTC) > timedelta(minutes=59)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(None, None, None), (5.0, None, 5.0), (None, 5.0, 5.0), (7.0, 5.0, 5.0)],
)
def test_the_shorter_time_counts(one: float | None, other: float | None, expected: float | None) -> None:
    assert Review(one).stricter(Review(other)) == Review(expected)


async def test_all_that_wait_are_found_also_among_what_a_sink_that_is_off_holds(
    ledger: Ledger, sink: Rendering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.reviewing._PAGE", 4)
    off = [await route(ledger, sink, [f"off {n}"], DIRECT) for n in range(6)]
    switched_off = Deliveries(ledger, destination(sink, SinkSettings(type="recording", enabled=False), "slack"))
    loop = LaneLoop(ledger, switched_off, 8)
    running = asyncio.create_task(loop.run())
    while (await ledger.backlog(LANE)).subjects:
        loop.wake([PARTITION])
        await asyncio.sleep(0.002)
    loop.stop()
    await running
    limited = CompiledRoute("letters", (SendTo("slack"),), review=Review(0.001))
    reviewed = [(await route(ledger, sink, [f"letter {n}"], limited))[0] for n in range(9)]
    assert len(off) == 6
    assert [one.id for one in await under_review(ledger, ["slack"])] == reviewed
    await asyncio.sleep(0.01)
    assert await reject_overdue(ledger, ["slack"]) == 9


async def test_a_test_event_is_not_held_but_skipped_as_always(ledger: Ledger, sink: Rendering) -> None:
    there: Destination = destination(sink, name="slack")
    intake = Intake(ledger, Ruleset([REVIEWED]), StageKinds(()), {"slack": there}, lambda _s, _p: None)
    await ledger.accept(PARTITION, [receipt_of(make_fact(EventType.APPLICATION_CREATED), "test", test=True)])
    claim = await claim_one(ledger)
    [job] = await intake.load(PARTITION, [claim])
    routed = await intake.run(job, Lease(claim))
    assert isinstance(routed, Routed)
    assert routed.events[0].deliveries[0].record.state is DeliveryState.SKIPPED


acts = st.lists(st.sampled_from(["retry", "work", "approve", "reject", "overdue", "purge"]), max_size=12)


@given(acts)
def test_whatever_happens_nothing_reaches_the_sink_without_an_approval(shared_url: str, happening: list[str]) -> None:
    asyncio.run(_happens(shared_url, happening))


async def _happens(url: str, happening: list[str]) -> None:
    async with client(url) as redis:
        await redis.flushall()
        ledger, sink, approved = Ledger(redis), Rendering(), set[str]()
        ids = await route(ledger, sink, ["Screen", "Onsite"])
        for number, act in enumerate(happening):
            one = ids[number % 2]
            match act:
                case "retry":
                    await retry(ledger, [one], {"slack": True})
                case "work":
                    await work_off(ledger, sink)
                case "approve":
                    approved |= {a.delivery for a in await approve(ledger, [one], SAID, ["slack"]) if a.done}
                case "reject":
                    await reject(ledger, [one], REJECTED)
                case "overdue":
                    await reject_overdue(ledger, ["slack"])
                case "purge":
                    await ledger.purge(PARTITION, older_than=-1)
            assert {sent.id for sent in sink.attempts} <= approved
        await redis.connection_pool.disconnect()


# --- by commands --------------------------------------------------------------------------------------------------


@pytest.fixture
def reviewing(router: Router) -> Router:
    """With one delivery that waits."""
    text = router.config.read_text().replace("  - send_to: my-service", "  - {send_to: my-service, review: true}")
    router.config.write_text(text)
    router.on_ledger(_route_to_my_service)
    return router


async def _route_to_my_service(ledger: Ledger) -> None:
    there = destination(RecordingSink(), name="my-service")
    rules = Ruleset([CompiledRoute("route-1", (SendTo("my-service"),), review=Review(86400.0))])
    intake = Intake(ledger, rules, StageKinds(()), {"my-service": there}, lambda _s, _p: None)
    await ledger.accept(PARTITION, [receipt_of(make_fact(EventType.STAGE_CHANGED, to=make_stage("Offer")))])
    claim = await claim_one(ledger)
    [job] = await intake.load(PARTITION, [claim])
    routed = await intake.run(job, Lease(claim))
    assert isinstance(routed, Routed)
    await intake.settle(PARTITION, [routed])


def test_a_person_lists_looks_at_and_approves(reviewing: Router) -> None:
    [row] = reviewing.json("review list")
    assert (row["sink"], row["routes"], row["state"]) == ("my-service", ["route-1"], "held")
    assert "review show" in reviewing.told("review list")
    shown = reviewing.told(f"review show {row['id']}")
    assert "to my-service, by route-1" in shown
    assert "Offer" in shown
    assert json.loads(reviewing.told(f"review show {row['id']} --json"))["id"] == row["event"]
    assert "approved" in reviewing.told(f"review approve {row['id']} --by Grace")
    assert reviewing.json("review list") == []
    assert "approved by Grace" in reviewing.told(f"show {row['event']}")
    assert len(reviewing.json("deliveries --state pending")) == 1


def test_a_person_rejects_all_after_a_question(reviewing: Router) -> None:
    assert reviewing.run("review reject --all", answer="n\n").exit_code == 1
    assert len(reviewing.json("review list")) == 1
    assert "1 of 1 deliveries are rejected" in reviewing.run("review reject --all --why no", answer="y\n").stdout
    assert "nothing waits" in reviewing.told("review list")


def test_what_waits_for_a_word_is_an_issue_of_its_own(reviewing: Router) -> None:
    kinds = {issue["kind"]: issue for issue in reviewing.json("issues")}
    assert kinds["review"]["times"] == 1
    assert "held" not in kinds


@pytest.mark.parametrize("line", ["review approve", "review reject dlv_1 --all", "review approve dlv_1"])
def test_a_wrong_command_is_answered_with_what_to_write(reviewing: Router, line: str) -> None:
    refused = reviewing.run(line)
    assert refused.exit_code == 2
    assert "ids of deliveries" in refused.stderr or "no id of a delivery" in refused.stderr


def test_explain_says_that_somebody_is_asked_first(reviewing: Router) -> None:
    [event] = reviewing.json("events")
    assert "once a person has approved it" in reviewing.told(f"explain {event['id']}")
