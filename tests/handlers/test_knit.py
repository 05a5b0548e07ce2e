"""What is particular to Knit: the API key signs, syncs tell what was there before, models may be empty."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from router.schema import EventType, Fact, Job, Outcome, Person, Stage
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

KNIT = handler_of("knit", secret=["key"])


def body_of(name: str, **changes: object) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(fixtures_of("knit")[name].body)
    return {**body, **changes}


def record(**changes: object) -> dict[str, Any]:
    """A change with other models in the record."""
    body = body_of("record_modified")
    return {**body, "eventData": {**body["eventData"], **changes}}


def with_info(**changes: object) -> dict[str, Any]:
    return record(info={**body_of("record_modified")["eventData"]["info"], **changes})


def normalised(body: object, **settings: object) -> Normalised:
    handler = handler_of("knit", **settings) if settings else KNIT
    return handler.normalise(receipt(json.dumps(body).encode()))


def fact_of(body: object) -> Fact:
    (fact,) = normalised(body).facts
    return fact


@pytest.mark.parametrize("padding", ["", "="])
def test_the_api_key_signs_the_exact_body_in_base64url(padding: str) -> None:
    body = json.dumps(body_of("record_new"), indent=1).encode()
    signature = base64.urlsafe_b64encode(hmac.new(b"key", body, hashlib.sha256).digest()).decode().rstrip("=")
    KNIT.verify(receipt(body, {"x-knit-signature": signature + padding}))
    assert KNIT.sign(body, NOW).headers == {"x-knit-signature": signature}
    compact = json.dumps(json.loads(body), separators=(",", ":")).encode()
    with pytest.raises(Rejected):
        KNIT.verify(receipt(compact, {"x-knit-signature": signature}))


@pytest.mark.parametrize("sync", ["delta_sync", None, ..., "something_new"])
def test_a_new_record_is_a_new_application(sync: object) -> None:
    body = body_of("record_new", syncType=sync)
    if sync is ...:
        del body["syncType"]
    assert fact_of(body).type is EventType.APPLICATION_CREATED


def test_what_the_first_sync_finds_is_no_news() -> None:
    baseline = normalised(body_of("record_new", syncType="initial_sync"))
    assert (baseline.disposition, baseline.vendor_event) == (Disposition.IGNORED, "record.new")
    for event in ("record.modified", "record.deleted"):
        body = body_of("record_modified", syncType="initial_sync", eventType=event)
        assert normalised(body).disposition is Disposition.EVENTS


def test_other_syncs_may_be_named_that_tell_what_was_there_before() -> None:
    body = body_of("record_new", syncType="adhoc_sync")
    assert normalised(body).facts
    assert not normalised(body, baseline_syncs=["initial_sync", "adhoc_sync"]).facts
    assert normalised(body_of("record_new", syncType="initial_sync"), baseline_syncs="adhoc_sync").facts


def test_the_header_that_nobody_signed_only_leaves_out() -> None:
    body = json.dumps(body_of("record_modified")).encode()
    of_one = handler_of("knit", secret=["key"], integration_id="int-1")
    header = "x-knit-integration-id"
    for handler in (KNIT, of_one):
        told = handler.normalise(receipt(body, {header: "int-1"}))
        assert told.facts
        assert told.account is None
        assert told == KNIT.normalise(receipt(body))
    for headers in ({}, {header: "int-2"}, [(header, "int-1"), (header, "int-1")]):
        result = of_one.normalise(receipt(body, headers))
        assert result.reason == "it is not of the integration that the settings name"
    sent = of_one.sign(body, NOW)
    assert of_one.normalise(receipt(sent.body, sent.headers)).facts
    assert header in of_one.kept_headers


def test_a_retry_has_the_id_of_the_first_delivery_and_another_event_has_not() -> None:
    first, again = body_of("record_new"), body_of("record_new", triggeredAt="1772704870123")
    assert normalised(first).dedupe == normalised(again).dedupe == f"{first['eventId']}:record.new"
    modified = body_of("record_modified", eventId=first["eventId"])  # the docs' own examples have the same id
    assert normalised(modified).dedupe != normalised(first).dedupe
    assert normalised(body_of("record_new", eventId=None)).dedupe is None
    assert normalised(body_of("job_record_new")).dedupe


@pytest.mark.parametrize("type_", ["ats_jobs", "employee", "ats_candidates"])
@pytest.mark.parametrize("event", ["record.new", "record.modified", "record.deleted"])
def test_records_of_other_types_are_left_out(event: str, type_: str) -> None:
    result = normalised(body_of("record_modified", eventType=event, syncDataType=type_))
    assert (result.disposition, result.reason) == (Disposition.IGNORED, "it is about other records than applications")


@pytest.mark.parametrize("event", ["sync.events.processed", "sync.events.allConsumed", "sync.heartbeat", "sync.failed"])
def test_the_course_of_a_sync_is_left_out(event: str) -> None:
    assert normalised({"eventType": event}).reason == "it is about the sync; the records come by themselves"


STATUSES = {"ACTIVE": Outcome.PENDING, "HIRED": Outcome.HIRED, "REJECTED": Outcome.DECLINED, "NOT_SPECIFIED": None}


@pytest.mark.parametrize(("status", "outcome"), STATUSES.items())
def test_the_status_is_the_outcome(status: str, outcome: Outcome | None) -> None:
    result = normalised(with_info(status=status))
    assert result.facts[0].application
    assert result.facts[0].application.outcome is outcome
    assert result.soft_drift == ()
    odd = normalised(with_info(status="PAUSED"))
    assert odd.soft_drift == ("eventData.info.status",)


@pytest.mark.parametrize("origin", ["AGENCY", "REFERRAL", "EXTERNAL", "NOT_SPECIFIED"])
def test_the_origin_is_the_source_where_it_is_said(origin: str) -> None:
    application = fact_of(with_info(origin=origin)).application
    assert application
    assert application.source == (None if origin == "NOT_SPECIFIED" else origin)


@pytest.mark.parametrize("stage", [{}, [], None, {"currentStage": {}}, {"id": "", "text": ""}])
def test_a_model_may_be_empty_in_several_ways(stage: object) -> None:
    result = normalised(record(currentStage=stage, rejection=stage, interviews={}, offers=None))
    assert result.facts[0].application
    assert result.facts[0].application.stage is None
    assert result.facts[0].application.rejection_reason is None
    assert result.soft_drift == ()


def test_a_model_may_stand_within_itself() -> None:
    application = fact_of(record(currentStage={"currentStage": {"id": 7, "text": "Onsite"}})).application
    assert application
    assert application.stage == Stage(id="7", name="Onsite")


def test_the_record_has_the_id_where_the_model_was_not_subscribed_to() -> None:
    nothing: list[object] = [{}, [], None]
    for info in nothing:
        application = fact_of(record(info=info)).application
        assert application
        assert application.id == "app_5501"
    with pytest.raises(Drift, match=r"^recordId: is missing"):
        normalised(record(info={}) | {"recordId": ""})
    assert fact_of(with_info(id="app_of_the_model")).subject == "a:app_of_the_model"


def test_a_deleted_record_has_any_of_its_ids_or_its_own() -> None:
    assert fact_of(body_of("record_deleted", recordId=None)).subject == "a:app_5501"
    fact = fact_of(body_of("record_deleted_empty"))
    assert (fact.subject, fact.candidate, fact.job) == ("a:app_5502", None, None)
    with pytest.raises(Drift, match=r"^recordId: is missing"):
        normalised(body_of("record_deleted_empty", recordId=None))


@pytest.mark.parametrize("name", ["record_new", "record_modified", "record_deleted"])
def test_an_event_about_a_record_needs_data_and_its_type(name: str) -> None:
    with pytest.raises(Drift, match=r"^eventData"):
        normalised(body_of(name, eventData=None))
    with pytest.raises(Drift, match=r"^syncDataType"):
        normalised(body_of(name, syncDataType=None))
    with pytest.raises(Drift, match=r"^eventType"):
        normalised(body_of(name, eventType=None))


def test_the_time_is_the_records_before_the_deliverys() -> None:
    applied, updated = datetime(2026, 3, 2, 7, 58, 10, tzinfo=UTC), datetime(2026, 3, 5, 10, 1, tzinfo=UTC)
    assert fact_of(body_of("record_new")).occurred_at == applied
    assert fact_of(body_of("record_modified", triggeredAt="1772704870123")).occurred_at == updated
    sent = fact_of({**with_info(updatedAt=None), "triggeredAt": "1772704870123"}).occurred_at
    assert sent == datetime(2026, 3, 5, 10, 1, 10, 123000, tzinfo=UTC)
    assert fact_of(with_info(updatedAt=None)).occurred_at is None


def test_the_owner_recruits_and_who_is_credited_is_the_referrer() -> None:
    owner, credited = {"id": "u1", "email": "a@example.com"}, {"id": "u2", "email": None, "employeeId": "E-1"}
    fact = fact_of(with_info(owner=owner, creditedTo=credited, jobId=None))
    assert fact.job == Job(recruiters=[Person(id="u1", email="a@example.com")])
    assert fact.application
    assert fact.application.referrer == Person(id="u2")
    assert fact_of(with_info(owner=None, jobId=None)).job is None


def test_files_are_never_passed_on() -> None:
    told = repr(fixtures_of("knit")["record_modified_full"].normalised(KNIT))
    assert "files.example.com" not in told


def test_a_sample_is_of_a_delta_sync_and_two_of_them_are_two_events() -> None:
    one, other = (
        json.loads(KNIT.sample(Sample(EventType.STAGE_CHANGED, "9", "A B", "C", NOW, stage))) for stage in ("X", "Y")
    )
    assert one["syncType"] == "delta_sync"
    assert one["eventId"] != other["eventId"]
    with pytest.raises(ValueError, match="no Knit sample of OfferChanged"):
        KNIT.sample(Sample(EventType.OFFER_CHANGED, "9", "A B", "C", NOW))
