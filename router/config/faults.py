"""What can be wrong in a text, and where; and what the parser of YAML says of it, in plain words."""

from dataclasses import dataclass
from typing import TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of the file to a value."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where something stands; lines and columns from 0, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, in one sentence. ``hidden``: the text at that place must not be shown.

    ``is_warning``: the configuration can be used as it is.
    """

    sentence: str
    span: Span | None = None
    path: Path | None = None
    hidden: bool = False
    is_warning: bool = False


class Unreadable(Exception):
    """The text is not YAML, or not YAML that a configuration may be."""

    def __init__(self, sentence: str, span: Span | None = None) -> None:
        super().__init__(sentence)
        self.fault = Fault(sentence, span)


_CAUSES = {
    "alphabetic or numeric": "a text that begins with * or & must be in quotes",
    "mapping values are not allowed": "this colon is not expected: the line above may lack its own colon or the blank "
    "after it, or this line is indented too far",
    "could not find expected ':'": "a key without its colon; write it as key: value",
    "end of stream": "this quote is not closed; add the same quote at the end of the text",
    "document indicator": "this quote is not closed; add the same quote at the end of the text",
    "',' or ']'": "a list that begins with [ is not closed, or a comma is missing",
    "',' or '}'": "a { is not closed, or a comma is missing",
    "escape character": "a \\ in double quotes has a meaning of its own; use single quotes",
    "'-' indicator": "the lines above make a list, so this one must begin with a dash too, or be indented differently",
    "expected key": "this line does not fit the ones above; begin it exactly below the first letter of the line "
    "that it belongs with",
    "<document start>": "this line begins further left than the first one; begin both in the first column",
    "node content": "a value was expected here; put the text in quotes",
    "comment or line break": "a text that begins with > or | must be in quotes",
    "tag": "a text that begins with ! must be in quotes",
    "directive": "a text that begins with % must be in quotes",
}


def syntax_fault(error: yaml.MarkedYAMLError, lines: list[str]) -> Unreadable:
    """What the parser of YAML says, for someone who never read its specification."""
    problem = error.problem or ""
    began_before = any(cause in problem for cause in ("end of stream", "',' or", "alphabetic or numeric"))
    mark = (error.context_mark if began_before else None) or error.problem_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    text = lines[line] if line < len(lines) else ""
    return Unreadable(_sentence(problem, text[:column], text[column:]), Span(line, column, line, column + 1))


def _sentence(problem: str, before: str, after: str) -> str:
    if after.startswith("\t"):
        return "there is a tab here; indent with spaces only"
    if "cannot start any token" in problem:
        return f"a text that begins with {after[:1]} must be in quotes"
    if "mapping values" in problem and ": " in before:
        return "a text that holds a colon must be in quotes"
    problem = problem.replace("expected <block end>", "expected key")  # how the parser without C says the same
    if "expected key" in problem and before.strip():
        return "nothing may follow a closed quote or bracket; put the whole text in quotes, or remove what follows"
    causes = (words for cause, words in _CAUSES.items() if cause in problem)
    return next(causes, f"YAML can't read this: {problem}")
