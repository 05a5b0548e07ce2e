"""Routes: which fields there are, what matches what, and why something does not match."""

from datetime import UTC, datetime
from fnmatch import translate
from re import DOTALL, fullmatch
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.conditions import Finding, Pattern
from router.fields import field_at, field_names
from router.rules import CompiledRoute, RuleErrors, Ruleset, compile_route
from router.schema import (
    Answer,
    Application,
    Candidate,
    Change,
    Event,
    EventType,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
    StageKind,
)

QUOTES = tuple("\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb")
MOMENT = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": "e1",
        "type": EventType.STAGE_CHANGED,
        "source": "greenhouse",
        "vendor": "greenhouse",
        "received_at": MOMENT,
        "occurred_at": MOMENT,
        "sequence": 7,
        "vendor_event": "candidate_stage_change",
        "application": Application(
            id="4001",
            outcome=Outcome.PENDING,
            stage=Stage(id="2", name="Virtual Onsite"),
            is_prospect=False,
            answers=[Answer(question="Visa?", answer="Yes"), Answer(question="Remote?", answer=True)],
            rejection_reason=RejectionReason(name="Not now", kind=RejectionKind.OTHER),
            custom_fields={"Remote": True, "Level": 5, "Rate": 1.5, "Pay": {"amount": 80, "unit": "USD"}},
        ),
        "candidate": Candidate(id="9", name="Zoë Straße", emails=["a@x.org", "b@x.org"], tags=["Referral", " VIP "]),
        "job": Job(
            id="55",
            title="Engineer [L5]?",
            departments=["Engineering", "Platform"],
            recruiters=[Person(name="Ann", email="ann@x.org"), Person(name="Bo")],
            custom_fields={"team": "Core", "skills": ["Go", "Rust"], "manager": {"name": "Cy"}, "v1.2": "dotted"},
        ),
        "from_stage": Stage(name="Phone Screen", kind=StageKind.SCREEN),
        "to_stage": Stage(id="2", name="Virtual Onsite", kind=StageKind.INTERVIEW, index=3),
        "offer": Offer(status=OfferStatus.SENT, start_date="2026-06-01"),
        "changes": [Change(field="title", from_="a", to="b")],
    }
    return Event(**fields | changes)


def route(when: dict[str, object], name: str = "r") -> CompiledRoute:
    return compile_route(name, when, ["sink"])


def explain(compiled: CompiledRoute, what: Event) -> Finding | str | None:
    [(_, why_not)] = Ruleset([compiled]).explain(what)
    return why_not


def matches(when: dict[str, object], what: Event | None = None) -> bool:
    """Whether it matches; explaining must agree."""
    compiled, what = route(when), what or event()
    matched = Ruleset([compiled]).match(what) == [compiled]
    assert (explain(compiled, what) is None) is matched
    return matched


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", "StageChanged"),
        ("type", "stagechanged"),
        ("source", "GREENHOUSE"),
        ("sequence", 7),
        ("test", False),
        ("test", "no"),
        ("application.id", 4001),
        ("application.id", "4001"),
        ("application.outcome", "pending"),
        ("application.stage", "virtual onsite"),
        ("application.is_prospect", False),
        ("application.answers.question", "visa?"),
        ("application.answers.answer", "yes"),
        ("application.answers.answer", True),
        ("application.rejection_reason", "not now"),
        ("application.rejection_reason.kind", "OTHER"),
        ("application.custom_fields.remote", True),
        ("application.custom_fields.Remote", "yes"),
        ("application.custom_fields.level", 5),
        ("application.custom_fields.level", "5"),
        ("application.custom_fields.level", 5.0),
        ("application.custom_fields.rate", 1.5),
        ("application.custom_fields.pay.amount", 80),
        ("candidate", "zoë STRASSE"),
        ("candidate.emails", "b@x.org"),
        ("candidate.tags", "vip"),
        ("job.departments", "platform"),
        ("job.departments", ["Sales", "Platform"]),
        ("job.departments", "plat*"),
        ("job.title", "Engineer [L5]?"),
        ("job.title", "engineer [*]?"),
        ("job.recruiters", "bo"),
        ("job.recruiters.email", "*@x.org"),
        ("job.custom_fields.team", "Core"),
        ("job.custom_fields.skills", "rust"),
        ("job.custom_fields.manager", "cy"),
        ("job.custom_fields.manager.name", "Cy"),
        ("job.custom_fields.v1.2", "dotted"),
        ("from_stage", "*screen"),
        ("to_stage.name", " Virtual Onsite "),
        ("to_stage.kind", "interview"),
        ("to_stage.index", 3),
        ("offer.start_date", "2026-06-01"),
        ("received_at", "2026-05-04T10:30:00Z"),
        ("received_at", "2026-05-*"),
        ("changes.from", "a"),
        ("offer.status", "*"),
    ],
)
def test_matches(field: str, value: object) -> None:
    assert matches({field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event", "OutcomeChanged"),
        ("sequence", 70),
        ("test", True),
        ("application.custom_fields.remote", "no"),
        ("application.custom_fields.nothing", "*"),
        ("application.custom_fields.pay", "80"),
        ("job.title", "Engineer L5?"),
        ("job.departments", "Engineer"),
        ("job.departments", ["Sales", "Design"]),
        ("to_stage", "2"),
        ("actor", "*"),
        ("interview.interviewers.email", "*"),
        ("merged_into", "*"),
    ],
)
def test_does_not_match(field: str, value: object) -> None:
    assert not matches({field: value})


