"""Several real servers that make one ledger: a primary with replicas under sentinels, and a cluster."""

import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from router.embedded import find_server

HOST = "127.0.0.1"
NAME = "ledger"
PASSWORD = "known-to-tests-only"
_PATIENCE_SECONDS = 30.0
_KEPT = ("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--repl-diskless-sync-delay", "0")
_SAFE = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "3")


def free_port(beside: int = 0) -> int:
    """A port that nobody listens on, and neither on the one that is so much higher."""
    while True:
        with socket.create_server((HOST, 0)) as server:
            port: int = server.getsockname()[1]
        if not beside:
            return port
        if port + beside < 65536:
            try:
                socket.create_server((HOST, port + beside)).close()
            except OSError:
                continue
            return port


def eventually(condition: Callable[[], object], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except RedisError:
            pass
        assert time.monotonic() < give_up, f"{what} did not happen in {seconds:.0f} seconds"
        time.sleep(0.02)


class Server:
    """One process on a port of its own."""

    def __init__(self, folder: Path, port: int, *options: str, password: str = "") -> None:
        self.port = port
        folder.mkdir(parents=True, exist_ok=True)
        command = [find_server(), *options, "--port", str(port), "--bind", HOST, "--dir", str(folder)]
        if password:
            command += ["--requirepass", password]
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.url = f"redis://:{password}@{HOST}:{port}" if password else f"redis://{HOST}:{port}"
        self.redis = Redis(host=HOST, port=port, password=password or None, socket_timeout=5)

    def answers(self) -> bool:
        return bool(self.redis.ping())

    def ask(self, *command: str | int) -> Any:
        return self.redis.execute_command(*command)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class _Topology:
    """Servers that belong together, each with this password."""

    def __init__(self, folder: Path, replicas: int = 2, password: str = PASSWORD) -> None:
        self._folder = folder
        self._replicas = replicas
        self._password = password
        self._kept = [*_KEPT, *(["--primaryauth", password] if password else [])]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        raise NotImplementedError

    def _run(self, name: str, port: int, *options: str) -> Server:
        server = Server(self._folder / name, port, *options, password=self._password)
        self._stack.callback(server.redis.close)
        self._stack.callback(server.kill)
        return server


class Watched(_Topology):
    """A primary and two replicas, watched by three sentinels."""

    def _start(self) -> None:
        ports = [free_port() for _ in range(3)]
        self.servers = [self._run("data-0", ports[0], *self._kept, *_SAFE)]
        eventually(self.servers[0].answers, "the primary's start")
        for number, port in enumerate(ports[1:], 1):
            self.servers.append(
                self._run(f"data-{number}", port, *self._kept, *_SAFE, "--replicaof", HOST, str(ports[0]))
            )
        eventually(lambda: self.servers[0].ask("INFO", "replication")["connected_slaves"] == 2, "the replicas' start")
        self.sentinels = [self._sentinel(number, ports[0]) for number in range(3)]
        for sentinel in self.sentinels:
            eventually(partial(self._knows_all, sentinel), "the sentinels' start")

    def _sentinel(self, number: int, primary: int) -> Server:
        folder = self._folder / f"sentinel-{number}"
        folder.mkdir(parents=True)
        config = folder / "sentinel.conf"
        config.write_text(
            f"sentinel monitor {NAME} {HOST} {primary} 2\nsentinel down-after-milliseconds {NAME} 1500\n"
            f"sentinel failover-timeout {NAME} 5000\nsentinel parallel-syncs {NAME} 2\n"
            f"sentinel auth-pass {NAME} {self._password}\n"
        )
        return self._run(f"sentinel-{number}", free_port(), str(config), "--sentinel")

    def _knows_all(self, sentinel: Server) -> bool:
        told = sentinel.ask("SENTINEL MASTERS")[NAME]
        return bool(told["num-slaves"] == 2 and told["num-other-sentinels"] == 2)

    @property
    def primary(self) -> Server:
        """The one that the sentinels name now."""
        _, port = self.sentinels[0].ask("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)
        return next(server for server in self.servers if server.port == port)


class Cluster(_Topology):
    """Three primaries, each with its replicas, that share all slots."""

    def _start(self) -> None:
        ports = [free_port(10000) for _ in range(3 + 3 * self._replicas)]
        options = [
            *self._kept,
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "2000",
            "--cluster-replica-validity-factor",
            "0",
        ]
        self.nodes = [self._run(f"node-{number}", port, *options) for number, port in enumerate(ports)]
        for node in self.nodes:
            eventually(node.answers, "a node's start")
        first, *others = self.nodes
        for number, node in enumerate(self.nodes[:3]):
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * 16384 // 3, (number + 1) * 16384 // 3 - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in others:
            first.ask("CLUSTER", "MEET", HOST, node.port)
        for node in self.nodes:
            eventually(partial(self._knows_all, node), "the nodes' meeting")
        for number, replica in enumerate(self.nodes[3:]):
            replica.ask("CLUSTER", "REPLICATE", self.id_of(self.nodes[number % 3]))
        for node in self.nodes:
            eventually(partial(self.is_whole, node), "the cluster's start")
        for node in self.nodes[:3]:
            eventually(partial(self._has_replicas, node), "its replicas' start")

    def _knows_all(self, node: Server) -> bool:
        return len(node.ask("CLUSTER NODES")) == len(self.nodes)

    def _has_replicas(self, node: Server) -> bool:
        return int(node.ask("INFO", "replication")["connected_slaves"]) == self._replicas

    @staticmethod
    def id_of(node: Server) -> str:
        told: bytes = node.ask("CLUSTER", "MYID")
        return told.decode()

    @staticmethod
    def is_whole(node: Server) -> bool:
        told: Any = node.ask("CLUSTER INFO")
        return bool(told["cluster_state"] == "ok")

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes[:3]]

    def owner_of(self, slot: int) -> Server:
        """The primary that has a slot now."""
        alive = next(node for node in self.nodes if node.process.poll() is None)
        for first, last, primary, *_ in alive.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError(f"nobody has slot {slot}")
