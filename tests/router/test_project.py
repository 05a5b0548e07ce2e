from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.identity import receipt_id
from router.project import project
from router.records import ApplicationState
from router.schema import (
    CANDIDATE_TYPES,
    Application,
    Candidate,
    Event,
    EventType,
    Fact,
    Job,
    Offer,
    Outcome,
    Stage,
    StageKind,
)
from tests.factories import NOW, SOURCE, make_fact, make_stage, make_waiting

CREATED = EventType.APPLICATION_CREATED
MOVED = EventType.STAGE_CHANGED
DECIDED = EventType.OUTCOME_CHANGED
UPDATED = EventType.APPLICATION_UPDATED
DELETED = EventType.APPLICATION_DELETED
OFFER = EventType.OFFER_CHANGED
APPLIED = make_stage("Applied", StageKind.APPLIED)
PHONE = make_stage("Phone", StageKind.SCREEN)
ONSITE = make_stage("Onsite", StageKind.INTERVIEW)
HIRED_STAGE = make_stage("Hired", StageKind.HIRED)
REJECTED_STAGE = make_stage("Archive", StageKind.REJECTED)
PENDING, HIRED, DECLINED = Outcome.PENDING, Outcome.HIRED, Outcome.DECLINED


def run(facts: Sequence[Fact], state: ApplicationState | None = None) -> tuple[ApplicationState, list[list[Event]]]:
    """The events of each fact, as they come out one after the other; every fact is in a receipt of its own."""
    state = state or ApplicationState()
    events_of = []
    for number, fact in enumerate(facts):
        state, events = project(state, make_waiting(fact, receipt=receipt_id(SOURCE, None, str(number))))
        events_of.append(events)
    return state, events_of


def types_of(*facts: Fact) -> list[list[EventType]]:
    return [[event.type for event in events] for events in run(facts)[1]]


def last(*facts: Fact) -> Event:
    """The only event of the last fact."""
    [event] = run(facts)[1][-1]
    return event


def stages(event: Event) -> tuple[Stage | None, Stage | None]:
    return event.from_stage, event.to_stage


def outcomes(event: Event) -> tuple[Outcome | None, Outcome | None]:
    assert event.application is not None
    return event.application.previous_outcome, event.application.outcome


# --- created ------------------------------------------------------------------------------------------------------


def test_a_creation_tells_one_pending_application() -> None:
    event = last(make_fact(CREATED, stage=APPLIED))
    assert event.type is CREATED
    assert outcomes(event) == (None, PENDING)
    assert event.application is not None
    assert event.application.stage == APPLIED
    assert not event.late


def test_a_creation_that_is_told_twice_is_one_event() -> None:
    assert types_of(make_fact(CREATED), make_fact(CREATED)) == [[CREATED], []]


def test_a_creation_in_a_hired_stage_also_tells_the_outcome() -> None:
    assert types_of(make_fact(CREATED, stage=HIRED_STAGE)) == [[CREATED, DECIDED]]


@pytest.mark.parametrize(
    ("outcome", "told", "at"),
    [
        (DECLINED, {"rejected_at": 1, "updated_at": 2}, 1),
        (HIRED, {"hired_at": 1, "updated_at": 2}, 1),
        (HIRED, {"rejected_at": 1, "updated_at": 2}, 2),
        (DECLINED, {}, None),
    ],
)
def test_what_was_decided_when_it_was_first_told_was_not_decided_at_its_creation(
    outcome: Outcome, told: dict[str, int], at: int | None
) -> None:
    fact = make_fact(CREATED, outcome=outcome)
    assert fact.application
    times = {name: NOW + timedelta(hours=hours) for name, hours in told.items()}
    _, [[created, decided]] = run([fact.model_copy(update={"application": fact.application.model_copy(update=times)})])
    assert created.occurred_at == fact.occurred_at
    assert decided.occurred_at_is_estimate is (at is None)
    assert at is None or decided.occurred_at == NOW + timedelta(hours=at)