def test_all_conditions_must_hold() -> None:
    assert matches({"event": "StageChanged", "job.departments": "Engineering"})
    assert not matches({"event": "StageChanged", "job.departments": "Sales"})
    assert not matches({"event": "OutcomeChanged", "job.departments": "Engineering"})


def test_no_condition_matches_every_event() -> None:
    assert matches({})


def test_matching_keeps_the_order_of_the_routes() -> None:
    routes = [route({"event": kind}, kind) for kind in ("Stage*", "OutcomeChanged", "*", "StageChanged")]
    assert [matched.name for matched in Ruleset(routes).match(event())] == ["Stage*", "*", "StageChanged"]


class TestExplain:
    def test_names_the_first_condition_that_fails(self) -> None:
        compiled = route({"event": "StageChanged", "to_stage": ["*Offer*", "Hired"], "source": "lever"})
        mismatch = explain(compiled, event())
        assert mismatch == Finding("to_stage", False, '"*Offer*" or "Hired"', ("Virtual Onsite",))
        assert str(mismatch) == 'to_stage is "Virtual Onsite", not "*Offer*" or "Hired"'

    def test_several_values(self) -> None:
        mismatch = explain(route({"job.departments": "Sales"}), event())
        assert str(mismatch) == 'job.departments is "Engineering" and "Platform", not "Sales"'

    def test_absent(self) -> None:
        mismatch = explain(route({"actor.email": "*@x.org"}), event())
        assert str(mismatch) == 'actor.email is not in this event, so not "*@x.org"'


class TestErrors:
    def told(self, when: dict[str, object], **allowed: list[str]) -> list[tuple[tuple[str | int, ...], str]]:
        with pytest.raises(RuleErrors) as caught:
            compile_route("r", when, ["sink"], allowed)
        return [(error.path, error.sentence) for error in caught.value.errors]

    def test_all_at_once_with_their_places(self) -> None:
        errors = self.told({"evnt": "StageChanged", "job.title": ["a", True], "application.outcome": "HIRE"})
        assert [path for path, _ in errors] == [
            ("when", "evnt"),
            ("when", "job.title", 1),
            ("when", "application.outcome"),
        ]

    @pytest.mark.parametrize(
        ("field", "meant"),
        [
            ("departmnt", "department"),
            ("recruter", "recruiter"),
            ("titel", "job.title"),
            ("requisition_id", "job.requisition_id"),
            ("to_stage.nam", "to_stage.name"),
            ("job.recruiters.mail", "job.recruiters.email"),
            ("candidate.tag", "candidate.tags"),
            ("Event", "event"),
        ],
    )
    def test_nearest_field(self, field: str, meant: str) -> None:
        assert self.told({field: "x"})[0][1] == f'an event has no field "{field}"; did you mean "{meant}"?'

    @pytest.mark.parametrize(
        "field", ["", ".", "job.", ".job", "job..title", "job.title.x", "type.x", "__class__", "job.copy"]
    )
    def test_no_field(self, field: str) -> None:
        assert f'an event has no field "{field}"' in self.told({field: "x"})[0][1]

    @pytest.mark.parametrize("value", [None, [[1]], [None], [{"name": "x"}]])
    def test_not_a_value(self, value: object) -> None:
        assert "must be a value, or a list of values" in self.told({"to_stage": value})[0][1]

    def test_empty_list(self) -> None:
        assert "is an empty list" in self.told({"to_stage": []})[0][1]

    @pytest.mark.parametrize("value", ["StageChange", "*Moved", 5, True, ""])
    def test_value_that_can_never_be(self, value: object) -> None:
        assert "It can be ApplicationCreated, StageChanged" in self.told({"event": value})[0][1]

    def test_values_that_only_the_configuration_knows(self) -> None:
        assert 'did you mean "greenhouse-eu"?' in self.told({"source": "greenhose-eu"}, source=["greenhouse-eu"])[0][1]
        assert compile_route("r", {"source": "greenhouse-*"}, ["sink"], {"source": ["greenhouse-eu"]}).tests


