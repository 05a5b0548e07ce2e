"""The real demo, as a process, and what it does when something is in its way."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from router import demo
from router.demo.endpoint import Endpoint
from tests.router.test_embedded import eventually

COMMAND = [sys.executable, "-P", "-m", "router.cli", "demo"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the demo makes its own; short, because of the socket in it."""
    with tempfile.TemporaryDirectory(prefix="ats") as path:
        yield Path(path)


def processes_of(folder: Path) -> list[str]:
    """Those that name the folder or work in it."""
    found = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in found if str(folder) in line]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"}


def told_by_demo() -> tuple[int, str]:
    stream = io.StringIO()
    code = asyncio.run(demo.run(Console(file=stream, highlight=False, soft_wrap=True)))
    return code, stream.getvalue()


def test_the_demo_shows_the_main_job_and_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    for name in ("router", "handlers", "sinks", "redis"):  # someone's own modules where the demo is called
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    ended = subprocess.run(
        COMMAND, env=environment(folder), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "\x1b" not in ended.stdout
    figures = dict(re.findall(r"^  (\S.*?)  +(\d+)(?: ms)? *$", ended.stdout, re.MULTILINE))
    assert figures["webhooks posted"] == "16"
    assert figures["refused, the signature was wrong"] == "2"
    assert figures["recognised as duplicates"] == "2"
    assert figures["events made of the others"] == "12"
    assert figures["deliveries, all arrived"] == "28"  # 12 to each of two sinks, 4 messages
    assert figures["arrived twice at your service"] == "0"
    assert int(figures["attempts that took"]) > 28
    for words in (
        "Alice Example is moved to Onsite",
        "StageChanged: Alice Example: Phone Screen -> Onsite, Backend Engineer",
        "all about applications, engineering onsites",
        "genuine, but known already",
        ": Refused: the signature is not of this body and secret.",
        "http_503, is tried again",
        "Notification: TEST Alice Example was hired (Backend Engineer)",
        "and hris_staging_events: 12 rows, one per event",
        "Everything arrived. With your own ATS:",
    ):
        assert words in ended.stdout
    for sink in ("my-service", "hr-staging", "recruiters"):
        assert re.search(rf"^   {sink} +(200|ok) in \d+ ms$", ended.stdout, re.MULTILINE)
    columns = r"name +job_title +stage +outcome +hired_at *\n +Alice Example +Backend Engineer +Onsite +HIRED +\d{4}-"
    assert re.search(columns, ended.stdout)
    assert list(folder.iterdir()) == []
    assert processes_of(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_is_stopped_takes_its_processes_along(folder: Path, number: signal.Signals) -> None:
    log = folder / "printed"
    with (
        log.open("wb") as printed,
        subprocess.Popen(COMMAND, env=environment(folder), stdout=printed, stderr=printed) as process,
    ):
        try:
            eventually(lambda: process.poll() is not None or list(folder.glob("*/ledger.sock")))
            assert processes_of(folder)
        finally:
            process.send_signal(number)
        assert process.wait(20) != 0
    eventually(lambda: not processes_of(folder))
    assert "Traceback" not in log.read_text()
    if number is signal.SIGINT:
        assert list(folder.iterdir()) == [log]


def test_a_router_that_can_not_start_is_told_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    too_long = folder / ("x" * 100)
    too_long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(too_long))
    code, told = told_by_demo()
    assert code == 1
    [log] = too_long.glob("*/up.log")
    assert f"The demo failed: the router ended with code 1. What happened is in {log}" in told
    assert "is too long for the socket in it" in log.read_text()


def test_an_endpoint_that_can_not_start_fails_the_demo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_self: Endpoint) -> None:
        raise OSError(98, "address already in use")

    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(Endpoint, "start", fail)
    code, told = told_by_demo()
    assert code == 1
    assert "The demo failed: [Errno 98] address already in use." in told
    assert processes_of(folder) == []


def test_a_demo_without_room_for_files_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nothing"))
    code, told = told_by_demo()
    assert (code, len(told.splitlines())) == (1, 1)
    assert "The demo needs a directory for temporary files" in told
