"""Slack's Web API and incoming webhooks, as far as they are documented, on a loopback port."""

import asyncio
import json
from typing import Any

from tests.sinks.slack_limits import check_message
from tests.sinks.target import Target, answers

TOKEN = "xoxb-1234-5678-S3CRET"


class FakeSlack(Target):
    """Answers as Slack does to what it gets; knows one token and the channel #hiring."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.posted: list[dict[str, Any]] = []

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        request = self.seen[-1]
        assert request.header("content-type") == "application/json; charset=utf-8"
        arguments = json.loads(request.body)
        if request.line == "POST /services/T1/B1/S3CRET HTTP/1.1":
            await answers(200, self._take(arguments))(writer)
            return
        assert request.line == "POST /api/chat.postMessage HTTP/1.1"
        await answers(200, json.dumps(self._api(request.header("authorization"), arguments)).encode())(writer)

    def _take(self, message: dict[str, Any]) -> bytes:
        check_message(message)
        self.posted.append(message)
        return b"ok"

    def _api(self, authorization: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
        if authorization is None:
            return {"ok": False, "error": "not_authed"}
        if authorization != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        channel = arguments.pop("channel", None)
        if channel not in ("#hiring", "C0123456789"):
            return {"ok": False, "error": "channel_not_found"}
        self._take(arguments)
        echo = {"type": "message", "bot_id": "B1", **arguments}
        return {"ok": True, "channel": "C0123456789", "ts": f"17635.{len(self.posted):06}", "message": echo}
