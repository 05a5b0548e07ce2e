import asyncio
import json
import os
import random
import ssl
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from router.client import Client
from router.schema import (
    CANDIDATE_TYPES,
    Application,
    Candidate,
    Event,
    EventType,
    Job,
    Offer,
    Person,
    RejectionReason,
    Stage,
    StageKind,
)
from router.schema import Outcome as Hired
from router.secret import Reference
from sinks.base import Delivery, Outcome, Result, SinkProblem
from sinks.hris.database import outcome_of
from sinks.hris.settings import HrisStagingSettings
from sinks.hris_staging import HrisStaging
from tests.databases import Database, Postgresql, Sqlite
from tests.postgres import Postgres
from tests.sinks.database import DatabaseConformance

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OK = Outcome(Result.DELIVERED, "ok")
DUPLICATE = Outcome(Result.DELIVERED, "duplicate")
ADA = Candidate(
    id="7", name="Ada Lovelace", first_name="Ada", last_name="Lovelace", emails=["ada@example.com", "a@b.c"],
    phones=["+44 1"], custom_fields={"T-shirt": "M"},
)  # fmt: skip
JOB = Job(
    id="5", title="Engineer", requisition_id="R-5", departments=["R&D", "Engines"], offices=["London"],
    recruiters=[Person(name="Rita"), Person(name="Rob")], hiring_managers=[Person(name="Hugo", email="h@example.com")],
    custom_fields={"cost_centre": 4711},
)  # fmt: skip


@pytest.fixture
async def postgresql(postgres: Postgres) -> Postgresql:
    database = Postgresql(postgres)
    await database.empty()
    return database


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Sqlite(tmp_path)
    database = Postgresql(request.getfixturevalue("postgres"))
    await database.empty()
    return database


class TestConformance(DatabaseConformance):
    sink = HrisStaging


def made(database: Database, **more: Any) -> HrisStaging:
    settings = {"type": "hris_staging", "url": Reference(database.url), **more}
    return HrisStaging(HrisStagingSettings.model_validate(settings), Client())


@asynccontextmanager
async def opened(database: Database, **more: Any) -> AsyncIterator[HrisStaging]:
    sink = made(database, **more)
    try:
        await sink.open()
        yield sink
    finally:
        await sink.close()


@pytest.fixture
async def sink(database: Database) -> AsyncIterator[HrisStaging]:
    async with opened(database) as sink:
        yield sink


def told(sequence: int, type_: EventType = EventType.STAGE_CHANGED, *, key: str = "", **fields: Any) -> Delivery:
    """An event of the application 1, which says no more than it is told to."""
    if type_ not in CANDIDATE_TYPES:
        of_application = {"stage": None, "outcome": None, **fields.pop("application", {})}
        fields["application"] = Application(**{"id": "1", **of_application})
    event = Event.model_validate(
        {
            "id": f"evt_{sequence}", "type": type_, "source": "greenhouse", "vendor": "greenhouse", "received_at": NOW,
            "occurred_at": NOW, "sequence": sequence, "vendor_event": "something", **fields,
        }
    )  # fmt: skip
    body = event.model_dump_json().encode()
    return Delivery(key or f"dlv_{type_}_{sequence}", body, body)


def at(name: str, kind: StageKind | None = None) -> dict[str, Any]:
    return {"stage": Stage(name=name, kind=kind)}


async def deliver(sink: HrisStaging, *deliveries: Delivery) -> list[Outcome]:
    return [await sink.attempt(delivery) for delivery in deliveries]


async def staged(database: Database, table: str = "hris_staging") -> list[dict[str, Any]]:
    return await database.query(f"SELECT * FROM {table} ORDER BY application_id")


async def the_row(database: Database) -> dict[str, Any]:
    [row] = await staged(database)
    return row


async def recorded(database: Database) -> list[dict[str, Any]]:
    return await database.query("SELECT * FROM hris_staging_events ORDER BY idempotency_key")


def content(row: dict[str, Any]) -> Any:
    return json.loads(row["event"]) if isinstance(row["event"], str) else row["event"]


