"""What is particular to Breezy HR: two ways to sign, endpoints made by the API, outcomes that no webhook tells."""

import hashlib
import hmac
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Handler, Normalised, Receipt, Rejected, Sample
from handlers.connecting import Connects, Hook
from handlers.enriching import ApiProblem, NotThere, Refused, Unavailable
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import Event, EventType, Fact, Outcome, Stage, StageKind
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

BREEZY = handler_of("breezy", secret=["key"])
HEADER = "x-hook-signature"
URL = "https://hooks.example.com/webhooks/breezy"
EVENTS = ["candidateAdded", "candidateStatusUpdated", "candidateDeleted"]


def body_of(name: str) -> dict[str, Any]:
    """The body of a fixture, to be changed at will."""
    body: dict[str, Any] = json.loads(fixtures_of("breezy")[name].body)
    return body


def read(body: Mapping[str, object], handler: Handler = BREEZY) -> Normalised:
    return handler.with_kinds(handler.normalise(receipt(json.dumps(body).encode())))


def fact_of(body: Mapping[str, object]) -> Fact:
    (fact,) = read(body).facts
    return fact


def told(bodies: Sequence[Mapping[str, object]], handler: Handler = BREEZY) -> list[Event]:
    """The events that a series of bodies makes of one application."""
    state, events = ApplicationState(), []
    for body in bodies:
        sent, normalised = receipt(json.dumps(body).encode()), read(body, handler)
        for waiting in waiting_facts(normalised, receipt_id="r", source="s", vendor="v", receipt=sent, mark=None):
            state, news = project(state, waiting)
            events += news
    return events


def sent_with(body: bytes, signed: bytes, secret: bytes = b"key") -> Receipt:
    return receipt(body, {HEADER: hmac.new(secret, signed, hashlib.sha256).hexdigest()})


def test_the_signature_is_hex_over_the_exact_bytes() -> None:
    openssl = "c95c6a7c2c7c761e984c68cf64b4bca93f07242900aafdbb328d3bb75ab0dcb0"
    BREEZY.verify(receipt(b'{"id":1}', {HEADER: openssl}))
    assert BREEZY.sign(b'{"id":1}', NOW).headers == {HEADER: openssl}


def test_the_whole_secret_is_the_key() -> None:
    body = b'{"id": 1}'
    handler = handler_of("breezy", secret=["whsec_bmV3IHNlY3JldA=="])
    handler.verify(sent_with(body, body, b"whsec_bmV3IHNlY3JldA=="))
    for key in (b"bmV3IHNlY3JldA==", b"new secret"):
        with pytest.raises(Rejected):
            handler.verify(sent_with(body, body, key))


@pytest.mark.parametrize(
    ("body", "stringified"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"a":1,"b":[1,2]}'),
        ('{ "a" : "x" }\n', '{"a":"x"}'),
        ('{"a": "Z\\u00fcrich \\u2028 \\/ \\u0041"}', '{"a":"Zürich \u2028 / A"}'),
        ('{"a": "\\u0007\\n\\"\\\\"}', '{"a":"\\u0007\\n\\"\\\\"}'),
        ('{"a": 4.0, "b": 4.50, "c": 1e3, "d": -0.1}', '{"a":4,"b":4.5,"c":1000,"d":-0.1}'),
        ('{"a": null, "b": true, "a": 2}', '{"a":2,"b":true}'),
        ('{"a": "Zürich"}', '{"a":"Z\\u00fcrich"}'),
    ],
)
def test_the_parsed_body_written_again_counts_as_well(body: str, stringified: str) -> None:
    BREEZY.verify(sent_with(body.encode(), stringified.encode()))
    with pytest.raises(Rejected):
        BREEZY.verify(sent_with(body.encode(), stringified.encode(), b"another key"))
    with pytest.raises(Rejected):
        BREEZY.verify(sent_with(body.replace("a", "c").encode(), stringified.encode()))


