"""What is right by itself and yet hardly meant: routes and sinks that nothing reaches, names that nothing ever had."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from router.conditions import Pattern, comparable, folded
from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.config.settings import Config
from router.contradiction import clashes
from router.fields import Kind, field_at, text_of
from router.implication import all_imply
from router.naming import sinks_of
from router.rules import Asked, CompiledRoute
from router.wording import listed, nearest, quoted

KINDS: Mapping[str, tuple[str, ...]] = {
    "stage": ("to_stage", "from_stage", "application.stage"),
    "job": ("job.title",),
    "department": ("job.departments",),
    "office": ("job.offices",),
    "candidate source": ("application.source",),
}
"""What rules name that companies name themselves, and the fields that hold such names. Nothing of a candidate's own."""


@dataclass(frozen=True)
class Seen:
    """The names that ``events`` events have, by `KINDS`."""

    events: int
    names: Mapping[str, Set[str]] = field(repr=False)


_OR = re.compile(r"\s+or\s+|\s*[|;]+\s*", re.IGNORECASE)
_NEGATED = re.compile(r"(?:(?:not|NOT)\s+|!=?\s*|<>\s*)(\S.*)")  # a stage may well be called Not a fit
_OTHER_PATTERN = re.compile(r"\.\*|^%\w|[^\W\d]%$|^/.+/$|^\^\w")
_MOVE = re.compile(r"(.+?)\s*(?:->|=>|→)\s*(.+)")
_SHOWN = 4
_NEVER_SHOWN = {"candidate source"}
_KIND_OF = {field_at(name).steps: kind for kind, names in KINDS.items() for name in names}


def hardly_meant(
    document: Document, routes: Sequence[tuple[Path, CompiledRoute]], config: Config | None, seen: Seen | None
) -> Iterator[Fault]:
    """What can be said of routes and sinks, whatever else is wrong; of the sinks of a file that is right."""
    for advice in (unused_default, several_in_one, written_otherwise, never_matching):
        yield from advice(document, routes)
    if config is not None:
        yield from of_sinks(document, config)
    if seen is not None:
        yield from never_seen(document, routes, seen)


def unreachable(document: Document, routes: Sequence[tuple[Path, CompiledRoute]]) -> Iterator[Fault]:
    """Routes that never get their turn: what they match, a route above them matches too, and stops."""
    stopping: list[CompiledRoute] = []
    for path, route in routes:
        if not route.enabled:
            continue
        above = next((other for other in stopping if all_imply(route.tests, other.tests)), None)
        if above is not None:
            whole = "every event" if not above.tests else "all that it matches"
            yield Fault(
                f"the route {quoted(route.name)} is never reached: {quoted(above.name)} above it matches {whole} and"
                " stops; move this one above it, or remove one of them",
                document.spot(path),
                path,
            )
        elif route.stop:
            stopping.append(route)


def never_matching(document: Document, routes: Sequence[tuple[Path, CompiledRoute]]) -> Iterator[Fault]:
    """Conditions that can't hold together."""
    for path, route in routes:
        for clash in clashes(route.tests) if route.enabled else ():
            what = "an alternative of the route" if clash.is_part else "the route"
            sentence = f"{what} {quoted(route.name)} never matches: {clash.sentence}"
            yield _at(document, (*path, *clash.test.place), sentence)


def unused_default(document: Document, routes: Sequence[tuple[Path, CompiledRoute]]) -> Iterator[Fault]:
    """A default beside a route that matches everything."""
    if isinstance(document.root, dict) and "default" in document.root:
        for _, route in routes:
            if route.enabled and not route.tests:
                sentence = f'"default" never gets anything: the route {quoted(route.name)} matches every event'
                yield _at(document, ("default",), f"{sentence}; give that one conditions, or remove the default")
                return


def unused_sinks(document: Document) -> Iterator[Fault]:
    """Sinks that no route and no default sends to."""
    root = document.root
    if not isinstance(root, dict) or not isinstance(sinks := root.get("sinks"), dict):
        return
    routes = root.get("routes")
    every = [*(routes if isinstance(routes, list) else ()), root.get("default")]
    used = {name for route in every for name in sinks_of(route)}
    for name in sinks.keys() - used:
        sentence = f"no route sends to {quoted(name)}; add a route with send_to: {name}, or remove the sink"
        yield _at(document, ("sinks", name), sentence)


