"""One receiver with a source of every vendor, out of one configuration: each is posted to over HTTP."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
import yaml
from pydantic import SecretStr

from handlers import by_vendor
from handlers.base import Disposition
from handlers.guide import Proof
from router.config import Config, load
from router.parts import sources_of
from router.source_book import SYNC_SECONDS
from tests.handlers.vendors import FIXTURES, Fixture, fixtures_of
from tests.router.receiving import Reply, Running, running

VENDORS = sorted(by_vendor())
PUSHED = [
    pytest.param(fixture, id=f"{vendor}-{name}")
    for vendor in VENDORS
    for name, fixture in fixtures_of(vendor).items()
    if not fixture.polled
]
SILENT = [vendor for vendor in VENDORS if by_vendor()[vendor].guide.proof is Proof.NONE]


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(_is_secret(part) for part in get_args(annotation))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The settings of every vendor's fixtures as one file, with the secrets in files beside it."""
    folder = tmp_path_factory.mktemp("every vendor")
    written = 0

    def hidden(value: Any) -> Any:
        nonlocal written
        if isinstance(value, list):
            return [hidden(item) for item in value]
        if value == "pending":
            return value
        written += 1
        (folder / f"secret-{written}").write_text(value)
        return {"file": f"secret-{written}"}

    sources = {}
    for vendor in VENDORS:
        fields = by_vendor()[vendor].Settings.model_fields
        settings = json.loads((FIXTURES / vendor / "settings.json").read_text())
        sources[vendor.replace("_", "-")] = {
            name: hidden(value) if _is_secret(fields[name].annotation) else value for name, value in settings.items()
        }
    path = folder / "config.yaml"
    sinks = {"out": {"type": "http", "url": "http://127.0.0.1:9"}}
    path.write_text(yaml.safe_dump({"sources": sources, "sinks": sinks, "routes": [{"send_to": "out"}]}))
    return load(path)


@pytest.fixture(scope="module")
def every_vendor(shared_url: str, config: Config) -> Iterator[Running]:
    with running(shared_url, sources=sources_of(config).values()) as receiver:
        yield receiver


def post(receiver: Running, config: Config, fixture: Fixture) -> Reply:
    """The fixture's body, signed now where it can be signed; what a vendor never signs goes out as it is."""
    name = fixture.vendor.replace("_", "-")
    handler = sources_of(config)[name].handler
    sent = handler.sign(fixture.body, datetime.now(UTC))
    headers = {**fixture.headers, **sent.headers}
    path = f"/webhooks/{name}/{sent.rest}".rstrip("/")
    return receiver.ask("POST", path, sent.body, headers)


@pytest.mark.parametrize("fixture", PUSHED)
def test_every_documented_event_of_every_vendor_is_taken(
    fixture: Fixture, every_vendor: Running, config: Config, url: str
) -> None:
    every_vendor.look()
    reply = post(every_vendor, config, fixture)
    expected = fixture.expected["disposition"]
    if expected == Disposition.HANDSHAKE:
        assert reply.status == 200
        return
    assert reply.json["disposition"] == expected
    if expected == Disposition.PING:
        assert reply.status == 200
        return
    assert reply.status == by_vendor()[fixture.vendor].success
    kept = every_vendor.receipt(reply.json["receipt"])
    assert kept
    assert kept.record.vendor == fixture.vendor
    assert kept.waiting == len(fixture.expected["facts"])


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor not in SILENT])
def test_without_its_secret_nobody_is_let_in(vendor: str, every_vendor: Running, url: str) -> None:
    # a body of the fixtures may have the secret in it
    assert every_vendor.ask("POST", f"/webhooks/{vendor.replace('_', '-')}", b"{}", {}).status == 401


@pytest.mark.parametrize("vendor", SILENT)
def test_a_vendor_that_sends_nothing_is_refused_with_a_word(vendor: str, every_vendor: Running, url: str) -> None:
    reply = every_vendor.ask("POST", f"/webhooks/{vendor.replace('_', '-')}", b"{}", {})
    assert reply.status == 401
    assert "polled" in reply.json["detail"]


def test_a_webhook_that_only_says_that_something_changed_asks_to_poll(
    every_vendor: Running, config: Config, url: str
) -> None:
    def is_asked(source: str) -> bool:
        return every_vendor.call(every_vendor.ledger.read_polls([source]))[source][1]

    every_vendor.look()
    time.sleep(SYNC_SECONDS)  # until what the webhooks of other tests asked for is written
    for source in ("kombo", "stackone"):
        every_vendor.call(every_vendor.ledger.forget_asking(source))
    assert post(every_vendor, config, fixtures_of("kombo")["data_changed"]).status == 200
    give_up = time.monotonic() + 3 * SYNC_SECONDS
    while not is_asked("kombo"):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert not is_asked("stackone")
