"""What a template may say: Jinja's text -> its syntax tree, checked against the schema and made ready to be compiled.

Only what shows fields is let through. Every name stands for something in an event; that is looked up from one object,
so that nothing else can be reached. What could fail or take long on some values is replaced by filters of ours.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jinja2 import Environment, TemplateSyntaxError, nodes

from router.fields import Shape, UnknownField, is_field
from router.templates import filters
from router.templates.filters import FILTERS, IN_ZONE
from router.wording import did_you_mean, listed, quoted

EVENT, ZONE, LINK = "_event", "_zone", "link"
INNER: Mapping[str, Callable[..., object]] = {
    "_items": filters.items,
    "_equal": filters.equal,
    "_within": filters.within,
}
"""Filters that stand for loops and comparisons; their names can't be written in a template."""

LONGEST = 10_000
"""Characters of one template."""

_DEEPEST_LOOP = 2
_DEEPEST = 40
_LOOP = ("first", "last", "index", "length")
_COMPARISONS = {"eq": "_equal", "ne": "_equal", "in": "_within", "notin": "_within"}
_DIRECTIVE = re.compile(r"%(-?[a-zA-Z%])?")
_DIRECTIVES = frozenset("aAbBdeFGHIjmMpRSTuUVwWxXyYzZc%")
_ONE_BRACE = re.compile(r"(?<![{$])\{\s*([a-z_]+(?:\.[a-z_]+)*)\s*\}(?!\})")
_SIGNATURES = {name: inspect.signature(use) for name, use in FILTERS.items()}
_SIGNATURES[LINK] = inspect.signature(filters.link)
_SHOWS = "a template only shows fields"


class BadTemplate(Exception):
    """Everything that is wrong with one template."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A field that a template asks for: all of it, or whether there is something and what is inside."""

    path: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """``body`` can be compiled. ``value`` is the one expression of a template that is nothing else."""

    body: list[nodes.Node]
    value: nodes.Expr | None
    asked: Sequence[Asked]
    fixed: Sequence[str]


def check(text: str, environment: Environment, *, keeps_kind: bool = False) -> Checked:
    """Check a template; ``keeps_kind``: what one expression gives is wanted as it is, so it may be a whole object.

    Raises:
        BadTemplate: it says what a template can't say, or names what no event has.
    """
    if len(text) > LONGEST:
        raise BadTemplate(f"a template has at most {LONGEST} characters, this one has {len(text)}")
    try:
        root = environment.parse(text)
        checker = _Checker(text)
        return checker.template(root, keeps_kind)
    except TemplateSyntaxError as error:
        raise BadTemplate(_in_line(_plain(error.message or ""), text, error.lineno)) from None
    except (RecursionError, ValueError, MemoryError):
        raise BadTemplate("this is nested too deeply, or has a number that is too long") from None


@dataclass(frozen=True, slots=True)
class _Scope:
    """The loop variables, with what they stand for."""

    names: Mapping[str, Shape | None] = field(default_factory=dict)
    loops: int = 0
    depth: int = 0


