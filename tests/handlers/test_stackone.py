"""What is particular to StackOne: webhooks that name a record, and statuses that are stages and outcomes at once."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.stackone import StackOne
from router.schema import Application, EventType, Fact, Outcome, RejectionKind, Stage, StageKind
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

STACKONE = handler_of("stackone", secret=["key"])


def body_of(name: str, **changes: object) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(fixtures_of("stackone")[name].body)
    return {**body, **changes}


def normalised(body: object) -> Normalised:
    return STACKONE.normalise(receipt(json.dumps(body).encode()))


def polled(answer: object) -> Normalised:
    assert isinstance(STACKONE, StackOne)
    return STACKONE.normalise_rows(json.dumps(answer).encode())


def row_of(**changes: object) -> dict[str, Any]:
    row: dict[str, Any] = body_of("polled_application")["data"]
    return {**row, **changes}


def state_of(**changes: object) -> Fact:
    """What a row says the application is now."""
    return polled({"data": row_of(**changes)}).facts[-1]


def application_of(**changes: object) -> Application:
    application = state_of(**changes).application
    assert application
    return application


@pytest.mark.parametrize("padding", [True, False])
def test_the_signature_is_base64url_padded_or_not(padding: bool) -> None:
    body = json.dumps(body_of("ats_applications_updated")).encode()
    signature = base64.urlsafe_b64encode(hmac.new(b"key", body, hashlib.sha256).digest()).decode()
    sent = signature if padding else signature.rstrip("=")
    STACKONE.verify(receipt(body, {"x-stackone-signature": sent}))
    assert STACKONE.sign(body, NOW).headers == {"x-stackone-signature": signature.rstrip("=")}
    with pytest.raises(Rejected):
        STACKONE.verify(receipt(body, {"x-stackone-signature": hmac.new(b"key", body, hashlib.sha256).hexdigest()}))


SIGNALS = [
    f"{record}.{action}" for record in ("ats_applications", "ats_candidates") for action in ("created", "updated")
]


@pytest.mark.parametrize("event", [*SIGNALS, "ats_application.created", "ats_candidate.updated"])
def test_a_changed_record_is_a_signal(event: str) -> None:
    result = normalised(body_of("ats_applications_updated", event=event))
    assert (result.disposition, result.account, result.facts) == (Disposition.SIGNAL, "44551", ())


def test_a_deleted_record_is_told_by_its_id_and_at_its_time() -> None:
    (fact,) = normalised(body_of("ats_applications_deleted")).facts
    assert (fact.subject, fact.occurred_at) == ("a:so_app_1", datetime(2026, 3, 5, 10, tzinfo=UTC))
    (fact,) = normalised(body_of("ats_candidates_deleted", event_date=None)).facts
    assert (fact.subject, fact.occurred_at) == ("c:so_c_1", datetime(2026, 3, 5, 10, 0, 5, tzinfo=UTC))
    assert fact.type is EventType.CANDIDATE_DELETED


@pytest.mark.parametrize("identifier", [None, "", {}, True])
def test_a_deleted_record_without_an_id_is_a_signal(identifier: object) -> None:
    for name in ("ats_applications_deleted", "ats_candidates_deleted"):
        assert normalised(body_of(name, record_id=identifier)).disposition is Disposition.SIGNAL


IGNORED = ["account.created", "request.failed", "ats_interviews.updated", "ats_jobs.created", "ats_applications.moved"]


@pytest.mark.parametrize("event", [*IGNORED, "ats_applications", "", " "])
def test_any_other_event_is_ignored_by_name(event: str) -> None:
    if not event:
        with pytest.raises(Drift, match=r"^event: is missing"):
            normalised(body_of("account_updated", event=event))
        return
    result = normalised(body_of("account_updated", event=event))
    assert (result.disposition, result.vendor_event, result.account) == (Disposition.IGNORED, event, "44551")
    assert result.reason


P, H, D = Outcome.PENDING, Outcome.HIRED, Outcome.DECLINED
STATUSES: dict[str | None, tuple[Outcome | None, StageKind | None]] = {
    **{"active": (P, None), "accepted": (P, None), "approved": (P, None)},
    **dict.fromkeys(("new", "created", "lead"), (P, StageKind.APPLIED)),
    **dict.fromkeys(("review", "screen", "short_list"), (P, StageKind.SCREEN)),
    **{"assessment": (P, StageKind.ASSESSMENT), "interview": (P, StageKind.INTERVIEW), "offer": (P, StageKind.OFFER)},
    **dict.fromkeys(("background_check", "reference_check"), (P, StageKind.OTHER)),
    **{"hired": (H, None), "onboarding": (H, None), "rejected": (D, None), "declined_by_candidate": (D, None)},
    **{"converted": (None, None), "unmapped_value": (None, None), None: (None, None)},
}
ENDS = {
    **dict.fromkeys(("hired", "onboarding"), StageKind.HIRED),
    **dict.fromkeys(("rejected", "declined_by_candidate"), StageKind.REJECTED),
}


@pytest.mark.parametrize("status", STATUSES)
def test_the_status_is_the_outcome_and_the_kind_of_the_stage_on_the_way(status: str | None) -> None:
    outcome, kind = STATUSES[status]
    result = polled({"data": row_of(application_status={"value": status, "source_value": "In their words"})})
    application = result.facts[-1].application
    assert application
    assert application.outcome is outcome
    assert application.stage == Stage(id="so_st_2", name="Phone Screen", kind=kind, index=2)
    assert result.soft_drift == ()


@pytest.mark.parametrize("status", STATUSES)
def test_without_a_stage_the_status_is_one_in_the_words_of_the_ats(status: str | None) -> None:
    nowhere = {"application_stage": None, "application_stage_id": None}
    said = {"value": status, "source_value": "In their words"}
    expected = Stage(name="In their words", kind=STATUSES[status][1] or ENDS.get(status or ""))
    assert application_of(**nowhere, application_status=said).stage == (None if status == "active" else expected)
    stage = application_of(**nowhere, application_status={"value": status}).stage
    assert (stage.name if stage else None) == (None if status == "active" else status)


def test_a_status_that_nobody_knows_is_noted() -> None:
    result = polled({"data": row_of(application_status={"value": "paused"})})
    assert result.soft_drift == ("data.application_status.value",)
    assert result.facts[0].application
    assert result.facts[0].application.outcome is None


def test_the_deprecated_names_of_a_stage_are_read_where_the_new_ones_are_missing() -> None:
    old = {"application_stage": None, "application_stage_id": None}
    assert application_of(**old, interview_stage={"id": "i", "name": "Old", "order": 1}).stage == Stage(
        id="i", name="Old", kind=StageKind.SCREEN, index=1
    )
    assert application_of(**old, interview_stage_id="i").stage == Stage(id="i", kind=StageKind.SCREEN)
    assert application_of(application_stage=None).stage == Stage(id="so_st_2", kind=StageKind.SCREEN)
    assert application_of(**old, interview_stage=[{"id": "i", "name": "Older", "order": 1}]).stage == Stage(
        id="i", name="Older", kind=StageKind.SCREEN, index=1
    )
    assert application_of(**old, interview_stage=[]).stage == application_of(**old, interview_stage=None).stage
    both = application_of(interview_stage={"id": "i", "name": "Old"}, interview_stage_id="i")
    assert both.stage == application_of().stage


REASON = {"id": "rr", "label": "Too far away"}
REASONS: list[tuple[dict[str, Any], RejectionKind | None]] = [
    ({"rejected_reason_type": {"value": "rejected_by_candidate"}}, RejectionKind.WITHDRAWN_BY_CANDIDATE),
    ({"rejected_reason_type": {"value": "rejected_by_organization"}}, RejectionKind.REJECTED_BY_COMPANY),
    ({"rejected_reason_type": {"value": "other"}}, RejectionKind.OTHER),
    ({"rejected_reason_type": {"value": "unknown"}}, None),
    ({"rejected_reason_type": None}, None),
    ({"type": "rejected_by_candidate"}, RejectionKind.WITHDRAWN_BY_CANDIDATE),
    ({"type": "x", "rejected_reason_type": {"value": "other"}}, RejectionKind.OTHER),
]


@pytest.mark.parametrize(("fields", "kind"), REASONS)
def test_a_rejection_is_of_a_kind(fields: dict[str, Any], kind: RejectionKind | None) -> None:
    rejected = {"value": "rejected", "source_value": None}
    reason = application_of(application_status=rejected, rejected_reasons=[{**REASON, **fields}]).rejection_reason
    assert reason
    assert (reason.id, reason.name, reason.kind) == ("rr", "Too far away", kind)


def test_who_declined_withdrew_unless_the_reason_says_otherwise() -> None:
    declined = {"value": "declined_by_candidate"}
    for reasons in (None, [], [REASON]):
        reason = application_of(application_status=declined, rejected_reasons=reasons).rejection_reason
        assert reason
        assert reason.kind is RejectionKind.WITHDRAWN_BY_CANDIDATE
    told = [{**REASON, "type": "rejected_by_organization"}]
    reason = application_of(application_status=declined, rejected_reasons=told).rejection_reason
    assert reason
    assert reason.kind is RejectionKind.REJECTED_BY_COMPANY


def test_a_time_of_rejection_is_a_rejection_where_no_status_says_so() -> None:
    at = {"rejected_at": "2026-03-06T10:00:00.000Z"}
    assert application_of(**at, application_status={"value": None}).outcome is Outcome.DECLINED
    assert application_of(**at, application_status={"value": "hired"}).outcome is Outcome.HIRED


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ({"name": "A. Quill", "first_name": "Ada", "last_name": "Quill"}, "Ada Quill"),
        ({"name": "A. Quill", "first_name": None, "last_name": None}, "A. Quill"),
        ({"name": "A. Quill", "first_name": None, "last_name": "Quill"}, "Quill"),
        ({"name": None}, None),
    ],
)
def test_first_and_last_name_come_before_the_whole_one(names: dict[str, object], name: str | None) -> None:
    candidate = state_of(candidate=names).candidate
    assert candidate
    assert (candidate.id, candidate.name) == ("so_c_1", name)


def test_the_first_address_is_the_primary_one_and_none_is_told_twice() -> None:
    emails = [{"value": "b@example.org"}, {"value": "a@example.org"}]
    candidate = state_of(candidate={"email": "a@example.org", "emails": emails}).candidate
    assert candidate
    assert candidate.emails == ["a@example.org", "b@example.org"]
    assert state_of(candidate=None, candidate_id=None).candidate is None


def test_the_history_of_an_application_is_not_taken_for_applications() -> None:
    change = body_of("polled_changes")["data"][0]
    assert polled({"data": [change]}).disposition is Disposition.IGNORED
    assert {fact.subject for fact in polled({"data": [change, row_of()]}).facts} == {"a:so_app_1"}


def test_a_row_without_an_id_is_drift() -> None:
    with pytest.raises(Drift, match=r"^data\.id: is missing"):
        polled({"data": row_of(id=None)})
    with pytest.raises(Drift, match=r"^data\[\]\.id: is missing"):
        polled({"data": [row_of(id=None)]})


def test_private_fields_are_never_passed_on() -> None:
    assert "gender" not in repr(fixtures_of("stackone")["polled_page"].normalised(STACKONE))


def test_there_is_no_sample_as_no_webhook_holds_an_application() -> None:
    with pytest.raises(ValueError, match="no StackOne sample of StageChanged: its webhooks hold no application"):
        STACKONE.sample(Sample(EventType.STAGE_CHANGED, "9", "A B", "C", NOW))
