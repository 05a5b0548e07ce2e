"""A vendor that exists for tests only: it sends bare ids, has an API, and lets webhooks be registered there."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from handlers.base import Disposition, Handler, Normalised, Post, Receipt, Sample
from handlers.connecting import Connects, Hook
from handlers.enriching import Access, Api, Enriches
from handlers.guide import Confidence, Guide, Proof
from handlers.reading import Node
from handlers.settings import ConnectSettings
from handlers.signatures import check_hmac, hex_digest, hex_hmac, only_header
from router.schema import Application, EventType, Fact, Stage
from router.secret import Secret

LIFE = timedelta(days=1)


class ThinSettings(ConnectSettings):
    api_key: Secret | None = None
    api_url: str = "http://127.0.0.1:1"
    timeless: bool = True


class Thin(Enriches, Connects, Handler):
    vendor = "thin"
    title = "Thin"
    Settings = ThinSettings
    guide = Guide(Proof.BODY, Confidence.UNVERIFIED, ["Open the settings", "paste the URL"], ["moved"], "its signature")
    success = 202
    settings: ThinSettings

    def verify(self, receipt: Receipt) -> None:
        check_hmac(hex_digest(only_header(receipt, "x-thin")), receipt.body, self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        body = Node.parse(receipt.body)
        application = Application(id=body.need_id("id"), url=body.text("url"))
        fact = Fact(
            type=EventType.APPLICATION_UPDATED, vendor_event="moved", application=application, needs_enrichment=True
        )
        return Normalised(Disposition.EVENTS, "moved", (fact,), soft_drift=body.soft_drift)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body, {"x-thin": hex_hmac(self.settings.secrets[0], body)})

    def sample(self, step: Sample) -> bytes:
        return b'{"id": "%s"}' % step.application_id.encode()

    def access(self) -> Access | None:
        if self.settings.api_key is None:
            return None
        return Access(self.settings.api_url, {"x-key": self.settings.api_key.get_secret_value()}, per_second=1000)

    async def enrich(self, fact: Fact, api: Api) -> Sequence[Fact]:
        assert fact.application
        told = await api.get(f"/applications/{fact.application.id}")
        stage = Stage(id=told.need_id("stage"))
        application = fact.application.model_copy(update={"stage": stage})
        moved = {"type": EventType.STAGE_CHANGED, "to_stage": stage, "application": application}
        updated = {"needs_enrichment": False, "application": application}
        return [fact.model_copy(update={**updated, **moved}), fact.model_copy(update=updated)]

    def plan(self, url: str) -> Sequence[str]:
        return [f"register {url} for moved"]

    async def connect(self, url: str, api: Api) -> AsyncIterator[Hook]:
        made = await api.send("POST", "/hooks", {"url": url})
        hook = Hook(made.need_id("id"), ("moved",), expires_at=None if self.settings.timeless else datetime.now(UTC))
        yield hook
        yield replace(hook, secret=(await api.send("POST", f"/hooks/{hook.id}/secret")).need_text("secret"))

    async def working(self, hooks: Sequence[Hook], url: str, api: Api) -> Collection[str]:
        there = await api.get("/hooks")
        return {node.need_id("id") for node in there.nodes("items") if node.text("url") == url}

    async def remove(self, hook: Hook, api: Api) -> None:
        await api.send("DELETE", f"/hooks/{hook.id}")

    async def renew(self, hook: Hook, url: str, api: Api) -> Hook:
        await api.send("PUT", f"/hooks/{hook.id}", {"url": url})
        return replace(hook, expires_at=datetime.now(UTC) + LIFE)


def thin(api_url: str = "http://127.0.0.1:1", **settings: object) -> Thin:
    given = {"vendor": "thin", "secret": "pending", "api_key": None, "api_url": api_url, **settings}
    return Thin(ThinSettings.model_validate(given))
