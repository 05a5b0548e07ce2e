"""(application state, fact) -> (new state, events). Pure: all that is known of an application comes in as its state.

A fact that says what was told already makes no event. Newer and older go by the vendor's version where it has one, else
by the order in which facts were accepted; an older fact still becomes an event, marked ``late``, and changes nothing.
What polling read before the application was last heard of is outdated, and changes nothing either.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import blake2b

from router.identity import event_id
from router.records import ApplicationState, WaitingFact
from router.schema import (
    OUTCOME_OF_KIND,
    Application,
    Candidate,
    Event,
    EventType,
    Fact,
    Job,
    Outcome,
    Stage,
    Told,
)

_TOLD_ONCE = {
    EventType.APPLICATION_CREATED: "created",
    EventType.APPLICATION_DELETED: "deleted",
    EventType.CANDIDATE_DELETED: "candidate:deleted",
    EventType.CANDIDATE_MERGED: "candidate:merged",
}
_FACT_FIELDS = frozenset(Told.model_fields)
_TELL_CONTENT = frozenset(
    (
        EventType.APPLICATION_CREATED,
        EventType.STAGE_CHANGED,
        EventType.OUTCOME_CHANGED,
        EventType.APPLICATION_UPDATED,
    )
)
_READ_LATELY = 120.0
"""A row may be so many seconds older than the moment at which it was read."""

_TELL_WHERE_IT_IS = frozenset((EventType.APPLICATION_CREATED, EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED))
_TOLD_OTHERWISE = {"stage", "outcome", "previous_outcome", "updated_at", "rejected_at", "hired_at", "rejection_reason"}
_CONTENT: dict[str, set[str]] = {
    "application": set(Application.model_fields) - _TOLD_OTHERWISE - {"id"},
    "candidate": set(Candidate.model_fields) - {"id"},
    "job": set(Job.model_fields),
}
"""What is compared to see whether anything else of an application changed."""


def project(state: ApplicationState, waiting: WaitingFact) -> tuple[ApplicationState, list[Event]]:
    """Complete a fact with what is known, and learn from it. No events where it tells nothing new."""
    fact = waiting.fact
    if waiting.polled:
        state = _recalled(state, waiting.known)
        if _is_outdated_reading(state, waiting):
            return state, []
    late = _is_late(state, fact)
    news = list(_news(state, fact))
    events = [
        _event(state, waiting, event_type, late=late, sequence=state.sequence + position)
        for position, event_type in enumerate(news, start=1)
    ]
    learnt = state if late else _learn(state, fact)
    once = _once(fact)
    told = learnt.told if once is None else learnt.told | {once}
    update: dict[str, object] = {"sequence": state.sequence + len(events), "told": told}
    if not late:
        update["heard_at"] = _heard_at(state, waiting)
        if waiting.polled and fact.is_snapshot:
            update["read_at"] = waiting.received_at.timestamp()
    if events and fact.recovered:
        update["content"] = None  # the webhook that never came would have said the rest, and nobody knows what it was
    return learnt.model_copy(update=update), events


def is_outdated(event: Event, state: ApplicationState) -> bool:
    """Whether the application went on since: the stage or outcome that an event tells is no longer that of today."""
    if event.type is EventType.STAGE_CHANGED and event.to_stage is not None:
        return state.stage is not None and not event.to_stage.same_as(state.stage)
    if event.type is EventType.OUTCOME_CHANGED and event.application is not None:
        return state.outcome is not None and event.application.outcome is not state.outcome
    return False


def _recalled(state: ApplicationState, known: ApplicationState | None) -> ApplicationState:
    """The state with what polling saw before, where nobody told it anything else."""
    if known is None:
        return state
    changed: dict[str, object] = {"told": state.told | known.told}
    if "stage" not in state.told:
        changed["stage"] = known.stage
    if "outcome" not in state.told:
        changed["outcome"] = known.outcome
    if state.told.isdisjoint({"stage", "outcome"}):
        changed["content"], changed["heard_at"] = state.content or known.content, known.heard_at
    return state.model_copy(update=changed)


def _is_history(fact: Fact) -> bool:
    """Whether a polled fact is not what the application is, but something that it went through."""
    return not fact.is_snapshot and fact.type in (EventType.STAGE_CHANGED, EventType.OUTCOME_CHANGED)


def _is_outdated_reading(state: ApplicationState, waiting: WaitingFact) -> bool:
    """Whether something newer was told since this was read, or since this part of a history."""
    if state.heard_at is None:
        return False
    if not _is_history(waiting.fact):
        return waiting.fact.is_snapshot and waiting.received_at.timestamp() < state.heard_at
    at = waiting.fact.occurred_at
    return at is None or at.timestamp() <= state.heard_at


def _heard_at(state: ApplicationState, waiting: WaitingFact) -> float | None:
    """As of when the application is known after this fact."""
    fact = waiting.fact
    if not (fact.is_snapshot or fact.type in _TELL_WHERE_IT_IS):
        return state.heard_at
    is_past = _is_history(fact) or fact.type is EventType.APPLICATION_CREATED
    at = fact.occurred_at if waiting.polled and is_past else waiting.received_at
    return state.heard_at if at is None else max(at.timestamp(), state.heard_at or 0.0)


def _is_late(state: ApplicationState, fact: Fact) -> bool:
    if fact.vendor_version is not None and state.version is not None:
        return fact.vendor_version < state.version
    if fact.type is EventType.STAGE_CHANGED and fact.occurred_at is not None and state.read_at is not None:
        return fact.occurred_at.timestamp() < state.read_at - _READ_LATELY
    if fact.type is not EventType.APPLICATION_CREATED:
        return False
    # a creation that is told after a move was overtaken by it on the way; but a prospect may move before it converts
    converts = _once(fact) == "created" and "created" not in state.told and "created:prospect" in state.told
    return not state.told.isdisjoint({"deleted"} if converts else {"stage", "outcome", "deleted"})


def _news(state: ApplicationState, fact: Fact) -> Iterator[EventType]:
    """The types of events that a fact makes, in the order in which they are sent."""
    if fact.is_snapshot:
        yield from _news_of_snapshot(state, fact)
        return
    match fact.type:
        case EventType.STAGE_CHANGED:
            assert fact.to_stage is not None
            if "stage" not in state.told or not fact.to_stage.same_as(state.stage):
                yield fact.type
        case EventType.OUTCOME_CHANGED:
            if _is_offer_only(state, fact):
                yield EventType.OFFER_CHANGED
        case EventType.APPLICATION_UPDATED:
            if fact.needs_enrichment or (content := content_of(fact)) is None or content != state.content:
                yield fact.type
        case _:
            if _once(fact) not in state.told:
                yield fact.type
    outcome = _outcome(state, fact)
    if outcome is not None and not ("outcome" in state.told and outcome is state.outcome):
        yield EventType.OUTCOME_CHANGED


def _is_offer_only(state: ApplicationState, fact: Fact) -> bool:
    """Whether an outcome that was told before now comes with its offer, as a hire does after the move into Hired."""
    told_before = "outcome" in state.told and _outcome(state, fact) is state.outcome
    return told_before and fact.offer is not None and _offer(fact) not in state.told


def _offer(fact: Fact) -> str | None:
    return f"offer:{fact.offer.id}" if fact.offer and fact.type is EventType.OUTCOME_CHANGED else None


def _news_of_snapshot(state: ApplicationState, fact: Fact) -> Iterator[EventType]:
    """What differs from the state. Of an application that nothing was told of, a decision says what happened: that it
    came from another stage as well would be a guess, unless the stage itself is the decision."""
    stage, outcome = _stage(fact), _outcome(state, fact)
    decided = outcome is not None and not ("outcome" in state.told and outcome is state.outcome)
    decided_by_stage = stage is not None and stage.kind in OUTCOME_OF_KIND
    moved = stage is not None and not stage.same_as(state.stage)
    if "stage" not in state.told:
        moved = stage is not None and (not decided or decided_by_stage)
    if moved:
        yield EventType.STAGE_CHANGED
    if decided:
        yield EventType.OUTCOME_CHANGED
    # what polling recovers says the rest in other words than a webhook
    is_comparable = state.content is not None and not fact.recovered
    if not moved and not decided and is_comparable and content_of(fact) != state.content:
        yield EventType.APPLICATION_UPDATED


def content_of(fact: Fact) -> str | None:
    """A digest of what a fact says besides ids, stage, outcome and when they changed; None where it says no more."""
    said = fact.model_dump(include=_CONTENT, exclude_defaults=True)
    return blake2b(repr(said).encode(errors="replace"), digest_size=8).hexdigest() if any(said.values()) else None


def _once(fact: Fact) -> str | None:
    """The name of what can be told only once. A prospect that becomes a candidate for a job is created twice."""
    if fact.type is EventType.APPLICATION_CREATED and fact.application and fact.application.is_prospect:
        return "created:prospect"
    return _TOLD_ONCE.get(fact.type)


def _outcome(state: ApplicationState, fact: Fact) -> Outcome | None:
    """The outcome that a fact is about, in whichever way the vendor tells it."""
    assert fact.application is not None or fact.type not in (EventType.OUTCOME_CHANGED, EventType.STAGE_CHANGED)
    told = fact.application.outcome if fact.application else None
    if fact.type is EventType.OUTCOME_CHANGED:
        return told
    about_it = fact.is_snapshot or fact.type in (EventType.STAGE_CHANGED, EventType.APPLICATION_CREATED)
    if not about_it or _once(fact) in state.told:
        return None
    if told in (Outcome.HIRED, Outcome.DECLINED):
        return told
    stage = _stage(fact)
    if stage is not None and stage.kind in OUTCOME_OF_KIND:
        return OUTCOME_OF_KIND[stage.kind]
    decided = state.outcome in (Outcome.HIRED, Outcome.DECLINED)
    if fact.is_snapshot and told is Outcome.PENDING and decided and not _is_late(state, fact):
        return told
    left_the_end = (
        (fact.is_snapshot or fact.type is EventType.STAGE_CHANGED)
        and state.stage is not None
        and state.stage.kind in OUTCOME_OF_KIND
        and stage is not None
        and not state.stage.same_as(stage)
        and not _is_late(state, fact)
    )
    return Outcome.PENDING if left_the_end else None


def _stage(fact: Fact) -> Stage | None:
    """The stage after this fact, as far as it says it."""
    return fact.to_stage or (fact.application.stage if fact.application else None)


def _learn(state: ApplicationState, fact: Fact) -> ApplicationState:
    changed: dict[str, object] = {"version": fact.vendor_version or state.version}
    if fact.type in _TELL_CONTENT and not fact.needs_enrichment and not fact.recovered:
        changed["content"] = content_of(fact) or state.content
    if fact.application is not None:
        job = _job(state, fact)
        changed["job"] = job if job is not None and job.title is not None else state.job
    told = set(state.told)
    created = fact.type is EventType.APPLICATION_CREATED and _once(fact) not in state.told
    if (stage := _stage(fact)) is not None:
        about_it = created or fact.is_snapshot or fact.type is EventType.STAGE_CHANGED
        if about_it or "stage" not in told:
            changed["stage"] = stage
        if about_it:
            told.add("stage")
    about_it = True
    outcome = _outcome(state, fact)
    if outcome is None and created:
        outcome = Outcome.PENDING
    elif outcome is None and fact.application is not None:
        outcome, about_it = fact.application.outcome, False
    if outcome is not None:
        if about_it or "outcome" not in told:
            changed["outcome"] = outcome
        if about_it:
            told.add("outcome")
    if (offer := _offer(fact)) is not None:
        told.add(offer)
    return state.model_copy(update={**changed, "told": frozenset(told)})


def _event(state: ApplicationState, waiting: WaitingFact, event_type: EventType, *, late: bool, sequence: int) -> Event:
    fact = waiting.fact
    fields = {name: getattr(fact, name) for name in _FACT_FIELDS}
    fields["application"] = _application(state, fact, event_type, late=late)
    fields["job"] = _job(state, fact)
    if event_type is EventType.STAGE_CHANGED:
        fields["from_stage"] = fact.from_stage or _stage_before(state, fact, late=late)
        fields["to_stage"] = _stage(fact)
    else:
        fields["from_stage"] = fields["to_stage"] = None
    is_outcome = event_type is EventType.OUTCOME_CHANGED
    occurred_at = _decided_at(fact, fields["application"]) if is_outcome else fact.occurred_at
    return Event(
        **{
            **fields,
            "id": event_id(waiting.receipt, event_type, fact.subject, fact.type, waiting.ordinal),
            "type": event_type,
            "source": waiting.source,
            "vendor": waiting.vendor,
            "account": waiting.account,
            "received_at": waiting.received_at,
            "occurred_at": occurred_at or waiting.received_at,
            "occurred_at_is_estimate": occurred_at is None,
            "sequence": sequence,
            "late": late,
            "test": waiting.test,
        }
    )


def _job(state: ApplicationState, fact: Fact) -> Job | None:
    """What is told of the job; where that is nothing or its id alone, what was told of the same job before, so that a
    rule about the job holds for bare ids too."""
    told, known = fact.job, state.job
    if fact.application is None or known is None or (told is not None and told.title is not None):
        return told
    return known if told is None or told.id in (None, known.id) else told


def _decided_at(fact: Fact, application: Application | None) -> datetime | None:
    """When the outcome came about. One that was told in passing has a time of its own, or else came about at the last
    change at the latest: not when the application was created."""
    if application is None or fact.type is EventType.OUTCOME_CHANGED:
        return fact.occurred_at
    ends = {Outcome.HIRED: application.hired_at, Outcome.DECLINED: application.rejected_at}
    if (ended_at := ends.get(application.outcome or Outcome.PENDING)) is not None:
        return ended_at
    return application.updated_at if fact.type is EventType.APPLICATION_CREATED else fact.occurred_at


def _stage_before(state: ApplicationState, fact: Fact, *, late: bool) -> Stage | None:
    """What is known is newer than a late fact; what was only mentioned may be this very move."""
    stage = _stage(fact)
    if late or (stage is not None and stage.same_as(state.stage)):
        return None
    return state.stage


def _application(state: ApplicationState, fact: Fact, event_type: EventType, *, late: bool) -> Application | None:
    """The fact's application, completed with the stage and outcome that are known from before."""
    if fact.application is None:
        return None
    previous = None
    if event_type is EventType.OUTCOME_CHANGED:
        outcome = _outcome(state, fact)
        previous = None if late or outcome is state.outcome else state.outcome  # as with the stage before
    elif event_type is EventType.APPLICATION_CREATED:
        outcome = fact.application.outcome or Outcome.PENDING
    else:
        outcome = fact.application.outcome or state.outcome
    return fact.application.model_copy(
        update={
            "stage": _stage(fact) or state.stage,
            "outcome": outcome,
            "previous_outcome": previous,
        }
    )
