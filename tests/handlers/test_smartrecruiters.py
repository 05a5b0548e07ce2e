"""What is particular to SmartRecruiters: signed headers, the handshake, bare ids, and the API that knows the rest."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Handler, Normalised, Receipt, Rejected, Reply, Sample
from handlers.connecting import Connects, Hook
from handlers.enriching import ApiProblem, Enriches, NotThere, Refused, Unavailable
from router.project import project
from router.records import ApplicationState, WaitingFact
from router.schema import (
    Application,
    Candidate,
    Event,
    EventType,
    Fact,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)
from router.vendor_api import VendorApi
from tests.handlers.vendor_api import Answers, Asked, StandIn, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

SIGNATURE, TIMESTAMP = "smartrecruiters-signature", "smartrecruiters-timestamp"
ORDER = ("event-id", "event-name", "event-version", "link")
CANDIDATE, JOB = "7d6c5b4a-3928-4716-8504-f3e2d1c0bfae", "e1d2c3b4-a596-4877-8695-a4b3c2d1e0f9"
APPLICATION = f"{CANDIDATE}:{JOB}"
IDS = {"job_id": JOB, "candidate_id": CANDIDATE, "application_id": "c2b1a098-7766-4544-8332-2110ffeeddcc"}
HANDLER = handler_of("smartrecruiters", secret=["key"])

# what reference/subscriptionsgeneratesecretkey-1 prints; the blank that it prints in the body was not signed
PUBLISHED_KEY = "HeBVky2bccvvkcXPimH8c"
PUBLISHED_BODY = b'{"job_id":"jid","candidate_id":"cid"}'
PUBLISHED_HEADERS = {
    TIMESTAMP: "1574080897",
    "event-id": "123",
    "event-name": "application.created",
    "event-version": "v201910",
    "link": "<http://smartrecruiters.com/endpoint>; rel=self",
    SIGNATURE: "v1=2e9291f10d44ca10204a4cd81b05d73b6a316b2b605d4e2e0e0b37b40198ce1f",
}


def signed(body: bytes, headers: Mapping[str, str], *keys: str) -> dict[str, str]:
    """The headers with a signature per key, made as the documentation says."""
    values = [headers[TIMESTAMP], body.decode(), *(headers.get(name, "") for name in ORDER)]
    digests = [hmac.new(key.encode(), ".".join(values).encode(), hashlib.sha256).hexdigest() for key in keys]
    return {**headers, SIGNATURE: ";".join(f"v1={digest}" for digest in digests)}


def headers_of(event: str, at: datetime = NOW, **more: str) -> dict[str, str]:
    return {TIMESTAMP: str(int(at.timestamp())), "event-id": "e-1", "event-name": event, "event-version": "v1", **more}


def told(event: str, body: object, *, link: str = "", id_: str = "e-1") -> Normalised:
    headers = headers_of(event) | {"event-id": id_, "link": link}
    return HANDLER.normalise(receipt(json.dumps(body).encode(), headers))


def fact_of(event: str, body: object = IDS, at: datetime = NOW) -> Fact:
    (fact,) = HANDLER.normalise(receipt(json.dumps(body).encode(), headers_of(event, at))).facts
    return fact


def arriving(headers: Mapping[str, str], body: bytes, at: datetime) -> Receipt:
    return Receipt(tuple(headers.items()), body, at)


def test_the_vector_that_the_documentation_prints() -> None:
    handler = handler_of("smartrecruiters", secret=[PUBLISHED_KEY])
    at = datetime.fromtimestamp(1574080897, UTC)
    handler.verify(arriving(PUBLISHED_HEADERS, PUBLISHED_BODY, at))
    for name in (TIMESTAMP, *ORDER):
        for changed in ({**PUBLISHED_HEADERS, name: PUBLISHED_HEADERS[name] + "0"}, without(PUBLISHED_HEADERS, name)):
            with pytest.raises(Rejected):
                handler.verify(arriving(changed, PUBLISHED_BODY, at))
    with pytest.raises(Rejected):
        handler.verify(arriving(PUBLISHED_HEADERS, PUBLISHED_BODY.replace(b',"', b', "'), at))


def without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key not in names}


@pytest.mark.parametrize("missing", [(), ("link",), ("event-id",), ("event-version", "link"), ORDER])
def test_a_header_that_is_missing_is_signed_as_an_empty_text(missing: tuple[str, ...]) -> None:
    headers = without(headers_of("application.created", link="<x>; rel=self"), *missing)
    HANDLER.verify(receipt(b"{}", signed(b"{}", headers, "key")))


def test_a_signed_header_that_comes_twice_is_rejected_even_if_none_was_signed() -> None:
    headers = without(headers_of("application.created"), "event-id")
    sent = signed(b"{}", headers, "key")
    HANDLER.verify(receipt(b"{}", sent))
    with pytest.raises(Rejected, match="the event-id header came more than once"):
        HANDLER.verify(receipt(b"{}", [*sent.items(), ("event-id", "a"), ("event-id", "b")]))


def test_one_right_signature_of_several_is_enough_and_other_schemes_count_for_nothing() -> None:
    headers = headers_of("application.created")
    right = signed(b"{}", headers, "key")[SIGNATURE]
    wrong = signed(b"{}", headers, "other")[SIGNATURE]
    for good in (
        f"{wrong};{right}",
        f"{right};{wrong}",
        f"v2=abc;{right}",
        f"{right};",
        ";".join([wrong] * 15 + [right]),
    ):
        HANDLER.verify(receipt(b"{}", {**headers, SIGNATURE: good}))
    for bad in (
        wrong,
        f"{wrong};{wrong}",
        f"v2={right[3:]}",
        right[3:],
        f"{right},{wrong}",
        "v1=",
        ";",
        f"{wrong}; {right}",
    ):
        with pytest.raises(Rejected):
            HANDLER.verify(receipt(b"{}", {**headers, SIGNATURE: bad}))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(0), True),
        (timedelta(days=2, hours=12), True),
        (timedelta(days=6, hours=23), True),
        (timedelta(days=7, seconds=1), False),
        (timedelta(minutes=-9), True),
        (timedelta(minutes=-11), False),
    ],
)
def test_what_is_sent_again_for_days_is_accepted_and_a_week_later_no_more(age: timedelta, accepted: bool) -> None:
    sent = signed(b"{}", headers_of("application.created", NOW - age), "key")
    if accepted:
        HANDLER.verify(receipt(b"{}", sent))
    else:
        with pytest.raises(Rejected, match="the timestamp is more than"):
            HANDLER.verify(receipt(b"{}", sent))


@pytest.mark.parametrize("at", ["", "soon", "-1", "1780317000.0", "\uff19", "9" * 17])
def test_a_timestamp_that_is_none_is_rejected(at: str) -> None:
    sent = signed(b"{}", {**headers_of("application.created"), TIMESTAMP: at}, "key")
    with pytest.raises(Rejected):
        HANDLER.verify(receipt(b"{}", sent))


@pytest.mark.parametrize("secret", [["key"], "pending"])
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_the_handshake_gets_its_secret_back_and_is_never_an_event(body: bytes, secret: object) -> None:
    handler = handler_of("smartrecruiters", secret=secret)
    sent = receipt(body, {"content-type": "application/json", "x-hook-secret": "4jn8fs9011jj8"})
    handler.verify(sent)
    assert handler.read(sent) == Normalised(
        Disposition.HANDSHAKE, reply=Reply(headers={"X-Hook-Secret": "4jn8fs9011jj8"}, status=200)
    )
    assert handler.success == 202


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\r\nset-cookie: x", "a\n", "é", "ÿ", "\x00", "\x7f", "x" * 257, "a\t"]
)
def test_only_a_plain_short_text_is_sent_back(value: str) -> None:
    sent = receipt(b"", {"x-hook-secret": value})
    with pytest.raises(Rejected):
        HANDLER.verify(sent)
    assert HANDLER.read(sent).disposition is Disposition.DRIFT


def test_a_hook_secret_opens_no_door_for_events() -> None:
    body = json.dumps(IDS).encode()
    for headers in (
        headers_of("candidate.deleted"),
        {"event-name": "candidate.deleted"},
        {SIGNATURE: "v1="},
        {**signed(body, headers_of("candidate.deleted"), "another key")},
    ):
        sent = receipt(body, {**headers, "x-hook-secret": "abc"})
        with pytest.raises(Rejected):
            HANDLER.verify(sent)
        assert HANDLER.read(sent).disposition is not Disposition.HANDSHAKE
    twice = receipt(b"", [("x-hook-secret", "a"), ("x-hook-secret", "a")])
    with pytest.raises(Rejected):
        HANDLER.verify(twice)
    genuine = receipt(body, {**signed(body, headers_of("application.created"), "key"), "x-hook-secret": "abc"})
    HANDLER.verify(genuine)
    assert HANDLER.read(genuine).disposition is Disposition.EVENTS


def test_the_headers_that_a_replay_needs_are_kept_and_none_that_is_a_secret() -> None:
    assert HANDLER.kept_headers == {TIMESTAMP, *ORDER}
    sent = fixtures_of("smartrecruiters")["status_updated_by_link"].receipt
    kept = Receipt([pair for pair in sent.headers if pair[0] in HANDLER.kept_headers], sent.body, sent.received_at)
    assert HANDLER.normalise(kept) == HANDLER.normalise(sent)


def test_an_event_is_known_again_by_its_id_whatever_the_time_of_the_retry() -> None:
    first, later = told("application.status.updated", IDS), NOW + timedelta(hours=3)
    retried = HANDLER.normalise(receipt(json.dumps(IDS).encode(), headers_of("application.status.updated", later)))
    assert first.dedupe == retried.dedupe
    another = told("application.status.updated", IDS, id_="e-2")
    assert len({first.dedupe, another.dedupe, told("application.created", IDS).dedupe}) == 3


def test_without_an_id_two_changes_of_one_application_are_still_two() -> None:
    def dedupe(seconds: int, body: object = IDS) -> str | None:
        headers = without(headers_of("application.status.updated", NOW + timedelta(seconds=seconds)), "event-id")
        return HANDLER.normalise(receipt(json.dumps(body).encode(), headers)).dedupe

    assert dedupe(0) == dedupe(0)
    assert len({dedupe(0), dedupe(1), dedupe(0, IDS | {"job_id": "j"})}) == 3


IGNORED = [
    *("job.created", "job.updated", "job.status.updated", "job.hiring-team.updated", "job.ad.postings.updated"),
    *("job.approval.approved", "position.deleted", "review.created", "onboarding.process.started", "PING", "candidate"),
    *("candidate.created", "interview.created", "interview.updated", "interview.canceled"),
    *("offer.approval.created", "offer.approval.rejected", "offer.approval.step.approved", "offer.approver.skipped"),
]


@pytest.mark.parametrize("event", IGNORED)
@pytest.mark.parametrize("body", [{"id": CANDIDATE}, {}, {**IDS, "id": "x", "offer_id": "o", "interview_id": "i"}])
def test_events_without_a_common_type_are_ignored_by_name(event: str, body: object) -> None:
    result = told(event, body, link=f"<https://api.smartrecruiters.com/candidates/{CANDIDATE}/jobs/{JOB}>; rel=self")
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, event)
    assert result.reason


def test_an_offer_is_known_by_either_id() -> None:
    link = f"<https://api.smartrecruiters.com/candidates/{CANDIDATE}/jobs/{JOB}/offers/o>; rel=self"
    for body in ({"id": "o"}, {**IDS, "offer_id": "o"}, {**IDS, "offer_id": "o", "id": "x"}):
        result = told("offer.updated", body, link=link)
        assert result.facts[0].offer == Offer(id="o")
        assert result.soft_drift == ()
    result = told("offer.updated", IDS)
    assert result.facts[0].offer == Offer()
    assert result.soft_drift == ("offer_id",)


def test_an_event_without_a_name_is_drift() -> None:
    with pytest.raises(Drift, match="the header event-name: is missing"):
        HANDLER.normalise(receipt(b"{}", without(headers_of("x"), "event-name")))


SELF = f"https://api.smartrecruiters.com/candidates/{CANDIDATE}/jobs/{JOB}"


@pytest.mark.parametrize(
    "link",
    [
        f"<{SELF}>; rel=self",
        f'<{SELF}>; rel="self"',
        f"<{SELF}/status>; rel=self",
        f"<{SELF}?x=/candidates/a/jobs/b>; rel=self",
        f"<https://api.smartrecruiters.com/v1/candidates/{CANDIDATE}/jobs/{JOB}>; rel=self",
        f"{SELF}; rel=self",  # as their documentation prints it
    ],
)
def test_the_link_tells_what_a_body_with_one_id_does_not(link: str) -> None:
    for body in ({"id": "whatever"}, {"id": "whatever", "candidate_id": CANDIDATE}):
        result = told("application.status.updated", body, link=link)
        assert result.facts[0].application == Application(id=APPLICATION)


@pytest.mark.parametrize(
    "link",
    [
        "",
        f"<https://evil.example.com/candidates/{CANDIDATE}/jobs/{JOB}>",
        f"<https://api.smartrecruiters.com.example.com/candidates/{CANDIDATE}/jobs/{JOB}>",
        f"<https://api.smartrecruiters.com@example.com/candidates/{CANDIDATE}/jobs/{JOB}>",
        f"<http://api.smartrecruiters.com/candidates/{CANDIDATE}/jobs/{JOB}>",
        f"<https://api.smartrecruiters.com:8443/candidates/{CANDIDATE}/jobs/{JOB}>",
        f"<https://api.smartrecruiters.com/candidates/{CANDIDATE}>",
        "<https://[/candidates/a/jobs/b>",
    ],
)
def test_a_link_that_leads_elsewhere_tells_nothing(link: str) -> None:
    with pytest.raises(Drift, match="candidate_id: is missing"):
        told("application.status.updated", {"id": "whatever"}, link=link)


def test_the_link_of_a_sandbox_counts_where_the_api_is_there() -> None:
    host = "https://api.sandbox.smartrecruiters.com"
    handler = handler_of("smartrecruiters", secret=["key"], api_url=f"{host}/")
    link = f"<{host}/candidates/c/jobs/j>; rel=self"
    sent = receipt(b'{"id": "x"}', headers_of("application.created", link=link))
    assert handler.normalise(sent).facts[0].application == Application(id="c:j")


@pytest.mark.parametrize(
    ("event", "body", "path"),
    [
        ("application.created", {}, "candidate_id"),
        ("application.created", {"candidate_id": "c"}, "job_id"),
        ("application.created", {"candidate_id": "c", "job_id": []}, "job_id"),
        ("application.status.updated", {"application_id": "a"}, "candidate_id"),
        ("offer.updated", {"offer_id": "o"}, "candidate_id"),
        ("candidate.updated", {}, "id"),
        ("candidate.deleted", {"id": ""}, "id"),
    ],
)
def test_drift_names_the_path_that_failed(event: str, body: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(event, body)
    assert drift.value.path == path


@pytest.mark.parametrize("key", ["id", "candidate_id"])
def test_a_candidate_has_either_name(key: str) -> None:
    assert fact_of("candidate.updated", {key: 7}).candidate == Candidate(id="7")


def test_without_the_api_nothing_is_made_up() -> None:
    for name, fixture in fixtures_of("smartrecruiters").items():
        for fact in HANDLER.normalise(fixture.receipt).facts:
            assert (fact.to_stage, fact.from_stage, fact.actor) == (None, None, None), name
            application = fact.application or Application(id="")
            assert (application.outcome, application.stage) == (None, None), name


def test_only_an_application_can_be_made_up() -> None:
    for step in (EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED):
        with pytest.raises(ValueError, match="there is no SmartRecruiters sample"):
            HANDLER.sample(Sample(step, "9", "A B", "C", NOW))


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValidationError, match="a URL is https"):
        handler_of("smartrecruiters", api_url="api.smartrecruiters.com")
    assert enriching(HANDLER).access() is None
    access = enriching(handler_of("smartrecruiters", api_key="k-1")).access()
    assert access
    assert (access.base, access.headers) == ("https://api.smartrecruiters.com", {"x-smarttoken": "k-1"})
    assert access.per_second < 10
    assert access.at_once < 8
    assert "k-1" not in repr(access)


def enriching(handler: Handler) -> Enriches:
    assert isinstance(handler, Enriches)
    return handler


PERSON: dict[str, Any] = {
    "id": CANDIDATE,
    "internal": False,
    "firstName": "Ruth",
    "lastName": "Adeyemi",
    "email": "ruth.adeyemi@example.org",
    "phoneNumber": "+44 29 2018 0999",
    "location": {"country": "United Kingdom", "countryCode": "gb", "region": "Wales", "city": "Cardiff", "lat": 0},
    "web": {"linkedin": "https://social.example/ruth", "skype": "private", "website": ""},
    "tags": ["inbound"],
    "education": [{"institution": "private"}],
    "primaryAssignment": {"job": {"id": "another job"}, "status": "HIRED"},
}
POSITION: dict[str, Any] = {
    "id": JOB,
    "title": "Customer Success Manager",
    "refNumber": "CSM-7",
    "department": {"id": "d", "label": "Success"},
    "location": {"country": "gb", "city": "Cardiff", "remote": True},
    "status": "INTERVIEW",
    "eeoCategory": {"id": "private", "label": "private"},
}
REASON = {"id": "r-1", "label": "Not qualified"}
STANDING = {"status": "INTERVIEW", "subStatus": "Phone screen", "startsOn": None, "source": "LinkedIn"}


def at(minute: int) -> str:
    """A time of the history, so many minutes after noon."""
    return f"2026-06-01T12:{minute:02}:00.500Z"


def row(minute: int, status: str, step: str | None = None) -> dict[str, Any]:
    return {"changedOn": at(minute), "status": status, "subStatus": step, "actions": {}}


def moment(minute: int) -> datetime:
    return datetime.fromisoformat(at(minute))


HISTORY = [row(29, "INTERVIEW", "Phone screen"), row(20, "IN_REVIEW"), row(10, "NEW")]
PLACE = f"/candidates/{CANDIDATE}/jobs/{JOB}"
CONTENT: dict[str, object] = {
    f"/candidates/{CANDIDATE}": PERSON,
    f"/jobs/{JOB}": POSITION,
    PLACE: STANDING,
    f"{PLACE}/status/history": {"totalFound": 3, "content": HISTORY},
}


@asynccontextmanager
async def asked(
    content: Mapping[str, object], others: Answers | None = None
) -> AsyncIterator[tuple[StandIn, Handler, VendorApi]]:
    """A stand-in with this content, answering ``others`` (or that it has no such thing) beside it."""

    def answer(asked: Asked) -> Answers:
        found = content.get(asked.target, others or Answers({"message": "not found"}, 404))
        return found if isinstance(found, Answers) else Answers(found)

    async with stand_in(answer) as vendor:
        handler = handler_of("smartrecruiters", secret="pending", api_key="the key", api_url=vendor.url)
        access = enriching(handler).access()
        assert access
        async with api_of(replace(access, per_second=1000)) as api:
            yield vendor, handler, api


async def completed(fact: Fact, changes: Mapping[str, object] | None = None) -> Fact:
    async with asked({**CONTENT, **(changes or {})}) as (vendor, handler, api):
        (known,) = await enriching(handler).enrich(fact, api)
    assert {asked.headers["x-smarttoken"] for asked in vendor.asked} == {"the key"}
    assert {asked.method for asked in vendor.asked} == {"GET"}
    assert not known.needs_enrichment
    assert known.subject == fact.subject
    assert "private" not in known.model_dump_json()
    assert Fact.model_validate_json(known.model_dump_json()) == known
    return known


def standing(status: str, history: list[dict[str, Any]], **more: object) -> dict[str, object]:
    return {
        PLACE: {**STANDING, "subStatus": None, "status": status, **more},
        f"{PLACE}/status/history": {"content": history},
    }


NEW, IN_REVIEW = (
    Stage(id="NEW", name="NEW", kind=StageKind.APPLIED),
    Stage(id="IN_REVIEW", name="IN_REVIEW", kind=StageKind.SCREEN),
)
PHONE_SCREEN = Stage(id="INTERVIEW/Phone screen", name="Phone screen", kind=StageKind.INTERVIEW)
RUTH = Candidate(
    id=CANDIDATE,
    name="Ruth Adeyemi",
    first_name="Ruth",
    last_name="Adeyemi",
    emails=["ruth.adeyemi@example.org"],
    phones=["+44 29 2018 0999"],
    location="Cardiff, Wales, United Kingdom",
    links=["https://social.example/ruth"],
    tags=["inbound"],
)
MANAGER = Job(
    id=JOB,
    title="Customer Success Manager",
    requisition_id="CSM-7",
    status="INTERVIEW",
    departments=["Success"],
    location="Cardiff, gb",
)


async def test_a_new_status_is_a_move_between_two_with_names_and_its_own_time() -> None:
    thin = fact_of("application.status.updated")
    fact = await completed(thin)
    assert fact == Fact(
        type=EventType.STAGE_CHANGED,
        occurred_at=moment(29),
        vendor_event="application.status.updated",
        vendor_event_id="e-1",
        vendor_version="2026-06-01T12:29:00.500+00:00",
        application=Application(
            id=APPLICATION,
            remote_id=IDS["application_id"],
            outcome=Outcome.PENDING,
            stage=PHONE_SCREEN,
            created_at=moment(10),
            source="LinkedIn",
            is_prospect=False,
        ),
        candidate=RUTH,
        job=MANAGER,
        from_stage=IN_REVIEW,
        to_stage=PHONE_SCREEN,
    )


@pytest.mark.parametrize(
    ("sent_at", "before", "to"),
    [
        (moment(29), IN_REVIEW, PHONE_SCREEN),
        (moment(29).replace(microsecond=0), IN_REVIEW, PHONE_SCREEN),  # the header has whole seconds
        (moment(21), NEW, IN_REVIEW),
        (moment(10), None, NEW),
        (moment(5), IN_REVIEW, PHONE_SCREEN),
    ],
)
async def test_the_status_is_the_one_of_the_webhook_not_the_one_of_later(
    sent_at: datetime, before: Stage | None, to: Stage
) -> None:
    fact = await completed(fact_of("application.status.updated", at=sent_at))
    assert (fact.type, fact.from_stage, fact.to_stage) == (EventType.STAGE_CHANGED, before, to)
    assert fact.application
    assert fact.application.stage == to


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        ("LEAD", StageKind.OTHER, Outcome.PENDING),
        ("NEW", StageKind.APPLIED, Outcome.PENDING),
        ("IN_REVIEW", StageKind.SCREEN, Outcome.PENDING),
        ("INTERVIEW", StageKind.INTERVIEW, Outcome.PENDING),
        ("OFFERED", StageKind.OFFER, Outcome.PENDING),
        ("HIRED", StageKind.HIRED, Outcome.HIRED),
        ("REJECTED", StageKind.REJECTED, Outcome.DECLINED),
        ("WITHDRAWN", StageKind.REJECTED, Outcome.DECLINED),
        ("TRANSFERRED", StageKind.OTHER, Outcome.PENDING),
        ("ARCHIVED", None, None),
    ],
)
async def test_every_status_is_a_stage_of_a_kind_and_an_outcome(
    status: str, kind: StageKind | None, outcome: Outcome | None
) -> None:
    reasons = {"reasonOfRejection": REASON, "reasonOfWithdrawal": {"id": "r-2", "label": "Moved"}}
    fact = await completed(
        fact_of("application.status.updated"),
        standing(status, [row(10, "NEW"), row(20, status)], startsOn="2026-07-01T00:00:00.000Z", **reasons),
    )
    assert fact.to_stage == Stage(id=status, name=status, kind=kind)
    application = fact.application
    assert application
    assert application.outcome is outcome
    assert application.hired_at == (moment(20) if status == "HIRED" else None)
    assert application.rejected_at == (moment(20) if outcome is Outcome.DECLINED else None)
    assert application.is_prospect is (status == "LEAD")
    assert fact.offer == (Offer(start_date="2026-07-01") if status == "HIRED" else None)
    expected = {
        "REJECTED": RejectionReason(id="r-1", name="Not qualified", kind=RejectionKind.REJECTED_BY_COMPANY),
        "WITHDRAWN": RejectionReason(id="r-2", name="Moved", kind=RejectionKind.WITHDRAWN_BY_CANDIDATE),
    }
    assert application.rejection_reason == expected.get(status)


async def test_a_reason_that_stands_beside_another_status_is_not_taken() -> None:
    history = [row(10, "NEW"), row(20, "REJECTED"), row(25, "INTERVIEW")]
    fact = await completed(
        fact_of("application.status.updated", at=moment(21)), standing("INTERVIEW", history, reasonOfRejection=REASON)
    )
    assert fact.application
    assert fact.application.rejection_reason == RejectionReason(kind=RejectionKind.REJECTED_BY_COMPANY)
    assert fact.application.rejected_at == moment(20)


@pytest.mark.parametrize(
    "history",
    [Answers({}, 404), {"content": []}, {"content": None}, {"content": [row(10, "NEW"), {"status": "INTERVIEW"}]}],
    ids=["none", "empty", "null", "not up to now"],
)
async def test_without_a_history_the_present_status_is_compared_with_what_is_known(history: object) -> None:
    fact = await completed(fact_of("application.status.updated"), {f"{PLACE}/status/history": history})
    assert (fact.type, fact.is_snapshot) == (EventType.APPLICATION_UPDATED, True)
    assert fact.application
    assert fact.application.stage == PHONE_SCREEN
    assert (fact.occurred_at, fact.vendor_version, fact.application.created_at) == (NOW, None, None)


async def test_an_application_begins_where_its_history_begins() -> None:
    fact = await completed(fact_of("application.created"))
    assert (fact.type, fact.occurred_at) == (EventType.APPLICATION_CREATED, moment(10))
    assert fact.application
    assert (fact.application.stage, fact.application.outcome) == (NEW, Outcome.PENDING)
    assert fact.application.created_at == moment(10)
    lead = await completed(fact_of("application.created"), standing("LEAD", [row(10, "LEAD")]))
    assert lead.application
    assert lead.application.is_prospect


async def test_what_else_changed_touches_no_stage() -> None:
    for event in ("application.source.updated", "application.attachment.created", "application.fields.updated"):
        fact = await completed(fact_of(event))
        assert (fact.type, fact.is_snapshot, fact.occurred_at) == (EventType.APPLICATION_UPDATED, False, NOW)
        assert fact.vendor_version is None
        assert fact.application
        assert (fact.application.stage, fact.application.outcome) == (None, None)
        assert fact.application.source == "LinkedIn"
        assert (fact.candidate, fact.job) == (RUTH, MANAGER)


async def test_fields_come_with_their_labels_and_without_those_that_no_one_asked_for() -> None:
    fields = [
        {"id": "1", "label": "Notice period", "type": "TEXT", "value": "1 month", "actions": {}},
        {"id": "2", "label": "Level", "type": "SINGLE_SELECT", "value": "uuid", "valueLabel": "Senior"},
        {"id": "3", "label": "Salary", "type": "CURRENCY", "value": {"code": "GBP", "value": 23232}},
        {"id": "4", "label": "Date of birth", "type": "DATE", "value": "private"},
        {"id": "5", "value": "private"},
    ]
    fact = await completed(fact_of("application.fields.updated"), {f"{PLACE}/properties": {"content": fields}})
    assert fact.application
    expected = {"Notice period": "1 month", "Level": "Senior", "Salary": {"code": "GBP", "value": 23232}}
    assert fact.application.custom_fields == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("CREATED", OfferStatus.DRAFT),
        ("PENDING_APPROVAL", OfferStatus.DRAFT),
        ("NOT_APPROVED", OfferStatus.DRAFT),
        ("APPROVED", OfferStatus.APPROVED),
        ("PENDING_ACCEPTANCE", OfferStatus.SENT),
        ("ACCEPTED", OfferStatus.ACCEPTED),
        ("NOT_ACCEPTED", OfferStatus.DECLINED),
        ("ABANDONED", OfferStatus.ABANDONED),
        ("SOMETHING", None),
        (None, None),
    ],
)
async def test_an_offer_has_the_status_that_the_api_knows_unless_the_event_says_it(
    status: str | None, expected: OfferStatus | None
) -> None:
    body = {**IDS, "offer_id": "o-1"}
    offers: dict[str, object] = {f"{PLACE}/offers/o-1": {"id": "o-1", "status": status, "properties": {}}}
    fact = await completed(fact_of("offer.updated", body), offers)
    assert (fact.offer, fact.candidate) == (Offer(id="o-1", status=expected), RUTH)
    created = await completed(fact_of("offer.created", body), offers)
    approved = await completed(fact_of("offer.approval.approved", body), offers)
    assert created.offer == Offer(id="o-1", status=OfferStatus.DRAFT)
    assert approved.offer == Offer(id="o-1", status=OfferStatus.APPROVED)


async def test_what_the_api_does_not_know_stays_as_it_came() -> None:
    gone = {f"/jobs/{JOB}": Answers({}, 404)}
    fact = await completed(fact_of("offer.updated", {**IDS, "offer_id": "o-1"}), gone)
    assert (fact.offer, fact.job, fact.candidate) == (Offer(id="o-1"), Job(id=JOB), RUTH)
    fact = await completed(fact_of("offer.updated"), gone)
    assert fact.offer == Offer()


async def test_a_candidate_is_fetched() -> None:
    fact = await completed(fact_of("candidate.updated", {"id": CANDIDATE}))
    assert (fact.type, fact.candidate, fact.application) == (EventType.CANDIDATE_UPDATED, RUTH, None)
    empty = await completed(fact_of("candidate.updated", {"id": CANDIDATE}), {f"/candidates/{CANDIDATE}": {}})
    assert empty.candidate == Candidate(id=CANDIDATE)


async def test_a_job_is_asked_for_once() -> None:
    async with asked(CONTENT) as (vendor, handler, api):
        for event in ("application.created", "application.status.updated"):
            await enriching(handler).enrich(fact_of(event), api)
    assert [asked.target for asked in vendor.asked].count(f"/jobs/{JOB}") == 1
    assert len(vendor.asked) == 7


async def test_an_id_leads_nowhere_else() -> None:
    async with asked({}, Answers({"status": "NEW"})) as (vendor, handler, api):
        await enriching(handler).enrich(
            fact_of("application.created", {"candidate_id": "../a?b", "job_id": "c/d#e"}), api
        )
    place = "/candidates/..%2Fa%3Fb"
    targets = [place, "/jobs/c%2Fd%23e", f"{place}/jobs/c%2Fd%23e", f"{place}/jobs/c%2Fd%23e/status/history"]
    assert [asked.target for asked in vendor.asked] == targets


FAILURES = [
    (Answers({}, 401), Refused),
    (Answers({}, 403), Refused),
    (Answers({}, 404), NotThere),
    (Answers({}, 429, {"retry-after": "3"}), Unavailable),
    (Answers({}, 500), Unavailable),
    (Answers(b"<html>"), Unavailable),
]


@pytest.mark.parametrize(("answer", "problem"), FAILURES)
@pytest.mark.parametrize("target", [f"/candidates/{CANDIDATE}", PLACE])
async def test_what_the_api_fails_with_is_passed_on(target: str, answer: Answers, problem: type[ApiProblem]) -> None:
    async with asked({**CONTENT, target: answer}) as (_, handler, api):
        with pytest.raises(problem) as raised:
            await enriching(handler).enrich(fact_of("application.status.updated"), api)
        assert "the key" not in str(raised.value)


@pytest.mark.parametrize("target", [f"/jobs/{JOB}", f"{PLACE}/status/history"])
async def test_what_can_not_be_asked_now_is_not_taken_as_missing(target: str) -> None:
    for answer, problem in (FAILURES[0], FAILURES[3], FAILURES[4]):
        async with asked({**CONTENT, target: answer}) as (_, handler, api):
            with pytest.raises(problem):
                await enriching(handler).enrich(fact_of("application.status.updated"), api)


async def test_an_application_without_a_status_is_drift_of_the_api() -> None:
    async with asked({**CONTENT, PLACE: {"source": "x"}}) as (_, handler, api):
        with pytest.raises(Drift, match="status: is missing"):
            await enriching(handler).enrich(fact_of("application.status.updated"), api)


def events_of(*facts: Fact) -> list[Event]:
    state, events = ApplicationState(), list[Event]()
    for fact in facts:
        waiting = WaitingFact(
            fact=fact, receipt=f"r-{len(events)}", source="s", vendor="smartrecruiters", received_at=NOW, ordinal=0
        )
        state, news = project(state, waiting)
        events += news
    return events


async def test_a_story_comes_out_right_though_its_webhooks_come_in_disorder() -> None:
    history = [
        row(10, "NEW"),
        row(15, "IN_REVIEW"),
        row(20, "REJECTED"),
        row(25, "INTERVIEW", "Onsite"),
        row(28, "HIRED"),
    ]
    api = standing("HIRED", history)
    created = await completed(fact_of("application.created"), api)
    moves = {minute: fact_of("application.status.updated", at=moment(minute)) for minute in (15, 20, 25, 28)}
    review, rejected, interview, hired = [await completed(moves[minute], api) for minute in (15, 20, 25, 28)]
    events = events_of(created, review, rejected, interview, hired, hired)
    assert [str(event.type) for event in events] == [
        *("ApplicationCreated", "StageChanged", "StageChanged", "OutcomeChanged"),
        *("StageChanged", "OutcomeChanged", "StageChanged", "OutcomeChanged"),
    ]
    outcomes = [
        event.application.outcome for event in events if event.application and str(event.type) == "OutcomeChanged"
    ]
    assert outcomes == ["DECLINED", "PENDING", "HIRED"]
    late = events_of(created, hired, interview)[3:]
    assert late
    assert all(event.late for event in late)


async def test_bare_ids_still_become_events_each_time() -> None:
    thin = fact_of("application.status.updated")
    events = events_of(fact_of("application.created"), thin, thin)
    assert [str(event.type) for event in events] == ["ApplicationCreated", "ApplicationUpdated", "ApplicationUpdated"]


URL = "https://router.example.com/webhooks/smartrecruiters"
SUBSCRIPTIONS = "/webhooks-api/v201907/subscriptions"
HOOK = Hook("643ba46a-a2ef", tuple(HANDLER.guide.events))


def connecting(handler: Handler) -> Connects:
    assert isinstance(handler, Connects)
    return handler


MADE = Answers({"id": HOOK.id, "callbackUrl": URL, "events": [], "status": "inactive"}, 201)
ACTIVATED = Answers(None, 204)


async def test_a_subscription_is_made_activated_and_gets_its_key() -> None:
    one = f"{SUBSCRIPTIONS}/{HOOK.id}"
    content = {SUBSCRIPTIONS: MADE, f"{one}/activation": ACTIVATED, f"{one}/secret-key": {"secretKey": PUBLISHED_KEY}}
    async with asked(content) as (vendor, handler, api):
        hooks = [hook async for hook in connecting(handler).connect(URL, api)]
    assert hooks == [HOOK, replace(HOOK, secret=PUBLISHED_KEY)]
    assert PUBLISHED_KEY not in repr(hooks)
    asked_for = [(asked.method, asked.target, asked.json) for asked in vendor.asked]
    assert asked_for == [
        ("POST", SUBSCRIPTIONS, {"callbackUrl": URL, "events": list(HOOK.events)}),
        ("PUT", f"{one}/activation", None),
        ("POST", f"{one}/secret-key", None),
    ]
    known = handler_of("smartrecruiters", secret=[PUBLISHED_KEY])
    known.verify(arriving(PUBLISHED_HEADERS, PUBLISHED_BODY, datetime.fromtimestamp(1574080897, UTC)))


def test_only_events_that_become_something_are_registered() -> None:
    for event in HOOK.events:
        assert told(event, {**IDS, "id": CANDIDATE, "offer_id": "o"}).disposition is Disposition.EVENTS
    plan = " ".join(connecting(HANDLER).plan(URL))
    assert all(event in plan for event in HOOK.events)
    assert URL in plan


@pytest.mark.parametrize("answer", [Answers({}, 400), Answers({}, 403), Answers({}, 500)])
async def test_what_was_made_before_a_failure_is_told(answer: Answers) -> None:
    async with asked({SUBSCRIPTIONS: MADE}, answer) as (_, handler, api):
        registering = connecting(handler).connect(URL, api)
        assert await anext(registering) == HOOK
        with pytest.raises(ApiProblem):
            await anext(registering)
    async with asked({}, answer) as (_, handler, api):
        with pytest.raises(ApiProblem):
            await anext(connecting(handler).connect(URL, api))


@pytest.mark.parametrize(
    ("answer", "works"),
    [
        ({"id": HOOK.id, "callbackUrl": URL, "status": "active"}, True),
        ({"id": HOOK.id, "callbackUrl": URL, "status": "inactive"}, False),
        ({"id": HOOK.id, "callbackUrl": f"{URL}/other", "status": "active"}, False),
        (Answers({}, 404), False),
    ],
)
async def test_what_works_is_active_and_leads_here(answer: object, works: bool) -> None:
    async with asked({f"{SUBSCRIPTIONS}/{HOOK.id}": answer}) as (_, handler, api):
        found = await connecting(handler).working([HOOK, Hook("gone")], URL, api)
    assert set(found) == ({HOOK.id} if works else set())


async def test_whether_it_works_is_not_known_where_the_vendor_can_not_be_asked() -> None:
    async with asked({}, Answers({}, 401)) as (_, handler, api):
        with pytest.raises(Refused):
            await connecting(handler).working([HOOK], URL, api)


async def test_a_subscription_is_taken_back_once_or_twice() -> None:
    async with asked({f"{SUBSCRIPTIONS}/{HOOK.id}": Answers(None, 204)}) as (vendor, handler, api):
        await connecting(handler).remove(HOOK, api)
        await connecting(handler).remove(Hook("gone"), api)
    assert [asked.method for asked in vendor.asked] == ["DELETE", "DELETE"]
    async with asked({}, Answers({}, 500)) as (_, handler, api):
        with pytest.raises(Unavailable):
            await connecting(handler).remove(HOOK, api)
