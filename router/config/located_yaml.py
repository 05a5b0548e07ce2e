"""YAML text -> plain values, and where in the text each of them stands.

Only what reads the same to a person and to YAML becomes a number, ``true``, ``false`` or nothing. ``no``, ``on``,
``0012``, ``1:30`` and dates stay the text that was written, so none of YAML's surprises reaches the configuration.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from router.config.faults import Fault, Path, Span, Unreadable, syntax_fault
from router.fields import is_field
from router.wording import quoted

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEPEST = 32
_OF_SETTINGS = ("type", "source", "id")
"""Fields whose names are those of settings, too."""

_MOST_VALUES = 50_000
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Token:
    """A key or a single value as it stands in the text."""

    span: Span
    is_key: bool


@dataclass(slots=True)
class Document:
    """``values`` and ``keys`` say where the value at a path stands, and the key that leads to it.

    ``tokens`` has what stands in each line, from left to right; ``files`` where the lines of each file begin, where
    there are several.
    """

    lines: list[str] = field(default_factory=list)
    root: object = None
    values: dict[Path, Span] = field(default_factory=dict)
    keys: dict[Path, Span] = field(default_factory=dict)
    tokens: dict[int, list[Token]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    files: list[tuple[int, str]] = field(default_factory=list)

    def place(self, line: int) -> tuple[str | None, int]:
        """The file that a line is of, and which one of it, from 0; None: there is only one."""
        began = [(first, name) for first, name in self.files if first <= line]
        return (began[-1][1], line - began[-1][0]) if began else (None, line)

    def words_for(self, line: int) -> str:
        """How a sentence names a line."""
        file, number = self.place(line)
        return f"line {number + 1} of {file}" if file else f"line {number + 1}"

    def value_at(self, path: Path) -> object:
        """The value as it was written."""
        value: object = self.root
        for step in path:
            value = value[step]  # type: ignore[index]
        return value

    def is_in_braces(self, path: Path) -> bool:
        span = self.values[path]
        return self.lines[span.line].startswith("{", span.column)

    def known_part(self, path: Path) -> Path:
        """The longest way down ``path`` that exists in the file; steps that don't are left out."""
        found: Path = ()
        for step in path:
            if (*found, step) in self.values:
                found = (*found, step)
        return found

    def spot(self, path: Path) -> Span | None:
        """Where a person would look for the value at ``path``: the key, where the value is long or nothing."""
        span = self.values.get(path)
        if isinstance(self.value_at(path), dict | list | None):
            return self.keys.get(path) or (span if path else Span(0, 0, 0, 0))
        return span


@dataclass(frozen=True, slots=True)
class _Scalar:
    span: Span
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class _List:
    span: Span
    items: "list[_Node]"


@dataclass(frozen=True, slots=True)
class _Mapping:
    span: Span
    entries: "list[tuple[str, Span, _Node]]"


_Node: TypeAlias = _Scalar | _List | _Mapping