def test_a_prospect_who_becomes_a_candidate_is_a_second_creation_that_is_not_late() -> None:
    prospect = make_fact(CREATED, is_prospect=True)
    candidate = make_fact(CREATED, is_prospect=False, stage=APPLIED)
    state, [_, [event], again] = run([prospect, candidate, candidate])
    assert event.type is CREATED
    assert not event.late
    assert again == []
    assert state.stage == APPLIED


def test_a_rejected_prospect_who_becomes_a_candidate_is_pending_again() -> None:
    prospect, rejected = make_fact(CREATED, is_prospect=True), make_fact(DECIDED, outcome=DECLINED)
    candidate = make_fact(CREATED, is_prospect=False, stage=APPLIED)
    state, [*_, events] = run([prospect, rejected, candidate])
    assert [(event.type, event.late) for event in events] == [(CREATED, False)]
    assert state.outcome is PENDING


def test_a_prospect_that_is_told_after_the_candidate_is_late() -> None:
    state, [_, [event]] = run([make_fact(CREATED, stage=APPLIED), make_fact(CREATED, is_prospect=True, stage=PHONE)])
    assert event.late
    assert state.stage == APPLIED


@pytest.mark.parametrize(
    "newer", [make_fact(MOVED, to=PHONE), make_fact(DECIDED, outcome=HIRED), make_fact(DELETED, stage=PHONE)]
)
def test_a_creation_that_a_newer_event_overtook_is_told_as_late_and_changes_nothing(newer: Fact) -> None:
    before, _ = run([newer])
    state, [_, [event]] = run([newer, make_fact(CREATED, stage=APPLIED)])
    assert (event.type, event.late) == (CREATED, True)
    assert (state.stage, state.outcome) == (before.stage, before.outcome)


def test_a_creation_is_not_late_after_an_update_that_only_mentions_the_stage() -> None:
    assert not last(make_fact(UPDATED, stage=PHONE, outcome=PENDING), make_fact(CREATED, stage=PHONE)).late


def test_a_creation_that_is_told_again_neither_moves_nor_reopens_the_application() -> None:
    """Else the move or the outcome that comes next would look like no news."""
    created = make_fact(CREATED, stage=APPLIED, version="1")
    hired = make_fact(DECIDED, outcome=HIRED, version="2")
    again = make_fact(CREATED, stage=PHONE, version="3")
    state, [*_, no_events] = run([created, hired, again])
    assert no_events == []
    assert (state.stage, state.outcome) == (APPLIED, HIRED)
    assert types_of(created, hired, again, make_fact(MOVED, to=PHONE, version="4"))[-1] == [MOVED]


# --- stages -------------------------------------------------------------------------------------------------------


def test_a_move_tells_the_stage_before() -> None:
    event = last(make_fact(CREATED, stage=APPLIED), make_fact(MOVED, to=PHONE))
    assert stages(event) == (APPLIED, PHONE)
    assert event.application is not None
    assert event.application.stage == PHONE
    assert outcomes(event) == (None, PENDING)


def test_a_move_that_is_told_again_is_no_event() -> None:
    assert types_of(make_fact(MOVED, to=PHONE), make_fact(MOVED, to=PHONE)) == [[MOVED], []]


def test_a_move_to_the_stage_of_the_creation_is_no_event() -> None:
    assert types_of(make_fact(CREATED, stage=APPLIED), make_fact(MOVED, to=APPLIED)) == [[CREATED], []]


def test_a_move_is_an_event_also_where_the_new_stage_was_mentioned_before() -> None:
    event = last(make_fact(UPDATED, stage=PHONE), make_fact(MOVED, to=PHONE))
    assert stages(event) == (None, PHONE)


def test_a_mentioned_stage_is_where_the_next_move_comes_from() -> None:
    assert stages(last(make_fact(UPDATED, stage=PHONE), make_fact(MOVED, to=ONSITE))) == (PHONE, ONSITE)


