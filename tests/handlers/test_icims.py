"""What is particular to iCIMS: a secret in the path, bare ids, and an API whose word counts more than the webhook's."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised, Rejected, Sample
from handlers.enriching import NotThere, Refused, Unavailable
from handlers.icims import Icims
from router.schema import EventType, Fact, Outcome, Person
from tests.handlers.vendor_api import Answers, Asked, api_of, stand_in
from tests.handlers.vendors import NOW, fixtures_of, handler_of, receipt

ICIMS = handler_of("icims", secret=["path-secret-1", "path-secret-0"])


def body_of(name: str, **changes: object) -> dict[str, Any]:
    return {**json.loads(fixtures_of("icims")[name].body), **changes}


def normalised(body: object, handler: object = ICIMS) -> Normalised:
    assert isinstance(handler, Icims)
    return handler.normalise(receipt(json.dumps(body).encode()))


def fact_of(name: str, **changes: object) -> Fact:
    (fact,) = normalised(body_of(name, **changes)).facts
    return fact


def workflow(**changes: object) -> dict[str, Any]:
    """What the API answers, as public clients have recorded it."""
    base = "https://api.icims.com/customers/5512"
    return {
        "associatedprofile": {"profile": f"{base}/people/33051", "id": 33051, "value": "Hana Sato"},
        "baseprofile": {"profile": f"{base}/jobs/1907", "id": 1907, "value": "Warehouse Lead"},
        "source": "Job Board",
        "sourcename": "Indeed",
        "status": {"id": "C36951", "value": "Phone Screen", "formattedvalue": "Phone Screen"},
        "links": [{"rel": "self", "title": "The current profile", "url": f"{base}/applicantworkflows/40218"}],
        **changes,
    }


PEOPLE = {
    "33051": {
        "firstname": "Hana",
        "lastname": "Sato",
        "email": "hana.sato@example.com",
        "phones": [{"phonenumber": "+1 555 0101"}],
        "gender": {"value": "Female"},
    },
    "1204": {"firstname": "Rita", "lastname": "Moss", "email": "rita.moss@example.com"},
}


async def enriched(fact: Fact, *answers: Answers) -> tuple[Fact, list[Asked]]:
    """``answers`` to the workflow; people are known."""

    def answer(asked: Asked) -> Answers:
        path = asked.target.partition("?")[0]
        if "/people/" in path:
            return Answers(PEOPLE[path.rpartition("/")[2]]) if path.rpartition("/")[2] in PEOPLE else Answers({}, 404)
        return answers[0] if answers else Answers(workflow())

    async with stand_in(answer) as server:
        handler = handler_of("icims", username="api", password="pass", api_url=server.url)
        assert isinstance(handler, Icims)
        async with api_of(handler.access()) as api:
            (complete,) = await handler.enrich(fact, api)
        return complete, server.asked


def test_whoever_knows_the_path_is_let_in() -> None:
    body = fixtures_of("icims")["status_change"].body
    for secret in ("path-secret-1", "path-secret-0"):
        ICIMS.verify(receipt(body, rest=secret))
    for rest in ("", "path-secret", "path-secret-1/", "PATH-SECRET-1", "path-secret-1 path-secret-0"):
        with pytest.raises(Rejected):
            ICIMS.verify(receipt(body, rest=rest))
    sent = ICIMS.sign(body, NOW)
    assert (sent.rest, sent.body) == ("path-secret-1", body)
    assert "path-secret-1" not in str(sent.headers)


def test_a_body_that_is_no_json_is_kept_as_drift() -> None:
    sent = receipt(b'{"systemId": "402', rest="path-secret-1")
    ICIMS.verify(sent)
    assert ICIMS.read(sent).disposition is Disposition.DRIFT


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("status_change", "systemId"),
        ("status_change", "newStatus"),
        ("status_change", "eventType"),
        ("application_completed", "systemId"),
    ],
)
def test_drift_names_the_path_that_failed(name: str, key: str) -> None:
    wrong: list[object] = [None, "", True, []]
    for bad in wrong:
        with pytest.raises(Drift, match=f"^{key}"):
            normalised(body_of(name, **{key: bad}))


def test_ids_may_be_numbers() -> None:
    fact = fact_of("status_change", systemId=40218, newStatus=20786, oldStatus=1753, personId=33051, jobId=1907)
    assert fact == fact_of("status_change")


@pytest.mark.parametrize(
    "links",
    [
        [],
        None,
        [{"rel": "person", "url": "https://api.icims.com/customers/5512/people/"}],
        [{"rel": "person", "url": "https://api.icims.com/customers/5512/people/33051?x=1"}],
        [{"rel": "person", "url": None}, {"rel": "job"}],
    ],
)
def test_a_completed_application_without_usable_links_goes_on_without_them(links: object) -> None:
    fact = fact_of("application_completed", links=links)
    assert (fact.candidate, fact.job, fact.actor) == (None, None, None)


def test_the_user_of_a_completed_application_is_the_person_and_did_nothing() -> None:
    assert fact_of("application_completed").actor is None
    assert fact_of("status_change").actor == Person(id="1204")


def test_a_body_of_another_customer_is_ignored_only_where_the_customer_is_set() -> None:
    other = body_of("other_customer")
    assert normalised(other).disposition is Disposition.IGNORED
    assert normalised(other, handler_of("icims", customer_id=None)).disposition is Disposition.EVENTS
    assert normalised(body_of("status_change", customerId=5512)).disposition is Disposition.EVENTS
    assert normalised(body_of("status_change", customerId=5512), handler_of("icims", customer_id=5512)).facts
    assert normalised(body_of("status_change", customerId=None)).disposition is Disposition.EVENTS


def test_the_same_bytes_are_the_same_event_for_some_minutes_only() -> None:
    sent = receipt(json.dumps(body_of("status_change")).encode())
    first, again, later = (
        ICIMS.normalise(replace(sent, received_at=NOW + timedelta(minutes=minutes))).dedupe for minutes in (0, 5, 15)
    )
    assert first
    assert first == again != later


async def test_the_fetched_workflow_decides_on_the_status() -> None:
    fact, asked = await enriched(fact_of("status_change"))
    assert [request.target for request in asked] == [
        "/customers/5512/applicantworkflows/40218",
        "/customers/5512/people/33051?fields=firstname,lastname,email,phones",
        "/customers/5512/people/1204?fields=firstname,lastname,email,phones",
    ]
    assert asked[0].headers["authorization"] == f"Basic {b64encode(b'api:pass').decode()}"
    assert json.loads(fact.model_dump_json(exclude_defaults=True)) == {
        "type": "StageChanged",
        "vendor_event": "WorkFlowStatusChangeEvent",
        "application": {
            "id": "40218",
            "stage": {"id": "C36951", "name": "Phone Screen"},
            "source": "Indeed",
        },
        "candidate": {
            "id": "33051",
            "name": "Hana Sato",
            "first_name": "Hana",
            "last_name": "Sato",
            "emails": ["hana.sato@example.com"],
            "phones": ["+1 555 0101"],
        },
        "job": {"id": "1907", "title": "Warehouse Lead"},
        "to_stage": {"id": "C36951", "name": "Phone Screen"},
        "actor": {"id": "1204", "name": "Rita Moss", "email": "rita.moss@example.com"},
    }


async def test_users_are_remembered_and_candidates_are_asked_for_again() -> None:
    def answer(asked: Asked) -> Answers:
        path = asked.target.partition("?")[0]
        return Answers(PEOPLE[path.rpartition("/")[2]] if "/people/" in path else workflow())

    async with stand_in(answer) as server:
        handler = handler_of("icims", username="api", password="pass", api_url=server.url)
        assert isinstance(handler, Icims)
        async with api_of(handler.access()) as api:
            for _ in range(2):
                await handler.enrich(fact_of("status_change"), api)
        asked = [request.target.partition("?")[0].removeprefix("/customers/5512") for request in server.asked]
    workflows, candidates = 2 * ["/applicantworkflows/40218"], 2 * ["/people/33051"]
    assert sorted(asked) == [*workflows, "/people/1204", *candidates]


async def test_a_forged_person_or_job_gives_way_to_what_was_fetched() -> None:
    fact, _ = await enriched(fact_of("status_change", personId="1", jobId="2", newStatus="3", userId=None))
    assert fact.candidate
    assert fact.job
    assert fact.to_stage
    assert (fact.candidate.id, fact.job.id, fact.to_stage.id, fact.actor) == ("33051", "1907", "C36951", None)


async def test_a_new_application_gets_its_status_too() -> None:
    fact, _ = await enriched(fact_of("application_completed"))
    assert fact.type is EventType.APPLICATION_CREATED
    assert fact.application
    assert fact.application.stage
    assert fact.application.stage.name == "Phone Screen"
    assert fact.to_stage is None


async def test_what_the_api_leaves_out_stays_as_the_webhook_said_it() -> None:
    hint = fact_of("status_change", personId="7", userId="8")
    fact, _ = await enriched(hint, Answers({"source": "Referral"}))
    assert (fact.to_stage, fact.from_stage, fact.candidate, fact.job) == (
        hint.to_stage,
        hint.from_stage,
        hint.candidate,
        hint.job,
    )
    assert fact.actor == Person(id="8")
    assert fact.application
    assert (fact.application.stage, fact.application.source) == (hint.to_stage, "Referral")


async def test_a_person_who_is_gone_is_known_by_the_workflow_only() -> None:
    gone = workflow(associatedprofile={"id": 5, "value": "Ida Ek"})
    fact, _ = await enriched(fact_of("status_change"), Answers(gone))
    assert fact.candidate
    assert (fact.candidate.id, fact.candidate.name, fact.candidate.emails) == ("5", "Ida Ek", [])


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (Answers(None, 401), Refused),
        (Answers(None, 403), Refused),
        (Answers({"errors": []}, 404), NotThere),
        (Answers(None, 429, {"retry-after": "3"}), Unavailable),
        (Answers(None, 500), Unavailable),
        (Answers(b"no json"), Unavailable),
    ],
)
async def test_an_api_that_fails_is_told_apart(answers: Answers, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        await enriched(fact_of("status_change"), answers)


def test_credentials_are_whole_or_not_there() -> None:
    assert isinstance(ICIMS, Icims)
    assert ICIMS.access() is None
    refused: list[tuple[dict[str, object], str]] = [
        ({"username": "api"}, "go together"),
        ({"password": "pass"}, "go together"),
        ({"username": "api", "password": "pass", "customer_id": None}, "customer_id"),
        ({"api_url": "api.icims.com"}, "a URL is"),
    ]
    for half, sentence in refused:
        with pytest.raises(ValidationError, match=sentence):
            handler_of("icims", **half)


def test_samples_are_of_this_customer_and_of_nothing_that_is_not_told() -> None:
    step = Sample(EventType.STAGE_CHANGED, "1", "Ada", "Analyst", NOW, "Offer")
    assert normalised(json.loads(ICIMS.sample(step))).facts
    with pytest.raises(ValueError, match="no iCIMS sample"):
        ICIMS.sample(Sample(EventType.OUTCOME_CHANGED, "1", "Ada", "Analyst", NOW, "Offer", Outcome.HIRED))