def of_sinks(document: Document, config: Config) -> Iterator[Fault]:
    """What sinks say of their settings, and of what routes have otherwise."""
    for name, settings in config.sinks.items():
        for place, sentence in settings.advice():
            yield _at(document, ("sinks", name, *place), sentence)
    routes: list[tuple[Path, CompiledRoute]] = [(("routes", i), one) for i, one in enumerate(config.rules.routes)]
    default = config.rules.default
    for path, route in [*routes, *([(("default",), default)] if default else [])]:
        for i, to in enumerate(route.send_to):
            for place, sentence in config.sinks[to.sink].overridden(to.overrides).advice() if to.overrides else ():
                if place[0] in to.overrides:
                    yield _at(document, document.known_part((*path, "send_to", i, to.sink, *place)), sentence)


def several_in_one(document: Document, routes: Sequence[tuple[Path, CompiledRoute]]) -> Iterator[Fault]:
    """Names with an "or" in them, which stand for one name with these words, and hardly are meant so."""
    for path, route in routes:
        for asked in route.asked:
            text = text_of(asked.value)
            parts = [part.strip() for part in _OR.split(text)]
            if asked.field.steps in _KIND_OF and len(parts) > 1 and all(parts):
                how = f"[{', '.join(parts)}]"
                sentence = f"{quoted(asked.value)} is looked for as one name; for any of several write a list: {how}"
                yield _at(document, (*path, *asked.path), sentence)


def written_otherwise(document: Document, routes: Sequence[tuple[Path, CompiledRoute]]) -> Iterator[Fault]:
    """Texts that mean something in other languages, and here only themselves."""
    for path, route in routes:
        for asked in route.asked:
            text = text_of(asked.value).strip()
            if asked.field.kind in (Kind.TEXT, Kind.FREE) and (meant := _otherwise(text, asked)):
                yield _at(document, (*path, *asked.path), f"{quoted(asked.value)} stands for itself; {meant}")


def _otherwise(text: str, asked: Asked) -> str | None:
    if not text:
        return "where an event has nothing there, write {present: false}"
    if negated := _NEGATED.fullmatch(text):
        return f"for anything else write {{not: {negated[1]}}}"
    if _OTHER_PATTERN.search(text):
        return f"a part of a text is written with stars: {quoted(re.sub(r'[.*%/^$]+', '*', f'*{text}*'))}"
    if _KIND_OF.get(asked.field.steps) == "stage" and (move := _MOVE.fullmatch(text)):
        return f"a move is written in two lines, from_stage: {move[1]} and to_stage: {move[2]}"
    return None


def never_seen(document: Document, routes: Sequence[tuple[Path, CompiledRoute]], seen: Seen) -> Iterator[Fault]:
    """Names in conditions that no event had so far."""
    for path, route in routes:
        for asked in route.asked:
            kind = _KIND_OF.get(asked.field.steps, "")
            names = seen.names.get(kind, frozenset())
            if names and not _is_among(asked.value, names):
                yield _at(document, (*path, *asked.path), _sentence(kind, asked, names, seen.events))


def _is_among(value: object, names: Set[str]) -> bool:
    text, known = folded(text_of(value)), comparable(names)
    return any(map(Pattern.of(text).fits, known)) if "*" in text else text in known


def _sentence(kind: str, asked: Asked, names: Set[str], looked_at: int) -> str:
    sentence = f"no {kind} in {newest(looked_at)} is {quoted(asked.value)}"
    if kind in _NEVER_SHOWN:
        return f"{sentence}; check how it is spelt"
    meant = _nearest_name(text_of(asked.value), names)
    if meant:
        return f"{sentence}; did you mean {quoted(meant)}?"
    some = sorted(names, key=folded)
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    known = ", ".join(map(quoted, some[:_SHOWN])) + more if more else listed(map(quoted, some), "and")
    return f"{sentence}; seen were {known}"


def newest(looked_at: int) -> str:
    return "the newest event" if looked_at == 1 else f"the newest {looked_at} events"


def _nearest_name(text: str, names: Set[str]) -> str | None:
    """By the whole name, else by one word of it: who writes "Onsit*" may mean "Virtual Onsite"."""
    wanted = text.replace("*", " ").strip()
    by_word = {word: name for name in sorted(names) for word in name.split()}
    return nearest(wanted, names) or by_word.get(nearest(wanted, by_word) or "")


def _at(document: Document, path: Path, sentence: str) -> Fault:
    return Fault(sentence, document.spot(path), path, is_warning=True)