@pytest.mark.parametrize("body", [b"", b"not json", b"[" * 100_000, b"\xff\xfe", b'{"a": 1e999}', b'"\\ud800"', b"NaN"])
def test_a_body_that_cannot_be_written_again_is_rejected_like_any_other(body: bytes) -> None:
    BREEZY.verify(sent_with(body, body))
    with pytest.raises(Rejected):
        BREEZY.verify(sent_with(body, b"something else"))


@pytest.mark.parametrize(
    "event",
    [
        *("companyPositionAdded", "companyPositionUpdated", "companyPositionDeleted", "companyPositionStateUpdated"),
        *("companyNotePosted", "companyNoteUpdated", "companyNoteDeleted", "candidateResumeAdded", "candidateadded"),
    ],
)
def test_events_without_a_common_type_are_ignored_by_name(event: str) -> None:
    result = read({"_id": "1", "type": event, "object": None})
    assert (result.disposition, result.vendor_event) == (Disposition.IGNORED, event)


def test_an_application_is_a_candidate_of_a_position() -> None:
    for name in ("candidate_added", "status_updated", "candidate_deleted"):
        assert fact_of(body_of(name)).subject == "a:p7c2d19e40ab:k90be21f7d55"


def test_the_id_of_an_event_tells_duplicates_apart() -> None:
    body = body_of("status_updated")
    assert read(body).dedupe == "candidateStatusUpdated:6a5e54b3bd9a03"
    assert read(body | {"type": "candidateAdded"}).dedupe == "candidateAdded:6a5e54b3bd9a03"
    assert read(body | {"_id": None}).dedupe is None


@pytest.mark.parametrize(
    ("entered_stage", "expected"),
    [
        ("2026-05-15T10:00:00.000Z", datetime(2026, 5, 15, 10, tzinfo=UTC)),
        (None, datetime(2026, 5, 15, 10, 0, 0, 804_000, tzinfo=UTC)),
        ("yesterday", datetime(2026, 5, 15, 10, 0, 0, 804_000, tzinfo=UTC)),
    ],
)
def test_it_happened_when_the_stage_was_entered(entered_stage: object, expected: datetime) -> None:
    body = body_of("status_updated")
    body["object"]["entered_stage"] = entered_stage
    fact = fact_of(body)
    assert fact.occurred_at == expected
    assert fact.vendor_version == "2026-05-15T10:00:00.804000+00:00"


def test_a_move_comes_from_the_stage_that_is_known() -> None:
    added, moved = told([body_of("candidate_added"), body_of("status_updated")])
    assert (added.type, moved.type) == (EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED)
    assert moved.from_stage == Stage(id="1460130414155", name="Applied")
    assert moved.to_stage == Stage(id="1460130414157", name="Interviewing")
    assert told([body_of("status_updated"), body_of("status_updated")])[1:] == []


@pytest.mark.parametrize("name", ["1460130414157", "interviewing", "Interview*"])
@pytest.mark.parametrize(
    ("kind", "outcome"), [(StageKind.HIRED, Outcome.HIRED), (StageKind.REJECTED, Outcome.DECLINED)]
)
def test_the_settings_tell_hires_and_rejections_by_stage(name: str, kind: StageKind, outcome: Outcome) -> None:
    handler = handler_of("breezy", stages={kind: [name]})
    moved, decided = told([body_of("status_updated")], handler)
    assert moved.to_stage
    assert moved.to_stage.kind is kind
    assert (decided.type, decided.application and decided.application.outcome) == (EventType.OUTCOME_CHANGED, outcome)


@pytest.mark.parametrize("name", ["Hired", "Disqualified", "Rejected"])
def test_a_stage_means_nothing_by_its_name_alone(name: str) -> None:
    body = body_of("status_updated")
    body["object"]["stage"]["name"] = name
    assert [event.type for event in told([body])] == [EventType.STAGE_CHANGED]


@pytest.mark.parametrize("stage", [None, {}, [], {"id": None, "name": ""}])
def test_a_move_without_a_stage_is_drift(stage: object) -> None:
    body = body_of("status_updated")
    body["object"]["stage"] = stage
    with pytest.raises(Drift, match=r"^object\.stage"):
        read(body)
    added = body_of("candidate_added")
    added["object"]["stage"] = stage
    assert fact_of(added).type is EventType.APPLICATION_CREATED


