"""Why an event goes where it goes, route by route."""

import io
from pathlib import Path

from rich.console import Console

from router.rules import CompiledRoute, Ruleset, SendTo, compile_route
from router.schema import EventType, Job
from router.trying.explaining import Explained, Verdict, explain, print_explained
from tests.router.test_headline import make
from tests.router.trying.configs import configured


def printed(explained: Explained) -> list[str]:
    stream = io.StringIO()
    print_explained(explained, Console(file=stream, highlight=False, soft_wrap=True, width=10_000))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_every_route_is_told_in_its_order(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert printed(explain(config.rules, make(EventType.STAGE_CHANGED))) == [
        "Ada Lovelace: ? -> ?, Engineer StageChanged",
        "1 all about applications matched sends to my-service",
        '2 interviews failed stage_kind is not in this event, so not "INTERVIEW"',
        "3 asleep switched off",
        "It goes to my-service (by all about applications).",
    ]


def test_what_a_stop_and_the_default_do_is_told() -> None:
    rules = Ruleset(
        [
            compile_route("confidential", {"job": "engineer"}, [], stop=True),
            compile_route("all", {}, ["my-service"]),
        ],
        CompiledRoute("default", (SendTo("rest"),)),
    )
    assert printed(explain(rules, make(EventType.STAGE_CHANGED)))[1:] == [
        "1 confidential matched sends nowhere, and stops: no route below gets its turn",
        "2 all not reached confidential matched before, and stops",
        "3 default not reached another route matched",
        "It goes nowhere.",
    ]
    assert printed(explain(rules, make(EventType.STAGE_CHANGED, job=None)))[2:] == [
        "2 all matched sends to my-service",
        "3 default not reached another route matched",
        "It goes to my-service (by all).",
    ]


def test_a_sink_names_all_routes_that_lead_there() -> None:
    rules = Ruleset([compile_route(name, {}, ["a", "b"]) for name in ("one", "two")])
    told = explain(rules, make(EventType.STAGE_CHANGED))
    assert told.sinks == {"a": ["one", "two"], "b": ["one", "two"]}
    assert told.matched == ["one", "two"]


def test_the_condition_that_failed_is_told_with_both_values() -> None:
    rules = Ruleset([compile_route("sales", {"event": "StageChanged", "job": ["Sales*", "Seller"]}, ["a"])])
    [route] = explain(rules, make(EventType.STAGE_CHANGED)).routes
    assert (route.verdict, route.field, route.wanted) == (Verdict.FAILED, "job", '"Sales*" or "Seller"')
    assert list(route.found or ()) == ["Engineer"]
    assert route.why == 'job is "Engineer", not "Sales*" or "Seller"'


GROUPS = {
    "event": "StageChanged",
    "any": [
        {"to_stage": "*Onsite*", "job": "Engineer"},
        {"not": {"job": "Eng*"}},
        {"office": "Berlin"},
    ],
}


def test_of_a_group_every_condition_has_a_line_and_what_failed_is_seen() -> None:
    rules = Ruleset([compile_route("onsites", GROUPS, ["a"])])
    told = explain(rules, make(EventType.STAGE_CHANGED))
    assert printed(told)[1:-1] == [
        "1 onsites failed none of these is so:",
        "✗ not all of these are so:",
        '✗ to_stage is not in this event, so not "*Onsite*"',
        '✓ job is "Engineer"',
        "✗ all of what stands under not is so:",
        '✓ job is "Engineer" (wanted: "Eng*")',
        '✗ office is not in this event, so not "Berlin"',
    ]
    [route] = told.model_dump(mode="json")["routes"]
    assert (route["field"], route["wanted"], route["found"]) == ("any", None, None)
    assert [(part["field"], part["holds"], len(part["parts"])) for part in route["parts"]] == [
        ("all", False, 2),
        ("not", False, 1),
        ("office", False, 0),
    ]
    assert route["why"].startswith("none of these is so: (not all of these are so: ")


def test_other_routes_than_when_it_was_routed_are_told() -> None:
    rules = Ruleset([compile_route("all", {}, ["a"])])
    event = make(EventType.STAGE_CHANGED)
    assert "The rules were others when it was routed: then old and older matched." in printed(
        explain(rules, event, ["old", "older"])
    )
    assert "The rules were others when it was routed: then no route matched." in printed(explain(rules, event, []))
    assert printed(explain(rules, event, ["all"])) == printed(explain(rules, event))


def test_nothing_from_outside_is_more_than_text_on_the_terminal() -> None:
    rules = Ruleset([compile_route("[red]all", {"job": "[x]"}, ["a"])])
    told = "\n".join(printed(explain(rules, make(EventType.STAGE_CHANGED, job=Job(title="[/] \x1b[31m")), ["[b]"])))
    assert "[red]all" in told
    assert "[/] \N{REPLACEMENT CHARACTER}[31m" in told
    assert "then [b] matched" in told
    assert "\x1b" not in told
