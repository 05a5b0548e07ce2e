"""What shows where a webhook is from, where the configuration says it: a signature of any of the usual makes, or the
secret itself. The settings of both, and what checks and makes them.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import Drift, Post, Receipt, Rejected
from handlers.expressions import expression, find, put
from handlers.mapping import HeaderName, InHeader, Part, Path, Problem, header_name, raise_faults
from handlers.reading import Node
from handlers.signatures import (
    base64_digest,
    base64_hmac,
    check_age,
    check_any_hmac,
    check_secret,
    hex_digest,
    hex_hmac,
    only_header,
    readable,
    whole_number,
)
from router.units import Seconds

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MILLISECOND = 0.001
_LONGEST = 4096
"""Characters of a header with signatures: decoding very many of them would keep the receiver busy."""


def _template(text: str) -> str:
    names = _PLACEHOLDER.findall(text)
    for name in names:
        kind, colon, header = name.partition(":")
        if kind == "header" and colon:
            header_name(header)
        elif name not in ("body", "timestamp"):
            problem = f"there is no {{{name}}}; there are {{body}}, {{timestamp}} and {{header:NAME}}"
            raise PydanticCustomError("template", problem)
    if names.count("body") != 1:
        raise PydanticCustomError("template", "the body has to be signed; write {body}, once, where it stands")
    return text


class Timestamp(Part):
    """When the vendor signed: in a header of its own, in a part of the signature's header, or in the body."""

    header: HeaderName | None = Field(None, description="the header that holds it")
    part: str | None = Field(None, min_length=1, description="how the part of the signature's header begins, like t=")
    body: Path | None = Field(None, description="where it is in the body")
    unit: Literal["s", "ms", "iso"] = Field("s", description="seconds, milliseconds, or ISO 8601 text")
    tolerance: Seconds = Field(300.0, gt=0, description="how much older or newer it may be when it comes")

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if [self.header, self.part, self.body].count(None) != 2:
            raise PydanticCustomError("timestamp", "say where it is with one of header:, part: and body:")
        return self


class Signature(Part):
    """An HMAC over the body, made with the secret."""

    header: HeaderName = Field(description="the header that holds the signature")
    algorithm: Literal["sha256", "sha1", "sha512"] = Field("sha256", description="the hash of the HMAC")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="how the signature is written")
    prefix: str = Field("", description="what stands before it, like sha256=")
    separator: str | None = Field(None, min_length=1, description="what stands between several in the header")
    signed: Annotated[str, AfterValidator(_template)] = Field(
        "{body}", description='what is signed, like "{timestamp}.{body}"; also {header:NAME}'
    )
    timestamp: Timestamp | None = Field(None, description="where the vendor says when it signed")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_faults("Signature", self._faults())
        return self

    def _faults(self) -> Iterator[Problem]:
        uses_it = "timestamp" in _PLACEHOLDER.findall(self.signed)
        if self.timestamp is None:
            if uses_it:
                yield ("signed",), "{timestamp} is used here, so that timestamp: has to say where it is"
            return
        if self.timestamp.part is not None and self.separator is None:
            yield ("timestamp", "part"), "a header has parts only with a separator:"
        if not uses_it and self.timestamp.body is None:
            yield ("timestamp",), "what is not signed can be changed by anyone; write {timestamp} in signed: as well"

    def covers(self, header: str) -> bool:
        """Whether a header is signed."""
        return any(name.lower() == f"header:{header}" for name in _PLACEHOLDER.findall(self.signed))


class Place(StrEnum):
    """Where the secret itself may be, besides a header that the settings name."""

    PATH = "path"
    BEARER = "bearer"
    BASIC = "basic"


class SecretHeader(InHeader):
    """A header that holds the secret itself."""

    prefix: str = Field("", description="what stands before the secret")


def _is_place(value: object) -> str | None:
    if isinstance(value, (dict, SecretHeader)):
        return "in a header"
    return "by name" if value in list(Place) else None


SecretPlace = Annotated[
    Annotated[Place, Tag("by name")] | Annotated[SecretHeader, Tag("in a header")],
    Discriminator(
        _is_place,
        custom_error_type="secret_place",
        custom_error_message="write path, bearer or basic, or {header: NAME}",
    ),
]


class SecretProof:
    """The secret itself, somewhere beside the body."""

    def __init__(self, place: Place | SecretHeader, secrets: Sequence[bytes]) -> None:
        self._place = place
        self._secrets = secrets

    def check(self, receipt: Receipt) -> None:
        """As `Handler.verify`."""
        if self._place is Place.PATH:
            check_secret(receipt.rest, self._secrets, where="the path")
        elif isinstance(self._place, SecretHeader):
            self._check_header(only_header(receipt, self._place.header), self._place.prefix, self._place.header)
        else:
            scheme, _, rest = only_header(receipt, "authorization").partition(" ")
            if scheme.lower() != self._place:
                raise Rejected(f"the authorization header is not {self._place.capitalize()}")
            self._check_header(_password(rest) if self._place is Place.BASIC else rest, "", "authorization")

    def _check_header(self, value: str, prefix: str, name: str) -> None:
        if not value.startswith(prefix):
            raise Rejected(f"the {name} header does not begin with {prefix!r}")
        check_secret(value[len(prefix) :], self._secrets, where=f"the {name} header")

    def make(self, body: bytes, headers: Mapping[str, str], at: datetime) -> Post:
        """As `Handler.sign`, of a body and other headers."""
        secret = self._secrets[0].decode()
        if self._place is Place.PATH:
            return Post(body, headers, rest=secret)
        if isinstance(self._place, SecretHeader):
            return Post(body, {**headers, self._place.header: self._place.prefix + secret})
        value = base64.b64encode(f"ats-router:{secret}".encode()).decode() if self._place is Place.BASIC else secret
        return Post(body, {**headers, "authorization": f"{self._place.capitalize()} {value}"})


