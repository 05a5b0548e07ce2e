"""`connect` and what a receiver learns from it: a real ledger, and a vendor's API over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handlers.base import Rejected
from handlers.connecting import Hook
from handlers.enriching import ApiProblem
from router.client import Client
from router.config import Config, load
from router.ledger import Ledger
from router.parts import Source, kept_secrets, webhook_url
from router.registering import CannotConnect, Registrar, connects, registrar, renew_registrations
from router.secret import Reference
from router.source_book import SourceBook
from tests.handlers.vendor_api import Answers, Asked, StandIn, stand_in
from tests.handlers.vendors import NOW, arrived
from tests.router.receiving import greenhouse
from tests.router.thin_vendor import LIFE, Thin, thin

URL = "https://hooks.example.com/webhooks/ats"
BODY = b'{"id": "1"}'


class Vendor:
    """What the vendor's API has, and answers."""

    def __init__(self) -> None:
        self.hooks: dict[str, str] = {}
        self.fails: set[str] = set()

    def __call__(self, asked: Asked) -> Answers:
        if f"{asked.method} {asked.target}" in self.fails:
            return Answers({}, 500)
        match asked.method, asked.target.split("/")[1:]:
            case "POST", ["hooks"]:
                assert isinstance(asked.json, dict)
                self.hooks["h1"] = asked.json["url"]
                return Answers({"id": "h1"}, 201)
            case "POST", ["hooks", "h1", "secret"]:
                return Answers({"secret": "made by the vendor"})
            case "GET", ["hooks"]:
                return Answers([{"id": key, "url": url} for key, url in self.hooks.items()])
            case "DELETE", ["hooks", key]:
                return Answers(None, 204 if self.hooks.pop(key, None) else 404)
            case "PUT", ["hooks", key]:
                return Answers({}, 200 if key in self.hooks else 404)
            case _:
                return Answers({}, 400)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "config.yaml").write_text(
        "server: {public_url: https://hooks.example.com/}\n"
        "sources: {gh: {vendor: greenhouse, secret: {file: secret}}}\n"
        "sinks: {out: {type: http, url: 'http://127.0.0.1:9'}}\nroutes: [{send_to: out}]\n"
    )
    return load(tmp_path / "config.yaml")


@asynccontextmanager
async def registering(
    config: Config, ledger: Ledger, vendor: Vendor, *, timeless: bool = True
) -> AsyncIterator[tuple[Registrar, Source, StandIn]]:
    async with stand_in(vendor) as api:
        source = Source("ats", thin(api.url, api_key=Reference("key"), timeless=timeless), enabled=True)
        async with registrar(config, source, ledger) as here:
            yield here, source, api


async def test_a_url_is_registered_looked_at_and_taken_back(config: Config, ledger: Ledger, vendor: Vendor) -> None:
    async with registering(config, ledger, vendor) as (here, _, _):
        assert here.url == URL
        assert [hook.id async for hook in here.connect()] == ["h1", "h1"]
        assert vendor.hooks == {"h1": URL}
        [kept] = await here.hooks()
        assert (kept.hook.secret, kept.hook.events, kept.url) == ("made by the vendor", ("moved",), URL)
        assert "made by" not in repr(kept)
        assert await here.working() == {"h1"}
        vendor.hooks["h1"] = "https://elsewhere.example.com"
        assert await here.working() == set()
        await here.remove(kept)
        assert vendor.hooks == {}
        assert await here.hooks() == []


async def test_what_breaks_off_in_the_middle_is_not_lost(config: Config, ledger: Ledger, vendor: Vendor) -> None:
    vendor.fails.add("POST /hooks/h1/secret")
    async with registering(config, ledger, vendor) as (here, _, _):
        with pytest.raises(ApiProblem):
            _ = [hook async for hook in here.connect()]
        [kept] = await here.hooks()
        assert kept.hook.secret is None
        await here.remove(kept)
        assert (vendor.hooks, await here.hooks()) == ({}, [])


async def test_what_is_gone_at_the_vendor_can_be_removed(config: Config, ledger: Ledger, vendor: Vendor) -> None:
    async with registering(config, ledger, vendor) as (here, _, _):
        await ledger.keep_hook("ats", Hook("gone"), URL)
        [kept] = await here.hooks()
        await here.remove(kept)
        assert await here.hooks() == []


async def test_a_registration_that_ends_soon_is_renewed_and_keeps_its_secret(
    config: Config, ledger: Ledger, vendor: Vendor
) -> None:
    async with registering(config, ledger, vendor, timeless=False) as (here, source, api), Client() as client:
        _ = [hook async for hook in here.connect()]
        await renew_registrations({"ats": source}, client, ledger)
        [kept] = await here.hooks()
        assert kept.hook.secret == "made by the vendor"
        assert kept.hook.expires_at
        assert kept.hook.expires_at - datetime.now(UTC) > LIFE - timedelta(minutes=1)
        await renew_registrations({"ats": source}, client, ledger)
        assert [asked.method for asked in api.asked].count("PUT") == 1
        assert (await ledger.api_states())["ats"].problem is None


