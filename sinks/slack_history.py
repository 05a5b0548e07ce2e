"""Whether a message is in a channel already: its history, read no further than needed and kept for who asks next.

What Slack answers: https://docs.slack.dev/reference/methods/conversations.history
"""

import asyncio
import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from router.client import Answer, Client, NoAnswer
from sinks.base import Outcome, Result
from sinks.slack_text import CHANNEL_ID, TOKEN_REFUSED

EVENT_TYPE = "ats_router_delivery"
"""Of the metadata that our messages carry."""

PAGE = 15
"""Messages that are asked for at once: apps that are distributed outside of Slack's Marketplace get no more, once a
minute. https://api.slack.com/changelog/2025-05-terms-rate-limit-update-and-faq"""

LAGS_SECONDS = 5.0
"""A message may be posted so long before the history shows it. Not documented; seen by others."""

CLOCKS_DIFFER_SECONDS = 60.0
"""Slack's clock and ours at most."""

ASK_AGAIN_SECONDS = 10.0
RATE_LIMITED_SECONDS = 60.0
"""Until the next question, where Slack fails, and where it does not say how long it wants to be left alone."""

FORGET_SECONDS = 3600.0
"""What was read of a channel is forgotten when nobody asked for so long."""

_CHANNELS_PAGE = 200
_READ = 4 * 1024 * 1024
_TS = re.compile(r"\d{1,12}\.\d{1,9}", re.ASCII)
_SCOPE = "metadata.message:read"
_RATE_LIMITED = {"ratelimited", "rate_limited"}
_STALE_CURSOR = "invalid_cursor"
_PASSES = {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "garbage", _STALE_CURSOR}


