"""The checker must fail on what it is there to find."""

from dataclasses import replace

import pytest

from tests.chaos.harness import Arrival, Step, assert_promises

STEPS = [Step(1, 1), Step(2, 1), Step(1, 2), Step(1, 3)]
ACKNOWLEDGED = {step: 100.0 + n for n, step in enumerate(STEPS)}
ARRIVALS = [Arrival(step, f"key {step}", f"body {step}".encode(), 101.0 + n) for n, step in enumerate(STEPS)]


def test_everything_once_and_in_order_is_good() -> None:
    figures = assert_promises(ACKNOWLEDGED, ARRIVALS)
    assert (figures.acknowledged, figures.duplicates, figures.stall) == (4, 0, 1.0)


def test_the_same_again_is_a_duplicate_and_good() -> None:
    late_repeat = replace(ARRIVALS[0], at=110.0)
    assert assert_promises(ACKNOWLEDGED, [*ARRIVALS, late_repeat]).duplicates == 1


def test_what_was_never_acknowledged_may_arrive() -> None:
    extra = Arrival(Step(1, 4), "another key", b"another body", 110.0)
    assert_promises(ACKNOWLEDGED, [*ARRIVALS, extra])


@pytest.mark.parametrize("missing", range(4))
def test_a_lost_one_is_found(missing: int) -> None:
    with pytest.raises(AssertionError, match="lost"):
        assert_promises(ACKNOWLEDGED, [*ARRIVALS[:missing], *ARRIVALS[missing + 1 :]])


def test_another_order_within_an_application_is_found() -> None:
    with pytest.raises(AssertionError, match=r"out of order: Step\(application=1, stage=2\)"):
        assert_promises(ACKNOWLEDGED, [ARRIVALS[0], ARRIVALS[1], ARRIVALS[3], ARRIVALS[2]])


def test_another_order_between_applications_is_good() -> None:
    assert_promises(ACKNOWLEDGED, [ARRIVALS[1], ARRIVALS[0], *ARRIVALS[2:]])


@pytest.mark.parametrize("changed", [{"key": "another"}, {"body": b"another"}])
def test_a_repeat_with_another_key_or_body_is_found(changed: dict[str, str | bytes]) -> None:
    again = Arrival(**{"step": STEPS[0], "key": ARRIVALS[0].key, "body": ARRIVALS[0].body, "at": 110.0} | changed)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="changed"):
        assert_promises(ACKNOWLEDGED, [*ARRIVALS, again])


def test_two_events_under_one_key_are_found() -> None:
    with pytest.raises(AssertionError, match="one key for two"):
        assert_promises(ACKNOWLEDGED, [*ARRIVALS[:3], replace(ARRIVALS[3], key=ARRIVALS[0].key)])


def test_a_stall_is_found_and_counts_from_the_last_fault() -> None:
    late = [*ARRIVALS[:3], replace(ARRIVALS[3], at=121.0)]
    with pytest.raises(AssertionError, match=r"too late: 18\.0 s"):
        assert_promises(ACKNOWLEDGED, late)
    assert assert_promises(ACKNOWLEDGED, late, faults=[50.0, 110.0, 130.0]).stall == 11.0