async def test_a_hire_fills_every_column(database: Database, sink: HrisStaging) -> None:
    hire = {"outcome": Hired.HIRED, "hired_at": NOW, **at("Offer", StageKind.HIRED), "custom_fields": {"Visa": [True]}}
    offer = Offer(id="4", start_date="2027-01-04")
    event = told(3, EventType.OUTCOME_CHANGED, application=hire, candidate=ADA, job=JOB, offer=offer, account="acme")
    assert await deliver(sink, event) == [OK]
    row = await the_row(database)
    fields = {name: json.loads(value) if isinstance(value := row.pop(name), str) else value for name in _CUSTOM}
    assert fields == dict(zip(_CUSTOM, ({"Visa": [True]}, {"T-shirt": "M"}, {"cost_centre": 4711}), strict=True))
    hired_at, as_of, updated_at = (moment(row.pop(name)) for name in ("hired_at", "candidate_as_of", "updated_at"))
    assert hired_at == as_of == NOW
    assert abs(updated_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert row == {
        "source": "greenhouse", "account": "acme", "application_id": "1", "candidate_id": "7", "name": "Ada Lovelace",
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com", "phone": "+44 1", "job_id": "5",
        "job_title": "Engineer", "requisition": "R-5", "department": "R&D, Engines", "office": "London",
        "recruiter": "Rita, Rob", "hiring_manager": "Hugo", "stage": "Offer", "stage_kind": "HIRED", "outcome": "HIRED",
        "rejection_reason": None, "start_date": "2027-01-04", "sequence": 3, "vendor_version": None,
        "candidate_deleted_at": None, "deleted_at": None, "test": False,
    }  # fmt: skip
    [record] = await recorded(database)
    assert content(record) == json.loads(event.event_body)
    assert moment(record["occurred_at"]) == moment(record["received_at"]) == NOW
    known = ("idempotency_key", "event_id", "type", "source", "account", "application_id", "candidate_id", "sequence")
    assert [record[name] for name in known] == [event.id, "evt_3", "OutcomeChanged", "greenhouse", "acme", "1", "7", 3]


_CUSTOM = ("application_custom_fields", "candidate_custom_fields", "job_custom_fields")


def moment(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


async def test_the_same_key_again_changes_nothing(database: Database, sink: HrisStaging) -> None:
    assert await deliver(sink, told(1, application=at("Onsite")), told(1, application=at("Onsite"))) == [OK, DUPLICATE]
    assert len(await recorded(database)) == 1


async def test_the_same_key_at_once_is_written_once(database: Database, sink: HrisStaging) -> None:
    async with opened(database) as other:
        attempts = [each.attempt(told(1, candidate=ADA)) for each in (sink, other) for _ in range(10)]
        outcomes = await asyncio.gather(*attempts)
    assert sorted(outcome.reason for outcome in outcomes) == ["duplicate"] * 19 + ["ok"]
    assert len(await recorded(database)) == 1


@pytest.mark.parametrize("candidate", [ADA, None])
async def test_two_workers_at_once(database: Database, candidate: Candidate | None) -> None:
    """The highest of all sequences stands in the row, whoever came last; events of the candidate run between them."""
    deliveries = [told(n, application=at(f"stage {n}"), candidate=candidate) for n in range(60)]
    if candidate:
        deliveries += [told(n, EventType.CANDIDATE_UPDATED, candidate=candidate) for n in range(20)]
    random.Random(7).shuffle(deliveries)
    async with opened(database) as one, opened(database) as two:
        workers = (one, two)
        outcomes = await asyncio.gather(*(workers[i % 2].attempt(each) for i, each in enumerate(deliveries)))
    assert set(outcomes) == {OK}
    assert len(await recorded(database)) == len(deliveries)
    row = await the_row(database)
    assert (row["sequence"], row["stage"]) == (59, "stage 59")


async def test_older_events_are_recorded_and_do_not_overwrite(database: Database, sink: HrisStaging) -> None:
    assert (
        await deliver(
            sink,
            told(5, application=at("Onsite")),
            told(4, application=at("Phone") | {"outcome": Hired.HIRED}),
            told(6, application=at("Phone"), late=True),
        )
        == [OK] * 3
    )
    row = await the_row(database)
    assert (row["stage"], row["outcome"], row["sequence"]) == ("Onsite", None, 5)
    assert len(await recorded(database)) == 3


async def test_the_vendors_version_counts_more_than_the_sequence(database: Database, sink: HrisStaging) -> None:
    await deliver(
        sink,
        told(1, application=at("A"), vendor_version="2026-01-02"),
        told(2, application=at("B"), vendor_version="2026-01-01"),
    )
    assert (await the_row(database))["stage"] == "A"
    await deliver(sink, told(3, application=at("C"), vendor_version="2026-01-02"))
    assert (await the_row(database))["stage"] == "C"
    await deliver(sink, told(4, application=at("D")))
    row = await the_row(database)
    assert (row["stage"], row["vendor_version"]) == ("D", "2026-01-02")


async def test_what_is_older_or_late_fills_what_is_empty(database: Database, sink: HrisStaging) -> None:
    await deliver(
        sink,
        told(2, application=at("Onsite")),
        told(1, EventType.APPLICATION_CREATED, late=True, application=at("Applied"), candidate=ADA, job=JOB),
    )
    row = await the_row(database)
    assert (row["stage"], row["name"], row["job_title"]) == ("Onsite", "Ada Lovelace", "Engineer")


async def test_a_late_event_that_comes_first_gives_way(database: Database, sink: HrisStaging) -> None:
    late = told(9, EventType.APPLICATION_CREATED, late=True, application=at("Applied"), candidate=ADA)
    await deliver(sink, late, told(8, application=at("Onsite"), candidate=Candidate(id="7", name="Ada King")))
    row = await the_row(database)
    assert (row["stage"], row["name"], row["sequence"]) == ("Onsite", "Ada King", 8)


async def test_thin_events_erase_nothing(database: Database, sink: HrisStaging) -> None:
    whole = told(1, application=at("Offer", StageKind.OFFER), candidate=ADA, job=JOB)
    offer = told(2, EventType.OFFER_CHANGED, offer=Offer(id="4", start_date="2027-01-04"))
    await deliver(sink, whole)
    before = await the_row(database)
    gone = told(3, EventType.APPLICATION_DELETED, candidate=Candidate(id="7"), job=Job(id="5"))
    await deliver(sink, offer, gone)
    after = await the_row(database)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"start_date", "sequence", "deleted_at", "updated_at"}
    assert moment(after["deleted_at"]) == NOW


async def test_what_an_event_makes_untrue_goes(database: Database, sink: HrisStaging) -> None:
    reason = {"outcome": Hired.DECLINED, "rejection_reason": RejectionReason(name="Salary")}
    await deliver(sink, told(1, application=at("Offer", StageKind.OFFER) | reason, job=JOB))
    await deliver(sink, told(2, application=at("Hello") | {"outcome": Hired.HIRED, "hired_at": NOW}))
    row = await the_row(database)
    assert (row["stage_kind"], row["rejection_reason"], moment(row["hired_at"])) == (None, None, NOW)
    await deliver(sink, told(3, application={"outcome": Hired.PENDING, "hired_at": NOW}, job=Job(id="6", title="Cook")))
    row = await the_row(database)
    assert (row["hired_at"], row["stage"]) == (None, "Hello")
    assert (row["job_title"], row["requisition"], row["job_custom_fields"]) == ("Cook", None, None)
    await deliver(sink, told(0, job=JOB))
    assert (await the_row(database))["requisition"] is None


async def test_candidate_events_reach_the_rows_of_the_candidate(database: Database, sink: HrisStaging) -> None:
    later: dict[str, Any] = {"received_at": NOW + timedelta(seconds=1)}
    await deliver(
        sink,
        *(told(n, application={"id": str(n)}, candidate=ADA) for n in (1, 2)),
        told(1, EventType.CANDIDATE_UPDATED, candidate=Candidate(id="7", name="Ada King"), **later),
        told(3, application={"id": "3"}, candidate=Candidate(id="8", name="Bob")),
        told(4, application={"id": "2"}, candidate=ADA),
    )
    assert [row["name"] for row in await staged(database)] == ["Ada King", "Ada King", "Bob"]
    assert [row["sequence"] for row in await staged(database)] == [1, 4, 3]
    assert (await staged(database))[0]["email"] == "ada@example.com"
    assert len(await recorded(database)) == 5


async def test_a_deleted_candidate_leaves_nothing_of_the_person(database: Database) -> None:
    extra = {"shirt": "candidate.custom_fields.T-shirt", "cost_centre": "job.custom_fields.cost_centre"}
    async with opened(database, extra=extra) as sink:
        custom = {"custom_fields": {"Salary": 1}}
        await deliver(
            sink,
            told(2, application=at("Onsite") | custom, candidate=ADA, job=JOB),
            told(3, application=custom),
            told(1, EventType.CANDIDATE_UPDATED, candidate=ADA),
            told(2, EventType.CANDIDATE_DELETED, candidate=Candidate(id="7", name="Ada")),
            told(1, candidate=ADA),
            told(9, application=custom, candidate=ADA),
            told(4, application={"id": "2"}, candidate=ADA),
            told(5, application={"id": "3"}, candidate=Candidate(id="8", name="Bob")),
        )
        rows = await staged(database)
    person = ("name", "first_name", "last_name", "email", "phone", *_CUSTOM[:2], "shirt")
    assert [[row[name] for name in person] for row in rows[:2]] == [[None] * len(person)] * 2
    assert moment(rows[0]["candidate_deleted_at"]) == NOW
    assert (rows[0]["stage"], rows[0]["cost_centre"], rows[0]["sequence"]) == ("Onsite", "4711", 9)
    assert (rows[2]["name"], rows[2]["candidate_deleted_at"]) == ("Bob", None)
    kept = [row for row in await recorded(database) if row["event"] is not None]
    assert [row["candidate_id"] for row in kept] == ["8"]


@pytest.mark.parametrize("round_", range(5))
async def test_nothing_slips_in_while_a_candidate_is_deleted(database: Database, round_: int) -> None:
    deliveries = [told(n, application={"id": str(n)}, candidate=ADA) for n in range(10)]
    deliveries.insert(round_ * 2, told(1, EventType.CANDIDATE_DELETED, candidate=Candidate(id="7")))
    async with opened(database) as one, opened(database) as two:
        outcomes = await asyncio.gather(*((one, two)[i % 2].attempt(each) for i, each in enumerate(deliveries)))
    assert set(outcomes) == {OK}
    assert {row["name"] for row in await staged(database)} == {None}
    assert {row["event"] for row in await recorded(database)} == {None}


async def test_merged_candidates_are_one_from_then_on(database: Database, sink: HrisStaging) -> None:
    await deliver(
        sink,
        told(1, candidate=ADA),
        told(1, EventType.CANDIDATE_MERGED, candidate=Candidate(id="7", name="Old"), merged_into="9"),
    )
    row = await the_row(database)
    assert (row["candidate_id"], row["name"]) == ("9", "Old")
    await deliver(sink, told(1, EventType.CANDIDATE_DELETED, candidate=Candidate(id="9")))
    assert (await the_row(database))["name"] is None
    assert {row["event"] for row in await recorded(database)} == {None}


async def test_a_candidate_event_says_nothing_of_applications(database: Database, sink: HrisStaging) -> None:
    """Even where the vendor adds a job to it: the candidate may have several."""
    update = told(9, EventType.CANDIDATE_UPDATED, candidate=ADA, job=Job(id="6", title="Cook"))
    await deliver(sink, told(1, candidate=ADA, job=JOB), update)
    assert (await the_row(database))["job_title"] == "Engineer"


async def test_a_candidate_who_was_deleted_before_the_merge_takes_nobody_along(
    database: Database, sink: HrisStaging
) -> None:
    old = Candidate(id="8")
    await deliver(
        sink,
        told(1, EventType.CANDIDATE_DELETED, candidate=old),
        told(2, EventType.CANDIDATE_MERGED, candidate=old, merged_into="7"),
        told(3, candidate=ADA),
    )
    assert (await the_row(database))["name"] == "Ada Lovelace"


async def test_tests_are_marked_until_something_real_comes(database: Database, sink: HrisStaging) -> None:
    await deliver(sink, told(1, test=True))
    assert (await the_row(database))["test"] in (True, 1)
    await deliver(sink, told(2))
    await deliver(sink, told(3, test=True))
    assert (await the_row(database))["test"] in (False, 0)
    assert [bool(row["test"]) for row in await recorded(database)] == [True, False, True]


@pytest.mark.parametrize(
    "text",
    ["'); DROP TABLE hris_staging; --", '"', "\\", "%s :name {x} $1", "🦀 Zoë Łuczak \u202e", "x" * 100_000, "=1+1"],
    ids=range(7),
)
async def test_hostile_text_is_kept_as_it_is(database: Database, sink: HrisStaging, text: str) -> None:
    person = Candidate(id=text[:500], name=text, custom_fields={text: text})
    assert await deliver(sink, told(1, application=at(text), candidate=person)) == [OK]
    row = await the_row(database)
    assert (row["name"], row["stage"], row["candidate_id"]) == (text, text, text[:500])
    [record] = await recorded(database)
    assert content(record)["candidate"]["custom_fields"] == {text: text}


async def test_nul_characters_are_dropped(database: Database, sink: HrisStaging) -> None:
    person = Candidate(id="\x007", name="A\x00da", custom_fields={"a\x00": ["\x00b", {"c": "\x00"}]})
    job = Job(custom_fields={"x": "\x00"}, title="\x00")
    reason = {"outcome": Hired.DECLINED, "rejection_reason": RejectionReason(name="a\x00")}
    delivery = told(1, application={"id": "1\x00", **reason}, candidate=person, job=job, account="\x00a")
    assert await deliver(sink, delivery) == [OK]
    row = await the_row(database)
    assert (row["application_id"], row["candidate_id"], row["name"], row["job_title"]) == ("1", "7", "Ada", None)
    [record] = await recorded(database)
    assert content(record)["candidate"]["custom_fields"] == {"a": ["b", {"c": ""}]}


async def test_what_can_never_be_written_is_final(database: Database, sink: HrisStaging) -> None:
    assert await deliver(sink, told(2**70)) == [Outcome(Result.PERMANENT, "db_rejected")]
    assert await staged(database) == await recorded(database) == []


async def test_an_id_larger_than_an_index_is_final(postgresql: Postgresql) -> None:
    noise = "".join(random.Random(7).choices("0123456789abcdef", k=20_000))
    async with opened(postgresql) as sink:
        assert await deliver(sink, told(1, application={"id": noise})) == [Outcome(Result.PERMANENT, "db_rejected")]
    assert await recorded(postgresql) == []


async def test_a_table_that_vanished_is_waited_for(database: Database, sink: HrisStaging) -> None:
    await database.query("DROP TABLE hris_staging")
    assert await deliver(sink, told(1)) == [Outcome(Result.REFUSED, "db_changed")]
    await sink.open()
    assert await deliver(sink, told(1)) == [OK]
    assert len(await recorded(database)) == 1


async def test_both_tables_or_none(database: Database, sink: HrisStaging) -> None:
    await database.query("ALTER TABLE hris_staging RENAME TO aside")
    await deliver(sink, told(1))
    assert await recorded(database) == []


async def repeated(database: Database, statement: str) -> None:
    """Until it finds something."""
    for _ in range(1000):
        if await database.query(statement):
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen in time")


async def test_killed_connections(postgresql: Postgresql) -> None:
    """In the middle of a transaction: it is rolled back and tried again."""
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO hris_staging %'"
    async with opened(postgresql) as sink:
        await deliver(sink, told(1, candidate=ADA))
        async with postgresql.locked("hris_staging"):
            attempt = asyncio.create_task(sink.attempt(told(2, candidate=ADA)))
            await repeated(postgresql, kill)
            assert await attempt == Outcome(Result.RETRY, "db_unreachable")
        assert len(await recorded(postgresql)) == 1
        assert await deliver(sink, told(2, candidate=ADA)) == [OK]
    assert len(await recorded(postgresql)) == 2
    assert (await the_row(postgresql))["sequence"] == 2


async def test_a_connection_lost_while_committing_is_ambiguous(postgresql: Postgresql) -> None:
    """A deferred trigger holds the commit back for as long as it takes to kill it."""
    async with opened(postgresql) as sink:
        await postgresql.query(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'"
        )
        await postgresql.query(
            "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON hris_staging_events "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        attempt = asyncio.create_task(sink.attempt(told(1)))
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        await repeated(postgresql, kill)
        assert await attempt == Outcome(Result.AMBIGUOUS, "db_unreachable")
        await postgresql.query("DROP TRIGGER slow ON hris_staging_events")
        assert await deliver(sink, told(1)) == [OK]


@asynccontextmanager
async def as_another_user(postgresql: Postgresql) -> AsyncIterator[HrisStaging]:
    """A sink that opened nothing, of a user who may use what is there but not write."""
    await postgresql.query("CREATE ROLE hr LOGIN")
    await postgresql.query("GRANT USAGE ON SCHEMA public TO hr")
    url = Reference(postgresql.url.replace("postgres:W00t@", "hr@"))
    sink = HrisStaging(HrisStagingSettings.model_validate({"type": "hris_staging", "url": url}), Client())
    try:
        yield sink
    finally:
        await sink.close()
        await postgresql.query("DROP OWNED BY hr")
        await postgresql.query("DROP ROLE hr")


async def test_too_many_connections(postgresql: Postgresql) -> None:
    async with opened(postgresql), as_another_user(postgresql) as sink:
        await postgresql.query("ALTER ROLE hr CONNECTION LIMIT 0")
        assert await deliver(sink, told(1)) == [Outcome(Result.RETRY, "db_overloaded")]


async def test_no_right_to_write_is_waited_for(postgresql: Postgresql) -> None:
    async with opened(postgresql), as_another_user(postgresql) as sink:
        assert await deliver(sink, told(1)) == [Outcome(Result.REFUSED, "db_no_access")]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("40001", Outcome(Result.RETRY, "db_locked")),
        ("40P01", Outcome(Result.RETRY, "db_locked")),
        ("57014", Outcome(Result.RETRY, "db_locked")),
        ("57P03", Outcome(Result.RETRY, "db_unreachable")),
        ("53100", Outcome(Result.RETRY, "db_overloaded")),
        ("25006", Outcome(Result.RETRY, "db_read_only")),
        ("XX000", Outcome(Result.RETRY, "db_error")),
        ("22001", Outcome(Result.PERMANENT, "db_rejected")),
        ("23514", Outcome(Result.PERMANENT, "db_rejected")),
    ],
)
async def test_what_postgresql_says(postgresql: Postgresql, code: str, outcome: Outcome) -> None:
    async with opened(postgresql) as sink:
        await postgresql.query(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        )
        await postgresql.query("CREATE TRIGGER fail BEFORE UPDATE ON hris_staging FOR EACH ROW EXECUTE FUNCTION fail()")
        assert await deliver(sink, told(1)) == [outcome]
        assert await recorded(postgresql) == await staged(postgresql) == []