@pytest.mark.parametrize("stage", [{"id": 7}, {"name": "Seven"}])
def test_an_id_or_a_name_is_enough_of_a_stage(stage: dict[str, object]) -> None:
    body = body_of("status_updated")
    body["object"]["stage"] = stage
    assert fact_of(body).to_stage


@pytest.mark.parametrize("name", ["candidate_added", "status_updated"])
@pytest.mark.parametrize("path", ["object", "object.candidate", "object.candidate._id", "object.position._id"])
def test_drift_names_the_path_that_failed(name: str, path: str) -> None:
    body = body_of(name)
    *parents, key = path.split(".")
    place: Any = body
    for parent in parents:
        place = place[parent]
    wrong: list[object] = [None, True, [], ""]
    for bad in wrong:
        place[key] = bad
        with pytest.raises(Drift) as drift:
            read(body)
        assert drift.value.path == path


def test_a_deletion_needs_no_position() -> None:
    body = body_of("candidate_deleted")
    body["object"]["position"] = None
    fact = fact_of(body)
    assert (fact.type, fact.application, fact.subject) == (EventType.CANDIDATE_DELETED, None, "c:k90be21f7d55")
    del body["object"]["candidate"]["_id"]
    with pytest.raises(Drift, match=r"^object\.candidate\._id: is missing"):
        read(body)


@pytest.mark.parametrize("user", [None, {}, {"_id": "", "name": ""}])
def test_nobody_may_have_done_it(user: object) -> None:
    body = body_of("candidate_added")
    body["object"]["acting_user"] = user
    actor = fact_of(body).actor
    assert not user or actor is None or actor.id is None


@pytest.mark.parametrize("name", sorted(fixtures_of("breezy")))
def test_nothing_that_no_one_asked_for_is_passed_on(name: str) -> None:
    result = BREEZY.normalise(fixtures_of("breezy")[name].receipt)
    assert "files.example.com" not in "".join(fact.model_dump_json() for fact in result.facts)


