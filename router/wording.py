"""Words for people: the nearest known name, lists of names, values as they are written in YAML."""

import json
from collections.abc import Iterable
from difflib import get_close_matches

_SHORTENED = 4
"""Letters that are enough to tell a name by its beginning, where only one begins like that."""

OF_ITS_OWNER = "of_its_owner"
"""The kind of a pydantic error whose sentence goes on after the name of the source or sink that has the setting."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that ``word`` most likely stands for, whatever its case."""
    by_lower = {name.lower(): name for name in known}
    lower = word[:100].lower()
    close = get_close_matches(lower, by_lower, n=1, cutoff=0.6)
    if not close and len(lower) >= _SHORTENED:
        close = [name for name in by_lower if name.startswith(lower)]
    return by_lower[close[0]] if len(close) == 1 else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence; empty where nothing known is near."""
    close = nearest(word, known)
    return f'; did you mean "{close}"?' if close else ""


def listed(words: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    *front, end = list(words) or ["nothing"]
    return f"{', '.join(front)} {last} {end}" if front else end


def quoted(value: object) -> str:
    """A value as YAML writes it, short enough for a sentence."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"
