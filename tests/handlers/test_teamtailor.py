"""What is particular to Teamtailor: two signatures, three forms of bodies, updates that do not say what changed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Handler, Normalised, Receipt, Rejected, Sample
from handlers.enriching import Enriches, NotThere, Refused, Unavailable
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import (
    Application,
    Candidate,
    Event,
    EventType,
    Fact,
    Job,
    Outcome,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

TEAMTAILOR = handler_of("teamtailor", secret=["key"])
BY_ID = handler_of("teamtailor", secret=["key"], signature="v1")
SECONDS = int(NOW.timestamp())


def body_of(name: str, **changes: object) -> dict[str, Any]:
    """The body of a flat fixture, with changes."""
    body: dict[str, Any] = json.loads(fixtures_of("teamtailor")[name].body)
    return body | changes


def read(body: Mapping[str, object], handler: Handler = TEAMTAILOR) -> Normalised:
    return handler.with_kinds(handler.normalise(receipt(json.dumps(body).encode())))


def fact_of(body: Mapping[str, object], handler: Handler = TEAMTAILOR) -> Fact:
    (fact,) = read(body, handler).facts
    return fact


def application_of(body: Mapping[str, object], handler: Handler = TEAMTAILOR) -> Application:
    application = fact_of(body, handler).application
    assert application
    return application


def told(bodies: Sequence[Mapping[str, object]], handler: Handler = TEAMTAILOR) -> list[Event]:
    """The events that a series of bodies makes."""
    state, events = ApplicationState(), []
    for body in bodies:
        sent = receipt(json.dumps(body).encode())
        normalised = read(body, handler)
        for waiting in waiting_facts(normalised, receipt_id="r", source="s", vendor="v", receipt=sent, mark=None):
            state, news = project(state, waiting)
            events += news
    return events


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def v2(body: bytes, seconds: int = SECONDS, *, form: str = "t={seconds},v2={digest}") -> Receipt:
    digest = hmac.new(b"key", f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return receipt(body, {"tt-signature": in_base64(form.format(seconds=seconds, digest=digest))})


def v1(body: bytes, id_: str) -> Receipt:
    return receipt(body, {"tt-signature": in_base64(hmac.new(b"key", id_.encode(), hashlib.sha256).hexdigest())})


def test_the_signature_is_base64_of_the_time_and_the_digest_of_time_and_exact_bytes() -> None:
    body = b'{"event_name":"job.update","note":"\\u003cp\\u003e \xc3\xbc"}'
    TEAMTAILOR.verify(v2(body))
    assert TEAMTAILOR.sign(body, NOW).headers == dict(v2(body).headers)
    parsed_and_written = json.dumps(json.loads(body)).encode()
    with pytest.raises(Rejected):
        TEAMTAILOR.verify(receipt(parsed_and_written, v2(body).headers))


def test_signatures_that_openssl_made() -> None:
    made = (
        "dD0xNzgwMzE3MDAwLHYyPWZjMjg2OTIyMzc1ZmIzNzgwZTU4NTYxNzE1ZGZmODk2MzFjN2ZmNjI4MTJhYmRmYTZhYjA0NjZhZTQ5ZDU2ZmM="
    )
    TEAMTAILOR.verify(receipt(b'{"id":1}', {"tt-signature": made}))
    by_id = in_base64("a12ae0285140d1a5ed824fe71d28ad45e436ace9bbeb95f95d4fe145a0d1f3d1")
    BY_ID.verify(receipt(b'{"id":17}', {"tt-signature": by_id}))


@pytest.mark.parametrize(
    "form",
    [
        "v2={digest},t={seconds}",
        "t={seconds},v2={digest},v3=00",
        "t={seconds},v1={digest}",
        "t={seconds}, v2={digest}",
        "t={seconds},v2={digest}\n",
        "t=+{seconds},v2={digest}",
        "{digest}",
        "t={seconds}",
        "",
    ],
)
def test_another_form_of_the_signature_is_rejected(form: str) -> None:
    with pytest.raises(Rejected):
        TEAMTAILOR.verify(v2(b"{}", form=form))


def test_base64_that_is_written_otherwise_is_rejected() -> None:
    sent = v2(b"{}")
    [(name, value)] = sent.headers
    assert value.endswith("=")
    TEAMTAILOR.verify(receipt(b"{}", {name: value.rstrip("=")}))
    last = value.rstrip("=")[-1]
    spare_bit = chr(ord(last) + 1)
    assert base64.b64decode(value) == base64.b64decode(value.replace(f"{last}=", f"{spare_bit}="))
    for other in (value.replace(f"{last}=", f"{spare_bit}="), value + "=", in_base64("t=1,v2=ü"), "ü" * 8, "%%%%"):
        with pytest.raises(Rejected):
            TEAMTAILOR.verify(receipt(b"{}", {name: other}))


@pytest.mark.parametrize(("seconds", "is_in_time"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_a_signature_is_valid_for_five_minutes(seconds: int, is_in_time: bool) -> None:
    sent = v2(b"{}", SECONDS + seconds)
    if is_in_time:
        TEAMTAILOR.verify(sent)
        return
    with pytest.raises(Rejected, match="more than 300 seconds"):
        TEAMTAILOR.verify(sent)


@pytest.mark.parametrize(
    "body",
    [
        {"event_name": "job.update", "id": 17},
        {"event_name": "job.update", "id": "17"},
        {"payload": {"event_name": "job.update", "data": {"id": "17"}}},
        {"event_name": "job.update", "data": {"id": 17}},
    ],
)
def test_v1_signs_the_id_and_counts_only_where_it_is_asked_for(body: Mapping[str, object]) -> None:
    raw = json.dumps(body).encode()
    BY_ID.verify(v1(raw, "17"))
    assert BY_ID.sign(raw, NOW).headers == dict(v1(raw, "17").headers)
    for handler, sent in ((BY_ID, v1(raw, "18")), (BY_ID, v2(raw)), (TEAMTAILOR, v1(raw, "17"))):
        with pytest.raises(Rejected):
            handler.verify(sent)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": true}', b'{"payload": {"data": {}}}', b"\xff"])
def test_v1_of_a_body_without_an_id_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected, match="no id"):
        BY_ID.verify(v1(body, ""))
    assert BY_ID.sign(body, NOW).headers == {}


@pytest.mark.parametrize("event", ["candidate.create", "job.create", "job.update", "job.destroy", "interview.create"])
def test_events_without_a_common_type_are_ignored_by_name(event: str) -> None:
    result = read({"event_name": event, "id": 1})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, event)


@pytest.mark.parametrize("body", [{}, {"event_name": None}, {"event_name": ""}, {"event_name": 7}, {"payload": {}}])
def test_a_signed_request_without_a_name_is_ignored(body: Mapping[str, object]) -> None:
    result = read(body)
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, None)
    assert result.reason


def test_the_three_forms_say_the_same() -> None:
    names = ["stage_changed", "stage_changed_wrapped", "stage_changed_with_relationships"]
    facts = [TEAMTAILOR.normalise(fixtures_of("teamtailor")[name].receipt).facts[0] for name in names]
    assert len({fact.application.model_dump_json() for fact in facts if fact.application}) == 1
    assert len({fact.job.model_dump_json() for fact in facts if fact.job}) == 1
    assert len({(fact.occurred_at, fact.vendor_version) for fact in facts}) == 1
    assert [fact.candidate.id if fact.candidate else None for fact in facts] == ["44120981", None, "44120981"]


@pytest.mark.parametrize(
    ("rejected_at", "outcome"),
    [
        (None, Outcome.PENDING),
        ("2026-05-08T18:02:59.000+02:00", Outcome.DECLINED),
        ("soon", None),
        (7, None),
        ({}, None),
    ],
)
def test_rejected_is_who_has_a_time_of_rejection(rejected_at: object, outcome: Outcome | None) -> None:
    assert application_of(body_of("stage_changed", rejected_at=rejected_at)).outcome is outcome


def test_a_missing_time_of_rejection_says_nothing_of_the_outcome() -> None:
    body = body_of("stage_changed")
    del body["rejected_at"]
    assert application_of(body).outcome is None
    assert read(body).soft_drift == ("rejected_at",)


def test_an_update_is_what_differs_from_what_is_known() -> None:
    series = ("application_created", "stage_changed", "rejected", "rejected", "unrejected", "otherwise_updated")
    events = told([body_of(name, updated_at=f"2026-05-{day:02}T00:00:00Z") for day, name in enumerate(series, 1)])
    assert [event.type for event in events] == [
        EventType.APPLICATION_CREATED,
        EventType.STAGE_CHANGED,
        EventType.OUTCOME_CHANGED,
        EventType.OUTCOME_CHANGED,
        EventType.APPLICATION_UPDATED,
    ]
    moved, rejected, unrejected = events[1:4]
    assert moved.from_stage == Stage(name="Inbox", kind=StageKind.APPLIED)
    assert moved.to_stage == Stage(name="First interview")
    assert [event.application.outcome for event in (rejected, unrejected) if event.application] == [
        "DECLINED",
        "PENDING",
    ]
    assert rejected.occurred_at == datetime(2026, 5, 8, 16, 2, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("stage_changed", [EventType.STAGE_CHANGED]),
        ("rejected", [EventType.OUTCOME_CHANGED]),
        ("hired", [EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED]),
    ],
)
def test_an_update_of_something_unknown(name: str, types: list[EventType]) -> None:
    assert [event.type for event in told([body_of(name)])] == types


def test_an_update_that_was_overtaken_is_late_and_changes_nothing() -> None:
    first, second = body_of("stage_changed"), body_of("hired")
    in_order = told([second])
    assert [event.late for event in in_order] == [False, False]
    events = told([second, first, {**second, "updated_at": "2026-05-21T00:00:00Z"}])
    assert events[:2] == in_order
    assert all(event.late for event in events[2:])


def test_a_hire_is_a_stage_and_lasts_as_long_as_the_candidate_stands_there() -> None:
    later = "2026-05-22T00:00:00Z"
    hired, renamed = body_of("hired"), body_of("hired", job_title="Another", updated_at=later)
    back = body_of("stage_changed", updated_at="2026-05-23T00:00:00Z")
    events = told([body_of("stage_changed"), hired, renamed, back])
    outcomes = [(event.type, event.application.outcome) for event in events if event.application]
    assert outcomes[1:] == [
        (EventType.STAGE_CHANGED, Outcome.HIRED),
        (EventType.OUTCOME_CHANGED, Outcome.HIRED),
        (EventType.APPLICATION_UPDATED, Outcome.HIRED),
        (EventType.STAGE_CHANGED, Outcome.PENDING),
        (EventType.OUTCOME_CHANGED, Outcome.PENDING),
    ]


def test_the_stages_that_mean_something_can_be_named() -> None:
    stages = {"HIRED": ["Anställd"], "REJECTED": ["Nej tack"], "INTERVIEW": ["*interview*"]}
    handler = handler_of("teamtailor", stages=stages)
    for name, kind, outcome in (
        ("Anställd", StageKind.HIRED, Outcome.HIRED),
        ("nej tack", StageKind.REJECTED, Outcome.DECLINED),
        ("First interview", StageKind.INTERVIEW, Outcome.PENDING),
        ("Hired", StageKind.HIRED, Outcome.HIRED),
        ("Hired elsewhere", None, Outcome.PENDING),
    ):
        application = application_of(body_of("stage_changed", stage_name=name), handler)
        assert application.stage
        assert (application.stage.kind, application.outcome) == (kind, outcome), name
    rejected = application_of(body_of("rejected", stage_name="Anställd"), handler)
    assert rejected.outcome is Outcome.DECLINED


def test_until_when_a_rejection_has_to_be_kept_from_the_candidate() -> None:
    (event,) = told([body_of("rejected")])
    assert event.application
    assert event.application.custom_fields == {"transparent_recruiting_visible_at": "2026-05-11T16:02:59Z"}
    assert application_of(body_of("stage_changed")).custom_fields == {}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"last_moved_at": "2026-05-06T10:00:00Z", "updated_at": "2026-05-06T10:00:59Z"}, "2026-05-06T10:00:00Z"),
        ({"last_moved_at": "2026-05-06T10:00:00Z", "updated_at": "2026-05-06T10:01:00Z"}, "2026-05-06T10:01:00Z"),
        ({"last_moved_at": None, "updated_at": "2026-05-06T10:00:00Z"}, "2026-05-06T10:00:00Z"),
        ({"last_moved_at": "2026-05-06T10:00:00Z", "updated_at": None}, "2026-05-06T10:00:00Z"),
        ({"last_moved_at": "2026-05-06T10:00:00Z", "updated_at": "2026-05-05T10:00:00Z"}, "2026-05-06T10:00:00Z"),
        (
            {"last_moved_at": "2026-05-06T10:00:00Z", "rejected_at": "2026-05-07T10:00:00Z", "updated_at": None},
            "2026-05-07T10:00:00Z",
        ),
        (
            {
                "last_moved_at": "2026-05-08T10:00:00Z",
                "rejected_at": "2026-05-07T10:00:00Z",
                "updated_at": "2026-05-08T10:00:01Z",
            },
            "2026-05-08T10:00:00Z",
        ),
        ({"last_moved_at": None, "updated_at": None}, None),
    ],
)
def test_when_it_happened(times: Mapping[str, object], expected: str | None) -> None:
    occurred_at = fact_of(body_of("stage_changed", **times)).occurred_at
    assert occurred_at == (datetime.fromisoformat(expected) if expected else None)


def test_versions_compare_as_text_whatever_the_zone() -> None:
    times = ["2026-05-06T23:59:59+02:00", "2026-05-06T22:00:00.001Z", "2026-05-07T00:00:00.002+02:00"]
    versions = [fact_of(body_of("stage_changed", updated_at=time)).vendor_version for time in times]
    assert None not in versions
    assert versions == sorted(map(str, versions))
    assert len(set(versions)) == 3
    assert fact_of(body_of("stage_changed", updated_at=None)).vendor_version is None


def test_the_bytes_tell_duplicates_apart() -> None:
    """Neither is anything sent twice, nor does v1 sign anything that could tell."""
    assert read(body_of("stage_changed")).dedupe is None


def test_what_is_missing_is_noted_and_an_id_is_needed() -> None:
    result = read({"event_name": "job_application.update", "id": 1})
    assert set(result.soft_drift) == {
        *("rejected_at", "updated_at", "stage_name", "referer_id", "transparent_recruiting_visible_at"),
        *("last_moved_at", "referring_site", "job_id", "job_title"),
    }
    wrong: list[object] = [None, "", True, []]
    for bad in wrong:
        with pytest.raises(Drift, match=r"^id: "):
            read(body_of("stage_changed", id=bad))
    with pytest.raises(Drift, match=r"^payload\.data\.id: is missing"):
        read({"payload": {"event_name": "candidate.destroy", "data": {"type": "candidates"}}})


@pytest.mark.parametrize("name", sorted(fixtures_of("teamtailor")))
def test_nothing_that_no_one_asked_for_is_passed_on(name: str) -> None:
    result = TEAMTAILOR.normalise(fixtures_of("teamtailor")[name].receipt)
    text = "".join(fact.model_dump_json() for fact in result.facts)
    for private in ("files.example.com", "token=", "Hello", "bm90IHVzZWQ"):
        assert private not in text


def test_a_hire_can_be_made_up_at_a_stage_that_means_it_only() -> None:
    step = Sample(EventType.OUTCOME_CHANGED, "9", "A B", "C", NOW, None, Outcome.HIRED)
    application = application_of(json.loads(TEAMTAILOR.sample(step)))
    assert (application.outcome, application.stage) == (Outcome.HIRED, Stage(name="Hired", kind=StageKind.HIRED))
    for type_, stage in ((EventType.OUTCOME_CHANGED, "Offer"), (EventType.OFFER_CHANGED, None)):
        with pytest.raises(ValueError, match=f"no Teamtailor sample of {type_}"):
            TEAMTAILOR.sample(Sample(type_, "9", "A B", "C", NOW, stage, Outcome.HIRED))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"signature": "v3"}, "v2"),
        ({"api_url": "api.teamtailor.com"}, "a URL is https://"),
        ({"api_url": "https://user:pass@api.teamtailor.com"}, "no user and password"),
        ({"api_token": "x"}, "api_token"),
    ],
)
def test_wrong_settings_are_explained(changes: Mapping[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as error:
        handler_of("teamtailor", **changes)
    assert "pass@" not in str(error.value)


# What the API adds.

ANSWER: dict[str, Any] = {
    "data": {
        "id": "200317742",
        "type": "job-applications",
        "attributes": {
            "created-at": "2026-05-04T11:14:01.990+02:00",
            "cover-letter": "Dear Sir/Madam",
            "updated-at": "2026-05-08T18:02:59.031+02:00",
            "rejected-at": None,
            "referring-url": None,
            "referring-site": "Indeed",
            "sourced": False,
            "changed-stage-at": "2026-05-06T15:40:11.498+02:00",
        },
        "relationships": {
            "candidate": {"links": {}, "data": {"type": "candidates", "id": "44120981"}},
            "stage": {"links": {}, "data": {"type": "stages", "id": "22505"}},
        },
    },
    "included": [
        {
            "id": "44120981",
            "type": "candidates",
            "attributes": {
                **{"email": "alva.berg@example.org", "first-name": "Alva", "last-name": "Berg", "phone": None},
                **{"linkedin-url": None, "resume": "https://files.example.com/cv.pdf?token=1", "tags": ["retail"]},
            },
        },
        {"id": "5210877", "type": "jobs", "attributes": {"title": "Store Manager", "status": "open"}},
        {"id": "22505", "type": "stages", "attributes": {"name": "First interview", "stage-type": "In process"}},
    ],
}
REASON = {"id": "31", "type": "reject-reasons", "attributes": {"reason": "Not a fit", "rejected-by-company": True}}


def answer_of(*more: Mapping[str, Any], stage: Mapping[str, Any] | None = None, **attributes: object) -> dict[str, Any]:
    """The API's answer with other attributes and another stage, and with more included."""
    answer: dict[str, Any] = json.loads(json.dumps(ANSWER))
    answer["data"]["attributes"] |= {key.replace("_", "-"): value for key, value in attributes.items()}
    if stage is not None:
        answer["included"][2]["attributes"] |= stage
    answer["included"] += more
    return answer