def test_a_mentioned_stage_does_not_replace_a_told_one() -> None:
    facts = [make_fact(MOVED, to=APPLIED), make_fact(UPDATED, stage=PHONE), make_fact(MOVED, to=PHONE)]
    assert stages(last(*facts)) == (APPLIED, PHONE)


def test_the_vendors_own_word_for_the_stage_before_counts() -> None:
    moved = make_fact(MOVED, to=ONSITE).model_copy(update={"from_stage": PHONE})
    assert stages(last(make_fact(CREATED, stage=APPLIED), moved)) == (PHONE, ONSITE)


@pytest.mark.parametrize("known", [Stage(id="1"), Stage(kind=StageKind.APPLIED), Stage(id="1", name="Applied")])
def test_a_move_to_a_stage_that_shares_nothing_but_missing_fields_is_an_event(known: Stage) -> None:
    assert types_of(make_fact(CREATED, stage=known), make_fact(MOVED, to=Stage(id="2")))[-1] == [MOVED]


def test_stages_without_an_id_on_one_side_compare_by_name() -> None:
    facts = [make_fact(MOVED, to=Stage(id="1", name="Phone")), make_fact(MOVED, to=Stage(name="Phone"))]
    assert types_of(*facts) == [[MOVED], []]


def test_only_a_move_has_stages_to_come_from_and_go_to() -> None:
    _, [_, [moved, decided]] = run([make_fact(CREATED, stage=APPLIED), make_fact(MOVED, to=HIRED_STAGE)])
    assert stages(moved) == (APPLIED, HIRED_STAGE)
    assert stages(decided) == (None, None)


# --- outcomes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [HIRED, DECLINED])
def test_an_outcome_tells_the_one_before(outcome: Outcome) -> None:
    assert outcomes(last(make_fact(CREATED), make_fact(DECIDED, outcome=outcome))) == (PENDING, outcome)


def test_an_outcome_that_is_told_again_is_no_event() -> None:
    assert types_of(make_fact(DECIDED, outcome=HIRED), make_fact(DECIDED, outcome=HIRED)) == [[DECIDED], []]


def test_an_application_that_is_pending_again_is_an_event() -> None:
    facts = [make_fact(DECIDED, outcome=DECLINED), make_fact(DECIDED, outcome=PENDING)]
    assert outcomes(last(*facts)) == (DECLINED, PENDING)


@pytest.mark.parametrize(("stage", "outcome"), [(HIRED_STAGE, HIRED), (REJECTED_STAGE, DECLINED)])
def test_a_stage_of_a_final_kind_tells_the_outcome(stage: Stage, outcome: Outcome) -> None:
    _, [_, [moved, decided]] = run([make_fact(CREATED, stage=APPLIED), make_fact(MOVED, to=stage)])
    assert (moved.type, decided.type) == (MOVED, DECIDED)
    assert outcomes(decided) == (PENDING, outcome)


def test_an_outcome_that_the_stage_told_already_is_no_event() -> None:
    facts = [make_fact(CREATED), make_fact(MOVED, to=HIRED_STAGE), make_fact(DECIDED, outcome=HIRED)]
    assert types_of(*facts) == [[CREATED], [MOVED, DECIDED], []]


def test_leaving_a_final_stage_makes_the_application_pending() -> None:
    _, [*_, [moved, decided]] = run([make_fact(MOVED, to=REJECTED_STAGE), make_fact(MOVED, to=PHONE)])
    assert stages(moved) == (REJECTED_STAGE, PHONE)
    assert outcomes(decided) == (DECLINED, PENDING)


def test_a_final_stage_that_is_told_again_without_its_kind_is_not_left() -> None:
    again = HIRED_STAGE.model_copy(update={"kind": None})
    state, [_, events] = run([make_fact(MOVED, to=HIRED_STAGE), make_fact(MOVED, to=again)])
    assert events == []
    assert state.outcome is HIRED


