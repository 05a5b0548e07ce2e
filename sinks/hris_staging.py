"""HRIS staging: two tables from which HR takes over who was hired, in SQLite or PostgreSQL.

``hris_staging_events`` gets every event once, ``hris_staging`` has one row per application, as the newest event left
it. Both are written in one transaction, whose unique idempotency key makes every further attempt harmless.
"""

from router.client import Client
from router.schema import Event
from sinks.base import Delivery, Outcome, Sink, SinkSettings
from sinks.hris.address import Address
from sinks.hris.settings import HrisStagingSettings


class HrisStaging(Sink):
    """Writes each event into the two tables."""

    sink_type = "hris_staging"
    exactly_once = "always, by a unique column"
    title = "HRIS staging table"
    Settings = HrisStagingSettings

    def __init__(self, settings: SinkSettings, client: Client) -> None:
        assert isinstance(settings, HrisStagingSettings)
        from sinks.hris.writer import Writer  # SQLAlchemy is long to load, and only who delivers needs it

        self._target = f"{Address(settings.url.get_secret_value()).shown} {settings.table}"
        self._writer = Writer(settings)

    def target(self, event: Event) -> str:
        return self._target

    async def open(self) -> None:
        await self._writer.open()

    async def close(self) -> None:
        await self._writer.close()

    async def attempt(self, delivery: Delivery) -> Outcome:
        return await self._writer.attempt(delivery)
