import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.preview import sample_event
from router.schema import (
    CANDIDATE_TYPES,
    Application,
    Candidate,
    Change,
    Event,
    EventType,
    Interview,
    InterviewStatus,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
)
from sinks.slack_message import message
from sinks.slack_text import cleaned
from tests.sinks.slack_events import EVENTS, FOLDER, as_golden
from tests.sinks.slack_limits import check_message, texts


def moved() -> Event:
    return sample_event(EventType.STAGE_CHANGED)


@pytest.mark.parametrize("name", EVENTS)
def test_messages_as_they_were_read_by_eye(name: str) -> None:
    assert as_golden(EVENTS[name]) == (FOLDER / f"{name}.json").read_text()
    check_message(message(EVENTS[name]))


def test_every_type_of_event_has_a_message_and_no_file_is_left_over() -> None:
    assert {event.type for event in EVENTS.values()} == set(EventType)
    assert {file.stem for file in FOLDER.iterdir()} == set(EVENTS)


HOSTILE = [
    "<!channel>",
    "<@U012AB3CD>",
    "<#C012AB3CD>",
    "<!subteam^S012>",
    "<https://evil.example|Bob>",
    "https://evil.example",
    "@here @channel @everyone",
    "*bold* _italic_ ~struck~ `code` ```block```",
    "> quoted",
    "&amp; &lt;!channel&gt;",
    "a\nb\r\nc\u2028d\u2029e\x85f\tg",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\x00\x1b[31mred\x7f",
    "{date} <!date^1^{time}|x>",
    ":tada:",
    "\ufeff\u200b\u2060",
    "\u200d\u200c",
    " ",
    "",
    "محمد بن سلمان",
    "אבג",
    "👩‍👩‍👧‍👦" * 60,
    "&" * 600,
    "e\u0301" * 300,
    "Z" + "\u0335" * 500,
    "\U0001f3f4\U000e0067\U000e0062\U000e007f",
]
_any_text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text(min_size=400, max_size=600))
_text = st.one_of(st.none(), _any_text)
_url = st.one_of(_text, st.sampled_from(["https://a.example/x?b=1&c=2", "javascript:alert(1)", "https://a|b>c"]))
_time = st.one_of(st.none(), st.datetimes(timezones=st.just(UTC)))
_stage = st.one_of(st.none(), st.builds(Stage, id=_text, name=_text))
_person = st.builds(Person, name=_text, email=_text)
_people = st.lists(_person, max_size=8)
_texts = st.lists(_any_text, max_size=8)

_events = st.builds(
    Event,
    id=st.just("evt_1"),
    type=st.sampled_from(EventType),
    source=st.just("greenhouse"),
    vendor=st.just("greenhouse"),
    vendor_event=st.just("x"),
    received_at=st.just(datetime(2026, 1, 1, tzinfo=UTC)),
    occurred_at=_time,
    sequence=st.just(1),
    late=st.booleans(),
    test=st.booleans(),
    application=st.builds(
        Application,
        id=_any_text,
        outcome=st.one_of(st.none(), st.sampled_from(Outcome)),
        previous_outcome=st.one_of(st.none(), st.sampled_from(Outcome)),
        stage=_stage,
        rejection_reason=st.builds(
            RejectionReason, name=_text, kind=st.one_of(st.none(), st.sampled_from(RejectionKind))
        ),
        source=_text,
        referrer=st.one_of(st.none(), _person),
        url=_url,
        is_prospect=st.one_of(st.none(), st.booleans()),
    ),
    candidate=st.one_of(
        st.none(), st.builds(Candidate, id=_text, name=_text, first_name=_text, last_name=_text, url=_url)
    ),
    job=st.one_of(st.none(), st.builds(Job, title=_text, departments=_texts, offices=_texts, location=_text, url=_url)),
    from_stage=_stage,
    to_stage=_stage,
    actor=st.one_of(st.none(), _person),
    merged_into=_text,
    interview=st.builds(
        Interview,
        title=_text,
        status=st.one_of(st.none(), st.sampled_from(InterviewStatus)),
        start=_time,
        end=_time,
        location=_text,
        interviewers=_people,
    ),
    offer=st.builds(Offer, status=st.one_of(st.none(), st.sampled_from(OfferStatus)), start_date=_text),
    changes=st.lists(st.builds(Change, field=_any_text), max_size=8),
)


@given(_events)
def test_slack_takes_every_message_and_nothing_in_it_acts(event: Event) -> None:
    check_message(message(event))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_name_stands_as_text_only(hostile: str) -> None:
    event = moved().model_copy(update={"candidate": Candidate(id="7", name=hostile)})
    made = message(event)
    check_message(made)
    bold = made["blocks"][0]["elements"][0]["elements"][0]
    assert bold == {"type": "text", "text": cleaned(hostile) or "Candidate 7", "style": {"bold": True}}