def _password(encoded: str) -> str:
    """What follows the user's name; which user it is, is of no interest."""
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (ValueError, binascii.Error):
        raise Rejected("the authorization header is not base64") from None
    return decoded.partition(":")[2]


class SignatureProof:
    """An HMAC over a template with the body."""

    def __init__(self, settings: Signature, secrets: Sequence[bytes], zone: tzinfo | None) -> None:
        self._settings = settings
        self._secrets = secrets
        self._zone = zone or UTC
        self._pieces = _PLACEHOLDER.split(settings.signed)  # text and placeholder in turns
        self._moment = expression(settings.timestamp.body) if settings.timestamp and settings.timestamp.body else None
        if settings.encoding == "hex":
            self._read = partial(hex_digest, prefix=settings.prefix, algorithm=settings.algorithm)
            self._write = partial(hex_hmac, algorithm=settings.algorithm)
        else:
            urlsafe = settings.encoding == "base64url"
            self._read = partial(base64_digest, prefix=settings.prefix, urlsafe=urlsafe, algorithm=settings.algorithm)
            self._write = partial(base64_hmac, urlsafe=urlsafe, algorithm=settings.algorithm)

    def check(self, receipt: Receipt) -> None:
        """As `Handler.verify`."""
        settings, text = self._settings, only_header(receipt, self._settings.header)
        if len(text) > _LONGEST:
            raise Rejected(f"the {settings.header} header is longer than {_LONGEST} characters")
        parts = [text] if settings.separator is None else [part.strip(" ") for part in text.split(settings.separator)]
        timestamp = self._timestamp(receipt, parts)
        if settings.timestamp is not None:
            check_age(self._seconds(timestamp), receipt, tolerance=settings.timestamp.tolerance)
        digests = readable(parts, self._read)  # parts that do not begin with the prefix can't be
        check_any_hmac(digests, self._signed(receipt, timestamp), self._secrets, algorithm=settings.algorithm)

    def make(self, body: bytes, headers: Mapping[str, str], at: datetime) -> Post:
        """As `Handler.sign`, of a body and other headers."""
        settings, where = self._settings, self._settings.timestamp
        timestamp, parts, headers = self._written(at), [], dict(headers)
        if where is not None and where.header is not None:
            headers[where.header] = timestamp
        elif where is not None and where.part is not None:
            parts.append(where.part + timestamp)
        elif where is not None:
            body = self._with_moment(body, timestamp)
        signed = self._signed(Receipt(tuple(headers.items()), body, at), timestamp)
        parts.append(settings.prefix + self._write(self._secrets[0], signed))
        return Post(body, {**headers, settings.header: (settings.separator or "").join(parts)})

    def _timestamp(self, receipt: Receipt, parts: Sequence[str]) -> str:
        where = self._settings.timestamp
        if where is None:
            return ""
        if where.header is not None:
            return only_header(receipt, where.header)
        if where.part is not None:
            found = [part.removeprefix(where.part) for part in parts if part.startswith(where.part)]
            if len(found) != 1:
                raise Rejected("the signature's header does not hold one timestamp")
            return found[0]
        assert self._moment is not None
        try:
            moment = find(self._moment.get, Node.parse(receipt.body, several=True).raw)
        except Drift:
            raise Rejected("the body can't be read, and so has no timestamp") from None
        if isinstance(moment, str) or type(moment) is int:
            return str(moment)
        raise Rejected("the timestamp is not in the body")

    def _seconds(self, timestamp: str) -> float:
        assert self._settings.timestamp is not None
        unit = self._settings.timestamp.unit
        if unit != "iso":
            return whole_number(timestamp) * (_MILLISECOND if unit == "ms" else 1)
        try:
            moment = datetime.fromisoformat(timestamp)
            return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).timestamp()
        except (ValueError, OverflowError):
            raise Rejected("the timestamp is not an ISO 8601 time") from None

    def _written(self, at: datetime) -> str:
        unit = self._settings.timestamp.unit if self._settings.timestamp else "s"
        if unit == "iso":
            return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return str(int(at.timestamp() * (1000 if unit == "ms" else 1)))

    def _with_moment(self, body: bytes, timestamp: str) -> bytes:
        steps = self._moment.steps if self._moment else None
        with suppress(ValueError):
            if steps:
                moment = int(timestamp) if timestamp.isdecimal() else timestamp
                return json.dumps(put(json.loads(body), steps, moment)).encode()
        return body

    def _signed(self, receipt: Receipt, timestamp: str) -> bytes:
        pieces = [
            self._filled(piece, receipt, timestamp) if position % 2 else piece.encode()
            for position, piece in enumerate(self._pieces)
        ]
        return b"".join(pieces)

    def _filled(self, placeholder: str, receipt: Receipt, timestamp: str) -> bytes:
        if placeholder == "body":
            return receipt.body
        text = timestamp if placeholder == "timestamp" else _optional(receipt, placeholder)
        return text.encode("latin-1", "replace")


def _optional(receipt: Receipt, placeholder: str) -> str:
    """The value of a header that is signed; one that did not come counts as empty."""
    name = placeholder.partition(":")[2].lower()
    return only_header(receipt, name) if any(key == name for key, _ in receipt.headers) else ""
