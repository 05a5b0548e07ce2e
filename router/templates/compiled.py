"""A checked template -> something that renders events for one target."""

import html
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from jinja2 import nodes
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from router.schema import Event
from router.templates.filters import FILTERS, link, member, mention, shown
from router.templates.language import EVENT, INNER, LINK, MENTION, PEOPLE, ZONE, Asked, BadTemplate, check

LONGEST_OUTPUT = 20_000
"""Characters that a template makes at most; what is beyond is left out."""

People = Mapping[str, str]
"""Folded e-mail addresses, and the ids by which these people are mentioned."""

NOBODY: People = MappingProxyType({})

_VALUE = "_value"
_MARKS = re.compile(r"\{[{%#]")


@dataclass(frozen=True, slots=True)
class Target:
    """What templates are rendered for: how a value is written there, how a link is (address, words), and where people
    can be mentioned, how somebody with this id is."""

    name: str
    escape: Callable[[str], str]
    link: Callable[[str, str], str]
    mention: Callable[[str], str] | None = None


def _html_link(url: str, words: str) -> str:
    return f'<a href="{html.escape(url)}">{html.escape(words)}</a>'


PLAIN = Target("plain", str, lambda url, words: f"{words} ({url})")
HTML = Target("html", html.escape, _html_link)


class _Written(str):
    """Text that is in the target's own form already."""


class _Environment(ImmutableSandboxedEnvironment):
    """Reaches what is in an event, and neither attributes nor methods of Python's objects."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return member(obj, attribute)

    def getitem(self, obj: Any, argument: str | Any) -> Any:
        return member(obj, argument)


@cache
def _environment(target: Target) -> _Environment:
    def finalize(value: object) -> str:
        return value if isinstance(value, _Written) else target.escape(shown(value))

    def linked(value: object, words: object = "") -> str:
        found = link(value, words)
        return found if isinstance(found, str) else _Written(target.link(*found))

    environment = _Environment(finalize=finalize, autoescape=False)
    environment.globals, environment.tests = {}, {}
    environment.filters = {**FILTERS, **INNER, LINK: linked}
    if write := target.mention:

        def mentioned(value: object, people: People) -> str:
            written = (write(known) if known else target.escape(name) for name, known in mention(value, people))
            return _Written(", ".join(written))

        environment.filters[MENTION] = mentioned
    return environment


@dataclass(frozen=True, eq=False)
class Template:
    """``asked`` are the fields that it shows or looks at, ``fixed`` the pieces of text between them; ``mentions``:
    whether it mentions people."""

    asked: Sequence[Asked]
    fixed: Sequence[str]
    mentions: bool
    _render: Callable[[Mapping[str, Any]], Any]

    def text(self, event: Event, zone: tzinfo = UTC, people: People = NOBODY) -> str:
        """Rendered. Dates and times are those of the zone; whom ``people`` lacks is called by name where mentioned."""
        return shown(self._render({EVENT: event, ZONE: zone, PEOPLE: people}))

    def value(self, event: Event, zone: tzinfo = UTC) -> Any:
        """As `text`; of a template that was compiled so, what its one expression gives: a number, a list, nothing."""
        return self._render({EVENT: event, ZONE: zone})


def filled(written: object, event: Event, zone: tzinfo = UTC) -> object:
    """A structure of names, lists and texts with every text rendered, keeping the kind of what it shows."""
    if isinstance(written, dict):
        return {name: filled(value, event, zone) for name, value in written.items()}
    if isinstance(written, list):
        return [filled(value, event, zone) for value in written]
    return compiled(written, PLAIN, keeps_kind=True).value(event, zone) if isinstance(written, str) else written


def texts_in(written: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in such a structure, and where it stands."""
    inner = written.items() if isinstance(written, dict) else enumerate(written) if isinstance(written, list) else ()
    for step, value in inner:
        yield from texts_in(value, (*place, step))
    if isinstance(written, str):
        yield place, written


def is_template(text: str) -> bool:
    """Whether there is anything in it that is not itself."""
    return bool(_MARKS.search(text))


@lru_cache(maxsize=2048)
def compiled(text: str, target: Target, *, keeps_kind: bool = False) -> Template:
    """Prepare a template; ``keeps_kind``: one that is a single expression gives no text but what the event has there.

    Raises:
        BadTemplate: the text says what is wrong, for the person who wrote it.
    """
    environment = _environment(target)
    checked = check(text, environment, keeps_kind=keeps_kind)
    if checked.value is not None:
        body: list[nodes.Node] = [nodes.Assign(nodes.Name(_VALUE, "store"), checked.value, lineno=1)]
    else:
        body = checked.body
    try:
        tree = nodes.Template(body, lineno=1)
        tree.set_environment(environment)
        template = environment.from_string(tree)
    except (SyntaxError, RecursionError, MemoryError):
        raise BadTemplate("this is nested too deeply") from None

    def text_of_it(variables: Mapping[str, Any]) -> str:
        parts, left = [], LONGEST_OUTPUT
        for part in template.root_render_func(template.new_context(dict(variables), shared=True)):
            parts.append(part[:left])
            left -= len(part)
            if left <= 0:
                break
        return "".join(parts)

    def value_of_it(variables: Mapping[str, Any]) -> Any:
        context = template.new_context(dict(variables), shared=True)
        for _ in template.root_render_func(context):
            pass
        value = context.vars[_VALUE]
        return None if isinstance(value, Undefined) else value

    render = text_of_it if checked.value is None else value_of_it
    return Template(checked.asked, checked.fixed, checked.mentions, render)
