"""An event as a Slack message (Block Kit) that a recruiter reads at one glance.

Text from outside stands only in rich text elements and plain text objects, where Slack shows it as it is: there it
mentions nobody, formats nothing and links nowhere. It is made one line of visible characters, and short.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from router.schema import (
    Application,
    Candidate,
    Event,
    EventType,
    Interview,
    InterviewStatus,
    Job,
    OfferStatus,
    Outcome,
    Person,
    RejectionKind,
    Stage,
)
from router.templates import People, Template, is_web_address
from sinks.slack_text import cleaned, cut, escaped

Element = dict[str, Any]

_SEVERAL = 5
"""Items of one list."""

_OUTCOMES = {Outcome.HIRED: "hired", Outcome.DECLINED: "declined", Outcome.PENDING: "in the process"}
_INTERVIEWS = {
    InterviewStatus.SCHEDULED: "interview scheduled",
    InterviewStatus.MOVED: "interview moved to another time",
    InterviewStatus.COMPLETED: "interview completed",
    InterviewStatus.CANCELLED: "interview cancelled",
}
_OFFERS = {
    OfferStatus.DRAFT: "offer drafted",
    OfferStatus.APPROVED: "offer approved",
    OfferStatus.SENT: "offer sent",
    OfferStatus.ACCEPTED: "offer accepted",
    OfferStatus.DECLINED: "offer declined",
    OfferStatus.ABANDONED: "offer withdrawn",
}
_CANDIDATE_IS_GONE = {EventType.CANDIDATE_MERGED, EventType.CANDIDATE_DELETED}
_FIRST_YEAR = 1971
"""Vendors write "no time" as the year 1 or 1970."""


_AS_IT_IS = {
    "mrkdwn": False,
    "parse": "none",
    "link_names": False,
    "unfurl_links": False,
    "unfurl_media": False,
}
"""The notification is shown as it is, and nothing in a message is made a link that is not written as one."""

_LONGEST_SECTION = 2900
_LONGEST_NOTIFICATION = 300
_LABELLED = re.compile(r"<[^|>]*(?:\|([^>]*))?>")
_NO_FORMAT = str.maketrans("", "", "*_~`")


def message(event: Event) -> dict[str, Any]:
    """The arguments of chat.postMessage that say what happened; neither where to nor a key."""
    sentence = [*_badges(event), *_sentence(event)]
    lines = [sentence, _job(event.job), *_details(event), _links(event)]
    return {
        "text": escaped(_notification(sentence, event.job)),
        "blocks": [
            {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": _joined(lines, "\n")}]},
            {"type": "context", "elements": _footer(event)},
        ],
        **_AS_IT_IS,
    }


def own_message(event: Event, template: Template, zone: tzinfo, people: People) -> dict[str, Any]:
    """As `message`, in the words of a template; where these come to nothing, in ours."""
    said = cut(template.text(event, zone, people).strip(), _LONGEST_SECTION)
    if not cleaned(said):
        return message(event)
    named = template.text(event, zone).strip() if template.mentions else said  # a notification mentions nobody
    plain = _LABELLED.sub(_label, named).translate(_NO_FORMAT)
    words = cut(cleaned(plain, len(plain)), _LONGEST_NOTIFICATION)
    marks = " ".join(_marks(event))
    blocks: list[Element] = [{"type": "section", "text": {"type": "mrkdwn", "text": said, "verbatim": True}}]
    if marks:
        note = {"type": "plain_text", "text": marks, "emoji": False}
        blocks.append({"type": "context", "elements": [note]})
    text = f"{marks} {words}".strip() if words else message(event)["text"]
    return {"text": text, "blocks": blocks, **_AS_IT_IS}


def _label(link: re.Match[str]) -> str:
    """What a link or a date says; a mention that is written into the template says nothing here."""
    return link[1] or ""


def _notification(sentence: Iterable[Element], job: Job | None) -> str:
    """What a phone shows and a screen reader reads."""
    said = "".join(element["text"] for element in sentence)
    title = cleaned(job.title) if job else ""
    return f"{said} ({title})" if title else said


def _sentence(event: Event) -> list[Element]:
    who, application = _strong(_name(event)), event.application
    match event.type:
        case EventType.APPLICATION_CREATED:
            is_prospect = application is not None and application.is_prospect
            return [who, _text(" was added as a prospect" if is_prospect else " applied")]
        case EventType.STAGE_CHANGED:
            return [who, _text(" moved"), *_step(" from ", event.from_stage), *_step(" to ", event.to_stage)]
        case EventType.OUTCOME_CHANGED:
            return [who, _text(f" {_outcome(application)}")]
        case EventType.APPLICATION_UPDATED:
            return [who, _text(": application updated")]
        case EventType.APPLICATION_DELETED:
            return [who, _text(": application deleted")]
        case EventType.INTERVIEW_CHANGED:
            status = event.interview.status if event.interview else None
            return [who, _text(f": {_INTERVIEWS[status] if status else 'interview changed'}")]
        case EventType.OFFER_CHANGED:
            offered = event.offer.status if event.offer else None
            return [who, _text(f": {_OFFERS[offered] if offered else 'offer changed'}")]
        case EventType.CANDIDATE_UPDATED:
            return [who, _text(": profile updated")]
        case EventType.CANDIDATE_MERGED:
            into = cleaned(event.merged_into)
            return [who, _text(f": profile merged into candidate {into}" if into else ": profile merged into another")]
        case EventType.CANDIDATE_DELETED:
            return [who, _text(": profile deleted")]


def _name(event: Event) -> str:
    return cleaned(event.candidate.whole_name if event.candidate else None) or cleaned(event.stand_in)


def _step(words: str, stage: Stage | None) -> list[Element]:
    name = _stage(stage)
    return [_text(words), _strong(name)] if name else []


def _stage(stage: Stage | None) -> str:
    if stage is None:
        return ""
    identifier = cleaned(stage.id)
    return cleaned(stage.name) or (f"stage {identifier}" if identifier else "")


def _outcome(application: Application | None) -> str:
    outcome = application.outcome if application else None
    if application is None or outcome is None:
        return "has a new outcome"
    reason = application.rejection_reason
    if outcome is Outcome.DECLINED and reason and reason.kind is RejectionKind.WITHDRAWN_BY_CANDIDATE:
        return "withdrew"
    return f"is back {_OUTCOMES[outcome]}" if outcome is Outcome.PENDING else f"was {_OUTCOMES[outcome]}"


def _job(job: Job | None) -> list[Element]:
    if job is None:
        return []
    parts = [cleaned(job.title), _listed(job.departments), cleaned(job.location) or _listed(job.offices)]
    return [_text(" · ".join(filter(None, parts)))] if any(parts) else []


def _details(event: Event) -> list[list[Element]]:
    application = event.application
    match event.type:
        case EventType.APPLICATION_CREATED if application:
            return [_detail("Source", application.source), _detail("Referred by", _person(application.referrer))]
        case EventType.OUTCOME_CHANGED if application:
            return _about_outcome(event, application)
        case EventType.INTERVIEW_CHANGED if event.interview:
            return _about_interview(event.interview)
        case EventType.OFFER_CHANGED if event.offer:
            return [_detail("Starts", event.offer.start_date)]
        case EventType.APPLICATION_UPDATED | EventType.CANDIDATE_UPDATED:
            # Not the values: they can be what was never meant for a channel, such as a salary.
            return [_detail("Changed", _listed(change.field for change in event.changes or ()))]
    return []


def _about_outcome(event: Event, application: Application) -> list[list[Element]]:
    stage = _detail("Stage", _stage(application.stage))
    match application.outcome:
        case Outcome.HIRED:
            return [_detail("Starts", event.offer.start_date if event.offer else None)]
        case Outcome.DECLINED:
            return [
                _detail("Reason", application.rejection_reason.name if application.rejection_reason else None),
                stage,
            ]
    before = application.previous_outcome
    return [_detail("Before", _OUTCOMES[before] if before else None), stage]


def _about_interview(interview: Interview) -> list[list[Element]]:
    when: list[Element] = []
    start, end = interview.start, interview.end
    if start and start.year >= _FIRST_YEAR:
        when = [_text("When: "), _moment(start, "{date_short_pretty} at {time}")]
        if end and timedelta(0) < end - start < timedelta(days=1):
            when += [_text(" to "), _moment(end, "{time}")]
    return [
        _detail("Interview", interview.title),
        when,
        _detail("Where", interview.location),
        _detail("With", _listed(map(_person, interview.interviewers))),
    ]


def _links(event: Event) -> list[Element]:
    """To the ATS. What the links say are our own words, so no name can pretend to lead elsewhere."""
    application = [] if event.type is EventType.APPLICATION_DELETED else _page("Open application", event.application)
    candidate = [] if event.type in _CANDIDATE_IS_GONE else _page("Open candidate", event.candidate)
    return _joined([application or candidate, _page("Open job", event.job)], "  ·  ")


def _page(label: str, of: Application | Candidate | Job | None) -> list[Element]:
    url = of.url if of else None
    return [{"type": "link", "url": url, "text": label}] if url and is_web_address(url) else []


def _badges(event: Event) -> list[Element]:
    return [element for word in _marks(event) for element in (_styled(word, "code"), _text(" "))]


def _marks(event: Event) -> list[str]:
    return [word for word, holds in (("TEST", event.test), ("LATE", event.late)) if holds]


def _footer(event: Event) -> list[Element]:
    """When and by whom, small and grey. Slack shows the time in each reader's own time zone."""
    moment = event.occurred_at or event.received_at
    if moment.year < _FIRST_YEAR:
        moment = event.received_at
    shown = f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} at {{time}}|{_in_utc(moment)}>"
    actor = _person(event.actor)
    notes = [
        f"by {actor}" if actor else "",
        cleaned(event.source),
        "late: newer news of this application came before" if event.late else "",
    ]
    when: Element = {"type": "mrkdwn", "text": shown, "verbatim": True}
    return [when, *({"type": "plain_text", "text": note, "emoji": False} for note in notes if note)]


def _person(person: Person | None) -> str:
    return (cleaned(person.name) or cleaned(person.email)) if person else ""


def _listed(values: Iterable[str]) -> str:
    named = [name for value in values if (name := cleaned(value))]
    more = len(named) - _SEVERAL
    return ", ".join(named[:_SEVERAL]) + (f" and {more} more" if more > 0 else "")


def _detail(label: str, value: str | None) -> list[Element]:
    shown = cleaned(value)
    return [_text(f"{label}: {shown}")] if shown else []


def _moment(moment: datetime, form: str) -> Element:
    return {"type": "date", "timestamp": int(moment.timestamp()), "format": form, "fallback": _in_utc(moment)}


def _in_utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _text(text: str) -> Element:
    return {"type": "text", "text": text}


def _strong(text: str) -> Element:
    return _styled(text, "bold")


def _styled(text: str, style: str) -> Element:
    return {"type": "text", "text": text, "style": {style: True}}


def _joined(groups: Iterable[list[Element]], separator: str) -> list[Element]:
    """The groups that are not empty, one after the other."""
    joined: list[Element] = []
    for group in filter(None, groups):
        joined += [_text(separator), *group] if joined else group
    return joined
