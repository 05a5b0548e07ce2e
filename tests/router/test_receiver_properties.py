"""Whatever is signed is kept, whatever is not is refused, and nothing at all breaks the receiver."""

import http.client
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.base import Disposition, Receipt
from router import codec
from router.assess import assess
from router.inspection import Request, handler_for, inspect_request
from router.project import project
from router.receiver import new_receipt
from router.records import ApplicationState, WaitingFact
from router.schema import Event
from tests.router.receiving import MAX_BODY, SECRET, SOURCES, Running, signed

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "greenhouse").glob("*.headers.json"))
BODIES = [json.loads(path.with_name(path.name.replace(".headers", "")).read_bytes()) for path in FIXTURES]
ACTIONS = sorted({body["action"] for body in BODIES if body.get("action") not in (None, "ping")})
KEYS = sorted({key for body in BODIES for key in body.get("payload", {})} | {"id", "custom_fields", "name", "value"})

HUGE, INFINITE = "5000 digits", "1e999"
numbers = st.integers() | st.floats() | st.sampled_from([10**400, HUGE, INFINITE, 1e308, math.inf, math.nan, 2**64])
times = st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30", "now"])
texts = st.text(st.characters(), max_size=20) | st.sampled_from(["", "\x00", "\ud800", "\udfff\ud800", "a" * 3000])
scalars = st.none() | st.booleans() | numbers | texts | times
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=4),
    max_leaves=12,
)


def as_json(value: object) -> bytes:
    """Also what JSON has no words for (NaN), and what few readers take."""
    return json.dumps(value).replace(f'"{HUGE}"', "1" * 5000).replace(f'"{INFINITE}"', INFINITE).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A webhook in which up to three places hold something else."""
    body: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(BODIES))))
    for _ in range(draw(st.integers(1, 3))):
        at: Any = body
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], (dict, list)) and draw(st.integers(0, 4)):
                at = at[key]
                continue
            if isinstance(at, dict) and draw(st.booleans()) and key != "action":
                del at[key]
            elif key != "action":
                at[key] = draw(values)
            break
    return as_json(body)


actions = st.builds(
    lambda action, payload: as_json({"action": action, "payload": payload}), st.sampled_from(ACTIONS), values
)
deep = st.builds(
    lambda action, depth, unit: b'{"action": "%s", "payload": ' % action.encode() + unit * depth,
    st.sampled_from(ACTIONS),
    st.integers(1, 3000),
    st.sampled_from([b"[", b'{"application":', b'{"a":[']),
)
bodies = st.binary(max_size=300) | actions | damaged() | deep | values.map(as_json)


@pytest.fixture(scope="module", autouse=True)
def _ledger_is_open(shared_receiver: Running) -> None:
    shared_receiver.call(shared_receiver.ledger.open())


@settings(max_examples=150, deadline=None)
@given(body=bodies)
def test_anything_signed_is_kept_as_it_came(shared_receiver: Running, body: bytes) -> None:
    reply = shared_receiver.post(body)
    assert reply.status == 200, reply.body
    if reply.json["disposition"] == Disposition.PING:
        return
    kept = shared_receiver.receipt(reply.json["receipt"])
    assert kept is not None
    assert kept.body == body
    assert kept.record.disposition == reply.json["disposition"]


@settings(max_examples=250, deadline=None)
@given(body=actions | damaged() | deep)
def test_what_is_kept_of_it_can_be_read_again_and_routed(body: bytes) -> None:
    """A fact that intake could not read would hold back its application for ever."""
    receipt = Receipt(list(signed(body).items()), body, datetime.now(UTC))
    normalised = assess(SOURCES[0].handler, receipt)
    assert normalised.disposition is not Disposition.REJECTED
    assert "the handler failed" not in (normalised.reason or "")
    new = new_receipt(SOURCES[0], receipt, normalised, None)
    assert len(new.facts) == len(normalised.facts)
    for _, item in new.facts:
        waiting = WaitingFact.model_validate_json(codec.unpack(item))
        _, events = project(ApplicationState(), waiting)
        for event in events:
            written = event.model_dump_json()
            assert Event.model_validate_json(written) == event


@settings(max_examples=100, deadline=None)
@example(
    body=b'{"action": "offer_created", "payload": {"application_id": 1, "custom_fields": {"a": {"value": 1e999}}}}'
)
@given(body=bodies)
def test_inspect_tells_of_anything_signed_what_the_receiver_makes_of_it(body: bytes) -> None:
    answer = inspect_request(
        handler_for("greenhouse", [SECRET]), Request(body, list(signed(body).items())), verify=True
    )
    assert answer["verified"] is True
    for event in json.loads(json.dumps(answer, allow_nan=False))["events"]:
        Event.model_validate(event)


TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
FRAMING = {"content-length", "transfer-encoding", "connection", "upgrade", "expect", "host"}
names = (
    st.sampled_from(["signature", "Signature", "greenhouse-event-id", "ats-router-test", "content-type"])
    | st.text(TOKEN, min_size=1, max_size=20)
).filter(lambda name: name.lower() not in FRAMING)
header_values = st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n")) | st.sampled_from(
    [signed(b"")["signature"].encode(), b"sha256 " + b"0" * 64, b"sha256 " + b"a" * 63, b"deliver " + b"0" * 64]
)


@settings(max_examples=150, deadline=None)
@given(
    body=bodies.filter(lambda body: body != b"") | st.just(b" " * (MAX_BODY + 1)),
    headers=st.lists(st.tuples(names, header_values), max_size=5),
)
def test_nothing_without_a_signature_comes_in(
    shared_receiver: Running, body: bytes, headers: list[tuple[str, bytes]]
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared_receiver.port, timeout=20)
    connection.putrequest("POST", "/webhooks/greenhouse")
    for name, value in headers:
        connection.putheader(name, value)
    connection.putheader("content-length", len(body))
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status in (400, 401, 413)