def test_a_certificate_that_is_not_trusted_is_waited_for() -> None:
    error = ssl.SSLCertVerificationError("self-signed")
    assert outcome_of(error) == Outcome(Result.RETRY, "db_unreachable")


async def test_a_locked_sqlite_is_waited_for(tmp_path: Path) -> None:
    database = Sqlite(tmp_path)
    async with opened(database, timeout="10s") as sink:
        async with database.locked("hris_staging"):
            attempt = asyncio.create_task(sink.attempt(told(1)))
            await asyncio.sleep(0.2)
            assert not attempt.done()
        assert await attempt == OK


async def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with opened(Sqlite(tmp_path)) as sink:
        await deliver(sink, told(1))
        assert {stat.S_IMODE(os.stat(entry).st_mode) for entry in os.scandir(tmp_path)} == {0o600}


async def test_opening_by_many_workers_at_once(database: Database) -> None:
    workers = [made(database) for _ in range(8)]
    await asyncio.gather(*(worker.open() for worker in workers))
    for worker in workers:
        await worker.close()
    assert await staged(database) == []


async def test_columns_and_tables_of_the_users_own(database: Database) -> None:
    own = {
        "table": "NewHires",
        "events_table": "order",
        "columns": {"name": "Full_Name", "application_id": "id", "sequence": "select", "job_title": "name"},
        "extra": {"cost_centre": "job.custom_fields.cost_centre", "manager_email": "job.hiring_managers.email"},
    }
    async with opened(database, **own) as sink:
        assert await deliver(sink, told(2, candidate=ADA, job=JOB), told(1, candidate=ADA)) == [OK, OK]
        await sink.open()
        assert sink.target(told(1).event).endswith(" NewHires")
    [row] = await database.query('SELECT * FROM "NewHires"')
    names = ("Full_Name", "id", "select", "name", "cost_centre", "manager_email")
    assert [row[name] for name in names] == ["Ada Lovelace", "1", 2, "Engineer", "4711", "h@example.com"]
    assert len(await database.query('SELECT * FROM "order"')) == 2


