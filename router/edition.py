"""An edition of the rules: what they say, a short hash of it, and what is different from another edition.

It is kept for as long as anybody may ask by which rules an event went, so nothing is in it that may be a secret: the
rules as they are written, and of sinks and sources no more than whether they changed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from router.naming import names_of

_RULES = ("timezone", "stages", "routes", "default")
_NOT_ABOUT_WHAT_IS_SENT = ("timeout", "concurrency", "retry", "rate", "order")
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Edition:
    """``rules``: the parts of the configuration as they were written. ``sinks`` and ``stages_of_sources``: a digest of
    what is written below each name."""

    rules: Mapping[str, Any]
    sinks: Mapping[str, str]
    stages_of_sources: Mapping[str, str]

    @property
    def hash(self) -> str:
        """The same for the same content, however it is laid out, on every machine."""
        return _digest([self.rules, self.sinks, self.stages_of_sources])

    @property
    def text(self) -> str:
        """The rules as YAML."""
        return str(yaml.safe_dump(self.rules, sort_keys=False, allow_unicode=True, width=120))

    @property
    def routes(self) -> dict[str, Any]:
        return {route["name"]: route for route in self.rules.get("routes", ())}


def edition_of(root: Mapping[str, Any]) -> Edition:
    """The edition of a good configuration; ``root`` as it was written, references not replaced."""
    rules = {part: root[part] for part in _RULES if part in root}
    if "routes" in rules:
        rules["routes"] = [_route(*one) for one in zip(names_of(rules["routes"]), rules["routes"], strict=True)]
    sinks = {
        name: _digest({key: value for key, value in settings.items() if key not in _NOT_ABOUT_WHAT_IS_SENT})
        for name, settings in root.get("sinks", {}).items()
    }
    sources = root.get("sources", {}).items()
    return Edition(rules, sinks, {name: _digest(one["stages"]) for name, one in sources if "stages" in one})


def differences(before: Edition, now: Edition) -> list[str]:
    """What changed, one short phrase each."""
    found = list(_by_name("routes", before.routes, now.routes))
    stayed = now.routes.keys() & before.routes.keys()
    if [name for name in before.routes if name in stayed] != [name for name in now.routes if name in stayed]:
        found.append("order of the routes changed")
    for part in ("default", "stages", "timezone"):
        old, new = before.rules.get(part), now.rules.get(part)
        if old != new:
            found.append(f"{part} {'added' if old is None else 'removed' if new is None else 'changed'}")
    found += _by_name("sinks", before.sinks, now.sinks)
    return [*found, *_by_name("stages of sources", before.stages_of_sources, now.stages_of_sources)]


def _by_name(word: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    changes: Sequence[tuple[str, list[str]]] = (
        ("added", [name for name in now if name not in before]),
        ("removed", [name for name in before if name not in now]),
        ("changed", [name for name in now if name in before and now[name] != before[name]]),
    )
    yield from (f"{word} {how}: {', '.join(names)}" for how, names in changes if names)


def _route(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    """With its name, and its sinks as a list, however short it was written."""
    to = written.get("send_to", [])
    return {"name": name, **written, "send_to": to if isinstance(to, list) else [to]}


def _digest(value: object) -> str:
    plain = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:_DIGITS]
