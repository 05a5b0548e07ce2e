"""Slack: one message per event in a channel, through a bot (chat.postMessage) or an incoming webhook.

What Slack answers: https://docs.slack.dev/reference/methods/chat.postMessage
"""

import json
import logging
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic_core import PydanticCustomError

from router.client import Answer, Client, NoAnswer
from router.schema import Event
from router.templates import compiled
from router.units import zone_of
from sinks.base import RESPONSE_KEPT, Delivery, Outcome, Result, Sink, SinkSettings
from sinks.slack_history import EVENT_TYPE, LAGS_SECONDS, Histories, NotAtAll, NotNow, told_by
from sinks.slack_message import message, own_message
from sinks.slack_settings import SlackSettings, one_spelling
from sinks.slack_text import CHANNEL, MRKDWN, TOKEN_REFUSED

log = logging.getLogger(__name__)

_READ = 65536
"""Bytes of an answer that are read: the API repeats the message in it, so it is longer than what is kept."""

_ERROR = re.compile(r"[a-z0-9_]{1,64}")

_PERHAPS_POSTED = {"internal_error", "fatal_error", "service_unavailable"}
_APP_REFUSED = TOKEN_REFUSED | {
    "access_denied",
    "ekm_access_denied",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "team_access_not_granted",
}
"""What is wrong with the app as a whole: its token, its scopes, its place in the workspace."""

_OF_ONE_CHANNEL = {
    "channel_not_found",
    "is_archived",
    "messages_tab_disabled",
    "not_in_channel",
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
}
_REFUSES_US = {401, 403, 404, 410}
_UNFIT_MESSAGE = {
    "invalid_arg_name",
    "invalid_arguments",
    "invalid_array_arg",
    "invalid_attachments",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_charset",
    "invalid_json",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "invalid_payload",
    "invalid_post_type",
    "json_not_object",
    "markdown_text_conflict",
    "metadata_too_large",
    "missing_post_type",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "too_many_attachments",
}


class Slack(Sink):
    """Posts each event as a message."""

    sink_type = "slack"
    title = "Slack"
    exactly_once = "a bot looks the message up first; an incoming webhook can't"
    Settings = SlackSettings
    target_rate = 1.0
    """About one message a second per channel, and per webhook: https://docs.slack.dev/apis/web-api/rate-limits"""

    def __init__(self, settings: SinkSettings, client: Client) -> None:
        assert isinstance(settings, SlackSettings)
        self._client = client
        self._timeout = settings.timeout
        self._zone = zone_of(settings.timezone)
        self._channel = None if settings.channel is None else compiled(settings.channel, CHANNEL)
        self._template = None if settings.template is None else compiled(settings.template, MRKDWN)
        self._people = settings.people
        self._headers = {"content-type": "application/json; charset=utf-8"}
        self._gives_up = settings.on_ambiguous == "give_up"
        self._histories: Histories | None = None
        if settings.webhook_url is not None:
            self._url = settings.webhook_url.get_secret_value()
            self.gives_up_ambiguous = self._gives_up
        else:
            assert settings.token is not None
            api_url, token = settings.api_url.rstrip("/"), settings.token.get_secret_value()
            self._url = f"{api_url}/chat.postMessage"
            self._headers["authorization"] = f"Bearer {token}"
            self._histories = Histories(client, api_url, token, settings.timeout)
            self.shows_after = LAGS_SECONDS

    def target(self, event: Event) -> str:
        return self._url if self._channel is None else self._channel_of(event) or ""

    def unfit(self, event: Event) -> str | None:
        return "channel" if self._channel is not None and self._channel_of(event) is None else None

    def render(self, delivery: Delivery) -> bytes:
        """Without the channel: a wrong one can then be mended in the configuration for messages that wait."""
        event = delivery.event
        own = self._template
        arguments = own_message(event, own, self._zone, self._people) if own else message(event)
        if self._channel is not None:
            # By this key the message can be found again. Every member of the channel can read it.
            payload = {"delivery_key": delivery.id}
            arguments["metadata"] = {"event_type": EVENT_TYPE, "event_payload": payload}
        return _as_json(arguments)

    async def look_up(self, delivery: Delivery, since: datetime | None) -> Outcome | None:
        """In the channel's history, for a bot that may read it. Where it may not, ``on_ambiguous`` decides."""
        if self._histories is None:
            return None
        started = since or delivery.event.received_at
        try:
            if (channel := self._channel_of(delivery.event)) is None:
                raise NotAtAll("no_channel")
            posted = await self._histories.find(channel, delivery.id, started.timestamp())
        except NotNow as failure:
            return failure.outcome
        except NotAtAll as blind:
            log.warning(
                "whether a message was posted can't be looked up",
                extra={"delivery": delivery.id, "reason": blind.reason},
            )
            return Outcome(Result.AMBIGUOUS, blind.reason, only_here=True) if self._gives_up else None
        if posted is None:
            return None
        response = _as_json({"channel": posted.channel, "ts": posted.ts}).decode()
        return Outcome(Result.DELIVERED, "found", response=response[:RESPONSE_KEPT])

    async def attempt(self, delivery: Delivery) -> Outcome:
        body = delivery.body
        if self._channel is not None:
            if (channel := self._channel_of(delivery.event)) is None:
                return Outcome(Result.RETRY, "no_channel", only_here=True)  # a person can mend the setting meanwhile
            body = _as_json({"channel": channel, **json.loads(body)})
        try:
            answer = await self._client.request(
                "POST",
                self._url,
                body=body,
                headers=self._headers,
                timeout=self._timeout,
                keep=_READ,
            )
        except NoAnswer as failure:
            return Outcome(Result.AMBIGUOUS if failure.sent else Result.RETRY, failure.reason)
        return _of_webhook(answer) if self._channel is None else _of_api(answer)

    def _channel_of(self, event: Event) -> str | None:
        """None where what the template gives for this event is no channel's name."""
        assert self._channel is not None
        try:
            return one_spelling(self._channel.text(event, self._zone))
        except PydanticCustomError:
            return None