async def test_columns_of_hr_are_left_alone(database: Database, sink: HrisStaging) -> None:
    await database.query("ALTER TABLE hris_staging ADD COLUMN checked_by TEXT")
    await deliver(sink, told(1))
    await database.query("UPDATE hris_staging SET checked_by = 'Hanna'")
    await sink.open()
    await deliver(sink, told(2, application=at("Onsite")))
    row = await the_row(database)
    assert (row["checked_by"], row["stage"]) == ("Hanna", "Onsite")


MISMATCHES = {
    "missing column": (
        "ALTER TABLE hris_staging DROP COLUMN phone",
        'the column "phone" of the table "hris_staging" is missing; add it with the type TEXT',
    ),
    "wrong type": (
        "ALTER TABLE hris_staging DROP COLUMN phone; ALTER TABLE hris_staging ADD COLUMN phone INTEGER",
        'the column "phone" of the table "hris_staging" has the type INTEGER; change it to TEXT',
    ),
    "not null of ours": (
        "ALTER TABLE hris_staging DROP COLUMN phone; "
        "ALTER TABLE hris_staging ADD COLUMN phone TEXT NOT NULL DEFAULT 'x'",
        'the column "phone" of the table "hris_staging" must be allowed to be empty; drop its NOT NULL',
    ),
    "not null of theirs": (
        "DROP TABLE hris_staging_events; CREATE TABLE hris_staging_events (idempotency_key TEXT PRIMARY KEY, event_id "
        "TEXT, type TEXT, source TEXT, account TEXT, application_id TEXT, candidate_id TEXT, sequence BIGINT, "
        "occurred_at {time}, received_at {time}, test BOOLEAN, event {json}, mine TEXT NOT NULL)",
        'the column "mine" of the table "hris_staging_events" is not filled by this sink, but may not be empty',
    ),
    "not unique": (
        "ALTER TABLE hris_staging RENAME TO aside; CREATE TABLE hris_staging AS SELECT * FROM aside",
        'the table "hris_staging" must be unique on "source", "account", "application_id", or rows come twice',
    ),
}
ONLY_POSTGRESQL = {
    "time without zone": (
        "ALTER TABLE hris_staging ALTER COLUMN hired_at TYPE timestamp",
        'the column "hired_at" of the table "hris_staging" has the type TIMESTAMP WITHOUT TIME ZONE; '
        "change it to TIMESTAMP WITH TIME ZONE",
    ),
    "text for JSON": (
        "ALTER TABLE hris_staging_events ALTER COLUMN event TYPE text",
        'the column "event" of the table "hris_staging_events" has the type TEXT; change it to JSONB',
    ),
    "unknown type": (
        "ALTER TABLE hris_staging ALTER COLUMN name TYPE point USING NULL",
        'the column "name" of the table "hris_staging" has another type; change it to TEXT',
    ),
}


