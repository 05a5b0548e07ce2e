"""Deliveries to Slack as a worker makes them: what may have been posted, and the pace of a channel."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router import delivery as delivery_module
from router import ledger as ledger_module
from router.client import Client
from router.delivery import Deliveries
from router.destinations import Destination
from router.lanes import LaneLoop, Lease
from router.ledger import Ledger, sink_lane
from router.records import DeliveryRecord, DeliveryState, GateState, Settled
from router.secret import Reference
from sinks.base import Result
from sinks.slack import Slack
from sinks.slack_settings import SlackSettings
from tests.factories import NOW, PARTITION, claim_one, until
from tests.router.delivering import put_events
from tests.sinks.fake_slack import FakeSlack
from tests.sinks.target import answers, disconnects
from tests.sinks.test_slack import BOT
from tests.sinks.test_slack_look_up import HISTORY, POST

NAME = "slack"
LANE = sink_lane(NAME)


@pytest.fixture
async def api() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as api:
        yield api


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message shows at once, and a channel bears many."""
    monkeypatch.setattr("sinks.slack.LAGS_SECONDS", 0.05)
    monkeypatch.setattr(Slack, "target_rate", 1000.0)
    monkeypatch.setattr(delivery_module, "AFTER_PROBE_SECONDS", 0.05)


def to_slack(client: Client, api: FakeSlack, **settings: Any) -> Destination:
    way = settings if "webhook_url" in settings else {**BOT, "api_url": f"{api.base}/api", **settings}
    made = SlackSettings.model_validate({"type": "slack", "retry": {"first": "10ms"}, **way})
    return Destination(NAME, Slack(made, client), made, client)


async def drain(ledger: Ledger, *destinations: Destination, seconds: float = 10.0) -> None:
    """One worker for each."""
    loops = []
    for there in destinations:
        deliveries = Deliveries(ledger, there)
        loops.append(LaneLoop(ledger, deliveries, 8, deliveries.gate))
    running = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        async with asyncio.timeout(seconds):
            while (await ledger.backlog(LANE)).subjects:
                for loop in loops:
                    loop.wake()
                await asyncio.sleep(0.005)
    finally:
        for loop in loops:
            loop.stop()
        await asyncio.gather(*running)


async def record_of(ledger: Ledger, delivery: str) -> DeliveryRecord:
    [stored] = await ledger.load_deliveries(PARTITION, [delivery])
    assert stored is not None
    return stored.record


def story(record: DeliveryRecord) -> list[str]:
    return [made.reason for made in record.attempts]


# What may have been posted


async def test_what_was_posted_without_an_answer_is_not_posted_twice(
    ledger: Ledger, client: Client, api: FakeSlack
) -> None:
    there = to_slack(client, api)
    first, second = await put_events(ledger, ["Screen", "Onsite"], there=there)
    api.after[POST] = [disconnects]
    await drain(ledger, there)
    record = await record_of(ledger, first)
    assert (record.state, story(record)) == (DeliveryState.DELIVERED, ["reset", "found"])
    keys = [message["metadata"]["event_payload"]["delivery_key"] for message in api.posted]
    assert keys == [first, second]


async def test_what_was_lost_on_the_way_is_posted(ledger: Ledger, client: Client, api: FakeSlack) -> None:
    there = to_slack(client, api)
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    api.instead[POST] = [disconnects]
    await drain(ledger, there)
    assert story(await record_of(ledger, delivery)) == ["reset", "ok"]
    assert len(api.posted) == 1


