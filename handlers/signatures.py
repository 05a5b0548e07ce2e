"""What vendors' signatures are made of: take the one header, decode its digest, compare in constant time.

A handler's `verify` puts these together. Whatever is wrong with a request raises `Rejected`, with a reason that may be
logged: no part of a secret, of a digest or of a header is in it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from handlers.base import Receipt, Rejected

_HEX = re.compile(r"[0-9a-f]*", re.ASCII)
_NUMBER = re.compile(r"\d{1,16}", re.ASCII)
_WRONG_SIGNATURE = "the signature is not of this body and secret"


def only_header(receipt: Receipt, name: str) -> str:
    """The value of the header ``name``, which must have come exactly once."""
    value = receipt.header(name)
    if value is None:
        came = any(key == name for key, _ in receipt.headers)
        raise Rejected(f"the {name} header {'came more than once' if came else 'is missing'}")
    return value


def hex_digest(text: str, *, prefix: str = "", algorithm: str = "sha256") -> bytes:
    """The digest in ``text``: exactly ``prefix`` and lower-case hex digits."""
    digits, size = text.removeprefix(prefix), _size(algorithm)
    if not text.startswith(prefix) or len(digits) != 2 * size or not _HEX.fullmatch(digits):
        raise Rejected(f"the signature is not {_with(prefix)}{2 * size} lower-case hex digits")
    return bytes.fromhex(digits)


def base64_digest(text: str, *, prefix: str = "", urlsafe: bool = False, algorithm: str = "sha256") -> bytes:
    """The digest in ``text``: exactly ``prefix`` and base64 (or base64url) of the right length, padded or not."""
    written = text.removeprefix(prefix)
    digest = _decoded(written.rstrip("="), urlsafe=urlsafe)
    # what decodes to the same bytes but is written differently (spare bits, too much padding) is not what was sent
    if text.startswith(prefix) and digest is not None and len(digest) == _size(algorithm):
        padded = _encoded(digest, urlsafe=urlsafe)
        if written in (padded, padded.rstrip("=")):
            return digest
    raise Rejected(f"the signature is not {_with(prefix)}base64{'url' if urlsafe else ''} of {_size(algorithm)} bytes")


def check_hmac(digest: bytes, signed: bytes, secrets: Sequence[bytes], *, algorithm: str = "sha256") -> None:
    """``digest`` must be the HMAC of ``signed`` under one of ``secrets``; every secret is always tried."""
    check_any_hmac([digest], signed, secrets, algorithm=algorithm)


def check_any_hmac(
    digests: Sequence[bytes], signed: bytes, secrets: Sequence[bytes], *, algorithm: str = "sha256"
) -> None:
    """As `check_hmac`, where a vendor that is changing its secret sends several signatures: one has to be right."""
    expected = [hmac.digest(secret, signed, algorithm) for secret in secrets]
    if not any([hmac.compare_digest(digest, ours) for digest in digests for ours in expected]):  # noqa: C419 all of them
        raise Rejected(_WRONG_SIGNATURE)


def readable(texts: Iterable[str], read: Callable[[str], bytes]) -> list[bytes]:
    """The digests of those of several signatures that can be read: what is malformed counts for nothing.

    Raises:
        Rejected: none can be read.
    """
    digests, problem = [], Rejected("there is no signature in the header")
    for text in texts:
        try:
            digests.append(read(text))
        except Rejected as rejected:
            problem = rejected
    if not digests:
        raise problem
    return digests


def check_secret(given: str, secrets: Sequence[bytes], *, where: str) -> None:
    """``given`` must be one of ``secrets``, where a vendor sends the secret itself: ``where`` (the path, a field)."""
    sent = given.encode(errors="replace")
    matches = [hmac.compare_digest(secret, sent) for secret in secrets]
    if not given or not any(matches):
        raise Rejected(f"the secret in {where} is {'wrong' if given else 'missing'}")


def whole_number(text: str, *, what: str = "the timestamp") -> int:
    """``text`` as a whole number: nothing but ASCII digits."""
    if not _NUMBER.fullmatch(text):
        raise Rejected(f"{what} is not a whole number")
    return int(text)


def check_age(seconds: float, receipt: Receipt, *, tolerance: float = 300.0) -> None:
    """What was signed at ``seconds`` (unix time) must be neither older nor newer than ``tolerance`` when it comes."""
    age = receipt.received_at.timestamp() - seconds
    if abs(age) > tolerance:
        raise Rejected(f"the timestamp is more than {tolerance:.0f} seconds {'old' if age > 0 else 'ahead'}")


def hex_hmac(secret: bytes, signed: bytes, *, algorithm: str = "sha256") -> str:
    """How a vendor signs that writes hex; for `Handler.sign`."""
    return hmac.digest(secret, signed, algorithm).hex()


def base64_hmac(
    secret: bytes, signed: bytes, *, urlsafe: bool = False, padded: bool = True, algorithm: str = "sha256"
) -> str:
    """How a vendor signs that writes base64; for `Handler.sign`."""
    text = _encoded(hmac.digest(secret, signed, algorithm), urlsafe=urlsafe)
    return text if padded else text.rstrip("=")


@cache
def _size(algorithm: str) -> int:
    return hashlib.new(algorithm, usedforsecurity=False).digest_size


def _with(prefix: str) -> str:
    return f"{prefix!r} and " if prefix else ""


def _encoded(digest: bytes, *, urlsafe: bool) -> str:
    return (base64.urlsafe_b64encode if urlsafe else base64.standard_b64encode)(digest).decode()


def _decoded(text: str, *, urlsafe: bool) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if urlsafe else None, validate=True)
    except (ValueError, binascii.Error):
        return None


def with_fields(body: bytes, fields: Mapping[str, object]) -> bytes:
    """The body with these fields as well, where it is an object, as some vendors' proof stands in it; for
    `Handler.sign`."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return json.dumps({**whole, **fields}).encode() if isinstance(whole, dict) else body
