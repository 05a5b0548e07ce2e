"""Logs tell what happened and where, and never what was in it."""

import asyncio
import io
import json
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from router import logs
from router.logs import Formatter, Writer

log = logging.getLogger("router.something")


def only_line(logged: io.StringIO) -> dict[str, object]:
    [line] = logged.getvalue().splitlines()
    entry: dict[str, object] = json.loads(line)
    return entry


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_line_is_json_with_its_fields(logged: io.StringIO) -> None:
    log.info("what\nhappened", extra={"source": "greenhouse", "status": 200})
    line = only_line(logged)
    assert line.pop("time")
    assert line == {
        "message": "what\nhappened",
        "level": "INFO",
        "logger": "router.something",
        "source": "greenhouse",
        "status": 200,
    }


def test_what_is_no_text_and_no_number_of_64_bits_is_written_all_the_same() -> None:
    record = logging.makeLogRecord({"msg": "half \ud800 of a pair", "number": 2**70, "path": Path("there")})
    line = json.loads(Formatter().format(record))
    assert (line["message"], line["number"], line["path"]) == ("half \ud800 of a pair", 2**70, "there")


def test_an_exception_is_told_by_its_type_and_place_only(logged: io.StringIO) -> None:
    try:
        fail("Ada Lovelace")
    except ValueError:
        log.exception("it failed")
    line = only_line(logged)
    assert str(line["exc_info"]).startswith("ValueError <- ")
    assert "test_logs.py" in str(line["exc_info"])
    assert "Lovelace" not in logged.getvalue()


def raise_from_a_cause() -> None:
    try:
        fail("Ada")
    except ValueError as error:
        raise KeyError("Lovelace") from error


def raise_in_an_except() -> None:
    try:
        fail("Ada")
    except ValueError:
        raise KeyError("Lovelace")  # noqa: B904 (that is the point)


def raise_from_none() -> None:
    try:
        fail("Ada")
    except ValueError:
        raise KeyError("Lovelace") from None


def raise_a_group() -> None:
    raise ExceptionGroup("Ada", [ValueError("Lovelace")])


def raise_with_a_note() -> None:
    error = KeyError("Ada")
    error.add_note("Lovelace")
    raise error


def raise_in_a_circle() -> None:
    first, second = KeyError("Ada"), ValueError("Lovelace")
    first.__cause__, second.__cause__ = second, first
    raise first


@pytest.mark.parametrize(
    ("failing", "types"),
    [
        (raise_from_a_cause, ["KeyError", "ValueError"]),
        (raise_in_an_except, ["KeyError", "ValueError"]),
        (raise_from_none, ["KeyError", "ValueError"]),
        (raise_a_group, ["ExceptionGroup"]),
        (raise_with_a_note, ["KeyError"]),
        (raise_in_a_circle, ["KeyError", "ValueError"]),
    ],
)
def test_chained_exceptions_are_told_without_their_texts(
    logged: io.StringIO, failing: object, types: list[str]
) -> None:
    assert callable(failing)
    try:
        failing()
    except Exception:
        log.exception("it failed")
    told = str(only_line(logged)["exc_info"]).splitlines()
    assert [line.split(" ")[0] for line in told] == types
    assert "Ada" not in logged.getvalue()
    assert "Lovelace" not in logged.getvalue()


async def test_what_asyncio_says_of_a_task_that_failed_quotes_nothing(logged: io.StringIO) -> None:
    async def forgotten() -> None:
        fail("Ada Lovelace")

    task = asyncio.create_task(forgotten())
    await asyncio.wait([task])
    del task
    line = only_line(logged)
    assert (line["message"], line["level"]) == ("Task exception was never retrieved", "ERROR")
    assert "Lovelace" not in logged.getvalue()


async def test_what_asyncio_says_of_a_callback_that_failed_quotes_nothing(logged: io.StringIO) -> None:
    asyncio.get_running_loop().call_soon(fail, "Ada Lovelace")
    await asyncio.sleep(0.01)
    assert str(only_line(logged)["message"]).startswith("Exception in callback")
    assert "Lovelace" not in logged.getvalue()


def test_lines_of_many_threads_are_all_written_once_and_whole() -> None:
    stream = io.StringIO()
    writer = Writer(stream)
    writer.setFormatter(Formatter())

    def say(thread: int) -> None:
        for number in range(2000):
            writer.handle(logging.makeLogRecord({"msg": f"{thread} {number}"}))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(say, range(6)))
    writer.flush()
    said = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert len(said) == 12_000
    assert set(said) == {f"{thread} {number}" for thread in range(6) for number in range(2000)}
    for thread in range(6):
        mine = [text for text in said if text.startswith(f"{thread} ")]
        assert mine == [f"{thread} {number}" for number in range(2000)]


def test_a_line_is_written_soon_without_being_asked_for() -> None:
    stream = io.StringIO()
    writer = Writer(stream)
    for text in ("first", "second"):
        writer.handle(logging.makeLogRecord({"msg": text}))
        give_up = time.monotonic() + 5
        while text not in stream.getvalue():
            assert time.monotonic() < give_up
            time.sleep(0.01)


def test_who_logs_more_than_may_wait_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "GATHER_SECONDS", 60)
    monkeypatch.setattr(logs, "MOST_LINES", 5)
    stream = io.StringIO()
    writer = Writer(stream)
    for number in range(7):
        writer.handle(logging.makeLogRecord({"msg": f"{number}"}))
    assert stream.getvalue() == "0\n1\n2\n3\n4\n"


def test_a_line_that_cannot_be_made_costs_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    writer = Writer(stream)
    for record in ({"msg": "%d", "args": ("Ada Lovelace",)}, {"msg": "next"}):
        writer.handle(logging.makeLogRecord(record))
    writer.flush()
    assert stream.getvalue() == "next\n"
    assert "--- Logging error ---" in capsys.readouterr().err


def test_a_pipe_that_nobody_reads_any_more_stops_nothing() -> None:
    code = (
        "import logging, os, sys; from router.logs import log_as_json; log_as_json()\n"
        "os.close(2)\n"
        "for _ in range(30_000): logging.getLogger('router.x').warning('still there')\n"
        "print('done')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "done\n")


def test_an_error_that_ends_the_process_is_a_line_like_any_other() -> None:
    code = "from router.logs import log_as_json; log_as_json(); raise ValueError('Ada Lovelace')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    [line] = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert json.loads(line)["level"] == "CRITICAL"
    assert "ValueError" in line
    assert "Lovelace" not in line


def test_libraries_that_name_arguments_are_heard_from_warning_on_only() -> None:
    code = (
        "import logging; from router.logs import log_as_json; log_as_json()\n"
        "for name in ('uvicorn.access', 'arq.worker', 'httpx', 'asyncio', 'aiohttp.access', 'router.x'):\n"
        "    logging.getLogger(name).info('%s says so', name)\n"
        "    logging.getLogger(name).debug('%s whispers', name)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [json.loads(line)["logger"] for line in ended.stderr.splitlines()] == ["router.x"]
