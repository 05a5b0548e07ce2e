"""What measures run on: real processes on loopback, each on the core that it is given, and the load before them."""

import hmac
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
from redis import Redis

from router.embedded import find_server
from router.supervisor import PARENT_VARIABLE
from tests.handlers.vendors import fixtures_of
from tests.topologies import free_port

MEASURED, OTHERS = 0, 1
"""Cores: what is measured has one for itself, everything else shares the other."""

CONNECTIONS = 64
_SECRET = secrets.token_hex(16)
_START_SECONDS = 20.0
_STOP_SECONDS = 15.0
_LUA = Path(__file__).with_name("webhooks.lua")
_NOT_SENT_BY_MOST = ("educations", "website_addresses", "social_media_addresses", "addresses", "attachments")


class NotMeasured(Exception):
    """A measure can't be taken. The text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of some seconds of webhooks; latencies are in milliseconds."""

    answered: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def webhook_body() -> bytes:
    """A Greenhouse webhook of 2.9 kB with the marks that `webhooks.lua` fills in."""
    body = json.loads(fixtures_of("greenhouse")["stage_changed"].body)
    application = body["payload"]["application"]
    for name in _NOT_SENT_BY_MOST:
        del application["candidate"][name]
    application["id"] = application["candidate"]["id"] = "@APPLICATION@"
    application["candidate"]["last_name"] = "posted-at-@POSTED_AT_MICROS@"
    return json.dumps(body, separators=(",", ":")).replace('"@APPLICATION@"', "@APPLICATION@").encode()


def pinned(command: Sequence[str], core: int | None, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a process on one core, where the system can do that; ``None``: wherever it likes."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    if core is not None and hasattr(os, "sched_setaffinity") and core < (os.cpu_count() or 1):
        os.sched_setaffinity(process.pid, {core})
    return process


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    """What a running process took of the processor so far; 0 where the system does not tell."""
    stat = Path(f"/proc/{process.pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Stand:
    """An installation in a folder of its own: a server, and as many receivers, workers and endpoints as are started."""

    folder: Path
    stack: ExitStack
    port: int = field(default_factory=free_port)
    redis_url: str = ""
    redis_setting: str = ""
    first: int = 10_000_000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, command: Sequence[str], core: int | None, **options: Any) -> "subprocess.Popen[bytes]":
        """Start a process that ends with the stand."""
        process = pinned(command, core, **options)
        self.stack.callback(_end, process)
        return process

    def server(self, *, fsync: str = "always", core: int | None = OTHERS) -> None:
        """Start a Valkey server; ``fsync`` as its `appendfsync`, or `no file` for one that keeps nothing on disk."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        path = folder / "redis.sock"
        durable = ["--appendonly", "no"] if fsync == "no file" else ["--appendonly", "yes", "--appendfsync", fsync]
        alike = ["--save", "", "--hash-max-listpack-value", "8192"]  # as the embedded server
        command = [find_server(), "--port", "0", "--unixsocket", str(path), *alike, *durable]
        self.start(command, core, cwd=folder, stdout=subprocess.DEVNULL)
        self.redis_url, self.redis_setting = f"unix://{path}", f"url: 'unix://{path}'"
        with Redis.from_url(self.redis_url) as redis:
            until(lambda: path.exists() and redis.ping(), "the server does not answer")

    def endpoint(self, seconds: float = 0.0, core: int | None = OTHERS) -> "Endpoint":
        process = self.start([sys.executable, "-m", "benchmarks.endpoint", str(seconds)], core, stdout=subprocess.PIPE)
        assert process.stdout is not None
        return Endpoint(f"http://127.0.0.1:{int(process.stdout.readline())}")

    def configure(self, *endpoints: "Endpoint", sources: Sequence[str] = ("greenhouse",)) -> None:
        """Write the configuration: every event of these Greenhouse accounts to every endpoint."""
        sinks = "".join(
            f"  sink-{n}: {{type: http, url: {endpoint.url}/events}}\n" for n, endpoint in enumerate(endpoints)
        )
        names = ", ".join(f"sink-{n}" for n in range(len(endpoints)))
        self.config.write_text(
            f"server: {{port: {self.port}}}\nredis: {{{self.redis_setting}}}\nsources:\n"
            + "".join(f"  {source}: {{vendor: greenhouse, secret: '${{SECRET}}'}}\n" for source in sources)
            + f"sinks:\n{sinks}routes:\n  - {{name: all, send_to: [{names}]}}\n"
        )

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def run(self, command: str, core: int | None = MEASURED, *options: str) -> "subprocess.Popen[bytes]":
        """Start `serve` or `work`; a receiver is waited for."""
        with (self.folder / f"{command}.log").open("ab") as log:
            process = self.start(
                [sys.executable, "-m", "router.cli", command, "--config", str(self.config), *options],
                core,
                env={**self.environment, PARENT_VARIABLE: str(os.getpid())},
                stdout=log,
                stderr=log,
            )
        if command == "serve":
            self.is_ready()
        return process

    @property
    def environment(self) -> Mapping[str, str]:
        """As users run it: with the interpreter's caches of compiled modules."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**inherited, "SECRET": _SECRET}

    def memory(self) -> int:
        """Bytes that the server uses."""
        with Redis.from_url(self.redis_url) as redis:
            info = cast(dict[str, Any], redis.info("memory"))
        return int(info["used_memory"])

    def is_ready(self) -> None:
        def answers() -> bool:
            try:
                return httpx.get(f"{self.url}/readyz").status_code < 500
            except httpx.TransportError:
                return False

        until(answers, f"nothing answers: see {self.folder}")

    def is_accepting(self) -> bool:
        """Whether a genuine webhook is answered with success."""
        body = b'{"action": "ping"}'
        signature = hmac.digest(_SECRET.encode(), body, "sha256").hex()
        headers = {"content-type": "application/json", "signature": f"sha256 {signature}"}
        try:
            answer = httpx.post(f"{self.url}/webhooks/greenhouse", content=body, headers=headers)
        except httpx.TransportError:
            return False
        return answer.is_success

    def post(self, seconds: float, rate: float = 0, *, core: int | None = OTHERS) -> Load:
        """Post webhooks for some seconds over 64 connections; ``rate`` is webhooks a second, 0 for what is taken.

        Raises:
            NotMeasured: not all of them were accepted.
        """
        load = load_of(self.posting(f"{self.url}/webhooks/greenhouse", seconds, rate, CONNECTIONS, core))
        if load.refused or load.broken:
            raise NotMeasured(f"{load.refused} webhooks were refused, {load.broken} connections broke")
        return load

    def posting(
        self, url: str, seconds: float, rate: float, connections: int, core: int | None
    ) -> "subprocess.Popen[bytes]":
        """Begin to post webhooks of applications that nobody posted before."""
        if shutil.which("wrk") is None:
            raise NotMeasured("the load generator wrk is not installed: apt-get install wrk, or brew install wrk")
        body = self.folder / "body.json"
        if not body.exists():  # another wrk may be reading it
            body.write_bytes(webhook_body())
        load = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(_LUA), url]
        arguments = [str(body), _SECRET, str(self.first), str(rate)]
        self.first += 10_000_000
        return pinned([*load, "--", *arguments], core, stdout=subprocess.PIPE)


