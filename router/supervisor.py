"""What `ats-router up` runs: the embedded server and the children, started again when they die, stopped in order."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from router.connection import ServerProblem
from router.embedded import EmbeddedServer, how_it_ended
from router.hangup import Hangup

log = logging.getLogger(__name__)

PARENT_VARIABLE = "ATS_ROUTER_PARENT"
WRONG_CONFIG = 2
"""The exit code of a child whose configuration is wrong: starting it again does not help until that is mended."""

GRACE_SECONDS = 15.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
RAN_WELL_SECONDS = 30.0
_TICK_SECONDS = 0.025


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep running. ``name`` is for people; ``env`` is added to our own environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def run(children: Sequence[Child], server: EmbeddedServer | None) -> int:
    """Keep all running until SIGTERM or SIGINT; gives the exit code for this process.

    SIGHUP is passed on to the children. One that ends with exit code 2 at its first start ends everything.

    The server is started first and stopped last, the children are stopped one after the other in the order given.

    Raises:
        ServerProblem: the server could not be started at all; nothing runs then.
    """
    return _Supervisor(children, server).run()


def exit_with_parent() -> None:
    """For a child: end as on SIGTERM soon after the supervisor is gone, however it went."""
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None:
        threading.Thread(target=_outlive, args=(int(parent),), name="exit-with-parent", daemon=True).start()


def _outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    log.warning("the process that supervised this one is gone: ending")
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


class _Ended(Exception):
    """A child's process is no more; the text says how."""


class _WrongConfig(Exception):
    """A child says that it can't run with this configuration."""


class _Runnable(Protocol):
    def launch(self) -> None: ...

    def ready(self) -> bool: ...


class _Process:
    """The process of a child: at most one at a time."""

    def __init__(self, child: Child) -> None:
        self.name = child.name
        self._child = child
        self._process: subprocess.Popen[bytes] | None = None
        self._had_good_config = False

    def launch(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (the command line builds it)
            self._child.argv,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self._child.env, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone, which keeps the order
        )
        log.info("%s started (pid %d)", self.name, self._process.pid)

    def ready(self) -> bool:
        if self.alive():
            return True
        code = self._process.returncode if self._process else 0
        if code == WRONG_CONFIG and not self._had_good_config:
            raise _WrongConfig(f"{self.name} can't run with this configuration")
        # one that was good and is being changed will be good again: the other children go on meanwhile
        self._had_good_config = True
        raise _Ended(f"it {how_it_ended(code)}")

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class _Kept:
    """Something that is kept running: after a death it starts again, later each time until it has run well."""

    def __init__(self, name: str, runnable: _Runnable) -> None:
        self._name = name
        self._runnable = runnable
        self._running = False
        self._deaths = 0
        self._started_at = 0.0
        self._start_at = 0.0

    def start(self) -> None:
        self._running = True
        self._started_at = time.monotonic()
        self._runnable.launch()

    def tend(self) -> bool:
        """Notice a death, start what is due; whether it is there for the others."""
        try:
            if not self._running:
                if time.monotonic() < self._start_at:
                    return False
                self.start()
            return self._runnable.ready()
        except (_Ended, ServerProblem, OSError) as death:
            self._running = False
            log.warning("%s restarts in %.1f s: %s", self._name, self._pause(), death)
            return False

    def _pause(self) -> float:
        now = time.monotonic()
        if now - self._started_at >= RAN_WELL_SECONDS:
            self._deaths = 0
        pause = min(FIRST_PAUSE_SECONDS * 2.0 ** min(self._deaths, 16), LONGEST_PAUSE_SECONDS)
        self._deaths += 1
        self._start_at = now + pause
        return pause


class _Supervisor:
    def __init__(self, children: Sequence[Child], server: EmbeddedServer | None) -> None:
        self._server = server
        self._kept_server = _Kept("server", server) if server else None
        self._processes = [_Process(child) for child in children]
        self._kept = [_Kept(process.name, process) for process in self._processes]
        self._hangup = Hangup()
        self._pass_on = False
        self._stop_asked = False

    def run(self) -> int:
        self._listen()
        try:
            self._start_server()
            while not self._stop_asked:
                if self._server_answers():
                    for kept in self._kept:
                        kept.tend()
                if self._pass_on:
                    self._pass_on = False
                    for process in self._processes:
                        process.send(signal.SIGHUP)
                time.sleep(_TICK_SECONDS)
        except _WrongConfig as wrong:
            log.error("stopping: %s", wrong)
            return WRONG_CONFIG
        finally:
            self._stop()
        return 0

    def _listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        if self._hangup.is_wanted:
            signal.signal(signal.SIGHUP, self._on_hangup)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        if self._hangup.terminal_is_gone():
            self._ask_to_stop(number, frame)
        else:
            self._pass_on = True

    def _start_server(self) -> None:
        """The first start, where a problem is the person's to solve and not to be tried again."""
        if self._server and self._kept_server:
            self._kept_server.start()
            while not self._stop_asked and not self._server.ready():
                time.sleep(_TICK_SECONDS)

    def _server_answers(self) -> bool:
        return self._kept_server is None or self._kept_server.tend()

    def _stop(self) -> None:
        for process in self._processes:
            self._stop_process(process)
        if self._server:
            self._server.stop()

    def _stop_process(self, process: _Process) -> None:
        kill_at = time.monotonic() + GRACE_SECONDS
        process.send(signal.SIGTERM)
        while process.alive():
            if time.monotonic() > kill_at:
                log.warning("%s did not end in %.0f s and is killed", process.name, GRACE_SECONDS)
                process.send(signal.SIGKILL)
                kill_at += GRACE_SECONDS
            self._server_answers()  # what is finished in the last seconds must reach the ledger
            time.sleep(_TICK_SECONDS)