class TestFields:
    def test_every_name_is_a_field(self) -> None:
        for name in field_names():
            field_at(f"{name}.x" if name.endswith("custom_fields") else name)

    def test_come_from_the_schema(self) -> None:
        """Every dotted path in an event's JSON that leads to a value is a field."""
        known = set(field_names())

        def check(value: object, path: str) -> None:
            if isinstance(value, dict) and path not in known:
                for key, item in value.items():
                    check(item, f"{path}.{key}".lstrip("."))
            elif isinstance(value, list):
                for item in value:
                    check(item, path)
            else:
                assert path in known

        check(event().model_dump(mode="json", exclude_none=True, exclude_defaults=True), "")

    @given(text=st.text(max_size=40))
    def test_any_text_is_a_field_or_a_plain_error(self, text: str) -> None:
        try:
            route({text: "x"})
        except RuleErrors as errors:
            found = errors
            assert found.errors[0].path == ("when", text)


SMALL_TEXT = st.text("aAbß*? [.\n", max_size=8)


class TestPatterns:
    @given(pattern=SMALL_TEXT.filter(lambda text: "*" in text), text=SMALL_TEXT)
    def test_fits_as_a_regular_expression_would(self, pattern: str, text: str) -> None:
        literal = pattern.replace("[", "[[]").replace("?", "[?]")
        assert Pattern.of(pattern).fits(text) is (fullmatch(translate(literal), text, DOTALL) is not None)

    @given(parts=st.lists(st.text(max_size=5), min_size=1, max_size=5), filling=st.text(max_size=5))
    def test_stars_filled_in_always_fit(self, parts: list[str], filling: str) -> None:
        parts = [part.replace("*", "") for part in parts]
        assert Pattern.of("*".join([*parts, ""])).fits(filling.join([*parts, ""]))

    @example(name="«")
    @given(
        name=st.text(min_size=1, max_size=20).filter(lambda text: "*" not in text and text.strip()[:1] not in QUOTES)
    )
    def test_a_name_matches_itself_whatever_its_case_and_blanks(self, name: str) -> None:
        stage = event(to_stage=Stage(id="1", name=name))
        for written in (name, f"  {name} ", name.upper().lower() if name.upper().lower() == name.lower() else name):
            assert matches({"to_stage": written}, stage)

    @given(value=st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
    def test_numbers_and_booleans_match_by_value(self, value: bool | int | float) -> None:
        job = event(job=Job(custom_fields={"x": value}))
        assert matches({"job.custom_fields.x": value}, job)
        assert not matches({"job.custom_fields.x": "something else"}, job)


@given(
    chosen=st.dictionaries(
        st.sampled_from(["event", "source", "to_stage", "job.departments", "candidate.tags"]),
        st.sampled_from(["StageChanged", "*changed", "greenhouse", "*Onsite*", "Engineering", "vip"]),
    )
)
def test_a_route_is_the_and_of_its_conditions(chosen: dict[str, object]) -> None:
    try:
        whole = matches(chosen)
    except RuleErrors:
        return
    assert whole is all(matches({field: value}) for field, value in chosen.items())
