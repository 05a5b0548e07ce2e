"""What does it cost to match an event with 200 routes?

`python -m benchmarks.rules` prints the median of several rounds for each kind of rules, beside two floors of the same
run: `json.loads` of the event, and 200 look-ups in a dictionary in a plain loop. Exit code 1: one is above the limit.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from router.preview import sample_event
from router.rules import Ruleset, compile_route
from router.schema import Event, EventType, Stage

LIMIT_US, AIM_US = 100.0, 30.0
ROUTES = 200
_ROUNDS, _CALLS = 25, 400

Conditions = Mapping[str, object]
EVENT = sample_event(EventType.STAGE_CHANGED)
TYPES = tuple(EventType)


def one_each(number: int) -> Conditions:
    """One condition that seldom holds."""
    return {"department": f"Department {number}" if number else "Engineering"}


def realistic(number: int) -> Conditions:
    """An event type, a department or a stage, now and then more: as companies write rules."""
    when: dict[str, object] = {"event": TYPES[number % len(TYPES)], "department": [f"Team {number}", "Engineering"]}
    if number % 3 == 0:
        when["to_stage"] = f"*Round {number}*"
    if number % 5 == 0:
        when["office"] = {"not": f"Office {number}"}
    return when


def mixed(number: int) -> Conditions:
    """Every form that a condition has, in turn."""
    forms: list[Conditions] = [
        {"job": f"*Engineer {number}*"},
        {"outcome": {"not": "PENDING"}, "department": "Engineering"},
        {"any": [{"department": f"Team {number}"}, {"tag": "vip"}]},
        {"sequence": {"above": 1000}, "department": "Engineering"},
        {"not": {"department": "Engineering"}},
        {"job.custom_fields.level": {"present": True}},
        {"stage_kind": ["OFFER", "HIRED"], "recruiter": "Ann Lee"},
        {"from_stage": "Phone*", "to_stage": f"Onsite {number}", "candidate_source": "LinkedIn"},
    ]
    return forms[number % len(forms)]


def all_asked(number: int) -> Conditions:
    """Four conditions of which only the last fails, and no event type: everything is asked of everything."""
    return {
        "department": ["Engineering", f"Team {number}"],
        "job": f"*Engineer*{'*' * (number % 2)}",
        "candidate_source": {"not": f"Source {number}"},
        "to_stage": f"*Round {number}*",
    }


def median_us(work: Callable[[], object]) -> float:
    """The median of several rounds, in microseconds of the processor a call: what else runs does not count."""
    rounds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        for _ in range(_CALLS):
            work()
        rounds.append((time.process_time() - started) / _CALLS * 1e6)
    return statistics.median(rounds)


def median_of_new_us(conditions: Callable[[int], Conditions]) -> float:
    """As `median_us`, of events whose job and stage were never seen before, so that nothing is remembered."""
    rounds = []
    for _ in range(_ROUNDS):
        events = [renamed(number) for number in range(_CALLS)]
        rules = rules_of(conditions)
        started = time.process_time()
        for event in events:
            rules.match(event)
        rounds.append((time.process_time() - started) / _CALLS * 1e6)
    return statistics.median(rounds)


def renamed(number: int) -> Event:
    assert EVENT.job is not None
    job = EVENT.job.model_copy(update={"title": f"Backend Engineer {number}"})
    return EVENT.model_copy(update={"job": job, "to_stage": Stage(id="3", name=f"Onsite {number}")})


def looked_up(names: list[str], known: Mapping[str, int]) -> int:
    return sum(1 for name in names if name in known)


def rules_of(conditions: Callable[[int], Conditions]) -> Ruleset:
    return Ruleset([compile_route(f"r{number}", conditions(number), ["sink"]) for number in range(ROUTES)])


def main() -> int:
    body = EVENT.model_dump_json().encode()
    names = [f"name {number}" for number in range(ROUTES)]
    known = dict.fromkeys(names[::2], 1)
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {ROUTES} routes\n")
    floors = {
        f"floor: json.loads of {len(body)} bytes": median_us(partial(json.loads, body)),
        f"floor: {ROUTES} look-ups": median_us(partial(looked_up, names, known)),
    }
    costs = {}
    for conditions in (one_each, realistic, mixed, all_asked):
        rules = rules_of(conditions)
        costs[conditions.__name__.replace("_", " ")] = median_us(partial(rules.match, EVENT))
    costs["all asked, of new texts"] = median_of_new_us(all_asked)
    for name, cost in (floors | costs).items():
        print(f"{name:<34}{cost:>8.1f} us")
    slow = [name for name, cost in costs.items() if cost > LIMIT_US]
    print(
        f"\nlimit {LIMIT_US:.0f}, aim {AIM_US:.0f}: " + (f"too slow: {', '.join(slow)}" if slow else "all are within")
    )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
