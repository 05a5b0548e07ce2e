"""What is particular to Pinpoint: bare ids under names that are partly guesses, and its JSON:API."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.enriching import Enriches, NotThere, Refused, Unavailable
from handlers.pinpoint import Pinpoint
from router.schema import EventType, Fact, Outcome
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, handler_of, receipt

PINPOINT = handler_of("pinpoint", secret=["key"])
AT = 1771060907


def body_of(event: object = "application_hired", **changes: object) -> dict[str, Any]:
    return {
        "event": event,
        "triggeredAt": AT,
        "data": {"application": {"id": 9120044}, "job": {"id": 30412}},
        **changes,
    }


def normalised(body: object, handler: object = PINPOINT) -> Normalised:
    assert isinstance(handler, Pinpoint)
    return handler.normalise(receipt(json.dumps(body).encode()))


def fact_of(event: str, handler: object = PINPOINT) -> Fact:
    (fact,) = normalised(body_of(event), handler).facts
    return fact


def application(**attributes: object) -> dict[str, Any]:
    """What the API answers, as its documentation has it."""
    told = {
        "first_name": "Elif",
        "last_name": "Demir",
        "email": "elif.demir@example.com",
        "phone": "+44 20 5550 0101",
        "linkedin_url": "https://social.example/elif",
        "created_at": "2026-02-13T08:21:47.000Z",
        "updated_at": "2026-02-14T10:00:00.000Z",
        "equality_monitoring": {"gender": "Woman"},
    }
    related = {"job": ("jobs", "30412"), "stage": ("stages", "771"), "candidate": ("candidates", "660")}
    return {
        "data": {
            "id": "9120044",
            "type": "applications",
            "attributes": {**told, **attributes},
            "relationships": {name: {"data": {"type": t, "id": i}} for name, (t, i) in related.items()},
        },
        "included": [
            {"id": "771", "type": "jobs", "attributes": {"title": "Of the same id"}},
            {"id": "771", "type": "stages", "attributes": {"name": "Interview"}},
            {"id": "30412", "type": "jobs", "attributes": {"title": "Chef", "status": "open"}},
        ],
    }


async def enriched(fact: Fact, answers: Answers, **settings: object) -> tuple[Fact, list[Asked]]:
    async with stand_in(lambda asked: answers) as server:
        handler = handler_of("pinpoint", api_key="the key", api_url=server.url, **settings)
        assert isinstance(handler, Enriches)
        async with api_of(handler.access()) as api:
            (complete,) = await handler.enrich(fact, api)
        return complete, server.asked


def test_the_signature_is_standard_base64_of_the_digest_of_the_exact_body() -> None:
    body = json.dumps(body_of()).encode()
    digest = hmac.new(b"key", body, hashlib.sha256).digest()
    header = base64.b64encode(digest).decode()
    PINPOINT.verify(receipt(body, {"pinpoint-hmac-sha256": header}))
    assert PINPOINT.sign(body, NOW).headers == {"pinpoint-hmac-sha256": header}
    for other in (digest.hex(), f"sha256={header}", base64.b64encode(digest[:31]).decode(), header.swapcase()):
        with pytest.raises(Rejected):
            PINPOINT.verify(receipt(body, {"pinpoint-hmac-sha256": other}))


@pytest.mark.parametrize(
    ("event", "type_", "outcome"),
    [
        ("application_hired", EventType.OUTCOME_CHANGED, Outcome.HIRED),
        ("applicant_hired", EventType.OUTCOME_CHANGED, Outcome.HIRED),
        ("application_created", EventType.APPLICATION_CREATED, None),
        ("new_application", EventType.APPLICATION_CREATED, None),
        ("application_moved", EventType.APPLICATION_UPDATED, None),
        ("application_stage_changed", EventType.APPLICATION_UPDATED, None),
        ("stage_changed", EventType.APPLICATION_UPDATED, None),
        ("Application Hired", EventType.OUTCOME_CHANGED, Outcome.HIRED),
        ("application.created", EventType.APPLICATION_CREATED, None),
        ("applicationStageChanged", EventType.APPLICATION_UPDATED, None),
    ],
)
def test_each_event_has_its_meaning_however_it_is_spelt(event: str, type_: EventType, outcome: Outcome | None) -> None:
    fact = fact_of(event)
    assert fact.application
    assert (fact.type, fact.application.outcome, fact.vendor_event) == (type_, outcome, event)
    assert fact.needs_enrichment
    assert not fact.is_snapshot


@pytest.mark.parametrize("event", ["offer_accepted", "job_created", "interview_scheduled", "hired", "☃"])
def test_other_events_are_ignored_by_name(event: str) -> None:
    result = normalised(body_of(event))
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, event)


def test_a_setting_tells_what_further_names_mean() -> None:
    meanings = {"applicationRejected": "DECLINED", "gone": "ApplicationDeleted", "applicationMoved": "HIRED"}
    handler = handler_of("pinpoint", events=meanings)
    assert fact_of("application_moved", handler).type is EventType.OUTCOME_CHANGED
    declined, gone = fact_of("application_rejected", handler), fact_of("Gone", handler)
    assert declined.application
    assert declined.application.outcome is Outcome.DECLINED
    assert declined.application.rejected_at == declined.occurred_at
    assert gone.type is EventType.APPLICATION_DELETED
    assert not gone.needs_enrichment
    with pytest.raises(ValidationError):
        handler_of("pinpoint", events={"x": "Anything"})


@pytest.mark.parametrize(
    ("told", "at", "drift"),
    [
        (AT, "2026-02-14T09:21:47+00:00", ()),
        (str(AT), "2026-02-14T09:21:47+00:00", ()),
        ("2026-02-14T09:21:47Z", "2026-02-14T09:21:47+00:00", ("triggeredAt",)),
        ("soon", None, ("triggeredAt",)),
        (None, None, ()),
    ],
)
def test_the_time_is_unix_time(told: object, at: str | None, drift: tuple[str, ...]) -> None:
    result = normalised(body_of(triggeredAt=told))
    occurred_at = result.facts[0].occurred_at
    assert (occurred_at.isoformat() if occurred_at else None) == at
    assert result.soft_drift == drift


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (None, "data"),
        ({}, "data.application"),
        ({"application": {}}, "data.application.id"),
        ({"application": {"id": True}}, "data.application.id"),
    ],
)
def test_an_event_without_an_application_is_drift(data: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        normalised(body_of(data=data))
    assert drift.value.path == path


def test_a_missing_job_is_noted_and_no_more() -> None:
    result = normalised(body_of(data={"application": {"id": 1}}))
    assert result.facts[0].job is None
    assert result.soft_drift == ("data.job",)


def test_a_webhook_that_comes_again_is_known_by_its_bytes() -> None:
    assert normalised(body_of()).dedupe is None


async def test_the_api_is_asked_for_what_the_webhook_left_out() -> None:
    fact, asked = await enriched(fact_of("application_hired"), Answers(application()))
    assert [request.target for request in asked] == ["/api/v1/applications/9120044?include=job,stage,candidate"]
    assert asked[0].headers["x-api-key"] == "the key"
    assert asked[0].headers["accept"] == "application/vnd.api+json"
    assert fact.type is EventType.OUTCOME_CHANGED
    assert not fact.needs_enrichment
    assert json.loads(fact.model_dump_json(exclude_defaults=True)) == {
        "type": "OutcomeChanged",
        "occurred_at": "2026-02-14T09:21:47Z",
        "vendor_event": "application_hired",
        "application": {
            "id": "9120044",
            "outcome": "HIRED",
            "stage": {"id": "771", "name": "Interview"},
            "created_at": "2026-02-13T08:21:47Z",
            "updated_at": "2026-02-14T10:00:00Z",
            "hired_at": "2026-02-14T09:21:47Z",
        },
        "candidate": {
            "id": "660",
            "name": "Elif Demir",
            "first_name": "Elif",
            "last_name": "Demir",
            "emails": ["elif.demir@example.com"],
            "phones": ["+44 20 5550 0101"],
            "links": ["https://social.example/elif"],
        },
        "job": {"id": "30412", "title": "Chef", "status": "open"},
    }


async def test_a_move_is_a_stage_change_once_the_stage_is_known() -> None:
    fact, _ = await enriched(fact_of("application_moved"), Answers(application()))
    assert fact.type is EventType.STAGE_CHANGED
    assert fact.to_stage
    assert fact.to_stage.name == "Interview"
    without = application()
    del without["data"]["relationships"]["stage"]
    fact, _ = await enriched(fact_of("application_moved"), Answers(without))
    assert (fact.type, fact.to_stage, fact.needs_enrichment) == (EventType.APPLICATION_UPDATED, None, False)


async def test_a_change_of_anything_becomes_what_the_application_is_now() -> None:
    events = {"application_updated": "ApplicationUpdated"}
    thin = fact_of("application_updated", handler_of("pinpoint", events=events))
    fact, _ = await enriched(thin, Answers(application()), events=events)
    assert (fact.type, fact.is_snapshot) == (EventType.APPLICATION_UPDATED, True)


async def test_the_job_of_the_webhook_stays_when_the_application_went_to_another() -> None:
    moved = application()
    moved["data"]["relationships"]["job"]["data"]["id"] = "9"
    fact, _ = await enriched(fact_of("application_created"), Answers(moved))
    assert fact.job
    assert (fact.job.id, fact.job.title) == ("30412", None)


async def test_what_is_not_included_is_left_out() -> None:
    bare = application(first_name=None, last_name=None, email="", phone=None, linkedin_url=None)
    bare["included"] = []
    fact, _ = await enriched(fact_of("application_created"), Answers(bare))
    assert fact.application
    assert fact.application.stage
    assert (fact.application.stage.id, fact.application.stage.name) == ("771", None)
    assert fact.candidate
    assert (fact.candidate.name, fact.candidate.emails, fact.candidate.links) == (None, [], [])
    assert "Woman" not in fact.model_dump_json()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers({"errors": [{"status": "401"}]}, 401), Refused),
        (Answers(None, 403), Refused),
        (Answers({"errors": [{"status": "404"}]}, 404), NotThere),
        (Answers(None, 429, {"retry-after": "7"}), Unavailable),
        (Answers(None, 502), Unavailable),
        (Answers(b"<html>"), Unavailable),
        (Answers({"data": None}), Drift),
        (Answers([]), Drift),
    ],
)
async def test_an_api_that_fails_is_told_apart(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await enriched(fact_of("application_hired"), answers)
    if answers.status == 429:
        assert isinstance(raised.value, Unavailable)
        assert raised.value.wait == 7


def test_without_a_key_nothing_is_asked_and_half_of_it_is_refused() -> None:
    assert isinstance(PINPOINT, Pinpoint)
    assert PINPOINT.access() is None
    for half in ({"api_key": "k"}, {"api_url": "https://example.pinpointhq.com"}):
        with pytest.raises(ValidationError, match="go together"):
            handler_of("pinpoint", **half)
    with pytest.raises(ValidationError, match="a URL is"):
        handler_of("pinpoint", api_key="k", api_url="example.pinpointhq.com")
    complete = handler_of("pinpoint", api_key="the key", api_url="https://example.pinpointhq.com")
    assert "the key" not in repr(complete.settings)


def test_there_are_no_samples_of_what_is_not_told() -> None:
    with pytest.raises(ValueError, match="no Pinpoint sample"):
        PINPOINT.sample(Sample(EventType.OUTCOME_CHANGED, "1", "Ada", "Analyst", NOW, "Offer", Outcome.DECLINED))
