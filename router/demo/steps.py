"""The story that the demo tells: two candidates, and two webhooks that must come to nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from handlers.base import Sample
from router.schema import EventType, Outcome

JOB = "Backend Engineer"


@dataclass(frozen=True, slots=True)
class Step:
    """One webhook. ``forged``: signed with a wrong secret; ``again``: the very bytes of the step before."""

    said: str
    sample: Sample
    forged: bool = False
    again: bool = False


def story(first: str, second: str, number: int, start: datetime) -> list[Step]:
    """One is hired, one is rejected; an hour lies between two steps. ``number`` is the first one's application."""
    hours = 0

    def step(said: str, name: str, event_type: EventType, stage: str, outcome: Outcome = Outcome.PENDING) -> Step:
        nonlocal hours
        hours += 1
        application = str(number if name == first else number + 1)
        at = start + timedelta(hours=hours)
        return Step(f"{name} {said}", Sample(event_type, application, name, JOB, at, stage, outcome))

    applied, moved, ended = EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED
    moved_again = step("is moved to Onsite", first, moved, "Onsite")
    return [
        step("applies", first, applied, "Application Review"),
        step("is moved to Phone Screen", first, moved, "Phone Screen"),
        moved_again,
        Step("The same webhook comes a second time", moved_again.sample, again=True),
        step("applies", second, applied, "Application Review"),
        step("is rejected", second, ended, "Application Review", Outcome.DECLINED),
        Step("Somebody forges a hire", moved_again.sample, forged=True),
        step("is hired", first, ended, "Onsite", Outcome.HIRED),
    ]