async def test_a_renewal_that_fails_is_noted_and_tried_again(config: Config, ledger: Ledger, vendor: Vendor) -> None:
    async with registering(config, ledger, vendor, timeless=False) as (here, source, _), Client() as client:
        _ = [hook async for hook in here.connect()]
        vendor.fails.add("PUT /hooks/h1")
        for _ in range(2):
            await renew_registrations({"ats": source, "other": source}, client, ledger)
        problem = (await ledger.api_states())["ats"].problem
        assert problem
        assert "500" in problem
        vendor.fails.clear()
        await renew_registrations({"ats": source}, client, ledger)
        assert (await ledger.api_states())["ats"].problem is None


async def test_what_can_not_be_registered_says_what_to_do(config: Config, ledger: Ledger) -> None:
    with pytest.raises(CannotConnect, match="register the URL by hand: Open"):
        connects(Source("gh", greenhouse("s"), enabled=True))
    with pytest.raises(CannotConnect, match="no credentials for the API of Thin"):
        connects(Source("ats", thin(), enabled=True))
    hidden = config.model_copy(update={"server": config.server.model_copy(update={"public_url": None})})
    assert webhook_url(hidden, "ats") is None
    with pytest.raises(CannotConnect, match=r"set server\.public_url"):
        async with registrar(hidden, Source("ats", thin(api_key=Reference("k")), enabled=True), ledger):
            pass


# --- what a receiver learns --------------------------------------------------------------------------------------


def sent_by_the_vendor() -> Thin:
    return thin(secret=[Reference("made by the vendor")])


def accepted(book: SourceBook) -> bool:
    source = book.get("ats")
    assert source
    try:
        source.handler.verify(arrived(sent_by_the_vendor().sign(BODY, NOW)))
    except Rejected:
        return False
    return True


async def test_a_receiver_learns_a_pending_secret_and_forgets_it(ledger: Ledger) -> None:
    book = SourceBook({"ats": Source("ats", thin(), enabled=True)}, ledger)
    await book.sync()
    assert not accepted(book)
    hook = Hook("h1", secret="made by the vendor")
    await ledger.keep_hook("ats", hook, URL)
    assert not accepted(book)
    await book.sync()
    assert accepted(book)
    before = book.get("ats")
    await book.sync()
    assert book.get("ats") is before
    await ledger.forget_hook("ats", "h1")
    await book.sync()
    assert not accepted(book)


async def test_a_secret_in_the_configuration_stays_valid_beside_those_that_were_made(ledger: Ledger) -> None:
    book = SourceBook({"ats": Source("ats", thin(secret=[Reference("mine")]), enabled=True)}, ledger)
    await ledger.keep_hook("ats", Hook("h1", secret="made by the vendor"), URL)
    await book.sync()
    assert accepted(book)
    source = book.get("ats")
    assert source
    assert source.handler.settings.secrets == (b"mine", b"made by the vendor")
    assert kept_secrets((await ledger.hooks())["ats"]) == ("made by the vendor",)


async def test_counts_are_handed_in_once(ledger: Ledger) -> None:
    book = SourceBook({"gh": Source("gh", greenhouse("s"), enabled=True)}, ledger)
    for _ in range(3):
        book.count_rejected("gh")
        book.count_soft_drift("gh", ["payload.application.url", "payload.a b"])
    for _ in range(2):
        await book.sync()
    assert (await ledger.counts())["gh", "rejected"] == 3
    assert await ledger.soft_drift() == {"gh": {"payload.application.url": 3, "payload.a b": 3}}


async def test_counts_wait_for_a_server_that_is_away_and_are_bounded(ledger: Ledger) -> None:
    class Away:
        async def add_counts(self, *_: object) -> None:
            raise ConnectionError

        async def hooks(self) -> None:
            raise ConnectionError

    book = SourceBook({"ats": Source("ats", thin(), enabled=True)}, Away())  # type: ignore[arg-type]
    book.count_rejected("ats")
    for number in range(3000):
        book.count_soft_drift("ats", [f"path {number}"])
    await book.sync()
    book = _with_ledger(book, ledger)
    await book.sync()
    assert (await ledger.counts())["ats", "rejected"] == 1
    assert len((await ledger.soft_drift())["ats"]) == 1000


def _with_ledger(book: SourceBook, ledger: Ledger) -> SourceBook:
    book._ledger = ledger
    return book


async def test_what_was_counted_last_is_handed_in_at_the_end(ledger: Ledger) -> None:
    book = SourceBook({"gh": Source("gh", greenhouse("s"), enabled=True)}, ledger)
    keeping_up = asyncio.create_task(book.keep_up())
    await asyncio.sleep(0.05)
    book.count_rejected("gh")
    keeping_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping_up
    assert (await ledger.counts())["gh", "rejected"] == 1


async def test_sources_that_change_keep_the_secrets_that_were_learnt(ledger: Ledger) -> None:
    book = SourceBook({"ats": Source("ats", thin(), enabled=True)}, ledger)
    await ledger.keep_hook("ats", Hook(id="1", secret="made by the vendor"), "https://there")
    await book.sync()
    learnt = book.get("ats")
    assert learnt is not None
    book.use({"ats": Source("ats", thin(), enabled=False), "new": Source("new", thin(), enabled=True)})
    changed = book.get("ats")
    assert changed is not None
    assert changed.handler.settings == learnt.handler.settings
    assert not changed.enabled
    assert book.get("new") is not None
    book.use({})
    assert book.get("ats") is None
