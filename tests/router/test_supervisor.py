"""The supervisor of `ats-router up`, always with real processes: it, its children and the embedded server."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.router.test_embedded import ask, data_directory, eventually, lock_is_free, pid_of

UP = """
import json, logging, sys
from pathlib import Path
from router import supervisor
from router.connection import ServerProblem
from router.embedded import EmbeddedServer

told = json.loads(sys.argv[1])
vars(supervisor).update(told["settings"])
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
server = EmbeddedServer(Path(told["data_dir"]), 1 << 26) if told["data_dir"] else None
children = [supervisor.Child(name, [sys.executable, "-c", code], {"NAME": name}) for name, code in told["children"]]
try:
    sys.exit(supervisor.run(children, server))
except ServerProblem as problem:
    sys.exit(f"problem: {problem}")
"""
SLEEP = "import time; time.sleep(60)"
POLITE = """
import os, signal, sys, time
def end(number, frame):
    print(os.environ["NAME"], "was asked", file=sys.stderr, flush=True)
    time.sleep(0.1)
    print(os.environ["NAME"], "is done", file=sys.stderr, flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print(os.environ["NAME"], "is up", file=sys.stderr, flush=True)
time.sleep(60)
"""
STUBBORN = POLITE.replace("def end(number, frame):", "def end(number, frame):\n    return")
FAMILY = "from router.supervisor import exit_with_parent\nexit_with_parent()" + POLITE


class Up:
    """A running supervisor, and what it and its children print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, *children: tuple[str, str], data_dir: Path | None = None, settings: dict[str, float] | None = None
    ) -> "subprocess.Popen[bytes]":
        told = {"children": children, "data_dir": str(data_dir) if data_dir else None, "settings": settings or {}}
        with (self.folder / "printed").open("ab") as printed:
            process = subprocess.Popen([sys.executable, "-c", UP, json.dumps(told)], stderr=printed)
        self.processes.append(process)
        return process

    @property
    def printed(self) -> str:
        return (self.folder / "printed").read_text()

    def pids(self, name: str) -> list[int]:
        return [int(pid) for pid in re.findall(rf"^{name} started \(pid (\d+)\)$", self.printed, re.MULTILINE)]

    def wait_for(self, text: str, times: int = 1) -> None:
        eventually(lambda: self.printed.count(text) >= times)

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for pid in self.pids(r"\w+"):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with data_directory() as path:
        yield path


