"""Templates: what they show, what they refuse and in which words, and that they can do no harm."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.fields import field_names
from router.preview import sample_event
from router.schema import Candidate, Event, EventType, Job, Offer, Person
from router.templates import HTML, PLAIN, BadTemplate, compiled, filled, is_template
from router.templates.compiled import LONGEST_OUTPUT
from router.templates.filters import FILTERS
from router.templates.language import LONGEST
from tests.router.any_event import TEXTS, any_events

BERLIN = ZoneInfo("Europe/Berlin")
EVENT = sample_event(EventType.STAGE_CHANGED).model_copy(
    update={
        "occurred_at": datetime(2026, 7, 1, 22, 30, tzinfo=UTC),
        "candidate": Candidate(
            id="7", name="Ada Lovelace", tags=["A", "B", "C"], custom_fields={"Cost Centre": 12, "team": {"name": "X"}}
        ),
        "job": Job(
            title="Backend Engineer",
            departments=["R&D, Zürich", "Sales"],
            recruiters=[Person(name="Grace Hopper", email="g@x.org"), Person(email="alan@x.org")],
            url="https://ats.example.com/jobs/1?a=b&c=d",
            custom_fields={"remote": True, "levels": ["L4", "L5"]},
        ),
        "offer": Offer(start_date="2027-01-15", sent_at="2026-07-01T22:30:00Z"),
    }
)


def shown(text: str, event: Event = EVENT) -> str:
    return compiled(text, PLAIN).text(event, BERLIN)


def refused(text: str) -> str:
    with pytest.raises(BadTemplate) as caught:
        compiled(text, PLAIN)
    return str(caught.value)


# --- what is shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ candidate.name }}", "Ada Lovelace"),
        ("{{ candidate }}/{{ job }}/{{ to_stage }}/{{ stage }}", "Ada Lovelace/Backend Engineer/Onsite/Onsite"),
        ("{{ job.title }}, {{ event }}, {{ type }}", "Backend Engineer, StageChanged, StageChanged"),
        ("{{ department }}", "R&D, Zürich, Sales"),
        ("{{ recruiter }}", "Grace Hopper, alan@x.org"),
        ("{{ job.recruiters.email }}", "g@x.org, alan@x.org"),
        ("{{ recruiter[0].email }} {{ recruiter[7].email }}", "g@x.org "),
        ("{{ outcome }} {{ stage_kind }}|{{ office }}|{{ candidate_source }}", "PENDING ||LinkedIn"),
        ("{{ offer.status }}{{ interview.title }}{{ candidate.company }}", ""),
        ("{{ interview.interviewers[0].name }}{{ merged_into }}", ""),
        ("{{ candidate.custom_fields['cost centre'] }} {{ candidate.custom_fields.team }}", "12 X"),
        ("{{ candidate.custom_fields.team.name }}{{ candidate.custom_fields.nobody.nothing }}", "X"),
        ("{{ job.custom_fields.remote }} {{ job.custom_fields.levels }} {{ sequence }}", "true L4, L5 1"),
        ("{% for t in candidate.tags %}{{ loop.index }}{{ t }}{{ ';' if not loop.last }}{% endfor %}", "1A;2B;3C"),
        ("{% for p in job.coordinators %}{{ p.name }}{% else %}nobody{% endfor %}", "nobody"),
        ("{% for p in job.custom_fields.levels %}[{{ p }}]{% endfor %}", "[L4][L5]"),
        ("{% if outcome == 'pending' %}open{% elif test %}t{% else %}closed{% endif %}", "open"),
        ("{% if 'sales' in department and not late %}yes{% endif %}", "yes"),
        ("{% if department == ' SALES ' %}yes{% endif %}{% if department != 'Sales' %}no{% endif %}", "yes"),
        ("{% if 'backend' in job.title %}b{% endif %}{% if job in ['x', 'backend engineer'] %}c{% endif %}", "bc"),
        ("{% if candidate.company in 'abc' or candidate.company not in ['a'] %}d{% endif %}", "d"),
        ("{{ 'remote' if job.custom_fields.remote else 'office' }}{{ 'x' if late }}", "remote"),
        ("{% raw %}{{ x }}{% endraw %}{# a note #}", "{{ x }}"),
    ],
)  # fmt: skip
def test_shows_what_the_event_has(text: str, result: str) -> None:
    assert shown(text) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ occurred_at | date }}", "02 Jul 2026"),
        ("{{ occurred_at | time }}", "00:30"),
        ("{{ occurred_at | datetime }}", "02 Jul 2026, 00:30"),
        ("{{ occurred_at | datetime('%d.%m.%y %H:%M') }}", "02.07.26 00:30"),
        ("{{ offer.start_date | date('%d.%m.%Y') }}", "15.01.2027"),
        ("{{ offer.start_date | time }}|{{ offer.start_date | datetime }}", "|15 Jan 2027"),
        ("{{ offer.sent_at | time }}", "00:30"),
        ("{{ interview.start | date }}|{{ candidate.name | date }}", "|Ada Lovelace"),
        ("{{ job.departments[0] | slug }}", "r-d-zurich"),
        ("{{ 'Straße 李小龍 한국' | slug }}|{{ '--_--' | slug }}", "strasse-李小龍-한국|"),
        ("{{ candidate.name | first_name }} {{ 'Lovelace, Ada King' | first_name }}", "Ada Ada"),
        ("{{ recruiter | first_name }}|{{ candidate.company | first_name }}", "Grace, alan@x.org|"),
        ("{{ job.url | link('Open') }}", "Open (https://ats.example.com/jobs/1?a=b&c=d)"),
        ("{{ candidate.url | link('Open') }}{{ 'javascript:alert(1)' | link('x') }}", "Openx"),
        ("{{ candidate.company | default('none') }} {{ candidate.phones | default('-') }}", "none -"),
        ("{{ candidate.name | default('none') }} {{ late | default('x') }}", "Ada Lovelace false"),
        (
            "{{ candidate.tags | join(' + ') }} {{ candidate.tags | first }} {{ candidate.tags | last }}",
            "A + B + C A C",
        ),
        ("{{ (recruiter | last).email }} {{ candidate.tags | length }} {{ 'abc' | length }}", "alan@x.org 3 3"),
        ("{{ job | upper }} {{ recruiter | lower | truncate(6) }}", "BACKEND ENGINEER grace…"),
    ],
)
def test_filters(text: str, result: str) -> None:
    assert shown(text) == result


def of_nobody(candidate: Candidate | None) -> Event:
    return EVENT.model_copy(update={"candidate": candidate})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ candidate }}, {{ candidate.name }}", "Candidate 7, Candidate 7"),
        ("{{ candidate | upper }} {{ candidate.name | truncate(6) }}", "CANDIDATE 7 Candi…"),
        ("{{ candidate | first_name }}", "Candidate 7"),
        ("{{ job.url | link(candidate) }}", "Candidate 7 (https://ats.example.com/jobs/1?a=b&c=d)"),
        ("{{ candidate.company | default(candidate) }}", "Candidate 7"),
        ("{{ candidate if not late else job }}", "Candidate 7"),
        ("{{ candidate | default('Somebody new') }} {{ candidate.name | length }}", "Somebody new 0"),
        ("{{ candidate.name or 'x' }}{% if candidate.name %}a{% endif %}{% if candidate == '' %}b{% endif %}", "xb"),
        ("{{ candidate.first_name }}{{ candidate.title }}", "Cook"),
    ],
)
def test_a_candidate_whose_name_nobody_told(text: str, result: str) -> None:
    assert shown(text, of_nobody(Candidate(id="7", title="Cook"))) == result


def test_a_candidate_of_whom_less_is_known() -> None:
    both = "{{ candidate }}|{{ candidate.name }}|{{ candidate | first_name }}"
    assert shown(both, of_nobody(None)) == "Application 77|Application 77|Application 77"
    bare = of_nobody(None).model_copy(update={"application": None})
    assert shown(both, bare) == "Somebody|Somebody|Somebody"
    parts = of_nobody(Candidate(id="7", first_name="Ada", last_name="King"))
    assert shown(both, parts) == "Ada King|Ada King|Ada"
    assert shown(both) == "Ada Lovelace|Ada Lovelace|Ada"


def test_what_keeps_its_kind_is_nothing_where_the_candidate_has_no_name() -> None:
    nobody = of_nobody(Candidate(id="7"))
    assert filled({"name": "{{ candidate.name }}", "title": "For {{ candidate.name }}"}, nobody) == {
        "name": None,
        "title": "For Candidate 7",
    }


def test_what_vendors_write_for_no_time_is_nothing() -> None:
    never = EVENT.model_copy(update={"occurred_at": datetime(1, 1, 1, tzinfo=UTC)})
    assert shown("{{ occurred_at | date }}|", never) == "|"


def test_the_last_hours_of_all_time_have_no_zone() -> None:
    late = EVENT.model_copy(update={"occurred_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)})
    assert shown("{{ occurred_at | datetime }}", late) == "31 Dec 9999, 23:59"


def test_a_value_that_stands_alone_keeps_its_kind_where_that_is_wanted() -> None:
    def value(text: str) -> Any:
        return compiled(text, PLAIN, keeps_kind=True).value(EVENT)

    assert value("{{ sequence }}") == 1
    assert value("{{ late }}") is False
    assert value("{{ candidate.tags }}") == ["A", "B", "C"]
    assert value("{{ candidate.company }}") is None
    assert value("{{ 'a' if late }}") is None
    assert value("{{ candidate }}") == EVENT.candidate
    assert value("no. {{ sequence }}") == "no. 1"
    assert value("plain") == "plain"


def test_html_is_escaped_but_not_what_the_author_wrote() -> None:
    event = EVENT.model_copy(update={"candidate": Candidate(name="<b>O'Neil</b>")})
    text = "<i>{{ candidate.name }}</i> {{ job.url | link(candidate.name) }}"
    assert compiled(text, HTML).text(event) == (
        "<i>&lt;b&gt;O&#x27;Neil&lt;/b&gt;</i> "
        '<a href="https://ats.example.com/jobs/1?a=b&amp;c=d">&lt;b&gt;O&#x27;Neil&lt;/b&gt;</a>'
    )


# --- what is refused, and in which words --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ candidate.nam }}", '"candidate" has no "nam"; did you mean "name"? (column 4 of the text)'),
        ("Hi\n {{ departments }}", 'did you mean "job.departments"? (line 2 column 5 of the text)'),
        ("{% for p in recruiter %}{{ p.nme }}{% endfor %}", '"job.recruiters" has no "nme"; did you mean "name"?'),
        ("{% for p in recruiter %}{% endfor %}{{ p }}", 'an event has no field "p"'),
        ("{{ candidate.name.x }}", '"candidate.name" is a single value, so there is no "candidate.name.x"'),
        ("{{ application }}", '"application" holds several fields; name one with a dot: application.id'),
        ("{{ job.custom_fields }}", "name one with a dot: job.custom_fields.team"),
        ("{% for p in candidate.name %}{% endfor %}", '"candidate.name" is no list'),
        ("{{ job.title[0] }}", '"job.title" is no list, so it has no [0]'),
        ("{{ candidate.tags[job.title] }}", "in brackets stands a position, like [0]"),
        ("{{ loop.index }}", 'an event has no field "loop"'),
        ("{% for t in candidate.tags %}{{ loop.indx }}{% endfor %}", '"loop" has no "indx"'),
        ("{candidate.name}", "a field stands in two braces: {{ candidate.name }} (column 1 of the text)"),
        ("{{ candidate.name | uper }}", 'there is no filter "uper"; did you mean "upper"?'),
        ("{{ occurred_at | date('%Q') }}", '"%Q" is no part of a date'),
        ("{{ occurred_at | date('100%') }}", '"%" is no part of a date'),
        ("{{ occurred_at | date(5) }}", 'what stands in brackets after "date" must be a text in quotes'),
        ("{{ candidate.tags | join(job.title) }}", "must be a text in quotes"),
        ("{{ candidate.name | truncate('5') }}", "must be a whole number"),
        ("{{ candidate.name | upper(1) }}", 'the filter "upper" takes no value in brackets'),
        ("{{ candidate.name | default(value='x') }}", 'the filter "default" takes at most 1 value in brackets'),
        ("{{ candidate name }}", "between {{ and }} stands one field"),
        ("{{ }}", "between {{ and }} stands one field"),
        ("{{ candidate.name }", "the braces do not match"),
        ("{{ candidate.name", "the braces do not match"),
        ("{% if test %}", "an {% if %} is not closed; write {% endif %} where it ends"),
        ("{% for t in candidate.tags %}", "a {% for %} is not closed"),
        ("{% endif %}", "{% endif %} stands here without its {% if %}"),
        ("{% iff test %}", "there is no {% iff %}; a template has {% if %} and {% for %}"),
        ("{% if outcome = 'HIRED' %}{% endif %}", "this {% %} can't be read; write {% if outcome == 'hired' %}"),
        ("{{ 'Ada }}", "a text stands in quotes"),
        ("{# note", "a {# is not closed"),
        ("{{ sequence > 3 }}", "it compares two things with == , != or in"),
        ("{{ candidate.name is defined }}", 'it can\'t ask with "is"'),
        ("{{ candidate-name }}", "it can't calculate; a name with a hyphen stands in brackets"),
        ("{{ candidate.name ~ 'x' }}", "write one after the other"),
        ("{% set a = 1 %}", "it can't keep values"),
        ("{{ candidate.name.upper() }}", "it can't call anything; use a filter"),
        ("x" * (LONGEST + 1), "a template has at most 10000 characters, this one has 10001"),
    ],
)
def test_mistakes_are_explained(text: str, words: str) -> None:
    assert words in refused(text)


def test_all_mistakes_are_told_at_once() -> None:
    assert refused("{{ candidate.nam }} {{ job.titel }}").count("did you mean") == 2


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}", "{{ candidate.__class__ }}", "{{ candidate['__class__'] }}", "{{ candidate.model_dump }}",
        "{{ self }}", "{{ _event }}", "{{ _zone }}", "{{ cycler }}", "{{ range(9) }}", "{{ lipsum() }}",
        "{% include '/etc/passwd' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% macro a() %}{% endmacro %}",
        "{% block a %}{% endblock %}", "{% filter upper %}x{% endfilter %}", "{% call x() %}{% endcall %}",
        "{% with a = 1 %}{% endwith %}", "{% autoescape false %}{{ candidate.name }}{% endautoescape %}",
        "{{ 9 ** 9 ** 9 }}", "{{ 'x' * 999999999 }}", "{{ candidate.name | attr('__class__') }}",
        "{{ candidate.tags | map('upper') }}", "{{ candidate.name | safe }}", "{{ candidate.name | _items }}",
        "{{ candidate.tags[0:5] }}", "{{ {'a': 1} }}", "{{ ('(' * 5) }}", "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
        "{{ " + "not " * 300 + "test }}", "{{ " + "9" * 5000 + " }}", "{{ test" + " | upper" * 300 + " }}",
        "{% for a in candidate.tags %}" * 3 + "{% endfor %}" * 3,
        "{% for a in candidate.tags if a %}{% endfor %}", "{% for a in candidate.tags recursive %}{% endfor %}",
        "{% for a, b in candidate.tags %}{% endfor %}", "{% for _event in candidate.tags %}{% endfor %}",
        "{% for loop in candidate.tags %}{% endfor %}", "{% if test %}" * 900 + "{% endif %}" * 900,
    ],
)  # fmt: skip
def test_nothing_but_fields_can_be_reached_and_nothing_takes_long(text: str) -> None:
    refused(text)


def test_what_is_made_is_limited() -> None:
    many = EVENT.model_copy(update={"candidate": Candidate(tags=["x" * 500] * 5000)})
    text = "{% for a in candidate.tags %}{% for b in candidate.tags %}{{ b }}{% endfor %}{% endfor %}"
    assert len(shown(text, many)) == LONGEST_OUTPUT
    assert shown("{% for a in candidate.tags %}.{% endfor %}", many) == "." * 100


def test_texts_without_anything_to_fill_in_are_no_templates() -> None:
    assert not is_template("#hiring {x} }}")
    assert is_template("#{{ job }}")
    assert is_template("{% if test %}x{% endif %}")
    assert is_template("{# x #}")


# --- whatever is written, whatever comes --------------------------------------------------------------------------

_fields = st.sampled_from(
    [
        *(name for name in field_names() if "custom_fields" not in name),
        "job.custom_fields.team",
        "application.custom_fields['Cost Centre']",
    ]
)
_filters = st.sampled_from(["", *(f" | {name}" for name in FILTERS), " | link('x')", " | first | last | length"])
_shown = st.builds("{{{{ {}{}{} }}}}".format, _fields, _filters, _filters)
_looked = st.builds(
    "{{% if {} {} {} %}}a{{% endif %}}".format, _fields, st.sampled_from(["==", "in", "and", "!="]), _fields
)
_looped = st.builds(
    "{{% for x in {} %}}{{{{ x }}}}{{% endfor %}}".format,
    st.sampled_from(["candidate.tags", "job.recruiters", "job.custom_fields.team", "interview.interviewers"]),
)
good_templates = st.lists(st.one_of(_shown, _looked, _looped, st.just(" ")), min_size=1, max_size=4).map("".join)
_pieces = [
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "if ",
    "for ",
    "x in ",
    "endif",
    "candidate",
    ".",
    "name",
    " | ",
    "date",
    "('%d')",
    "[0]",
    "'",
    "(",
    ")",
]


@settings(max_examples=300, deadline=None)
@given(good_templates, any_events(), st.sampled_from([PLAIN, HTML]))
def test_a_good_template_never_fails_whatever_the_event_has(text: str, event: Event, target: Any) -> None:
    made = compiled(text, target).text(event, BERLIN)
    assert "None" not in made or "None" in event.model_dump_json()
    if target is HTML:
        assert "<" not in made.replace("<a href=", "").replace("</a>", "")


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(_pieces), max_size=14).map("".join), TEXTS))
def test_any_text_is_a_template_or_explained(text: str) -> None:
    with suppress(BadTemplate):
        assert isinstance(compiled(text, PLAIN).text(EVENT), str)