def decode(raw: bytes) -> str:
    """The text of a file, without a byte order mark."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        raise Unreadable("this is not UTF-8 text; save the file with the encoding UTF-8", _end_of(before)) from None
    if match := _UNPRINTABLE.search(text):
        name = f"U+{ord(match[0]):04X}"
        raise Unreadable(
            f"there is an invisible control character ({name}) here; delete it", _end_of(text[: match.start()])
        )
    return text


def read(text: str) -> Document:
    """
    Raises:
        Unreadable: nothing can be made of the text, so one fault is all there is to say.
    """
    document = Document(lines=text.splitlines())
    events = yaml.parse(text, Loader=_LOADER)
    try:
        root = _Composer(document, events).root()
    except yaml.MarkedYAMLError as error:
        raise syntax_fault(error, document.lines) from None
    except yaml.YAMLError as error:
        raise Unreadable(f"YAML can't read this: {error}", Span(0, 0, 0, 0)) from None
    document.root = _Expansion(document).expand(root, (), root.span)
    return document


class _Composer:
    """Events of the YAML parser -> nodes. Not PyYAML's own composer: that one recurses without a limit."""

    def __init__(self, document: Document, events: Iterator[yaml.Event]) -> None:
        self._document = document
        self._events = events
        self._anchors: dict[str, _Node] = {}

    def root(self) -> _Node:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise Unreadable("the file is empty; start from config.example.yaml", Span(0, 0, 0, 0))
        root = self._node(next(self._events), 0)
        next(self._events)
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            raise Unreadable('a second document begins here; remove the "---"', _span(after))
        return root

    def _node(self, event: yaml.Event, depth: int) -> _Node:
        span = _span(event)
        if depth > _DEEPEST:
            raise Unreadable(f"this is nested more than {_DEEPEST} levels deep; check the brackets", span)
        if isinstance(event, yaml.AliasEvent):
            return self._anchored(str(event.anchor), span)
        self._refuse_tag(event, span)
        node: _Node
        if isinstance(event, yaml.ScalarEvent):
            self._token(span, is_key=False)
            node = _Scalar(span, _plain(event.value) if event.implicit[0] else event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = _List(span, [self._node(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)])
        else:
            node = _Mapping(span, list(self._pairs(depth)))
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = node
        return node

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _pairs(self, depth: int) -> Iterator[tuple[str, Span, _Node]]:
        seen: dict[str, Span] = {}
        for event in self._until(yaml.MappingEndEvent):
            span = _span(event)
            if isinstance(event, yaml.ScalarEvent):
                self._refuse_tag(event, span)
                self._token(span, is_key=True)
                key = event.value
            else:
                self._node(event, depth + 1)
                key = None
            value = self._node(next(self._events), depth + 1)
            if key is None:
                is_template = isinstance(event, yaml.MappingStartEvent)
                hint = '; a text with {{ }} must be in quotes: "{{ candidate.name }}"' if is_template else ""
                self._fault(f"a key must be one word, not a list, a mapping or an alias{hint}", span)
            elif key == "<<":
                self._fault('"<<" (merging) is not supported; write the settings out', span)
            elif key in seen:
                first = seen[key].line + 1
                self._fault(f"{quoted(key)} stands here twice (first in line {first}); {_instead_of_two(key)}", span)
            else:
                seen[key] = span
                yield key, span, value

    def _anchored(self, name: str, span: Span) -> _Node:
        if name not in self._anchors:
            raise Unreadable(
                'a text that begins with * must be in quotes, as in "*Onsite*"; without quotes it repeats what has '
                "this name with & for * further up, and nothing has",
                span,
            )
        return self._anchors[name]

    def _refuse_tag(self, event: yaml.Event, span: Span) -> None:
        if getattr(event, "tag", None):
            sentence = (
                "what begins with ! is a YAML tag, which is not allowed; remove it, or put the whole text in quotes"
            )
            self._document.faults.append(Fault(sentence, span, hidden=True))

    def _token(self, span: Span, is_key: bool) -> None:
        for line in range(span.line, span.end_line + 1):
            self._document.tokens.setdefault(line, []).append(Token(span, is_key))

    def _fault(self, sentence: str, span: Span) -> None:
        self._document.faults.append(Fault(sentence, span))


class _Expansion:
    """Nodes -> values with paths. Aliases are followed here, so here is where their number and depth are limited."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def expand(self, node: _Node, path: Path, key: Span) -> object:
        self._count += 1
        if self._count > _MOST_VALUES or len(path) > _DEEPEST:
            raise Unreadable("aliases (*name) repeat more than a configuration can hold; write it out", key)
        self._document.values[path] = node.span
        if isinstance(node, _Scalar):
            return node.value
        if isinstance(node, _List):
            return [self.expand(item, (*path, i), item.span) for i, item in enumerate(node.items)]
        mapping: dict[str, object] = {}
        for name, span, value in node.entries:
            self._document.keys[(*path, name)] = span
            mapping[name] = self.expand(value, (*path, name), span)
        return mapping


def _span(event: yaml.Event) -> Span:
    start, end = event.start_mark, event.end_mark
    assert start is not None
    assert end is not None
    return Span(start.line, start.column, end.line, end.column)


def _end_of(text: str) -> Span:
    lines = (text + ".").splitlines()
    line, column = len(lines) - 1, len(lines[-1]) - 1
    return Span(line, column, line, column + 1)


def _plain(text: str) -> str | int | float | bool | None:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) and str(float(text)) == text else text


def _instead_of_two(key: str) -> str:
    is_condition = is_field(key) and key not in _OF_SETTINGS
    return f"for any of several values write a list: {key}: [a, b]" if is_condition else "remove one"
