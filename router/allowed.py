"""Privacy by allow-list: the fields that a sink may get, and an event without all others."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from router.fields import Shape
from router.schema import Envelope, Event

ALWAYS = (*Envelope.model_fields, "occurred_at", "vendor_event", "vendor_version")
"""What says which event this is, where it came from and in which order. Nothing of a candidate."""

_Tree = dict[str, Any]
"""What is let through, by attribute, and in maps by folded name: the same of what is inside, or `_ALL`."""

_ALL = "*"


class AllowList:
    """Names are dotted, or everyday words; a name stands for all that is inside of it."""

    def __init__(self, names: Iterable[str]) -> None:
        """
        Raises:
            UnknownField: an event has no such field.
        """
        self._paths = [*(_folded(Shape.at(name).path) for name in names), *ALWAYS]
        self._tree: _Tree = {}
        for path in self._paths:
            _grow(self._tree, path)

    def covers(self, path: str) -> bool:
        """Whether all that is at the path is let through."""
        return any(_is_within(_folded(path), allowed) for allowed in self._paths)

    def reaches(self, path: str) -> bool:
        """Whether something of what is at the path is let through."""
        return self.covers(path) or any(_is_within(allowed, _folded(path)) for allowed in self._paths)

    def trimmed(self, event: Event) -> Event:
        """The event with nothing else; what the schema asks of an object that is let through stays with it."""
        return _trimmed(event, self._tree)  # type: ignore[no-any-return]


@cache
def allow_list(names: tuple[str, ...]) -> AllowList:
    """
    Raises:
        UnknownField: an event has no such field.
    """
    return AllowList(names)


def _grow(tree: _Tree, path: str) -> None:
    for step in Shape.at(path).steps:
        tree = tree.setdefault(_folded(step), {})
    tree[_ALL] = {}


def _trimmed(value: Any, tree: _Tree) -> Any:
    if _ALL in tree or value is None:
        return value
    if isinstance(value, list):
        return [_trimmed(item, tree) for item in value]
    if isinstance(value, BaseModel):
        return value.model_copy(update=_kept(value, tree))
    return dict(_entries(value, tree))


def _kept(model: BaseModel, tree: _Tree) -> dict[str, Any]:
    kept = {}
    for name, field in type(model).model_fields.items():
        if name in tree:
            kept[name] = _trimmed(getattr(model, name), tree[name])
        elif not field.is_required():
            kept[name] = field.get_default(call_default_factory=True)
    return kept


def _entries(custom: Mapping[str, Any], tree: _Tree) -> Iterable[tuple[str, Any]]:
    """Custom fields by their names; of one that is an object, what is after the dot."""
    for name, value in custom.items():
        folded = _folded(name)
        inside = {wanted.removeprefix(f"{folded}.") for wanted in tree if wanted.startswith(f"{folded}.")}
        if folded in tree:
            yield name, value
        elif inside and isinstance(value, dict):
            yield name, dict(_entries(value, {wanted: {_ALL: {}} for wanted in inside}))


def _is_within(path: str, whole: str) -> bool:
    return path == whole or path.startswith(f"{whole}.")


def _folded(path: str) -> str:
    return path.casefold()
