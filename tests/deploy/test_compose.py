"""What the compose file says, as far as it can be checked without an engine."""

import os
import re
import shlex
import subprocess
import sys
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


def test_the_examples_of_secrets_name_every_variable_and_hold_none() -> None:
    files = COMPOSE["services"]["receiver"]["env_file"]
    texts = [(FOLDER / f"{file}.example").read_text() for file in files]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("#")]
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
    assert described.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "proxy" else [])
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert described["restart"] == "unless-stopped"
    assert described["logging"]["options"]["max-size"]


def test_only_the_proxy_is_reachable_from_outside() -> None:
    assert [name for name, service in COMPOSE["services"].items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"]
    assert COMPOSE["services"]["ledger"]["networks"] == ["inside"]
    caddyfile = (FOLDER / "Caddyfile").read_text()
    assert re.findall(r"handle (\S+) \{", caddyfile) == ["/webhooks/*"]


def test_the_ledger_is_not_root_and_knows_no_secret_but_its_own() -> None:
    service = COMPOSE["services"]["ledger"]
    assert service["user"] == "valkey"
    assert service["env_file"] == "ledger.env"
    assert (FOLDER / "ledger.env.example").read_text().count("=") == 1


def test_the_ledger_starts_with_these_options_and_passes_its_own_health_check(tmp_path: Path) -> None:
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
            kind, check = service["healthcheck"]["test"]
            assert kind == "CMD-SHELL"
            (tmp_path / "valkey-cli").write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {socket} "$@"\n')
            (tmp_path / "valkey-cli").chmod(0o755)
            for password, code in (("secret", 0), ("another", 1)):
                environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "REDIS_PASSWORD": password}
                told = subprocess.run(["sh", "-c", check.replace("$$", "$")], env=environment, check=False)
                assert told.returncode == code
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


def answer_like_valkey_cli(socket: str, command: str) -> None:
    """With the password of ``REDISCLI_AUTH``, as the real one, which is in the image and not beside our server."""
    with Redis(unix_socket_path=socket, password=os.environ["REDISCLI_AUTH"]) as redis:
        sys.stdout.write("PONG\n" if redis.execute_command(command) else "\n")


if __name__ == "__main__":
    answer_like_valkey_cli(*sys.argv[1:])
