"""The receiver over real HTTP, with a real server behind it: as a vendor, a prober and an attacker meet it."""

import io
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis

from handlers.base import Disposition
from router import protocol
from router import receiver as receiver_module
from router.assess import TEST_HEADER
from tests.router.receiving import (
    MAX_BODY,
    OLD_SECRET,
    SECRET,
    Reply,
    Running,
    greenhouse,
    marked,
    received,
    running,
    signed,
)
from tests.router.test_embedded import eventually
from tests.valkey import Valkey

FIXTURES = Path(__file__).parents[1] / "fixtures" / "greenhouse"
BODIES = {
    path.name.removesuffix(".headers.json"): path.with_name(path.name.replace(".headers", "")).read_bytes()
    for path in sorted(FIXTURES.glob("*.headers.json"))
}
MOVED = BODIES["stage_changed"]
PING = BODIES["ping"]
PATH = "/webhooks/greenhouse"
HOST = b"Host: router.example\r\n"
A_DISK_IS_FULL = shutil._ntuple_diskusage(10**9, 10**9, 0)


def check_problem(reply: Reply, status: int) -> str:
    """It is a problem document (RFC 9457) that says only what it may; gives its sentence."""
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.json) == {"type", "title", "status", "detail"}
    assert reply.json["type"] == "about:blank"
    assert reply.json["status"] == status
    assert "Traceback" not in reply.body.decode()
    return str(reply.json["detail"])


def check_come_again(reply: Reply) -> None:
    check_problem(reply, 503)
    assert int(reply.headers["retry-after"]) > 0


def head(body: bytes, headers: Mapping[str, str], path: str = PATH, length: int | None = None) -> bytes:
    """A request up to its body."""
    lines = [f"POST {path} HTTP/1.1", "Host: router.example", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def lines_of(logged: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in logged.getvalue().splitlines()]


def requests_in(logged: io.StringIO) -> list[dict[str, object]]:
    return [line for line in lines_of(logged) if line["message"] == "webhook"]


# --- what a vendor sends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "disposition"),
    [
        (MOVED, Disposition.EVENTS),
        (BODIES["interview_deleted"], Disposition.IGNORED),
        (BODIES["unknown_event"], Disposition.IGNORED),
        (b'{"action": "candidate_stage_change", "payload": {}}', Disposition.DRIFT),
        (b"not JSON", Disposition.DRIFT),
        (b'"\xff\xfe"', Disposition.DRIFT),
        (b"[" * 50_000, Disposition.DRIFT),
        (b"", Disposition.DRIFT),
    ],
)
def test_what_is_genuine_is_kept_byte_for_byte_and_answered_with_success(
    receiver: Running, body: bytes, disposition: Disposition
) -> None:
    reply = receiver.post(body)
    assert reply.status == 200
    assert reply.json["disposition"] == disposition
    assert reply.json["duplicate"] is False
    kept = receiver.receipt(reply.json["receipt"])
    assert kept is not None
    assert kept.body == body
    assert kept.record.disposition is disposition
    assert kept.waiting == (1 if disposition is Disposition.EVENTS else 0)
    assert kept.record.test is False


def test_spelling_and_order_of_a_body_are_kept(receiver: Running) -> None:
    body = b'{ "payload":{"b":1.0e0, "a":"\\u00e9","a":2},\r\n\t"action":"something_new" }\n\n'
    kept = receiver.receipt(receiver.post(body).json["receipt"])
    assert kept is not None
    assert kept.body == body


def test_only_headers_without_secrets_are_kept(receiver: Running) -> None:
    headers = {**signed(MOVED), "authorization": "Bearer abc", "cookie": "a=b"}
    kept = receiver.receipt(receiver.post(MOVED, headers).json["receipt"])
    assert kept is not None
    assert [name for name, _ in kept.record.headers] == ["greenhouse-event-id"]


def test_the_same_webhook_again_is_answered_with_success_and_appended_once(receiver: Running) -> None:
    first = receiver.post(MOVED)
    again = receiver.post(MOVED, {**signed(MOVED), "greenhouse-event-id": "another"})
    assert again.status == 200
    assert again.json == {**first.json, "duplicate": True}
    assert receiver.call(receiver.ledger.backlog("intake")).subjects == 1
    kept = receiver.receipt(first.json["receipt"])
    assert kept is not None
    assert kept.waiting == 1


def test_of_many_equal_webhooks_at_once_one_is_new(receiver: Running) -> None:
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(receiver.post(MOVED))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.status for reply in replies] == [200] * 8
    assert sorted(reply.json["duplicate"] for reply in replies) == [False] + [True] * 7


