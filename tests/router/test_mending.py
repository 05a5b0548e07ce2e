"""What an operator does on a bad day, through the commands, on a real ledger."""

import asyncio
import os
import time
from functools import partial

import pytest

from router.ledger import Ledger, sink_lane
from router.ledger_keys import deliveries_index
from router.lists import Filter, scan_deliveries
from router.records import Claim, DeliveryState, GateState, Settled
from tests.factories import PARTITION, claim_one
from tests.router.bulk import SINK, Bulk, fill
from tests.router.operating import Router, drift_of, keep


def ids(router: Router, state: str) -> list[str]:
    return [row["id"] for row in router.json(f"deliveries --state {state}")]


async def give_up(ledger: Ledger, state: DeliveryState, reason: str, count: int = 1) -> list[str]:
    """Waiting deliveries that come into another state, as a worker settles them."""
    done = []
    for _ in range(count):
        claim = await claim_one(ledger, sink_lane(SINK))
        [stored] = await ledger.load_deliveries(PARTITION, [claim.head.decode()])
        assert stored is not None
        record = stored.record.model_copy(update={"state": state, "reason": reason})
        await ledger.settle(sink_lane(SINK), PARTITION, [Settled(claim, claim.head.decode(), record, None)])
        done.append(claim.head.decode())
        await asyncio.sleep(0.002)  # as between two settles of a worker
    return done


def switch(router: Router, *, on: bool) -> None:
    text = router.config.read_text().replace("    enabled: false\n", "")
    if not on:
        text = text.replace("    type: http\n", "    type: http\n    enabled: false\n")
    router.config.write_text(text)


WAITING = Bulk(attempted=False)


# --- cancel -------------------------------------------------------------------------------------------------------


def test_a_waiting_delivery_is_cancelled_and_the_next_moves_up(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 2, WAITING))  # of one application
    second, first = ids(router, "pending")
    assert "it is cancelled" in router.told(f"cancel {first} --by Grace --why wrong")
    assert (ids(router, "pending"), ids(router, "cancelled")) == ([second], [first])
    assert router.on_ledger(lambda ledger: claim_one(ledger, sink_lane(SINK))).head.decode() == second
    [event] = router.json("deliveries --state cancelled")
    story = router.told(f"show {event['event']}")
    assert "cancelled by Grace: wrong" in story


def test_one_in_the_middle_of_its_line_is_cancelled(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 3, WAITING))
    third, second, first = ids(router, "pending")
    router.told(f"cancel {second}")
    for expected in (first, third):
        claim = router.on_ledger(lambda ledger: claim_one(ledger, sink_lane(SINK)))
        assert claim.head.decode() == expected
        router.on_ledger(partial(deliver, claim=claim))


async def deliver(ledger: Ledger, claim: Claim) -> None:
    [stored] = await ledger.load_deliveries(PARTITION, [claim.head.decode()])
    assert stored is not None
    record = stored.record.model_copy(update={"state": DeliveryState.DELIVERED})
    await ledger.settle(sink_lane(SINK), PARTITION, [Settled(claim, claim.head.decode(), record, None)])


def test_what_is_being_sent_is_not_cancelled(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 1, WAITING))
    [one] = ids(router, "pending")
    router.on_ledger(lambda ledger: claim_one(ledger, sink_lane(SINK)))
    refused = router.run(f"cancel {one}")
    assert refused.exit_code == 1
    assert "being sent right now" in refused.stderr


def test_all_that_is_dead_is_cancelled_after_a_question(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 20, Bulk(dead_every=2)))
    assert router.run("cancel --state dead", answer="n\n").exit_code == 1
    assert len(ids(router, "dead")) == 10
    assert "10 of 10 deliveries are cancelled" in router.run("cancel --state dead", answer="y\n").stdout
    assert (ids(router, "dead"), len(ids(router, "cancelled"))) == ([], 10)


