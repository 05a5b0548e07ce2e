"""The `connect` command, with a vendor's API over real HTTP."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from handlers import by_vendor
from router.cli import app
from router.connection import client
from router.ledger import Ledger
from router.source_records import KeptHook
from tests.handlers.vendor_api import stand_in
from tests.router.test_registering import Vendor
from tests.router.thin_vendor import Thin

CONFIG = """
server: {{public_url: https://hooks.example.com}}
redis: {{url: "{url}"}}
sources:
  ats: {{vendor: thin, secret: pending, api_key: "${{API_KEY}}", api_url: "{api}"}}
  gh: {{vendor: greenhouse, secret: "${{API_KEY}}"}}
sinks: {{out: {{type: http, url: "http://127.0.0.1:9"}}}}
routes: [{{send_to: out}}]
"""


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def api(vendor: Vendor) -> Iterator[str]:
    """The vendor's API in a thread of its own, as the command has a loop of its own."""
    started, ended = threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with stand_in(vendor) as running:
            urls.append(running.url)
            started.set()
            await ended.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield urls[0]
    loops[0].call_soon_threadsafe(ended.set)
    thread.join()


@pytest.fixture
def config(tmp_path: Path, url: str, api: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(by_vendor(), "thin", Thin)
    monkeypatch.setenv("API_KEY", "the key of the API")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(url=url, api=api))
    asyncio.run(_begin(url))
    return path


async def _begin(url: str) -> None:
    ledger = Ledger(client(url))
    await ledger.open()
    await ledger.close()


def connect(config: Path, *options: str, answer: str = "") -> Result:
    result = CliRunner().invoke(app, ["connect", *options, "--config", str(config)], input=answer)
    assert "the key of the API" not in result.output
    assert "made by the vendor" not in result.output
    return result


def kept(url: str) -> list[KeptHook]:
    async def read() -> list[KeptHook]:
        ledger = Ledger(client(url))
        try:
            return (await ledger.hooks()).get("ats", [])
        finally:
            await ledger.close()

    return asyncio.run(read())


def test_it_says_what_it_will_do_and_asks(config: Path, vendor: Vendor, url: str) -> None:
    refused = connect(config, "ats", answer="n\n")
    assert "- register https://hooks.example.com/webhooks/ats for moved" in refused.output
    assert refused.exit_code == 1
    assert (vendor.hooks, kept(url)) == ({}, [])
    agreed = connect(config, "ats", answer="y\n")
    assert agreed.exit_code == 0, agreed.output
    assert "registered h1 for moved" in agreed.output
    assert vendor.hooks == {"h1": "https://hooks.example.com/webhooks/ats"}
    assert [hook.hook.secret for hook in kept(url)] == ["made by the vendor"]


def test_it_is_checked_and_taken_back(config: Path, vendor: Vendor, url: str) -> None:
    nothing = connect(config, "ats", "--check")
    assert (nothing.exit_code, "nothing was registered" in nothing.output) == (1, True)
    assert json.loads(connect(config, "ats", "--yes", "--json").stdout)["registered"] == {"h1": ["moved"]}
    assert connect(config, "ats", "--check").exit_code == 0
    vendor.hooks.clear()
    broken = connect(config, "ats", "--check")
    assert broken.exit_code == 1
    assert "h1 (moved) is missing, switched off or leads elsewhere" in broken.output
    assert json.loads(connect(config, "ats", "--remove", "--yes", "--json").stdout)["removed"] == ["h1"]
    assert kept(url) == []


def test_it_does_not_register_twice(config: Path) -> None:
    assert connect(config, "ats", "--yes").exit_code == 0
    again = connect(config, "ats", "--yes")
    assert again.exit_code == 1
    assert "registered already" in again.output


def test_a_vendor_that_fails_is_told_in_one_sentence(config: Path, vendor: Vendor, url: str) -> None:
    vendor.fails.add("POST /hooks/h1/secret")
    result = connect(config, "ats", "--yes")
    assert result.exit_code == 1
    assert "the vendor's API failed (500); what was done until then is kept" in result.output
    assert [hook.hook.id for hook in kept(url)] == ["h1"]


@pytest.mark.parametrize(
    ("source", "words"), [("gh", "register the URL by hand"), ("nowhere", "there is no source 'nowhere'")]
)
def test_what_can_not_be_registered_is_told(config: Path, source: str, words: str) -> None:
    result = connect(config, source, "--yes")
    assert result.exit_code != 0
    assert words in result.output
    assert "Traceback" not in result.output


def test_sources_say_how_the_api_and_the_registrations_are(config: Path) -> None:
    connect(config, "ats", "--yes")
    told = CliRunner().invoke(app, ["sources", "--json", "--config", str(config)])
    rows = {row["name"]: row for row in json.loads(told.stdout)}
    assert (rows["ats"]["registered"], rows["ats"]["api"]) == (1, "not asked yet")
    assert rows["gh"]["api"] == "not needed"
    assert rows["ats"]["steps"] == ["Open the settings", "Paste the URL"]
    assert not rows["ats"]["secret_pending"]


def test_a_secret_that_is_not_there_yet_is_told(config: Path) -> None:
    told = CliRunner().invoke(app, ["sources", "--config", str(config)]).stdout
    assert "still pending" in told
    assert "1. Open the settings" in told
    sent = CliRunner().invoke(app, ["send", "ats", "--config", str(config)])
    assert "`ats-router connect ats` fetches it" in sent.output
    connect(config, "ats", "--yes")
    assert "still pending" not in CliRunner().invoke(app, ["sources", "--config", str(config)]).stdout