class NotNow(Exception):
    """It can't be told now; ``outcome`` says why and until when."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class NotAtAll(Exception):
    """It can't be told by this app: it may not read there. ``reason`` is Slack's word for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = f"look_up_{reason}"


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message is."""

    channel: str
    ts: str


@dataclass(slots=True)
class _Reading:
    """From the newest message back to ``oldest``, page by page. It may be broken off and go on later."""

    oldest: float
    began: float
    newest: float
    cursor: str = ""


@dataclass(slots=True)
class _Channel:
    """``seen`` has the keys of all our messages from ``oldest`` (by Slack's clock) on that were there at ``until`` (by
    the monotonic one)."""

    seen: dict[str, str] = field(default_factory=dict)
    oldest: float = math.inf
    newest: float = 0.0
    until: float = -math.inf
    reading: _Reading | None = None
    asked: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def covers(self, oldest: float, asked: float) -> bool:
        return self.oldest <= oldest and self.until >= asked

    def begin(self, oldest: float) -> _Reading:
        """Only what came since the last time, unless older ones are wanted."""
        if self.oldest <= oldest:
            oldest = max(self.oldest, self.newest - LAGS_SECONDS)
        return _Reading(oldest, time.monotonic(), self.newest)

    def end(self, reading: _Reading) -> None:
        self.oldest = min(self.oldest, reading.oldest)
        self.newest, self.until, self.reading = reading.newest, reading.began, None


class Histories:
    """The channels that one bot can read. All who ask at the same time share what is read, and the limits of it."""

    def __init__(self, client: Client, api_url: str, token: str, timeout: float) -> None:
        self._client = client
        self._api_url = api_url
        self._timeout = timeout
        self._headers = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Bearer {token}"}
        self._ids: dict[str, str] = {}
        self._naming = asyncio.Lock()
        self._channels: dict[str, _Channel] = {}
        self._failure = Outcome(Result.RETRY, "")
        self._again_at = -math.inf

    async def find(self, channel: str, key: str, since: float) -> Posted | None:
        """The message with this key in a channel, by its ``#name`` or id, of those posted after ``since`` (unix
        seconds, by our clock).

        Raises:
            NotNow: Slack fails, or wants to be left alone, or it takes too long; what was read so far is kept.
            NotAtAll: the app lacks a scope, or is not in the channel.
        """
        asked, oldest = time.monotonic(), since - CLOCKS_DIFFER_SECONDS
        identifier = channel if CHANNEL_ID.fullmatch(channel) else await self._id_of(channel, asked)
        known = self._remembered(identifier, asked)
        async with known.lock:
            while key not in known.seen and not known.covers(oldest, asked):
                await self._read_on(identifier, known, oldest)
                self._check_time(asked)
        return Posted(identifier, known.seen[key]) if key in known.seen else None

    def _check_time(self, asked: float) -> None:
        if time.monotonic() > asked + self._timeout:
            raise NotNow(Outcome(Result.RETRY, "look_up_unfinished", only_here=True))

    def _remembered(self, channel: str, now: float) -> _Channel:
        self._channels = {name: one for name, one in self._channels.items() if one.asked > now - FORGET_SECONDS}
        known = self._channels.setdefault(channel, _Channel())
        known.asked = now
        return known

    async def _read_on(self, identifier: str, known: _Channel, oldest: float) -> None:
        """One page more."""
        if known.reading is None:
            known.reading = known.begin(oldest)
        reading = known.reading
        try:
            told = await self._ask(
                "conversations.history",
                "messages",
                channel=identifier,
                oldest=f"{reading.oldest:.6f}",
                inclusive="true",
                include_all_metadata="true",
                limit=str(PAGE),
                cursor=reading.cursor,
            )
        except NotNow as failure:
            if failure.outcome.reason == f"look_up_{_STALE_CURSOR}":
                known.reading = None
            raise
        for message in _dicts(told, "messages"):
            if isinstance(ts := message.get("ts"), str) and _TS.fullmatch(ts):
                reading.newest = max(reading.newest, float(ts))
                if (key := _key(message)) is not None:
                    known.seen[key] = ts
        reading.cursor = _next_cursor(told)
        if not reading.cursor:
            known.end(reading)

    async def _id_of(self, name: str, asked: float) -> str:
        """Of the channels that the bot is in, as it can't read others.

        https://docs.slack.dev/reference/methods/users.conversations
        """
        async with self._naming:
            cursor = ""
            while name not in self._ids:
                told = await self._ask(
                    "users.conversations",
                    "channels",
                    types="public_channel,private_channel",
                    limit=str(_CHANNELS_PAGE),
                    cursor=cursor,
                )
                for channel in _dicts(told, "channels"):
                    if isinstance(identifier := channel.get("id"), str):
                        self._ids[f"#{channel.get('name')}"] = identifier
                if not (cursor := _next_cursor(told)) and name not in self._ids:
                    raise NotAtAll("not_in_channel")
                self._check_time(asked)
            return self._ids[name]

    async def _ask(self, method: str, wanted: str, **arguments: str) -> dict[str, Any]:
        """One page of what a method lists as ``wanted``, unless one failed just now."""
        if (wait := self._again_at - time.monotonic()) > 0:
            raise NotNow(replace(self._failure, retry_after=wait))
        try:
            answer = await self._client.request(
                "POST",
                f"{self._api_url}/{method}",
                body=urlencode({name: value for name, value in arguments.items() if value}).encode(),
                headers=self._headers,
                timeout=self._timeout,
                keep=_READ,
            )
        except NoAnswer as failure:
            raise self._later(
                Outcome(Result.RETRY, f"look_up_{failure.reason}", retry_after=ASK_AGAIN_SECONDS)
            ) from None
        told = told_by(answer) or {}
        goes_on = told.get("has_more") is not True or _next_cursor(told)
        if answer.status == 200 and told.get("ok") is True and isinstance(told.get(wanted), list) and goes_on:
            if _SCOPE not in answer.headers.get("x-oauth-scopes", _SCOPE):
                raise NotAtAll("missing_scope")
            return told
        raise self._failed(answer, told.get("error"))

    def _failed(self, answer: Answer, error: object) -> NotNow | NotAtAll:
        word = "garbage" if answer.status < 300 else f"http_{answer.status}"
        if isinstance(error, str) and error.isidentifier():
            word = error[:64]
        reason, wait = f"look_up_{word}", answer.retry_after
        if answer.status == 429 or word in _RATE_LIMITED:
            # The limit of reading says nothing of posting, so it slows nothing else down.
            wait = RATE_LIMITED_SECONDS if wait is None else wait
            return self._later(Outcome(Result.RETRY, reason, 429, retry_after=wait, only_here=True))
        if answer.status >= 500 or word in _PASSES:
            return self._later(Outcome(Result.RETRY, reason, answer.status, retry_after=wait or ASK_AGAIN_SECONDS))
        if word in TOKEN_REFUSED:
            return NotNow(Outcome(Result.REFUSED, word, answer.status))
        return NotAtAll(word)

    def _later(self, outcome: Outcome) -> NotNow:
        self._failure, self._again_at = outcome, time.monotonic() + (outcome.retry_after or 0.0)
        return NotNow(outcome)


def told_by(answer: Answer) -> dict[str, Any] | None:
    """What a method of the Web API answers; None: no object of JSON."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _dicts(told: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    return (one for one in told[name] if isinstance(one, dict))


def _next_cursor(told: dict[str, Any]) -> str:
    metadata = told.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return cursor if isinstance(cursor, str) else ""


def _key(message: dict[str, Any]) -> str | None:
    """The delivery that a message is of; None: none of ours."""
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
        return None
    payload = metadata.get("event_payload")
    key = payload.get("delivery_key") if isinstance(payload, dict) else None
    if not isinstance(key, str):
        raise NotAtAll("missing_scope")  # Slack tells the type of what it does not let us read
    return key