async def enriched(body: Mapping[str, object], answers: Answers, **settings: object) -> tuple[Fact, list[Asked]]:
    """The fact of a body, completed by an API that gives the same answer to everything."""
    async with stand_in(lambda asked: answers) as server:
        handler = handler_of("teamtailor", api_key="the api key", api_url=f"{server.url}/v1", **settings)
        fact = fact_of(body, handler)
        assert fact.needs_enrichment
        assert isinstance(handler, Enriches)
        async with api_of(handler.access()) as api:
            (completed,) = await handler.enrich(fact, api)
        assert completed.subject == fact.subject
        assert not completed.needs_enrichment
        return handler.with_kind(completed), server.asked


async def test_the_api_is_asked_as_it_wants_to_be() -> None:
    _, (asked,) = await enriched(body_of("stage_changed"), Answers(answer_of()), api_version="20990101")
    assert asked.method == "GET"
    assert asked.target in (
        "/v1/job-applications/200317742?include=candidate,job,stage,reject-reason",
        "/v1/job-applications/200317742?include=candidate%2Cjob%2Cstage%2Creject-reason",
    )
    assert asked.headers["authorization"] == "Token token=the api key"
    assert asked.headers["x-api-version"] == "20990101"
    assert asked.headers["accept"] == "application/vnd.api+json"


