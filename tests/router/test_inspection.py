"""`inspect`, offline: from Python, from the command line, and in batches of anything."""

import base64
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from router import inspection
from router.cli import app
from router.inspection import Misuse, headers_of, inspect_line, moment
from router.schema import Event
from tests.router.receiving import OLD_SECRET, SECRET, greenhouse, signed

FIXTURES = Path(__file__).parents[1] / "fixtures" / "greenhouse"
NAMES = sorted(path.name.removesuffix(".headers.json") for path in FIXTURES.glob("*.headers.json"))
FIXTURE_SECRETS = json.loads((FIXTURES / "settings.json").read_text())["secret"]
KEYS = {"vendor", "verified", "reason", "disposition", "vendor_event", "events", "soft_drift"}
BODY = (FIXTURES / "stage_changed.json").read_bytes()
SIGNED = signed(BODY)


def inspect(*options: str | Path) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, options)])


def answer_of(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout)
    assert set(answer) == KEYS
    return answer


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "headers").write_text(json.dumps(SIGNED))
    (tmp_path / "recorded").write_text(json.dumps({"secret": "not used", "headers": SIGNED, "note": "as recorded"}))
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "wrong").write_text("another secret")
    (tmp_path / "empty").write_text("")
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_every_fixture_is_genuine_and_becomes_events_of_the_common_schema(name: str, tmp_path: Path) -> None:
    options: list[str | Path] = ["--vendor", "greenhouse", "--body", FIXTURES / f"{name}.json", "--json"]
    for number, secret in enumerate(FIXTURE_SECRETS):
        (tmp_path / str(number)).write_text(secret)
        options += ["--secret", f"@{tmp_path / str(number)}"]
    result = inspect(*options, "--headers", FIXTURES / f"{name}.headers.json")
    answer = answer_of(result)
    assert (result.exit_code, answer["verified"], answer["vendor"]) == (0, True, "greenhouse")
    assert bool(answer["events"]) == (answer["disposition"] == "events")
    for event in answer["events"]:
        assert Event.model_validate(event).model_dump(mode="json") == event
        assert set(event) == set(Event.model_json_schema(mode="serialization")["properties"])


@pytest.mark.parametrize(
    ("secrets", "headers", "verified", "disposition", "exit_code"),
    [
        (["secret"], "headers", True, "events", 0),
        (["secret"], "recorded", True, "events", 0),
        (["wrong", "secret"], "headers", True, "events", 0),
        (["wrong"], "headers", False, "rejected", 1),
        (["secret"], None, False, "rejected", 1),
        ([], "headers", None, "events", 0),
        ([], None, None, "events", 0),
    ],
)
def test_it_says_whether_a_webhook_is_genuine(
    files: Path, secrets: list[str], headers: str | None, verified: bool | None, disposition: str, exit_code: int
) -> None:
    options: list[str | Path] = [f"--secret=@{files / secret}" for secret in secrets]
    options += ["--headers", files / headers] if headers else []
    result = inspect("--vendor", "greenhouse", "--body", files / "body", *options, "--json")
    answer = answer_of(result)
    assert (answer["verified"], answer["disposition"]) == (verified, disposition)
    assert result.exit_code == exit_code
    assert bool(answer["events"]) == (disposition == "events")
    assert SECRET not in result.output


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        ([], "not verified, no secret given"),
        (["secret"], "genuine"),
        (["wrong"], "rejected, not genuine: the signature"),
    ],
)
def test_it_says_so_in_words_too(files: Path, secrets: list[str], words: str) -> None:
    options = [f"--secret=@{files / secret}" for secret in secrets]
    result = inspect("--vendor", "greenhouse", "--body", files / "body", "--headers", files / "headers", *options)
    assert words in result.stdout.splitlines()[0]
    assert ('"type": "StageChanged"' in result.stdout) == (secrets != ["wrong"])


