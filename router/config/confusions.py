"""What people write where something else is meant, each told in the words of who means it, before pydantic sees it."""

from collections.abc import Collection, Iterator, Mapping
from functools import cache

import sinks
from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.config.settings import TOP_LEVEL, RouteSettings
from router.fields import is_field
from router.naming import sinks_of
from router.schema import StageKind
from router.wording import did_you_mean, listed, nearest, quoted

_CONDITIONS = ("when", "unless")
_OF_CONDITIONS = ("any", "all", "not", "expr")
_INSTEAD = {
    **dict.fromkeys(("to", "then", "send", "sink", "sinks", "destination", "goes_to", "action", "notify"), "send_to"),
    **dict.fromkeys(("if", "where", "condition", "conditions", "match", "filter", "rule"), "when"),
    **dict.fromkeys(("except", "exclude", "if_not", "ignore"), "unless"),
}
_IN_TESTS = {
    **dict.fromkeys(("when", "given", "if", "with"), "fields"),
    **dict.fromkeys(("expect", "expected", "expects", "to", "then", "goes_to", "sinks"), "send_to"),
}
_OTHERWISE = ("else", "otherwise")
_NOWHERE = ("none", "nowhere", "nobody", "nothing", "no one", "ignore", "drop")
_BELOW = "must have conditions below it, indented, one a line, as in event: StageChanged"


def in_route(document: Document, path: Path, place: str) -> Iterator[Fault]:
    route = document.value_at(path)
    if not isinstance(route, dict):
        sentence = f"{place} must say where to send events; write send_to: and the name of a sink"
        yield Fault(sentence, document.spot(path), path)
        return
    for key, value in route.items():
        told = _of_key(key, route) if key not in RouteSettings.model_fields else _of_conditions(key, value)
        if told:
            yield Fault(told, document.keys.get((*path, key)), (*path, key))


def _of_key(key: str, route: Mapping[str, object]) -> str | None:
    if key.lower() in _INSTEAD and _INSTEAD[key.lower()] not in route:
        return f"unknown key {quoted(key)} in a route; write {quoted(_INSTEAD[key.lower()])} instead"
    if key.lower() in _OTHERWISE:
        return f"{quoted(key)} stands for all routes together: write default: in the first column, send_to: below it"
    if key in only_of_sinks() and not is_field(key):
        to = next(iter(sinks_of(route)), "my-sink")
        may = any(key in sink.Settings.overridable for sink in sinks.by_type().values())
        return (
            f"{quoted(key)} stands below the sink, send_to: {{{to}: {{{key}: ...}}}}" if may else setting_of_a_sink(key)
        )
    if key == "default":
        return '"default" is no route: write it without a dash in the first column, with send_to: indented below it'
    if (is_field(key) or key in _OF_CONDITIONS) and not nearest(key, RouteSettings.model_fields):
        return f'{quoted(key)} is a condition, so it stands below "when", indented further than "when" itself'
    return None


def _of_conditions(key: str, value: object) -> str | None:
    if key not in _CONDITIONS or value is None or isinstance(value, dict):
        return None
    if isinstance(value, list):
        return f"{quoted(key)} {_BELOW}, without dashes; all of them must be so. Where one is enough, write any: first"
    return f"{quoted(key)} {_BELOW}"


def in_test(document: Document, path: Path) -> Iterator[Fault]:
    test = document.value_at(path)
    written: dict[str, object] = test if isinstance(test, dict) else {}
    for key in written:
        if (meant := _IN_TESTS.get(key.lower())) and meant not in written:
            sentence = f"unknown key {quoted(key)} in a test; write {quoted(meant)} instead"
            yield Fault(sentence, document.keys.get((*path, key)), (*path, key))


@cache
def only_of_sinks() -> frozenset[str]:
    """The settings that only sinks have."""
    every = {name for sink in sinks.by_type().values() for name in sink.Settings.model_fields}
    return frozenset(every - RouteSettings.model_fields.keys() - set(TOP_LEVEL))


def setting_of_a_sink(key: str) -> str:
    return f"{quoted(key)} is a setting of a sink, so it stands below the sink's name, under sinks"


def in_default(document: Document) -> Iterator[Fault]:
    root = document.root
    value = root.get("default") if isinstance(root, dict) else None
    if isinstance(value, str | list):
        to = value if isinstance(value, str) else f"[{', '.join(map(str, value))}]"
        sentence = f'"default" must have a line below it, indented: send_to: {to}'
        yield Fault(sentence, document.spot(("default",)), ("default",))
    if isinstance(value, dict):
        for key in value.keys() & set(_CONDITIONS):
            sentence = f'"default" gets what no route matched, so {quoted(key)} can\'t stand here; make it a route'
            yield Fault(sentence, document.keys["default", key], ("default", key))


def in_stages(document: Document, path: Path) -> Iterator[Fault]:
    """Kinds come first, in capitals; names are what they are written for."""
    stages = document.value_at(path) if path in document.values else None
    if isinstance(stages, str | list):
        sentence = '"stages" must have kinds with their stages below it, indented, as in INTERVIEW: ["*Onsite*"]'
        yield Fault(sentence, document.spot(path), path)
    for name, value in stages.items() if isinstance(stages, dict) else ():
        kind = value[0] if isinstance(value, list) and value else value
        if name not in StageKind.__members__ and isinstance(kind, str) and kind.upper() in StageKind.__members__:
            sentence = f"the kind comes first, then its stages: {kind.upper()}: {quoted(name)}"
            yield Fault(sentence, document.keys[(*path, name)], (*path, name))


def unknown_sink(name: str, known: Collection[str]) -> str:
    sentence = f"there is no sink {quoted(name)}"
    if "," in name:
        return f"{sentence}; several sinks stand in brackets: [{name}]"
    if name.lower() in _NOWHERE:
        return f"{sentence}: what shall go nowhere gets stop: true instead of send_to, above the other routes"
    if name.startswith("#"):
        return f"{sentence}: a channel is named with its sink, under sinks; write a sink here: {listed(known)}"
    return sentence + (did_you_mean(name, known) or f"; known: {listed(known, 'and')}")
