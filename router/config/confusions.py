"""What people write where something else is meant, each told in the words of who means it, before pydantic sees it."""

from collections.abc import Collection, Iterator

from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.config.settings import RouteSettings
from router.fields import is_field
from router.schema import StageKind
from router.wording import did_you_mean, listed, nearest, quoted

_CONDITIONS = ("when", "unless")
_OF_CONDITIONS = ("any", "all", "not", "expr")
_NOWHERE = ("none", "nowhere", "nobody", "nothing", "no one", "ignore", "drop")
_BELOW = "must have conditions below it, indented, one a line, as in event: StageChanged"


def in_route(document: Document, path: Path, place: str) -> Iterator[Fault]:
    route = document.value_at(path)
    if not isinstance(route, dict):
        sentence = f"{place} must say where to send events; write send_to: and the name of a sink"
        yield Fault(sentence, document.spot(path), path)
        return
    for key, value in route.items():
        told = _of_key(key) if key not in RouteSettings.model_fields else _of_conditions(key, value)
        if told:
            yield Fault(told, document.keys.get((*path, key)), (*path, key))


def _of_key(key: str) -> str | None:
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


def in_default(document: Document) -> Iterator[Fault]:
    root = document.root
    value = root.get("default") if isinstance(root, dict) else None
    if isinstance(value, str):
        sentence = f'"default" must have a line below it, indented: send_to: {value}'
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
