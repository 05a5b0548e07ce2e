"""What a rule can ask besides a field being a value: groups, exclusions, comparisons, presence, expressions, flow."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.stages import EVERYDAY, StageKinds
from router.conditions import Expression, Finding
from router.rules import CompiledRoute, RuleErrors, Ruleset, SendTo, compile_route
from router.schema import Application, EventType, Fact, Person, Stage, StageKind
from tests.router.test_rules import event, matches


def why_not(when: dict[str, object], **more: Any) -> str:
    [(_, reason)] = Ruleset([compile_route("r", when, ["sink"], **more)]).explain(event())
    return str(reason)


def problems(when: dict[str, object], **more: Any) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(RuleErrors) as caught:
        compile_route("r", when, ["sink"], **more)
    return [(error.path, error.sentence) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"job": "engineer*", "department": "platform", "recruiter": "ann"}, True),
        ({"recruiter": "ANN@x.org"}, True),
        ({"recruiter": "someone@x.org"}, False),
        ({"to_stage": "virtual onsite", "from_stage": "phone*", "stage_kind": "OTHER"}, False),
        ({"stage": "Virtual Onsite", "outcome": "pending", "tag": "vip"}, True),
        ({"department": {"not": "Sales"}}, True),
        ({"department": {"not": ["Sales", "Plat*"]}}, False),
        ({"actor": {"not": "Bot"}}, True),
        ({"not": {"department": "Platform", "job": "Chef"}}, True),
        ({"not": {"department": "Platform", "job": "Engineer*"}}, False),
        ({"any": [{"job": "Chef"}, {"department": "Platform", "tag": "VIP"}]}, True),
        ({"any": [{"job": "Chef"}, {"department": "Platform", "tag": "none"}]}, False),
        ({"any": {"job": "Chef", "department": "Platform"}}, True),
        ({"all": [{"job": "Engineer*"}, {"any": {"tag": "VIP", "job": "Chef"}}]}, True),
        ({"application.custom_fields.level": {"above": 4}}, True),
        ({"application.custom_fields.level": {"above": 5}}, False),
        ({"application.custom_fields.level": {"at_least": 5, "below": 5.5}}, True),
        ({"application.custom_fields.level": {"at_most": "4"}}, False),
        ({"sequence": {"below": 8}}, True),
        ({"job.custom_fields.team": {"above": 1}}, False),
        ({"offer.start_date": {"after": "2026-05-31"}}, True),
        ({"offer.start_date": {"before": "2026-06-01"}}, False),
        ({"occurred_at": {"after": "2026-05-04T10:29:59Z", "before": "2026-05-04T12:31:00+02:00"}}, True),
        ({"application.hired_at": {"after": "2020-01-01"}}, False),
        ({"actor": {"present": False}}, True),
        ({"job.departments": {"present": True}}, True),
        ({"application.custom_fields.cost_centre": {"present": True}}, False),
        ({"expr": "length(job.departments) > `1`"}, True),
        ({"expr": "candidate.emails[?ends_with(@, '.com')]"}, False),
        ({"expr": "abs(candidate.name)"}, False),
        ({"expr": "to_number(application.custom_fields.Level) > `4` && job.title"}, True),
    ],
)
def test_a_condition_says_what_it_says(when: dict[str, object], expected: bool) -> None:
    assert matches(when) is expected


def test_unless_takes_back_what_when_matched() -> None:
    def routed(unless: dict[str, object]) -> bool:
        return bool(Ruleset([compile_route("r", {}, ["sink"], unless=unless)]).match(event()))

    assert not routed({"department": "Platform"})
    assert routed({"department": "Sales"})
    assert routed({"department": "Platform", "job": "Chef"})
    assert not routed({"any": [{"department": "Sales"}, {"tag": "vip"}]})


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ({"tag": {"not": ["x", "V*"]}}, 'tag is "Referral" and " VIP ", and must be anything but "x" or "V*"'),
        ({"actor": {"present": True}}, "actor is not in this event"),
        ({"job": {"present": False}}, 'job is "Engineer [L5]?", not absent'),
        ({"sequence": {"above": 7}}, 'sequence is "7", not above 7'),
        ({"offer.start_date": {"before": "2026-06-01"}}, 'offer.start_date is "2026-06-01", not before "2026-06-01"'),
        ({"interview.title": "x"}, 'interview.title is not in this event, so not "x"'),
        ({"any": [{"job": "Chef"}, {"job": "Cook"}]},
         'none of these is so: job is "Engineer [L5]?", not "Chef"; job is "Engineer [L5]?", not "Cook"'),
        ({"any": {"sequence": 1, "test": True}},
         'none of these is so: sequence is "7", not 1; test is "false", not true'),
        ({"any": [{"sequence": {"above": 1}, "job": "Chef"}, {"not": {"test": False}}]},
         'none of these is so: (not all of these are so: sequence is "7" (wanted: above 1); job is "Engineer [L5]?",'
         ' not "Chef"); (all of what stands under not is so: test is "false")'),
        ({"all": [{"job": "*"}, {"all": [{"test": False}, {"test": True}]}]}, 'test is "false", not true'),
        ({"all": {"job": "Engineer*", "tag": "none"}}, 'tag is "Referral" and " VIP ", not "none"'),
        ({"not": {"tag": "vip"}}, 'all of what stands under not is so: tag is "Referral" and " VIP " (wanted: "vip")'),
        ({"expr": "job.id == 'x'"}, 'expr is "false", not "job.id == \'x\'" being true'),
    ],
)  # fmt: skip
def test_it_is_explained_by_the_one_condition_that_failed(when: dict[str, object], reason: str) -> None:
    assert why_not(when) == reason


@pytest.mark.parametrize(
    ("when", "path", "words"),
    [
        ({"candidate.name": {"above": 3}}, ("candidate.name", "above"), "is no number"),
        ({"sequence": {"after": "2026-01-01"}}, ("sequence", "after"), "is no date"),
        ({"sequence": {"above": "many"}}, ("sequence", "above"), '"above" must be a number like 5'),
        ({"occurred_at": {"before": "soon"}}, ("occurred_at", "before"), "must be a date like 2026-01-31"),
        ({"sequence": {"abov": 3}}, ("sequence", "abov"), 'did you mean "above"?'),
        ({"job": {"title": "x"}}, ("job", "title"), "written with a dot: job.title"),
        ({"sequence": {}}, ("sequence",), "has no value"),
        ({"sequence": {"present": "yes please"}}, ("sequence", "present"), "true (the event has it) or false"),
        ({"any": []}, ("any",), "must have conditions below it"),
        ({"any": "x"}, ("any",), "must have conditions below it"),
        ({"any": [{"jobb": "x"}]}, ("any", 0, "jobb"), 'an event has no field "jobb"'),
        ({"not": {"event": "Moved"}}, ("not", "event"), "is never"),
        ({"outcome": {"not": "HIRE"}}, ("outcome", "not"), 'did you mean "HIRED"?'),
        ({"expr": "job.["}, ("expr",), "no JMESPath expression"),
        ({"expr": "nonsense(@)"}, ("expr",), "no function nonsense"),
        ({"job": "“*confidential*”"}, ("job",), 'write "*confidential*"'),
        ({"department": ["Sales", "„Engineering“"]}, ("department", 1), 'write "Engineering"'),
        ({"expr": True}, ("expr",), "must be a text in quotes"),
        ({"expr": "x" * 1001}, ("expr",), "at most 1000 characters"),
    ],
)
def test_a_mistake_is_found_at_its_place(when: dict[str, object], path: tuple[str | int, ...], words: str) -> None:
    [(found, sentence)] = problems(when)
    assert found == ("when", *path)
    assert words in sentence
    if "unless" not in when:
        [(found, _)] = problems({}, unless=when)
        assert found == ("unless", *path)


# --- flow ----------------------------------------------------------------------------------------------------------


def route(name: str, when: dict[str, object], *, stop: bool = False, send_to: str = "sink") -> CompiledRoute:
    return compile_route(name, when, [send_to] if send_to else [], stop=stop)


def names(rules: Ruleset) -> list[str]:
    return [matched.name for matched in rules.match(event())]


def test_routes_run_in_order_until_one_stops() -> None:
    first, stops, last = route("first", {}), route("stops", {"tag": "vip"}, stop=True), route("last", {})
    assert names(Ruleset([first, stops, last])) == ["first", "stops"]
    assert names(Ruleset([first, route("stops", {"tag": "none"}, stop=True), last])) == ["first", "last"]
    told = list(Ruleset([first, stops, last]).explain(event()))
    assert [why for _, why in told] == [None, None, "stops matched before, and stops"]


def test_the_default_gets_what_no_other_route_matched() -> None:
    default = CompiledRoute("default", (SendTo("inbox"),))
    assert names(Ruleset([route("never", {"tag": "none"})], default)) == ["default"]
    assert names(Ruleset([route("always", {})], default)) == ["always"]
    assert names(Ruleset([], default)) == ["default"]
    assert [why for _, why in Ruleset([route("always", {})], default).explain(event())] == [
        None,
        "another route matched",
    ]


def test_a_route_that_stops_and_sends_nowhere_counts_as_a_match() -> None:
    secret = route("confidential", {"job": "engineer*"}, stop=True, send_to="")
    assert names(Ruleset([secret, route("all", {})], CompiledRoute("default", (SendTo("inbox"),)))) == ["confidential"]


# --- stages --------------------------------------------------------------------------------------------------------


def kind_of(name: str | None, patterns: StageKinds, identifier: str | None = None) -> StageKind | None:
    stage = Stage(id=identifier, name=name)
    fact = Fact(
        type=EventType.STAGE_CHANGED, vendor_event="v", application=Application(id="1", stage=stage), to_stage=stage
    )
    completed = patterns.complete(fact)
    assert completed.to_stage
    assert completed.application
    assert completed.application.stage == completed.to_stage
    return completed.to_stage.kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Applied", StageKind.APPLIED),
        ("Application Review", StageKind.APPLIED),
        ("Recruiter Phone Screen", StageKind.SCREEN),
        ("Take Home Test", StageKind.ASSESSMENT),
        ("Virtual Onsite 2", StageKind.INTERVIEW),
        ("First Interview", StageKind.INTERVIEW),
        ("Offer", StageKind.OFFER),
        ("Verbal offer", StageKind.OFFER),
        ("Hired", None),
        ("Rejected", None),
        ("Offer declined", None),
        ("Interviewed - Rejected", None),
        ("Candidate withdrew after onsite", None),
        ("Newcomers' lunch", None),
    ],
)
def test_everyday_names_of_stages_have_a_kind(name: str, kind: StageKind | None) -> None:
    assert kind_of(name, StageKinds(EVERYDAY)) is kind


def test_the_first_pattern_decides_and_a_kind_that_was_told_stays() -> None:
    patterns = StageKinds([(StageKind.HIRED, ["Signed*", "77"]), (StageKind.OTHER, ["*"])])
    assert kind_of("signed contract", patterns) is StageKind.HIRED
    assert kind_of("whatever", patterns, "77") is StageKind.HIRED
    assert kind_of("whatever", patterns) is StageKind.OTHER
    told = Stage(name="Signed", kind=StageKind.OFFER)
    fact = Fact(type=EventType.STAGE_CHANGED, vendor_event="v", application=Application(id="1"), to_stage=told)
    assert patterns.complete(fact) == fact


# --- invariants ----------------------------------------------------------------------------------------------------


WRITTEN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["2026-01-01", "a*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["any", "all", "not", "expr", "job", "sequence", "occurred_at", "above", "before", "present"]
            )
            | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(when=st.dictionaries(st.sampled_from(["any", "not", "job", "sequence", "expr", "tag"]), WRITTEN, max_size=4))
def test_whatever_is_written_compiles_or_is_told(when: dict[str, object]) -> None:
    try:
        compiled = compile_route("r", when, ["sink"])
    except RuleErrors:
        return
    rules = Ruleset([compiled])
    [(_, reason)] = rules.explain(event())
    assert (reason is None) is bool(rules.match(event()))
    assert reason is None or (isinstance(reason, Finding) and str(reason))


@given(text=st.text(max_size=40) | st.sampled_from(["a[*].b", "sum(x)", "`1` > `2`", "{a: b}", "@", "x || y", "[?a]"]))
def test_an_expression_never_raises_when_it_is_matched(text: str) -> None:
    try:
        compiled = compile_route("r", {"expr": text}, ["sink"])
    except RuleErrors:
        return
    [test] = compiled.tests
    assert isinstance(test, Expression)
    Ruleset([compiled]).match(event(actor=Person(name="x"), occurred_at=datetime(2026, 1, 1, tzinfo=UTC)))
