"""What polling read, next to what webhooks told."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from router.identity import receipt_id
from router.project import project
from router.records import ApplicationState, WaitingFact
from router.schema import Event, EventType, Job, Outcome, Stage
from tests.factories import NOW, SOURCE, make_fact, make_stage, make_waiting

MOVED, UPDATED, DECIDED = EventType.STAGE_CHANGED, EventType.APPLICATION_UPDATED, EventType.OUTCOME_CHANGED
APPLIED, PHONE, ONSITE = make_stage("Applied"), make_stage("Phone"), make_stage("Onsite")
MINUTE = timedelta(minutes=1)
KNOWN = ApplicationState(
    stage=APPLIED,
    outcome=Outcome.PENDING,
    told=frozenset({"created", "stage", "outcome"}),
    heard_at=(NOW - 10 * MINUTE).timestamp(),
)


def webhook(stage: Stage, at: datetime) -> WaitingFact:
    """That an application moved, as it came ``at`` that time."""
    fact = make_fact(MOVED, to=stage, occurred_at=at)
    return make_waiting(fact, receipt=receipt_id(SOURCE, None, f"{stage} {at}")).model_copy(update={"received_at": at})


def read(stage: Stage, at: datetime, outcome: Outcome = Outcome.PENDING) -> WaitingFact:
    """A row that was read ``at`` that time."""
    fact = make_fact(UPDATED, stage=stage, outcome=outcome).model_copy(update={"is_snapshot": True})
    waiting = make_waiting(fact, receipt=receipt_id(SOURCE, None, f"polled {stage} {at}"))
    return waiting.model_copy(update={"received_at": at, "polled": True, "known": KNOWN})


def history(stage: Stage, at: datetime, read_at: datetime) -> WaitingFact:
    """A move of long ago or not, that a history told when it was read."""
    fact = make_fact(MOVED, to=stage, occurred_at=at)
    waiting = make_waiting(fact, receipt=receipt_id(SOURCE, None, f"history {stage} {at}"))
    return waiting.model_copy(update={"received_at": read_at, "polled": True, "known": KNOWN})


def told(*facts: WaitingFact) -> list[tuple[EventType, str | None, str | None]]:
    state, events = ApplicationState(), list[Event]()
    for waiting in facts:
        state, news = project(state, waiting)
        events += news
    return [(one.type, _name(one.from_stage), _name(one.to_stage)) for one in events]


def _name(stage: Stage | None) -> str | None:
    return stage.name if stage else None


def test_a_row_that_changed_tells_from_where() -> None:
    assert told(read(PHONE, NOW)) == [(MOVED, "Applied", "Phone")]


def test_a_poll_after_a_webhook_tells_nothing_new() -> None:
    assert told(webhook(PHONE, NOW), read(PHONE, NOW + MINUTE)) == [(MOVED, None, "Phone")]


def test_a_webhook_after_a_poll_tells_nothing_new() -> None:
    assert told(read(PHONE, NOW), webhook(PHONE, NOW + MINUTE)) == [(MOVED, "Applied", "Phone")]


def test_a_row_that_was_read_before_the_webhook_came_is_outdated() -> None:
    assert told(webhook(PHONE, NOW), read(APPLIED, NOW - MINUTE)) == [(MOVED, None, "Phone")]
    both = told(webhook(PHONE, NOW), read(APPLIED, NOW - MINUTE), read(ONSITE, NOW + MINUTE))
    assert both == [(MOVED, None, "Phone"), (MOVED, "Phone", "Onsite")]


def test_of_a_history_only_what_is_newer_than_the_last_word_is_told() -> None:
    old, new, newest = NOW - 20 * MINUTE, NOW - 2 * MINUTE, NOW - MINUTE
    whole = [history(APPLIED, old, NOW), history(PHONE, new, NOW), history(ONSITE, newest, NOW), read(ONSITE, NOW)]
    assert told(*whole) == [(MOVED, "Applied", "Phone"), (MOVED, "Phone", "Onsite")]
    assert told(webhook(ONSITE, newest + MINUTE / 2), *whole) == [(MOVED, None, "Onsite")]


def test_what_polling_saw_before_does_not_stand_against_what_a_webhook_told() -> None:
    told_by_webhook, _ = project(ApplicationState(), webhook(ONSITE, NOW))
    _, [event] = project(told_by_webhook, read(PHONE, NOW + MINUTE))
    assert event.from_stage == ONSITE


def test_a_decision_that_was_seen_before_is_no_news_and_taking_it_back_is() -> None:
    hired = KNOWN.model_copy(update={"outcome": Outcome.HIRED})
    again = read(APPLIED, NOW, Outcome.HIRED).model_copy(update={"known": hired})
    assert told(again) == []
    assert told(read(APPLIED, NOW).model_copy(update={"known": hired})) == [(DECIDED, None, None)]


def test_a_webhook_of_a_move_before_what_polling_read_is_late_and_takes_nothing_back() -> None:
    state, _ = project(ApplicationState(), read(ONSITE, NOW))
    state, [event] = project(state, webhook(PHONE, NOW - 5 * MINUTE))
    assert (event.to_stage, event.late, state.stage) == (PHONE, True, ONSITE)
    state, [event] = project(state, webhook(APPLIED, NOW - MINUTE))  # the row may be older than its reading
    assert (event.to_stage, event.late, state.stage) == (APPLIED, False, APPLIED)


def test_what_else_a_webhook_says_after_polling_recovered_the_decision_is_no_update() -> None:
    def said(waiting: WaitingFact, *, title: str, recovered: bool) -> WaitingFact:
        return waiting.model_copy(
            update={"fact": waiting.fact.model_copy(update={"job": Job(title=title), "recovered": recovered})}
        )

    before = said(read(PHONE, NOW), title="a", recovered=False)
    recovered = said(read(PHONE, NOW + MINUTE, Outcome.DECLINED), title="of a list", recovered=True)
    late = said(read(PHONE, NOW + 2 * MINUTE, Outcome.DECLINED), title="b", recovered=False)
    assert [kind for kind, _, _ in told(before, recovered, late)] == [MOVED, DECIDED]


@given(st.lists(st.tuples(st.sampled_from([APPLIED, PHONE, ONSITE]), st.booleans()), max_size=8))
def test_whoever_tells_a_move_first_it_is_told_once_and_the_end_is_right(moves: Sequence[tuple[Stage, bool]]) -> None:
    """Each move is seen by a poll, and by a webhook too where that is not lost."""
    facts: list[WaitingFact] = []
    expected, now = list[Stage](), APPLIED
    for number, (stage, has_webhook) in enumerate(moves):
        at = NOW + number * MINUTE
        facts += [webhook(stage, at)] if has_webhook and stage != now else []
        facts.append(read(stage, at + MINUTE / 2))
        expected += [stage] if stage != now else []
        now = stage
    assert [to for _, _, to in told(*facts)] == [stage.name for stage in expected]
