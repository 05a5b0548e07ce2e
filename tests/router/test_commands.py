"""The commands of daily operation, as somebody tries them who was just woken."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from handlers.base import Disposition, Sample
from router import lists
from router.codec import unpack
from router.config import load
from router.drift import replay
from router.ledger import INTAKE, Ledger
from router.mending import Mended
from router.parts import Source, sources_of
from router.records import WaitingFact
from router.schema import EventType
from tests.factories import NOW, PARTITION, SOURCE
from tests.router.bulk import Bulk, fill
from tests.router.operating import CONFIG, Router, drift_of, keep

LISTING = ["status", "sources", "events", "deliveries", "drift list", "drift replay", "retry --dead"]
UNKNOWN = "00" + "0" * 24


def readable_body(router: Router) -> bytes:
    """What the handler of that day did not understand, and today's does."""
    sample = Sample(EventType.APPLICATION_CREATED, "4711", "Ada Lovelace", "Backend Engineer", NOW, "Phone Screen")
    return sources_of(load(router.config))[SOURCE].handler.sample(sample)


# --- nothing there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [*LISTING, f"show evt_{UNKNOWN}", f"retry dlv_{UNKNOWN}_00000000"])
def test_with_nothing_running_one_sentence_says_what_to_do(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENHOUSE_SECRET", "s3cr3t")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(place="redis: {data_dir: ./data}"))
    result = Router(config, "").run(line)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "nothing runs in" in result.stderr
    assert "start `ats-router up` first" in result.stderr


@pytest.mark.parametrize("line", LISTING)
def test_an_empty_ledger_is_said_to_be_empty(router: Router, line: str) -> None:
    assert router.told(line).strip()
    assert isinstance(router.json(line), list | dict)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (f"retry dlv_{UNKNOWN}_00000000", "not in the ledger"),
        (f"show evt_{UNKNOWN}", "there is no event"),
        (f"drift show rcp_{UNKNOWN}", "there is no receipt"),
        (f"drift replay rcp_{UNKNOWN}", "there is no receipt"),
    ],
)
def test_an_unknown_id_is_a_failure(router: Router, line: str, sentence: str) -> None:
    result = router.run(line)
    assert result.exit_code == 1
    assert sentence in result.stderr


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("retry evt_1", "no id of a delivery"),
        ("retry dlv_1", "no id of a delivery"),
        ("retry", "either ids of deliveries"),
        (f"retry dlv_{UNKNOWN}_00000000 --dead", "either ids of deliveries"),
        (f"retry dlv_{UNKNOWN}_00000000 --sink my-service", "either ids of deliveries"),
        ("retry --dead --sink my-servcie", 'did you mean "my-service"?'),
        ("drift show evt_1", "no id of a receipt"),
        ("drift list --source greenhose", 'did you mean "greenhouse"?'),
        ("events --type StageChange", 'did you mean "StageChanged"?'),
        ("events --since yesterday", "as in 2h or 3d"),
        ("deliveries --state daed", 'did you mean "dead"?'),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(router: Router, line: str, sentence: str) -> None:
    result = router.run(line)
    assert result.exit_code == 2
    assert sentence in result.stderr


# --- look ---------------------------------------------------------------------------------------------------------


def test_events_and_deliveries_are_listed_newest_first(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 40, Bulk(dead_every=10)))
    text = router.told("events --limit 5")
    assert "Phone Screen, Backend Engineer" in text
    assert "my-service delivered" in text
    assert len(text.splitlines()) == 6
    rows = router.json("deliveries --state dead")
    assert {row["state"] for row in rows} == {"dead"}
    assert len(rows) == 4
    assert rows[0]["id"] in router.told("deliveries --state dead")
    assert [row["type"] for row in router.json("events --type offerchanged --application app-3")] == ["OfferChanged"]
    assert "no event fits" in router.told("events --application nobody")
    assert router.json("deliveries --since 1h --until 2026-01-01") == []


def test_a_list_that_did_not_look_at_everything_says_so(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 20))
    monkeypatch.setattr(lists, "SCANNED", 10)
    result = router.run("deliveries --reason nonsense --json")
    assert json.loads(result.stdout) == []
    assert "looked at the newest 10" in result.stderr