def test_an_outcome_is_an_event_also_where_it_was_mentioned_before() -> None:
    event = last(make_fact(UPDATED, outcome=HIRED), make_fact(DECIDED, outcome=HIRED))
    assert outcomes(event) == (None, HIRED)


def test_a_mentioned_outcome_does_not_replace_a_told_one() -> None:
    facts = [make_fact(CREATED), make_fact(UPDATED, outcome=HIRED), make_fact(DECIDED, outcome=HIRED)]
    assert outcomes(last(*facts)) == (PENDING, HIRED)


def test_a_move_that_carries_the_outcome_tells_it() -> None:
    assert types_of(make_fact(CREATED), make_fact(MOVED, to=PHONE, outcome=DECLINED))[-1] == [MOVED, DECIDED]


# --- newer and older ----------------------------------------------------------------------------------------------


def test_a_fact_of_an_older_version_is_late_and_changes_nothing() -> None:
    newer = make_fact(MOVED, to=ONSITE, version="2026-11-20T12:00:02Z")
    older = make_fact(MOVED, to=PHONE, version="2026-11-20T12:00:01Z")
    state, [_, [event]] = run([newer, older])
    assert event.late
    assert stages(event) == (None, PHONE)
    assert (state.stage, state.version) == (ONSITE, "2026-11-20T12:00:02Z")


def test_the_outcome_before_a_late_one_is_unknown() -> None:
    event = last(make_fact(DECIDED, outcome=HIRED, version="2"), make_fact(DECIDED, outcome=DECLINED, version="1"))
    assert event.late
    assert outcomes(event) == (None, DECLINED)


def test_a_late_move_does_not_leave_the_final_stage() -> None:
    moved = last(make_fact(MOVED, to=HIRED_STAGE, version="2"), make_fact(MOVED, to=PHONE, version="1"))
    assert (moved.type, moved.late) == (MOVED, True)


def test_a_creation_that_is_told_again_does_not_tell_its_outcome_again() -> None:
    facts = [make_fact(MOVED, to=PHONE), make_fact(CREATED, stage=HIRED_STAGE), make_fact(CREATED, stage=HIRED_STAGE)]
    assert types_of(*facts) == [[MOVED], [CREATED, DECIDED], []]


def test_facts_of_the_same_version_are_not_late() -> None:
    assert not last(make_fact(MOVED, to=PHONE, version="1"), make_fact(MOVED, to=ONSITE, version="1")).late


def test_without_a_version_the_order_of_acceptance_decides_whatever_the_time_says() -> None:
    hired_long_ago = make_fact(DECIDED, outcome=HIRED, occurred_at=NOW - timedelta(days=30))
    assert not last(make_fact(MOVED, to=PHONE), hired_long_ago).late


def test_a_fact_without_a_version_does_not_make_the_known_version_forgotten() -> None:
    facts = [make_fact(UPDATED, version="2"), make_fact(UPDATED), make_fact(UPDATED, version="1")]
    assert last(*facts).late


# --- the rest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", [DELETED, EventType.CANDIDATE_DELETED, EventType.CANDIDATE_MERGED])
def test_what_can_happen_once_is_told_once(event_type: EventType) -> None:
    assert types_of(make_fact(event_type), make_fact(event_type)) == [[event_type], []]


def test_a_late_deletion_is_told_once_too() -> None:
    old = make_fact(DELETED, version="1")
    assert types_of(make_fact(UPDATED, version="2"), old, old) == [[UPDATED], [DELETED], []]


def test_a_candidate_may_be_merged_and_deleted() -> None:
    facts = [make_fact(EventType.CANDIDATE_MERGED), make_fact(EventType.CANDIDATE_DELETED)]
    assert types_of(*facts) == [[EventType.CANDIDATE_MERGED], [EventType.CANDIDATE_DELETED]]


@pytest.mark.parametrize(
    "event_type", [UPDATED, EventType.INTERVIEW_CHANGED, EventType.OFFER_CHANGED, EventType.CANDIDATE_UPDATED]
)
def test_what_can_happen_again_is_always_told(event_type: EventType) -> None:
    assert types_of(make_fact(event_type), make_fact(event_type)) == [[event_type], [event_type]]