async def _problem(database: Database, statements: str) -> str:
    async with opened(database) as sink:
        postgresql = isinstance(database, Postgresql)
        types = {"time": "timestamptz", "json": "jsonb"} if postgresql else {"time": "TEXT", "json": "TEXT"}
        for statement in statements.format(**types).split("; "):
            await database.query(statement)
        with pytest.raises(SinkProblem) as problem:
            await sink.open()
    return str(problem.value)


@pytest.mark.parametrize(("statements", "sentence"), MISMATCHES.values(), ids=MISMATCHES)
async def test_a_table_that_does_not_fit(database: Database, statements: str, sentence: str) -> None:
    assert (await _problem(database, statements)).startswith(sentence)


@pytest.mark.parametrize(("statements", "sentence"), ONLY_POSTGRESQL.values(), ids=ONLY_POSTGRESQL)
async def test_a_type_of_postgresql_that_does_not_fit(postgresql: Postgresql, statements: str, sentence: str) -> None:
    assert (await _problem(postgresql, statements)).startswith(sentence)


async def test_a_unique_index_of_some_rows_is_not_enough(database: Database) -> None:
    index = "CREATE UNIQUE INDEX mine ON hris_staging (source, account, application_id) WHERE stage IS NULL"
    problem = await _problem(database, f"{MISMATCHES['not unique'][0]}; {index}")
    assert problem.startswith(MISMATCHES["not unique"][1])


