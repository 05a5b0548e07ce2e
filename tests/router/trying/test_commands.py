"""test, explain and rehearse as somebody types them."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from router.cli import app
from router.connection import client
from router.embedded import EmbeddedServer, socket_of
from router.ledger import Ledger
from router.ledger_keys import events_index
from router.schema import EventType
from tests.factories import SOURCE
from tests.router.bulk import fill
from tests.router.test_headline import make
from tests.router.trying.configs import ENVIRONMENT, ROUTES, text_of

T = TypeVar("T")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "greenhouse"
UNKNOWN = "evt_00" + "0" * 24
TESTS = """
tests:
  - name: moves
    fields: {event: StageChanged}
    send_to: my-service
"""
FAILING = TESTS.replace("my-service", "[]")


class Commands:
    """A configuration in a folder, and what somebody types there."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self._server = server
        self.write()

    def write(self, rest: str = ROUTES, name: str = "config.yaml", changes: Mapping[str, str] | None = None) -> None:
        (self.folder / name).write_text(text_of(rest, self._server, changes))

    def run(self, *words: str) -> Result:
        return CliRunner(env=ENVIRONMENT).invoke(app, list(words))

    def told(self, *words: str, code: int = 0) -> str:
        result = self.run(*words)
        assert result.exit_code == code, result.output
        assert result.stderr == ""
        return result.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.told(*words, "--json", code=code))

    def sentence(self, *words: str, code: int = 1) -> str:
        """The one sentence with which it fails."""
        result = self.run(*words)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        [line] = result.stderr.splitlines()
        return line


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(tmp_path, "data_dir: ./data")