def test_escaped_exactly_once_in_the_notification_and_nowhere_else() -> None:
    made = message(moved().model_copy(update={"candidate": Candidate(name="""R&D <"O'Neil">""")}))
    assert made["text"].startswith("""R&amp;D &lt;"O'Neil"&gt; moved from""")
    assert made["blocks"][0]["elements"][0]["elements"][0]["text"] == """R&D <"O'Neil">"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada\n\tLovelace ", "Ada Lovelace"),
        ("\u202eevil\u202c", "evil"),
        ("a \u200b b", "a b"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\u200d \u200c", ""),
        ("\x1b[0m", "[0m"),
        (None, ""),
        ("x" * 150, "x" * 150),
        ("x" * 151, "x" * 149 + "…"),
        ("x" * 148 + " " + "y" * 9, "x" * 148 + "…"),
        ("x" * 148 + "e\u0301" + "y", "x" * 148 + "…"),
        ("x" * 148 + "👩\u200d💻yz", "x" * 148 + "…"),
        ("x" * 147 + "👩\u200d💻yz", "x" * 147 + "…"),
        ("x" * 148 + "👍🏽yz", "x" * 148 + "…"),
    ],
)
def test_cleaned(text: str | None, shown: str) -> None:
    assert cleaned(text) == shown
    assert len(shown) <= 150


def seen(event: Event) -> str:
    return "".join(texts(message(event)["blocks"]))


def test_absent_fields_leave_nothing_behind() -> None:
    for event_type in EventType:
        about = (
            {"candidate": Candidate(id="7")} if event_type in CANDIDATE_TYPES else {"application": Application(id="9")}
        )
        bare = Event.model_validate(
            {**moved().model_dump(include={"id", "source", "vendor", "vendor_event", "received_at", "sequence"})}
            | {"type": event_type, **about}
        )
        check_message(message(bare))
        assert "None" not in seen(bare)
        assert ": \n" not in seen(bare)
        assert "Open" not in seen(bare)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://a.example/|Bank",
        "https://a.example/<b>",
        "https://user:pass@a.example/",
        "https://a.example/\u202e",
        "https://a.example/a b",
        "//a.example",
        "ftp://a.example",
        "https://a.example/" + "x" * 2000,
        "",
    ],
)
def test_what_is_no_plain_web_address_is_not_linked(url: str) -> None:
    event = EVENTS["StageChanged_bare"].model_copy(
        update={"application": Application(id="1", url=url), "job": Job(url=url), "candidate": Candidate(url=url)}
    )
    assert "link" not in json.dumps(message(event)["blocks"])


def test_what_is_gone_is_not_linked() -> None:
    assert "Open candidate  ·  Open job" in seen(sample_event(EventType.APPLICATION_DELETED))
    for event_type in (EventType.CANDIDATE_DELETED, EventType.CANDIDATE_MERGED):
        assert "Open" not in seen(sample_event(event_type))


def test_of_a_long_list_the_first_five_are_shown() -> None:
    interview = Interview(interviewers=[Person(name=name) for name in "ABCDEFG"])
    shown = seen(sample_event(EventType.INTERVIEW_CHANGED).model_copy(update={"interview": interview}))
    assert "With: A, B, C, D, E and 2 more" in shown


def test_values_of_changed_fields_are_not_shown() -> None:
    change = Change(field="salary", from_="a little", to="a lot")
    shown = seen(sample_event(EventType.APPLICATION_UPDATED).model_copy(update={"changes": [change]}))
    assert "Changed: salary" in shown
    assert "a l" not in shown


def test_late_and_test_are_marked() -> None:
    made = message(moved().model_copy(update={"late": True, "test": True}))
    assert made["text"].startswith("TEST LATE Ada Lovelace moved")
    assert [element["text"] for element in made["blocks"][0]["elements"][0]["elements"][:4:2]] == ["TEST", "LATE"]


def test_times_that_vendors_write_for_no_time_are_not_shown() -> None:
    never = datetime(1, 1, 1, tzinfo=UTC)
    event = sample_event(EventType.INTERVIEW_CHANGED).model_copy(
        update={"occurred_at": never, "interview": Interview(start=never, end=never)}
    )
    assert "When" not in seen(event)
    assert "<!date^1795176000^" in seen(event)


def test_names_are_not_normalised_away() -> None:
    for name in ("Zoë Łuczak", "Nguyễn Văn A", "李小龍", "محمد"):
        assert cleaned(name) == name