class _Checker:
    """Gathers mistakes; gives back the tree as it shall be compiled."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._mistakes: list[str] = []
        self._asked: list[Asked] = []
        self._fixed: list[str] = []

    def template(self, root: nodes.Template, keeps_kind: bool) -> Checked:
        value = None
        match root.body:
            case [nodes.Output(nodes=[nodes.Expr() as only])] if keeps_kind and not isinstance(
                only, nodes.TemplateData
            ):
                value, shape = self._expression(only, _Scope())
                self._ask(shape, whole=True)
                body: list[nodes.Node] = []
            case _:
                body = self._statements(root.body, _Scope())
        if self._mistakes:
            raise BadTemplate("; ".join(dict.fromkeys(self._mistakes)))
        return Checked(body, value, tuple(dict.fromkeys(self._asked)), tuple(self._fixed))

    def _statements(self, statements: Sequence[nodes.Node], scope: _Scope) -> list[nodes.Node]:
        return [made for statement in statements if (made := self._statement(statement, scope)) is not None]

    def _statement(self, node: nodes.Node, scope: _Scope) -> nodes.Node | None:
        match node:
            case nodes.Output():
                return nodes.Output([self._part(part, scope) for part in node.nodes], lineno=node.lineno)
            case nodes.If():
                return self._if(node, scope)
            case nodes.For():
                return self._for(node, scope)
        self._mistake(f"{_SHOWS}, with if and for; it can't {_word_of(node)}", node.lineno)
        return None

    def _part(self, node: nodes.Expr, scope: _Scope) -> nodes.Expr:
        if not isinstance(node, nodes.TemplateData):
            return self._shown(node, scope)
        self._fixed.append(node.data)
        for match in _ONE_BRACE.finditer(node.data):
            if is_field(match[1]):
                self._mistake(f"a field stands in two braces: {{{{ {match[1]} }}}}", node.lineno, match[0])
        return node

    def _if(self, node: nodes.If, scope: _Scope) -> nodes.If:
        test = self._tested(node.test, scope)
        body, otherwise = self._statements(node.body, scope), self._statements(node.else_, scope)
        return nodes.If(test, body, [self._if(other, scope) for other in node.elif_], otherwise, lineno=node.lineno)

    def _for(self, node: nodes.For, scope: _Scope) -> nodes.For | None:
        target = node.target.name if isinstance(node.target, nodes.Name) else "_"
        if node.recursive or node.test is not None or target.startswith(("_", "loop")):
            self._mistake("a loop is written {% for person in job.recruiters %} ... {% endfor %}", node.lineno)
            return None
        if scope.loops >= _DEEPEST_LOOP:
            self._mistake("loops stand at most two deep in each other", node.lineno)
            return None
        values, shape = self._expression(node.iter, scope)
        if shape is not None and not shape.several and not shape.is_free:
            self._mistake(f"{quoted(shape.path)} is no list, so no loop can go through it", node.lineno)
        self._ask(shape, whole=False)
        names = {**scope.names, target: shape and shape.item}
        inner = _Scope(names, scope.loops + 1, scope.depth)
        body, empty = self._statements(node.body, inner), self._statements(node.else_, scope)
        return nodes.For(node.target, _filter(values, "_items"), body, empty, None, False, lineno=node.lineno)

    def _tested(self, node: nodes.Node, scope: _Scope) -> nodes.Expr:
        made, shape = self._expression(node, scope)
        self._ask(shape, whole=False)
        return made

    def _shown(self, node: nodes.Expr, scope: _Scope) -> nodes.Expr:
        """An expression that becomes text."""
        made, shape = self._expression(node, scope)
        if shape is not None:
            try:
                self._ask(shape.shown, whole=True)
            except UnknownField as several:
                self._mistake(str(several), node.lineno, _written(node))
        return made

    def _ask(self, shape: Shape | None, *, whole: bool) -> None:
        if shape is not None and shape.path:
            self._asked.append(Asked(shape.path, whole))

    def _expression(self, node: nodes.Node, scope: _Scope) -> tuple[nodes.Expr, Shape | None]:
        """The expression, and what it gives if that is something of the event as it is."""
        if scope.depth > _DEEPEST:
            raise RecursionError
        scope = _Scope(scope.names, scope.loops, scope.depth + 1)
        match node:
            case nodes.Const():
                return node, None
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._field(node, scope)
            case nodes.Filter():
                return self._filtered(node, scope)
            case nodes.Compare():
                return self._compared(node, scope), None
            case nodes.And() | nodes.Or():
                left, right = self._tested(node.left, scope), self._tested(node.right, scope)
                return type(node)(left, right, lineno=node.lineno), None
            case nodes.Not():
                return nodes.Not(self._tested(node.node, scope), lineno=node.lineno), None
            case nodes.CondExpr():
                yes, no = self._shown(node.expr1, scope), node.expr2 and self._shown(node.expr2, scope)
                return nodes.CondExpr(self._tested(node.test, scope), yes, no, lineno=node.lineno), None
            case nodes.List() | nodes.Tuple():
                return nodes.List([self._shown(item, scope) for item in node.items], lineno=node.lineno), None
        self._mistake(f"{_SHOWS}; it can't {_word_of(node)}", node.lineno)
        return nodes.Const(None), None

    def _field(self, node: nodes.Expr, scope: _Scope) -> tuple[nodes.Expr, Shape | None]:
        try:
            return self._reached(node, scope)
        except UnknownField as unknown:
            self._mistake(str(unknown), node.lineno, _written(node))
            return nodes.Const(None), None

    def _reached(self, node: nodes.Expr, scope: _Scope) -> tuple[nodes.Expr, Shape | None]:
        match node:
            case nodes.Name() if node.name in scope.names:
                return node, scope.names[node.name]
            case nodes.Name():
                shape = Shape.root(node.name)
                return _from(nodes.Name(EVENT, "load"), shape.steps), shape
            case nodes.Getattr(node=nodes.Name(name="loop")) if scope.loops and node.attr in _LOOP:
                return node, None
            case nodes.Getattr(node=nodes.Name(name="loop")) if scope.loops:
                raise UnknownField(f'"loop" has no {quoted(node.attr)}; it has {listed(_LOOP, "and")}')
            case nodes.Getattr():
                return self._below(node.node, node.attr, scope)
            case nodes.Getitem(arg=nodes.Const(value=str() as name)):
                return self._below(node.node, name, scope)
            case nodes.Getitem(arg=nodes.Const(value=int() as position)):
                outer, values = self._expression(node.node, scope)
                if values is not None and not values.several and not values.is_free:
                    raise UnknownField(f"{quoted(values.path)} is no list, so it has no [{position}]")
                return nodes.Getitem(outer, nodes.Const(position), "load"), values and values.item
            case nodes.Getitem():
                raise UnknownField("in brackets stands a position, like [0], or a name in quotes")
        return self._expression(node, scope)

    def _below(self, outer: nodes.Expr, name: str, scope: _Scope) -> tuple[nodes.Expr, Shape | None]:
        made, shape = self._reached(outer, scope)
        if shape is None:
            raise UnknownField(f"there is no {quoted(name)} of this")
        below = shape.member(name)
        return nodes.Getitem(made, nodes.Const(below.steps[-1]), "load"), below

    def _compared(self, node: nodes.Compare, scope: _Scope) -> nodes.Expr:
        if len(node.ops) > 1 or node.ops[0].op not in _COMPARISONS:
            self._mistake(f"{_SHOWS}; it compares two things with == , != or in", node.lineno)
            return nodes.Const(None)
        [operand] = node.ops
        other = self._shown(operand.expr, scope)
        made = _filter(self._shown(node.expr, scope), _COMPARISONS[operand.op], other)
        return nodes.Not(made) if operand.op in ("ne", "notin") else made

    def _filtered(self, node: nodes.Filter, scope: _Scope) -> tuple[nodes.Expr, Shape | None]:
        known = _SIGNATURES.get(node.name)
        if known is None or node.node is None:
            hint = did_you_mean(node.name, _SIGNATURES) or f"; known: {listed(sorted(_SIGNATURES), 'and')}"
            self._mistake(f"there is no filter {quoted(node.name)}{hint}", node.lineno, node.name)
            return nodes.Const(None), None
        keeps = node.name in ("first", "last")
        value, shape = self._expression(node.node, scope) if keeps else (self._shown(node.node, scope), None)
        arguments = [self._shown(argument, scope) for argument in node.args]
        zone = [nodes.Name(ZONE, "load")] if node.name in IN_ZONE else []
        if problem := _misuse(node, known, len(zone)):
            self._mistake(problem, node.lineno, node.name)
        return _filter(value, node.name, *zone, *arguments), shape and shape.item

    def _mistake(self, sentence: str, line: int, written: str = "") -> None:
        self._mistakes.append(_in_line(sentence, self._text, line, written))


def _misuse(node: nodes.Filter, known: inspect.Signature, given: int) -> str | None:
    """Why a filter can't be used with these arguments; those that are given anyway come first."""
    parameters = list(known.parameters.values())[1 + given :]
    if node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > len(parameters):
        most = f"at most {len(parameters)}" if parameters else "no"
        return f"the filter {quoted(node.name)} takes {most} value in brackets"
    for parameter, argument in zip(parameters, node.args, strict=False):
        if parameter.annotation not in (str, int):
            continue
        value = argument.value if isinstance(argument, nodes.Const) else None
        if not isinstance(value, parameter.annotation) or isinstance(value, bool):
            kind = "a whole number" if parameter.annotation is int else "a text in quotes"
            return f"what stands in brackets after {quoted(node.name)} must be {kind}"
        if parameter.name == "form" and (problem := _bad_form(value)):
            return problem
    return None


