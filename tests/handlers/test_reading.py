"""Reading a vendor's JSON: what comes back, what is noted, and what is drift."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handlers.base import Drift
from handlers.reading import Node, is_not_asked_for


def node(value: object) -> Node:
    return Node.parse(json.dumps(value).encode())


UNREADABLE = {
    "empty": b"",
    "blank": b"  \n",
    "not json": b"action=ping",
    "cut short": b'{"a": [1, 2',
    "two values": b"{} {}",
    "not utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "nul bytes": b"\x00\x00",
    "control character": b'{"a": "\x01"}',
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "nan beside a surrogate": b'{"a": NaN, "b": "\\ud800"}',
    "5000 digits": b'{"a": %s}' % (b"1" * 5000),
    "300 deep": b'{"a": %s}' % (b"[" * 300 + b"]" * 300),
    "300 deep beside a surrogate": b'{"b": "\\ud800", "a": %s}' % (b"[" * 300 + b"]" * 300),
    "100,000 deep": b"[" * 100_000,
    "100,000 objects deep": b'{"a":' * 100_000,
    "a list": b"[{}]",
    "a text": b'"{}"',
    "a number": b"7",
    "null": b"null",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_is_no_object_in_json_is_drift(body: bytes) -> None:
    with pytest.raises(Drift) as drift:
        Node.parse(body)
    assert drift.value.path == "body"


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"\xff", "is not UTF-8"), (b"{", "is not JSON, or nested too deeply"), (b"[]", "not an object")],
)
def test_drift_of_a_body_says_what_is_wrong(body: bytes, problem: str) -> None:
    with pytest.raises(Drift, match=problem):
        Node.parse(body)


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    body = Node.parse(rb'{"half": "a\ud800b", "pair": "\ud83d\ude00", "\udfff": 1, "escaped": "\\ud800"}')
    assert body.text("half") == "a\ufffdb"
    assert body.text("pair") == "😀"
    assert body.integer("\ufffd") == 1
    assert body.text("escaped") == r"\ud800"


def test_a_byte_order_mark_is_allowed() -> None:
    assert Node.parse(b'\xef\xbb\xbf{"a": 1}').integer("a") == 1


@pytest.mark.parametrize("number", ["1e999", "-1e999", "[1e999]", '{"x": [1, {"y": 1e999}]}'])
def test_a_number_that_is_not_finite_never_comes_back(number: str) -> None:
    body = Node.parse(f'{{"a": {number}}}'.encode())
    assert body.json("a") is None
    assert list(body.soft_drift) == ["a"]
    assert Node.parse(f'{{"a": {number}}}'.encode()).id("a") is None


def test_a_value_that_is_too_deep_for_readers_downstream_is_odd() -> None:
    deep = node({"a": json.loads("[" * 100 + "]" * 100), "b": json.loads("[" * 20 + "]" * 20)})
    assert deep.json("a") is None
    assert deep.json("b") is not None
    assert list(deep.soft_drift) == ["a"]


TAKERS: dict[str, Callable[[Node, str], Any]] = {
    "text": Node.text,
    "id": Node.id,
    "flag": Node.flag,
    "integer": Node.integer,
    "time": Node.time,
    "date": Node.date,
    "date_or_time": Node.date_or_time,
    "choice": lambda place, key: place.choice(key, {"one": 1}),
    "node": lambda place, key: place.node(key)._data,
    "named": lambda place, key: place.named(key) or None,
    "nodes": lambda place, key: place.nodes(key) or None,
    "texts": lambda place, key: place.texts(key) or None,
    "texts_of": lambda place, key: place.texts_of(key, "value") or None,
}
ODD: list[tuple[str, list[Any]]] = [
    ("text", [1, 1.5, True, [], {}, ["a"]]),
    ("id", [True, False, 1.0, 1.5, [], {}]),
    ("flag", [0, 1, "true", [], {}]),
    ("integer", ["1", 1.0, True, [], {}]),
    ("time", [0, 1717245000, True, [], {}, "soon", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00"]),
    ("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "T", "2026-01-01T00:00:00+99:00"]),
    ("date", [20260101, True, [], {}, "05/01/2026", "2026-02-30", "today"]),
    ("date_or_time", [1, [], {}, "today", "2026-01-01T00:00:00", "2026-02-30"]),
    ("choice", ["One", 1, True, [], {}]),
    ("node", [1, "a", True, [], ["a"]]),
    ("named", [1, "a", True, ["a"]]),
    ("nodes", [1, "a", True, {}]),
    ("texts", [1, "a", True, {}]),
    ("texts_of", [1, "a", True, {}]),
]


@pytest.mark.parametrize(("taker", "value"), [(taker, value) for taker, values in ODD for value in values])
def test_an_optional_field_of_another_type_is_null_and_noted(taker: str, value: Any) -> None:
    body = node({"deep": {"a": value}})
    assert TAKERS[taker](body.node("deep"), "a") is None
    assert list(body.soft_drift) == ["deep.a"]


@pytest.mark.parametrize("taker", TAKERS)
def test_null_and_blank_are_null_and_nothing_is_noted(taker: str) -> None:
    body = node({"null": None, "blank": ""})
    assert TAKERS[taker](body, "null") is None
    assert TAKERS[taker](body, "blank") is None
    assert list(body.soft_drift) == []


@pytest.mark.parametrize("taker", TAKERS)
def test_a_missing_key_is_noted_but_nothing_below_it(taker: str) -> None:
    body = node({"null": None})
    assert TAKERS[taker](body.node("null").node("deeper"), "a") is None
    assert list(body.soft_drift) == []
    assert TAKERS[taker](body, "a") is None
    assert TAKERS[taker](body.node("gone").node("deeper"), "a") is None
    assert list(body.soft_drift) == ["a", "gone"]


def test_a_key_that_is_sometimes_absent_is_not_noted_when_missing_but_when_odd() -> None:
    body = node({"odd": 1})
    assert body.text("a", sometimes=True) is None
    assert body.texts("a", sometimes=True) == []
    assert not body.node("a", sometimes=True)
    assert list(body.soft_drift) == []
    assert body.text("odd", sometimes=True) is None
    assert list(body.soft_drift) == ["odd"]


def test_values_come_back_as_they_are() -> None:
    body = node(
        {"text": " a ", "number": 12345678901234567890, "id": "x1", "yes": True, "no": False, "zero": 0, "any": [1]}
    )
    assert body.text("text") == " a "
    assert body.id("number") == "12345678901234567890"
    assert body.id("id") == "x1"
    assert body.flag("yes") is True
    assert body.flag("no") is False
    assert body.integer("zero") == 0
    assert body.id("zero") == "0"
    assert body.json("any") == [1]
    assert node({"blank": ""}).json("blank") == ""
    assert body.choice("id", {"x1": "known"}) == "known"
    assert list(body.soft_drift) == []


@pytest.mark.parametrize(
    ("written", "zone", "moment"),
    [
        ("2026-05-04T09:14:02Z", None, datetime(2026, 5, 4, 9, 14, 2, tzinfo=UTC)),
        ("2026-05-04T09:14:02.123456789+02:00", None, datetime(2026, 5, 4, 7, 14, 2, 123456, tzinfo=UTC)),
        ("2026-07-04 09:14:02", "Europe/Berlin", datetime(2026, 7, 4, 7, 14, 2, tzinfo=UTC)),
        ("2026-07-04T09:14:02Z", "Europe/Berlin", datetime(2026, 7, 4, 9, 14, 2, tzinfo=UTC)),
    ],
)
def test_a_time_is_in_utc(written: str, zone: str | None, moment: datetime) -> None:
    body = node({"at": written})
    read = body.time("at", zone=ZoneInfo(zone) if zone else None)
    assert read == moment
    assert read.tzinfo is UTC
    assert list(body.soft_drift) == []


@pytest.mark.parametrize("written", ["2026-05-04", "05/04/2026", "2026-05-04T23:30:00-05:00", "20260504"])
def test_a_date_is_the_day_that_is_written(written: str) -> None:
    assert node({"day": written}).date("day", "%m/%d/%Y") == "2026-05-04"


def test_a_date_or_time_says_no_more_than_the_vendor() -> None:
    body = node({"day": "2026-05-04", "time": "2026-05-04T01:00:00+02:00", "local": "2026-07-04T09:00:00"})
    assert body.date_or_time("day", zone=ZoneInfo("Europe/Berlin")) == "2026-05-04"
    assert body.date_or_time("time") == "2026-05-03T23:00:00Z"
    assert body.date_or_time("local", zone=ZoneInfo("Europe/Berlin")) == "2026-07-04T07:00:00Z"


def test_lists_are_read_without_what_is_odd_in_them() -> None:
    body = node(
        {
            "jobs": [{"name": "a"}, None, "x", {"name": 1}, {}],
            "tags": ["a", None, "", 1, "b"],
            "emails": [{"value": "a"}, {"value": None}, {"value": ""}, {"value": 1}, {}, None],
            "none": [],
        }
    )
    assert [job.text("name") for job in body.nodes("jobs")] == ["a", None, None]
    assert list(body.soft_drift) == ["jobs[]", "jobs[].name"]
    assert body.texts("tags") == ["a", "b"]
    assert body.texts_of("emails", "value") == ["a"]
    assert body.nodes("none") == []
    assert list(body.soft_drift) == ["jobs[]", "jobs[].name", "tags[]", "emails[].value"]


def test_named_objects_keep_their_names_out_of_the_paths() -> None:
    body = node({"fields": {"salary of Ada": {"value": 1}, "b": None, "c": 2, "d": {}}, "empty": []})
    fields = body.named("fields")
    assert {name: field.json("value") for name, field in fields.items()} == {"salary of Ada": 1, "d": None}
    assert body.named("empty") == {}
    assert list(body.soft_drift) == ["fields.*", "fields.*.value"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [({}, "is missing"), ({"a": None}, "is missing"), ({"a": ""}, "is missing"), ({"a": [7]}, "is not")],
)
def test_what_is_needed_is_drift_when_it_is_not_there(value: dict[str, Any], problem: str) -> None:
    takers: list[Callable[[Node, str], object]] = [Node.need_id, Node.need_text, Node.need_node]
    for taker in takers:
        with pytest.raises(Drift, match=rf"^deep\.a: {problem}") as drift:
            taker(node({"deep": value}).node("deep"), "a")
        assert drift.value.path == "deep.a"
        assert "7" not in str(drift.value)


def test_what_is_needed_comes_back() -> None:
    body = node({"id": 0, "text": "a", "node": {}})
    assert body.need_id("id") == "0"
    assert body.need_text("text") == "a"
    assert body.need_node("node")
    assert not body.node("gone")


@pytest.mark.parametrize(
    "name", ["date_of_birth", "Date of Birth", "ssn", "us_gender", "Race / Ethnicity", "veteran_status"]
)
def test_fields_that_no_one_asked_for_are_known_by_name(name: str) -> None:
    assert is_not_asked_for(name)


@pytest.mark.parametrize(
    "name", ["start_date", "trace_id", "Essex office", "session", "engender", "salary", "work_permit"]
)
def test_other_fields_are_not(name: str) -> None:
    assert not is_not_asked_for(name)