def test_the_status_tells_what_hurts(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 16, Bulk(dead_every=1)))
    keep(router, drift_of(b"{}"))
    overview = router.json("status")
    [source], [sink] = overview["sources"], overview["sinks"]
    assert (source["events"], source["drift"], source["duplicates"]) == (16, 1, 0)
    assert (sink["dead"], sink["waiting"], sink["failing_why"]) == (16, 0, "http_503")
    assert sink["failing_since"] is not None
    assert overview["workers"] == 0
    assert "no worker is at work" in router.told("status")
    assert "retry --dead" in router.told("status")
    router.on_ledger(lambda ledger: ledger.show_worker("a"))
    router.on_ledger(lambda ledger: fill(ledger, 1, first=101))
    overview = router.json("status")
    assert (overview["workers"], overview["sinks"][0]["failing_since"]) == (1, None)


def test_what_came_is_counted_by_source(router: Router) -> None:
    router.config.write_text(
        router.config.read_text().replace(
            "sinks:\n", "  another:\n    vendor: greenhouse\n    secret: ${GREENHOUSE_SECRET}\nsinks:\n"
        )
    )
    router.on_ledger(lambda ledger: fill(ledger, 4))
    keep(router, drift_of(b"{}"), drift_of(b"{}"), drift_of(b"{}", "second"))
    one, other = router.json("status")["sources"]
    assert (one["events"], one["verified"], one["drift"], one["duplicates"], one["unchanged"]) == (4, 6, 2, 1, 0)
    assert (other["events"], other["verified"], other["drift"]) == (0, 0, 0)
    assert "`ats-router drift list` says why" in router.told("status")
    assert len(router.json("drift list --limit 1")) == 1
    assert router.json("drift list --source another") == []


def test_what_waits_and_for_how_long_is_told(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 4, Bulk(attempted=False)))
    [sink] = router.json("status")["sinks"]
    assert (sink["waiting"], sink["retrying"], sink["failing_since"]) == (4, 0, None)
    assert sink["oldest_waiting"] is not None
    router.on_ledger(lambda ledger: fill(ledger, 4, Bulk(retrying_every=2), first=4))
    [sink] = router.json("status")["sinks"]
    assert (sink["retrying"], sink["failing_why"]) == (2, "http_503")


def test_what_waits_for_a_sink_that_was_removed_is_told(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 4, Bulk(attempted=False, sinks=("my-service", "old"))))
    assert len(router.json("deliveries")) == 4
    router.on_ledger(lambda ledger: ledger.show_worker("a", ["my-service", "old", "idle"]))
    rows = router.json("deliveries")
    assert {(row["sink"], row["configured"]) for row in rows} == {("my-service", True), ("old", False)}
    assert {row["sink"] for row in router.json("deliveries --sink old --state pending")} == {"old"}
    assert "old (no longer configured)" in router.told("deliveries --application app-0")
    assert 'did you mean "old"' in router.run("deliveries --sink olt").stderr
    assert [(sink["name"], sink["type"], sink["waiting"]) for sink in router.json("status")["sinks"]] == [
        ("my-service", "http", 4),
        ("old", None, 4),
    ]
    assert "4 deliveries wait for the sink old, which is no longer configured" in router.told("status")


def test_the_sources_say_what_to_register_and_where(router: Router) -> None:
    assert "https://YOUR-HOST/webhooks/greenhouse" in router.told("sources")
    assert "Dev Center > Web Hooks" in router.told("sources")
    router.config.write_text(router.config.read_text() + "server: {public_url: 'https://hooks.example.com/'}\n")
    assert router.json("sources")[0]["url"] == "https://hooks.example.com/webhooks/greenhouse"


# --- mend ---------------------------------------------------------------------------------------------------------


def test_all_that_is_dead_is_retried_after_a_question(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 40, Bulk(dead_every=2)))
    refused = router.run("retry --dead", answer="n\n")
    assert refused.exit_code == 1
    assert "20 dead deliveries" in refused.stderr
    assert len(router.json("deliveries --state dead")) == 20
    assert "20 of 20" in router.run("retry --dead --sink my-service", answer="y\n").stdout
    assert len(router.json("deliveries --state pending")) == 20
    assert router.json("retry --dead --yes") == []


