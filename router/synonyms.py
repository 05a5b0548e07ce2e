"""What people write in rules where these have another word for it, and what to write instead."""

import re
from collections.abc import Mapping

from router.schema import InterviewStatus, OfferStatus
from router.wording import nearest

FIELDS: Mapping[str, str] = {
    "applied_to": "job",
    "position": "job",
    "requisition": "job.requisition_id",
    "role": "job",
    "dept": "department",
    "team": "department",
    "city": "office",
    "country": "office",
    "manager": "hiring_manager",
    "owner": "recruiter",
    "new_stage": "to_stage",
    "next_stage": "to_stage",
    "stage_to": "to_stage",
    "old_stage": "from_stage",
    "previous_stage": "from_stage",
    "stage_from": "from_stage",
    "status": "outcome",
    "state": "outcome",
    "result": "outcome",
    "action": "event",
    "trigger": "event",
    "referral": "candidate_source",
    "start_date": "offer.start_date",
    "user": "actor",
}
"""Words that are in no field's name, and the field that is meant."""

COMPARISONS: Mapping[str, str] = {
    "contains": 'a part of a text is written with stars: {name}: "*text*"',
    "like": 'a part of a text is written with stars: {name}: "*text*"',
    "includes": 'a part of a text is written with stars: {name}: "*text*"',
    "starts_with": 'how a text begins is written with a star: {name}: "text*"',
    "begins_with": 'how a text begins is written with a star: {name}: "text*"',
    "ends_with": 'how a text ends is written with a star: {name}: "*text"',
    "in": "any of several values is a list: {name}: [a, b]",
    "one_of": "any of several values is a list: {name}: [a, b]",
    "any_of": "any of several values is a list: {name}: [a, b]",
    "equals": "a value stands right behind the field: {name}: value",
    "equal": "a value stands right behind the field: {name}: value",
    "is": "a value stands right behind the field: {name}: value",
    "=": "a value stands right behind the field: {name}: value",
    "==": "a value stands right behind the field: {name}: value",
    "is_not": "write {name}: {{not: value}}",
    "not_in": "write {name}: {{not: [a, b]}}",
    "exists": "write {name}: {{present: true}}",
    "between": "write {name}: {{at_least: 1, at_most: 5}}, or of dates {{after: 2026-01-31, before: 2026-03-01}}",
    "greater_than": "write {name}: {{above: 5}}",
    "more_than": "write {name}: {{above: 5}}",
    "less_than": "write {name}: {{below: 5}}",
    ">": "write {name}: {{above: 5}}",
    "<": "write {name}: {{below: 5}}",
    ">=": "write {name}: {{at_least: 5}}",
    "<=": "write {name}: {{at_most: 5}}",
    "since": "write {name}: {{after: 2026-01-31}}",
    "until": "write {name}: {{before: 2026-01-31}}",
}
"""Comparisons of other languages; ``name`` is the field."""

_EVENTS = (
    (("hire",), "a hire is event: OutcomeChanged with outcome: HIRED"),
    (("reject", "declin", "withdr"), "that is event: OutcomeChanged with outcome: DECLINED"),
    (("appl", "newcandidate", "candidatecreated"), "that is event: ApplicationCreated"),
    (("mov", "newstage", "advanc"), "that is event: StageChanged"),
)
_WITH_STATUS = (
    ("offer", "OfferChanged", "offer.status", tuple(OfferStatus)),
    ("interview", "InterviewChanged", "interview.status", tuple(InterviewStatus)),
)


def event_meant(written: str) -> str | None:
    """What to write for an event in words of one's own, where these say more than its type."""
    word = re.sub(r"[^a-z]", "", written.lower())
    for beginning, event, field, choices in _WITH_STATUS:
        if word.startswith(beginning) and (status := nearest(word.removeprefix(beginning), choices)):
            return f"that is event: {event} with {field}: {status}"
    return next((meant for parts, meant in _EVENTS if any(part in word for part in parts)), None)
