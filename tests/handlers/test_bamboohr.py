"""What is particular to BambooHR: what its webhooks are signed with, and how a status becomes an outcome."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised, Receipt, Rejected, Sample
from handlers.polled import ReadsRows
from router.project import project
from router.records import ApplicationState, WaitingFact
from router.schema import EventType, Fact, Person, StageKind
from tests.handlers.vendors import NOW, arrived, fixtures_of, handler_of, receipt

BAMBOOHR = handler_of("bamboohr", secret=["key"])
assert isinstance(BAMBOOHR, ReadsRows)


def detail(name: str = "polled_detail_stage_changed", **status: object) -> dict[str, Any]:
    """A single application of the fixtures, its status changed."""
    body: dict[str, Any] = json.loads(fixtures_of("bamboohr")[name].body)
    body["status"].update(status)
    return body


def told(body: object, **settings: object) -> Normalised:
    handler = handler_of("bamboohr", **settings)
    assert isinstance(handler, ReadsRows)
    return handler.normalise_rows(json.dumps(body).encode())


def snapshot(body: object, **settings: object) -> Fact:
    return told(body, **settings).facts[-1]


def test_the_signature_is_of_the_body_and_the_timestamp_as_in_a_published_vector() -> None:
    """fusebit/integrations, src/bamboohr/bamboohr-connector/test: sampleData.ts and webhook.test.ts."""
    body = (
        b'{"employees":[{"changedFields":["First name"],"fields":{"Employee #":{"value":"300"},'
        b'"First name":{"value":"Tefi"},"Last name":{"value":"Adams"}},"id":"5"}]}'
    )
    headers = {
        "x-bamboohr-timestamp": "1658248023",
        "x-bamboohr-signature": "56491dd9c2b352bc5f4fc627159aae20ddff9c8cb19f239a6de6771dc5310bac",
    }
    handler = handler_of("bamboohr", secret=["123b929362d51613054f71e5e5d4bf2c"])
    then = datetime.fromtimestamp(1658248023, UTC)
    handler.verify(Receipt(tuple(headers.items()), body, then))
    assert handler.sign(body, then).headers == headers
    with pytest.raises(Rejected, match="not of this body and secret"):
        handler.verify(Receipt(tuple((headers | {"x-bamboohr-timestamp": "1658248024"}).items()), body, then))


def test_neither_a_dot_between_nor_the_body_alone_is_a_signature() -> None:
    body, timestamp = b'{"type":"company.updated"}', str(int(NOW.timestamp()))
    for signed in (body + b"." + timestamp.encode(), body, timestamp.encode() + body):
        headers = {
            "x-bamboohr-signature": hmac.digest(b"key", signed, "sha256").hex(),
            "x-bamboohr-timestamp": timestamp,
        }
        with pytest.raises(Rejected):
            BAMBOOHR.verify(receipt(body, headers))


@pytest.mark.parametrize(
    ("minutes", "accepted"), [(0, True), (155, True), (179, True), (181, False), (-179, True), (-181, False)]
)
def test_the_last_retry_is_accepted_and_what_is_older_or_ahead_is_not(minutes: int, accepted: bool) -> None:
    sent = arrived(BAMBOOHR.sign(b'{"type":"company.updated"}', NOW - timedelta(minutes=minutes)))
    if accepted:
        BAMBOOHR.verify(sent)
    else:
        with pytest.raises(Rejected, match="10800 seconds"):
            BAMBOOHR.verify(sent)


def test_a_digit_cannot_move_from_the_timestamp_into_a_form_or_back() -> None:
    sent = BAMBOOHR.sign(b"type=company.updated&id=5", NOW)
    signature, timestamp = sent.headers["x-bamboohr-signature"], sent.headers["x-bamboohr-timestamp"]
    for body, stamp in ((sent.body + timestamp[:1].encode(), timestamp[1:]), (sent.body[:-1], "5" + timestamp)):
        headers = {"x-bamboohr-signature": signature, "x-bamboohr-timestamp": stamp}
        with pytest.raises(Rejected, match="10800 seconds"):
            BAMBOOHR.verify(receipt(body, headers))


NO_TIMES = ["", "soon", "-5", "1.5", "2026-06-01", "2026-06-01T12:30:00", "2026-13-01T12:30:00Z", "١٦٥٨", "9" * 17]


@pytest.mark.parametrize("timestamp", NO_TIMES)
def test_a_timestamp_is_unix_seconds(timestamp: str) -> None:
    signature = hmac.digest(b"key", b"{}" + timestamp.encode(), "sha256").hex()
    with pytest.raises(Rejected, match="whole number"):
        BAMBOOHR.verify(receipt(b"{}", {"x-bamboohr-signature": signature, "x-bamboohr-timestamp": timestamp}))


@pytest.mark.parametrize("timestamp", ["2026-06-01T12:30:00Z", "2026-06-01T12:29:58.125Z", "2026-06-01T14:30:00+02:00"])
def test_or_iso_8601_with_a_zone(timestamp: str) -> None:
    signature = hmac.digest(b"key", b"{}" + timestamp.encode(), "sha256").hex()
    BAMBOOHR.verify(receipt(b"{}", {"x-bamboohr-signature": signature, "x-bamboohr-timestamp": timestamp}))
    late = timestamp.replace("2026", "2025")
    signature = hmac.digest(b"key", b"{}" + late.encode(), "sha256").hex()
    with pytest.raises(Rejected, match="seconds old"):
        BAMBOOHR.verify(receipt(b"{}", {"x-bamboohr-signature": signature, "x-bamboohr-timestamp": late}))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"type=employee.created&timestamp=2026-06-01T12:29:58Z&data%5BemployeeId%5D=417", "employee.created"),
        (b"employees%5B0%5D%5Bid%5D=5&employees%5B0%5D%5BchangedFields%5D%5B0%5D=x", "employee_with_fields"),
        (b"type=benefit.changed", "benefit.changed"),
    ],
)
def test_a_form_is_ignored_by_name_like_json(body: bytes, name: str) -> None:
    result = BAMBOOHR.normalise(receipt(body))
    assert (result.disposition, result.vendor_event, result.facts) == (Disposition.IGNORED, name, ())


@pytest.mark.parametrize("body", [b"a=b", b"type=", b"=", b"type=\xff", b"", b"{}", b'{"employees":[]}', b'{"type":7}'])
def test_what_names_no_event_is_drift(body: bytes) -> None:
    with pytest.raises(Drift):
        BAMBOOHR.normalise(receipt(body))


@pytest.mark.parametrize("name", [name for name in fixtures_of("bamboohr") if not name.startswith("polled_")])
def test_no_webhook_tells_anything_of_an_application(name: str) -> None:
    assert BAMBOOHR.normalise(fixtures_of("bamboohr")[name].receipt).facts == ()


@pytest.mark.parametrize("type_", EventType)
def test_so_there_is_no_sample(type_: EventType) -> None:
    with pytest.raises(ValueError, match="no BambooHR sample"):
        BAMBOOHR.sample(Sample(type_, "1", "A B", "C", NOW, "D"))


CODES = {
    "1": ("PENDING", "APPLIED"),
    **dict.fromkeys(("2", "3", "4"), ("PENDING", "SCREEN")),
    **dict.fromkeys(("5", "6"), ("PENDING", "INTERVIEW")),
    **dict.fromkeys(("7", "8"), ("PENDING", "OTHER")),
    **dict.fromkeys(("9", "16", "17"), ("PENDING", "OFFER")),
    **dict.fromkeys(("10", "11", "12", "13", "14"), ("DECLINED", "REJECTED")),
    "15": ("HIRED", "HIRED"),
    "19": (None, None),
    "20": ("PENDING", None),
}


@pytest.mark.parametrize(("id_", "expected"), CODES.items())
def test_the_id_of_a_status_is_its_code_whatever_the_label(id_: str, expected: tuple[str | None, str | None]) -> None:
    for given in (id_, int(id_)):
        application = snapshot(detail(id=given, label="Hired")).application
        assert application
        assert application.stage
        assert (application.outcome, application.stage.kind) == expected


@pytest.mark.parametrize(
    ("id_", "kind"),
    [
        (10, "REJECTED_BY_COMPANY"),
        (11, "WITHDRAWN_BY_CANDIDATE"),
        (12, "REJECTED_BY_COMPANY"),
        (13, "REJECTED_BY_COMPANY"),
        (14, "OTHER"),
    ],
)
def test_the_status_is_the_reason_of_a_rejection(id_: int, kind: str) -> None:
    application = snapshot(detail(id=id_, label="So it is")).application
    assert application
    assert application.rejection_reason
    assert application.rejection_reason.model_dump() == {"id": str(id_), "name": "So it is", "kind": kind}
    assert application.rejected_at == snapshot(detail()).occurred_at


@pytest.mark.parametrize(
    ("stages", "outcome"), [({"HIRED": ["24"]}, "HIRED"), ({"REJECTED": ["Take-home*"]}, "DECLINED")]
)
def test_a_status_of_ones_own_counts_as_the_settings_say(stages: dict[StageKind, list[str]], outcome: str) -> None:
    application = snapshot(detail(), stages=stages).application
    assert application
    assert application.outcome == outcome
    if outcome == "HIRED":
        assert application.hired_at == snapshot(detail()).occurred_at


def test_the_settings_go_before_the_table() -> None:
    application = snapshot(detail("polled_detail_declined"), stages={"SCREEN": ["10"]}).application
    assert application
    assert (application.outcome, application.rejection_reason) == ("PENDING", None)


def test_a_deleted_application_is_told_as_that_and_not_as_new() -> None:
    assert [fact.type for fact in told(detail(id=18)).facts] == [EventType.APPLICATION_DELETED]


def test_nobody_moved_what_the_system_moved() -> None:
    result = told(detail(changedByUser=None))
    assert result.facts[-1].actor is None
    assert result.soft_drift == ()
    assert snapshot(detail()).actor == Person(id="2401", name="Jonas Brandt")
    assert told(detail()).facts[0].actor is None


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ([{"id": "15", "code": "HIRED", "name": "Hired", "enabled": True}], "applicant"),
        ({"error": {"code": 429, "message": "Over rate limit, please try again in 60 seconds"}}, "applicant"),
        ({"applications": {}}, "applicant"),
        ({}, "applicant"),
        ({"applications": [{"status": {"id": 15}}]}, r"applications\[\].id"),
        ({"applicant": {"id": 1}}, "id"),
    ],
)
def test_what_is_no_answer_about_applications_is_neither_a_row_nor_an_empty_page(answer: object, path: str) -> None:
    with pytest.raises(Drift, match=f"^{path}: is missing"):
        told(answer)


def test_polls_one_after_another_tell_what_changed() -> None:
    """A rejection that is taken back is told too: BambooHR says nothing of it but the status."""
    state, types = ApplicationState(), []
    for body in (detail(id=1, label="New"), detail(), detail(), detail(id=12, label="Not Qualified"), detail()):
        for ordinal, fact in enumerate(told(body).facts):
            waiting = WaitingFact(
                receipt="r", ordinal=ordinal, source="s", vendor="bamboohr", received_at=NOW, fact=fact
            )
            state, events = project(state, waiting)
            types += [str(event.type) for event in events]
    moved, decided = "StageChanged", "OutcomeChanged"
    assert types == ["ApplicationCreated", moved, moved, decided, moved, decided]


def test_nothing_that_no_one_asked_for_is_passed_on() -> None:
    text = "".join(
        fact.model_dump_json()
        for fixture in fixtures_of("bamboohr").values()
        for fact in fixture.normalised(BAMBOOHR).facts
    )
    assert "Mira Okafor" in text
    for private in ("Gender", "Prefer not", "72,000", "initials.php"):
        assert private not in text
