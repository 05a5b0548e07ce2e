"""Expressions of mappings: they say what jmespath says, and a mistake is told where it is."""

from contextlib import suppress
from typing import Any

import jmespath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from handlers.expressions import EACH, BadExpression, expression, put

NAMES = st.sampled_from(["a", "b", "c", '"a"', '"d-e"'])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b", 0.0, 1.5])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "d-e"]), inner),
    max_leaves=20,
)


def _longer(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, NAMES).map(".".join),
        st.tuples(inner, st.sampled_from(["[0]", "[-1]", "[2]", "[]", "[*]", ".*", "[1:]", "[::-1]"])).map("".join),
        st.tuples(inner, NAMES).map(lambda parts: f"{parts[0]}[].{parts[1]}"),
        st.tuples(inner, NAMES).map(lambda parts: f"{parts[0]}.*.{parts[1]}"),
        two.map(" || ".join),
        two.map(" && ".join),
        two.map(" | ".join),
        two.map(" == ".join),
        two.map(lambda parts: f"({parts[0]}) != ({parts[1]})"),
        two.map(lambda parts: f"({parts[0]}) < ({parts[1]})"),
        two.map(lambda parts: f"{parts[0]}[?{parts[1]}]"),
        two.map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
        two.map(lambda parts: f"@.{{x: {parts[0]}, y: {parts[1]}}}"),
        two.map(lambda parts: f"not_null({parts[0]}, {parts[1]})"),
        inner.map("!({})".format),
        inner.map("length({})".format),
        inner.map("sort_by(@, &{})".format),
    )


EXPRESSIONS = st.recursive(
    NAMES | st.sampled_from(["@", "'a'", "`0`", "`[]`", "[]", "*", "[0]"]), _longer, max_leaves=6
)


def _outcome(find: Any, value: object) -> object:
    try:
        return find(value)
    except Exception as error:
        return type(error)


@given(text=EXPRESSIONS, value=VALUES)
@example("a[].b", {"a": [[{"b": 1}], {"b": None}, 3]})
@example("a.b[*][0]", {"a": {"b": [[1], [], 2]}})
@example("a || b", {"a": 0, "b": 1})
@example("a[-1]", {"a": []})
@example("a[?b == `0`]", {"a": [{"b": False}, {"b": 0}]})
def test_an_expression_finds_what_jmespath_finds(text: str, value: object) -> None:
    try:
        found = jmespath.compile(text)
    except JMESPathError:
        with pytest.raises(BadExpression):
            expression(text)
        return
    assert repr(_outcome(expression(text).get, value)) == repr(_outcome(found.search, value))


@given(text=st.text("ab.[]*?&|!@(){},:'\"`0-=< $é\\", max_size=12))
def test_any_text_is_an_expression_or_is_told_to_be_none(text: str) -> None:
    with suppress(BadExpression):
        expression(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "this expression is empty, or ends too early"),
        ("a[?b", 'this expression ends too early; something is missing after "a[?b"'),
        ("data..id", 'this is not expected at character 6: ".id"'),
        ("$.id", 'this is not expected at character 1: "$.id"; write data.id, not $.data.id'),
        ("a.'b'", "this is not expected at character 3: \"'b'\"; is the quote closed?"),
        ("é", 'this is not expected at character 1: "é"; a name that is not only letters, digits and _ stands in double'
              ' quotes: data."first-name"'),
        ("`word`", "in ` ` stands JSON; a fixed word is written in single quotes: 'word'"),
        ("joni(a)", 'there is no function "joni"; did you mean "join"?'),
        ("join(a)", "the function join takes 2 values, not 1"),
        ("length(a, b)", "the function length takes 1 value, not 2"),
        ("not_null()", "the function not_null takes 1 or more values, not 0"),
        ("a[?contains(@)]", "the function contains takes 2 values, not 1"),
        ("&a", "& stands only in map, max_by, min_by and sort_by"),
        ("[to_array(&a)]", "& stands only in map, max_by, min_by and sort_by"),
        ("(" * 1500 + "a", "this expression is nested too deeply"),
        ("a" * 2001, "an expression has at most 2000 characters"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_place(text: str, problem: str) -> None:
    with pytest.raises(BadExpression) as bad:
        expression(text)
    assert str(bad.value) == problem


@pytest.mark.parametrize("text", ["sort_by(a, &b)", "map(&b, a)", "max_by(a, &b).c", "a | min_by(@, &b)"])
def test_references_stand_where_a_function_takes_them(text: str) -> None:
    value = {"a": [{"b": 2, "c": 1}, {"b": 1}]}
    assert expression(text).get(value) == jmespath.search(text, value)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a.b.c", ("a", "b", "c")),
        ("a[0].b", ("a", 0, "b")),
        ("a[].b", ("a", EACH, "b")),
        ("a[*].b", ("a", EACH, "b")),
        ("a || b", ("a",)),
        ("a.b | @", ("a", "b")),
        ("a[-1]", None),
        ("a[?b]", None),
        ("a.*", None),
        ("'a'", None),
        ("join(',', a)", None),
        ("a[1:]", None),
    ],
)
def test_a_path_is_known_by_its_steps(text: str, steps: object) -> None:
    assert expression(text).steps == steps


def test_a_value_is_put_where_the_path_finds_it() -> None:
    whole: object = None
    for text, value in {"a.b": 1, "a.c[].d": "x", "e[0]": 2, "e[1].f": 3}.items():
        steps = expression(text).steps
        assert steps is not None
        whole = put(whole, steps, value)
    assert whole == {"a": {"b": 1, "c": [{"d": "x"}]}, "e": [2, {"f": 3}]}
    assert put(whole, (), 5) == 5


@pytest.mark.parametrize("steps", [("a", "b", "c"), ("a", "b", 0), ("a", 0), ("e", "x"), ("e", 2)])
def test_nothing_is_put_where_something_else_is(steps: tuple[str | int | None, ...]) -> None:
    with pytest.raises(ValueError, match="in the way"):
        put({"a": {"b": 1}, "e": [1]}, steps, 2)