async def test_of_a_bare_id_the_api_knows_what_differs() -> None:
    bare = body_of("updated_bare")
    assert [event.type for event in told([bare])] == [EventType.APPLICATION_UPDATED]
    assert fact_of(bare).job is None
    answers = (answer_of(), answer_of(rejected_at="2026-05-08T18:02:59.000+02:00"))
    for answer, outcome in zip(answers, (Outcome.PENDING, Outcome.DECLINED), strict=True):
        fact, _ = await enriched(bare, Answers(answer))
        assert fact.is_snapshot
        assert fact.application
        assert (fact.application.stage, fact.application.outcome) == (
            Stage(id="22505", name="First interview"),
            outcome,
        )


def test_without_a_key_nothing_is_asked() -> None:
    assert not fact_of(body_of("stage_changed")).needs_enrichment
    assert isinstance(TEAMTAILOR, Enriches)
    assert TEAMTAILOR.access() is None
    with_key = handler_of("teamtailor", api_key="the api key")
    for name in ("application_deleted", "candidate_updated", "candidate_deleted"):
        assert not fact_of(body_of(name), with_key).needs_enrichment
    assert isinstance(with_key, Enriches)
    assert "the api key" not in repr(with_key.access())


async def test_the_api_adds_ids_and_the_candidate_that_a_body_lacks() -> None:
    fact, _ = await enriched(body_of("stage_changed_wrapped"), Answers(answer_of()))
    said = fact_of(body_of("stage_changed_wrapped"))
    assert fact.application
    assert said.application
    assert fact.application == said.application.model_copy(
        update={
            "stage": Stage(id="22505", name="First interview"),
            "created_at": datetime(2026, 5, 4, 9, 14, 1, 990_000, tzinfo=UTC),
        }
    )
    assert fact.candidate == Candidate(
        id="44120981",
        name="Alva Berg",
        first_name="Alva",
        last_name="Berg",
        emails=["alva.berg@example.org"],
        tags=["retail"],
    )
    assert (fact.job, fact.occurred_at, fact.vendor_version) == (said.job, said.occurred_at, said.vendor_version)