async def test_a_unique_index_is_as_good_as_a_constraint(database: Database) -> None:
    async with opened(database) as sink:
        await database.query("ALTER TABLE hris_staging RENAME TO aside")
        await database.query("CREATE TABLE hris_staging AS SELECT * FROM aside")
        await database.query("CREATE UNIQUE INDEX mine ON hris_staging (application_id, source, account)")
        await sink.open()
        await deliver(sink, told(1), told(2))
    assert (await the_row(database))["sequence"] == 2


async def test_not_reached_when_opening(database: Database) -> None:
    sink = made(database)
    with database.away(), pytest.raises(SinkProblem) as problem:
        await sink.open()
    assert str(problem.value).startswith("can't reach the database ")
    assert "W00t" not in str(problem.value)
    await sink.open()
    await sink.close()


async def test_a_wrong_password_when_opening(postgresql: Postgresql) -> None:
    url = Reference(postgresql.url.replace("postgres:W00t@", "W00t:W00t@"))
    sink = HrisStaging(HrisStagingSettings.model_validate({"type": "hris_staging", "url": url}), Client())
    with pytest.raises(SinkProblem, match=r"can't use the database .*role .* does not exist") as problem:
        await sink.open()
    assert "W00t" not in str(problem.value)
    await sink.close()


