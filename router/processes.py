"""What `serve` and `work` run: one receiver, one worker. Imported by those only, as the servers take long to load."""

import asyncio
import gc
import logging

import uvicorn
from starlette.applications import Starlette

from router.bell import Bell, arq_redis
from router.client import Client
from router.config import Config
from router.config.settings import Server
from router.connection import Servers, end
from router.health import Health
from router.parts import Origin, data_dir_of, open_ledger, sources_of
from router.protocol import BoundedProtocol
from router.receiver import Receiver
from router.reloading import Reloader
from router.worker import Worker

log = logging.getLogger(__name__)

_STOP_SECONDS = 5
_LOOK_FOR_CYCLES = 20_000
"""New objects after which Python looks for garbage that reference counts leave; it does after 700 by itself."""


async def serve(origin: Origin, config: Config, servers: Servers) -> None:
    """Run the receiver until SIGTERM or SIGINT. ``config`` is what ``origin`` held."""
    async with open_ledger(config, servers, wait=True) as ledger:
        health = Health(ledger, data_dir_of(config), _without_rate(config))
        bell = Bell(arq_redis(servers))
        receiver = Receiver(sources_of(config), ledger, health, bell, max_body=config.server.max_body)

        def use(changed: Config) -> None:
            receiver.use(sources_of(changed), max_body=changed.server.max_body)
            health.sinks = _without_rate(changed)

        reloading = asyncio.create_task(Reloader(origin, config, ledger, use, notes_rules=False).run())
        _spare_collector()
        log.info("receiving", extra={"host": config.server.host, "port": config.server.port})
        try:
            await http_server(receiver.app(), config.server).serve()
        finally:
            await end(reloading)


def _without_rate(config: Config) -> list[str]:
    return [name for name, settings in config.sinks.items() if settings.rate is None]


def http_server(app: Starlette, settings: Server) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
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


async def work(origin: Origin, config: Config, servers: Servers) -> None:
    """Run the worker until SIGTERM or SIGINT. ``config`` is what ``origin`` held."""
    async with open_ledger(config, servers, wait=True) as ledger, Client() as http:
        worker = Worker(ledger, servers, http, config)
        _spare_collector()
        reloading = asyncio.create_task(Reloader(origin, config, ledger, worker.use, notes_rules=True).run())
        try:
            await worker.run()
        finally:
            await end(reloading)


def _spare_collector() -> None:
    """What was made at the start stays until the end: the garbage collector need not go through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_LOOK_FOR_CYCLES)
