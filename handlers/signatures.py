"""What vendors' signatures are made of: take the one header, decode its digest, compare in constant time.

A handler's `verify` puts these together. Whatever is wrong with a request raises `Rejected`, with a reason that may be
logged: no part of a secret, of a digest or of a header is in it.
"""

import hmac
import re
from collections.abc import Sequence

from handlers.base import Receipt, Rejected

_HEX_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def only_header(receipt: Receipt, name: str) -> str:
    """The value of the header ``name``, which must have come exactly once."""
    value = receipt.header(name)
    if value is None:
        came = any(key == name for key, _ in receipt.headers)
        raise Rejected(f"the {name} header {'came more than once' if came else 'is missing'}")
    return value


def hex_sha256(text: str, *, prefix: str = "") -> bytes:
    """The digest in ``text``: exactly ``prefix`` and 64 lower-case hex digits."""
    digits = text.removeprefix(prefix)
    if not text.startswith(prefix) or not _HEX_SHA256.fullmatch(digits):
        raise Rejected(f"the signature is not {prefix!r} and 64 lower-case hex digits")
    return bytes.fromhex(digits)


def check_hmac_sha256(digest: bytes, signed: bytes, secrets: Sequence[bytes]) -> None:
    """``digest`` must be the HMAC-SHA256 of ``signed`` under one of ``secrets``; every secret is always tried."""
    matches = [hmac.compare_digest(hmac.digest(secret, signed, "sha256"), digest) for secret in secrets]
    if not any(matches):
        raise Rejected("the signature is not of this body and secret")