_TYPES = st.sampled_from([EventType.STAGE_CHANGED, EventType.APPLICATION_CREATED, EventType.OFFER_CHANGED])
_EVENTS = st.lists(st.tuples(st.integers(0, 12), _TYPES), unique_by=lambda told: told[0], min_size=1, max_size=8)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(events=_EVENTS, data=st.data())
async def test_any_events_in_any_order_with_repeats(
    database: Database, events: Sequence[tuple[int, EventType]], data: st.DataObject
) -> None:
    for table in ("hris_staging", "hris_staging_events"):
        await database.query(f"DROP TABLE IF EXISTS {table}")
    sent = [told(n, type_, application=at(f"stage {n}"), candidate=ADA) for n, type_ in events]
    again = data.draw(st.lists(st.sampled_from(sent), max_size=4))
    async with opened(database) as sink:
        outcomes = await deliver(sink, *data.draw(st.permutations(sent + again)))
    assert [outcomes.count(OK), outcomes.count(DUPLICATE)] == [len(sent), len(again)]
    assert {row["idempotency_key"] for row in await recorded(database)} == {each.id for each in sent}
    row = await the_row(database)
    highest = max(n for n, _ in events)
    assert (row["sequence"], row["stage"], row["name"]) == (highest, f"stage {highest}", "Ada Lovelace")