def load_of(posting: "subprocess.Popen[bytes]") -> Load:
    """Wait for what `Stand.posting` began."""
    said, _ = posting.communicate()
    if posting.returncode:
        raise NotMeasured(f"wrk failed with code {posting.returncode}")
    return Load(**json.loads(said.splitlines()[-1]))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came to an endpoint since it was asked last; see `endpoint.Tally`."""

    came: int
    twice: int
    moments: Sequence[float]
    ms: Sequence[float]

    @property
    def rate(self) -> float:
        """A second, without the first and the last twentieth, where a worker starts and runs dry."""
        skipped = self.came // 20
        middle = sorted(self.moments)[skipped : self.came - skipped]
        return (len(middle) - 1) / (middle[-1] - middle[0])


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str

    def arrivals(self) -> Arrivals:
        """What came since the last call."""
        return Arrivals(**httpx.get(self.url, timeout=60).json())

    def await_arrivals(self, count: int, seconds: float) -> Arrivals:
        """Wait until so many came, and say what did. What it asks for meanwhile costs the endpoint next to nothing."""
        parts: list[Arrivals] = []

        def all_came() -> bool:
            parts.append(self.arrivals())
            return sum(part.came for part in parts) >= count

        until(all_came, f"not all of {count} deliveries arrived", seconds, pause=0.5)
        return Arrivals(
            sum(part.came for part in parts),
            sum(part.twice for part in parts),
            [moment for part in parts for moment in part.moments],
            [ms for part in parts for ms in part.ms],
        )


@contextmanager
def stand() -> Iterator[Stand]:
    folder = Path(tempfile.mkdtemp(prefix="ats-"))  # a temporary folder elsewhere may be too long for a socket
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Stand(folder, stack)


def until(condition: Any, otherwise: str, seconds: float = _START_SECONDS, *, pause: float = 0.02) -> None:
    """
    Raises:
        NotMeasured: it did not become true in time.
    """
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise NotMeasured(otherwise)
        time.sleep(pause)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
