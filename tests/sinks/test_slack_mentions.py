"""Who is mentioned in Slack: people whose member ids the configuration has, and nobody else."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from router.schema import Candidate, Event, Job, Person
from router.secret import Reference
from router.templates import PLAIN, BadTemplate, compiled
from sinks.base import Delivery
from tests.sinks.slack_limits import check_message
from tests.sinks.test_slack_templates import MOVED, sent, slack

PEOPLE = {"Ann.Lee@Example.com": "U012AB3CD", "bob@example.com": "W987ZY6XW"}
ANN, BOB, EVE = (
    Person(name=name, email=f"{email}@example.com")
    for name, email in (("Ann Lee", "ann.lee"), ("Bob", "BOB"), ("Eve <!here>", "eve"))
)


def of(*recruiters: Person, **custom: Any) -> Event:
    return MOVED.model_copy(update={"job": Job(recruiters=list(recruiters), custom_fields=custom)})


def said(event: Event, template: str, **settings: Any) -> str:
    text = sent(event, template, **{"people": PEOPLE, **settings})["blocks"][0]["text"]["text"]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ recruiter | mention }}", "<@U012AB3CD>, <@W987ZY6XW>, Eve &lt;!here&gt;"),
        ("{{ job.recruiters[1] | mention }}", "<@W987ZY6XW>"),
        ("{{ recruiter | first | mention }}", "<@U012AB3CD>"),
        ("{% for p in recruiter %}{{ loop.index }}{{ p | mention }} {% endfor %}",
         "1<@U012AB3CD> 2<@W987ZY6XW> 3Eve &lt;!here&gt;"),
        ("{{ hiring_manager | mention | default('nobody') }}", "nobody"),
        ("{{ recruiter[0] | mention | default('nobody') }}", "<@U012AB3CD>"),
        ("x{{ hiring_manager | mention }}", "x"),
    ],
)  # fmt: skip
def test_known_people_are_mentioned_and_others_named(template: str, text: str) -> None:
    assert said(of(ANN, BOB, EVE), template) == text


def test_a_person_in_a_field_of_ones_own() -> None:
    event = of(owner={"name": "Ann", "email": "ANN.LEE@example.com"}, buddy="bob@example.com", other="<@U012AB3CD>")
    written = "{{ job.custom_fields.owner | mention }} {{ job.custom_fields.buddy | mention }}"
    assert said(event, written) == "<@U012AB3CD> <@W987ZY6XW>"
    assert said(event, "{{ job.custom_fields.other | mention }}") == "&lt;@U012AB3CD&gt;"


@pytest.mark.parametrize("name", ["<@U012AB3CD>", "<!channel>", "ann.lee@example.com", "U012AB3CD", "@Ann Lee"])
def test_no_text_of_a_candidate_becomes_a_mention(name: str) -> None:
    event = of(Person(name=name)).model_copy(update={"candidate": Candidate(name=name)})
    assert "<" not in said(event, "{{ candidate }} {{ candidate.name }} {{ recruiter }}")
    assert "<" not in said(event, "{{ recruiter | mention }} {{ recruiter | mention | upper }}")


def test_the_notification_has_the_names() -> None:
    made = sent(of(ANN, EVE), "Hi {{ recruiter | mention }}", people=PEOPLE)
    assert made["text"] == "Hi Ann Lee, Eve &lt;!here&gt;"


def test_a_webhook_mentions_too() -> None:
    own = {"type": "slack", "webhook_url": Reference("https://hooks.slack.com/services/T0/B0/x"), "people": PEOPLE}
    settings = {**own, "template": "{{ recruiter | mention }}", "token": None, "channel": None}
    made = json.loads(slack(**settings).render(Delivery("dlv_1", of(ANN).model_dump_json().encode())))
    check_message(made)
    assert made["blocks"][0]["text"]["text"] == "<@U012AB3CD>"


@pytest.mark.parametrize(
    ("fields", "lacking"),
    [
        (["job.title"], '"job.recruiters.name" and "job.recruiters.email"'),
        (["job.recruiters.name"], '"job.recruiters.email"'),
        (["recruiter"], None),
        (["job"], None),
    ],
)
def test_a_sink_mentions_only_whom_it_may_see(fields: list[str], lacking: str | None) -> None:
    settings = {"template": "{{ recruiter | mention }}", "people": PEOPLE, "fields": fields}
    if lacking is None:
        assert slack(**settings)
        return
    with pytest.raises(ValidationError, match=f"does not get {lacking}; add it to its fields"):
        slack(**settings)


@pytest.mark.parametrize(
    ("people", "sentence"),
    [
        ({"Ann Lee": "U012AB3CD"}, "write the e-mail address that the ATS has"),
        ({"ann@example.com": "@ann"}, "this is no member id of Slack: one begins with U or W, such as U012AB3CD"),
        ({"ann@example.com": "<@U012AB3CD>"}, "this is no member id of Slack"),
        ({"ann@example.com": "C0123456789"}, "this is no member id of Slack"),
        ({"ann@example.com": "U012AB3CD", "Ann@example.com": "U012AB3CE"}, "stands here twice"),
    ],
)
def test_people_are_checked(people: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        slack(people=people)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{ candidate.name | mention }}", "people are mentioned, as in {{ recruiter | mention }} (column 4 of"),
        ("{{ job | mention }}", "people are mentioned"),
        ("{{ 'ann' | mention }}", "people are mentioned"),
        ("{{ recruiter.email | mention }}", "people are mentioned"),
        ("{{ recruter | mention }}", 'an event has no field "recruter"; did you mean "recruiter"? (column 4 of'),
        ("{{ recruiter | mention('x') }}", 'the filter "mention" takes no value in brackets (column 16 of the text)'),
    ],
)  # fmt: skip
def test_only_people_can_be_mentioned(template: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        slack(template=template)
    assert sentence in str(caught.value)
    assert str(caught.value).count("[type=template]") == 1
    assert ";" not in str(caught.value).replace("; did you mean", "")


def test_elsewhere_nobody_can_be_mentioned() -> None:
    with pytest.raises(BadTemplate, match='"mention" works in messages to Slack only'):
        compiled("{{ recruiter | mention }}", PLAIN)
    with pytest.raises(ValidationError, match="works in messages to Slack only"):
        slack(channel="{{ recruiter | mention }}")