def test_who_decides_is_told_also_where_the_user_has_no_name(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    def has_none() -> str:
        raise KeyError

    monkeypatch.setattr("getpass.getuser", has_none)
    router.on_ledger(lambda ledger: fill(ledger, 1, WAITING))
    [one] = ids(router, "pending")
    router.told(f"cancel {one}")
    [row] = router.json("deliveries --state cancelled")
    assert row["reason"] == f"cancelled by user {os.getuid()}"


def test_what_was_delivered_or_cancelled_can_not_be_cancelled(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 2, Bulk(dead_every=2)))
    [delivered], [dead] = ids(router, "delivered"), ids(router, "dead")
    router.told(f"cancel {dead}")
    for one, state in ((delivered, "delivered"), (dead, "cancelled")):
        refused = router.run(f"cancel {one}")
        assert refused.exit_code == 1
        assert f"it is {state}, so there is nothing to cancel" in refused.stderr


@pytest.mark.parametrize(
    ("filters", "expected"),
    [("--reason http_503", 10), ("--reason nothing", 0), ("--route all", 10), ("--route none", 0), ("--since 1h", 10)],
)
def test_filters_choose_what_is_retried(router: Router, filters: str, expected: int) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 20, Bulk(dead_every=2)))
    assert len(router.json(f"retry --dead --yes {filters}")) == expected
    assert len(ids(router, "pending")) == expected


def test_a_rate_paces_what_is_put_back(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 40, Bulk(dead_every=1)))
    started = time.monotonic()
    assert len(router.json("retry --dead --yes --rate 64/s")) == 40
    assert time.monotonic() - started > 2 * 16 / 64
    refused = router.run("retry --dead --rate fast")
    assert (refused.exit_code, "10/s" in refused.stderr) == (2, True)


# --- what may have arrived ----------------------------------------------------------------------------------------


def test_what_may_have_arrived_is_confirmed_or_sent_again(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 8, WAITING))
    seen, not_seen = router.on_ledger(
        lambda ledger: give_up(ledger, DeliveryState.UNKNOWN, "timeout: it may have arrived", 2)
    )
    assert "taken for delivered" in router.told(f"confirm {seen} --by Grace")
    assert ids(router, "delivered") == [seen]
    assert "back in its line" in router.told(f"retry {not_seen}")
    refused = router.run(f"confirm {seen}")
    assert (refused.exit_code, "only what is unknown" in refused.stderr) == (1, True)


# --- a sink that was off ------------------------------------------------------------------------------------------


def test_what_a_sink_held_is_released_in_order_and_late(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 8, WAITING))
    held = router.on_ledger(lambda ledger: give_up(ledger, DeliveryState.HELD, "sink_off", 8))
    switch(router, on=False)
    assert [row["state"] for row in router.json("status")["sinks"]] == ["off"]
    refused = router.run("release my-service --yes")
    assert (refused.exit_code, "enabled: false" in refused.stderr) == (1, True)
    refused = router.run(f"retry {held[0]}")
    assert "switched off" in refused.stderr
    switch(router, on=True)
    assert [one["id"] for one in router.json("release my-service --yes")] == held
    assert (len(ids(router, "pending")), ids(router, "held")) == (8, [])
    stored = router.on_ledger(lambda ledger: ledger.load_deliveries(PARTITION, held))
    assert all(one is not None and one.record.late for one in stored)


def test_what_a_sink_held_is_dropped(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 4, WAITING))
    router.on_ledger(lambda ledger: give_up(ledger, DeliveryState.HELD, "sink_off", 4))
    switch(router, on=False)
    assert "4 of 4 deliveries are cancelled" in router.told("release my-service --cancel --yes")
    assert (ids(router, "pending"), len(ids(router, "cancelled"))) == ([], 4)


def test_what_is_held_for_review_is_not_released(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 1, WAITING))
    [one] = router.on_ledger(lambda ledger: give_up(ledger, DeliveryState.HELD, "review"))
    assert router.json("release my-service --yes") == []
    assert ids(router, "held") == [one]


def test_a_sink_that_fails_is_probed_at_once(router: Router) -> None:
    router.on_ledger(lambda ledger: ledger.trip(SINK, GateState.PARKED, "http_401", probe=False))
    assert "tried at once" in router.told("release my-service --yes")
    assert router.on_ledger(lambda ledger: ledger.read_gate(SINK)).probe_at == 0


