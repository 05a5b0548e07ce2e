"""Mappings: what may be written, what becomes of a body, and that no body can do harm."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Handler, Normalised, Sample
from handlers.conversions import readers
from handlers.generic import Generic
from handlers.mapped import MOST_ITEMS
from handlers.mapping import FIELDS, MappingSettings
from router.schema import Answer, Change, EventType, Fact, Outcome, Person, Stage, StageKind
from router.secret import Reference
from tests.handlers.vendors import NOW, receipt

BASE: Mapping[str, Any] = {"vendor": "generic", "secret": Reference("key"), "secret_in": "path", "event": "event"}
STEPS = {
    EventType.APPLICATION_CREATED: None,
    EventType.STAGE_CHANGED: None,
    EventType.OUTCOME_CHANGED: Outcome.DECLINED,
}


def mapped(events: Mapping[str, Any], fields: Mapping[str, str], **more: Any) -> Generic:
    settings = {**BASE, "events": events, "fields": fields, **more}
    return Generic(Generic.Settings.model_validate(settings))


def read(handler: Handler, body: object, *headers: tuple[str, str]) -> Normalised:
    return handler.normalise(receipt(json.dumps(body).encode(), headers))


def told(
    fields: Mapping[str, str], body: Mapping[str, object], event: object = "ApplicationUpdated", **more: Any
) -> tuple[Fact, tuple[str, ...]]:
    """The fact of one body, and its soft drift."""
    handler = mapped({"e": event}, {"application.id": "id", **fields}, **more)
    normalised = read(handler, {"event": "e", "id": 1, **body})
    (fact,) = normalised.facts
    return fact, normalised.soft_drift


def value_of(field: str, value: object, **more: Any) -> Any:
    """What a field becomes of a value, None where that is odd; the soft drift has to say so."""
    fact, soft_drift = told({field: "x"}, {"x": value}, **more)
    found: Any = fact
    for name in field.split("."):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    assert soft_drift == ((field,) if found in (None, []) and value not in (None, "") else ())
    return found


def refused(**more: Any) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Generic.Settings.model_validate({**BASE, **more})
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def test_every_field_of_the_schema_can_be_filled_and_is_read_in_some_way() -> None:
    assert {"application.id", "to_stage.kind", "candidate.emails", "job.recruiters", "offer.status"} <= FIELDS.keys()
    assert not {"type", "vendor_event", "recovered", "application.previous_outcome", "is_snapshot"} & FIELDS.keys()
    assert len(FIELDS) > 70
    known = readers(MappingSettings.model_validate({key: BASE[key] for key in ("vendor", "secret", "event")}))
    assert all(kind in known for kind in FIELDS.values())


class TestWhatAFieldTakes:
    @pytest.mark.parametrize(("value", "expected"), [("a", "a"), (7, "7"), (True, None), ([], None), ("", None)])
    def test_ids(self, value: object, expected: str | None) -> None:
        assert value_of("application.remote_id", value) == expected

    @pytest.mark.parametrize(("value", "expected"), [("a", "a"), (7, None), ({}, None), ("", None), (None, None)])
    def test_texts(self, value: object, expected: str | None) -> None:
        assert value_of("application.source", value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2026-06-01T12:30:00Z", NOW),
            ("2026-06-01T14:30:00+02:00", NOW),
            ("2026-06-01 14:30", NOW),
            ("2026-06-01", datetime(2026, 5, 31, 22, tzinfo=UTC)),
            ("20260601", datetime(2026, 5, 31, 22, tzinfo=UTC)),
            (1780317000, NOW),
            (1780317000.0, NOW),
            (1780317000000, NOW),
            ("1780317000", NOW),
            ("1780317000000", NOW),
            (0, datetime(1970, 1, 1, tzinfo=UTC)),
            ("yesterday", None),
            (10**40, None),
            (True, None),
            ([], None),
        ],
    )
    def test_times(self, value: object, expected: datetime | None) -> None:
        assert value_of("application.created_at", value, timezone="Europe/Berlin") == expected

    def test_a_time_without_a_zone_is_not_read_without_the_sources_time_zone(self) -> None:
        assert value_of("application.created_at", "2026-06-01 14:30") is None

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2026-06-01", "2026-06-01"),
            ("2026-06-01T12:30:00Z", "2026-06-01"),
            (1780317000, "2026-06-01"),
            (1780317000000, "2026-06-01"),
            ("soon", None),
            (True, None),
            (10**30, None),
        ],
    )
    def test_days(self, value: object, expected: str | None) -> None:
        assert value_of("offer.start_date", value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("2026-06-01", "2026-06-01"),
            ("2026-06-01T14:30:00+02:00", "2026-06-01T12:30:00Z"),
            (1780317000, "2026-06-01T12:30:00Z"),
            ("1780317000000", "2026-06-01T12:30:00Z"),
            ("soon", None),
            (True, None),
        ],
    )
    def test_days_or_times(self, value: object, expected: str | None) -> None:
        assert value_of("offer.sent_at", value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (7, "00000000000000000007"),
            ("12", "00000000000000000012"),
            ("2026-06-01T14:30:00+02:00", "2026-06-01T12:30:00.000000+00:00"),
            ("2026-06-01T12:30:00.5", "2026-06-01T12:30:00.500000+00:00"),
            ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59"),
            ("v7", "v7"),
            (True, None),
        ],
    )
    def test_versions_compare_as_text(
        self, value: object, expected: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TZ", "America/New_York")  # the machine's time zone is not the vendor's
        time.tzset()
        try:
            assert value_of("vendor_version", value) == expected
        finally:
            monkeypatch.undo()
            time.tzset()

    @pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), ("true", None), (1, None)])
    def test_flags(self, value: object, expected: bool | None) -> None:
        assert value_of("application.is_prospect", value) is expected

    @pytest.mark.parametrize(("value", "expected"), [(3, 3), (0, 0), ("3", None), (True, None)])
    def test_numbers(self, value: object, expected: int | None) -> None:
        assert value_of("application.stage.index", value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(["a", "", None, "b"], ["a", "b"]), ("a", ["a"]), ("", []), (None, []), ({}, []), (7, [])],
    )
    def test_lists_of_texts(self, value: object, expected: list[str]) -> None:
        fact, soft_drift = told({"candidate.tags": "x", "candidate.id": "id"}, {"x": value})
        assert fact.candidate
        assert fact.candidate.tags == expected
        assert soft_drift == (("candidate.tags",) if value in ({}, 7) else ())

    def test_an_odd_item_of_a_list_is_left_out_and_noted(self) -> None:
        fact, soft_drift = told({"candidate.tags": "x"}, {"x": ["a", 7]})
        assert fact.candidate
        assert (fact.candidate.tags, soft_drift) == (["a"], ("candidate.tags[]",))

    @pytest.mark.parametrize(
        ("value", "expected", "noted"),
        [
            ([{"id": 1, "name": "A", "email": "a@example.org", "role": "x"}], [("1", "A", "a@example.org")], []),
            ({"name": "A"}, [(None, "A", None)], []),
            (["Ada Quill", "ada@example.org"], [(None, "Ada Quill", None), (None, None, "ada@example.org")], []),
            ("ada@example.org", [(None, None, "ada@example.org")], []),
            ([{"id": 1}, "Ada"], [("1", None, None)], ["job.recruiters[]"]),
            ([{"id": True}, {}], [], ["job.recruiters[].id"]),
            (7, [], ["job.recruiters"]),
            (None, [], []),
        ],
    )
    def test_people(self, value: object, expected: list[Any], noted: list[str]) -> None:
        fact, soft_drift = told({"job.recruiters": "x", "job.id": "id"}, {"x": value})
        assert fact.job
        assert fact.job.recruiters == [Person(id=id_, name=name, email=email) for id_, name, email in expected]
        assert list(soft_drift) == noted

    def test_answers_and_changes(self) -> None:
        body = {
            "form": [{"q": "Visa?", "a": ["yes"]}, {"q": "Gender", "a": "x"}, {"q": None, "a": 1}, 7],
            "diff": [{"what": "title", "old": 1, "new": None}, {"what": "Date of birth", "old": "1990-01-01"}],
        }
        fields = {
            "application.answers": "form[].{question: q, answer: a}",
            "changes": "diff[].{field: what, from: old, to: new}",
        }
        fact, soft_drift = told(fields, body)
        assert fact.application
        assert fact.application.answers == [Answer(question="Visa?", answer=["yes"])]
        assert fact.changes == [Change(field="title", from_=1, to=None)]
        assert soft_drift == ()
        assert told({"changes": "form"}, {"form": 7})[1] == ("changes",)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"team": "Core", "level": 3, "none": None, "": 1}, {"team": "Core", "level": 3, "none": None}),
            ({"gender": "x", "f9": {"name": "Ethnicity", "value": "x"}, "pay": {"name": 7}}, {"pay": {"name": 7}}),
            (
                [{"name": "team", "value": "Core"}, {"name": 7}, {"name": "SSN", "value": 1}],
                {"team": "Core", "7": None},
            ),
            ([], {}),
            (None, {}),
        ],
    )
    def test_custom_fields(self, value: object, expected: Mapping[str, object]) -> None:
        fact, soft_drift = told({"application.custom_fields": "x"}, {"x": value})
        assert fact.application
        assert fact.application.custom_fields == expected
        assert soft_drift == ()

    def test_single_custom_fields_join_the_others(self) -> None:
        fields = {"job.custom_fields": "x", "job.custom_fields.a.b": "y", "job.custom_fields.none": "z"}
        fact, _ = told(fields, {"x": {"c": 1}, "y": {"d": [2]}})
        assert fact.job
        assert fact.job.custom_fields == {"c": 1, "a.b": {"d": [2]}}

    def test_custom_fields_of_another_kind_are_noted(self) -> None:
        assert told({"job.custom_fields": "x"}, {"x": 7})[1] == ("job.custom_fields",)
        assert told({"job.custom_fields": "x"}, {"x": [7]})[1] == ("job.custom_fields[]",)

    def test_what_a_function_does_not_take_is_noted_and_the_rest_is_read(self) -> None:
        fields = {"application.source": "join(',', x)", "application.url": "url", "job.custom_fields.n": "sum(x)"}
        fact, soft_drift = told(fields, {"x": [1, "a"], "url": "u"})
        assert fact.application
        assert (fact.application.source, fact.application.url, fact.job) == (None, "u", None)
        assert set(soft_drift) == {"application.source", "job.custom_fields.n"}

    def test_numbers_that_are_none_and_deep_values_are_noted(self) -> None:
        deep: object = 1
        for _ in range(60):
            deep = [deep]
        fact, soft_drift = told({"job.custom_fields.a": "x", "job.custom_fields.b": "y"}, {"x": deep, "y": 1})
        assert fact.job
        assert fact.job.custom_fields == {"b": 1}
        assert soft_drift == ("job.custom_fields.a",)
        handler = mapped({"e": "ApplicationUpdated"}, {"application.id": "id", "job.custom_fields.a": "x"})
        normalised = handler.normalise(receipt(b'{"event": "e", "id": 1, "x": [1e999]}'))
        assert (normalised.facts[0].job, normalised.soft_drift) == (None, ("job.custom_fields.a",))


class TestWords:
    values: Mapping[str, Any] = {
        "outcome": {"Won": "HIRED", "1": "HIRED", "true": "DECLINED", "lost*": "DECLINED", "lost in post": "PENDING"},
        "stage.kind": {"*": "OTHER"},
    }

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("won", Outcome.HIRED),
            ("HIRED", Outcome.HIRED),
            ("pending", Outcome.PENDING),
            ("Lost: budget", Outcome.DECLINED),
            ("lost in post", Outcome.PENDING),
            (1, Outcome.HIRED),
            (True, Outcome.DECLINED),
            (2, None),
            (1.0, None),
            ("gone", None),
            (["won"], None),
        ],
    )
    def test_a_whole_word_goes_before_a_pattern_whatever_its_case(self, word: object, expected: Outcome | None) -> None:
        assert value_of("application.outcome", word, values=self.values) is expected

    def test_a_star_is_every_other_word_and_ours_need_no_entry(self) -> None:
        fields = {"to_stage.kind": "x", "from_stage.kind": "y", "to_stage.name": "x"}
        fact, soft_drift = told(fields, {"x": "odd", "y": "screen"}, "StageChanged", values=self.values)
        assert fact.to_stage
        assert fact.from_stage
        assert (fact.to_stage.kind, fact.from_stage.kind) == (StageKind.OTHER, StageKind.SCREEN)
        assert soft_drift == ()


class TestEvents:
    def test_a_whole_name_goes_before_patterns_and_these_in_their_order(self) -> None:
        events = {"a.*": "ApplicationDeleted", "*": "signal", "a.b": "ApplicationCreated", "A.C*": "ping"}
        handler = mapped(events, {"application.id": "id"})
        for name, expected in {
            "a.b": EventType.APPLICATION_CREATED,
            "A.B": EventType.APPLICATION_CREATED,
            "a.c": EventType.APPLICATION_DELETED,
            "a.\nx": EventType.APPLICATION_DELETED,
            "b": Disposition.SIGNAL,
        }.items():
            normalised = read(handler, {"event": name, "id": 7})
            found = normalised.facts[0].type if normalised.facts else normalised.disposition
            assert (found, normalised.vendor_event) == (expected, name)

    @pytest.mark.parametrize(
        ("word", "disposition"),
        [("ping", Disposition.PING), ("signal", Disposition.SIGNAL), ("ignored", Disposition.IGNORED)],
    )
    def test_an_event_may_become_no_event(self, word: str, disposition: Disposition) -> None:
        assert read(mapped({"e": word}, {}), {"event": "e"}).disposition is disposition

    def test_why_it_is_ignored_says_what_to_do(self) -> None:
        reason = "nothing under events: of this source is about it"
        assert read(mapped({"e": "ping"}, {}), {"event": "x"}).reason == reason
        assert read(mapped({"e": "ignored"}, {}), {"event": "e"}).reason == "the configuration says so"
        assert str(read(mapped({}, {}), {"event": "x"}).reason).startswith("nothing is configured; say under events:")

    def test_a_number_may_be_the_name_of_an_event(self) -> None:
        assert read(mapped({"12": "ping"}, {}), {"event": 12}).disposition is Disposition.PING

    @pytest.mark.parametrize(
        ("name", "problem"), [(None, "missing"), ("", "missing"), ([], "not a text"), (1.5, "not")]
    )
    def test_without_a_name_it_is_drift(self, name: object, problem: str) -> None:
        with pytest.raises(Drift, match=rf"^event: is {problem}"):
            read(mapped({"*": "ping"}, {}), {"event": name})
        with pytest.raises(Drift, match=r"^event: is missing"):
            read(mapped({"*": "ping"}, {}), [1])

    def test_the_fields_of_an_event_go_before_those_of_all(self) -> None:
        events = {"a": {"type": "ApplicationUpdated", "fields": {"application.source": "y"}}, "b": "ApplicationUpdated"}
        handler = mapped(events, {"application.id": "id", "application.source": "x", "application.url": "x"})
        for event, source in {"a": "Y", "b": "X"}.items():
            (fact,) = read(handler, {"event": event, "id": 1, "x": "X", "y": "Y"}).facts
            assert fact.application
            assert (fact.application.source, fact.application.url) == (source, "X")

    def test_a_snapshot_says_what_the_application_is_now(self) -> None:
        fact, _ = told({"application.stage.name": "x", "from_stage.name": "x"}, {"x": "Offer"}, "snapshot")
        assert (fact.type, fact.is_snapshot) == (EventType.APPLICATION_UPDATED, True)
        assert (fact.to_stage, fact.from_stage) == (None, None)

    @pytest.mark.parametrize("field", ["to_stage.name", "application.stage.name"])
    def test_either_stage_tells_the_other(self, field: str) -> None:
        fact, _ = told({field: "x", "from_stage.name": "y"}, {"x": "Offer", "y": "Onsite"}, "StageChanged")
        assert fact.application
        assert fact.to_stage == fact.application.stage == Stage(name="Offer")
        assert fact.from_stage == Stage(name="Onsite")
        fact, _ = told({field: "x"}, {"x": "Offer"}, "ApplicationCreated")
        assert fact.application
        assert (fact.application.stage, fact.to_stage) == (Stage(name="Offer"), None)

    def test_where_both_are_told_a_move_is_to_its_own(self) -> None:
        fields = {"to_stage.name": "x", "application.stage.name": "y"}
        moved, _ = told(fields, {"x": "Offer", "y": "Onsite"}, "StageChanged")
        assert moved.application
        assert moved.to_stage == moved.application.stage == Stage(name="Offer")
        other, _ = told(fields, {"x": "Offer", "y": "Onsite"})
        assert other.application
        assert other.application.stage == Stage(name="Onsite")

    @pytest.mark.parametrize("stage", [None, "", 7, {}])
    def test_a_move_to_nowhere_is_drift(self, stage: object) -> None:
        with pytest.raises(Drift, match=r"^to_stage: is missing"):
            told({"to_stage.name": "x", "to_stage.index": "id"}, {"x": stage}, "StageChanged")

    @pytest.mark.parametrize(("word", "problem"), [(None, "is missing"), ("", "is missing"), ("gone", "is a word")])
    def test_an_outcome_that_is_none_is_drift(self, word: object, problem: str) -> None:
        with pytest.raises(Drift, match=rf"^application\.outcome: {problem}"):
            told({"application.outcome": "x"}, {"x": word}, "OutcomeChanged")

    @pytest.mark.parametrize("bad", [None, "", True, [], {}, 1.5])
    def test_without_the_id_it_is_drift_that_names_the_field(self, bad: object) -> None:
        for event, field in {"ApplicationDeleted": "application.id", "CandidateDeleted": "candidate.id"}.items():
            with pytest.raises(Drift) as drift:
                read(mapped({"e": event}, {field: "id"}), {"event": "e", "id": bad})
            assert drift.value.path == field

    def test_an_event_of_a_candidate_is_about_no_application(self) -> None:
        fields = {"candidate.id": "c", "job.title": "j", "interview.id": "c", "merged_into": "n", "actor.name": "j"}
        fact, _ = told(fields, {"c": 2, "j": "x", "n": 3}, "CandidateMerged")
        assert fact.subject == "c:2"
        assert (fact.merged_into, fact.actor, fact.job) == ("3", Person(name="x"), None)

    def test_unless_it_says_so_itself(self) -> None:
        own = {"candidate.id": "c", "application.id": "a", "job.id": "j", "to_stage.name": "c"}
        handler = mapped({"e": {"type": "CandidateDeleted", "fields": own}}, {"application.url": "c"})
        (fact,) = read(handler, {"event": "e", "c": "x", "a": 1, "j": 2}).facts
        assert fact.application
        assert fact.job
        assert (fact.subject, fact.application.url, fact.job.id, fact.to_stage) == ("a:1", None, "2", None)
        with pytest.raises(Drift, match=r"^application\.id: is missing"):
            read(handler, {"event": "e", "c": 2})

    def test_a_field_can_be_taken_out_of_one_event(self) -> None:
        event = {"type": "ApplicationUpdated", "fields": {"application.source": "`null`"}}
        assert told({"application.source": "x"}, {"x": "a"}, event)[1] == ()
        fact, _ = told({"application.source": "x"}, {"x": "a"}, event)
        assert fact.application
        assert fact.application.source is None

    def test_a_name_is_made_of_its_parts(self) -> None:
        for fields, expected in (
            ({"candidate.first_name": "a", "candidate.last_name": "b"}, "Ada Quill"),
            ({"candidate.first_name": "none", "candidate.last_name": "b"}, "Quill"),
            ({"candidate.first_name": "a", "candidate.name": "n"}, "A. Q."),
        ):
            fact, _ = told(fields, {"a": "Ada", "b": "Quill", "n": "A. Q."})
            assert fact.candidate
            assert fact.candidate.name == expected

    def test_the_account_keeps_customers_apart(self) -> None:
        handler = mapped({"e": "ping"}, {}, account="tenant.id")
        assert read(handler, {"event": "e", "tenant": {"id": 5}}).account == "5"
        assert read(handler, {"event": "e"}).account is None


class TestEach:
    batch = mapped(
        {"moved": "StageChanged", "gone": "ApplicationDeleted", "test": "ping"},
        {"application.id": "item.id", "to_stage.name": "item.stage", "occurred_at": "body.at"},
        event="item.what || body.what",
        each="changes[]",
        account="body.tenant",
    )

    def test_every_item_makes_its_fact(self) -> None:
        changes = [
            {"what": "moved", "id": 1, "stage": "A"},
            {"what": "noted", "id": 2},
            {"what": "gone", "id": 3},
            {"what": "moved", "id": 1, "stage": "B"},
        ]
        normalised = read(self.batch, {"tenant": "t", "at": NOW.isoformat(), "changes": changes})
        assert [(fact.type, fact.subject, fact.vendor_event) for fact in normalised.facts] == [
            (EventType.STAGE_CHANGED, "a:1", "moved"),
            (EventType.APPLICATION_DELETED, "a:3", "gone"),
            (EventType.STAGE_CHANGED, "a:1", "moved"),
        ]
        assert all(fact.occurred_at == NOW for fact in normalised.facts)
        assert (normalised.disposition, normalised.vendor_event, normalised.account) == ("events", "moved", "t")

    def test_one_that_is_ignored_does_not_hide_the_others(self) -> None:
        normalised = read(self.batch, {"changes": [{"what": "noted", "id": 2}, {"what": "gone", "id": 3}]})
        assert (normalised.disposition, normalised.vendor_event, normalised.reason) == ("events", "gone", None)
        assert len(normalised.facts) == 1
        ignored = read(self.batch, {"changes": [{"what": "noted"}, {"what": "other"}]})
        assert (ignored.disposition, ignored.vendor_event) == ("ignored", "noted")

    def test_a_single_object_is_a_list_of_one(self) -> None:
        handler = mapped({"e": "ApplicationDeleted"}, {"application.id": "item.id"}, event="body.event", each="one")
        assert read(handler, {"event": "e", "one": {"id": 1}}).facts[0].subject == "a:1"

    def test_a_body_that_is_a_list_is_in_items(self) -> None:
        handler = mapped({"e": "ApplicationDeleted"}, {"application.id": "item.id"}, event="item.event", each="items")
        assert [fact.subject for fact in read(handler, [{"event": "e", "id": n} for n in (1, 2)]).facts] == [
            "a:1",
            "a:2",
        ]

    def test_without_anything_in_it_it_is_ignored(self) -> None:
        normalised = read(self.batch, {"what": "moved", "changes": []})
        assert (normalised.disposition, normalised.reason) == ("ignored", "there is nothing in its list")

    def test_an_event_that_needs_no_list_may_come_without_one(self) -> None:
        assert read(self.batch, {"what": "test"}).disposition is Disposition.PING
        assert read(self.batch, {"what": "other"}).disposition is Disposition.IGNORED

    @pytest.mark.parametrize(
        "body", [{"what": "moved"}, {"what": "moved", "changes": None}, {"what": "moved", "changes": 7}]
    )
    def test_without_its_list_it_is_drift(self, body: object) -> None:
        with pytest.raises(Drift, match=r"^each: is missing"):
            read(self.batch, body)

    def test_too_long_a_list_is_drift(self) -> None:
        changes = [{"what": "gone", "id": 1}] * (MOST_ITEMS + 1)
        with pytest.raises(Drift, match=r"^each: is not a list of at most 1000"):
            read(self.batch, {"changes": changes})
        assert len(read(self.batch, {"changes": changes[1:]}).facts) == MOST_ITEMS

    def test_what_is_no_list_is_drift(self) -> None:
        handler = mapped({"e": "ApplicationDeleted"}, {"application.id": "item.id"}, event="body.event", each="one")
        with pytest.raises(Drift, match=r"^each: is not a list"):
            read(handler, {"event": "e", "one": 7})

    @pytest.mark.parametrize("item", [7, "x", {}, {"what": "gone"}, {"what": "gone", "id": []}])
    def test_an_odd_item_is_drift(self, item: object) -> None:
        with pytest.raises(Drift):
            read(self.batch, {"changes": [{"what": "gone", "id": 1}, item]})


class TestSettings:
    def test_faults_stand_where_they_are(self) -> None:
        events = {"a": "StageChanged", "b": {"type": "OutcomeChanged", "fields": {"application.id": "x"}}}
        problem = "to become {} it needs {}; say under fields where in the body that is"
        assert refused(events=events) == [
            (("events", "a"), problem.format("StageChanged", "application.id")),
            (("events", "b"), problem.format("OutcomeChanged", "application.outcome")),
        ]

    def test_a_word_is_no_place(self) -> None:
        for fields in ({"application.outcome": "HIRED"}, {"to_stage.kind": "OFFER"}):
            ((loc, message),) = refused(fields=fields)
            assert loc == ("fields", *fields)
            assert message.startswith("this is a place in the body named ")
        assert told({"application.outcome": "'HIRED'"}, {}, "OutcomeChanged")[0].application

    @pytest.mark.parametrize(
        "name", ["event_of_birth.x", "", "application.", "custom_fields", "application.custom_fields."]
    )
    def test_names_of_fields(self, name: str) -> None:
        ((loc, message),) = refused(fields={name: "x"})
        assert loc == ("fields", name, "[key]")
        assert message.startswith("the common event has no such field; ")

    @pytest.mark.parametrize("name", ["Date of birth", "gender", "SSN", "x.Ethnicity"])
    def test_what_is_never_kept_can_not_be_asked_for(self, name: str) -> None:
        ((_, message),) = refused(fields={f"candidate.custom_fields.{name}": "x"})
        assert message == "birth dates, social security numbers and EEO answers are never kept"

    def test_an_expression_out_of_the_environment_is_not_quoted(self) -> None:
        ((_, message),) = refused(fields={"application.id": Reference("sec ret")})
        assert message == "what this stands for is no JMESPath expression"

    def test_places_with_each_say_what_they_are_in(self) -> None:
        fields = {"application.id": "id", "job.id": "item.id"}
        problems = refused(each="list", fields=fields, account="tenant", dedupe="id")
        assert [loc for loc, _ in problems] == [("fields", "application.id"), ("event",), ("account",), ("dedupe",)]


class TestSamples:
    @pytest.mark.parametrize("step_type", STEPS)
    @pytest.mark.parametrize(
        ("fields", "more"),
        [
            ({"application.id": "data.app.id", "to_stage.name": "data.app.steps[0].name"}, {}),
            ({"application.id": "id", "application.stage.id": "s"}, {"event": {"header": "X-Event"}}),
            ({"application.id": "item.id", "to_stage.name": "item.s"}, {"each": "list[]", "event": "body.event"}),
            ({"application.id": "item.id", "to_stage.name": "item.s"}, {"each": "a.list", "event": "item.event"}),
            ({"application.id": "item.id", "to_stage.name": "item.s"}, {"each": "list[*]", "event": "item.event"}),
            ({"application.id": "item.id", "to_stage.name": "item.s"}, {"each": "l", "event": {"header": "x"}}),
        ],
    )
    def test_a_step_is_said_in_the_words_of_the_mapping(
        self, step_type: EventType, fields: Mapping[str, str], more: Mapping[str, Any]
    ) -> None:
        events = {
            "new": "ApplicationCreated",
            "moved": "StageChanged",
            "won.*": {"type": "OutcomeChanged", "fields": {"application.outcome": "'HIRED'"}},
            "lost.*": {"type": "OutcomeChanged", "fields": {"application.outcome": "'DECLINED'"}},
        }
        handler = mapped(events, fields, **more)
        step = Sample(step_type, "a-1", "Ada Quill", "Chef", NOW, "Trial day", STEPS[step_type] or Outcome.PENDING)
        post = handler.sign(handler.sample(step), NOW)
        (fact,) = handler.normalise(receipt(post.body, post.headers)).facts
        assert fact.type is step_type
        assert "*" not in fact.vendor_event
        assert fact.application
        assert fact.application.id == "a-1"
        assert fact.application.outcome == STEPS[step_type]
        assert fact.application.stage
        assert "Trial day" in (fact.application.stage.id, fact.application.stage.name)

    def test_a_word_of_the_vendor_stands_for_the_outcome(self) -> None:
        fields = {"application.id": "id", "application.outcome": "state"}
        handler = mapped({"e": "OutcomeChanged"}, fields, values={"outcome": {"*": "PENDING", "won": "HIRED"}})
        for outcome, word in {Outcome.HIRED: "won", Outcome.PENDING: "PENDING"}.items():
            body = handler.sample(Sample(EventType.OUTCOME_CHANGED, "1", "A B", "C", NOW, None, outcome))
            assert json.loads(body)["state"] == word

    def test_a_snapshot_may_say_a_move(self) -> None:
        handler = mapped({"e": "snapshot"}, {"application.id": "id", "application.stage.name": "stage"})
        body = handler.sample(Sample(EventType.STAGE_CHANGED, "1", "A B", "C", NOW, "Offer"))
        assert json.loads(body) == {"event": "e", "id": "1", "stage": "Offer"}
        with pytest.raises(ValueError, match="makes a sample of ApplicationCreated"):
            handler.sample(Sample(EventType.APPLICATION_CREATED, "1", "A B", "C", NOW))

    @pytest.mark.parametrize(
        ("fields", "more"),
        [
            ({"application.id": "join('-', [a, b])"}, {}),
            ({"application.id": "id", "candidate.name": "id.name"}, {}),
            ({"application.id": "id"}, {"event": "join('.', [a, b])"}),
            ({"application.id": "id"}, {"event": "@"}),
        ],
    )
    def test_there_is_none_where_the_places_are_no_paths(self, fields: Mapping[str, str], more: Any) -> None:
        with pytest.raises(ValueError, match="nothing under events: and fields: of this source makes a sample"):
            mapped({"e": "ApplicationCreated"}, fields, **more).sample(
                Sample(EventType.APPLICATION_CREATED, "1", "A B", "C", NOW)
            )
