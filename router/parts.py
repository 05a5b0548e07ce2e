"""From a configuration to its parts: the sources with their handlers, and the ledger."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

import handlers
import sinks
from handlers import polling
from handlers.base import Handler
from handlers.polling.base import Polls
from handlers.settings import ConnectSettings
from router.client import Client
from router.config import Config, load
from router.config.partly import without_rules
from router.connection import Servers, is_outage, reason_of
from router.destinations import Destination
from router.durability import Durability
from router.embedded import socket_of
from router.ledger import Ledger
from router.source_records import KeptHook
from sinks.base import SinkSettings

log = logging.getLogger(__name__)

_SERVER_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a process has its configuration from: a file or a folder, and what its command line says otherwise."""

    path: Path
    data_dir: Path | None = None
    host: str | None = None
    port: int | None = None

    def load(self) -> Config:
        """
        Raises:
            ConfigErrors: all that is wrong with it.
        """
        return self._as_told(load(self.path))

    def without_rules(self) -> Config:
        """Only where the ledger is, of a configuration that is wrong."""
        return self._as_told(without_rules(self.path))

    def _as_told(self, config: Config) -> Config:
        listen = {name: value for name, value in (("host", self.host), ("port", self.port)) if value is not None}
        keep = {} if self.data_dir is None else {"data_dir": self.data_dir}
        server, redis = config.server.model_copy(update=listen), config.redis.model_copy(update=keep)
        return config.model_copy(update={"server": server, "redis": redis})


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source, ready to receive."""

    name: str
    handler: Handler
    enabled: bool


def sources_of(config: Config) -> dict[str, Source]:
    """Every configured source with its handler."""
    return {
        name: Source(name, handlers.by_vendor()[settings.vendor](settings), settings.enabled)
        for name, settings in config.sources.items()
    }


def polls_of(source: Source) -> Polls[Any] | None:
    """How a source is polled; None where its vendor can't be, where it has no credentials, or where it shall not be."""
    adapter = polling.by_vendor().get(source.handler.vendor)
    if adapter is None or not source.enabled or not source.handler.settings.poll.enabled:
        return None
    polls = adapter(source.handler)
    return polls if polls.access() is not None else None


def knowing(source: Source, secrets: Sequence[str]) -> Source:
    """The same source, with secrets that its vendor made and the ledger keeps."""
    settings = source.handler.settings
    if not secrets or not isinstance(settings, ConnectSettings):
        return source
    return replace(source, handler=type(source.handler)(settings.knowing(secrets)))


def kept_secrets(hooks: Iterable[KeptHook]) -> tuple[str, ...]:
    """The secrets that a vendor made for its registrations."""
    return tuple(kept.hook.secret for kept in hooks if kept.hook.secret)


def destinations_of(config: Config, client: Client) -> dict[str, Destination]:
    """Every configured sink, ready to be opened."""
    return {name: destination_of(name, settings, client) for name, settings in config.sinks.items()}


def destination_of(name: str, settings: SinkSettings, client: Client) -> Destination:
    """One sink, ready to be opened."""
    return Destination(name, sinks.by_type()[settings.type](settings, client), settings, client)


def webhook_url(config: Config, source: str) -> str | None:
    """Where the vendor of ``source`` shall post to; None where the configuration does not say the public address."""
    base = config.server.public_url
    return None if base is None else f"{base.rstrip('/')}/webhooks/{source}"


def data_dir_of(config: Config) -> Path | None:
    """Where the embedded server keeps the ledger; None where the configuration names a server of its own."""
    redis = config.redis
    return redis.data_dir if redis.url is None and redis.sentinel is None and redis.cluster is None else None


def servers_of(config: Config) -> Servers:
    """The Redis servers that are to be used.

    Raises:
        ServerProblem: it is the embedded one, and that is not running.
    """
    redis = config.redis
    if (watched := redis.sentinel) is not None:
        return Servers(watched.url.get_secret_value(), [url.get_secret_value() for url in watched.sentinels])
    if (cluster := redis.cluster) is not None:
        nodes = [url.get_secret_value() for url in cluster.nodes]
        return Servers(nodes=nodes, bell=cluster.bell.get_secret_value())
    return Servers(redis.url.get_secret_value() if redis.url is not None else socket_of(redis.data_dir))


@asynccontextmanager
async def open_ledger(config: Config, servers: Servers, *, wait: bool) -> AsyncIterator[Ledger]:
    """The ledger, checked. ``wait``: stay until the server answers, however long it takes.

    Raises:
        ServerProblem: this server or this ledger can't be used.
        RedisError: the server does not answer, and ``wait`` is false.
    """
    durability = config.redis.durability or Durability.MEMORY
    ledger = Ledger(servers.client(), state_life=config.retention.applications, durability=durability)
    try:
        while True:
            try:
                await ledger.open()
                break
            except RedisError as error:
                if not wait or not is_outage(error):
                    raise
                log.warning("the Redis server does not serve yet (%s); waiting for it", reason_of(error))
                await asyncio.sleep(_SERVER_PAUSE_SECONDS)
        yield ledger
    finally:
        await ledger.close()
