"""The events whose messages are kept in slack_messages/. `python -m tests.sinks.slack_events` writes them anew, to be
read by eye."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from router.preview import sample_event
from router.schema import (
    Application,
    Candidate,
    Event,
    EventType,
    Interview,
    InterviewStatus,
    Offer,
    OfferStatus,
    Outcome,
    RejectionKind,
    RejectionReason,
    Stage,
)
from sinks.slack_message import message

FOLDER = Path(__file__).parent / "slack_messages"

_moved = sample_event(EventType.STAGE_CHANGED)
_decided = sample_event(EventType.OUTCOME_CHANGED)
_interview = sample_event(EventType.INTERVIEW_CHANGED)
_offer = sample_event(EventType.OFFER_CHANGED)


def _with_application(event: Event, **changed: Any) -> Event:
    assert event.application is not None
    return event.model_copy(update={"application": event.application.model_copy(update=changed)})


def _declined(kind: RejectionKind, reason: str) -> Event:
    said = RejectionReason(name=reason, kind=kind)
    return _with_application(_decided, outcome=Outcome.DECLINED, rejection_reason=said).model_copy(
        update={"offer": None}
    )


def _bare(event_type: EventType, **fields: Any) -> Event:
    """With nothing but what its type must have."""
    return Event(
        id="evt_1",
        type=event_type,
        source="workable",
        vendor="workable",
        vendor_event="moved",
        received_at=_moved.received_at,
        sequence=1,
        **fields,
    )


EVENTS: dict[str, Event] = {
    **{event_type: sample_event(event_type) for event_type in EventType if event_type is not EventType.OUTCOME_CHANGED},
    "ApplicationCreated_prospect": _with_application(sample_event(EventType.APPLICATION_CREATED), is_prospect=True),
    "StageChanged_from_unknown": _moved.model_copy(update={"from_stage": None}),
    "StageChanged_late_test": _moved.model_copy(update={"late": True, "test": True}),
    "StageChanged_bare": _bare(EventType.STAGE_CHANGED, application=Application(id="9"), to_stage=Stage(id="44")),
    "StageChanged_hostile": _moved.model_copy(
        update={
            "candidate": Candidate(
                name="<!channel> *Eve* & <https://evil.example|Bob>\n\u202eevil \U0001f469\u200d\U0001f4bb"
            ),
            "to_stage": Stage(name="_Offer_ https://evil.example @here :tada:"),
        }
    ),
    "OutcomeChanged_hired": _decided,
    "OutcomeChanged_declined": _declined(RejectionKind.REJECTED_BY_COMPANY, "Position filled"),
    "OutcomeChanged_withdrew": _declined(RejectionKind.WITHDRAWN_BY_CANDIDATE, "Took another offer"),
    "OutcomeChanged_back": _with_application(
        _decided, outcome=Outcome.PENDING, previous_outcome=Outcome.DECLINED
    ).model_copy(update={"offer": None}),
    "InterviewChanged_cancelled": _interview.model_copy(
        update={"interview": Interview(status=InterviewStatus.CANCELLED, start=_moved.received_at + timedelta(days=2))}
    ),
    "OfferChanged_accepted": _offer.model_copy(
        update={"offer": Offer(status=OfferStatus.ACCEPTED, start_date="2027-01-01")}
    ),
    "CandidateDeleted_anonymous": _bare(EventType.CANDIDATE_DELETED, candidate=Candidate(id="7")),
}


def as_golden(event: Event) -> str:
    return json.dumps(message(event), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, event in EVENTS.items():
        (FOLDER / f"{name}.json").write_text(as_golden(event))