@pytest.fixture
def commands(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return Commands(tmp_path, f"url: '{url}'")


def on_ledger(url: str, work: Callable[[Ledger], Coroutine[Any, Any, T]]) -> T:
    async def opened() -> T:
        ledger = Ledger(client(url))
        await ledger.open()
        try:
            return await work(ledger)
        finally:
            await ledger.close()

    return asyncio.run(opened())


async def filled(ledger: Ledger) -> str:
    """40 events; the id of one that is a move."""
    await fill(ledger, 40)
    [newest] = await ledger.listed([events_index(SOURCE, EventType.STAGE_CHANGED)], 1)
    return newest.id


# --- test -----------------------------------------------------------------------------------------------------------


def test_tests_beside_the_rules_run_without_a_server(nothing_runs: Commands) -> None:
    nothing_runs.write(ROUTES + TESTS)
    assert nothing_runs.told("test") == "1 of 1 test passed\n"
    nothing_runs.write(ROUTES + FAILING)
    told = nothing_runs.told("test", code=1)
    assert told.startswith("FAILED config.yaml:21: moves\n  expected: nowhere\n  got:      my-service\n")
    assert told.endswith("\n0 of 1 test passed\n")


def test_results_as_json(nothing_runs: Commands) -> None:
    nothing_runs.write(ROUTES + TESTS + FAILING.split("tests:\n")[1].replace("moves", "nothing"))
    told = nothing_runs.json("test", code=1)
    assert (told["passed"], told["failed"]) == (1, 1)
    good, bad = told["tests"]
    assert (good["name"], good["passed"]) == ("moves", True)
    assert (bad["name"], bad["line"], bad["expected"], bad["got"]) == ("nothing", 24, [], ["my-service"])
    assert bad["unexpected"] == {"my-service": ["all about applications sends it there"]}


def test_without_tests_it_says_how_to_write_them(nothing_runs: Commands) -> None:
    assert "there is no test in config.yaml: write some below tests:" in nothing_runs.told("test")
    assert nothing_runs.json("test") == {"passed": 0, "failed": 0, "tests": []}


def test_mistakes_are_told_as_check_tells_them(nothing_runs: Commands) -> None:
    nothing_runs.write(ROUTES + TESTS.replace("my-service", "my-servcie"))
    result = nothing_runs.run("test")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == nothing_runs.run("check").stderr
    assert 'did you mean "my-service"?' in result.stderr


def test_a_file_of_tests_stands_for_those_beside_the_rules(nothing_runs: Commands) -> None:
    nothing_runs.write(ROUTES + FAILING)
    Path("rules.yaml").write_text(TESTS)
    assert nothing_runs.told("test", "--tests", "rules.yaml") == "1 of 1 test passed\n"
    Path("rules.yaml").write_text(FAILING)
    assert "FAILED rules.yaml:3: moves" in nothing_runs.told("test", "--tests", "rules.yaml", code=1)
    Path("rules.yaml").write_text("nothing: here")
    result = nothing_runs.run("test", "--tests", "rules.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert 'unknown key "nothing" in a file of tests' in result.stderr
    assert nothing_runs.run("test", "--tests", "missing.yaml").exit_code == 2


def test_in_a_folder_of_files_a_failure_names_its_file(nothing_runs: Commands) -> None:
    folder = Path("rules")
    folder.mkdir()
    (folder / "a.yaml").write_text(text_of())
    (folder / "b.yaml").write_text(TESTS)
    (folder / "c.yaml").write_text(FAILING.replace("moves", "no moves"))
    told = nothing_runs.told("test", "--config", "rules", code=1)
    assert told.startswith(f"FAILED {folder / 'c.yaml'}:3: no moves\n")
    assert told.endswith("1 of 2 tests passed\n")


def test_only_tests_of_stored_events_need_the_router(nothing_runs: Commands) -> None:
    nothing_runs.write(f"{ROUTES}{TESTS}  - name: stored\n    event: {UNKNOWN}\n    send_to: []\n")
    told = nothing_runs.told("test", code=1)
    assert "not tried: nothing runs in" in told
    assert "1 of 2 tests passed" in told


def test_a_stored_event_is_a_test(commands: Commands, url: str) -> None:
    event = on_ledger(url, filled)
    commands.write(f"{ROUTES}\ntests:\n  - name: stored\n    event: {event}\n    send_to: my-service\n")
    assert commands.told("test") == "1 of 1 test passed\n"
    commands.write(f"{ROUTES}\ntests:\n  - name: gone\n    event: {UNKNOWN}\n    send_to: my-service\n")
    assert "not tried: no such event is stored" in commands.told("test", code=1)


# --- explain --------------------------------------------------------------------------------------------------------


def test_a_stored_event_is_explained_by_todays_rules(commands: Commands, url: str) -> None:
    event = on_ledger(url, filled)
    told = commands.told("explain", event)
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert lines[1:] == [
        "1 all about applications matched sends to my-service",
        '2 interviews failed stage_kind is not in this event, so not "INTERVIEW"',
        "3 asleep switched off",
        "It goes to my-service (by all about applications).",
        "The rules were others when it was routed: then all matched.",
    ]
    [as_json] = commands.json("explain", event)
    assert (as_json["id"], as_json["routed_by"]) == (event, ["all"])
    assert as_json["routes"][1]["field"] == "stage_kind"
    commands.write("routes: [{name: all, send_to: my-service}]")
    assert "The rules were others" not in commands.told("explain", event)


def test_an_event_in_a_file_is_explained_without_a_server(nothing_runs: Commands) -> None:
    Path("event.json").write_text(make(EventType.STAGE_CHANGED).model_dump_json())
    told = nothing_runs.told("explain", "--event", "event.json")
    assert "It goes to my-service" in told
    assert "when it was routed" not in told
    [as_json] = nothing_runs.json("explain", "--event", "event.json")
    assert (as_json["sinks"], as_json["routed_by"]) == ({"my-service": ["all about applications"]}, None)


@pytest.mark.parametrize("whose", [("--source", "greenhouse"), ("--vendor", "greenhouse")])
def test_a_recorded_webhook_is_explained_as_its_source_reads_it(nothing_runs: Commands, whose: tuple[str, str]) -> None:
    of_source = {'secret: "${GREENHOUSE_SECRET}"': 'secret: "${GREENHOUSE_SECRET}", stages: {HIRED: "*"}'}
    nothing_runs.write("routes: [{name: r, when: {source: greenhouse}, send_to: my-service}]", changes=of_source)
    body = str(FIXTURES / "stage_changed.json")
    assert [one["type"] for one in nothing_runs.json("explain", "--body", body, *whose)] == [
        "StageChanged",
        "OutcomeChanged",
    ]
    told = nothing_runs.told("explain", "--body", body, *whose)
    assert told.count("It goes to my-service (by r).") == 2


def test_a_vendor_without_a_source_reads_its_webhook_too(nothing_runs: Commands) -> None:
    more = {"sinks:": '  second: {vendor: greenhouse, secret: "${GREENHOUSE_SECRET}"}\nsinks:'}
    nothing_runs.write("routes: [{when: {vendor: greenhouse}, send_to: my-service}]", changes=more)
    body = str(FIXTURES / "stage_changed.json")
    assert "It goes to my-service" in nothing_runs.told("explain", "--body", body, "--vendor", "greenhouse")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("explain",), 2, "give the id of an event, or --event FILE, or --body FILE with --source or --vendor"),
        (("explain", UNKNOWN, "--event", "odd.json"), 2, "give the id of an event, or"),
        (("explain", "--body", "odd.json"), 2, "with --body give either --source or --vendor"),
        (("explain", "--body", "odd.json", "--source", "grenhouse"), 2, 'did you mean "greenhouse"?'),
        (("explain", "--body", "odd.json", "--vendor", "grenhouse"), 2, 'did you mean "greenhouse"?'),
        (("explain", "--body", "odd.json", "--source", "greenhouse"), 1, "odd.json: it can't be read"),
        (
            ("explain", "--body", "missing.json", "--source", "greenhouse"),
            2,
            "missing.json can't be read",
        ),
        (("explain", "--event", "odd.json"), 2, "odd.json is not an event: "),
        (("explain", "--event", "missing.json"), 2, "missing.json can't be read"),
        (("explain", UNKNOWN), 1, "nothing runs in"),
        (("rehearse", "config.yaml"), 1, "start `ats-router up` first"),
        (("rehearse", "config.yaml", "--since", "soon"), 2, "--since 'soon' is no time"),
        (("rehearse", "config.yaml", "--source", "grenhouse"), 2, 'did you mean "greenhouse"?'),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    nothing_runs: Commands, words: tuple[str, ...], code: int, sentence: str
) -> None:
    Path("odd.json").write_text('{"candidate": {"name": "Ada Lovelace"}}')
    told = nothing_runs.sentence(*words, code=code)
    assert sentence in told
    assert "Lovelace" not in told


