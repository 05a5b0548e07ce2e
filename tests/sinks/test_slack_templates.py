"""Slack messages and channels in the company's own words."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from router.client import Client
from router.preview import sample_event
from router.schema import Candidate, Event, EventType, Job
from router.secret import Reference
from router.templates import compiled
from sinks.base import Delivery, Result
from sinks.slack import Slack
from sinks.slack_message import message, own_message
from sinks.slack_settings import SlackSettings
from sinks.slack_text import CHANNEL, MRKDWN, cut
from tests.router.any_event import HOSTILE, any_events
from tests.router.test_templates import BERLIN, good_templates
from tests.sinks.fake_slack import TOKEN, FakeSlack
from tests.sinks.slack_limits import check_message

MOVED = sample_event(EventType.STAGE_CHANGED)
BOT = {"type": "slack", "token": Reference(TOKEN), "channel": "hiring"}


def slack(**settings: Any) -> Slack:
    return Slack(SlackSettings.model_validate({**BOT, **settings}), Client())


def sent(event: Event, template: str, **settings: Any) -> dict[str, Any]:
    made = json.loads(slack(template=template, **settings).render(Delivery("dlv_1", event.model_dump_json().encode())))
    check_message(made)
    return made  # type: ignore[no-any-return]


def named(name: str) -> Event:
    return MOVED.model_copy(update={"candidate": Candidate(name=name)})


def in_mrkdwn(name: str) -> str:
    return compiled("{{ candidate.name }}", MRKDWN).text(named(name))


def test_a_message_in_own_words() -> None:
    template = """:wave: *{{ candidate.name }}* is at _{{ to_stage }}_ since {{ occurred_at | datetime }}
