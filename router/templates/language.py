"""What a template may say: Jinja's text -> its syntax tree, checked against the schema and made ready to be compiled.

Only what shows fields is let through. Every name stands for something in an event; that is looked up from one object,
so that nothing else can be reached. What could fail or take long on some values is replaced by filters of ours.
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, TemplateSyntaxError, nodes

from router.fields import Shape, UnknownField, is_field
from router.schema import Person
from router.templates import filters
from router.templates.filters import FILTERS, IN_ZONE
from router.templates.mistakes import in_line, misuse, plain, word_of
from router.wording import did_you_mean, listed, quoted

EVENT, ZONE, PEOPLE, LINK, MENTION = "_event", "_zone", "_people", "link", "mention"
INNER: Mapping[str, Callable[..., object]] = {
    "_items": filters.items,
    "_equal": filters.equal,
    "_within": filters.within,
    "_called": filters.called,
}
"""Filters that stand for loops, comparisons and names that nobody told; their names can't be written in a template."""

LONGEST = 10_000
"""Characters of one template."""

_CANDIDATE = "candidate.name"
_ASK_WHETHER = ("default", "length")
"""Filters for which a name that nobody told is nothing."""

_DEEPEST_LOOP = 2
_DEEPEST = 40
_LOOP = ("first", "last", "index", "length")
_COMPARISONS = {"eq": "_equal", "ne": "_equal", "in": "_within", "notin": "_within"}
_ONE_BRACE = re.compile(r"(?<![{$])\{\s*([a-z_]+(?:\.[a-z_]+)*)\s*\}(?!\})")
_SIGNATURES = {name: inspect.signature(use) for name, use in FILTERS.items()}
_SIGNATURES[LINK] = inspect.signature(filters.link)
_SIGNATURES[MENTION] = inspect.signature(filters.mention)
_GIVEN = {**dict.fromkeys(IN_ZONE, ZONE), MENTION: PEOPLE}
"""What filters are given as their first argument, besides the value."""

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
    mentions: bool


def check(text: str, environment: Environment, *, keeps_kind: bool = False) -> Checked:
    """Check a template; ``keeps_kind``: what one expression gives is wanted as it is, so it may be a whole object.

    Raises:
        BadTemplate: it says what a template can't say, or names what no event has.
    """
    if len(text) > LONGEST:
        raise BadTemplate(f"a template has at most {LONGEST} characters, this one has {len(text)}")
    try:
        root = environment.parse(text)
        checker = _Checker(text, environment.filters.keys())
        return checker.template(root, keeps_kind)
    except TemplateSyntaxError as error:
        raise BadTemplate(in_line(plain(error.message or ""), text, error.lineno)) from None
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

    def __init__(self, text: str, filters_there: Collection[str]) -> None:
        self._text = text
        self._filters = filters_there
        self._mentions = False
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
        return Checked(body, value, tuple(dict.fromkeys(self._asked)), tuple(self._fixed), self._mentions)

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
        self._mistake(f"{_SHOWS}, with if and for; it can't {word_of(node)}", node.lineno)
        return None

    def _part(self, node: nodes.Expr, scope: _Scope) -> nodes.Expr:
        if not isinstance(node, nodes.TemplateData):
            return self._said(node, scope)
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

    def _said(self, node: nodes.Expr, scope: _Scope) -> nodes.Expr:
        """An expression that people read: a candidate is never nothing there."""
        return self._shown(node, scope, named=True)

    def _shown(self, node: nodes.Expr, scope: _Scope, *, named: bool = False) -> nodes.Expr:
        """An expression that becomes text."""
        made, shape = self._expression(node, scope)
        if shape is None:
            return made
        try:
            shape = shape.shown
        except UnknownField as several:
            self._mistake(str(several), node.lineno, _written(node))
            return made
        self._ask(shape, whole=True)
        return _filter(made, "_called", nodes.Name(EVENT, "load")) if named and shape.path == _CANDIDATE else made

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
                yes, no = self._said(node.expr1, scope), node.expr2 and self._said(node.expr2, scope)
                return nodes.CondExpr(self._tested(node.test, scope), yes, no, lineno=node.lineno), None
            case nodes.List() | nodes.Tuple():
                return nodes.List([self._shown(item, scope) for item in node.items], lineno=node.lineno), None
        self._mistake(f"{_SHOWS}; it can't {word_of(node)}", node.lineno)
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
        try:
            below = shape.member(name)
        except UnknownField:
            if name not in _SIGNATURES:
                raise
            sentence = f"{quoted(name)} is a filter, and stands behind a bar: {{{{ {_written(outer)} | {name} }}}}"
            raise UnknownField(sentence) from None
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
        if node.name not in self._filters:
            self._mistake(f"{quoted(node.name)} works in messages to Slack only", node.lineno, node.name)
            return nodes.Const(None), None
        shape = None
        if node.name in ("first", "last"):
            value, shape = self._expression(node.node, scope)
        elif node.name == MENTION:
            value = self._people(node.node, scope)
        else:
            value = self._shown(node.node, scope, named=node.name not in _ASK_WHETHER)
        arguments = [self._said(argument, scope) for argument in node.args]
        given = [nodes.Name(_GIVEN[node.name], "load")] if node.name in _GIVEN else []
        if problem := misuse(node, known, len(given)):
            self._mistake(problem, node.lineno, node.name)
        return _filter(value, node.name, *given, *arguments), shape and shape.item

    def _people(self, node: nodes.Expr, scope: _Scope) -> nodes.Expr:
        """Who shall be mentioned: they are looked for by their addresses, and named where these are not known."""
        self._mentions = True
        mistakes = len(self._mistakes)
        made, shape = self._expression(node, scope)
        if shape is not None and shape.annotation is Person:
            self._ask(shape.member("name"), whole=True)
            self._ask(shape.member("email"), whole=True)
        elif shape is not None and shape.is_free:
            self._ask(shape, whole=True)
        elif len(self._mistakes) == mistakes:
            self._mistake("people are mentioned, as in {{ recruiter | mention }}", node.lineno, _written(node))
        return made

    def _mistake(self, sentence: str, line: int, written: str = "") -> None:
        self._mistakes.append(in_line(sentence, self._text, line, written))


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
