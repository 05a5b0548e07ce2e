"""One event in one line of plain words, for people: the terminal now, notifications later."""

import unicodedata

from router.schema import Event, EventType, Outcome, Stage

_OUTCOMES = {Outcome.HIRED: "hired", Outcome.DECLINED: "declined", Outcome.PENDING: "back in the process"}


_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Control characters that Persian and Indic names need."""


def plain(text: str) -> str:
    """Text from outside, made harmless for a terminal: control and direction characters become a visible mark."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS


def headline(event: Event) -> str:
    """Who, what, and for which job: ``Alice Example: Phone Screen -> Onsite, Backend Engineer``."""
    who = (event.candidate.whole_name if event.candidate else "") or event.stand_in
    job = f", {event.job.title}" if event.job and event.job.title else ""
    return plain(f"{who}{_what(event)}{job}")


def _what(event: Event) -> str:
    match event.type:
        case EventType.APPLICATION_CREATED:
            return " applied"
        case EventType.STAGE_CHANGED:
            return f": {_stage(event.from_stage)} -> {_stage(event.to_stage)}"
        case EventType.OUTCOME_CHANGED:
            outcome = event.application.outcome if event.application else None
            return f": {_OUTCOMES[outcome]}" if outcome else ": outcome changed"
        case EventType.APPLICATION_UPDATED:
            return ": application updated"
        case EventType.APPLICATION_DELETED:
            return ": application deleted"
        case EventType.INTERVIEW_CHANGED:
            return f": interview {_status(event.interview.status if event.interview else None)}"
        case EventType.OFFER_CHANGED:
            return f": offer {_status(event.offer.status if event.offer else None)}"
        case EventType.CANDIDATE_UPDATED:
            return ": profile updated"
        case EventType.CANDIDATE_MERGED:
            return f": merged into {f'candidate {event.merged_into}' if event.merged_into else 'another candidate'}"
        case EventType.CANDIDATE_DELETED:
            return ": deleted"


def _stage(stage: Stage | None) -> str:
    return (stage.name or f"stage {stage.id}") if stage else "?"


def _status(status: str | None) -> str:
    return status.lower() if status else "changed"