@pytest.fixture
def up(tmp_path: Path, data_dir: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    yield up
    up.end()


def ended(pid: int) -> bool:
    """Gone, or only not yet waited for by whoever inherited it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] in ("", "Z")


def answering(data_dir: Path) -> bool:
    with suppress(Exception):
        return pid_of(data_dir) > 0
    return False


def restarts(printed: str) -> list[str]:
    return re.findall(r"^worker restarts in ([\d.]+) s", printed, re.MULTILINE)


def test_a_killed_child_starts_again_and_the_others_stay(up: Up) -> None:
    up.start(("receiver", POLITE), ("worker", POLITE))
    up.wait_for("is up", times=2)
    os.kill(up.pids("receiver")[0], signal.SIGKILL)
    up.wait_for("receiver is up", times=2)
    assert "receiver restarts in 0.2 s: it ended with signal 9\n" in up.printed
    assert len(up.pids("worker")) == 1


def test_the_pauses_grow_up_to_a_limit(up: Up) -> None:
    up.start(("worker", "raise SystemExit(1)"), settings={"FIRST_PAUSE_SECONDS": 0.1, "LONGEST_PAUSE_SECONDS": 0.3})
    eventually(lambda: len(restarts(up.printed)) >= 4)
    assert restarts(up.printed)[:4] == ["0.1", "0.2", "0.3", "0.3"]
    assert "it ended with code 1" in up.printed


def test_the_pause_is_short_again_after_it_ran_well(up: Up) -> None:
    child = ("worker", "import time; time.sleep(0.3)")
    up.start(child, settings={"FIRST_PAUSE_SECONDS": 0.1, "RAN_WELL_SECONDS": 0.2})
    eventually(lambda: len(restarts(up.printed)) >= 3)
    assert restarts(up.printed)[:3] == ["0.1", "0.1", "0.1"]


def test_a_wrong_configuration_ends_everything(up: Up) -> None:
    process = up.start(("receiver", POLITE), ("worker", "import time; time.sleep(0.5); raise SystemExit(2)"))
    assert process.wait(10) == 2
    assert up.printed.endswith(
        "stopping: worker can't run with this configuration\nreceiver was asked\nreceiver is done\n"
    )


def test_a_configuration_that_was_good_once_is_waited_for(up: Up) -> None:
    code = f"""
import os, sys, time
from pathlib import Path
starts = Path({str(up.folder)!r}) / "starts"
count = len(starts.read_text()) if starts.exists() else 0
starts.write_text("." * (count + 1))
if count in (1, 2):
    sys.exit(2)
if count == 0:
    os.kill(os.getpid(), 9)
"""
    process = up.start(("receiver", POLITE), ("worker", code + POLITE), settings={"FIRST_PAUSE_SECONDS": 0.05})
    up.wait_for("worker is up")
    assert process.poll() is None
    assert "stopping" not in up.printed
    assert up.printed.count("it ended with code 2") == 2
    assert len(up.pids("receiver")) == 1


def test_a_hangup_is_passed_on_to_the_children_and_stops_nothing(up: Up) -> None:
    listening = POLITE.replace(
        "signal.signal(signal.SIGTERM, end)",
        "signal.signal(signal.SIGTERM, end)\n"
        "signal.signal(signal.SIGHUP, lambda *_: os.write(2, f\"{os.environ['NAME']} reads\\n\".encode()))",
    ).replace("time.sleep(60)", "while True: time.sleep(0.02)")
    process = up.start(("receiver", listening), ("worker", listening))
    up.wait_for("is up", times=2)
    for times in (2, 4):
        process.send_signal(signal.SIGHUP)
        up.wait_for("reads", times=times)
    assert up.printed.count("worker reads") == 2
    assert process.poll() is None


def test_without_its_terminal_it_stops(up: Up) -> None:
    """As when the window is closed in which it was started."""
    told: dict[str, object] = {"children": [("worker", POLITE)], "data_dir": None, "settings": {}}
    (up.folder / "printed").touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.dup2(os.open(up.folder / "printed", os.O_WRONLY | os.O_APPEND), 2)
        os.execv(sys.executable, [sys.executable, "-c", UP, json.dumps(told)])
    up.wait_for("worker is up")
    os.close(terminal)
    eventually(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    assert up.printed.endswith("worker was asked\nworker is done\n")


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wanted_stop_is_in_order_and_quick(up: Up, data_dir: Path, number: signal.Signals) -> None:
    process = up.start(("receiver", POLITE), ("worker", POLITE), data_dir=data_dir)
    up.wait_for("is up", times=2)
    server = pid_of(data_dir)
    asked_at = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert time.monotonic() - asked_at < 2
    assert up.printed.endswith("receiver was asked\nreceiver is done\nworker was asked\nworker is done\n")
    assert all(map(ended, [server, *up.pids("receiver"), *up.pids("worker")]))
    assert lock_is_free(data_dir / "up.lock")
    assert lock_is_free(data_dir / "server.lock")


def test_a_worker_that_ends_gets_its_server_back(up: Up, data_dir: Path) -> None:
    settle = f"""
    from redis import Redis
    redis = Redis(unix_socket_path={str(data_dir / "ledger.sock")!r})
    os.kill(redis.info()["process_id"], signal.SIGKILL)
    while True:
        try:
            sys.exit(not redis.set("settled", "yes"))
        except Exception:
            time.sleep(0.02)
"""
    process = up.start(("worker", POLITE.replace("    sys.exit()\n", settle)), data_dir=data_dir)
    up.wait_for("worker is up")
    process.terminate()
    assert process.wait(10) == 0
    assert "is killed" not in up.printed
    again = up.start(data_dir=data_dir)
    eventually(lambda: answering(data_dir))
    with ask(data_dir) as redis:
        assert redis.get("settled") == "yes"
    again.terminate()
    assert again.wait(10) == 0


def test_a_child_that_does_not_end_is_killed(up: Up) -> None:
    process = up.start(("worker", STUBBORN), settings={"GRACE_SECONDS": 0.3})
    up.wait_for("worker is up")
    process.terminate()
    assert process.wait(10) == 0
    assert "worker did not end in 0 s and is killed" in up.printed
    assert ended(up.pids("worker")[0])


def test_a_stop_does_not_wait_for_the_end_of_a_pause(up: Up) -> None:
    process = up.start(("worker", "raise SystemExit(1)"), settings={"FIRST_PAUSE_SECONDS": 60.0})
    up.wait_for("worker restarts")
    process.terminate()
    assert process.wait(1) == 0


def test_a_killed_server_starts_again_with_its_data(up: Up, data_dir: Path) -> None:
    up.start(("worker", SLEEP), data_dir=data_dir)
    up.wait_for("worker started")
    with ask(data_dir) as redis:
        redis.set("written", "yes")
    os.kill(first := pid_of(data_dir), signal.SIGKILL)
    eventually(lambda: answering(data_dir) and pid_of(data_dir) != first)
    with ask(data_dir) as redis:
        assert redis.get("written") == "yes"
    assert "server restarts in 0.2 s: the embedded server ended with signal 9\n" in up.printed
    assert len(up.pids("worker")) == 1


def test_the_children_of_a_killed_supervisor_end_and_the_next_one_adopts_the_server(up: Up, data_dir: Path) -> None:
    killed = up.start(("receiver", FAMILY), ("worker", FAMILY), data_dir=data_dir)
    up.wait_for("is up", times=2)
    server = pid_of(data_dir)
    killed.kill()
    killed.wait()
    up.wait_for("is done", times=2)
    eventually(lambda: all(map(ended, [*up.pids("receiver"), *up.pids("worker")])))

    process = up.start(("worker", SLEEP), data_dir=data_dir)
    up.wait_for(f"adopted the server that was left in {data_dir} (pid {server})")
    up.wait_for("worker started", times=2)
    process.terminate()
    assert process.wait(10) == 0
    assert ended(server)


def test_a_child_that_can_not_end_gently_without_its_parent_is_killed(up: Up) -> None:
    impatient = "import router.supervisor\nrouter.supervisor.GRACE_SECONDS = 0.2\n"
    killed = up.start(("worker", impatient + FAMILY.replace(POLITE, STUBBORN)))
    up.wait_for("worker is up")
    killed.kill()
    eventually(lambda: ended(up.pids("worker")[0]))


def test_a_second_supervisor_starts_nothing(up: Up, data_dir: Path) -> None:
    first = up.start(("worker", SLEEP), data_dir=data_dir)
    up.wait_for("worker started")
    assert up.start(("worker", SLEEP), data_dir=data_dir).wait(10) == 1
    assert f"problem: `ats-router up` already runs on {data_dir} (pid {first.pid}): stop that one first" in up.printed
    assert len(up.pids("worker")) == 1
    assert answering(data_dir)


def test_a_process_of_its_own_does_not_watch_a_parent() -> None:
    code = "import router.supervisor, threading\nrouter.supervisor.exit_with_parent()\nprint(threading.active_count())"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"1\n"
