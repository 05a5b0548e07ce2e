"""What rules are called that have no name: by what they say, so that a rule put in above them renames none of them.

In whichever order their lines stand: that is the same rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from router.conditions import DATES, NUMBERS

_LONGEST = 80
_FIRST = ("event", "type")
_GROUPS = ("any", "all")
_COMPARISONS = NUMBERS | DATES


def names_of(routes: Sequence[Any]) -> list[str]:
    """The name of each route as it is written, or the one that it gets: ``StageChanged, Engineering to recruiters``.

    Those that say the same are numbered. What is no route at all has no name.
    """
    written = [route if isinstance(route, Mapping) else {} for route in routes]
    taken = {str(route["name"]) for route in written if "name" in route}
    names = []
    for route in written:
        name = str(route["name"]) if "name" in route else _unlike(_said(route), taken) if route else ""
        taken.add(name)
        names.append(name)
    return names


def sinks_of(route: object) -> list[str]:
    """The sinks that a route names, also those with settings for this route below their names."""
    names = route.get("send_to") if isinstance(route, Mapping) else None
    several = names if isinstance(names, list) else [names]
    return [str(name) for one in several for name in (one if isinstance(one, Mapping) else [one]) if name is not None]


def _said(route: Mapping[str, Any]) -> str:
    unless = ", ".join(_values(route.get("unless")))
    conditions = [*_values(route.get("when")), *([f"unless {unless}"] if unless else [])]
    to = f" to {', '.join(sinks_of(route)) or 'nowhere'}"
    which = _cut(" ".join((", ".join(conditions) or "everything").split()), _LONGEST - min(len(to), _LONGEST // 2))
    return which + _cut(to, _LONGEST // 2)


def _values(value: object, key: str = "", *, needed: bool = False) -> Iterator[str]:
    """The values of conditions; the field stands before them where they say little by themselves."""
    if isinstance(value, Mapping):
        for name, inner in sorted(value.items(), key=lambda item: (item[0] not in _FIRST, str(item[0]))):
            if name in _GROUPS:
                yield from _values(inner, key, needed=needed)
            elif name == "not":
                yield from _values(inner, "not", needed=True)
            else:
                word = _COMPARISONS.get(name, name.rpartition(".")[2])
                yield from _values(inner, f"{key} {word}".strip(), needed=needed or name in _COMPARISONS)
    elif isinstance(value, list):
        yield from (text for inner in value for text in _values(inner, key, needed=needed))
    elif isinstance(value, str) and not needed:
        yield value
    elif value is not None:
        yield f"{key} {str(value).lower() if isinstance(value, bool) else value}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _unlike(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found
