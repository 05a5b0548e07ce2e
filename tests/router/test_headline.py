import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.headline import headline, plain
from router.schema import (
    Application,
    Candidate,
    Event,
    EventType,
    Interview,
    InterviewStatus,
    Job,
    Offer,
    OfferStatus,
    Outcome,
    Stage,
)
from tests.factories import NOW

ESC, CSI, BELL = "\x1b", "\x9b", "\x07"


def make(event_type: EventType, **fields: object) -> Event:
    told: dict[str, object] = {
        "id": "evt_1",
        "type": event_type,
        "schema_version": "1.0",
        "source": "greenhouse",
        "vendor": "greenhouse",
        "vendor_event": "something",
        "received_at": NOW,
        "occurred_at": NOW,
        "sequence": 1,
        "application": Application(id="1", outcome=Outcome.PENDING),
        "candidate": Candidate(id="7", name="Ada Lovelace"),
        "job": Job(title="Engineer"),
    }
    return Event.model_validate(told | fields)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (make(EventType.APPLICATION_CREATED), "Ada Lovelace applied, Engineer"),
        (
            make(EventType.STAGE_CHANGED, from_stage=Stage(name="Screen"), to_stage=Stage(id="4")),
            "Ada Lovelace: Screen -> stage 4, Engineer",
        ),
        (make(EventType.STAGE_CHANGED, to_stage=Stage(name="Onsite")), "Ada Lovelace: ? -> Onsite, Engineer"),
        (
            make(EventType.OUTCOME_CHANGED, application=Application(id="1", outcome=Outcome.HIRED), job=None),
            "Ada Lovelace: hired",
        ),
        (make(EventType.OUTCOME_CHANGED, candidate=None), "Application 1: back in the process, Engineer"),
        (make(EventType.INTERVIEW_CHANGED, interview=Interview(status=InterviewStatus.MOVED)), "interview moved"),
        (make(EventType.OFFER_CHANGED, offer=Offer(status=OfferStatus.SENT)), "offer sent"),
        (make(EventType.OFFER_CHANGED), "offer changed"),
        (make(EventType.CANDIDATE_MERGED, merged_into="9"), "Ada Lovelace: merged into candidate 9, Engineer"),
        (make(EventType.CANDIDATE_MERGED), "Ada Lovelace: merged into another candidate, Engineer"),
        (make(EventType.CANDIDATE_DELETED, application=None, candidate=Candidate(id="7")), "Candidate 7: deleted"),
    ],
)
def test_a_headline_says_who_what_and_for_which_job(event: Event, line: str) -> None:
    assert line in headline(event)


@pytest.mark.parametrize("event_type", EventType)
def test_every_type_of_event_has_a_headline_however_little_it_tells(event_type: EventType) -> None:
    bare = make(event_type, application=None, candidate=None, job=None)
    assert headline(bare).startswith("Somebody")
    assert "None" not in headline(make(event_type))


@pytest.mark.parametrize(
    "name",
    [
        f"{ESC}[31mred{ESC}[0m",
        f"{ESC}]8;;https://evil.example{ESC}\\click{ESC}]8;;{ESC}\\",
        f"{ESC}]0;title{BELL}",
        f"{CSI}2J",
        "a\rb",
        "a\nb",
        "a\u2028b",
        "\u202egnp.exe",
        "\u2066hidden\u2069",
        "\ud800",
        "a\x00b\x7f",
        "\U000e0041",
    ],
)
def test_text_that_would_move_a_terminal_is_made_visible_instead(name: str) -> None:
    line = headline(make(EventType.APPLICATION_CREATED, candidate=Candidate.model_construct(id="1", name=name)))
    assert "\N{REPLACEMENT CHARACTER}" in line
    assert len(line.splitlines()) == 1
    assert not set(line) & set(f"{ESC}{CSI}{BELL}\r\n\x00\x7f\u202e\u2066\u2069\u2028")


@pytest.mark.parametrize(
    "name",
    [
        "Zoë Łukasz",
        "山田 太郎",
        "Ἀριστοτέλης",
        "O'Neil-Smith",
        "\u0645\u06cc\u200c\u062e\u0648",
        "\u0d9a\u0dca\u200d\u0dba",
    ],
)
def test_names_of_all_scripts_stay_as_they_are(name: str) -> None:
    assert plain(name) == name


@given(st.text(st.characters()))
def test_plain_text_has_no_control_characters_left(text: str) -> None:
    made = plain(text)
    assert len(made) == len(text)
    kinds = {unicodedata.category(char) for char in made if char not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
