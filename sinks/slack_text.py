"""Text from outside, made fit for Slack: visible, on one line, and of no effect there."""

import re
import unicodedata

from router.templates import Target

_JOINER = "\N{ZERO WIDTH JOINER}"
_JOINERS = f"{_JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Invisible, but parts of emoji and of Persian and Indic names."""

_HIDDEN = {"Cc", "Cf", "Cs"}
_SKIN_TONES = range(0x1F3FB, 0x1F400)

_LONGEST_VALUE = 1000
_LOOKALIKES = str.maketrans("*_~`", "\u2217\uff3f\u223c\u02cb")
_FORMATS = re.compile(r"(?<![^\W_])[*_~`]+|[*_~`]+(?![^\W_])")
_EMOJI = re.compile(r":(?=(?!\d\d:)[\w+'-]+:)")
_HALF = re.compile(r"(<[^<>]*|&[a-z]{0,3})$")


def cleaned(text: str | None, longest: int = 150) -> str:
    """One short line of visible characters; empty where none is left.

    Without characters that turn the direction of what follows, and never cut inside what is read as one character.
    """
    kept = (char for char in text or "" if char.isspace() or char in _JOINERS or _is_visible(char))
    line = " ".join("".join(kept).split())
    if not line.strip(f"{_JOINERS} "):
        return ""
    if len(line) <= longest:
        return line
    end = longest - 1
    while end > 1 and (_continues(line[end]) or line[end - 1] == _JOINER):
        end -= 1
    return f"{line[:end].rstrip()}…"


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in _HIDDEN


def _continues(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char).startswith("M") or ord(char) in _SKIN_TONES


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, most: int) -> str:
    """Mrkdwn of at most so many UTF-16 units, never cut inside a link or an escaped character."""
    units = text.encode("utf-16-le", errors="ignore")
    if len(units) <= 2 * most:
        return text
    return _HALF.sub("", units[: 2 * most - 2].decode("utf-16-le", errors="ignore")).rstrip() + "\u2026"


def _in_mrkdwn(text: str) -> str:
    """A value that formats nothing: what would is replaced by its likes, except inside a word, where it does not."""
    plain = _EMOJI.sub("\ua789", cleaned(text, _LONGEST_VALUE))
    plain = _FORMATS.sub(lambda found: found[0].translate(_LOOKALIKES), plain)
    return escaped(f"\u203a{plain[1:]}" if plain.startswith(">") else plain)


def _link(url: str, words: str) -> str:
    return f"<{escaped(url)}|{_in_mrkdwn(words) or escaped(url)}>"


def _in_channel(text: str) -> str:
    """As channels' names are: small letters, digits, hyphens; an id stays as it is."""
    if CHANNEL_ID.fullmatch(text.strip()):
        return text.strip()
    return re.sub(r"[^\w-]+", "-", text.casefold()).strip("-")


CHANNEL_ID = re.compile(r"[CDGU][A-Z0-9]{8,}")
MEMBER_ID = re.compile(r"[UW][A-Z0-9]{7,}")
MRKDWN = Target("slack", _in_mrkdwn, _link, "<@{}>".format)
CHANNEL = Target("channel", _in_channel, lambda _, words: _in_channel(words))

TOKEN_REFUSED = frozenset({"not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"})
"""Errors of the Web API that say that the token is no good, whatever is asked with it."""