def test_an_update_carries_the_stage_and_the_outcome_that_are_known() -> None:
    event = last(make_fact(MOVED, to=HIRED_STAGE), make_fact(UPDATED))
    assert event.application is not None
    assert (event.application.stage, event.application.outcome) == (HIRED_STAGE, HIRED)


def test_a_candidate_fact_needs_no_application() -> None:
    event = last(make_fact(EventType.CANDIDATE_UPDATED))
    assert event.application is None
    assert event.candidate is not None
    assert event.sequence == 1


def test_the_sequence_grows_with_each_event_and_not_with_facts_that_tell_nothing() -> None:
    moved = make_fact(MOVED, to=HIRED_STAGE)
    _, events_of = run([make_fact(CREATED), moved, moved, make_fact(UPDATED)])
    assert [[event.sequence for event in events] for events in events_of] == [[1], [2, 3], [], [4]]


def test_a_fact_without_a_time_gets_the_time_of_receiving_as_an_estimate() -> None:
    event = last(make_fact(UPDATED, occurred_at=None))
    assert (event.occurred_at, event.occurred_at_is_estimate) == (NOW, True)
    assert not last(make_fact(UPDATED)).occurred_at_is_estimate


def test_the_same_fact_twice_in_one_receipt_makes_two_ids() -> None:
    state, [first] = project(ApplicationState(), make_waiting())
    _, [second] = project(state, make_waiting(ordinal=1))
    assert first.id != second.id


def test_an_event_keeps_what_the_fact_said() -> None:
    offer = make_fact(EventType.OFFER_CHANGED, version="3")
    event = last(offer)
    assert (event.offer, event.vendor_event, event.vendor_version) == (offer.offer, "something_happened", "3")


# --- any facts ----------------------------------------------------------------------------------------------------

STAGES = [
    Stage(id=identifier, name=name, kind=kind)
    for identifier, name in [(None, None), ("1", None), (None, "Phone"), ("2", "Phone"), ("2", "Hired")]
    for kind in [None, StageKind.SCREEN, StageKind.HIRED, StageKind.REJECTED]
]
stages_or_none = st.sampled_from([None, *STAGES])
real_stages = st.sampled_from([stage for stage in STAGES if stage.id or stage.name])
APPLICATIONS = [
    Application(id="1", outcome=outcome, is_prospect=is_prospect)
    for outcome in [None, *Outcome]
    for is_prospect in [None, True]
]


@st.composite
def facts(draw: st.DrawFn, *, versions: bool = True) -> Fact:
    event_type = draw(st.sampled_from(EventType))
    about_candidate = event_type in CANDIDATE_TYPES
    application = draw(st.sampled_from([a for a in APPLICATIONS if a.outcome or event_type is not DECIDED]))
    return Fact(
        type=event_type,
        vendor_event="something_happened",
        vendor_version=draw(st.sampled_from([None, "1", "2", "3"])) if versions else None,
        application=None
        if about_candidate and draw(st.booleans())
        else application.model_copy(update={"stage": draw(stages_or_none)}),
        candidate=Candidate(id="7") if about_candidate else None,
        from_stage=draw(st.sampled_from([None, STAGES[-1]])),
        to_stage=draw(real_stages if event_type is MOVED else stages_or_none),
    )


sequences = st.lists(facts(), max_size=6)


@given(sequences)
def test_any_facts_make_events_that_hold_together(told: list[Fact]) -> None:
    state, events_of = run(told)
    events = [event for events in events_of for event in events]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert state.sequence == len(events)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        if event.type is DECIDED:
            previous, outcome = outcomes(event)
            assert outcome is not None
            assert previous is not outcome
        else:
            assert event.application is None or event.application.previous_outcome is None


@given(sequences)
def test_any_facts_make_the_same_events_again(told: list[Fact]) -> None:
    assert run(told) == run(told)