def test_an_id_that_is_wrong_or_too_old(commands: Commands) -> None:
    assert f"there is no event {UNKNOWN}: the id is wrong, or it is older than 30 days" in commands.sentence(
        "explain", UNKNOWN
    )
    assert "'Ada' is no id of an event" in commands.sentence("explain", "Ada", code=2)


# --- rehearse -------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_rehearsed(commands: Commands, url: str) -> None:
    on_ledger(url, filled)
    changes = {"[ApplicationCreated, StageChanged, OutcomeChanged]": "[StageChanged, OfferChanged]"}
    commands.write(name="new.yaml", changes=changes)
    told = commands.told("rehearse", "new.yaml")
    assert "On 40 stored events the new file makes" in told
    assert ["my-service", "10", "10", "0", "20"] in [line.split() for line in told.splitlines()]
    as_json = commands.json("rehearse", "new.yaml", "--since", "1h", "--source", "greenhouse")
    assert as_json["events"] == 40
    [mine] = [sink for sink in as_json["sinks"] if sink["sink"] == "my-service"]
    assert (mine["more"], mine["fewer"], mine["different"], mine["same"]) == (10, 10, 0, 20)
    assert len(mine["examples"]["more"]) == 3
    assert "nothing to compare" in commands.told("rehearse", "new.yaml", "--until", "1h")


def test_what_a_rehearsed_route_cannot_set_is_no_matter_for_the_log(
    commands: Commands, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    on_ledger(url, filled)
    bot = {'webhook_url: "${SLACK_WEBHOOK_URL}"': 'token: "${SLACK_TOKEN}", channel: hiring'}
    to = "send_to: [{recruiters: {channel: '{{ job.offices[0] | slug }}'}}]"
    commands.write("routes: [{name: r, send_to: recruiters}]", changes=bot)
    commands.write(f"routes: [{{name: r, {to}}}]", "new.yaml", bot)
    assert "Nothing changes" in commands.told("rehearse", "new.yaml")
    assert not caplog.records
    assert not logging.getLogger().manager.disable


def test_an_empty_ledger_is_said_to_be_empty(commands: Commands) -> None:
    assert "no event of that time is stored" in commands.told("rehearse", "config.yaml")
    assert commands.json("rehearse", "config.yaml")["events"] == 0


def test_a_new_file_with_mistakes_is_reported_as_check_does(commands: Commands) -> None:
    commands.write(name="new.yaml", changes={"send_to: my-service": "send_to: my-servcie"})
    result = commands.run("rehearse", "new.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == commands.run("check", "new.yaml").stderr
    assert "new.yaml:12:" in result.stderr


def test_nothing_is_written(commands: Commands, url: str) -> None:
    event = on_ledger(url, filled)
    commands.write(f"{ROUTES}\ntests:\n  - name: stored\n    event: {event}\n    send_to: my-service\n")

    async def content(ledger: Ledger) -> dict[bytes, bytes]:
        names = [name async for name in ledger._redis.scan_iter()]
        return {name: await ledger._redis.dump(name) for name in sorted(names)}

    before = on_ledger(url, content)
    commands.told("rehearse", "config.yaml")
    commands.told("explain", event)
    commands.told("test")
    assert on_ledger(url, content) == before


# --- the real commands ----------------------------------------------------------------------------------------------


@pytest.fixture
def embedded() -> Iterator[Path]:
    """A folder with a configuration, and its embedded server with 40 events."""
    with tempfile.TemporaryDirectory(prefix="ats") as name:  # pytest's own folders are too long for a socket
        folder = Path(name)
        server = EmbeddedServer(folder / "data", 10**9)
        server.start()
        on_ledger(socket_of(folder / "data"), filled)
        yield folder
        server.stop()


def test_the_real_commands_on_a_real_embedded_server(embedded: Path) -> None:
    event = on_ledger(socket_of(embedded / "data"), lambda ledger: _newest(ledger))
    tests = f"\ntests:\n  - name: stored\n    event: {event}\n    send_to: my-service\n"
    (embedded / "config.yaml").write_text(text_of(ROUTES + tests))
    (embedded / "new.yaml").write_text(text_of(changes={"send_to: my-service": "send_to: [my-service, recruiters]"}))

    def run(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "router.cli", *words],
            cwd=embedded,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(FIXTURES.parents[2])},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    assert run("test") == "1 of 1 test passed\n"
    assert "It goes to my-service (by all about applications)." in run("explain", event)
    assert re.search(r"recruiters +30 +0 +0 +0\b", run("rehearse", "new.yaml"))


async def _newest(ledger: Ledger) -> str:
    [newest] = await ledger.listed([events_index(SOURCE, EventType.STAGE_CHANGED)], 1)
    return newest.id
