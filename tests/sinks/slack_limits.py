"""What Slack accepts, and what no text from outside may do there: a validator of the messages that this sink makes.

The limits are those of https://docs.slack.dev/reference/block-kit; lengths are counted in UTF-16 units, which is the
strictest way.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

ALL_BLOCKS = 10_000
"""Slack refuses about 13,200 characters over all blocks (`msg_blocks_too_long`), which is not documented."""

_ARGUMENTS = {"text", "blocks", "mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media", "metadata"}
_OUR_DATE = re.compile(r"<!date\^\d+\^\{date_short_pretty\} at \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>")
_ENTITY_FREE = re.compile(r"&(?!(amp|lt|gt);)")
_LINK_TEXTS = {"Open application", "Open candidate", "Open job"}
_JOINERS = "\u200c\u200d"


def check_message(message: dict[str, Any]) -> None:
    assert set(message) <= _ARGUMENTS
    assert (message["parse"], message["mrkdwn"], message["link_names"]) == ("none", False, False)
    assert (message["unfurl_links"], message["unfurl_media"]) == (False, False)
    _check_text(message["text"], 4000)
    assert "<" not in message["text"]
    assert ">" not in message["text"]
    assert not _ENTITY_FREE.search(message["text"])
    assert "\n" not in message["text"]
    assert 1 <= len(message["blocks"]) <= 50
    assert sum(_length(text) for text in texts(message["blocks"])) <= ALL_BLOCKS
    for block in message["blocks"]:
        _CHECKS[block["type"]](block)


def texts(value: object) -> Iterator[str]:
    """Every text that people see."""
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("text", "fallback") and isinstance(item, str):
                yield item
            else:
                yield from texts(item)


def _check_rich_text(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "elements"}
    assert block["elements"]
    for section in block["elements"]:
        assert set(section) == {"type", "elements"}
        assert section["type"] == "rich_text_section"
        assert section["elements"]
        for element in section["elements"]:
            _ELEMENTS[element["type"]](element)


def _check_rich_text_text(element: dict[str, Any]) -> None:
    assert set(element) <= {"type", "text", "style"}
    assert all(value is True for value in element.get("style", {"bold": True}).values())
    assert set(element.get("style", {"bold": True})) <= {"bold", "code"}
    if element["text"] not in ("\n", " "):
        _check_text(element["text"], 3000)


def _check_link(element: dict[str, Any]) -> None:
    assert set(element) == {"type", "url", "text"}
    assert element["text"] in _LINK_TEXTS
    assert re.fullmatch(r"https?://[A-Za-z0-9.:-]+([/?#][!-~]*)?", element["url"])
    assert not set(element["url"]) & set('<>|"`')
    assert _length(element["url"]) <= 3000


def _check_date(element: dict[str, Any]) -> None:
    assert set(element) == {"type", "timestamp", "format", "fallback"}
    assert type(element["timestamp"]) is int
    assert element["timestamp"] > 0
    assert element["format"] in ("{date_short_pretty} at {time}", "{time}")
    _check_text(element["fallback"], 100)


def _check_context(block: dict[str, Any]) -> None:
    assert set(block) == {"type", "elements"}
    assert 1 <= len(block["elements"]) <= 10
    for element in block["elements"]:
        if element["type"] == "mrkdwn":
            assert set(element) == {"type", "text", "verbatim"}
            assert element["verbatim"] is True
            assert _OUR_DATE.fullmatch(element["text"]), "nothing from outside stands in mrkdwn"
        else:
            assert set(element) == {"type", "text", "emoji"}
            assert (element["type"], element["emoji"]) == ("plain_text", False)
            _check_text(element["text"], 3000)


def _check_text(text: str, most: int) -> None:
    assert text.strip(f" {_JOINERS}"), "Slack refuses an empty text"
    assert _length(text) <= most
    hidden = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert hidden <= set(_JOINERS)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def _check_section(block: dict[str, Any]) -> None:
    """The author's mrkdwn: only what is written as a link is one, and nothing of it is in the notification."""
    assert set(block) == {"type", "text"}
    assert set(block["text"]) == {"type", "text", "verbatim"}
    assert (block["text"]["type"], block["text"]["verbatim"]) == ("mrkdwn", True)
    for line in block["text"]["text"].splitlines():
        if line.strip():
            _check_text(line, 3000)
    assert 0 < _length(block["text"]["text"]) <= 3000
    assert not _ENTITY_FREE.search(block["text"]["text"])


_CHECKS = {"rich_text": _check_rich_text, "context": _check_context, "section": _check_section}
_ELEMENTS = {"text": _check_rich_text_text, "link": _check_link, "date": _check_date}