def _as_json(arguments: dict[str, Any]) -> bytes:
    return json.dumps(arguments, ensure_ascii=False, separators=(",", ":")).encode()


def _of_api(answer: Answer) -> Outcome:
    """Success and most failures come with status 200; ``ok`` tells them apart."""
    if (told := told_by(answer)) is None:
        return _not_delivered(answer, None)
    if answer.status == 200 and told.get("ok") is True:
        # Not the message, which Slack repeats there: nothing of a candidate belongs into the record of an attempt.
        posted: dict[str, Any] = {key: told[key] for key in ("ok", "channel", "ts") if key in told}
        return Outcome(Result.DELIVERED, "ok", answer.status, _as_json(posted).decode()[:RESPONSE_KEPT])
    return _not_delivered(answer, told.get("error") if told.get("ok") is False else None)


def _of_webhook(answer: Answer) -> Outcome:
    """Success is the text ``ok``; what was refused comes with a status from 400 to 410 and the error as text.

    Such a URL is one channel with its permission, so that each refusal but that of a message is one of the sink.
    """
    text = answer.text.strip()
    if answer.status == 200 and text == "ok":
        return Outcome(Result.DELIVERED, "ok", answer.status, text)
    outcome = _not_delivered(answer, text if 400 <= answer.status <= 410 else None)
    is_refused = outcome.result is Result.RETRY and answer.status in _REFUSES_US
    return replace(outcome, result=Result.REFUSED, only_here=False) if is_refused else outcome


def _not_delivered(answer: Answer, error: object) -> Outcome:
    known = error if isinstance(error, str) and _ERROR.fullmatch(error) else None
    result, reason = _verdict(answer.status, known)
    wait = answer.retry_after if result in (Result.RETRY, Result.AMBIGUOUS) else None
    response = answer.body[:RESPONSE_KEPT].decode(errors="replace")
    return Outcome(result, reason, answer.status, response, wait, only_here=reason in _OF_ONE_CHANNEL)


def _verdict(status: int, error: str | None) -> tuple[Result, str]:
    """What a failure means for the same message later.

    Only what is wrong with the message itself stays wrong. All other errors say that nothing was posted, and either
    pass (rate limits), or a person can mend them meanwhile (the bot is not in the channel, the token is revoked), or
    are new: trying again costs nothing, and giving up would lose the message.
    """
    if 300 <= status < 400:
        return Result.PERMANENT, "redirect"
    if status >= 500 or error in _PERHAPS_POSTED:
        return Result.AMBIGUOUS, error or f"http_{status}"
    if error is None and status < 300:
        return Result.AMBIGUOUS, "garbage"
    if error in _UNFIT_MESSAGE:
        return Result.PERMANENT, error
    refuses_us = error in _APP_REFUSED or (error is None and status in _REFUSES_US)
    return Result.REFUSED if refuses_us else Result.RETRY, error or f"http_{status}"