def test_a_secret_can_be_in_the_environment(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", SECRET)
    options = ("--body", files / "body", "--headers", files / "headers", "--secret", "MY_SECRET", "--json")
    assert answer_of(inspect("--vendor", "greenhouse", *options))["verified"] is True


def test_names_of_headers_are_read_in_any_case(files: Path) -> None:
    (files / "headers").write_text(json.dumps({"SIGNATURE": SIGNED["signature"], "Greenhouse-Event-ID": ["abc"]}))
    options = ("--body", files / "body", "--headers", files / "headers", f"--secret=@{files / 'secret'}", "--json")
    answer = answer_of(inspect("--vendor", "greenhouse", *options))
    assert answer["verified"] is True
    assert answer["events"][0]["vendor_event_id"] == "abc"


def test_the_time_of_receipt_can_be_given(files: Path) -> None:
    (files / "body").write_bytes((FIXTURES / "candidate_deleted.json").read_bytes())
    options = ("--vendor", "greenhouse", "--body", files / "body", "--json")
    [event] = answer_of(inspect(*options, "--now", "1700000000.5"))["events"]
    assert event["received_at"] == "2023-11-14T22:13:20.500000Z"
    assert (event["occurred_at"], event["occurred_at_is_estimate"]) == (event["received_at"], True)


def test_the_same_webhook_becomes_the_same_events_every_time(files: Path) -> None:
    options = ("--vendor", "greenhouse", "--body", files / "body", "--json")
    first, again = (answer_of(inspect(*options))["events"][0]["id"] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "give --body, and either --vendor or --source; or --batch"),
        (["--vendor", "greenhouse"], "give --body, and either --vendor or --source; or --batch"),
        (["--vendor", "grenhouse", "--body", "body"], "there is no vendor 'grenhouse'; did you mean \"greenhouse\"?"),
        (["--vendor", "greenhouse", "--body", "nothing"], "nothing can't be read (no such file or directory)"),
        (["--vendor", "greenhouse", "--body", "."], ". can't be read (is a directory)"),
        (["--vendor", "greenhouse", "--body", "body", "--headers", "body.nothing"], "body.nothing can't be read"),
        (["--vendor", "greenhouse", "--body", "body", "--headers", "secret"], "secret is not JSON"),
        (["--vendor", "greenhouse", "--body", "body", "--headers", "list"], "headers are a JSON object"),
        (["--vendor", "greenhouse", "--body", "body", "--headers", "odd"], "the value of the header 'a' is not a text"),
        (
            ["--vendor", "greenhouse", "--body", "body", "--secret", "UNSET_"],
            "environment variable UNSET_ is not set",
        ),
        (["--vendor", "greenhouse", "--body", "body", "--secret", "@nothing"], "nothing can't be read"),
        (
            ["--vendor", "greenhouse", "--body", "body", "--secret", "@empty"],
            "a secret is empty",
        ),
        (["--vendor", "greenhouse", "--body", "body", "--now", "1e300"], "now is a number of unix seconds"),
        (["--vendor", "greenhouse", "--body", "body", "--now", "nan"], "now is a number of unix seconds"),
    ],
)
def test_misuse_is_told_in_one_sentence(
    files: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    monkeypatch.chdir(files)
    (files / "list").write_text("[]")
    (files / "odd").write_text('{"a": {"b": "c"}}')
    result = inspect(*options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("ats-router: ")
    assert len(result.stderr.splitlines()) == 1
    assert sentence in result.stderr


# --- batches --------------------------------------------------------------------------------------------------------


def batch(*lines: bytes) -> list[dict[str, Any]]:
    """By the real command: one answer a line, whatever the lines are."""
    command = [sys.executable, "-m", "router.cli", "inspect", "--batch"]
    ended = subprocess.run(command, input=b"\n".join(lines), capture_output=True, check=True, timeout=30)
    assert ended.stderr == b""
    return [json.loads(line) for line in ended.stdout.split(b"\n")[:-1]]


def line_of(**fields: object) -> bytes:
    return json.dumps({"vendor": "greenhouse", **fields}).encode()


GOOD = {"body": BODY.decode(), "headers": SIGNED, "secrets": [SECRET]}
LINES: list[tuple[bytes, object]] = [
    (line_of(**GOOD), True),
    (line_of(**{**GOOD, "secrets": [SECRET, OLD_SECRET]}), True),
    (line_of(**{**GOOD, "secrets": [OLD_SECRET]}), False),
    (line_of(**{**GOOD, "headers": {}}), False),
    (line_of(**{**GOOD, "headers": None}), False),
    (line_of(**{**GOOD, "headers": {"Signature": [SIGNED["signature"]] * 2}}), False),
    (line_of(body="{}"), None),
    (line_of(body="", secrets=None, headers=None, now=None, body_base64=None), None),
    (line_of(body="\ud800"), None),
    (line_of(body_base64=base64.b64encode(BODY).decode(), headers=SIGNED, secrets=[SECRET]), True),
    (line_of(body_base64="", secrets=[]), None),
    (b"\xef\xbb\xbf" + line_of(body="{}"), None),
    (line_of(body="x" * 2_000_000), None),
    (line_of(body="[" * 100_000), None),
    (line_of(body="{}", something="else"), None),
    (b"", "this line is not JSON"),
    (b"   \t\r", "this line is not JSON"),
    (b"nonsense", "this line is not JSON"),
    (b'{"vendor": "greenhouse"', "this line is not JSON"),
    (b'{"vendor": "greenhouse", "body": "\xff\xfe"}', "this line is not JSON"),
    (b"\x00\x01\x02", "this line is not JSON"),
    (b"[" * 200_000, "this line is not JSON"),
    (b"1" * 10_000, "this line is not JSON"),
    (b"x" * 3_000_000, "this line is not JSON"),
    (b"null", "a line is a JSON object with at least a vendor"),
    (b"[]", "a line is a JSON object with at least a vendor"),
    (b'"text"', "a line is a JSON object with at least a vendor"),
    (b"{}", "a line is a JSON object with at least a vendor"),
    (line_of(vendor=None, body="{}"), "a line is a JSON object with at least a vendor"),
    (line_of(vendor=["greenhouse"], body="{}"), "a line is a JSON object with at least a vendor"),
    (line_of(vendor="nobody", body="{}"), "there is no vendor 'nobody'"),
    (line_of(), "a line has either body (a text) or body_base64 (a text)"),
    (line_of(body=None), "a line has either body (a text) or body_base64 (a text)"),
    (line_of(body={"action": "ping"}), "a line has either body (a text) or body_base64 (a text)"),
    (line_of(body="{}", body_base64="e30="), "a line has either body (a text) or body_base64 (a text)"),
    (line_of(body_base64="%%%"), "body_base64 is not base64"),
    (line_of(body_base64="é"), "body_base64 is not base64"),
    (line_of(body="{}", secrets="text"), "secrets is a list of texts"),
    (line_of(body="{}", secrets=""), "secrets is a list of texts"),
    (line_of(body="{}", secrets=0), "secrets is a list of texts"),
    (line_of(body="{}", secrets=[1]), "secrets is a list of texts"),
    (line_of(body="{}", secrets=[""]), "a secret is empty"),
    (line_of(body="{}", headers=[]), "headers are a JSON object"),
    (line_of(body="{}", headers="a: b"), "headers are a JSON object"),
    (line_of(body="{}", headers={"a": None}), "the value of the header 'a' is not a text"),
    (line_of(body="{}", headers={"a": True}), "the value of the header 'a' is not a text"),
    (line_of(body="{}", headers={"a": [["b"]]}), "the value of the header 'a' is not a text"),
    (line_of(body="{}", now="2026-01-01"), "now is a number of unix seconds"),
    (line_of(body="{}", now=True), "now is a number of unix seconds"),
    (line_of(body="{}", now=1e300), "now is a number of unix seconds"),
    (line_of(body="{}", now=10**400), "now is a number of unix seconds"),
    (b'{"vendor": "greenhouse", "body": "{}", "now": NaN}', "now is a number of unix seconds"),
    (line_of(**GOOD), True),
]


def test_a_batch_has_one_answer_a_line_in_order_whatever_the_lines_are() -> None:
    answers = batch(*(line for line, _ in LINES))
    assert len(answers) == len(LINES)
    for (line, expected), answer in zip(LINES, answers, strict=True):
        if isinstance(expected, str):
            assert set(answer) == {"error"}, line[:100]
            assert expected in answer["error"], line[:100]
        else:
            assert set(answer) == KEYS, (line[:100], answer)
            assert answer["verified"] is expected


def test_a_batch_of_nothing_has_no_answers() -> None:
    assert batch() == []


def test_answers_of_a_batch_come_while_more_lines_are_awaited() -> None:
    command = [sys.executable, "-m", "router.cli", "inspect", "--batch"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(3):
            process.stdin.write(line_of(**GOOD) + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["verified"] is True


def test_a_batch_is_quick() -> None:
    lines = [line_of(**GOOD)] * 300
    started = time.monotonic()
    assert all(answer["verified"] for answer in batch(*lines))
    assert time.monotonic() - started < 10


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=100)
    | st.fixed_dictionaries(
        {"vendor": st.sampled_from(["greenhouse", "nobody", None])},
        optional=dict.fromkeys(
            ("body", "body_base64", "headers", "secrets", "now"),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                max_leaves=5,
            ),
        ),
    ).map(lambda request: json.dumps(request).encode())
)
def test_any_line_has_an_answer(line: bytes) -> None:
    answer = inspect_line(line)
    assert set(answer) in ({"error"}, KEYS)
    json.dumps(answer, allow_nan=False)


def test_a_fault_of_ours_in_one_line_is_the_answer_to_that_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("Ada Lovelace")

    monkeypatch.setattr(inspection, "inspect_request", fail)
    assert inspect_line(line_of(**GOOD)) == {"error": "this line can't be inspected (KeyError)"}


def test_headers_come_as_texts_numbers_and_lists_of_them() -> None:
    assert headers_of({"A": "b", "c": [1, "d"], "e": 1.5}) == [("A", "b"), ("c", "1"), ("c", "d"), ("e", "1.5")]
    with pytest.raises(Misuse):
        headers_of("a: b")


def test_a_moment_is_in_utc() -> None:
    assert moment(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert abs((moment(None) - datetime.now(UTC)).total_seconds()) < 5


def test_a_body_signed_by_another_is_told_apart_from_one_that_nobody_checked() -> None:
    forged = {"vendor": "greenhouse", "body": BODY.decode(), "headers": signed(BODY, greenhouse("guessed"))}
    assert inspect_line(json.dumps({**forged, "secrets": [SECRET]}).encode())["verified"] is False
    assert inspect_line(json.dumps(forged).encode())["verified"] is None


def test_a_secret_that_is_no_text_verifies_nothing() -> None:
    line = line_of(body="{}", headers=signed(b"{}"), secrets=["\ud800"])
    assert inspect_line(line)["disposition"] == "rejected"