@given(sequences)
def test_no_move_comes_from_where_it_goes_unless_the_vendor_says_so(told: list[Fact]) -> None:
    for fact, events in zip(told, run(told)[1], strict=True):
        for event in events:
            if event.type is MOVED and event.from_stage is not None and fact.from_stage is None:
                assert not event.from_stage.same_as(event.to_stage)


@given(st.lists(facts(versions=False), max_size=6), facts(versions=False))
def test_any_fact_that_is_told_twice_in_a_row_is_one_event_where_it_can_happen_once(
    told: list[Fact], fact: Fact
) -> None:
    _, [*_, again] = run([*told, fact, fact])
    assert {event.type for event in again} <= {fact.type} - {CREATED, MOVED, DECIDED, DELETED}
    assert fact.type not in (EventType.CANDIDATE_DELETED, EventType.CANDIDATE_MERGED) or again == []


@given(sequences)
def test_any_late_fact_changes_neither_stage_nor_outcome(told: list[Fact]) -> None:
    before = ApplicationState()
    for fact, events in zip(told, run(told)[1], strict=True):
        after, _ = project(before, make_waiting(fact))
        if any(event.late for event in events):
            assert (after.stage, after.outcome, after.version) == (before.stage, before.outcome, before.version)
        before = after


@given(sequences, sequences)
def test_any_state_survives_being_stored(told: list[Fact], later: list[Fact]) -> None:
    state, _ = run(told)
    stored = ApplicationState.model_validate_json(state.model_dump_json(exclude_defaults=True))
    assert run(later, stored) == run(later, state)


@given(facts())
def test_any_fact_survives_being_stored(fact: Fact) -> None:
    assert Fact.model_validate_json(fact.model_dump_json(exclude_defaults=True)) == fact


# --- snapshots: what an application is, not what happened to it -----------------------------------------------------


def snapshot(stage: Stage | None = None, outcome: Outcome | None = PENDING, **more: Any) -> Fact:
    fact = make_fact(UPDATED, stage=stage, outcome=outcome, **more)
    return fact.model_copy(update={"is_snapshot": True})


def test_a_snapshot_of_something_unknown_tells_where_it_is() -> None:
    event = last(snapshot(ONSITE))
    assert (event.type, event.to_stage, event.from_stage) == (MOVED, ONSITE, None)
    assert outcomes(event) == (None, PENDING)


def test_a_decision_is_told_without_a_move_that_would_be_a_guess() -> None:
    assert types_of(snapshot(ONSITE, DECLINED)) == [[DECIDED]]
    assert types_of(snapshot(HIRED_STAGE, HIRED)) == [[MOVED, DECIDED]]
    assert types_of(snapshot(HIRED_STAGE, None)) == [[MOVED, DECIDED]]


def test_a_snapshot_tells_what_differs_from_what_is_known() -> None:
    told = types_of(
        snapshot(PHONE), snapshot(PHONE), snapshot(ONSITE), snapshot(ONSITE, HIRED), snapshot(ONSITE, HIRED)
    )
    assert told == [[MOVED], [], [MOVED], [DECIDED], []]
    event = last(snapshot(PHONE), snapshot(ONSITE))
    assert stages(event) == (PHONE, ONSITE)


def test_a_snapshot_tells_when_a_decision_is_taken_back_but_not_that_nothing_was_decided() -> None:
    assert types_of(snapshot(PHONE, DECLINED), snapshot(PHONE)) == [[DECIDED], [DECIDED]]
    assert outcomes(last(snapshot(PHONE, DECLINED), snapshot(PHONE))) == (DECLINED, PENDING)
    assert types_of(snapshot(PHONE, None), snapshot(PHONE, PENDING)) == [[MOVED], []]


def test_what_else_changed_is_an_update_once_the_rest_is_known() -> None:
    def titled(title: str) -> Fact:
        return snapshot(PHONE).model_copy(update={"job": Job(id="j", title=title)})

    assert types_of(titled("Cook"), titled("Cook"), titled("Chef"), titled("Chef")) == [[MOVED], [], [UPDATED], []]