def test_only_of_one_sink_and_the_oldest_first(router: Router) -> None:
    router.config.write_text(
        router.config.read_text().replace("routes:", "  other: {type: http, url: 'https://example.com'}\nroutes:")
    )
    router.on_ledger(lambda ledger: fill(ledger, 4, Bulk(dead_every=1, sinks=("my-service", "other"))))
    dead = [row["id"] for row in router.json("deliveries --sink other --state dead")]
    assert [one["id"] for one in router.json("retry --dead --sink other --yes")] == dead[::-1]
    assert len(router.json("deliveries --state dead")) == 4


def test_what_could_not_be_retried_is_not_counted(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(_ledger: Ledger, ids: Sequence[str], _sinks: object) -> list[Mended]:
        return [Mended(one, number == 0, "it is being sent right now") for number, one in enumerate(ids)]

    monkeypatch.setattr("router.cli.mending.retry", refused)
    router.on_ledger(lambda ledger: fill(ledger, 4, Bulk(dead_every=1)))
    told = router.told("retry --dead --yes")
    assert "1 of 4 deliveries" in told
    assert told.count("it is being sent right now") == 3


def test_one_delivery_is_retried_by_its_id(router: Router) -> None:
    router.on_ledger(lambda ledger: fill(ledger, 2, Bulk(dead_every=2)))
    [dead], [delivered] = (router.json(f"deliveries --state {state}") for state in ("dead", "delivered"))
    assert "back in its line" in router.told(f"retry {dead['id']}")
    assert router.json(f"retry {dead['id']}")[0]["words"] == "it waited for its next attempt, and is due now"
    refused = router.run(f"retry {delivered['id']}")
    assert refused.exit_code == 1
    assert "it was delivered at" in refused.stderr


def test_drift_is_listed_shown_and_only_there_with_its_body(router: Router) -> None:
    keep(router, drift_of(b'{"payload": "of Ada"}'), drift_of(b"\xff", "binary"))
    listed = router.json("drift list --source greenhouse")
    assert {one["id"] for one in listed} == {drift_of(b"").id, drift_of(b"", "binary").id}
    assert "Ada" not in router.told("drift list") + json.dumps(listed)
    shown = router.told(f"drift show {drift_of(b'').id}")
    assert "payload.application: is missing" in shown
    assert '{"payload": "of Ada"}' in shown
    assert router.json(f"drift show {drift_of(b'').id}")["body"] == '{"payload": "of Ada"}'
    assert router.json(f"drift show {drift_of(b'', 'binary').id}")["body_base64"] == "/w=="


@pytest.mark.parametrize("what", ["", "greenhouse", drift_of(b"").id])
def test_what_can_be_read_today_is_replayed(router: Router, what: str) -> None:
    keep(router, drift_of(readable_body(router)), drift_of(b"{}", "still odd"))
    assert "1 of " in router.told(f"drift replay {what}")
    [still] = router.json("drift list")
    assert still["id"] == drift_of(b"", "still odd").id

    async def waiting(ledger: Ledger) -> WaitingFact:
        _, [claim] = await ledger.claim(INTAKE, PARTITION, 10)
        return WaitingFact.model_validate_json(unpack(claim.head))

    fact = router.on_ledger(waiting)
    assert fact.fact.application is not None
    assert (fact.receipt, fact.fact.application.id) == (drift_of(b"").id, "4711")
    assert router.run(f"drift replay {drift_of(b'').id}").exit_code == 1


async def test_a_receipt_is_replayed_exactly_once(ledger: Ledger, router_handler: Source) -> None:
    sample = Sample(EventType.APPLICATION_CREATED, "4711", "Ada Lovelace", "Backend Engineer", NOW, "Phone Screen")
    receipt = drift_of(router_handler.handler.sample(sample))
    await ledger.accept(PARTITION, [receipt])
    results = await asyncio.gather(*(replay(ledger, receipt.id, router_handler) for _ in range(20)))
    assert [result.done for result in results if result].count(True) == 1
    stored = await ledger.read_receipt(receipt.id)
    assert stored is not None
    assert (stored.waiting, stored.record.disposition, stored.record.reason) == (1, Disposition.EVENTS, None)
    assert (await ledger.backlog(INTAKE)).subjects == 1
    assert (await ledger.counts())[SOURCE, "replayed"] == 1
    assert await replay(ledger, receipt.id, router_handler) is None
    assert await ledger.accept(PARTITION, [receipt]) == [False]


@pytest.fixture
def router_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("GREENHOUSE_SECRET", "s3cr3t")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(place=""))
    return sources_of(load(config))[SOURCE]
