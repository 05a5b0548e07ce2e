"""Any HTTP endpoint: the event as JSON, with an idempotency key and a Standard Webhooks signature.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
Idempotency-Key: draft-ietf-httpapi-idempotency-key-header
"""

import base64
import binascii
import hmac
import re
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, SecretStr
from pydantic_core import PydanticCustomError, to_json

from router.client import Client, NoAnswer, checked_url
from router.schema import Event
from router.secret import Secret
from router.templates import PLAIN, Asked, BadTemplate, compiled, filled, texts_in
from router.units import OneOrSeveral, zone_of
from sinks.base import RESPONSE_KEPT, Delivery, Outcome, Place, Result, Sink, SinkSettings, located

_TRY_AGAIN = {408, 409, 425, 429}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?")
_OWN_HEADERS = re.compile(
    r"webhook-.*|idempotency-key|host|content-length|content-encoding|accept-encoding|transfer-encoding"
    r"|connection|keep-alive|proxy-.*|te|trailer|upgrade|expect",
    re.IGNORECASE,
)


def _signing_key(secret: SecretStr) -> bytes:
    text = secret.get_secret_value().strip().removeprefix("whsec_").rstrip("=")
    try:
        key = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:
        raise PydanticCustomError(
            "signing_secret",
            "a signing secret is whsec_ and the base64 of 24 to 64 random bytes; `openssl rand -base64 32` makes one",
        )
    return key


def _checked_secret(secret: SecretStr) -> SecretStr:
    _signing_key(secret)
    return secret


def _checked_url(url: SecretStr) -> SecretStr:
    try:
        checked_url(url.get_secret_value())
    except ValueError as error:
        raise PydanticCustomError("url", "{problem}", {"problem": str(error)}) from None
    return url


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            problem = "is not a header's name: use letters, digits and hyphens"
        elif _OWN_HEADERS.fullmatch(name):
            problem = "is set by the router: remove it here"
        elif not _VALUE.fullmatch(value.get_secret_value()):
            problem = "has a value that no header can have: use one line of ASCII, no spaces around it"
        else:
            continue
        raise PydanticCustomError("header", "{name} {problem}", {"name": repr(name), "problem": problem})
    if len({name.lower() for name in headers}) < len(headers):
        raise PydanticCustomError("header", "a header stands here twice: upper and lower case are the same name")
    return headers


def _checked_body(body: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
    problems = []
    for place, text in texts_in(body):
        try:
            compiled(text, PLAIN, keeps_kind=True)
        except BadTemplate as bad:
            problems.append((place, str(bad)))
    if problems:
        raise located(problems)
    return body


def _not_a_text(body: object) -> object:
    if isinstance(body, str):
        raise PydanticCustomError(
            "body", "write the names of the JSON below body, indented, one a line: text: '{{ candidate.name }} applied'"
        )
    return body


Json = Annotated[dict[str, JsonValue] | list[JsonValue], AfterValidator(_checked_body), BeforeValidator(_not_a_text)]


class HttpSettings(SinkSettings):
    overridable: ClassVar[tuple[str, ...]] = ("body",)

    url: Annotated[SecretStr, AfterValidator(_checked_url)] = Field(
        description="Where to POST. Use https, except on the same machine. Never printed: many URLs hold a secret."
    )
    secret: OneOrSeveral[Annotated[Secret, AfterValidator(_checked_secret)]] = Field(
        (), description="Signs as Standard Webhooks say. Give the new and the old one while you change it."
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_checked_headers)] = Field(
        {}, description="Sent with every request, such as Authorization."
    )
    body: Json | None = Field(
        None,
        description="What to send instead of the event: names and values, with fields of the event in the texts. A text"
        " that is one field only keeps its kind, so that a number stays a number.",
    )
    idempotency_key_quoted: bool = Field(
        False, description="Put Idempotency-Key into double quotes, as its draft standard says and few servers expect."
    )

    def asks(self) -> Iterator[tuple[Place, Sequence[Asked]]]:
        for place, text in texts_in(self.body):
            yield ("body", *place), compiled(text, PLAIN, keeps_kind=True).asked


class Http(Sink):
    """POSTs each event to one URL."""

    sink_type = "http"
    title = "HTTP endpoint"
    Settings = HttpSettings

    def __init__(self, settings: SinkSettings, client: Client) -> None:
        assert isinstance(settings, HttpSettings)
        self._client = client
        self._url = settings.url.get_secret_value()
        self._timeout = settings.timeout
        self._body = settings.body
        self._zone = zone_of(settings.timezone)
        self._keys = [_signing_key(secret) for secret in settings.secret]
        self._key_format = '"{}"' if settings.idempotency_key_quoted else "{}"
        self._headers = {"content-type": "application/json"} | {
            name.lower(): value.get_secret_value() for name, value in settings.headers.items()
        }

    def target(self, event: Event) -> str:
        return self._url

    def render(self, delivery: Delivery) -> bytes:
        if self._body is None:
            return delivery.event_body
        return to_json(filled(self._body, delivery.event, self._zone), inf_nan_mode="null")

    async def attempt(self, delivery: Delivery) -> Outcome:
        try:
            answer = await self._client.request(
                "POST",
                self._url,
                body=delivery.body,
                headers=self._headers | self._headers_of(delivery),
                timeout=self._timeout,
                keep=RESPONSE_KEPT,
            )
        except NoAnswer as failure:
            return Outcome(Result.AMBIGUOUS if failure.sent else Result.RETRY, failure.reason)
        result, reason = _verdict(answer.status)
        wait = answer.retry_after if result is Result.RETRY else None
        return Outcome(result, reason, answer.status, answer.text, wait)

    def _headers_of(self, delivery: Delivery) -> dict[str, str]:
        """The key stays the same at every attempt; the time and with it the signature are this attempt's."""
        now = str(int(time.time()))
        headers = {
            "idempotency-key": self._key_format.format(delivery.id),
            "webhook-id": delivery.id,
            "webhook-timestamp": now,
        }
        if self._keys:
            signed = f"{delivery.id}.{now}.".encode() + delivery.body
            headers["webhook-signature"] = " ".join(_signature(key, signed) for key in self._keys)
        return headers


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _verdict(status: int) -> tuple[Result, str]:
    """What a status means for a POST with an idempotency key (RFC 9110, 15; Standard Webhooks).

    409 is the key's first request still running. Every 5xx is about the server, which people mend or deploy anew, so
    501 and 505 are tried again too; what is above 599 counts as 5xx (RFC 9110, 15).
    """
    if 200 <= status < 300:
        return Result.DELIVERED, "ok"
    if 300 <= status < 400:
        return Result.PERMANENT, "redirect"
    if status >= 500 or status in _TRY_AGAIN:
        return Result.RETRY, f"http_{status}"
    return Result.PERMANENT, f"http_{status}"
