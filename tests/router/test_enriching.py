"""Thin facts in intake, with a real ledger and a vendor's API over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from router import enriching, vendor_api
from router.client import Client
from router.enriching import Enricher, Later
from router.ledger import INTAKE, Ledger
from router.records import StoredEvent
from router.schema import Application, Event, EventType, Fact
from router.secret import Reference
from tests.factories import NOW, SOURCE, receipt_of
from tests.handlers.vendor_api import Answers, Asked, StandIn, stand_in
from tests.router.test_intake import EVERYTHING, MOVED, Taken, events_of
from tests.router.thin_vendor import thin

ANOTHER_MOVED = MOVED.model_copy(update={"application": Application(id="another")})
GOOD = Answers({"stage": "onsite"})


def thin_fact(application: str = "1") -> Fact:
    return Fact(
        type=EventType.APPLICATION_UPDATED,
        vendor_event="moved",
        application=Application(id=application),
        needs_enrichment=True,
    )


@asynccontextmanager
async def enriching_intake(ledger: Ledger, answer: Callable[[Asked], Answers]) -> AsyncIterator[tuple[Taken, StandIn]]:
    """An intake at work whose source has an API that answers so."""
    async with stand_in(answer) as vendor, Client() as client:
        handler = thin(vendor.url, api_key=Reference("key"), stages={"INTERVIEW": ["onsite"]})
        access = handler.access()
        assert access

        async def note(problem: str | None, refused: bool) -> None:
            await ledger.note_api(SOURCE, problem, refused=refused)

        taken = Taken(ledger, [EVERYTHING], {SOURCE: Enricher(handler, access, client, note)})
        running = asyncio.create_task(taken.loop.run())
        try:
            yield taken, vendor
        finally:
            taken.loop.stop()
            await running


async def a_problem_is_noted(ledger: Ledger) -> None:
    async with asyncio.timeout(5):
        while SOURCE not in await ledger.api_states():  # noqa: ASYNC110 the server tells nobody
            await asyncio.sleep(0.01)


def told(events: list[StoredEvent]) -> list[Event]:
    return [Event.model_validate_json(event.body) for event in events]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enriching, "_LEAST_WAIT", 0.05)
    monkeypatch.setattr(enriching, "PATIENCE_SECONDS", 1e9)  # made-up facts came in a made-up past
    monkeypatch.setattr(vendor_api, "REFUSED_PAUSE", 0.1)
    monkeypatch.setattr(vendor_api, "UNAVAILABLE_PAUSE", 0.1)


async def test_a_thin_fact_becomes_what_the_api_says(ledger: Ledger) -> None:
    async with enriching_intake(ledger, lambda _: GOOD) as (taken, vendor):
        receipt = receipt_of(thin_fact())
        await taken.accept(receipt)
        moved, updated = told(await events_of(ledger, receipt.id))
    assert (moved.type, updated.type) == (EventType.STAGE_CHANGED, EventType.APPLICATION_UPDATED)
    assert moved.to_stage
    assert (moved.to_stage.id, moved.to_stage.kind) == ("onsite", "INTERVIEW")
    assert (moved.sequence, updated.sequence) == (1, 2)
    assert moved.id != updated.id
    assert vendor.asked[0].headers["x-key"] == "key"
    state = (await ledger.api_states())[SOURCE]
    assert state.problem is None


async def test_a_fact_that_is_whole_asks_nobody(ledger: Ledger) -> None:
    async with enriching_intake(ledger, lambda _: GOOD) as (taken, vendor):
        receipt = receipt_of(MOVED)
        await taken.accept(receipt)
        assert len(await events_of(ledger, receipt.id)) == 1
        assert vendor.asked == []


async def test_what_the_vendor_does_not_know_goes_on_as_it_came(ledger: Ledger) -> None:
    async with enriching_intake(ledger, lambda _: Answers({}, 404)) as (taken, _):
        receipt = receipt_of(thin_fact())
        await taken.accept(receipt)
        [event] = told(await events_of(ledger, receipt.id))
    assert event.type is EventType.APPLICATION_UPDATED
    assert event.application
    assert event.application.stage is None


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_an_api_that_does_not_work_delays_its_own_facts_only_until_it_does(ledger: Ledger, status: int) -> None:
    broken = True
    async with enriching_intake(ledger, lambda _: Answers({}, status) if broken else GOOD) as (taken, vendor):
        thin_receipt, whole = receipt_of(thin_fact()), receipt_of(ANOTHER_MOVED, dedupe="2")
        await taken.accept(thin_receipt)
        await a_problem_is_noted(ledger)
        await taken.accept(whole)
        assert len(await events_of(ledger, whole.id)) == 1
        assert (await ledger.backlog(INTAKE)).subjects == 1
        state = (await ledger.api_states())[SOURCE]
        assert state.problem
        assert str(status) in state.problem
        broken = False
        assert len(await events_of(ledger, thin_receipt.id)) == 2
        assert (await ledger.api_states())[SOURCE].problem is None
        assert len(vendor.asked) < 20


async def test_the_order_of_an_application_is_kept_while_its_head_waits(ledger: Ledger) -> None:
    answers = [Answers({}, 500)]
    async with enriching_intake(ledger, lambda _: answers.pop() if answers else GOOD) as (taken, _):
        first, second = receipt_of(thin_fact(), dedupe="1"), receipt_of(MOVED, dedupe="2")
        await taken.accept(first, second)
        late = told(await events_of(ledger, second.id))
        early = told(await events_of(ledger, first.id))
    assert [event.sequence for event in (*early, *late)] == [1, 2, 3]


async def test_a_test_event_asks_nobody(ledger: Ledger) -> None:
    async with enriching_intake(ledger, lambda _: GOOD) as (taken, vendor):
        receipt = receipt_of(thin_fact(), test=True)
        await taken.accept(receipt)
        assert len(await events_of(ledger, receipt.id)) == 1
        assert vendor.asked == []


def enricher(client: Client, url: str, noted: list[str | None] | None = None) -> Enricher:
    handler = thin(url, api_key=Reference("key"))
    access = handler.access()
    assert access

    async def note(problem: str | None, _refused: bool) -> None:
        if noted is not None:
            noted.append(problem)

    return Enricher(handler, access, client, note)


async def test_after_a_day_of_failures_a_fact_goes_on_but_credentials_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enriching, "PATIENCE_SECONDS", 86400.0)
    long_ago = datetime.now(UTC) - timedelta(days=1, seconds=1)
    status = 500
    async with stand_in(lambda _: Answers({}, status)) as vendor, Client() as client:
        api = enricher(client, vendor.url)
        with pytest.raises(Later):
            await api.complete(thin_fact(), datetime.now(UTC))
        assert await api.complete(thin_fact(), long_ago) == [thin_fact()]
        status = 401
        with pytest.raises(Later):
            await api.complete(thin_fact(), long_ago)


async def test_an_answer_that_lacks_what_it_promises_is_no_end_of_the_fact() -> None:
    async with stand_in(lambda _: Answers({"something": "else"})) as vendor, Client() as client:
        noted: list[str | None] = []
        api = enricher(client, vendor.url, noted)
        for _ in range(2):
            with pytest.raises(Later):
                await api.complete(thin_fact(), datetime.now(UTC))
        assert noted == ["stage: is missing"]


async def test_one_source_does_not_take_every_slot_and_what_waits_comes_back_spread_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enriching, "AT_ONCE", 2)
    async with stand_in(lambda _: GOOD) as vendor, Client() as client:
        api = enricher(client, vendor.url)
        running = [asyncio.create_task(api.complete(thin_fact(str(n)), NOW)) for n in range(40)]
        results = await asyncio.gather(*running, return_exceptions=True)
        waits = [result.wait for result in results if isinstance(result, Later)]
        assert len(waits) == 38
        assert max(waits) > min(waits)
        for number in range(40):
            assert await api.complete(thin_fact(str(number)), NOW)


async def test_a_put_off_fact_is_taken_up_by_the_next_worker(ledger: Ledger) -> None:
    """The lease is given back at once, so nobody has to wait for it to run out."""
    async with enriching_intake(ledger, lambda _: Answers({}, 500)) as (taken, _):
        receipt = receipt_of(thin_fact())
        await taken.accept(receipt)
        await a_problem_is_noted(ledger)
    assert (await ledger.backlog(INTAKE)).leased == 0
    async with enriching_intake(ledger, lambda _: GOOD):
        assert len(await events_of(ledger, receipt.id)) == 2
