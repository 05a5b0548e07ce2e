"""`ats-router connect`: the URL of a source registered at its vendor, looked after, taken back.

What the vendor made (ids, secrets, ends) is kept in the ledger at once, so that nothing is lost when a step fails.
"""

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from handlers.connecting import Connects, Hook
from handlers.enriching import ApiProblem, NotThere
from router.client import Client
from router.config import Config
from router.ledger import Ledger
from router.parts import Source, webhook_url
from router.source_records import KeptHook
from router.vendor_api import VendorApi

log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(hours=6)
"""A registration that ends within this time is renewed, so that a vendor may be away for hours."""


class CannotConnect(Exception):
    """This source can't be registered like this. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """One source whose vendor lets webhooks be registered by its API."""

    source: str
    connects: Connects
    url: str
    api: VendorApi
    ledger: Ledger

    async def hooks(self) -> list[KeptHook]:
        """The registrations that were made before."""
        return (await self.ledger.hooks()).get(self.source, [])

    async def connect(self) -> AsyncIterator[Hook]:
        """Register the URL; each registration is kept before it comes out.

        Raises:
            ApiProblem: the vendor did not do it.
        """
        async for hook in self.connects.connect(self.url, self.api):
            await self.ledger.keep_hook(self.source, hook, self.url)
            yield hook

    async def working(self) -> Collection[str]:
        """The ids of the registrations that the vendor has, switched on and with this URL.

        Raises:
            ApiProblem: the vendor could not be asked.
        """
        return await self.connects.working([kept.hook for kept in await self.hooks()], self.url, self.api)

    async def remove(self, kept: KeptHook) -> None:
        """Take a registration back.

        Raises:
            ApiProblem: the vendor did not do it.
        """
        with suppress(NotThere):  # gone already
            await self.connects.remove(kept.hook, self.api)
        await self.ledger.forget_hook(self.source, kept.hook.id)

    async def renew(self) -> int:
        """Put off the end of what ends soon; how many were renewed.

        Raises:
            ApiProblem: the vendor did not do it.
        """
        renewed = 0
        for kept in await self.hooks():
            ends = kept.hook.expires_at
            if ends is not None and ends - datetime.now(UTC) < RENEW_BEFORE:
                hook = await self.connects.renew(kept.hook, kept.url, self.api)
                await self.ledger.keep_hook(self.source, hook, kept.url)
                renewed += 1
        return renewed


def connects(source: Source) -> Connects:
    """How the source's vendor lets webhooks be registered.

    Raises:
        CannotConnect: it doesn't, or there are no credentials for its API.
    """
    handler = source.handler
    if not isinstance(handler, Connects):
        steps = "; ".join(handler.guide.steps) or "it is polled"
        raise CannotConnect(f"{handler.title} has no API for this; register the URL by hand: {steps}")
    if handler.access() is None:
        raise CannotConnect(
            f"the source {source.name} has no credentials for the API of {handler.title}; see docs/vendors.md for the"
            " settings that it needs"
        )
    return handler


@asynccontextmanager
async def registrar(config: Config, source: Source, ledger: Ledger) -> AsyncIterator[Registrar]:
    """What registers the source's URL, as long as the context lasts.

    Raises:
        CannotConnect: the vendor has no API for it, or something is missing in the configuration.
    """
    connecting = connects(source)
    url = webhook_url(config, source.name)
    if url is None:
        raise CannotConnect(
            "the vendor has to be told a public address: set server.public_url in the configuration, as in"
            " https://hooks.example.com"
        )
    access = connecting.access()
    assert access is not None
    async with Client() as client:
        yield Registrar(source.name, connecting, url, VendorApi(client, access), ledger)


async def renew_registrations(sources: Mapping[str, Source], client: Client, ledger: Ledger) -> None:
    """Renew what ends soon, of every source; a failure is noted with the source, and tried again the next time."""
    for name, hooks in (await ledger.hooks()).items():
        source = sources.get(name)
        if source is None or not isinstance(source.handler, Connects) or not any(k.hook.expires_at for k in hooks):
            continue
        if (access := source.handler.access()) is None:
            continue
        here = Registrar(name, source.handler, hooks[0].url, VendorApi(client, access), ledger)
        try:
            if await here.renew():
                await ledger.note_api(name, None)
                log.info("registrations renewed", extra={"source": name})
        except ApiProblem as problem:
            log.error("registrations can't be renewed", extra={"source": name, "reason": str(problem)})
            await ledger.note_api(name, str(problem))
