"""What is particular to Zoho Recruit: several ids in a delivery, records to be asked for, channels that end."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.connecting import Hook
from handlers.enriching import NotThere, Refused, Unavailable
from handlers.settings import ConnectSettings
from handlers.zoho_recruit import ZohoRecruit
from router.schema import EventType, Fact, Outcome, StageKind
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

ZOHO = handler_of("zoho_recruit", secret=["token-1", "token-0"])
URL = "https://router.example.com/webhooks/zoho"
WATCH, TOKEN = "/recruit/v2/actions/watch", "/oauth/v2/token"


def body_of(name: str, **changes: object) -> dict[str, Any]:
    return {**json.loads(fixtures_of("zoho_recruit")[name].body), **changes}


def normalised(body: object, **settings: object) -> Normalised:
    return handler_of("zoho_recruit", **settings).normalise(receipt(json.dumps(body).encode()))


def fact_of(name: str, **settings: object) -> Fact:
    return normalised(body_of(name), **settings).facts[0]


def record(**changes: object) -> dict[str, Any]:
    """One record of the module Applications, in the fields that public clients read."""
    return {
        "id": "48210000001234567",
        "Application_ID": "ZR_8_APP",
        "Candidate": {"id": "48210000007654321", "name": "Jacoby Curry"},
        "$Job_Opening_Id": "48210000000560065",
        "Job_Opening_Name": "Analyst",
        "Full_Name": "Jacoby Curry",
        "First_Name": "Jacoby",
        "Last_Name": "Curry",
        "Email": "coby@example.com",
        "Mobile": "+1 555 0100",
        "City": "Austin",
        "State": None,
        "Country": "USA",
        "Application_Status": "Interview-Scheduled",
        "Source": "LinkedIn",
        "Gender": "Male",
        "Created_Time": "2026-02-10T10:00:00+05:30",
        "Updated_On": "2026-02-14T14:51:47+05:30",
        "Created_By": {"id": "7", "name": "Web form"},
        "Modified_By": {"id": "8", "name": "Priya Rao"},
        **changes,
    }


def connected(url: str, **settings: object) -> ZohoRecruit:
    """A handler whose API and accounts are at ``url``."""
    credentials = {"client_id": "the client", "client_secret": "its secret", "refresh_token": "what lasts"}
    handler = handler_of("zoho_recruit", **credentials, api_url=url, accounts_url=url, **settings)
    assert isinstance(handler, ZohoRecruit)
    return handler


def token_or(asked: Asked, answer: Callable[[Asked], Answers]) -> Answers:
    return Answers({"access_token": "the token", "expires_in": 3600}) if asked.target == TOKEN else answer(asked)


async def enriched(fact: Fact, answers: Answers, **settings: object) -> tuple[list[Fact], list[Asked]]:
    async with stand_in(lambda asked: token_or(asked, lambda _: answers)) as server:
        handler = connected(server.url, **settings)
        async with api_of(handler.access()) as api:
            facts = await handler.enrich(fact, api)
        token, *asked = server.asked
        assert token.json == {
            "grant_type": "refresh_token",
            "client_id": "the client",
            "client_secret": "its secret",
            "refresh_token": "what lasts",
        }
        return [handler.with_kind(complete) for complete in facts], asked


class Channels:
    """The channels of an account, as the pages on notifications of Zoho CRM have them."""

    def __init__(self) -> None:
        self.open: dict[str, dict[str, Any]] = {}
        self.refuses = False

    def answer(self, asked: Asked) -> Answers:
        assert asked.headers["authorization"] == "Zoho-oauthtoken the token"
        if asked.method == "GET":
            return Answers({"watch": list(self.open.values())} if self.open else None, 200 if self.open else 204)
        if asked.method == "DELETE":
            channel = self.open.pop(asked.target.partition("channel_ids=")[2], None)
            return Answers({"watch": [{"code": "SUCCESS", "status": "success"}]}, 200 if channel else 400)
        assert asked.target == WATCH
        assert isinstance(asked.json, dict)
        (channel,) = asked.json["watch"]
        if self.refuses:
            return Answers({"watch": [{"code": "INVALID_DATA", "details": {}, "status": "error"}]}, 202)
        self.open[str(channel["channel_id"])] = {**channel, "channel_id": str(channel["channel_id"])}
        events = [{"channel_id": str(channel["channel_id"]), "channel_expiry": channel["channel_expiry"]}]
        return Answers({"watch": [{"code": "SUCCESS", "details": {"events": events}, "status": "success"}]}, 201)


@pytest.mark.parametrize("token", ["token-1", "token-0"])
def test_the_token_stands_in_the_body(token: str) -> None:
    ZOHO.verify(receipt(json.dumps(body_of("application_updated", token=token)).encode()))


@pytest.mark.parametrize("token", ["", None, "token", "token-1 ", "TOKEN-1", 7, ["token-1"], {"token": "token-1"}])
def test_another_token_is_rejected(token: object) -> None:
    with pytest.raises(Rejected) as rejected:
        ZOHO.verify(receipt(json.dumps(body_of("application_updated", token=token)).encode()))
    assert "token-1" not in str(rejected.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"token=token-1", b'{"token": "token-1"', b'[{"token": "token-1"}]'])
def test_a_body_without_a_readable_token_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejected):
        ZOHO.verify(receipt(body))


def test_signing_puts_the_token_into_an_object_and_into_nothing_else() -> None:
    assert json.loads(ZOHO.sign(b'{"ids": ["1"]}', NOW).body) == {"ids": ["1"], "token": "token-1"}
    for body in (b"[1]", b"x"):
        assert ZOHO.sign(body, NOW).body == body


@pytest.mark.parametrize(
    ("operation", "type_"),
    [
        ("insert", EventType.APPLICATION_CREATED),
        ("create", EventType.APPLICATION_CREATED),
        ("update", EventType.APPLICATION_UPDATED),
        ("edit", EventType.APPLICATION_UPDATED),
        ("delete", EventType.APPLICATION_DELETED),
        ("Insert", EventType.APPLICATION_CREATED),
        (None, EventType.APPLICATION_UPDATED),
    ],
)
def test_the_operation_is_the_type(operation: str | None, type_: EventType) -> None:
    (fact,) = normalised(body_of("application_updated", operation=operation)).facts
    assert fact.type is type_
    assert fact.needs_enrichment == (type_ is not EventType.APPLICATION_DELETED)


def test_each_id_is_a_fact_of_its_own_and_told_once() -> None:
    body = body_of("applications_created", ids=["11", 12, "11", "", None, True, {}])
    facts = normalised(body).facts
    assert [fact.application.id for fact in facts if fact.application] == ["11", "12"]
    assert len({fact.subject for fact in facts}) == 2


@pytest.mark.parametrize("ids", [None, [], "", ",", {"id": "11"}, [None, ""]])
def test_a_delivery_without_ids_is_drift(ids: object) -> None:
    with pytest.raises(Drift, match=r"^ids"):
        normalised(body_of("application_updated", ids=ids))
    with pytest.raises(Drift, match=r"^module"):
        normalised(body_of("application_updated", module=None))


def test_ids_may_be_one_text() -> None:
    facts = normalised(body_of("candidate_deleted", ids="11, 12,11")).facts
    assert [fact.candidate.id for fact in facts if fact.candidate] == ["11", "12"]


def test_changed_fields_are_told_of_their_own_record_only() -> None:
    affected: list[object] = [{"11": ["Application_Status"]}, {"12": ["Source", 7]}, {"13": 7}, 7]
    facts = normalised(body_of("applications_created", ids=["11", "12", "13"], affected_fields=affected)).facts
    assert [[change.field for change in fact.changes or ()] for fact in facts] == [
        ["Application_Status"],
        ["Source"],
        [],
    ]
    odd: list[object] = [None, 7, {}, "x"]
    for nothing in odd:
        assert normalised(body_of("application_updated", affected_fields=nothing)).facts[0].changes is None


def test_the_module_of_the_applications_is_a_setting() -> None:
    created = fact_of("candidate_created", module="Candidates")
    assert created.type is EventType.APPLICATION_CREATED
    assert created.subject == "a:48210000007654321"
    assert created.candidate
    assert created.candidate.id == "48210000007654321"
    assert fact_of("candidate_deleted", module="Candidates").type is EventType.APPLICATION_DELETED
    other = normalised(body_of("application_updated"), module="Candidates")
    assert other.disposition is Disposition.IGNORED


def test_the_same_bytes_are_the_same_event_for_some_minutes_only() -> None:
    sent = receipt(json.dumps(body_of("bare_ids_and_module")).encode())
    first, again, later = (
        ZOHO.normalise(replace(sent, received_at=NOW + timedelta(minutes=minutes))).dedupe for minutes in (0, 5, 15)
    )
    assert first
    assert first == again != later


def test_the_token_is_in_no_fact() -> None:
    assert "fixture key" not in repr(normalised(body_of("application_updated")))


async def test_an_update_becomes_what_the_record_is_now() -> None:
    (fact,), asked = await enriched(fact_of("application_updated"), Answers({"data": [record()]}))
    assert [request.target for request in asked] == ["/recruit/v2/Applications/48210000001234567"]
    assert asked[0].headers["authorization"] == "Zoho-oauthtoken the token"
    assert json.loads(fact.model_dump_json(exclude_defaults=True)) == {
        "type": "ApplicationUpdated",
        "is_snapshot": True,
        "occurred_at": "2026-02-14T09:21:47.512000Z",
        "vendor_event": "Applications.update",
        "application": {
            "id": "48210000001234567",
            "stage": {"name": "Interview-Scheduled"},
            "created_at": "2026-02-10T04:30:00Z",
            "updated_at": "2026-02-14T09:21:47Z",
            "source": "LinkedIn",
        },
        "candidate": {
            "id": "48210000007654321",
            "name": "Jacoby Curry",
            "first_name": "Jacoby",
            "last_name": "Curry",
            "emails": ["coby@example.com"],
            "phones": ["+1 555 0100"],
            "location": "Austin, USA",
        },
        "job": {"id": "48210000000560065", "title": "Analyst"},
        "actor": {"id": "8", "name": "Priya Rao"},
        "changes": [{"field": "Application_Status"}, {"field": "Updated_On"}],
    }


async def test_a_new_record_is_created_and_stands_where_it_stands_now() -> None:
    facts, _ = await enriched(fact_of("applications_created"), Answers({"data": [record()]}))
    assert [fact.type for fact in facts] == [EventType.APPLICATION_CREATED, EventType.APPLICATION_UPDATED]
    assert [fact.is_snapshot for fact in facts] == [False, True]
    assert [fact.actor.name for fact in facts if fact.actor] == ["Web form", "Priya Rao"]
    assert {fact.subject for fact in facts} == {"a:48210000001234567"}


async def test_names_may_be_objects_or_texts() -> None:
    odd = record(
        Candidate=None,
        Candidate_Name={"id": "5", "name": "Zoë Ek"},
        Full_Name=None,
        Job_Opening_Name={"id": "6", "name": "Cook"},
    )
    del odd["$Job_Opening_Id"]
    (fact,), _ = await enriched(fact_of("application_updated"), Answers({"data": [odd]}))
    assert fact.candidate
    assert fact.job
    assert (fact.candidate.id, fact.candidate.name) == ("5", "Zoë Ek")
    assert (fact.job.id, fact.job.title) == ("6", "Cook")


@pytest.mark.parametrize(
    ("assigned", "names"),
    [
        ([{"id": "8", "name": "Priya Rao"}, {"id": "9", "name": "Ola Berg"}], ["Priya Rao", "Ola Berg"]),
        ({"id": "8", "name": "Priya Rao"}, ["Priya Rao"]),
        ("Priya Rao", ["Priya Rao"]),
        ([], []),
        (None, []),
    ],
)
async def test_recruiters_are_told_in_several_forms(assigned: object, names: list[str]) -> None:
    answers = Answers({"data": [record(Assigned_Recruiter=assigned)]})
    (fact,), _ = await enriched(fact_of("application_updated"), answers)
    assert fact.job
    assert [person.name for person in fact.job.recruiters] == names


async def test_a_bare_record_is_enough() -> None:
    (fact,), _ = await enriched(fact_of("application_updated"), Answers({"data": [{"id": "48210000001234567"}]}))
    assert fact.application
    assert (fact.application.stage, fact.job, fact.actor) == (None, None, None)


async def test_a_record_in_candidates_has_its_stage_there() -> None:
    candidate = record(Candidate_Status="Hired", Current_Employer="Example Works", Current_Job_Title="Cook")
    del candidate["Application_Status"], candidate["Candidate"]
    thin = fact_of("candidate_updated", module="Candidates")
    (fact,), asked = await enriched(thin, Answers({"data": [candidate]}), module="Candidates")
    assert [request.target for request in asked] == ["/recruit/v2/Candidates/48210000007654321"]
    assert fact.application
    assert fact.application.stage
    assert fact.candidate
    assert (fact.application.stage.name, fact.application.stage.kind) == ("Hired", StageKind.HIRED)
    assert (fact.candidate.id, fact.candidate.company, fact.candidate.title) == (
        "48210000007654321",
        "Example Works",
        "Cook",
    )


async def test_a_changed_candidate_is_fetched_as_one() -> None:
    of_another = record(Candidate={"id": "1", "name": "Somebody"})
    (fact,), asked = await enriched(fact_of("candidate_updated"), Answers({"data": [of_another]}))
    assert [request.target for request in asked] == ["/recruit/v2/Candidates/48210000007654321"]
    assert (fact.type, fact.subject, fact.needs_enrichment) == (
        EventType.CANDIDATE_UPDATED,
        "c:48210000007654321",
        False,
    )
    assert fact.candidate
    assert fact.candidate.emails == ["coby@example.com"]


async def test_the_field_of_the_stage_is_a_setting() -> None:
    custom = Answers({"data": [record(My_Stage="Round 2")]})
    (fact,), _ = await enriched(fact_of("application_updated"), custom, status_field="My_Stage")
    assert fact.application
    assert fact.application.stage
    assert fact.application.stage.name == "Round 2"


HIRED = ("Hired", "Joined")
REJECTED = (
    *("Rejected", "Rejected by client", "Rejected-by-hiring-manager", "Rejected-for-Interview", "Unqualified"),
    *("Interviewed-Rejected", "Interviewed - Rejected", "Offer-Declined", "Offer declined", "Offer Withdrawn"),
    *("Withdrawn", "Junk candidate"),
)


@pytest.mark.parametrize("status", [*HIRED, *REJECTED, "Qualified", "To-be-Offered", "No-Show"])
async def test_zohos_own_statuses_that_mean_an_end(status: str) -> None:
    kind = StageKind.HIRED if status in HIRED else StageKind.REJECTED if status in REJECTED else None
    answers = Answers({"data": [record(Application_Status=status)]})
    (fact,), _ = await enriched(fact_of("application_updated"), answers)
    assert fact.application
    assert fact.application.stage
    assert fact.application.stage.kind is kind


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers({"code": "INVALID_TOKEN", "status": "error"}, 401), Refused),
        (Answers(None, 403), Refused),
        (Answers({"code": "INVALID_DATA"}, 404), NotThere),
        (Answers(None, 204), NotThere),
        (Answers({"data": []}), NotThere),
        (Answers(None, 429, {"retry-after": "5"}), Unavailable),
        (Answers(None, 500), Unavailable),
        (Answers(b"<html>"), Unavailable),
    ],
)
async def test_an_api_that_fails_is_told_apart(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        await enriched(fact_of("application_updated"), answers)


async def test_a_channel_is_opened_seen_renewed_and_closed() -> None:
    channels = Channels()
    async with stand_in(lambda asked: token_or(asked, channels.answer)) as server:
        handler = connected(server.url)
        async with api_of(handler.access()) as api:
            assert list(await handler.working([], URL, api)) == []
            (hook,) = [hook async for hook in handler.connect(URL, api)]
            assert hook.secret is None
            assert hook.events == ("Applications.all", "Candidates.delete")
            assert hook.expires_at
            assert timedelta(hours=23) < hook.expires_at - datetime.now(UTC) < timedelta(hours=24)
            (channel,) = channels.open.values()
            assert (channel["token"], channel["notify_url"]) == ("fixture key, the new one", URL)
            assert channel["events"] == ["Applications.all", "Candidates.delete"]
            assert list(await handler.working([hook, Hook("7")], URL, api)) == [hook.id]
            assert list(await handler.working([hook], URL + "/moved", api)) == []
            (again,) = [hook async for hook in handler.connect(URL, api)]
            assert again.id == hook.id
            renewed = await handler.renew(replace(hook, expires_at=None), URL, api)
            assert renewed.expires_at
            assert len(channels.open) == 1
            channel = channels.open[hook.id]
            channel["channel_expiry"] = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
            assert list(await handler.working([hook], URL, api)) == []
            await handler.remove(hook, api)
            await handler.remove(hook, api)
            assert channels.open == {}


async def test_a_pending_secret_is_made_here_and_used_again() -> None:
    channels = Channels()
    async with stand_in(lambda asked: token_or(asked, channels.answer)) as server:
        pending = connected(server.url, secret="pending")
        async with api_of(pending.access()) as api:
            (hook,) = [hook async for hook in pending.connect(URL, api)]
            assert hook.secret
            assert len(hook.secret) <= 50  # as long as Zoho CRM takes it
            assert isinstance(pending.settings, ConnectSettings)
            knowing = ZohoRecruit(pending.settings.knowing([hook.secret]))
            knowing.verify(receipt(json.dumps(body_of("application_updated", token=hook.secret)).encode()))
            await knowing.renew(replace(hook, secret=None), URL, api)
            assert channels.open[hook.id]["token"] == hook.secret


async def test_a_channel_that_is_refused_is_a_problem_with_its_code() -> None:
    channels = Channels()
    channels.refuses = True
    async with stand_in(lambda asked: token_or(asked, channels.answer)) as server:
        handler = connected(server.url)
        async with api_of(handler.access()) as api:
            with pytest.raises(NotThere, match="INVALID_DATA"):
                [hook async for hook in handler.connect(URL, api)]


def test_the_plan_names_the_events_and_no_secret() -> None:
    assert isinstance(ZOHO, ZohoRecruit)
    (sentence,) = ZOHO.plan(URL)
    assert "Applications.all and Candidates.delete" in sentence
    assert URL in sentence
    assert "token-1" not in sentence
    in_candidates = handler_of("zoho_recruit", module="Candidates")
    assert isinstance(in_candidates, ZohoRecruit)
    assert "Candidates.all" in in_candidates.plan(URL)[0]
    assert "Candidates.delete" not in in_candidates.plan(URL)[0]


def test_without_credentials_nothing_is_asked() -> None:
    assert isinstance(ZOHO, ZohoRecruit)
    assert ZOHO.access() is None
    with pytest.raises(ValidationError, match="a URL is"):
        handler_of("zoho_recruit", api_url="recruit.zoho.eu")
    with pytest.raises(ValidationError, match="go together"):
        handler_of("zoho_recruit", client_id="c", client_secret="s")
    assert "what lasts" not in repr(connected("https://example.com").access())


@pytest.mark.parametrize(
    ("type_", "outcome"), [(EventType.OUTCOME_CHANGED, Outcome.HIRED), (EventType.OFFER_CHANGED, Outcome.PENDING)]
)
def test_there_are_no_samples_of_what_is_not_told(type_: EventType, outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="no Zoho Recruit sample"):
        ZOHO.sample(Sample(type_, "1", "Ada", "Analyst", NOW, "Offer", outcome))