async def test_what_a_killed_worker_posted_is_found(
    ledger: Ledger, client: Client, api: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between posting and settling, and another one came only minutes later."""
    there = to_slack(client, api)
    api.ahead = NOW.timestamp() - time.time()  # when the event came
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    monkeypatch.setattr(ledger_module, "LEASE_SECONDS", 0.2)
    claim = await claim_one(ledger, LANE)
    deliveries = Deliveries(ledger, there)
    [job] = await deliveries.load(PARTITION, [claim])
    assert isinstance(await deliveries.run(job, Lease(claim)), Settled)
    monkeypatch.undo()
    monkeypatch.setattr("sinks.slack.LAGS_SECONDS", 0.05)
    await asyncio.sleep(0.2)
    await drain(ledger, to_slack(client, api))
    record = await record_of(ledger, delivery)
    assert (record.state, story(record)) == (DeliveryState.DELIVERED, ["worker_lost", "found"])
    assert len(api.posted) == 1


async def test_the_history_gets_its_time_and_the_delivery_waits(ledger: Ledger, client: Client, api: FakeSlack) -> None:
    there = to_slack(client, api)
    there.sink.shows_after = 0.7
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    api.after[POST] = [disconnects]
    await drain(ledger, there)
    posted, found = (await record_of(ledger, delivery)).attempts
    assert (found.at - posted.at).total_seconds() >= 0.7


async def test_the_limit_of_reading_holds_back_one_delivery_and_costs_no_try(
    ledger: Ledger, client: Client, api: FakeSlack
) -> None:
    there = to_slack(client, api, retry={"first": "10ms", "tries": 2})
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    api.after[POST] = [disconnects]
    api.instead[HISTORY] = [answers(429, retry_after="0.1"), answers(429, retry_after="0.1")]
    running = asyncio.create_task(drain(ledger, there))
    await until(lambda: bool(api.calls(HISTORY)))
    assert (await ledger.read_gate(NAME)).interval == 0
    await running
    record = await record_of(ledger, delivery)
    assert story(record) == ["reset", "look_up_http_429", "found"]
    assert record.attempts[1].times == 2
    assert record.attempts[1].result is Result.AMBIGUOUS
    assert len(api.posted) == 1


async def test_a_token_that_is_revoked_meanwhile_parks_the_sink_and_nothing_is_posted_twice(
    ledger: Ledger, client: Client, api: FakeSlack
) -> None:
    there = to_slack(client, api, channel="C0123456789")
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    api.after[POST] = [disconnects]
    revoked = answers(200, b'{"ok":false,"error":"token_revoked"}')
    api.instead[HISTORY] = [revoked]
    running = asyncio.create_task(drain(ledger, there))
    gate = await ledger.read_gate(NAME)
    while gate.state is not GateState.PARKED:
        await asyncio.sleep(0.01)
        gate = await ledger.read_gate(NAME)
    await ledger.probe_now(NAME)
    await running
    assert story(await record_of(ledger, delivery)) == ["reset", "token_revoked", "found"]
    assert len(api.posted) == 1


@pytest.mark.parametrize(
    ("on_ambiguous", "state", "told", "messages"),
    [
        ("retry", DeliveryState.DELIVERED, ["reset", "ok"], 2),
        ("give_up", DeliveryState.UNKNOWN, ["reset", "look_up_missing_scope"], 1),
    ],
)
async def test_a_bot_that_may_not_read(
    ledger: Ledger,
    client: Client,
    api: FakeSlack,
    on_ambiguous: str,
    state: DeliveryState,
    told: list[str],
    messages: int,
) -> None:
    there = to_slack(client, api, on_ambiguous=on_ambiguous)
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    api.scopes = {"chat:write"}
    api.after[POST] = [disconnects]
    await drain(ledger, there)
    record = await record_of(ledger, delivery)
    assert (record.state, story(record), len(api.posted)) == (state, told, messages)


@pytest.mark.parametrize(
    ("on_ambiguous", "state", "messages"),
    [("retry", DeliveryState.DELIVERED, 2), ("give_up", DeliveryState.UNKNOWN, 1)],
)
async def test_a_webhook(
    ledger: Ledger, client: Client, api: FakeSlack, on_ambiguous: str, state: DeliveryState, messages: int
) -> None:
    hook = Reference(f"{api.base}/services/T1/B1/S3CRET")
    there = to_slack(client, api, webhook_url=hook, on_ambiguous=on_ambiguous)
    [delivery] = await put_events(ledger, ["Screen"], there=there)
    api.after["webhook"] = [disconnects]
    await drain(ledger, there)
    assert ((await record_of(ledger, delivery)).state, len(api.posted)) == (state, messages)


# The pace


def test_a_channel_gets_about_one_message_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert Slack.target_rate == 1.0


async def times_of(
    ledger: Ledger, api: FakeSlack, there: Destination, stages: list[str], workers: int = 1
) -> dict[str, list[float]]:
    """When messages of five applications came into each channel."""
    for application in "12345":
        await put_events(ledger, stages, application=application, there=there)
    await drain(ledger, *[there] * workers)
    return {name: [float(one["ts"]) for one in channel.messages] for name, channel in api.channels.items()}


@pytest.mark.timed
@pytest.mark.parametrize("workers", [1, 2])
async def test_workers_keep_the_pace_of_a_channel_together(
    ledger: Ledger, client: Client, api: FakeSlack, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(Slack, "target_rate", 5.0)
    times = await times_of(ledger, api, to_slack(client, api), ["Screen"], workers)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times["hiring"])]
    assert len(gaps) == 4
    assert min(gaps) > 0.1  # 0.2, less what the ways to the ledger and to Slack differ
    assert sum(gaps) == pytest.approx(0.8, abs=0.25)


@pytest.mark.timed
async def test_channels_do_not_slow_each_other_down(
    ledger: Ledger, client: Client, api: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slack, "target_rate", 5.0)
    there = to_slack(client, api, channel="{{ to_stage | slug }}", order="none")
    times = await times_of(ledger, api, there, ["Hiring", "Leads"])
    assert [len(ones) for ones in times.values()] == [5, 5]
    everything = sorted(itertools.chain(*times.values()))
    assert everything[-1] - everything[0] == pytest.approx(0.8, abs=0.25)