async def test_what_the_body_said_of_the_candidate_stays() -> None:
    fact, _ = await enriched(body_of("stage_changed"), Answers(answer_of()))
    assert fact.candidate
    assert (fact.candidate.last_name, fact.candidate.tags) == ("Bergström & Co", ["retail"])
    other = answer_of()
    other["included"][0]["id"] = "999"
    fact, _ = await enriched(body_of("stage_changed"), Answers(other))
    assert fact.candidate == fact_of(body_of("stage_changed")).candidate


@pytest.mark.parametrize(
    ("type_", "kind", "outcome"),
    [
        ("Inbox", StageKind.APPLIED, Outcome.PENDING),
        ("In process", None, Outcome.PENDING),
        ("Hired", StageKind.HIRED, Outcome.HIRED),
        (None, None, Outcome.PENDING),
    ],
)
async def test_the_type_of_a_stage_tells_a_hire_in_any_language(
    type_: str | None, kind: StageKind | None, outcome: Outcome
) -> None:
    body = body_of("stage_changed", stage_name="Anställd")
    fact, _ = await enriched(body, Answers(answer_of(stage={"name": "Anställd", "stage-type": type_})))
    assert fact.application
    assert fact.application.stage == Stage(id="22505", name="Anställd", kind=kind)
    assert fact.application.outcome is outcome


