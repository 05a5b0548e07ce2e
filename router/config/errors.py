"""What is wrong with a configuration, for the person who wrote it: where, in one sentence, with the line itself."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.config.faults import Fault, Span
from router.config.located_yaml import Document

_WIDEST = 110
_HIDDEN = "…"
_CONFIDENTIAL = re.compile(r"://[^/\s]*@|\bBearer |\bBasic ", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_FIRST_WORD = re.compile(r"\s*(?:-\s+)*(?:[A-Za-z_.-]{1,40}(?=[:\s]):?)?")


@dataclass(frozen=True, slots=True)
class ConfigError:
    """``excerpt`` is the line at fault, the other values in it hidden; ``words`` are the ones at fault, as far as they
    may be shown. Lines and columns count from 1. A warning leaves the configuration usable."""

    file: str
    sentence: str
    line: int | None = None
    column: int | None = None
    excerpt: str = ""
    caret: int = 0
    words: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        sentence = f"warning: {self.sentence}" if self.is_warning else self.sentence
        if self.line is None:
            return f"{self.file}: {sentence}"
        shown = f"\n    {self.excerpt}\n    {' ' * self.caret}^" if self.excerpt else ""
        return f"{self.file}:{self.line}:{self.column}: {sentence}{shown}"

    @property
    def as_json(self) -> dict[str, str | int | None]:
        return {
            "severity": "warning" if self.is_warning else "error",
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "words": self.words,
            "message": self.sentence,
        }


class ConfigErrors(Exception):
    """Everything that is wrong with one file, in the order of its lines."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def report(file: str, document: Document, faults: Iterable[Fault]) -> list[ConfigError]:
    """The faults as errors; of several at one place the first one, which is the cause of the others. What is missing
    outside of the file comes last."""
    firsts = {(fault.path or fault.span): fault for fault in reversed(list(faults))}
    ordered = sorted(firsts.values(), key=lambda fault: (fault.of_environment, _begin(fault.span), fault.is_warning))
    return list(dict.fromkeys(_error(file, document, fault) for fault in ordered))


def unreadable(file: str, text: str, fault: Fault) -> ConfigError:
    """The one error of a text that is not YAML. What is a secret in it can't be told, so only first words are shown."""
    if fault.span is None:
        return ConfigError(file, fault.sentence)
    line, column = _begin(fault.span)
    written = (text.splitlines() or [""])[line : line + 1]
    excerpt, caret = "", 0
    if written and (match := _FIRST_WORD.match(written[0])) and match[0].strip():
        hidden = "" if match.end() == len(written[0]) else f" {_HIDDEN}"
        excerpt, caret = _clipped(match[0].rstrip() + hidden, min(column, match.end() + len(hidden) - 1))
    return ConfigError(file, fault.sentence, line + 1, column + 1, excerpt, caret)


def _begin(span: Span | None) -> tuple[int, int]:
    return (span.line, span.column) if span else (0, 0)


def _error(file: str, document: Document, fault: Fault) -> ConfigError:
    line, column = _begin(fault.span)
    excerpt, caret = _excerpt(document, line, column, fault.hidden)
    words = "" if fault.hidden else _words(document, line, column)
    there, number = document.place(line)
    return ConfigError(there or file, fault.sentence, number + 1, column + 1, excerpt, caret, words, fault.is_warning)


def _words(document: Document, number: int, column: int) -> str:
    """The key or the value that begins there."""
    line = document.lines[number] if number < len(document.lines) else ""
    for token in document.tokens.get(number, []):
        begin, end = _within(token.span, number, len(line))
        if begin == column:
            text = line[begin:end].rstrip()
            return "" if _CONFIDENTIAL.search(text) else text[:_WIDEST]
    return ""


def _excerpt(document: Document, number: int, column: int, hidden: bool) -> tuple[str, int]:
    """The line with its keys and the value at fault, since others may be secret; and where ``column`` is in it."""
    if number >= len(document.lines):
        return "", 0
    line, shown, done, caret = document.lines[number], "", 0, None
    for token in document.tokens.get(number, []):
        begin, end = _within(token.span, number, len(line))
        text = line[begin:end]
        if done <= column < begin:
            caret = len(shown) + column - done
        shown += line[done:begin]
        if begin == column:
            caret = len(shown)
        visible = token.is_key or (begin == column and not hidden and not _CONFIDENTIAL.search(text))
        shown += text if visible or not text else _HIDDEN
        done = end
    caret = len(shown) + column - done if caret is None else caret
    return _clipped((shown + _COMMENT.sub("", line[done:])).rstrip(), caret)


def _within(span: Span, number: int, width: int) -> tuple[int, int]:
    return (span.column if span.line == number else 0), (span.end_column if span.end_line == number else width)


def _clipped(text: str, caret: int) -> tuple[str, int]:
    indent = len(text) - len(text.lstrip())
    text, caret = text[indent:], max(0, caret - indent)
    if caret > _WIDEST // 2:
        text, caret = _HIDDEN + text[caret - _WIDEST // 2 :], _WIDEST // 2 + 1
    return (text if len(text) <= _WIDEST else text[:_WIDEST] + _HIDDEN), min(caret, len(text))
