"""What `serve` and `work` run: one receiver, one worker. Imported by those only, as the servers take long to load."""

import logging
from collections.abc import Mapping
from functools import partial

import uvicorn

from handlers.enriching import Enriches
from router.bell import Bell, arq_redis
from router.client import Client
from router.config import Config
from router.config.settings import Server
from router.enriching import Enricher
from router.health import Health
from router.ledger import Ledger
from router.parts import Source, data_dir_of, destinations_of, open_ledger, sources_of
from router.protocol import BoundedProtocol
from router.receiver import Receiver
from router.registering import renew_registrations
from router.worker import Worker

log = logging.getLogger(__name__)

_STOP_SECONDS = 5


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
        sources = sources_of(config)
        worker = Worker(
            ledger,
            url,
            config.rules,
            config.stages,
            destinations_of(config, http),
            retention=config.retention.events,
            enrichers=enrichers_of(sources, http, ledger),
            renew=partial(renew_registrations, sources, http, ledger),
        )
        await worker.run()


def enrichers_of(sources: Mapping[str, Source], client: Client, ledger: Ledger) -> dict[str, Enricher]:
    """Those of the sources whose webhooks hold bare ids and whose settings have credentials for the vendor's API."""
    found = {}
    for name, source in sources.items():
        if isinstance(source.handler, Enriches) and (access := source.handler.access()) is not None:
            found[name] = Enricher(source.handler, access, client, partial(ledger.note_api, name))
    return found
