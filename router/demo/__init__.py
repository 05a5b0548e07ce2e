"""`ats-router demo`: the main job in a minute, with real processes, and without an account.

It runs `ats-router up` on config.example.yaml in a directory of its own, posts signed Greenhouse webhooks over HTTP,
and stands in for Slack and for the user's own service, which for a while is down.
"""

import secrets
import shutil
import socket
import tempfile
from base64 import b64encode
from pathlib import Path

from redis.exceptions import RedisError
from rich.console import Console
from rich.markup import escape

from router.client import Client, NoAnswer
from router.config import Config, load
from router.connection import ServerProblem
from router.demo.endpoint import Service, SlackStandIn
from router.demo.process import DemoFailed, router_process, until_ready
from router.demo.telling import Teller
from router.parts import open_ledger, servers_of


async def run(console: Console) -> int:
    """Tell the story twice; the exit code is 0 when everything arrived. Only a failure leaves its directory behind."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="ats-router-"))
    except OSError as error:
        console.print(f"[bold red]The demo needs a directory for temporary files:[/] {escape(str(error))}")
        return 1
    try:
        await _run_in(folder, console)
    except (DemoFailed, NoAnswer, ServerProblem, RedisError, OSError) as failed:
        console.print(f"\n[bold red]The demo failed:[/] {escape(str(failed))}. What happened is in {folder / 'up.log'}")
        return 1
    except BaseException:  # Ctrl-C above all
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return 0


async def _run_in(folder: Path, console: Console) -> None:
    service, slack = Service(_free_port()), SlackStandIn(_free_port())
    staging = folder / "hris_staging.db"
    environment = {
        "GREENHOUSE_SECRET": secrets.token_hex(16),
        "MY_SERVICE_URL": service.url,
        "MY_SERVICE_SECRET": f"whsec_{b64encode(secrets.token_bytes(32)).decode()}",
        "SLACK_WEBHOOK_URL": slack.url,
        "HRIS_DATABASE_URL": f"sqlite:///{staging}",
    }
    config = _configured(example_config(), environment, folder, _free_port())
    try:
        await slack.start()
        await service.start()
        port = config.server.port
        async with router_process(example_config(), folder, port, environment) as router, Client() as client:
            await until_ready(client, port, router)
            async with open_ledger(config, servers_of(config), wait=True) as ledger:
                await Teller(console, config, service, slack, staging, client, ledger).run()
    finally:
        await service.stop()
        await slack.stop()


def example_config() -> Path:
    """config.example.yaml: in an installed package beside this one's modules, in a checkout at its top."""
    package = Path(__file__).parent.parent
    installed = package / "config.example.yaml"
    return installed if installed.exists() else package.parent / "config.example.yaml"


def _configured(path: Path, environment: dict[str, str], folder: Path, port: int) -> Config:
    config = load(path, environment)
    return config.model_copy(
        update={
            "redis": config.redis.model_copy(update={"data_dir": folder}),
            "server": config.server.model_copy(update={"port": port}),
        }
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
