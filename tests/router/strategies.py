"""Rules and events of a small world, for properties: values that are asked for are there now and then."""

from typing import Any

from hypothesis import strategies as st

from router.schema import Event, EventType, Job, Stage, StageKind
from tests.router.test_rules import event

WORDS = ("Engineering", "Platform", "Onsite", "Virtual Onsite 2", "Sales", "")
TYPES = (EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED)
PATTERNS = ("*", "*onsite*", "Virtual*", "*ing", "E*g", "p*")
NAMES = ("department", "office", "to_stage", "job", "job.custom_fields.level")

words = st.sampled_from(WORDS)
values = st.one_of(words.filter(bool), st.sampled_from(PATTERNS))
some_values = st.one_of(values, st.lists(values, min_size=1, max_size=3))
numbers = st.integers(0, 4)
comparisons = st.one_of(
    some_values.map(lambda value: {"not": value}),
    st.booleans().map(lambda present: {"present": present}),
)
ranges = st.dictionaries(st.sampled_from(["above", "at_least", "below", "at_most"]), numbers, min_size=1, max_size=2)
dates = st.dictionaries(
    st.sampled_from(["after", "before"]), st.sampled_from(["2026-01-01", "2026-06-01"]), min_size=1, max_size=2
)
lines = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.one_of(some_values, comparisons)),
    st.tuples(st.just("event"), st.sampled_from([*TYPES, "*Changed"])),
    st.tuples(st.sampled_from(["sequence", "job.custom_fields.level"]), ranges),
    st.tuples(st.sampled_from(["received_at", "job.custom_fields.start"]), dates),
    st.tuples(st.just("expr"), st.sampled_from(["job.departments[0] == 'Sales'", "to_stage"])),
)
plain: st.SearchStrategy[dict[str, Any]] = st.lists(lines, min_size=1, max_size=3).map(dict)


def _grouped(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    groups = st.one_of(inner, st.lists(inner, min_size=1, max_size=3))
    return st.one_of(inner, st.dictionaries(st.sampled_from(["any", "all", "not"]), groups, min_size=1, max_size=2))


conditions = st.recursive(plain, _grouped, max_leaves=6)


@st.composite
def events(draw: st.DrawFn) -> Event:
    level = draw(st.one_of(st.none(), numbers, words))
    custom = {"level": level, "start": draw(st.sampled_from([None, "2026-03-01", "2027-01-01T09:00:00Z", "soon"]))}
    job = Job(
        title=draw(words), departments=draw(st.lists(words, max_size=2)), offices=draw(st.lists(words, max_size=2))
    )
    stage = draw(st.one_of(st.none(), words.map(lambda name: Stage(name=name, kind=StageKind.INTERVIEW))))
    return event(
        type=draw(st.sampled_from(TYPES)),
        job=job.model_copy(
            update={"custom_fields": {key: value for key, value in custom.items() if value is not None}}
        ),
        to_stage=stage,
        sequence=draw(numbers),
    )
