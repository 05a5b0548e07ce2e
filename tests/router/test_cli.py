"""The command line as a new user meets it: what is wrong is said in one sentence, and a real `ats-router up` works."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner, Result

from router import __version__, cli
from router.cli import running
from router.schema import Event
from router.story import Story
from tests.router.receiving import SECRET, received, signed
from tests.router.test_embedded import eventually
from tests.topologies import free_port

COMMAND = [sys.executable, "-m", "router.cli"]
EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
ENVIRONMENT = {
    "GREENHOUSE_SECRET": SECRET,
    "MY_SERVICE_URL": "http://127.0.0.1:9/events",
    "MY_SERVICE_SECRET": f"whsec_{b64encode(b'x' * 32).decode()}",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x",
    "HRIS_DATABASE_URL": "sqlite:///hris_staging.db",
    "COLUMNS": "200",
}
COMMANDS = [
    "up",
    "serve",
    "work",
    "check",
    "test",
    "explain",
    "rehearse",
    "demo",
    "send",
    "show",
    "inspect",
    "schema",
    "schema event",
]
NEEDS_CONFIG = [["up"], ["serve"], ["work"], ["check"], ["send", "greenhouse"], ["show", "evt_1"]]


def run(*words: str | Path, **environment: str) -> Result:
    return CliRunner(env={**ENVIRONMENT, **environment}).invoke(cli.app, [str(word) for word in words])


def only_sentence(result: Result, exit_code: int) -> str:
    """It failed with one sentence on standard error, and no traceback."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("ats-router: ")
    return line


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATS_ROUTER_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def config(here: Path) -> Path:
    """The example, as someone copied it; nothing runs."""
    path = here / "config.yaml"
    path.write_bytes(EXAMPLE.read_bytes())
    return path


# --- help -----------------------------------------------------------------------------------------------------------