async def test_a_stage_that_was_left_in_the_meantime_stays_what_the_body_said() -> None:
    moved_on = answer_of(stage={"name": "Hired", "stage-type": "Hired"}, updated_at="2026-05-09T00:00:00Z")
    fact, _ = await enriched(body_of("stage_changed"), Answers(moved_on))
    assert fact.application
    assert (fact.application.stage, fact.application.outcome) == (Stage(name="First interview"), Outcome.PENDING)
    assert fact.vendor_version == fact_of(body_of("stage_changed")).vendor_version
    fact, _ = await enriched(body_of("stage_changed", stage_name=None), Answers(moved_on))
    assert fact.application
    assert fact.application.stage == Stage(id="22505", name="Hired", kind=StageKind.HIRED)


@pytest.mark.parametrize(
    ("by_company", "kind"),
    [(True, RejectionKind.REJECTED_BY_COMPANY), (False, RejectionKind.WITHDRAWN_BY_CANDIDATE), (None, None)],
)
async def test_a_rejection_has_a_reason(by_company: bool | None, kind: RejectionKind | None) -> None:
    reason = {**REASON, "attributes": {"reason": "Not a fit", "rejected-by-company": by_company}}
    fact, _ = await enriched(body_of("rejected"), Answers(answer_of(reason, rejected_at="2026-05-08T18:02:59+02:00")))
    assert fact.application
    assert fact.application.rejection_reason == RejectionReason(id="31", name="Not a fit", kind=kind)
    assert fact.application.custom_fields


