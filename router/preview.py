"""What a sink would send, without sending it: as people will see it, or to the byte."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from router.client import Client
from router.headline import plain
from router.parts import destination_of
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
    Stage,
)
from sinks.base import SinkSettings

_DATE = re.compile(r"<!date\^(\d+)\^[^|>]*\|[^>]*>")
_LINK = re.compile(r"<[^<>|]*\|([^<>]*)>")
_MENTION = re.compile(r"<(@\w+)>")
_STYLES = {"bold": "bold", "code": "bold reverse"}
_HAPPENED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class NotAnEvent(Exception):
    """The text says why, without anything of a candidate."""


def sample_event(event_type: EventType) -> Event:
    """A made-up event with every field that a sink may want to show."""
    return Event(
        id="evt_0a0000000000000000000000000a",
        type=event_type,
        source="greenhouse",
        vendor="greenhouse",
        vendor_event="sample",
        received_at=_HAPPENED,
        occurred_at=_HAPPENED,
        sequence=1,
        application=None if event_type in CANDIDATE_TYPES else _application(event_type),
        candidate=Candidate(id="7", name="Ada Lovelace", url="https://ats.example.com/candidates/7"),
        job=None if event_type in CANDIDATE_TYPES else _JOB,
        actor=Person(id="4", name="Grace Hopper", email="grace@example.com"),
        **_MORE.get(event_type, {}),
    )


def _application(event_type: EventType) -> Application:
    decided = event_type is EventType.OUTCOME_CHANGED
    return Application(
        id="77",
        outcome=Outcome.HIRED if decided else Outcome.PENDING,
        previous_outcome=Outcome.PENDING if decided else None,
        stage=_ONSITE if event_type is EventType.STAGE_CHANGED else _SCREEN,
        source="LinkedIn",
        referrer=Person(id="5", name="Mary Somerville"),
        url="https://ats.example.com/applications/77",
    )


_SCREEN, _ONSITE = Stage(id="2", name="Phone Screen"), Stage(id="3", name="Onsite")
_JOB = Job(
    id="12",
    title="Backend Engineer",
    departments=["Engineering"],
    location="Berlin",
    recruiters=[Person(id="6", name="Ann Lee", email="ann.lee@example.com")],
    url="https://ats.example.com/jobs/12",
)
_INTERVIEW = Interview(
    id="31",
    title="Technical interview",
    status=InterviewStatus.SCHEDULED,
    start=datetime(2026, 11, 24, 13, 0, tzinfo=UTC),
    end=datetime(2026, 11, 24, 14, 0, tzinfo=UTC),
    location="Room Babbage",
    interviewers=[Person(name="Grace Hopper"), Person(name="Alan Turing")],
)
_OFFER = Offer(id="41", status=OfferStatus.SENT, start_date="2027-01-01")
_UPDATED = {"changes": [Change(field="recruiter", from_="A", to="B"), Change(field="source")]}
_MORE: Mapping[EventType, dict[str, Any]] = {
    EventType.STAGE_CHANGED: {"from_stage": _SCREEN, "to_stage": _ONSITE},
    EventType.OUTCOME_CHANGED: {"offer": _OFFER},
    EventType.OFFER_CHANGED: {"offer": _OFFER},
    EventType.INTERVIEW_CHANGED: {"interview": _INTERVIEW},
    EventType.APPLICATION_UPDATED: _UPDATED,
    EventType.CANDIDATE_UPDATED: _UPDATED,
    EventType.CANDIDATE_MERGED: {"merged_into": "8"},
}
"""What events of a type have besides."""


def read_event(body: bytes) -> Event:
    """The common event in ``body``.

    Raises:
        NotAnEvent: there is none.
    """
    try:
        return Event.model_validate_json(body)
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise NotAnEvent(f"{where}: {first['msg']}" if where else first["msg"]) from None


def rendered(name: str, settings: SinkSettings, event: Event) -> bytes:
    """What the sink ``name`` would send of the event."""
    destination = destination_of(name, settings, Client())
    return destination.body(destination.plan({}, event, ""), event)


def print_preview(body: bytes, console: Console) -> None:
    """The body as people will see it: a Slack message nearly as in Slack, anything else as indented JSON."""
    content = json.loads(body)
    if not isinstance(content, dict) or content.get("parse") != "none":
        for line in json.dumps(content, indent=2, ensure_ascii=False).splitlines():
            console.print(Text(plain(line)))
        return
    lines = [line for block in content["blocks"] for line in _drawn(block)]
    console.print(Panel(Text("\n").join(lines), expand=False), soft_wrap=False)
    console.print(Text.assemble(("Notification: ", "dim"), plain(_unescaped(content["text"]))))


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _drawn(block: Mapping[str, Any]) -> Iterator[Text]:
    """The lines of a block."""
    if block["type"] == "context":
        yield Text("  ").join(Text(plain(_DATE.sub(_local, note["text"])), "dim") for note in block["elements"])
        return
    if block["type"] == "section":
        lines = _unescaped(_MENTION.sub(r"\1", _LINK.sub(r"\1", block["text"]["text"]))).split("\n")
        yield from (Text(plain(line)) for line in lines)
        return
    for section in block["elements"]:
        yield from _section(section["elements"]).split("\n")


def _section(elements: Sequence[Mapping[str, Any]]) -> Text:
    drawn = Text()
    for element in elements:
        if element["type"] == "date":
            drawn.append(_shown(element["timestamp"], time_only=element["format"] == "{time}"))
        elif element["type"] == "link":
            drawn.append(plain(element["text"]), f"underline link {element['url']}")
        elif element["text"] == "\n":
            drawn.append("\n")
        else:
            drawn.append(plain(element["text"]), " ".join(_STYLES[style] for style in element.get("style", ())))
    return drawn


def _local(date: re.Match[str]) -> str:
    return _shown(int(date[1]), time_only=False)


def _shown(timestamp: int, *, time_only: bool) -> str:
    """In the time zone of this machine, as Slack shows it in that of the reader."""
    return datetime.fromtimestamp(timestamp).astimezone().strftime("%H:%M" if time_only else "%d %b %Y at %H:%M")
