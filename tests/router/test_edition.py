"""The hash of the rules tells whether they are the same, and the differences tell what is not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config import load
from router.edition import Edition, differences, edition_of

ROUTES = [
    {"name": "hires", "when": {"event": "OutcomeChanged", "outcome": "HIRED"}, "send_to": ["hris"]},
    {"when": {"to_stage": "*Onsite*"}, "send_to": "slack"},
]
SINKS = {"hris": {"type": "http", "url": "${URL}", "timeout": "5s"}, "slack": {"type": "http", "url": "${URL}"}}
ROOT: dict[str, Any] = {
    "server": {"port": 1},
    "sources": {"gh": {"vendor": "greenhouse", "secret": "${SECRET}", "stages": {"OFFER": ["Pre-offer"]}}},
    "stages": {"SCREEN": ["Coffee"]},
    "sinks": SINKS,
    "routes": ROUTES,
    "default": {"send_to": "slack"},
}


def changed(**parts: Any) -> Edition:
    return edition_of({**ROOT, **parts})


BEFORE = changed()


def test_it_is_twelve_digits_and_the_same_on_every_machine() -> None:
    assert BEFORE.hash == "ca7859d33dbb"


def shuffled(value: Any) -> Any:
    """With its keys the other way round."""
    if isinstance(value, Mapping):
        return {key: shuffled(item) for key, item in reversed(list(value.items()))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


SAME = {
    "keys in another order": shuffled(ROOT),
    "a sink in a list": {**ROOT, "routes": [ROUTES[0], {**ROUTES[1], "send_to": ["slack"]}]},
    "a route with the name that it gets": {**ROOT, "routes": [ROUTES[0], {**ROUTES[1], "name": "*Onsite* to slack"}]},
    "another port": {**ROOT, "server": {"port": 2}},
    "another secret of a source": {**ROOT, "sources": {"gh": {**ROOT["sources"]["gh"], "secret": "${OTHER}"}}},
    "another time limit of a sink": {**ROOT, "sinks": {**SINKS, "hris": {**SINKS["hris"], "timeout": "9s"}}},
    "tests": {**ROOT, "tests": [{"name": "x"}]},
}


@pytest.mark.parametrize("root", SAME.values(), ids=SAME)
def test_what_does_not_change_what_is_sent_where_does_not_change_the_hash(root: dict[str, Any]) -> None:
    assert edition_of(root).hash == BEFORE.hash
    assert differences(BEFORE, edition_of(root)) == []


NEW = {"name": "new", "send_to": "slack"}
DIFFERENT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a route more": ({"routes": [*ROUTES, NEW]}, ["routes added: new"]),
    "routes less": ({"routes": []}, ["routes removed: hires, *Onsite* to slack"]),
    "a route changed": ({"routes": [{**ROUTES[0], "stop": True}, ROUTES[1]]}, ["routes changed: hires"]),
    "routes in another order": (
        {"routes": [{**ROUTES[1], "name": "*Onsite* to slack"}, ROUTES[0]]},
        ["order of the routes changed"],
    ),
    "another name": (
        {"routes": [{**ROUTES[0], "name": "hired"}, ROUTES[1]]},
        ["routes added: hired", "routes removed: hires"],
    ),
    "default changed": ({"default": {"send_to": "hris"}}, ["default changed"]),
    "stages changed": ({"stages": {"SCREEN": ["Tea"]}}, ["stages changed"]),
    "time zone added": ({"timezone": "Europe/Berlin"}, ["timezone added"]),
    "a sink more": ({"sinks": {**SINKS, "more": SINKS["slack"]}}, ["sinks added: more"]),
    "a sink less": ({"sinks": {"slack": SINKS["slack"]}}, ["sinks removed: hris"]),
    "another channel": ({"sinks": {**SINKS, "slack": {"type": "slack"}}}, ["sinks changed: slack"]),
    "stages of a source": (
        {"sources": {"gh": {"vendor": "greenhouse", "stages": {"OFFER": ["x"]}}}},
        ["stages of sources changed: gh"],
    ),
    "several at once": (
        {"routes": [ROUTES[0], {**ROUTES[1], "enabled": False}, NEW], "default": {"send_to": "hris"}},
        ["routes added: new", "routes changed: *Onsite* to slack", "default changed"],
    ),
}


@pytest.mark.parametrize(("parts", "told"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_changes_what_is_sent_where_is_told(parts: dict[str, Any], told: list[str]) -> None:
    now = changed(**parts)
    assert now.hash != BEFORE.hash
    assert differences(BEFORE, now) == told


def test_what_was_there_first_and_is_gone_is_told_as_removed() -> None:
    root = {key: value for key, value in ROOT.items() if key not in ("default", "stages")}
    assert differences(BEFORE, edition_of(root)) == ["default removed", "stages removed"]


names = st.lists(st.sampled_from("abcdef"), unique=True)


@given(names, names)
def test_differences_and_hash_agree_about_what_is_the_same(before: list[str], now: list[str]) -> None:
    one, other = (edition_of({"routes": [{"name": name, "send_to": "x"} for name in some]}) for some in (before, now))
    assert (one.hash == other.hash) == (not differences(one, other)) == (before == now)


def test_no_setting_of_a_source_or_a_sink_is_kept() -> None:
    kept = json.dumps([BEFORE.rules, BEFORE.sinks, BEFORE.stages_of_sources])
    assert "URL" not in kept
    assert "SECRET" not in kept
    assert "Pre-offer" not in kept


def test_what_a_reference_stands_for_is_not_in_it(tmp_path: Path) -> None:
    text = """
sources: {gh: {vendor: greenhouse, secret: "${SECRET}"}}
sinks: {out: {type: http, url: "${URL}"}}
routes: [{name: "${NAME}", send_to: out}]
"""
    (tmp_path / "config.yaml").write_text(text)
    environment = {"SECRET": "hush-hush", "URL": "https://example.com", "NAME": "hush-hush"}
    edition = load(tmp_path / "config.yaml", environment).edition
    assert "hush" not in edition.text
    assert edition.text == "routes:\n- name: ${NAME}\n  send_to:\n  - out\n"
    assert load(tmp_path / "config.yaml", environment | {"NAME": "other"}).edition == edition
