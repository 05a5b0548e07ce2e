"""A changed configuration on the stored events: what is counted, and with which examples."""

import io
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from rich.console import Console

from router.destinations import Planned
from router.ledger import Ledger
from router.ledger_keys import events_index, key
from router.schema import EventType
from router.trying import rehearsing
from router.trying.outlook import Outlook
from router.trying.rehearsing import Change, Rehearsal, SinkChanges, Window, print_rehearsal, rehearse
from tests.factories import PARTITION, SOURCE
from tests.router.bulk import fill
from tests.router.trying.configs import configured

ROUTES = """
routes:
  - name: moves
    when: {event: StageChanged}
    send_to: my-service
  - name: screens
    when: {to_stage: "*Screen*", department: Engineering}
    send_to: recruiters
"""
EVERYTHING = Window()
OFFERS = {"{event: StageChanged}": "{event: [StageChanged, OfferChanged]}"}
SALES = {"department: Engineering": "department: Sales"}


def outlook(tmp_path: Path, changes: Mapping[str, str] | None = None) -> Outlook:
    return Outlook(configured(tmp_path, ROUTES, changes))


async def compared(
    ledger: Ledger, tmp_path: Path, changes: Mapping[str, str] | None = None, window: Window = EVERYTHING
) -> Rehearsal:
    """Each of the 40 stored events: 10 applied, 20 moved, 10 had an offer."""
    return await rehearse(ledger, outlook(tmp_path), outlook(tmp_path, changes), window, lambda done, total: None)


def counts(rehearsal: Rehearsal) -> dict[str, tuple[int, int, int, int]]:
    return {sink.sink: (sink.more, sink.fewer, sink.different, sink.same) for sink in rehearsal.sinks}


def of(rehearsal: Rehearsal, sink: str) -> SinkChanges:
    [changes] = [changes for changes in rehearsal.sinks if changes.sink == sink]
    return changes


def printed(rehearsal: Rehearsal) -> str:
    stream = io.StringIO()
    print_rehearsal(rehearsal, Console(file=stream, highlight=False, soft_wrap=True, width=10_000))
    return stream.getvalue()


@pytest.fixture
async def full(ledger: Ledger) -> Ledger:
    await fill(ledger, 40)
    return ledger


async def test_the_same_file_changes_nothing(full: Ledger, tmp_path: Path) -> None:
    rehearsal = await compared(full, tmp_path)
    assert (rehearsal.events, rehearsal.gone) == (40, 0)
    assert counts(rehearsal) == {"recruiters": (0, 0, 0, 20), "my-service": (0, 0, 0, 20)}
    assert printed(rehearsal) == "Nothing changes: 40 stored events go where they go now, and say the same.\n"


async def test_more_deliveries_name_the_route_that_makes_them(full: Ledger, tmp_path: Path) -> None:
    rehearsal = await compared(full, tmp_path, OFFERS)
    assert counts(rehearsal) == {"recruiters": (0, 0, 0, 20), "my-service": (10, 0, 0, 20)}
    examples = of(rehearsal, "my-service").examples[Change.MORE]
    assert [(one.type, one.headline, one.why) for one in examples] == [
        (EventType.OFFER_CHANGED, "Ada Lovelace: offer changed, Backend Engineer", "by moves")
    ] * 3
    assert len({one.event for one in examples}) == 3
    told = printed(rehearsal)
    assert "On 40 stored events the new file makes" in told
    assert ["my-service", "10", "0", "0", "20"] in [line.split() for line in told.splitlines()]
    assert "my-service, more, for example" in told