def test_samples_of_the_same_stage_and_of_different_ones() -> None:
    steps = [Sample(EventType.STAGE_CHANGED, "9", "A B", "C", NOW, stage) for stage in ("Call", "Call", "Visit")]
    bodies = [json.loads(BREEZY.sample(step)) for step in steps]
    assert [event.to_stage.name for event in told(bodies) if event.to_stage] == ["Call", "Visit"]
    assert len({read(body).dedupe for body in bodies}) == 2
    with pytest.raises(ValueError, match="no Breezy HR sample of OutcomeChanged"):
        BREEZY.sample(Sample(EventType.OUTCOME_CHANGED, "9", "A B", "C", NOW, "Hired", Outcome.HIRED))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"api_key": "x"}, "go together"),
        ({"company_id": "c1"}, "go together"),
        ({"api_key": "x", "company_id": ""}, "at least 1 character"),
        ({"api_url": "ftp://api.breezy.hr"}, "a URL is https://"),
        ({"company": "c1"}, "company"),
    ],
)
def test_wrong_settings_are_explained(changes: Mapping[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        handler_of("breezy", **changes)


# Registering the URL.

MADE = {
    "id": "abc123",
    "url": URL,
    "description": "ats-router",
    "events": EVENTS,
    "status": "active",
    "enabled": True,
    "stats": {"successful_deliveries": 0, "failed_deliveries": 0, "last_delivery_at": None},
    "secret_prefix": "whsec_",
    "secret": "whsec_bmV3IHNlY3JldA==",
    "created_at": "2026-06-01T12:30:00Z",
    "updated_at": "2026-06-01T12:30:00Z",
    "is_legacy": False,
}


def breezy_at(url: str, **changes: object) -> Connects:
    given = {"secret": "pending", "api_key": "the api key", "company_id": "c1/..", "api_url": f"{url}/v3", **changes}
    handler = handler_of("breezy", **given)
    assert isinstance(handler, Connects)
    return handler


async def connected(answers: Answers) -> tuple[list[Hook], list[Asked]]:
    async with stand_in(lambda asked: answers) as server:
        handler = breezy_at(server.url)
        async with api_of(handler.access()) as api:
            return [hook async for hook in handler.connect(URL, api)], server.asked


async def working(endpoints: object, hooks: Sequence[Hook], status: int = 200) -> tuple[Collection[str], list[Asked]]:
    async with stand_in(lambda asked: Answers({"data": endpoints}, status)) as server:
        handler = breezy_at(server.url)
        async with api_of(handler.access()) as api:
            return await handler.working(hooks, URL, api), server.asked


async def removed(answers: Answers) -> list[Asked]:
    async with stand_in(lambda asked: answers) as server:
        handler = breezy_at(server.url)
        async with api_of(handler.access()) as api:
            await handler.remove(Hook("a/b"), api)
        return server.asked


async def test_an_endpoint_is_made_and_its_secret_is_kept() -> None:
    hooks, (asked,) = await connected(Answers(MADE, 201))
    assert hooks == [Hook("abc123", tuple(EVENTS), "whsec_bmV3IHNlY3JldA==")]
    assert "whsec_" not in repr(hooks)
    assert (asked.method, asked.target) == ("POST", "/v3/company/c1%2F../webhook_endpoints")
    assert asked.json == {"url": URL, "description": "ats-router", "events": EVENTS}
    assert asked.headers["authorization"] == "the api key"


def test_what_connect_will_do_is_told_without_a_secret() -> None:
    handler = breezy_at("http://127.0.0.1:1")
    (sentence,) = handler.plan(URL)
    assert URL in sentence
    assert all(event in sentence for event in EVENTS)
    assert "the api key" not in sentence + repr(handler.access())
    assert isinstance(BREEZY, Connects)
    assert BREEZY.access() is None


async def test_an_endpoint_without_a_secret_is_kept_so_that_it_can_be_taken_back() -> None:
    made = {key: value for key, value in MADE.items() if key != "secret"}
    async with stand_in(lambda asked: Answers(made)) as server:
        handler = breezy_at(server.url)
        async with api_of(handler.access()) as api:
            hooks = handler.connect(URL, api)
            assert await anext(hooks) == Hook("abc123", tuple(EVENTS))
            with pytest.raises(ApiProblem, match="secret"):
                await anext(hooks)
    with pytest.raises(ApiProblem, match="id of the endpoint"):
        await connected(Answers({}))


@pytest.mark.parametrize(
    ("changes", "works"),
    [
        ({}, True),
        ({"enabled": None}, True),
        ({"status": "paused"}, False),
        ({"enabled": False}, False),
        ({"url": f"{URL}/other"}, False),
        ({"id": "another"}, False),
    ],
)
async def test_an_endpoint_works_while_it_is_on_and_leads_here(changes: Mapping[str, object], works: bool) -> None:
    ids, (asked,) = await working([{**MADE, **changes}, {"id": None}], [Hook("abc123"), Hook("def")])
    assert set(ids) == ({"abc123"} if works else set())
    assert (asked.method, asked.target) == ("GET", "/v3/company/c1%2F../webhook_endpoints")


async def test_an_endpoint_is_taken_back_and_may_be_gone_already() -> None:
    for answers in (Answers(None, 204), Answers({}), Answers({"error": {}}, 404)):
        (asked,) = await removed(answers)
        assert (asked.method, asked.target) == ("DELETE", "/v3/company/c1%2F../webhook_endpoint/a%2Fb")


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers({"error": {}}, 400), NotThere),
        (Answers({}, 401), Refused),
        (Answers({}, 403), Refused),
        (Answers({}, 429, {"retry-after": "9"}), Unavailable),
        (Answers({}, 502), Unavailable),
        (Answers(b"<html>"), Unavailable),
    ],
)
async def test_an_api_that_does_not_answer(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await connected(answers)
    assert "the api key" not in str(raised.value)
    if problem is not NotThere:
        with pytest.raises(problem):
            await removed(answers)
    if answers.status in (401, 502):
        with pytest.raises(problem):
            await working([], [], answers.status)
