"""JMESPath, the language in which a mapping says where a field is (https://jmespath.org), read once, when it is loaded.

What is wrong with an expression is told as a sentence that quotes the place. Paths, filters, selections and fallbacks,
which most expressions are made of, become plain functions; calls and the rest are left to the interpreter of the
jmespath package, which says the same several times slower.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import nan
from typing import Any, Final, TypeAlias

from jmespath.exceptions import JMESPathError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.parser import Parser
from jmespath.visitor import TreeInterpreter

from router.wording import did_you_mean, quoted

Getter: TypeAlias = Callable[[Any], Any]
Step: TypeAlias = str | int | None
_Tree: TypeAlias = Any  # jmespath's own type of a node exists for type checkers only, and in their stubs only

EACH: Final = None
"""The step of a path that goes into every item of a list."""

_LONGEST = 2000
_SHOWN = 24
_OF_REFERENCES = ("map", "max_by", "min_by", "sort_by")
_INTERPRETER = TreeInterpreter()


class BadExpression(ValueError):
    """The text says what is wrong with an expression, and where."""


@dataclass(frozen=True, slots=True)
class Expression:
    """``get`` gives what an expression finds in a value; it may raise anything where the value has other types than a
    function in it takes. ``steps`` is the way that a path goes, None where an expression is more than a path."""

    text: str
    get: Getter = field(repr=False, compare=False)
    steps: tuple[Step, ...] | None = field(repr=False, compare=False)


@lru_cache(maxsize=4096)
def expression(text: str) -> Expression:
    """
    Raises:
        BadExpression: it is not JMESPath, or calls a function that does not exist.
    """
    try:
        tree = _parsed(text)
        _check(tree)
        return Expression(text, _getter(tree), _steps(tree))
    except RecursionError:
        raise BadExpression("this expression is nested too deeply") from None


def find(get: Getter, value: object) -> object:
    """What an expression finds; NaN where it fails, which no reader takes, so that it counts as oddly typed."""
    try:
        return get(value)
    except Exception:  # a function of JMESPath does not take what the value holds
        return nan


def put(container: object, steps: tuple[Step, ...], value: object) -> object:
    """``container`` with ``value`` at the end of a path; what lies on the way is made.

    Raises:
        ValueError: something else is in the way.
    """
    if not steps:
        return value
    first, *rest = steps
    if isinstance(first, str):
        members = {} if container is None else container
        if not isinstance(members, dict):
            raise ValueError("something else is in the way")
        return {**members, first: put(members.get(first), tuple(rest), value)}
    items, index = [] if container is None else container, first or 0
    if not isinstance(items, list) or not 0 <= index <= len(items):
        raise ValueError("something else is in the way")
    return [*items[:index], put((items[index:] or [None])[0], tuple(rest), value), *items[index + 1 :]]


def _parsed(text: str) -> _Tree:
    if len(text) > _LONGEST:
        raise BadExpression(f"an expression has at most {_LONGEST} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of the package, about the old way to write texts: `word`
            return Parser().parse(text).parsed
    except LexerError as error:
        raise BadExpression(_unexpected(text, error.lexer_position)) from None
    except ParseError as error:
        raise BadExpression(_unexpected(text, error.lex_position)) from None
    except Warning:
        raise BadExpression("in ` ` stands JSON; a fixed word is written in single quotes: 'word'") from None
    except (JMESPathError, IndexError):  # the latter where a bracket is left open
        raise BadExpression("this expression is empty, or ends too early") from None


def _unexpected(text: str, position: int) -> str:
    rest = text[position:].strip()
    if not rest:
        return f"this expression ends too early; something is missing after {quoted(text[-_SHOWN:])}"
    problem = f"this is not expected at character {position + 1}: {quoted(rest[:_SHOWN])}"
    if rest.startswith("$"):
        return f"{problem}; write data.id, not $.data.id"
    if rest.startswith(("'", '"', "`")):
        return f"{problem}; is the quote closed?"
    if not rest[0].isascii() or rest[0] in "-/#+%~":
        return f'{problem}; a name that is not only letters, digits and _ stands in double quotes: data."first-name"'
    return problem


def _check(node: _Tree, *, may_refer: bool = False) -> None:
    if node["type"] == "expref" and not may_refer:
        raise BadExpression("& stands only in map, max_by, min_by and sort_by")
    is_call = node["type"] == "function_expression"
    if is_call:
        _check_call(node["value"], len(node["children"]))
    for child in node["children"]:
        if isinstance(child, dict):
            _check(child, may_refer=is_call and node["value"] in _OF_REFERENCES)


def _check_call(name: str, given: int) -> None:
    known = Functions.FUNCTION_TABLE
    if name not in known:
        raise BadExpression(f"there is no function {quoted(name)}{did_you_mean(name, known)}")
    signature = known[name]["signature"]
    wanted, or_more = len(signature), bool(signature and signature[-1].get("variadic"))
    if given < wanted or (given > wanted and not or_more):
        count = f"{wanted}{' or more' if or_more else ''} value{'' if wanted == 1 and not or_more else 's'}"
        raise BadExpression(f"the function {name} takes {count}, not {given}")


def _steps(node: _Tree) -> tuple[Step, ...] | None:
    children = node["children"]
    match node["type"]:
        case "field":
            return (node["value"],)
        case "index" if node["value"] >= 0:
            return (node["value"],)
        case "identity" | "current":
            return ()
        case "flatten":
            return _steps(children[0])
        case "projection":
            return _joined([_steps(children[0]), (EACH,), _steps(children[1])])
        case "subexpression" | "index_expression" | "pipe":
            return _joined([_steps(child) for child in children])
        case "or_expression":
            return _steps(children[0])
    return None


def _joined(parts: list[tuple[Step, ...] | None]) -> tuple[Step, ...] | None:
    steps: tuple[Step, ...] = ()
    for part in parts:
        if part is None:
            return None
        steps += part
    return steps


def _getter(node: _Tree) -> Getter:
    make = _COMPILED.get(node["type"])
    return partial(_INTERPRETER.visit, node) if make is None else make(node)


def _field(node: _Tree) -> Getter:
    return _fields([node["value"]])


def _fields(names: list[str]) -> Getter:
    if len(names) == 2:  # as most paths have, and quicker without the loop
        outer, inner = names
        return lambda value: (
            found.get(inner) if type(value) is dict and type(found := value.get(outer)) is dict else None
        )

    def get(value: Any) -> Any:
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    return get


def _chain(node: _Tree) -> Getter:
    children = node["children"]
    if all(child["type"] == "field" for child in children):
        return _fields([child["value"] for child in children])
    getters = [_getter(child) for child in children]

    def get(value: Any) -> Any:
        for getter in getters:
            value = getter(value)
        return value

    return get


def _index(node: _Tree) -> Getter:
    index = node["value"]

    def get(value: Any) -> Any:
        return value[index] if type(value) is list and -len(value) <= index < len(value) else None

    return get


def _projection(node: _Tree) -> Getter:
    base, of_item = map(_getter, node["children"])

    def get(value: Any) -> Any:
        items = base(value)
        if type(items) is not list:
            return None
        return [found for item in items if (found := of_item(item)) is not None]

    return get


def _value_projection(node: _Tree) -> Getter:
    base, of_item = map(_getter, node["children"])

    def get(value: Any) -> Any:
        members = base(value)
        if type(members) is not dict:
            return None
        return [found for member in members.values() if (found := of_item(member)) is not None]

    return get


def _filter(node: _Tree) -> Getter:
    base, of_item, condition = map(_getter, node["children"])

    def get(value: Any) -> Any:
        items = base(value)
        if type(items) is not list:
            return None
        passed = [item for item in items if not _is_false(condition(item))]
        return [found for item in passed if (found := of_item(item)) is not None]

    return get


def _comparison(node: _Tree) -> Getter:
    if node["value"] not in ("eq", "ne"):
        return partial(_INTERPRETER.visit, node)
    compare, (left, right) = TreeInterpreter.COMPARATOR_FUNC[node["value"]], map(_getter, node["children"])
    word = node["children"][1]["value"] if node["children"][1]["type"] == "literal" else None
    if isinstance(word, str):  # what is compared most; only the package knows that true is not 1
        return (lambda value: left(value) == word) if node["value"] == "eq" else (lambda value: left(value) != word)
    return lambda value: compare(left(value), right(value))


def _selected_list(node: _Tree) -> Getter:
    getters = [_getter(child) for child in node["children"]]
    return lambda value: None if value is None else [getter(value) for getter in getters]


def _selected_object(node: _Tree) -> Getter:
    getters = [(child["value"], _getter(child["children"][0])) for child in node["children"]]
    return lambda value: None if value is None else {name: getter(value) for name, getter in getters}


def _flatten(node: _Tree) -> Getter:
    [base] = map(_getter, node["children"])

    def get(value: Any) -> Any:
        items = base(value)
        if type(items) is not list:
            return None
        flat: list[Any] = []
        for item in items:
            if type(item) is list:
                flat.extend(item)
            else:
                flat.append(item)
        return flat

    return get


def _or(node: _Tree) -> Getter:
    first, second = map(_getter, node["children"])

    def get(value: Any) -> Any:
        found = first(value)
        return second(value) if _is_false(found) else found

    return get


def _and(node: _Tree) -> Getter:
    first, second = map(_getter, node["children"])

    def get(value: Any) -> Any:
        found = first(value)
        return found if _is_false(found) else second(value)

    return get


def _is_false(value: Any) -> bool:
    """As JMESPath has it: 0 is true."""
    return value is None or value is False or (not value and type(value) in (str, list, dict))


def _literal(node: _Tree) -> Getter:
    constant = node["value"]
    return lambda _: constant


def _itself(_: _Tree) -> Getter:
    return lambda value: value


_COMPILED: dict[str, Callable[[_Tree], Getter]] = {
    "field": _field,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "index": _index,
    "projection": _projection,
    "flatten": _flatten,
    "value_projection": _value_projection,
    "filter_projection": _filter,
    "comparator": _comparison,
    "multi_select_list": _selected_list,
    "multi_select_dict": _selected_object,
    "or_expression": _or,
    "and_expression": _and,
    "literal": _literal,
    "identity": _itself,
    "current": _itself,
}