async def test_fewer_deliveries_say_which_condition_no_longer_holds(full: Ledger, tmp_path: Path) -> None:
    rehearsal = await compared(full, tmp_path, SALES)
    assert counts(rehearsal) == {"recruiters": (0, 20, 0, 0), "my-service": (0, 0, 0, 20)}
    [why] = {one.why for one in of(rehearsal, "recruiters").examples[Change.FEWER]}
    assert why == 'screens: department is "Engineering", not "Sales"'


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name: screens": "name: other", **SALES}, "the route screens is gone"),
        ({"send_to: recruiters": "send_to: my-service"}, "screens matches, and does not send there any more"),
        ({"name: screens": "name: screens\n    enabled: false"}, "screens: it is switched off"),
    ],
)
async def test_fewer_deliveries_say_what_became_of_their_route(
    full: Ledger, tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    rehearsal = await compared(full, tmp_path, changes)
    assert counts(rehearsal)["recruiters"] == (0, 20, 0, 0)
    assert {one.why for one in of(rehearsal, "recruiters").examples[Change.FEWER]} == {why}


@pytest.mark.parametrize(
    ("changes", "sink", "why"),
    [
        ({"example.com/hook": "example.com/other"}, "my-service", "another channel or address, by moves"),
        (
            {"send_to: recruiters": "send_to: [{recruiters: {template: Hello}}]"},
            "recruiters",
            "another text, by screens",
        ),
        (
            {'webhook_url: "${SLACK_WEBHOOK_URL}"': 'webhook_url: "${SLACK_WEBHOOK_URL}", fields: [job]'},
            "recruiters",
            "another text, by screens",
        ),
    ],
)
async def test_another_place_and_another_text_are_different(
    full: Ledger, tmp_path: Path, changes: dict[str, str], sink: str, why: str
) -> None:
    rehearsal = await compared(full, tmp_path, changes)
    assert counts(rehearsal)[sink] == (0, 0, 20, 0)
    assert {one.why for one in of(rehearsal, sink).examples[Change.DIFFERENT]} == {why}
    assert "hooks.slack.com" not in rehearsal.model_dump_json()


async def test_a_route_of_another_name_is_no_change(full: Ledger, tmp_path: Path) -> None:
    rehearsal = await compared(full, tmp_path, {"name: moves": "name: all moves"})
    assert counts(rehearsal)["my-service"] == (0, 0, 0, 20)


async def test_sinks_that_only_one_of_the_files_has(full: Ledger, tmp_path: Path) -> None:
    changes = {"recruiters: {type": "people: {type", "send_to: recruiters": "send_to: people"}
    assert counts(await compared(full, tmp_path, changes)) == {
        "recruiters": (0, 20, 0, 0),
        "my-service": (0, 0, 0, 20),
        "people": (20, 0, 0, 0),
    }


async def test_only_events_of_the_time_and_the_source_count(full: Ledger, tmp_path: Path) -> None:
    before = await full.time()
    for window in (Window(until=before - 3600), Window(since=before + 3600), Window(source="another")):
        rehearsal = await compared(full, tmp_path, OFFERS, window)
        assert rehearsal.events == 0
        assert "nothing to compare" in printed(rehearsal)
    window = Window(since=before - 3600, until=before + 3600, source=SOURCE)
    assert (await compared(full, tmp_path, OFFERS, window)).events == 40


async def test_an_empty_ledger_has_nothing_to_compare(ledger: Ledger, tmp_path: Path) -> None:
    rehearsal = await compared(ledger, tmp_path, OFFERS)
    assert rehearsal.events == 0
    assert "nothing to compare" in printed(rehearsal)


async def test_progress_is_told_to_the_end(full: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsing, "BATCH", 7)
    told: list[tuple[int, int]] = []
    now = outlook(tmp_path)
    window = Window(since=await full.time() - 3600)
    await rehearse(full, now, now, window, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 40)
    assert told[-1] == (40, 40)
    assert all(after[0] - before[0] <= 7 for before, after in pairwise(told))
    told.clear()
    await rehearse(full, now, now, Window(until=window.since), lambda done, total: told.append((done, total)))
    assert told == [(0, 0)]


async def test_what_is_purged_meanwhile_is_left_out(
    full: Ledger, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first, *_] = await full.listed([events_index(SOURCE, EventType.STAGE_CHANGED)], 1)
    await redis.delete(key(PARTITION, f"event:{first.id}"))
    rehearsal = await compared(full, tmp_path)
    assert (rehearsal.events, rehearsal.gone) == (39, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(times=st.lists(st.integers(0, 6), max_size=40), batch=st.integers(1, 5))
async def test_each_event_is_read_once_whatever_came_in_the_same_millisecond(
    ledger: Ledger, redis: Redis, times: list[int], batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsing, "BATCH", batch)
        name = events_index(SOURCE, EventType.STAGE_CHANGED)
        await redis.delete(key(PARTITION, name))
        for number, at in enumerate(times):
            await redis.zadd(key(PARTITION, name), {f"evt_{number:03}": at})
        batches = [ids async for ids in rehearsing._batches(ledger, name, Window(since=0.001, until=0.005))]
    read = [one for ids in batches for one in ids]
    wanted = [f"evt_{number:03}" for number, at in enumerate(times) if 1 <= at <= 5]
    assert sorted(read) == wanted
    assert [times[int(one[4:])] for one in read] == sorted((times[int(one[4:])] for one in wanted), reverse=True)
    assert all(len(ids) <= batch for ids in batches)


TARGETS = st.sets(st.sampled_from("abcd"))


@given(old=TARGETS, new=TARGETS)
def test_every_delivery_is_compared_once(old: set[str], new: set[str]) -> None:
    before, after = ({target: Planned("s", target, ("r",)) for target in sorted(which)} for which in (old, new))
    pairs = list(rehearsing._paired(before, after))
    assert sorted(was.target for was, _ in pairs if was) == sorted(old)
    assert sorted(will.target for _, will in pairs if will) == sorted(new)
    assert len(pairs) == max(len(old), len(new))
    for was, will in pairs:
        if was and will and was.target != will.target:
            assert was.target not in new
            assert will.target not in old