def _settings(**more: Any) -> HrisStagingSettings:
    return HrisStagingSettings.model_validate({"type": "hris_staging", **more})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///hr.db", "sqlite:///hr.db"),
        ("sqlite:////srv/hr.db", "sqlite:////srv/hr.db"),
        ("postgresql://hr:W00t@db.example.com:5433/hr?sslmode=require", "postgresql://db.example.com:5433/hr"),
        ("postgres://db.example.com/hr?password=W00t", "postgresql://db.example.com/hr"),
        ("postgresql:///hr?host=/run/postgresql&password=W00t", "postgresql:///run/postgresql/hr"),
    ],
)
async def test_the_target_is_told_without_secrets(url: str, shown: str) -> None:
    settings = _settings(url=Reference(url))
    sink = HrisStaging(settings, Client())
    assert sink.target(told(1).event) == f"{shown} hris_staging"
    assert "W00t" not in repr(settings)


WRONG = {
    "password": ({"url": "postgresql://hr:W00t@h/hr"}, "must not stand in this file"),
    "password as an option": ({"url": "postgresql://hr@h/hr?password=W00t"}, "must not stand in this file"),
    "other database": ({"url": "mysql://W00t/hr"}, "a database is sqlite:///FILE or postgresql://"),
    "no file": ({"url": "sqlite:///"}, "a database is sqlite:///FILE"),
    "no file that stays": ({"url": "sqlite:///:memory:"}, "a database is sqlite:///FILE"),
    "no database": ({"url": "postgresql://W00t"}, "a database is sqlite:///FILE"),
    "not a URL": ({"url": "postgresql://[W00t/hr"}, "a database is sqlite:///FILE"),
    "number": ({"url": 7}, "valid string"),
    "table": ({"table": "hr; DROP"}, '"hr; DROP" can\'t be the name of a table or column'),
    "long table": ({"table": "h" * 64}, "can't be the name"),
    "same tables": ({"table": "hr", "events_table": "HR"}, "two tables"),
    "unknown column": ({"columns": {"mail": "x"}}, 'there is no column "mail" to rename; did you mean "email"?'),
    "column's name": ({"columns": {"email": 'x"'}}, "can't be the name"),
    "twice": ({"columns": {"email": "Phone"}}, 'two columns would have the name "phone"'),
    "extra twice": ({"extra": {"email": "job.id"}}, 'two columns would have the name "email"'),
    "extra's name": ({"extra": {"a b": "job.id"}}, "can't be the name"),
    "unknown field": ({"extra": {"x": "departments"}}, 'an event has no field "departments"; did you mean "job.dep'),
    "all custom fields": ({"extra": {"x": "job.custom_fields"}}, "name one of yours, as in job.custom_fields.team"),
}


@pytest.mark.parametrize(("settings", "words"), WRONG.values(), ids=WRONG)
def test_wrong_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        _settings(**settings)
    assert words in str(wrong.value)
    assert "W00t" not in str(wrong.value)