def test_a_ping_is_answered_and_not_kept(receiver: Running) -> None:
    reply = receiver.post(PING)
    assert (reply.status, reply.json) == (200, {"disposition": "ping"})
    assert receiver.call(receiver.ledger.counts()) == {}


def test_both_secrets_are_valid_during_a_rotation(receiver: Running) -> None:
    assert receiver.post(MOVED, signed(MOVED, greenhouse(OLD_SECRET))).status == 200
    assert receiver.post(MOVED, signed(MOVED, greenhouse(SECRET))).status == 200
    assert receiver.post(MOVED, signed(MOVED, greenhouse("neither"))).status == 401


def test_what_follows_the_source_in_the_path_is_accepted_and_left_out_of_everything(
    receiver: Running, logged: io.StringIO, url: str
) -> None:
    for path in ("/rest-secret", "/rest-secret/and%20more", "/", "?token=rest-secret", "/a%2Frest-secret?b=%00"):
        assert receiver.post(MOVED, path=f"{PATH}{path}").status == 200
    assert receiver.post(MOVED, {}, path=f"{PATH}/rest-secret").status == 401
    assert receiver.ask("GET", f"{PATH}/rest-secret").status == 405
    assert "rest-secret" not in logged.getvalue()
    with BlockingRedis.from_url(url) as redis:
        assert not any(b"rest-secret" in redis.dump(key) for key in redis.scan_iter())


# --- who is not the vendor ------------------------------------------------------------------------------------------

RIGHT = signed(MOVED)["signature"]


@pytest.mark.parametrize(
    "signature",
    [
        [],
        [""],
        ["sha256 "],
        ["sha256 " + "0" * 64],
        [RIGHT.removeprefix("sha256 ")],
        [RIGHT.upper()],
        [RIGHT[:-1]],
        [RIGHT + "0"],
        [RIGHT + ", " + RIGHT],
        [RIGHT.replace("sha256 ", "sha1 ")],
        ["sha256 " + "é" * 64],
        ["sha256 " + "\xb2" * 64],
        ["\x80\xff"],
        ["x" * 30_000],
        [RIGHT, RIGHT],
        [RIGHT, "sha256 " + "0" * 64],
        [signed(MOVED + b" ")["signature"]],
        [signed(b"")["signature"]],
        [signed(MOVED, greenhouse("guessed"))["signature"]],
    ],
)
def test_a_signature_that_is_not_exactly_right_is_refused(
    receiver: Running, logged: io.StringIO, signature: list[str]
) -> None:
    lines = [f"Signature: {value}\r\n".encode("latin-1") for value in signature]
    answer = receiver.raw(
        b"POST /webhooks/greenhouse HTTP/1.1\r\nConnection: close\r\n",
        HOST,
        *lines,
        b"Content-Length: %d\r\n\r\n" % len(MOVED),
        MOVED,
    )
    assert status_of(answer) == 401
    assert b"application/problem+json" in answer
    assert receiver.call(receiver.ledger.counts()) == {}
    [line] = requests_in(logged)
    assert line["verdict"] == "rejected"
    assert not any(len(value) > 10 and value in logged.getvalue() for value in signature)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (marked(MOVED), 200),
        (marked(MOVED, deliver=True), 200),
        (marked(MOVED, secret=OLD_SECRET), 200),
        (marked(MOVED, secret="guessed"), 401),
        ({**signed(MOVED), TEST_HEADER: marked(PING)[TEST_HEADER]}, 401),
        ({**signed(MOVED), TEST_HEADER: marked(MOVED)[TEST_HEADER].replace("record", "deliver")}, 401),
        ({**signed(MOVED), TEST_HEADER: ""}, 401),
        ({**signed(MOVED), TEST_HEADER: "record"}, 401),
        ({**signed(MOVED), TEST_HEADER: "deliver é\xff"}, 401),
        ({**signed(MOVED), TEST_HEADER: marked(MOVED)[TEST_HEADER], TEST_HEADER.upper(): "record"}, 401),
        ({TEST_HEADER: marked(MOVED)[TEST_HEADER]}, 401),
    ],
)
def test_a_mark_of_a_test_counts_only_when_it_is_made_with_the_secret_for_this_body(
    receiver: Running, headers: dict[str, str], status: int
) -> None:
    reply = receiver.post(MOVED, headers)
    if status != 200:
        check_problem(reply, status)
        assert receiver.call(receiver.ledger.counts()) == {}
        return
    kept = receiver.receipt(reply.json["receipt"])
    assert kept is not None
    assert kept.record.test is True


