"""From a configuration to running parts: what `serve` and `work` run, and what other commands need of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from redis.exceptions import RedisError

import handlers
import sinks
from router.bell import Bell, arq_redis
from router.client import Client
from router.config import Config
from router.config.settings import Server
from router.connection import client, is_outage
from router.embedded import socket_of
from router.health import Health
from router.ledger import Ledger
from router.protocol import BoundedProtocol
from router.receiver import Receiver, Source
from router.worker import Worker

log = logging.getLogger(__name__)

_SERVER_PAUSE_SECONDS = 0.5
_STOP_SECONDS = 5


def sources_of(config: Config) -> dict[str, Source]:
    """Every configured source with its handler."""
    return {
        name: Source(name, handlers.by_vendor()[settings.vendor](settings), settings.enabled)
        for name, settings in config.sources.items()
    }


def data_dir_of(config: Config) -> Path | None:
    """Where the embedded server keeps the ledger; None where the configuration names a server of its own."""
    return None if config.redis.url is not None else config.redis.data_dir


def url_of(config: Config) -> str:
    """The URL of the Redis server that is to be used.

    Raises:
        ServerProblem: it is the embedded one, and that is not running.
    """
    return config.redis.url.get_secret_value() if config.redis.url is not None else socket_of(config.redis.data_dir)


@asynccontextmanager
async def open_ledger(config: Config, url: str, *, wait: bool) -> AsyncIterator[Ledger]:
    """The ledger, checked. ``wait``: stay until the server answers, however long it takes.

    Raises:
        ServerProblem: this server or this ledger can't be used.
        RedisError: the server does not answer, and ``wait`` is false.
    """
    ledger = Ledger(client(url), state_life=config.retention.applications)
    try:
        while True:
            try:
                await ledger.open()
                break
            except RedisError as error:
                if not wait or not is_outage(error):
                    raise
                log.warning("the Redis server does not serve yet (%s); waiting for it", type(error).__name__)
                await asyncio.sleep(_SERVER_PAUSE_SECONDS)
        yield ledger
    finally:
        await ledger.close()


async def serve(config: Config, url: str) -> None:
    """Run the receiver until SIGTERM or SIGINT."""
    async with open_ledger(config, url, wait=True) as ledger:
        health = Health(ledger, data_dir_of(config))
        bell = Bell(arq_redis(url))
        receiver = Receiver(sources_of(config), ledger, health, bell, max_body=config.server.max_body)
        log.info("receiving", extra={"host": config.server.host, "port": config.server.port})
        await http_server(receiver, config.server).serve()


def http_server(receiver: Receiver, settings: Server) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            receiver.app(),
            host=settings.host,
            port=settings.port,
            http=BoundedProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )


async def work(config: Config, url: str) -> None:
    """Run the worker until SIGTERM or SIGINT."""
    async with open_ledger(config, url, wait=True) as ledger, Client() as http:
        destinations = {
            name: (sinks.by_type()[settings.type](settings, http), settings) for name, settings in config.sinks.items()
        }
        worker = Worker(ledger, url, config.routes, destinations, retention=config.retention.events)
        await worker.run()
