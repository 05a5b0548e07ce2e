"""What is wrong with a template, for someone who never read the manual of Jinja."""

import inspect
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import nodes

from router.wording import quoted

_DIRECTIVE = re.compile(r"%(-?[a-zA-Z%])?")
_DIRECTIVES = frozenset("aAbBdeFGHIjmMpRSTuUVwWxXyYzZc%")


def misuse(node: nodes.Filter, known: inspect.Signature, given: int) -> str | None:
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
    if "%" not in form:
        return f"{quoted(form)} has no part of a date in it; write for example %d.%m.%Y or %H:%M"
    for match in _DIRECTIVE.finditer(form):
        if (match[1] or "")[-1:] not in _DIRECTIVES or not match[1]:
            return f"{quoted(match[0])} is no part of a date; write for example %d.%m.%Y or %H:%M"
    try:
        datetime(2026, 1, 2, tzinfo=UTC).strftime(form)
    except (ValueError, UnicodeError):
        return f"{quoted(form)} is no form of a date; write for example %d.%m.%Y or %H:%M"
    return None


def in_line(sentence: str, text: str, line: int, written: str = "") -> str:
    """Where in the template it is, as far as Jinja and a look at the line can tell."""
    lines = text.splitlines()
    column = lines[line - 1].find(written) + 1 if written and 0 < line <= len(lines) else 0
    where = [f"line {line}"] * (len(lines) > 1) + [f"column {column}"] * (column > 0)
    return f"{sentence} ({' '.join(where)} of the text)" if where else sentence


def word_of(node: nodes.Node) -> str:
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


def plain(message: str) -> str:
    """What Jinja says, for someone who never read its manual."""
    if match := re.search(r"unknown tag '(\w+)'", message):
        if match[1].startswith("end") or match[1] in ("else", "elif"):
            return f"{{% {match[1]} %}} stands here without its {{% if %}} or {{% for %}} before it"
        return f"there is no {{% {match[1]} %}}; a template has {{% if %}} and {{% for %}}"
    return next((words for cause, words in _CAUSES if cause in message), f"this can't be read: {message}")
