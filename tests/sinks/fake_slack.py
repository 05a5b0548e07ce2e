"""Slack's Web API and incoming webhooks, as far as they are documented, on a loopback port."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.sinks.slack_limits import check_message
from tests.sinks.target import Behaviour, Seen, Target, answers

TOKEN = "xoxb-1234-5678-S3CRET"
MOST_MESSAGES = 15
"""For an app that is distributed outside of Slack's Marketplace."""


@dataclass
class Channel:
    """``messages`` from the oldest to the newest, each with its `ts`; the bot is a member unless told otherwise."""

    id: str
    private: bool = False
    member: bool = True
    messages: list[dict[str, Any]] = field(default_factory=list)


class FakeSlack(Target):
    """Answers as Slack does to what it gets; knows one token and some channels.

    ``instead`` and ``after``: how the next calls of a method are treated in place of being worked on, or in place of
    the answer once they were. ``ahead``: seconds that its clock is before ours.
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.posted: list[dict[str, Any]] = []
        self.channels = {"hiring": Channel("C0123456789"), "leads": Channel("C0000000002", private=True)}
        self.scopes = {"chat:write", "channels:history", "groups:history", "channels:read", "groups:read"}
        self.scopes.add("metadata.message:read")
        self.instead: dict[str, list[Behaviour | None]] = {}
        self.after: dict[str, list[Behaviour]] = {}
        self.ahead = 0.0
        self.channels_page = 200

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, method: str) -> list[Seen]:
        return [request for request in self.seen if request.line == f"POST /api/{method} HTTP/1.1"]

    def say(self, name: str, metadata: dict[str, Any] | None = None) -> str:
        """A message of somebody else; its time."""
        channel = self.channels[name]
        last = float(channel.messages[-1]["ts"]) if channel.messages else 0.0
        ts = f"{max(time.time() + self.ahead, last + 0.00001):.6f}"
        channel.messages.append({"type": "message", "ts": ts, **({"metadata": metadata} if metadata else {})})
        return ts

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        request = self.seen[-1]
        if request.line == "POST /services/T1/B1/S3CRET HTTP/1.1":
            await self._treat("webhook", lambda: self._take(self._json(request)), writer)
            return
        method = request.line.removeprefix("POST /api/").removesuffix(" HTTP/1.1")
        await self._treat(method, lambda: json.dumps(self._api(method, request)).encode(), writer)

    async def _treat(self, method: str, work: Callable[[], bytes], writer: asyncio.StreamWriter) -> None:
        if self.instead.get(method) and (behave := self.instead[method].pop(0)) is not None:
            await behave(writer)
            return
        answer = answers(200, work(), x_oauth_scopes=",".join(sorted(self.scopes)))
        await (self.after[method].pop(0) if self.after.get(method) else answer)(writer)

    def _json(self, request: Seen) -> dict[str, Any]:
        assert request.header("content-type") == "application/json; charset=utf-8"
        arguments = json.loads(request.body)
        assert isinstance(arguments, dict)
        return arguments

    def _take(self, message: dict[str, Any]) -> bytes:
        check_message(message)
        self.posted.append(message)
        return b"ok"

    def _api(self, method: str, request: Seen) -> dict[str, Any]:
        authorization = request.header("authorization")
        if authorization is None:
            return _error("not_authed")
        if authorization != f"Bearer {TOKEN}":
            return _error("invalid_auth")
        if method == "chat.postMessage":
            return self._post(self._json(request))
        assert request.header("content-type") == "application/x-www-form-urlencoded"
        arguments = dict(parse_qsl(request.body.decode(), strict_parsing=True))
        return {"conversations.history": self._history, "users.conversations": self._member_of}[method](arguments)

    def _post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wanted = arguments.pop("channel", None)
        for name, channel in self.channels.items():
            if wanted in (f"#{name}", channel.id):
                self._take(arguments)
                ts = self.say(name, arguments.get("metadata"))
                echo = {"type": "message", "bot_id": "B1", **arguments}
                return {"ok": True, "channel": channel.id, "ts": ts, "message": echo}
        return _error("channel_not_found")

    def _history(self, arguments: dict[str, str]) -> dict[str, Any]:
        channel = next((one for one in self.channels.values() if one.id == arguments["channel"]), None)
        if channel is None or (channel.private and not channel.member):
            return _error("channel_not_found")
        if (needed := "groups:history" if channel.private else "channels:history") not in self.scopes:
            return _error("missing_scope", needed=needed)
        if not channel.member:
            return _error("not_in_channel")
        oldest = float(arguments.get("oldest", "0"))
        until = float(arguments.get("cursor", "inf").removeprefix("before:"))
        found = [one for one in reversed(channel.messages) if oldest <= float(one["ts"]) < until]
        page = found[: min(int(arguments["limit"]), MOST_MESSAGES)]
        more = len(found) > len(page)
        return {
            "ok": True,
            "messages": [self._shown(one, arguments) for one in page],
            "has_more": more,
            **({"response_metadata": {"next_cursor": f"before:{page[-1]['ts']}"}} if more else {}),
        }

    def _shown(self, message: dict[str, Any], arguments: dict[str, str]) -> dict[str, Any]:
        """Without being asked, and allowed, Slack tells the type of metadata only (slackapi/python-slack-sdk#1501)."""
        if "metadata" not in message:
            return message
        if arguments.get("include_all_metadata") == "true" and "metadata.message:read" in self.scopes:
            return message
        return {**message, "metadata": {"event_type": message["metadata"]["event_type"]}}

    def _member_of(self, arguments: dict[str, str]) -> dict[str, Any]:
        needed = {"public_channel": "channels:read", "private_channel": "groups:read"}
        if missing := {needed[kind] for kind in arguments["types"].split(",")} - self.scopes:
            return _error("missing_scope", needed=min(missing))
        joined = [{"id": one.id, "name": name} for name, one in self.channels.items() if one.member]
        start = int(arguments.get("cursor", "0"))
        end = start + min(int(arguments["limit"]), self.channels_page)
        cursor = str(end) if end < len(joined) else ""
        return {"ok": True, "channels": joined[start:end], "response_metadata": {"next_cursor": cursor}}


def _error(error: str, **more: str) -> dict[str, Any]:
    return {"ok": False, "error": error, **more}