async def test_a_decision_that_changed_in_the_meantime_stays_what_the_body_said() -> None:
    fact, _ = await enriched(body_of("rejected"), Answers(answer_of(REASON)))
    assert fact.application
    assert (fact.application.outcome, fact.application.rejection_reason) == (Outcome.DECLINED, None)
    fact, _ = await enriched(body_of("stage_changed"), Answers(answer_of(REASON, rejected_at="2026-05-09T00:00:00Z")))
    assert fact.application
    assert fact.application.outcome is Outcome.PENDING
    assert (fact.application.rejected_at, fact.application.rejection_reason) == (None, None)


async def test_with_v1_the_api_decides_what_happened() -> None:
    forged = body_of("hired", candidate=None, job_title="Forged")
    fact, _ = await enriched(forged, Answers(answer_of()), signature="v1")
    assert fact.application
    assert fact.application.stage == Stage(id="22505", name="First interview")
    assert (fact.application.outcome, fact.is_snapshot) == (Outcome.PENDING, True)
    assert fact.job == Job(id="5210877", title="Store Manager")
    assert fact.candidate
    assert fact.candidate.last_name == "Berg"
    assert fact.vendor_version == "2026-05-08T16:02:59.031000+00:00"
    created, _ = await enriched(body_of("application_created"), Answers(answer_of()), signature="v1")
    assert (created.type, created.is_snapshot) == (EventType.APPLICATION_CREATED, False)