<!subteam^S012AB3CD> please look: {{ application.url | link("the application of Ada") }}"""
    made = sent(MOVED, template, timezone="Europe/Berlin")
    assert made["blocks"] == [
        {
            "type": "section",
            "text": {
                "type": "mrkdwn",
                "text": ":wave: *Ada Lovelace* is at _Onsite_ since 20 Nov 2026, 13:00\n<!subteam^S012AB3CD> please"
                " look: <https://ats.example.com/applications/77|the application of Ada>",
                "verbatim": True,
            },
        }
    ]
    assert made["text"] == (
        ":wave: Ada Lovelace is at Onsite since 20 Nov 2026, 13:00 please look: the application of Ada"
    )
    assert made["metadata"]["event_payload"] == {"delivery_key": "dlv_1"}


def test_tests_and_late_news_are_marked() -> None:
    made = sent(MOVED.model_copy(update={"test": True, "late": True}), "{{ candidate.name }}")
    assert made["text"] == "TEST LATE Ada Lovelace"
    assert made["blocks"][1]["elements"] == [{"type": "plain_text", "text": "TEST LATE", "emoji": False}]


@pytest.mark.parametrize("template", ["{{ candidate.company }}", " \n ", "{% if late %}x{% endif %}", "\u200b"])
def test_where_a_template_says_nothing_the_message_is_ours(template: str) -> None:
    assert own_message(MOVED, compiled(template, MRKDWN), BERLIN, {}) == message(MOVED)


def test_where_only_a_mention_is_left_the_notification_is_ours() -> None:
    assert sent(MOVED, "<!here>")["text"] == message(MOVED)["text"]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("R&D &amp; <@U1>", "R&amp;D &amp;amp; &lt;@U1&gt;"),
        ("*Eve*", "\u2217Eve\u2217"),
        ("a *b* _c_ ~d~ `e`", "a \u2217b\u2217 \uff3fc\uff3f \u223cd\u223c \u02cbe\u02cb"),
        ("ada_b@example.com 2*3", "ada_b@example.com 2*3"),
        ("> quoted > not", "\u203a quoted &gt; not"),
        ("```x```", "\u02cb\u02cb\u02cbx\u02cb\u02cb\u02cb"),
        (":tada: 10:30:00 a:100:b", "\ua789tada: 10:30:00 a\ua789100:b"),
        ("a\n\u202eb\u2028> c", "a b &gt; c"),
        ("x" * 1001, "x" * 999 + "…"),
    ],
)
def test_a_value_is_text_only(name: str, written: str) -> None:
    assert in_mrkdwn(name) == written


def test_only_web_pages_are_linked_and_their_words_are_text() -> None:
    job = Job(title="<b>|*x*", url="https://a.example/?a=b&c=d")
    event = MOVED.model_copy(update={"job": job, "candidate": Candidate(name="E", url="https://a.example/|<!here>")})
    text = "{{ job.url | link(job.title) }} {{ candidate.url | link('no') }} {{ job.url | link }}"
    url = "https://a.example/?a=b&amp;c=d"
    assert compiled(text, MRKDWN).text(event) == (
        f"<{url}|&lt;b&gt;|\u2217x\u2217> no <{url}|{url}>"
    )  # fmt: skip


def test_a_long_message_is_cut_where_nothing_breaks() -> None:
    assert cut("a" * 20, 20) == "a" * 20
    assert cut("a" * 8 + "&amp;" + "b" * 9, 12) == "a" * 8 + "…"
    assert cut("a <https://x.example|the page> b" * 2, 20) == "a…"
    assert cut("\U0001f600" * 20, 10) == "\U0001f600" * 4 + "…"
    sent(named("&" * 4000), "{{ candidate.name }}" * 9)


@settings(max_examples=300, deadline=None)
@given(good_templates, any_events())
def test_slack_takes_whatever_templates_make_and_no_value_acts(template: str, event: Event) -> None:
    mentions = "{{ recruiter | mention }}{% for p in job.coordinators %}{{ p | mention }}{% endfor %}"
    made = own_message(event, compiled(template + mentions, MRKDWN), BERLIN, {"a@example.com": "U012AB3CD"})
    check_message(made)
    if made["blocks"][0]["type"] == "section":
        text = made["blocks"][0]["text"]["text"]
        for link in text.split("<")[1:]:
            allowed = ("http://", "https://", "@U012AB3CD>")
            assert link.startswith(allowed), "the only markup here is that of the filters link and mention"
        assert text.count("<") == text.count(">")


@given(st.sampled_from(HOSTILE), st.text(max_size=5), st.text(max_size=5))
def test_no_name_formats_mentions_or_links(hostile: str, before: str, after: str) -> None:
    written = in_mrkdwn(before + hostile + after)
    assert not set("<>") & set(written)
    assert not written.startswith("&gt;")
    outer = f" {written} "
    for mark in "*_~`":
        assert f" {mark}" not in outer
        assert f"{mark} " not in outer


# --- channels -----------------------------------------------------------------------------------------------------


def in_department(*names: str, **custom: Any) -> Event:
    return MOVED.model_copy(update={"job": Job(departments=list(names), custom_fields=custom)})


@pytest.mark.parametrize(
    ("channel", "event", "target"),
    [
        ("#hiring-{{ job.departments[0] | slug }}", in_department("R&D, Zürich"), "#hiring-r-d-zurich"),
        ("hiring-{{ department }}", in_department("People Ops"), "#hiring-people-ops"),
        ("{{ job.custom_fields.channel }}", in_department(channel="#Team_Berlin"), "#team_berlin"),
        ("{{ job.custom_fields.channel }}", in_department(channel="C0123456789"), "C0123456789"),
        ("{{ job.custom_fields.channel | default('hiring') }}", in_department(), "#hiring"),
        ("{% if 'Sales' in department %}sales{% else %}hiring{% endif %}", in_department("Sales"), "#sales"),
    ],
)
def test_channel_by_fields(channel: str, event: Event, target: str) -> None:
    assert slack(channel=channel).target(event) == target
    assert slack(channel=channel).unfit(event) is None


@pytest.mark.parametrize("event", [in_department(), in_department("!!"), in_department("x" * 90)])
async def test_a_channel_that_can_not_be_is_told(event: Event) -> None:
    sink = slack(channel="{{ department }}")
    assert sink.unfit(event) == "channel"
    body = event.model_dump_json().encode()
    outcome = await sink.attempt(Delivery("dlv_1", body, b"{}"))
    assert (outcome.result, outcome.reason) == (Result.RETRY, "no_channel")


async def test_the_channel_of_the_event_is_posted_to(client: Client) -> None:
    async with FakeSlack() as api:
        base = f"http://127.0.0.1:{api.port}/api"
        sink = Slack(SlackSettings.model_validate({**BOT, "channel": "{{ department }}", "api_url": base}), client)
        delivery = Delivery("dlv_1", in_department("Hiring").model_dump_json().encode())
        outcome = await sink.attempt(Delivery(delivery.id, delivery.event_body, sink.render(delivery)))
    assert outcome.result is Result.DELIVERED


@given(any_events())
def test_no_event_makes_a_channel_that_slack_could_not_have(event: Event) -> None:
    text = compiled("x-{{ department }}{{ candidate.name }}", CHANNEL).text(event)
    assert text == text.lower()
    assert "#" not in text
    sink = slack(channel="x-{{ department }}{{ candidate.name }}")
    assert sink.unfit(event) or sink.target(event) == f"#{text}"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"channel": "#Hiring-{{ department }}"}, "write the channel's name in small letters"),
        ({"channel": "hiring {{ department }}"}, "write the channel's name in small letters"),
        ({"channel": "hiring-{{ departmnt }}"}, 'did you mean "department"'),
        ({"template": "{{ candidate.nam }}"}, 'did you mean "name"'),
        ({"template": ""}, "at least 1 item"),
    ],
)
def test_mistakes(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        slack(**setting)
