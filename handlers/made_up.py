"""Bodies that say one step of an application in the words of a mapping, for `Handler.sample`.

What is wanted is put where the description looks for it, so this works for places that are plain paths.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC
from typing import Any

from handlers.base import Sample
from handlers.expressions import EACH, expression, put
from handlers.mapping import SNAPSHOT, EventSettings, InHeader, MappingSettings
from router.schema import EventType, Outcome

EVENT_KEY = "event_of_this_sample"
"""Where a made-up body has the event's name if the vendor says it in a header, which is written when it is signed."""

_OF_SNAPSHOTS = (EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED, EventType.APPLICATION_UPDATED)


def made_up_bodies(settings: MappingSettings, step: Sample) -> Iterator[tuple[str, bytes]]:
    """Every event that could say the step, and its body; whether it does is for the caller to see."""
    for name, event in settings.events.items():
        fits = step.type in _OF_SNAPSHOTS if event.type == SNAPSHOT else event.type == step.type
        if fits:
            name = name.replace("*", "sample")
            with suppress(ValueError):  # two places are in each other's way
                yield name, json.dumps(_body(settings, name, event, step)).encode()


def event_of(body: bytes) -> str | None:
    """The event that a made-up body is about, if the vendor says it in a header."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return None
    name = whole.get(EVENT_KEY) if isinstance(whole, dict) else None
    return name if isinstance(name, str) else None


def _body(settings: MappingSettings, name: str, event: EventSettings, step: Sample) -> object:
    values = _values(step, settings.values.outcome)
    scope: Any = {}
    places = [(expression(text).steps, values.get(field)) for field, text in settings.fields_in(event).items()]
    if isinstance(settings.event, InHeader):
        places.append((("body", EVENT_KEY) if settings.each else (EVENT_KEY,), name))
    else:
        places.append((expression(settings.event).steps, name))
    for steps, value in places:
        if steps and value is not None:
            scope = put(scope, steps, value)
    if settings.each is None:
        return scope
    steps = expression(settings.each).steps or ()
    item = scope.get("item", {})
    return put(scope.get("body"), steps, item if steps[-1:] == (EACH,) else [item])


def _values(step: Sample, outcomes: Mapping[str, Outcome]) -> Mapping[str, str | None]:
    at = step.at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    first_name, _, last_name = step.candidate_name.partition(" ")
    words = [word for word, outcome in outcomes.items() if outcome is step.outcome and "*" not in word]
    return {
        **dict.fromkeys(("occurred_at", "application.created_at", "application.updated_at"), at),
        "application.id": step.application_id,
        "application.outcome": next(iter(words), step.outcome.value),
        "application.rejected_at": at if step.outcome is Outcome.DECLINED else None,
        "application.hired_at": at if step.outcome is Outcome.HIRED else None,
        # a stage is known by its id: another name, another id
        **dict.fromkeys(("application.stage.id", "application.stage.name", "to_stage.id", "to_stage.name"), step.stage),
        "candidate.id": f"candidate of {step.application_id}",
        "candidate.name": step.candidate_name,
        "candidate.first_name": first_name,
        "candidate.last_name": last_name or None,
        "candidate.emails": "candidate@example.org",
        "job.id": f"job {step.job_title}",
        "job.title": step.job_title,
    }