async def test_with_v1_a_rejection_is_the_api_s_and_its_reserve_stays() -> None:
    fact, _ = await enriched(body_of("rejected"), Answers(answer_of(REASON)), signature="v1")
    assert fact.application
    assert (fact.application.outcome, fact.application.rejection_reason) == (Outcome.PENDING, None)
    assert fact.application.custom_fields == {"transparent_recruiting_visible_at": "2026-05-11T16:02:59Z"}


async def test_with_v1_nothing_is_deleted_that_is_still_there() -> None:
    fact, _ = await enriched(body_of("application_deleted"), Answers(answer_of()), signature="v1")
    assert (fact.type, fact.is_snapshot) == (EventType.APPLICATION_UPDATED, True)
    person = {"data": {**ANSWER["included"][0], "type": "candidates"}}
    fact, (asked,) = await enriched(body_of("candidate_deleted"), Answers(person), signature="v1")
    assert asked.target == "/v1/candidates/44120981"
    assert fact.type is EventType.CANDIDATE_UPDATED
    assert fact.candidate
    assert fact.candidate.emails == ["alva.berg@example.org"]
    with pytest.raises(NotThere):
        await enriched(body_of("candidate_deleted"), Answers({}, 404), signature="v1")


async def test_an_id_leads_to_no_other_path() -> None:
    _, (asked,) = await enriched(body_of("stage_changed", id="1/../../users?x=1"), Answers(answer_of()))
    assert asked.target.startswith("/v1/job-applications/1%2F..%2F..%2Fusers%3Fx")


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers({"errors": []}, 401), Refused),
        (Answers({"errors": []}, 403), Refused),
        (Answers({"errors": []}, 404), NotThere),
        (Answers({}, 429, {"retry-after": "7"}), Unavailable),
        (Answers({}, 500), Unavailable),
        (Answers(b"<html>"), Unavailable),
        (Answers({"data": None}), Drift),
        (Answers({"data": {"id": "1", "attributes": []}}), Drift),
    ],
)
async def test_an_api_that_does_not_answer(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await enriched(body_of("stage_changed"), answers)
    assert "the api key" not in str(raised.value)
    if isinstance(raised.value, Unavailable) and answers.status == 429:
        assert raised.value.wait == 7
