"""What can be wrong in a text, and where; and what the parser of YAML says of it, in plain words."""

import re
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

    ``is_warning``: the configuration can be used as it is. ``of_environment``: the file is right, and a value
    outside of it is missing; who writes rules may not have it.
    """

    sentence: str
    span: Span | None = None
    path: Path | None = None
    hidden: bool = False
    is_warning: bool = False
    of_environment: bool = False


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


_BEGUN = re.compile(r"\s*(?:- )?(when|unless|any|all|not|fields):\s+\S")
_NOTICED_LATER = ("mapping values are not allowed", "could not find expected ':'")
_LOOKED_ABOVE = 3
_SLIPS = (
    (re.compile(r"\s*(-)[A-Za-z_]\w*:.*"), "a blank is missing behind this dash: - name: ..."),
    (
        re.compile(r"\s*(?:- +)?([A-Za-z_][\w.]*:)(?!//)[^\s:].*"),
        "a blank is missing behind this colon, as in event: StageChanged",
    ),
    (
        re.compile(r"\s*(?:- +(?=name\b|when\b|unless\b|send_to\b)|(?!-))([A-Za-z_][\w.]*)(?: +[^:]*)?"),
        "a colon is missing behind this word, as in event: StageChanged",
    ),
)
"""How a line looks that lacks what makes it a key with its value; the group is where to look."""


def syntax_fault(error: yaml.MarkedYAMLError, lines: list[str]) -> Unreadable:
    """What the parser of YAML says, for someone who never read its specification."""
    problem = error.problem or ""
    if any(cause in problem for cause in _NOTICED_LATER) and (earlier := _cause_above(problem, lines, error)):
        return earlier
    began_before = any(cause in problem for cause in ("end of stream", "',' or", "alphabetic or numeric"))
    mark = (error.context_mark if began_before else None) or error.problem_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    text = lines[line] if line < len(lines) else ""
    return Unreadable(_sentence(problem, text[:column], text[column:]), Span(line, column, line, column + 1))


def _cause_above(problem: str, lines: list[str], error: yaml.MarkedYAMLError) -> Unreadable | None:
    """YAML goes on reading a text until it makes no sense, so what is wrong often stands some lines further up."""
    mark = error.problem_mark
    if mark is None or ("mapping values" in problem and ": " in lines[mark.line][: mark.column]):
        return None
    above = [number for number in range(mark.line - 1, -1, -1) if lines[number].split("#")[0].strip()]
    for number in above[:_LOOKED_ABOVE]:
        for pattern, sentence in _SLIPS:
            if match := pattern.fullmatch(lines[number].rstrip()):
                return Unreadable(sentence, Span(number, match.start(1), number, match.end(1)))
    return None


def _sentence(problem: str, before: str, after: str) -> str:
    if after.startswith("\t"):
        return "there is a tab here; indent with spaces only"
    if "cannot start any token" in problem:
        return f"a text that begins with {after[:1]} must be in quotes"
    if "mapping values" in problem and (begun := _BEGUN.match(before)):
        return f"what belongs to {begun[1]} begins on the next line, indented further, one condition a line"
    if "mapping values" in problem and ": " in before:
        return "a text that holds a colon must be in quotes"
    problem = problem.replace("expected <block end>", "expected key")  # how the parser without C says the same
    if "expected key" in problem and before.strip():
        return "nothing may follow a closed quote or bracket; put the whole text in quotes, or remove what follows"
    causes = (words for cause, words in _CAUSES.items() if cause in problem)
    return next(causes, f"YAML can't read this: {problem}")
