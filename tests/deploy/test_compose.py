"""What the compose file says, as far as it can be checked without an engine."""

import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.exceptions import RedisError
from typer.testing import CliRunner

from router.cli import app
from router.config import load
from router.embedded import find_server

FOLDER = Path(__file__).parent.parent.parent / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
GIVEN = {
    "PUBLIC_HOST": "hooks.example.com",
    "REDIS_PASSWORD": "made up",
    "GREENHOUSE_SECRET": "made up, too",
    "MY_SERVICE_URL": "https://service.example.com/events",
    "MY_SERVICE_SECRET": "whsec_" + "A" * 43 + "=",
}


def test_the_configuration_is_sound() -> None:
    config = load(FOLDER / "config.yaml", GIVEN)
    assert config.redis.durability == "aof"


def test_the_example_of_secrets_names_every_variable_and_holds_none() -> None:
    lines = [line for line in (FOLDER / "secrets.env.example").read_text().splitlines() if not line.startswith("#")]
    names = {line.partition("=")[0] for line in lines}
    asked = set(re.findall(r"\$\{(\w+)\}", (FOLDER / "config.yaml").read_text()))
    assert names == asked == set(GIVEN)
    assert [line for line in lines if not line.endswith("=")] == ["PUBLIC_HOST=hooks.example.com"]


@pytest.mark.parametrize("service", ["receiver", "worker"])
def test_two_of_each_run_by_commands_that_there_are(service: str) -> None:
    described = COMPOSE["services"][service]
    assert described["deploy"]["replicas"] == 2
    command, *options = described["command"]
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert all(option in shown for option in options if option.startswith("--"))


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_no_service_has_more_rights_than_it_needs(service: str) -> None:
    described = COMPOSE["services"][service]
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert described["restart"] == "unless-stopped"
    assert described["logging"]["options"]["max-size"]


def test_only_the_proxy_is_reachable_from_outside() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"]
    assert COMPOSE["services"]["ledger"]["networks"] == ["inside"]
    caddyfile = (FOLDER / "Caddyfile").read_text()
    assert re.findall(r"handle (\S+) \{", caddyfile) == ["/webhooks/*"]


def test_the_ledger_starts_with_these_options_and_passes_its_own_health_check() -> None:
    service = COMPOSE["services"]["ledger"]
    _, _, command = service["command"]
    command = command.replace("$$REDIS_PASSWORD", "secret").replace("${LEDGER_MEMORY:-2gb}", "64mb")
    program, *options = shlex.split(command.removeprefix("exec "))
    assert program == "valkey-server"
    with tempfile.TemporaryDirectory(prefix="ats-") as folder:
        socket = Path(folder) / "redis.sock"
        listen = ["--port", "0", "--unixsocket", str(socket)]
        process = subprocess.Popen([find_server(), *options, *listen], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            with Redis(unix_socket_path=str(socket), password="secret") as redis:
                wait_for(redis)
                told: Any = redis.config_get("*")
                wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
                assert {name: told[name] for name in wanted} == wanted
        finally:
            process.kill()
            process.wait()


def wait_for(redis: "Redis") -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            redis.ping()
        except RedisError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the ledger does not start")