def _bad_form(form: str) -> str | None:
    for match in _DIRECTIVE.finditer(form):
        if (match[1] or "")[-1:] not in _DIRECTIVES or not match[1]:
            return f"{quoted(match[0])} is no part of a date; write for example %d.%m.%Y or %H:%M"
    try:
        datetime(2026, 1, 2, tzinfo=UTC).strftime(form)
    except (ValueError, UnicodeError):
        return f"{quoted(form)} is no form of a date; write for example %d.%m.%Y or %H:%M"
    return None


def _filter(value: nodes.Expr, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(value, name, list(arguments), [], None, None)


def _from(start: nodes.Expr, steps: Sequence[str]) -> nodes.Expr:
    for step in steps:
        start = nodes.Getitem(start, nodes.Const(step), "load")
    return start


def _written(node: nodes.Node) -> str:
    """A field as it stands in the template, as far as that can be told."""
    match node:
        case nodes.Name():
            return node.name
        case nodes.Getattr():
            return f"{_written(node.node)}.{node.attr}"
        case nodes.Getitem() | nodes.Filter() if node.node is not None:
            return _written(node.node)
    return ""


def _in_line(sentence: str, text: str, line: int, written: str = "") -> str:
    """Where in the template it is, as far as Jinja and a look at the line can tell."""
    lines = text.splitlines()
    column = lines[line - 1].find(written) + 1 if written and 0 < line <= len(lines) else 0
    where = [f"line {line}"] * (len(lines) > 1) + [f"column {column}"] * (column > 0)
    return f"{sentence} ({' '.join(where)} of the text)" if where else sentence


def _word_of(node: nodes.Node) -> str:
    return next((word for kind, word in _WORDS if isinstance(node, kind)), "hold this")


_WORDS: Sequence[tuple[type[nodes.Node] | tuple[type[nodes.Node], ...], str]] = (
    (nodes.Call, "call anything; use a filter, as in {{ candidate.name | upper }}"),
    (nodes.Sub, "calculate; a name with a hyphen stands in brackets: custom_fields['cost-centre']"),
    ((nodes.BinExpr, nodes.UnaryExpr), "calculate"),
    (nodes.Concat, "join with ~ ; write one after the other: {{ candidate.name }} {{ job.title }}"),
    (nodes.Test, 'ask with "is"; write {% if candidate.name %}'),
    ((nodes.Assign, nodes.AssignBlock, nodes.With), "keep values"),
    ((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends), "read other files"),
    (nodes.Dict, "hold names with values"),
)

_CAUSES = (
    ("unexpected end of template", "the braces do not match: {{ ends with }}, and {% with %}"),
    (
        "end of print statement",
        "between {{ and }} stands one field, perhaps with a filter: {{ candidate.name | upper }}",
    ),
    ("Expected an expression", "nothing stands between {{ and }}; write a field: {{ candidate.name }}"),
    ("'endif'", "an {% if %} is not closed; write {% endif %} where it ends"),
    ("'endfor'", "a {% for %} is not closed; write {% endfor %} where it ends"),
    ("unexpected '}'", "the braces do not match: a field stands in two braces, {{ candidate.name }}"),
    (
        "end of statement block",
        "this {% %} can't be read; write {% if outcome == 'hired' %} or {% for tag in candidate.tags %}",
    ),
    ("comment", "a {# is not closed; write #} where the note ends"),
    ("unexpected char", "a text stands in quotes, and a field has only letters, digits, dots and _"),
)


def _plain(message: str) -> str:
    """What Jinja says, for someone who never read its manual."""
    if match := re.search(r"unknown tag '(\w+)'", message):
        if match[1].startswith("end") or match[1] in ("else", "elif"):
            return f"{{% {match[1]} %}} stands here without its {{% if %}} or {{% for %}} before it"
        return f"there is no {{% {match[1]} %}}; a template has {{% if %}} and {{% for %}}"
    return next((words for cause, words in _CAUSES if cause in message), f"this can't be read: {message}")