# --- issues -------------------------------------------------------------------------------------------------------


def issues(router: Router) -> dict[str, dict[str, object]]:
    return {issue["kind"]: issue for issue in router.json("issues")}


@pytest.fixture
def working(router: Router) -> Router:
    """With a worker that shows itself."""
    router.on_ledger(lambda ledger: ledger.show_worker("a"))
    return router


def test_without_any_it_says_so(working: Router) -> None:
    assert issues(working) == {}
    assert "nothing needs a person" in working.told("issues")


def test_without_a_worker_that_is_the_issue(router: Router) -> None:
    assert list(issues(router)) == ["no_worker"]


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (GateState.PARKED, "http_401", "refuses us: http_401"),
        (GateState.OPEN, "refused", "it fails: refused"),
    ],
)
def test_a_failing_sink_is_an_issue_until_it_works(working: Router, state: GateState, reason: str, words: str) -> None:
    working.on_ledger(lambda ledger: ledger.trip(SINK, state, reason, probe=False))
    [issue] = issues(working).values()
    assert (issue["kind"], issue["about"], issue["times"]) == (state, SINK, 1)
    assert words in str(issue["what"])
    assert words in working.told("issues")
    assert words in working.told("status")
    [sink] = working.json("status")["sinks"]
    assert (sink["state"], sink["failing_why"]) == (state, reason)
    working.on_ledger(lambda ledger: ledger.works(SINK, 1, probe=True))
    assert issues(working) == {}
    assert working.json("status")["sinks"][0]["state"] == "slowed"


@pytest.mark.parametrize("state", [DeliveryState.HELD, DeliveryState.UNKNOWN, DeliveryState.DEAD])
def test_what_waits_for_a_person_is_an_issue(working: Router, state: DeliveryState) -> None:
    working.on_ledger(lambda ledger: fill(ledger, 3, WAITING))
    working.on_ledger(lambda ledger: give_up(ledger, state, "sink_off", 3))
    [issue] = issues(working).values()
    assert (issue["kind"], issue["times"]) == (state, 3)


def test_what_will_soon_be_forgotten_is_an_issue_before(working: Router) -> None:
    working.on_ledger(lambda ledger: fill(ledger, 4, Bulk(dead_every=2)))
    assert "retention" not in issues(working)
    working.config.write_text(working.config.read_text() + "retention: {events: 1ms}\n")
    assert issues(working)["retention"]["times"] == 2


def test_drift_is_an_issue(working: Router) -> None:
    keep(working, drift_of(b"{}"))
    assert issues(working)["drift"]["about"] == "greenhouse"


async def test_what_is_held_is_kept_and_what_is_dead_is_forgotten(ledger: Ledger) -> None:
    await fill(ledger, 2, WAITING)
    await give_up(ledger, DeliveryState.HELD, "sink_off")
    await give_up(ledger, DeliveryState.DEAD, "http_400")
    await ledger.purge(PARTITION, older_than=-1)
    assert await ledger.how_many(deliveries_index(SINK, DeliveryState.HELD)) == 1
    assert await ledger.how_many(deliveries_index(SINK, DeliveryState.DEAD)) == 0


@pytest.mark.parametrize("reason", ["HTTP_503", "p_50", 'said "no"', "käse", "back\\slash"])
def test_deliveries_are_found_by_any_part_of_their_reason(router: Router, reason: str) -> None:
    odd = 'http_503 said "no", käse, back\\slash'
    router.on_ledger(lambda ledger: fill(ledger, 4, WAITING))
    router.on_ledger(lambda ledger: give_up(ledger, DeliveryState.DEAD, odd, 2))
    found = router.on_ledger(lambda ledger: scan_deliveries(ledger, Filter(limit=9, reason=reason), [SINK]))
    assert len(found.rows) == 2
    none = router.on_ledger(lambda ledger: scan_deliveries(ledger, Filter(limit=9, reason=f"{reason}x"), [SINK]))
    assert not none.rows