def test_the_help_names_every_command_and_where_to_begin() -> None:
    told = run("--help").stdout
    assert "ats-router demo" in told
    for command in COMMANDS:
        assert re.search(rf"^│ {command.split()[0]} ", told, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_each_of_its_options(command: str) -> None:
    result = run(*command.split(), "--help", COLUMNS="80")
    assert result.exit_code == 0
    assert "Usage: ats-router" in result.stdout.replace("root", "ats-router")
    for line in re.findall(r"^│ +(?:\*|--)\S* .*│$", result.stdout, re.MULTILINE):
        assert re.search(r"[a-z]{2,}.*│$", line)
    paragraphs = result.stdout.split("╭")[0].split("\n\n")[1:]
    for paragraph in paragraphs:  # no line ends early, as line ends of our source would make it
        lines = [line.strip() for line in paragraph.strip().splitlines()]
        for line, following in pairwise(lines):
            assert len(line) + len(following.split(" ")[0]) > 70, result.stdout


def test_without_a_command_it_says_what_it_can_do() -> None:
    assert "Commands" in run().output


def test_it_tells_its_version() -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_the_schema_is_that_of_events() -> None:
    schema = json.loads(run("schema", "event").stdout)
    assert schema == Event.model_json_schema(mode="serialization")
    assert {"id", "type", "application", "candidate"} <= set(schema["properties"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    for words in (["schema", "event"], ["inspect", "--batch"]):
        command = " ".join([*COMMAND, *words])
        lines = "yes '{}' | head -n 20000 |" if "--batch" in words else ""
        ended = subprocess.run(
            f"{lines} {command} | head -n 1", shell=True, capture_output=True, check=False, timeout=30
        )
        assert ended.stdout.count(b"\n") == 1
        assert ended.stderr == b""


# --- a configuration that is missing or wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("words", NEEDS_CONFIG)
def test_a_missing_configuration_is_told_by_its_name(here: Path, words: list[str]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "config.yaml: can't read the configuration: no such file or directory\n"


@pytest.mark.parametrize("words", NEEDS_CONFIG)
def test_a_wrong_configuration_is_reported_with_its_line(here: Path, words: list[str]) -> None:
    written = EXAMPLE.read_text().replace("vendor: greenhouse ", "vendor: grenhouse ")
    (here / "other.yaml").write_text(written)
    result = run(*words, ATS_ROUTER_CONFIG="other.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.match(r"other\.yaml:\d+", result.stderr)
    assert "greenhouse" in result.stderr


def test_a_good_configuration_is_called_good(config: Path) -> None:
    assert run("check").stdout == "config.yaml is good: 1 source, 3 sinks, 3 routes.\n"
    assert run("check", config).exit_code == 0


def test_a_secret_never_shows_in_a_report(config: Path) -> None:
    config.write_text(config.read_text().replace("max_body: 1MiB", "max_body: much"))
    result = run("check")
    assert result.exit_code == 2
    assert SECRET not in result.output


# --- nothing runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["serve"], ["work"], ["show", "evt_00" + "0" * 24]])
def test_without_a_server_one_is_told_to_start_it(config: Path, words: list[str]) -> None:
    assert only_sentence(run(*words), 1).endswith("start `ats-router up` first")


def test_without_a_router_a_sample_can_not_be_sent(config: Path) -> None:
    port = free_port()
    config.write_text(config.read_text().replace("port: 8080", f"port: {port}"))
    sentence = f"nothing answers at http://127.0.0.1:{port} (refused): is `ats-router up` running there?"
    assert only_sentence(run("send", "greenhouse"), 1) == f"ats-router: {sentence}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nobody"], "there is no source 'nobody' in config.yaml; known are: greenhouse"),
        (["greenhouse", "--url", "localhost:8080"], "--url: a URL is https:// (or http://), a host"),
        (["greenhouse", "--url", "ftp://example.org"], "--url: a URL is https:// (or http://), a host"),
        (["greenhouse", "--url", "http://a:99999"], "--url: a URL is https:// (or http://), a host"),
    ],
)
def test_a_sample_needs_a_source_and_an_address(config: Path, words: list[str], sentence: str) -> None:
    assert sentence in only_sentence(run("send", *words), 2)


def test_an_address_of_ip_version_6_is_written_as_urls_have_it(config: Path) -> None:
    config.write_text(config.read_text().replace("host: 127.0.0.1 ", 'host: "::1" ').replace("8080", str(free_port())))
    assert "nothing answers at http://[::1]:" in only_sentence(run("send", "greenhouse"), 1)


class Stranger(BaseHTTPRequestHandler):
    """Some other web server: answers with the status that the path begins with, and counts."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append((self.path, body))
        self.send_response_only(int(self.path[1:4]))
        self.send_header("content-length", "7")
        self.end_headers()
        self.wfile.write(b"<html/>")


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "is no router: it kept nothing"),
        (404, "the router answered 404: Not Found"),
        (530, "the router answered 530: it did not say why"),
    ],
)
def test_what_is_no_router_is_not_taken_for_one(config: Path, stranger: str, status: int, words: str) -> None:
    assert words in only_sentence(run("send", "greenhouse", "--url", f"{stranger}/{status}"), 1)


def test_a_port_in_use_is_told_before_anything_starts(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_PATIENCE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("up", "--port", str(port))
    assert only_sentence(result, 1).startswith(
        f"ats-router: can't listen on 127.0.0.1 port {port} (address already in use)"
    )
    assert not (config.parent / "data").exists()


def test_a_redis_server_that_is_away_is_told(config: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    config.write_text(config.read_text().replace("# url: ${REDIS_URL}  ", "url: ${REDIS_URL}  "))
    sentence = only_sentence(run("show", "evt_00" + "0" * 24, REDIS_URL=url), 1)
    assert f"the Redis server does not answer (ConnectionError: Connect call failed ('127.0.0.1', {port}))" in sentence


# --- a router that runs ---------------------------------------------------------------------------------------------

CONFIG = """
server: {port: %d}
sources:
  greenhouse: {vendor: greenhouse, secret: "${GREENHOUSE_SECRET}"}
  switched-off: {vendor: greenhouse, secret: "${GREENHOUSE_SECRET}", enabled: false}
sinks:
  good: {type: http, url: "${STRANGER}/200"}
  busy: {type: http, url: "${STRANGER}/503", retry: {tries: 12, first: 1h, longest: 1h}}
  refusing: {type: http, url: "${STRANGER}/400"}
routes:
  - {name: applied, when: {event: ApplicationCreated}, send_to: good}
  - {name: moved, when: {event: StageChanged}, send_to: [busy, good]}
  - {name: declined, when: {application.outcome: DECLINED}, send_to: refusing}
"""


class Up:
    """`ats-router up` as a process."""

    def __init__(self, folder: Path, stranger: str) -> None:
        self.config = folder / "config.yaml"
        self.log = folder / "log"
        self.port = free_port()
        self.environment = {**ENVIRONMENT, "STRANGER": stranger}
        self.config.write_text(CONFIG % self.port)
        (folder / "handlers.py").write_text("raise SystemExit('the wrong module')")
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "router.cli", "up"],
                env={**os.environ, **self.environment},
                cwd=self.config.parent,
                stderr=log,
                stdout=log,
            )

    def run(self, *words: str) -> Result:
        return run(*words, "--config", str(self.config), **self.environment)

    def send(self, *words: str) -> str:
        """Send a sample; the id of its event."""
        result = self.run("send", "greenhouse", *words)
        assert result.exit_code == 0, result.output
        first, second = result.stdout.splitlines()
        assert first.startswith("The router answered 200: events, kept as rcp_")
        match = re.fullmatch(rf"See what came of it: ats-router show (evt_\w+) --config {self.config}", second)
        assert match, second
        return match[1]

    def story(self, event: str) -> Story:
        return Story.model_validate_json(self.run("show", event, "--json").stdout)

    def states(self, event: str) -> dict[str, str]:
        return {delivery.record.sink: delivery.record.state.value for delivery in self.story(event).deliveries}


@pytest.fixture(scope="module")
def up(stranger: str) -> Iterator[Up]:
    with tempfile.TemporaryDirectory(prefix="ats") as folder:
        up = Up(Path(folder), stranger)
        try:
            eventually(lambda: '"working"' in up.log.read_text() and '"receiving"' in up.log.read_text())
            eventually(lambda: can_connect(up.port))
            yield up
        finally:
            up.process.terminate()
            up.process.wait(30)


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_sample_is_only_recorded_unless_it_is_to_be_delivered(up: Up) -> None:
    before = len(Stranger.seen)
    event = up.send()
    story = up.story(event)
    assert (story.event.type, story.event.test, list(story.routes)) == ("ApplicationCreated", True, ["applied"])
    assert up.states(event) == {"good": "skipped"}
    assert len(Stranger.seen) == before
    delivered = up.send("--deliver")
    eventually(lambda: up.states(delivered) == {"good": "delivered"})
    assert [json.loads(body)["id"] for _, body in Stranger.seen[before:]] == [delivered]
    assert json.loads(Stranger.seen[-1][1])["test"] is True


def test_a_delivery_that_is_tried_again_is_shown_with_its_next_attempt(up: Up) -> None:
    event = up.send("--story", "moved", "--deliver")
    eventually(
        lambda: up.states(event)["good"] == "delivered" and any(d.record.attempts for d in up.story(event).deliveries)
    )
    eventually(lambda: all(delivery.record.attempts for delivery in up.story(event).deliveries))
    told = up.run("show", event).stdout
    assert re.search(r"^busy  pending, next attempt \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  dlv_", told, re.MULTILINE)
    assert re.search(r"^good  delivered  dlv_", told, re.MULTILINE)
    assert "<html/>" in told
    assert "not declined: application.outcome is" in told


def test_a_dead_delivery_is_shown_with_why(up: Up) -> None:
    event = up.send("--story", "declined", "--deliver")
    eventually(lambda: up.states(event) == {"refusing": "dead"})
    [delivery] = up.story(event).deliveries
    for identifier in (event, delivery.id):
        told = up.run("show", identifier).stdout
        assert re.search(r"^refusing  dead \(.*the same request would fail again\)  dlv_", told, re.MULTILINE), told


def test_an_event_without_a_route_says_so(up: Up) -> None:
    assert "none matched" in up.run("show", up.send("--story", "hired")).stdout


@pytest.mark.parametrize(
    ("identifier", "exit_code", "words"),
    [
        ("nonsense", 2, "'nonsense' is no id of an event: they begin with evt_"),
        ("evt_1", 2, "'evt_1' is no id of an event"),
        ("rcp_00" + "0" * 24, 2, "is no id of an event"),
        ("evt_00" + "0" * 24, 1, "the id is wrong, or it is older than 30 days"),
        ("dlv_00" + "0" * 24 + "_12345678", 1, "the id is wrong, or it is older than 30 days"),
    ],
)
def test_a_wrong_id_is_told(up: Up, identifier: str, exit_code: int, words: str) -> None:
    assert words in only_sentence(up.run("show", identifier), exit_code)


def test_a_sample_to_a_source_that_is_switched_off_is_refused(up: Up) -> None:
    sentence = only_sentence(up.run("send", "switched-off"), 1)
    assert sentence == "ats-router: the router answered 503: This source is switched off for now; send again later."


def test_a_sample_with_another_secret_is_refused(up: Up) -> None:
    result = run("send", "greenhouse", "--config", up.config, **{**up.environment, "GREENHOUSE_SECRET": "another"})
    assert "the router answered 401: Refused: the signature is not of this body and secret." in only_sentence(result, 1)


def test_the_ledger_is_found_where_up_was_told_to_keep_it(up: Up, tmp_path: Path) -> None:
    other = tmp_path / "config.yaml"
    other.write_text(up.config.read_text())
    assert "start `ats-router up` first" in run("send", "greenhouse", "-c", other, **up.environment).stderr
    data_dir = up.config.parent / "data"
    result = run("send", "greenhouse", "-c", other, "--data-dir", data_dir, **up.environment)
    assert result.exit_code == 0
    command = re.search(r"ats-router (show .*)$", result.stdout)
    assert command
    assert run(*command[1].split(), **up.environment).exit_code == 0


def test_a_second_up_on_the_same_data_is_refused(up: Up) -> None:
    result = up.run("up", "--port", str(free_port()))
    assert f"already runs on {up.config.parent / 'data'} (pid {up.process.pid})" in only_sentence(result, 1)


def test_a_second_receiver_needs_a_port_of_its_own(up: Up) -> None:
    command = [*COMMAND, "serve", "--config", str(up.config)]
    ended = subprocess.run(
        command, env={**os.environ, **up.environment}, capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr
    for line in ended.stderr.splitlines():
        json.loads(line)


def test_all_that_up_prints_is_json_and_tells_no_rest_of_a_path(up: Up) -> None:
    body = b'{"action": "something_new", "payload": {"name": "Ada Lovelace"}}'
    headers = "".join(f"{name}: {value}\r\n" for name, value in signed(body).items())
    with socket.create_connection(("127.0.0.1", up.port), timeout=5) as connection:
        head = (
            f"POST /webhooks/greenhouse/rest-secret?query-secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}"
        )
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert received(connection).startswith(b"HTTP/1.1 200")
    eventually(lambda: '"something_new"' in up.log.read_text())
    log = up.log.read_text()
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.splitlines()]
    assert {"webhook", "receiving", "working", "attempt"} <= {line["message"] for line in lines}
    for secret in ("rest-secret", "query-secret", "Lovelace", "Test Candidate", SECRET):
        assert secret not in log


def test_ctrl_c_ends_it_in_order_and_without_a_traceback(up: Up) -> None:
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0
    for line in up.log.read_text().splitlines():
        assert "exc_info" not in json.loads(line), line
    assert not can_connect(up.port)
