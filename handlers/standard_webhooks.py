"""Any sender of Standard Webhooks, and of Svix, which is the same with headers of its own; events by description.

Sources: spec/standard-webhooks.md of github.com/standard-webhooks/standard-webhooks and the page "Verifying webhooks
manually" of docs.svix.com, read in 2026. Bodies are ``{"type": ..., "timestamp": ..., "data": {...}}``. A message keeps
its id when it is sent again; the time and so the signature change.
"""

import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from handlers.base import Normalised, Post, Receipt, Rejected
from handlers.guide import Confidence, Guide, Proof
from handlers.mapped import MappedHandler
from handlers.mapping import EventSettings, MappingSettings, Path
from handlers.signatures import (
    base64_digest,
    base64_hmac,
    check_age,
    check_any_hmac,
    only_header,
    readable,
    whole_number,
)
from router.units import Seconds

_VERSION = "v1,"  # HMAC-SHA256; v1a is ed25519, and what is unknown is skipped
_PREFIXES = ("webhook-", "svix-")
_MOST_SIGNATURES = 32
_NAMES = ("id", "timestamp", "signature")
_OTHER_KEYS = re.compile(r"wh[sp]k\d*_")  # of ed25519, private or public
_TO_STANDARD = str.maketrans("-_", "+/")


def _key(secret: SecretStr) -> bytes:
    """The bytes to sign with; empty where it is no base64. Some senders leave the padding out."""
    if _OTHER_KEYS.match(secret.get_secret_value()):
        return b""
    text = secret.get_secret_value().strip().removeprefix("whsec_").translate(_TO_STANDARD)
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        return b""


class StandardWebhooksSettings(MappingSettings):
    """A source whose sender keeps to the standard."""

    event: Path = Field("type", description="where the event's name is")
    tolerance: Seconds = Field(300.0, gt=0, description="how much older or newer than now a message may be")

    @field_validator("secret")
    @classmethod
    def _is_base64(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(map(_key, secrets)):
            raise PydanticCustomError("not_base64", "this is not what a sender shows, which is whsec_ and base64")
        return secrets

    @property
    def secrets(self) -> tuple[bytes, ...]:
        return tuple(map(_key, self.secret))

    def fields_in(self, event: EventSettings) -> Mapping[str, str]:
        """The standard says where the time is."""
        return {"occurred_at": "body.timestamp" if self.each else "timestamp", **super().fields_in(event)}


class StandardWebhooks(MappedHandler):
    vendor = "standard_webhooks"
    title = "Standard Webhooks and Svix"
    Settings = StandardWebhooksSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.OFFICIAL,
        steps=[
            "Add an endpoint with the source's URL in the sender's settings or portal, and tick the events",
            "copy the signing secret that it shows (whsec_...) into the environment variable of the source's secret",
            'describe the events. Of the body {"type": "moved", "timestamp": "2026-06-01T12:00:00Z", "data": {"id": 7,'
            ' "stage": "Offer"}} that is events: {moved: StageChanged}, and fields: {application.id: data.id,'
            " to_stage.name: data.stage}; docs/generic.md shows more, and how to try it",
            "send a test from there, and look: ats-router sources",
        ],
        events=["those that your events: names; any other is ignored by its name"],
        verified="the webhook-signature (or svix-signature) header over id, timestamp and exact body, within tolerance",
        missing=["whatever your description leaves out", "signatures of version v1a (ed25519), which are skipped"],
    )
    kept_headers = frozenset(f"{prefix}id" for prefix in _PREFIXES)
    settings: StandardWebhooksSettings

    def verify(self, receipt: Receipt) -> None:
        prefix = _prefix(receipt)
        identifier, timestamp, signatures = (only_header(receipt, prefix + name) for name in _NAMES)
        if not identifier:
            raise Rejected(f"the {prefix}id header is empty")
        if "" in (texts := signatures.split(" ")) or len(texts) > _MOST_SIGNATURES:
            raise Rejected(f"the {prefix}signature header is no list of some signatures, one blank apart")
        check_age(whole_number(timestamp), receipt, tolerance=self.settings.tolerance)
        digests = readable(texts, _digest)  # only those of our version can be
        check_any_hmac(digests, _signed(identifier, timestamp, receipt.body), self.settings.secrets)

    def normalise(self, receipt: Receipt) -> Normalised:
        told = super().normalise(receipt)
        if (identifier := _id(receipt)) is None:
            return told
        facts = [
            fact.model_copy(update={"vendor_event_id": identifier}) if fact.vendor_event_id is None else fact
            for fact in told.facts
        ]
        return replace(told, facts=tuple(facts))

    def dedupe(self, receipt: Receipt, scope: object, vendor_event: str) -> str | None:
        return _id(receipt)

    def sign(self, body: bytes, at: datetime) -> Post:
        identifier, timestamp = f"msg_{sha256(body).hexdigest()[:24]}", str(int(at.timestamp()))
        signature = _VERSION + base64_hmac(self.settings.secrets[0], _signed(identifier, timestamp, body))
        values = dict(zip(_NAMES, (identifier, timestamp, signature), strict=True))
        return Post(body, {_PREFIXES[0] + name: value for name, value in values.items()})


def _prefix(receipt: Receipt) -> str:
    """Of the headers, one kind: beside a signed id of one kind, an id of the other could be anyone's."""
    came = {name for name, _ in receipt.headers}
    kinds = [prefix for prefix in _PREFIXES if any(prefix + name in came for name in _NAMES)]
    if len(kinds) > 1:
        raise Rejected("it has both webhook- and svix- headers")
    return kinds[0] if kinds else _PREFIXES[0]


def _id(receipt: Receipt) -> str | None:
    return next((value for prefix in _PREFIXES if (value := receipt.header(f"{prefix}id"))), None)


def _signed(identifier: str, timestamp: str, body: bytes) -> bytes:
    return f"{identifier}.{timestamp}.".encode("latin-1", "replace") + body


def _digest(text: str) -> bytes:
    return base64_digest(text, prefix=_VERSION)
