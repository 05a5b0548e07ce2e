"""Any HTTP endpoint: the event as JSON, with an idempotency key and a Standard Webhooks signature.

Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
Idempotency-Key: draft-ietf-httpapi-idempotency-key-header
"""

import base64
import binascii
import hmac
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, SecretStr, model_validator
from pydantic_core import PydanticCustomError, to_json

from router.access_token import NoToken
from router.client import Answer, Client, NoAnswer
from router.schema import Event
from router.secret import Secret
from router.templates import PLAIN, Asked, BadTemplate, compiled, filled, texts_in
from router.units import OneOrSeveral, zone_of
from sinks.base import RESPONSE_KEPT, Delivery, Outcome, Place, Result, Sink, SinkSettings, located
from sinks.endpoint import cloudevents
from sinks.endpoint.auth import Auth, Authorization, ClientCertificate, checked
from sinks.endpoint.cloudevents import BodyFormat
from sinks.endpoint.verdicts import RATES, Preset, verdict

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([\t -~]*[!-~])?")
_OWN_HEADERS = re.compile(
    r"webhook-.*|idempotency-key|host|content-length|content-encoding|accept-encoding|transfer-encoding"
    r"|connection|keep-alive|proxy-.*|te|trailer|upgrade|expect|ce-.*|ats-router-.*",
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
    checked(url.get_secret_value())
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
    auth: Auth | None = Field(None, description="What the target knows us by: bearer, basic, or oauth.")
    tls: ClientCertificate | None = Field(
        None,
        description="Our own certificate, or authorities of your own: PEM files, from where the router is started.",
    )
    format: BodyFormat = Field(
        BodyFormat.EVENT,
        description="event: the body as it is. cloudevents: in a CloudEvent 1.0. cloudevents-binary: its attributes as"
        " headers.",
    )
    preset: Preset | None = Field(
        None, description="An automation platform whose answers and limits are particular: n8n, make or zapier."
    )
    idempotency_key_quoted: bool = Field(
        False, description="Put Idempotency-Key into double quotes, as its draft standard says and few servers expect."
    )

    @model_validator(mode="before")
    @classmethod
    def _bears_what_its_platform_does(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and "rate" not in written and written.get("preset") in set(RATES):
            return {**written, "rate": RATES[Preset(written["preset"])]}
        return written

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            raise PydanticCustomError("auth", "both auth and a header Authorization: remove one of them")
        if self.preset is Preset.N8N and "/webhook-test/" in self.url.get_secret_value():
            words = "this is n8n's test URL, which works while its editor listens only: use the one with /webhook/"
            raise located([(("url",), words)])
        if self.tls is not None and not self.url.get_secret_value().startswith("https://"):
            raise located([(("tls",), "certificates are used with https:// only: mend the url, or remove tls")])
        return self

    def asks(self) -> Iterator[tuple[Place, Sequence[Asked]]]:
        for place, text in texts_in(self.body):
            yield ("body", *place), compiled(text, PLAIN, keeps_kind=True).asked


class Http(Sink):
    """POSTs each event to one URL."""

    sink_type = "http"
    title = "HTTP endpoint"
    exactly_once = "where it remembers `Idempotency-Key`"
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
        self._format = settings.format
        self._preset = settings.preset
        self._tls = settings.tls.tls if settings.tls else None
        self._authorization = Authorization(settings.auth, client)
        self._headers = {**cloudevents.content_type(settings.format)} | {
            name.lower(): value.get_secret_value() for name, value in settings.headers.items()
        }

    def target(self, event: Event) -> str:
        return self._url

    def render(self, delivery: Delivery) -> bytes:
        body = delivery.event_body
        if self._body is not None:
            body = to_json(filled(self._body, delivery.event, self._zone), inf_nan_mode="null")
        return cloudevents.structured(delivery.event, body) if self._format is BodyFormat.STRUCTURED else body

    async def attempt(self, delivery: Delivery) -> Outcome:
        try:
            answer = await self._authorised(delivery)
        except NoToken as none:
            return Outcome(Result.REFUSED if none.refused else Result.RETRY, "no_access_token", retry_after=none.wait)
        except NoAnswer as failure:
            return Outcome(Result.AMBIGUOUS if failure.sent else Result.RETRY, failure.reason)
        result, reason = verdict(answer, self._preset)
        wait = answer.retry_after if result is Result.RETRY else None
        return Outcome(result, reason, answer.status, answer.text, wait)

    async def _authorised(self, delivery: Delivery) -> Answer:
        """With a token that ends, a refusal may mean that it was taken back early: then with a new one, once."""
        authorization = await self._authorization.header()
        answer = await self._request(delivery, authorization)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._authorization.is_renewed(authorization):
            answer = await self._request(delivery, await self._authorization.header())
        return answer

    async def _request(self, delivery: Delivery, authorization: dict[str, str]) -> Answer:
        return await self._client.request(
            "POST",
            self._url,
            body=delivery.body,
            headers=self._headers | self._headers_of(delivery) | authorization,
            timeout=self._timeout,
            keep=RESPONSE_KEPT,
            tls=self._tls,
        )

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
        if delivery.late:
            headers["ats-router-late"] = "true"
        return headers | cloudevents.headers(delivery.event) if self._format is BodyFormat.BINARY else headers


def _signature(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