def test_what_polling_recovers_is_no_update_where_a_list_says_less_than_webhooks() -> None:
    def told(stage: Stage, *departments: str, recovered: bool = False) -> Fact:
        job = Job(id="j", title="Chef", departments=list(departments))
        return snapshot(stage).model_copy(update={"job": job, "recovered": recovered})

    webhook, listed = told(PHONE, "Kitchen"), told(PHONE, recovered=True)
    assert types_of(webhook, listed, webhook, told(ONSITE, recovered=True)) == [[MOVED], [], [], [MOVED]]


def test_an_old_snapshot_takes_nothing_back() -> None:
    state, _ = run([snapshot(PHONE, version="1"), snapshot(HIRED_STAGE, HIRED, version="3")])
    state, [events] = run([snapshot(PHONE, version="2")], state)
    assert all(event.late for event in events)
    assert DECIDED not in [event.type for event in events]
    assert state.outcome is HIRED


def test_a_creation_and_a_snapshot_of_the_same_row_are_one_event() -> None:
    created = make_fact(CREATED, stage=PHONE, outcome=PENDING)
    assert types_of(created, snapshot(PHONE)) == [[CREATED], []]


def test_an_update_that_says_what_was_said_is_no_news() -> None:
    def about(url: str) -> dict[str, Any]:
        return {"job": Job(id="j", url=url)}

    moved = make_fact(MOVED, to=PHONE).model_copy(update=about("a"))
    updated = make_fact(UPDATED).model_copy(update=about("a"))
    assert types_of(moved, updated, updated.model_copy(update=about("b"))) == [[MOVED], [], [UPDATED]]


def test_bare_ids_are_always_news_as_nobody_can_compare_them() -> None:
    thin = make_fact(UPDATED).model_copy(update={"needs_enrichment": True, "job": Job(id="j")})
    assert types_of(thin, thin) == [[UPDATED], [UPDATED]]


def test_a_hire_after_the_move_into_hired_still_brings_its_offer() -> None:
    move = make_fact(MOVED, to=HIRED_STAGE, outcome=HIRED)
    hire = make_fact(DECIDED, outcome=HIRED).model_copy(update={"offer": Offer(id="o", start_date="2026-07-01")})
    assert types_of(move, hire, hire) == [[MOVED, DECIDED], [OFFER], []]
    event = last(move, hire)
    assert event.offer
    assert event.offer.start_date == "2026-07-01"
    assert types_of(hire, hire) == [[DECIDED], []]


def test_an_outcome_told_in_passing_happened_when_it_says() -> None:
    at = NOW - timedelta(days=3)
    fact = snapshot(PHONE, DECLINED)
    assert fact.application
    fact = fact.model_copy(update={"application": fact.application.model_copy(update={"rejected_at": at})})
    assert last(fact).occurred_at == at


# --- the job, where it is not told again ----------------------------------------------------------------------------


def test_bare_ids_get_the_job_that_was_told_before() -> None:
    job = Job(id="j", title="CFO (Confidential)", departments=["Finance"])
    moved = make_fact(MOVED, to=PHONE).model_copy(update={"job": job})
    offered = make_fact(OFFER)
    assert last(moved, offered).job == job
    assert last(moved, offered.model_copy(update={"job": Job(id="j")})).job == job
    assert last(offered).job is None


def test_another_job_is_not_taken_for_the_one_before() -> None:
    moved = make_fact(MOVED, to=PHONE).model_copy(update={"job": Job(id="j", title="Cook")})
    other = make_fact(OFFER).model_copy(update={"job": Job(id="k")})
    assert last(moved, other).job == Job(id="k")
    renamed = make_fact(OFFER).model_copy(update={"job": Job(id="j", title="Chef")})
    assert last(moved, renamed, make_fact(OFFER)).job == Job(id="j", title="Chef")