def test_a_forged_mark_on_a_ping_is_refused_as_well(receiver: Running) -> None:
    check_problem(receiver.post(PING, marked(PING, secret="guessed")), 401)


# --- what is not a webhook ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/webhooks/nobody", "/webhooks/", "/webhooks", "/", "/webhooks/Greenhouse", "/%00"])
def test_an_unknown_source_or_path_is_not_found(receiver: Running, path: str) -> None:
    check_problem(receiver.post(MOVED, path=path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", PATH, {"POST"}),
        ("PUT", PATH, {"POST"}),
        ("DELETE", f"{PATH}/more", {"POST"}),
        ("OPTIONS", PATH, {"POST"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_answered_with_those_that_are_allowed(
    receiver: Running, method: str, path: str, allowed: set[str]
) -> None:
    reply = receiver.ask(method, path)
    sentence = check_problem(reply, 405)
    assert set(reply.headers["allow"].split(", ")) == allowed
    assert all(name in sentence for name in allowed)


def test_head_is_answered_without_a_body(receiver: Running) -> None:
    assert (receiver.ask("HEAD", PATH).status, receiver.ask("HEAD", PATH).body) == (405, b"")
    assert (receiver.ask("HEAD", "/healthz").status, receiver.ask("HEAD", "/healthz").body) == (200, b"")


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /webhooks/greenhouse/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /webhooks/greenhouse HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhooks/greenhouse HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /webhooks/greenhouse HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /webhooks/greenhouse HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"POST /webhooks/greenhouse HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /webhooks/greenhouse HTTP/1.1\r\nA: b\x00c\r\n\r\n",
        b"CONNECT greenhouse:80 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_the_receiver_lives_on(
    receiver: Running, logged: io.StringIO, request_: bytes
) -> None:
    answer = receiver.raw(request_, seconds=2)
    assert status_of(answer) == 400
    assert b"Traceback" not in answer
    assert "exc_info" not in logged.getvalue()
    assert receiver.post(MOVED).status == 200


def test_nobody_gets_a_websocket(receiver: Running, logged: io.StringIO) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n"
    answer = receiver.raw(b"GET /webhooks/greenhouse/rest-secret HTTP/1.1\r\n", HOST, upgrade, b"\r\n", seconds=0.3)
    assert status_of(answer) == 405
    assert "rest-secret" not in logged.getvalue()


# --- size and speed -------------------------------------------------------------------------------------------------


def test_a_body_of_just_the_limit_is_taken(receiver: Running) -> None:
    assert receiver.post(b" " * MAX_BODY).json["disposition"] == "drift"
    check_problem(receiver.post(b" " * (MAX_BODY + 1)), 413)


def test_a_body_that_is_announced_as_too_large_is_refused_before_it_comes(receiver: Running) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        connection.sendall(head(b"", signed(b""), length=MAX_BODY + 1))
        assert status_of(connection.recv(65536)) == 413


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(receiver: Running, logged: io.StringIO) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        connection.sendall(b"POST /webhooks/greenhouse HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\n")
        connection.sendall(b"%x\r\n%s\r\n" % (MAX_BODY + 1, b" " * (MAX_BODY + 1)))
        assert status_of(connection.recv(65536)) == 413  # and there was no end of the body yet
    assert [line["verdict"] for line in requests_in(logged)] == ["too large"]


def test_a_chunked_body_of_the_vendor_is_taken(receiver: Running) -> None:
    reply = receiver.ask("POST", PATH, (MOVED[i : i + 100] for i in range(0, len(MOVED), 100)), signed(MOVED))
    kept = receiver.receipt(reply.json["receipt"])
    assert kept is not None
    assert kept.body == MOVED


def test_a_body_that_breaks_off_is_not_kept(receiver: Running, logged: io.StringIO) -> None:
    for part in (b"", MOVED[:100]):
        with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
            connection.sendall(head(MOVED, signed(part)) + part)
    eventually(lambda: len(requests_in(logged)) == 2)
    assert [line["verdict"] for line in requests_in(logged)] == ["hung up"] * 2
    assert "exc_info" not in logged.getvalue()
    assert receiver.call(receiver.ledger.counts()) == {}


def test_a_body_that_does_not_come_is_given_up(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "BODY_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        connection.sendall(head(MOVED, signed(MOVED)) + MOVED[:-1])
        assert status_of(connection.recv(65536)) == 408


@pytest.mark.parametrize("beginning", [b"", b"PO", b"POST /webhooks/greenhouse HTTP/1.1\r\nA: "])
def test_a_head_that_does_not_come_is_given_up(
    receiver: Running, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        connection.sendall(beginning)
        assert status_of(received(connection)) == 400


def test_a_second_head_that_does_not_come_is_given_up_as_well(
    receiver: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        connection.sendall(head(PING, signed(PING)) + PING)
        assert status_of(connection.recv(65536)) == 200
        connection.sendall(b"POST ")
        assert b" 400 Bad Request" in received(connection)


@pytest.mark.parametrize(
    "endless",
    [
        b"POST /" + b"a" * 200_000,
        b"POST / HTTP/1.1\r\nA: " + b"a" * 200_000,
        b"POST / HTTP/1.1\r\n" + b"A: b\r\n" * 40_000,
    ],
)
def test_a_head_without_end_fills_no_memory(receiver: Running, endless: bytes) -> None:
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection,
        suppress(ConnectionError),  # where it is closed while we are still sending
    ):
        connection.sendall(endless)
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer == b"" or status_of(answer) == 400
    assert receiver.post(MOVED).status == 200


def test_a_large_body_is_not_taken_for_a_large_head(receiver: Running, shared_url: str) -> None:
    body = b" " * (4 * protocol.LARGEST_HEAD)
    with running(shared_url, max_body=len(body)) as roomy:
        assert roomy.post(body).status == 200


def test_a_connection_goes_on_after_an_error(receiver: Running) -> None:
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (MAX_BODY + 1, b" " * (MAX_BODY + 1))
    too_large = b"POST /webhooks/greenhouse HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\n" + chunks
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as connection:
        for request, status in (
            (head(MOVED, {}) + MOVED, 401),
            (head(MOVED, {}, path="/webhooks/nobody") + MOVED, 404),
            (head(MOVED, {}, path="/webhooks/switched-off") + MOVED, 503),
            (too_large, 413),
            (head(MOVED, signed(MOVED)) + MOVED, 200),
        ):
            connection.sendall(request)
            answer = connection.recv(65536)
            assert status_of(answer) == status
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)


def test_pipelined_requests_are_answered_in_their_order(receiver: Running) -> None:
    forged = head(MOVED, {}) + MOVED
    last = head(PING, {**signed(PING), "connection": "close"}) + PING
    answers = receiver.raw(head(MOVED, signed(MOVED)) + MOVED + forged + last)
    assert [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]] == [200, 401, 200]


# --- when the router can't keep it ----------------------------------------------------------------------------------


@pytest.fixture
def lonely(own_server: Valkey) -> Iterator[Running]:
    """A receiver whose server a test may stop."""
    with running(own_server.url) as receiver:
        yield receiver


def test_a_source_that_is_switched_off_asks_to_come_again(receiver: Running) -> None:
    check_come_again(receiver.post(MOVED, path="/webhooks/switched-off"))
    assert receiver.call(receiver.ledger.counts()) == {}


def test_without_a_server_the_vendor_is_asked_to_come_again(lonely: Running, own_server: Valkey) -> None:
    assert lonely.post(MOVED).json["duplicate"] is False
    own_server.stop()
    check_come_again(lonely.post(MOVED))
    check_problem(lonely.post(MOVED, {}), 401)
    assert lonely.post(PING).status == 200
    lonely.look()
    assert lonely.ask("GET", "/readyz").status == 503
    assert set(lonely.ask("GET", "/readyz").json["problems"]) == {"server"}
    check_come_again(lonely.post(MOVED))
    own_server.start()
    assert lonely.post(MOVED).json["duplicate"] is False  # the server of this test forgets
    lonely.look()
    assert lonely.ask("GET", "/readyz").json == {"ready": True, "problems": {}}


def test_with_its_memory_nearly_full_nothing_new_is_taken(receiver: Running, url: str) -> None:
    with BlockingRedis.from_url(url) as redis:
        redis.config_set("maxmemory", int(int(redis.info("memory")["used_memory"]) * 1.1))
        receiver.look()
        check_come_again(receiver.post(MOVED))
        assert receiver.post(PING).status == 200
        ready = receiver.ask("GET", "/readyz")
        assert (ready.status, set(ready.json["problems"])) == (503, {"memory"})
        redis.config_set("maxmemory", 0)
    receiver.look()
    assert receiver.post(MOVED).status == 200


def test_a_server_that_refuses_for_want_of_memory_makes_the_vendor_come_again(receiver: Running, url: str) -> None:
    with BlockingRedis.from_url(url) as redis:
        redis.config_set("maxmemory", 1)
        check_come_again(receiver.post(MOVED))
        redis.config_set("maxmemory", 0)
    receiver.look()
    assert receiver.post(MOVED).json["duplicate"] is False


def test_with_its_disk_nearly_full_nothing_new_is_taken(
    shared_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(shared_url, data_dir=tmp_path) as receiver:
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: A_DISK_IS_FULL)
        receiver.look()
        check_come_again(receiver.post(MOVED))
        ready = receiver.ask("GET", "/readyz")
        assert (ready.status, set(ready.json["problems"])) == (503, {"disk"})


def test_a_fault_of_ours_makes_the_vendor_come_again_and_tells_nobody_what_was_in_it(
    receiver: Running, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("Ada Lovelace")

    monkeypatch.setattr(receiver_module, "new_receipt", fail)
    reply = receiver.post(MOVED)
    check_problem(reply, 500)
    assert int(reply.headers["retry-after"]) > 0
    assert "Lovelace" not in reply.body.decode() + logged.getvalue()
    assert [line["reason"] for line in requests_in(logged)] == ["ValueError"]
    assert "ValueError <- " in logged.getvalue()


# --- health ---------------------------------------------------------------------------------------------------------


def test_it_is_healthy_and_ready(receiver: Running) -> None:
    assert (receiver.ask("GET", "/healthz").status, receiver.ask("GET", "/healthz").body) == (200, b"ok\n")
    ready = receiver.ask("GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"ready": True, "problems": {}})


def test_it_is_healthy_but_not_ready_without_a_server(tmp_path: Path) -> None:
    with running(f"unix://{tmp_path}/nothing.sock") as receiver:
        receiver.look()
        assert receiver.ask("GET", "/healthz").status == 200
        assert receiver.ask("GET", "/readyz").status == 503
        assert receiver.post(PING).status == 200


def test_the_backlog_is_told_to_what_scales_workers(receiver: Running) -> None:
    receiver.post(MOVED)
    told = receiver.ask("GET", "/backlog")
    assert (told.status, set(told.json)) == (200, {"waiting", "oldest_due_s"})


def test_without_the_server_the_backlog_is_not_known(tmp_path: Path) -> None:
    with running(f"unix://{tmp_path}/nothing.sock") as receiver:
        assert receiver.ask("GET", "/backlog").status == 503


# --- logs -----------------------------------------------------------------------------------------------------------


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def test_each_request_is_logged_in_one_line_without_anything_that_was_in_it(
    receiver: Running, logged: io.StringIO
) -> None:
    for body in BODIES.values():
        headers = {**signed(body), "user-agent": "header-value-1", "x-forwarded-for": "header-value-2"}
        assert receiver.post(body, headers, path=f"{PATH}/rest-secret?query-secret").status == 200
    assert receiver.post(MOVED, {"signature": "header-value-3"}).status == 401
    log = logged.getvalue()
    texts = {text for body in BODIES.values() for text in texts_in(json.loads(body)) if len(text) > 3}
    personal = {text for text in texts if not re.fullmatch("[a-z_]+", text)}  # the others are the vendor's own words
    assert len(personal) > 100
    assert [text for text in personal if text in log] == []
    digests = [signed(body)["signature"][-64:] for body in BODIES.values()]
    ids = [signed(body)["greenhouse-event-id"] for body in BODIES.values()]
    for secret in (SECRET, OLD_SECRET, "header-value", "rest-secret", "query-secret", *digests, *ids):
        assert secret not in log
    assert len(requests_in(logged)) == len(BODIES) + 1
    known = {"source", "bytes", "verdict", "vendor_event", "receipt", "facts", "duplicate", "status", "ms", "reason"}
    for line in requests_in(logged):
        assert set(line) <= {"message", "level", "logger", "time", *known}
        assert {"source", "verdict", "status", "ms"} <= set(line)


def test_drift_is_logged_with_the_path_that_failed_and_only_once(receiver: Running, logged: io.StringIO) -> None:
    body = b'{"action": "hire_candidate", "payload": {"application": {"candidate": {"last_name": "Lovelace"}}}}'
    receiver.post(body)
    receiver.post(body)
    [line] = [line for line in lines_of(logged) if line["message"] == "drift"]
    assert (line["level"], line["reason"]) == ("WARNING", "payload.application.id: is missing")
    assert "Lovelace" not in logged.getvalue()


def test_an_unknown_source_is_logged_without_its_name(receiver: Running, logged: io.StringIO) -> None:
    receiver.post(MOVED, path="/webhooks/alice.example@example.org")
    [line] = requests_in(logged)
    assert (line["verdict"], line["status"]) == ("unknown source", 404)
    assert "alice" not in logged.getvalue()
