"""What is particular to Merge: one URL for all linked accounts, bare ids, and outcomes that no field tells."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.enriching import ApiProblem, NotThere, Refused, Unavailable
from handlers.merge import Merge
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import Event, EventType, Fact, InterviewStatus, OfferStatus, Outcome, RejectionReason, Stage
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

MERGE = handler_of("merge", secret=["key"])
ACCOUNT = "7a11d0c4-0000-4000-8000-000000000001"
APPLICATION = "7a11d0c4-0000-4000-8000-00000000000a"
CREDENTIALS = {"api_key": "the key", "account_token": "the token", "linked_account": ACCOUNT}


def body_of(name: str, **data: object) -> dict[str, Any]:
    """The body of a fixture, with other fields in its data."""
    body: dict[str, Any] = json.loads(fixtures_of("merge")[name].body)
    body["data"] = {**body["data"], **data}
    return body


def normalised(body: object, handler: object = MERGE) -> Normalised:
    assert isinstance(handler, Merge)
    return handler.normalise(receipt(json.dumps(body).encode()))


def fact_of(body: object, handler: object = MERGE) -> Fact:
    (fact,) = normalised(body, handler).facts
    return fact


def outcome_of(body: object) -> Outcome | None:
    application = fact_of(body).application
    assert application
    return application.outcome


def events_of(*bodies: object) -> list[Event]:
    """What becomes of webhooks that come one after the other, with nothing known before."""
    state, told = ApplicationState(), []
    for number, body in enumerate(bodies):
        result = MERGE.with_kinds(normalised(body))
        sent = receipt(json.dumps(body).encode())
        for fact in waiting_facts(result, receipt_id=f"{number}", source="s", vendor="merge", receipt=sent, mark=None):
            state, events = project(state, fact)
            told += events
    return told


@pytest.mark.parametrize("padding", [True, False])
def test_the_signature_is_base64url_of_the_exact_body_padded_or_not(padding: bool) -> None:
    bodies = (f'{{"n": {number}}}'.encode() for number in range(999))
    signed = ((body, base64.urlsafe_b64encode(hmac.new(b"key", body, hashlib.sha256).digest())) for body in bodies)
    body, signature = next((body, text) for body, text in signed if b"-" in text and b"_" in text)
    text = signature.decode() if padding else signature.decode().rstrip("=")
    MERGE.verify(receipt(body, {"x-merge-webhook-signature": text}))
    assert MERGE.sign(body, NOW).headers["x-merge-webhook-signature"] == text.rstrip("=")
    in_the_other_alphabet = text.replace("-", "+").replace("_", "/")
    for other in (in_the_other_alphabet, hmac.new(b"key", body, hashlib.sha256).hexdigest(), f"sha256={text}"):
        with pytest.raises(Rejected):
            MERGE.verify(receipt(body, {"x-merge-webhook-signature": other}))


def test_the_test_of_the_dashboard_has_to_be_signed_and_is_no_event() -> None:
    fixture = fixtures_of("merge")["dashboard_test"]
    assert handler_of("merge").normalise(fixture.receipt).disposition is Disposition.PING
    with pytest.raises(Rejected):
        MERGE.verify(receipt(fixture.body))
    with_a_hook = {**body_of("application_moved"), "response": "Success! This URL will be notified."}
    assert normalised(with_a_hook).disposition is Disposition.EVENTS
    for body in ({}, {"response": ""}, {"hook": {"event": None}}):
        with pytest.raises(Drift, match=r"^hook"):
            normalised(body)


SPELLINGS = [
    *(("Application.added", "ApplicationCreated"), ("application.created", "ApplicationCreated")),
    *(("Application.changed", "ApplicationUpdated"), ("APPLICATION.UPDATED", "ApplicationUpdated")),
    *(("Application.removed", "ApplicationDeleted"), ("application.deleted", "ApplicationDeleted")),
]


@pytest.mark.parametrize(("event", "type_"), SPELLINGS)
def test_events_are_known_by_either_spelling(event: str, type_: EventType) -> None:
    body = body_of("application_moved")
    body["hook"]["event"] = event
    fact = fact_of(body)
    assert (fact.type, fact.vendor_event) == (type_, event)
    assert fact.is_snapshot == (type_ == EventType.APPLICATION_UPDATED)


@pytest.mark.parametrize("event", ["ScheduledInterview.changed", "scheduled_interview.updated"])
def test_words_may_be_parted_by_an_underscore(event: str) -> None:
    body = body_of("interview_over")
    body["hook"]["event"] = event
    assert fact_of(body).type is EventType.INTERVIEW_CHANGED
    body["hook"]["event"] = "linked_account.synced"
    assert normalised(body).disposition is Disposition.SIGNAL


@pytest.mark.parametrize("name", ["application_added", "candidate_changed", "offer_added", "interview_scheduled"])
def test_what_was_deleted_in_the_ats_counts_as_removed_whatever_the_event(name: str) -> None:
    deleted, removed = body_of(name, remote_was_deleted=True), body_of(name, remote_was_deleted=True)
    removed["hook"]["event"] = deleted["hook"]["event"].partition(".")[0] + ".removed"
    told = fact_of(deleted).model_copy(update={"vendor_event": ""})
    assert told == fact_of(removed).model_copy(update={"vendor_event": ""})
    assert told != fact_of(body_of(name)).model_copy(update={"vendor_event": ""})


def test_all_that_is_told_belongs_to_the_linked_account() -> None:
    for fixture in fixtures_of("merge").values():
        if not fixture.polled and fixture.name != "dashboard_test":
            assert fixture.normalised(MERGE).account == ACCOUNT
    body = body_of("application_moved")
    body["linked_account"] |= {"end_user_origin_id": "another name of the same customer"}
    assert normalised(body).account == ACCOUNT


def test_a_source_may_take_the_events_of_one_linked_account_only() -> None:
    of_this_one = handler_of("merge", linked_account=ACCOUNT)
    assert normalised(body_of("application_moved"), of_this_one).facts
    for other in ("another", None):
        body = body_of("application_moved")
        body["linked_account"]["id"] = other
        result = normalised(body, of_this_one)
        assert (result.disposition, result.reason) == (Disposition.IGNORED, "it is of another linked account")
        assert normalised(body).facts


@pytest.mark.parametrize("event", ["Application.changed", "LinkedAccount.sync_completed"])
def test_other_categories_than_the_ats_are_left_out(event: str) -> None:
    body = body_of("application_moved")
    body["hook"]["event"] = event
    body["linked_account"]["category"] = "hris"
    assert normalised(body).disposition is Disposition.IGNORED
    body["linked_account"]["category"] = "ATS"
    assert normalised(body).disposition is not Disposition.IGNORED


REASON = {"id": "r", "name": "Position filled"}
HIRED_REASON = {"id": "r", "name": " hired"}
STAGE = {"id": "s", "name": "Phone Screen", "stage_order": 2}
OUTCOMES = [
    ({}, None),  # a hire would not show in a bare id, so that nothing can be said
    ({"rejected_at": "2026-03-06T10:20:00Z"}, Outcome.DECLINED),
    ({"rejected_at": "at some time"}, Outcome.DECLINED),
    ({"rejected_at": ""}, None),
    ({"rejected_at": "2026-03-06T10:20:00Z", "reject_reason": "r"}, Outcome.DECLINED),
    ({"rejected_at": "2026-03-06T10:20:00Z", "reject_reason": REASON}, Outcome.DECLINED),
    ({"rejected_at": "2026-03-06T10:20:00Z", "reject_reason": HIRED_REASON}, Outcome.HIRED),
    ({"reject_reason": HIRED_REASON}, Outcome.HIRED),
    ({"current_stage": STAGE}, Outcome.PENDING),
    ({"current_stage": STAGE, "reject_reason": "r"}, None),
    ({"current_stage": STAGE, "rejected_at": "2026-03-06T10:20:00Z"}, Outcome.DECLINED),
    ({"current_stage": None}, None),
]


@pytest.mark.parametrize(("data", "outcome"), OUTCOMES)
def test_the_outcome_is_only_what_merge_says(data: dict[str, object], outcome: Outcome | None) -> None:
    assert outcome_of(body_of("application_moved", **data)) is outcome


@pytest.mark.parametrize(
    ("reason", "outcome"), [("r", None), (REASON, Outcome.DECLINED), (HIRED_REASON, Outcome.HIRED), (None, "DECLINED")]
)
def test_who_is_archived_in_lever_for_a_bare_reason_may_have_been_hired(reason: object, outcome: object) -> None:
    assert outcome_of(body_of("application_archived_in_lever", reject_reason=reason)) == outcome


@pytest.mark.parametrize(
    ("named", "outcome"),
    [({"integration": "Lever"}, None), ({"integration": "lever"}, None), ({"integration": "Workable"}, "DECLINED")],
)
def test_where_no_slug_is_told_lever_is_known_by_its_name(named: dict[str, str], outcome: object) -> None:
    body = body_of("application_archived_in_lever", reject_reason="r")
    body["linked_account"] = {"id": "1", "category": "ats", **named}
    assert outcome_of(body) == outcome


def test_a_hire_in_lever_has_the_time_of_the_hire_and_no_rejection() -> None:
    application = fact_of(body_of("application_rejected", reject_reason=HIRED_REASON)).application
    assert application
    assert (application.rejected_at, application.rejection_reason) == (None, None)
    assert application.hired_at == datetime(2026, 3, 6, 10, 20, tzinfo=UTC)


def test_webhooks_one_after_the_other_become_what_differs() -> None:
    moved, rejected = body_of("application_moved"), body_of("application_rejected")
    hired = body_of("application_rejected", current_stage={"id": "h", "name": "Hired"}, rejected_at=None)
    hired["data"]["reject_reason"] = None
    told = events_of(body_of("application_added"), moved, moved, rejected)
    assert [event.type for event in told] == ["ApplicationCreated", "StageChanged", "OutcomeChanged"]
    assert told[1].from_stage == Stage(id="7a11d0c4-0000-4000-8000-00000000000d")
    assert told[2].occurred_at == datetime(2026, 3, 6, 10, 20, tzinfo=UTC)
    told = events_of(moved, hired, body_of("application_moved", modified_at="2026-03-07T00:00:00Z", current_stage="h"))
    assert [event.type for event in told] == ["StageChanged", "StageChanged", "OutcomeChanged"]
    assert told[2].application
    assert told[2].application.outcome is Outcome.HIRED


def test_an_older_state_that_comes_later_is_late_however_its_time_is_written() -> None:
    newer = body_of("application_rejected", modified_at="2026-03-06T10:20:30Z")
    older = body_of("application_moved", modified_at="2026-03-06T11:20:29.999999+01:00", current_stage="d")
    assert [event.late for event in events_of(newer, older)] == [False, True]
    assert fact_of(body_of("application_moved", modified_at=None)).vendor_version is None


OFFERS = {
    **{"DRAFT": "DRAFT", "APPROVAL-SENT": "DRAFT", "APPROVED": "APPROVED", "SENT": "SENT", "SENT-MANUALLY": "SENT"},
    **{"OPENED": "SENT", "DENIED": "DECLINED", "SIGNED": "ACCEPTED", "DEPRECATED": "ABANDONED", "ELSE": None},
}


@pytest.mark.parametrize(("said", "status"), OFFERS.items())
def test_the_status_of_an_offer(said: str, status: OfferStatus | None) -> None:
    result = normalised(body_of("offer_added", status=said))
    assert result.facts[0].offer
    assert result.facts[0].offer.status == status
    assert result.soft_drift == (() if status else ("data.status",))


def test_the_mapped_fields_of_an_offer_are_its_custom_fields() -> None:
    mapped = {"organization_defined_targets": {"band": "L4"}, "linked_account_defined_targets": {"bonus": 5}}
    offer = fact_of(body_of("offer_added", field_mappings=mapped)).offer
    assert offer
    assert offer.custom_fields == {"band": "L4", "bonus": 5}


@pytest.mark.parametrize(
    ("said", "status"), [("SCHEDULED", "SCHEDULED"), ("AWAITING_FEEDBACK", "COMPLETED"), ("COMPLETE", "COMPLETED")]
)
def test_the_status_of_an_interview(said: str, status: InterviewStatus) -> None:
    interview = fact_of(body_of("interview_scheduled", status=said)).interview
    assert interview
    assert interview.status == status


@pytest.mark.parametrize("name", ["offer_added", "interview_scheduled"])
def test_offers_and_interviews_need_their_application_as_an_id_or_an_object(name: str) -> None:
    application = fact_of(body_of(name, application={"id": "a", "remote_id": "1"})).application
    assert application
    assert application.id == "a"
    nothing: list[object] = [None, "", [], {}, {"id": None}]
    for nobody in nothing:
        with pytest.raises(Drift, match=r"^data\.application: is"):
            normalised(body_of(name, application=nobody))


@pytest.mark.parametrize("name", ["application_added", "candidate_changed"])
def test_an_object_without_an_id_is_drift(name: str) -> None:
    with pytest.raises(Drift, match=r"^data\.id: is missing"):
        normalised(body_of(name, id=None))


@pytest.mark.parametrize("key", ["candidate", "job", "current_stage", "reject_reason", "credited_to"])
def test_a_relation_of_another_type_is_noted(key: str) -> None:
    result = normalised(body_of("application_moved", **{key: [True]}))
    assert result.facts
    assert result.soft_drift == (f"data.{key}",)


def test_a_secret_in_a_body_and_private_fields_are_never_passed_on() -> None:
    for fixture in fixtures_of("merge").values():
        told = repr(fixture.normalised(MERGE))
        for private in ("made-up-account-token", "Gender", "webhook-listener"):
            assert private not in told


def test_there_are_samples_of_applications_only() -> None:
    with pytest.raises(ValueError, match="no Merge sample of OfferChanged"):
        MERGE.sample(Sample(EventType.OFFER_CHANGED, "9", "A B", "C", NOW))
    step, of_one = (
        Sample(EventType.STAGE_CHANGED, "9", "A B", "C", NOW, "Offer"),
        handler_of("merge", linked_account="x"),
    )
    assert normalised(json.loads(of_one.sample(step)), of_one).facts
    assert not normalised(json.loads(MERGE.sample(step)), of_one).facts


@pytest.mark.parametrize("missing", CREDENTIALS)
def test_credentials_go_together_and_lead_to_a_url(missing: str) -> None:
    assert handler_of("merge", linked_account=ACCOUNT).settings
    incomplete = {key: value for key, value in CREDENTIALS.items() if key != missing}
    with pytest.raises(ValidationError, match="go together"):
        handler_of("merge", **incomplete)
    with pytest.raises(ValidationError, match="a URL is"):
        handler_of("merge", **CREDENTIALS, api_url="ftp://api.merge.dev")
    assert isinstance(MERGE, Merge)
    assert MERGE.access() is None


ROW: dict[str, Any] = json.loads(fixtures_of("merge")["polled_hired_in_lever"].body)
NAMED_STAGE, NAMED_REASON = "/job-interview-stages/", "/reject-reasons/"


async def enriched(
    body: object, application: object, named: Answers | None = None, stage: Answers | None = None
) -> tuple[Fact, list[Asked]]:
    """What a webhook says once the API was asked. ``named`` answers for a reason, ``stage`` for a stage."""

    def answer(asked: Asked) -> Answers:
        if asked.target.startswith(NAMED_STAGE):
            return stage or Answers(status=404)
        if asked.target.startswith(NAMED_REASON):
            return named or Answers(status=404)
        return application if isinstance(application, Answers) else Answers(application)

    async with stand_in(answer) as server:
        handler = handler_of("merge", **CREDENTIALS, api_url=server.url)
        assert isinstance(handler, Merge)
        fact = fact_of(body, handler)
        assert fact.needs_enrichment
        async with api_of(handler.access()) as api:
            (complete,) = await handler.enrich(fact, api)
    assert not complete.needs_enrichment
    assert complete.subject == fact.subject
    return complete, server.asked


async def test_the_api_is_asked_for_names_with_the_token_of_the_account() -> None:
    body = body_of("application_moved")
    fact, (asked,) = await enriched(body, {**ROW, "rejected_at": None, "reject_reason": None})
    assert asked.target == f"/applications/{APPLICATION}?expand=candidate,current_stage,job,reject_reason"
    assert (asked.headers["authorization"], asked.headers["x-account-token"]) == ("Bearer the key", "the token")
    assert fact.candidate
    assert (fact.candidate.name, fact.candidate.emails) == ("Ada Quill", ["ada.quill@example.org"])
    assert fact.job
    assert fact.job.title == "Platform Engineer"
    assert fact.application
    assert fact.application.stage == Stage(id=body["data"]["current_stage"], name="Phone Screen", index=2)
    assert fact.application.outcome is Outcome.PENDING
    assert fact.vendor_version == fact_of(body).vendor_version
    assert fact.occurred_at == fact_of(body).occurred_at


async def test_the_stage_of_the_webhook_stays_when_the_application_moved_on_since() -> None:
    body = body_of("application_moved", current_stage="s/1", rejected_at=None)
    later = {**ROW, "candidate": {"id": "another"}, "job": {"id": "another", "name": "Another"}}
    fact, asked = await enriched(body, later, stage=Answers({"id": "s/1", "name": "Onsite", "job": None}))
    assert [one.target for one in asked[1:]] == ["/job-interview-stages/s%2F1"]
    assert fact.application
    assert fact.application.stage == Stage(id="s/1", name="Onsite")
    assert (fact.application.outcome, fact.application.hired_at) == (Outcome.PENDING, None)
    assert (fact.candidate, fact.job) == (fact_of(body).candidate, fact_of(body).job)
    fact, _ = await enriched(body, later)
    assert fact.application
    assert (fact.application.stage, fact.application.outcome) == (Stage(id="s/1"), None)


@pytest.mark.parametrize(("name", "outcome"), [("Hired", Outcome.HIRED), ("Withdrew", Outcome.DECLINED), (None, None)])
async def test_the_reasons_name_tells_a_hire_of_lever_from_a_rejection(name: str | None, outcome: object) -> None:
    body = body_of("application_archived_in_lever", reject_reason="r")
    answer = Answers({"id": "r", "name": name}) if name else None
    fact, _ = await enriched(body, {**ROW, "reject_reason": None}, named=answer)
    assert fact.application
    assert fact.application.outcome == outcome
    assert bool(fact.application.hired_at) == (name == "Hired")
    if name == "Withdrew":
        assert fact.application.rejection_reason == RejectionReason(id="r", name="Withdrew")


@pytest.mark.parametrize("reason", [None, "without a name"])
async def test_a_rejection_stays_one_at_whatever_time_and_for_whatever_reason(reason: object) -> None:
    fact, _ = await enriched(body_of("application_rejected", rejected_at="at some time", reject_reason=reason), ROW)
    assert fact.application
    assert fact.application.outcome is Outcome.DECLINED


@pytest.mark.parametrize("name", ["offer_added", "interview_scheduled"])
async def test_offers_and_interviews_get_the_application_as_it_is(name: str) -> None:
    fact, _ = await enriched(body_of(name), ROW)
    assert fact.application
    assert fact.application.stage
    assert (fact.application.id, fact.application.stage.name) == (APPLICATION, "Phone Screen")
    assert fact.candidate
    assert fact.job
    assert (fact.offer, fact.interview) == (fact_of(body_of(name)).offer, fact_of(body_of(name)).interview)


def test_only_what_can_be_completed_needs_the_api() -> None:
    handler = handler_of("merge", **CREDENTIALS)
    for name in ("application_removed", "candidate_changed", "offer_removed", "interview_removed"):
        assert not fact_of(body_of(name), handler).needs_enrichment
    assert fact_of(body_of("application_added"), handler).needs_enrichment
    assert not fact_of(body_of("application_added")).needs_enrichment


PROBLEMS: list[tuple[Answers, type[ApiProblem] | type[Drift]]] = [
    *((Answers(status=401), Refused), (Answers(status=403), Refused), (Answers(status=404), NotThere)),
    *((Answers(status=429, headers={"retry-after": "7"}), Unavailable), (Answers(status=502), Unavailable)),
    *((Answers(b"<html>"), Unavailable), (Answers({"detail": "no application"}), Drift)),
]


@pytest.mark.parametrize(("answers", "problem"), PROBLEMS)
async def test_an_api_that_fails_is_told_apart(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await enriched(body_of("application_moved"), answers)
    assert "token" not in str(raised.value)
    if answers.status == 429:
        assert isinstance(raised.value, Unavailable)
        assert raised.value.wait == 7
