"""The primitives that handlers verify with."""

import pytest

from handlers.base import Rejected
from handlers.signatures import check_hmac, hex_digest, only_header
from tests.handlers.vendors import receipt

# RFC 4231, test case 2
KEY, DATA = b"Jefe", b"what do ya want for nothing?"
DIGEST = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_the_published_vector_is_accepted() -> None:
    check_hmac(hex_digest(DIGEST), DATA, [KEY])
    check_hmac(hex_digest(f"v1={DIGEST}", prefix="v1="), DATA, [b"another", KEY])


@pytest.mark.parametrize("secrets", [[], [b"jefe"], [b"Jefe ", b""]])
def test_a_digest_under_none_of_the_secrets_is_rejected(secrets: list[bytes]) -> None:
    with pytest.raises(Rejected, match="not of this body"):
        check_hmac(bytes.fromhex(DIGEST), DATA, secrets)


def test_every_secret_is_tried_and_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    def spy(ours: bytes, theirs: bytes) -> bool:
        compared.append(ours)
        return ours == theirs

    monkeypatch.setattr("handlers.signatures.hmac.compare_digest", spy)
    check_hmac(bytes.fromhex(DIGEST), DATA, [KEY, b"old"])
    assert compared == [bytes.fromhex(DIGEST)] * 2


MALFORMED = [
    *("", "v1=", DIGEST, f"v1= {DIGEST}", f"v1={DIGEST}\n", f"v1={DIGEST.upper()}", f"V1={DIGEST}", f"v1=v1={DIGEST}"),
    *(f"v1={DIGEST[:-1]}", f"v1={DIGEST}0", f"v1={DIGEST[:-1]}g", f"v1={DIGEST[:-1]}\u0661", f"v1={DIGEST[:62]} 0"),
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_not_prefix_and_digest_is_rejected(text: str) -> None:
    with pytest.raises(Rejected, match="64 lower-case hex digits"):
        hex_digest(text, prefix="v1=")


def test_a_prefix_does_not_eat_digits_that_look_like_it() -> None:
    digest = "256a" * 16
    assert hex_digest(f"sha256 {digest}", prefix="sha256 ").hex() == digest


def test_a_header_must_come_exactly_once() -> None:
    assert only_header(receipt(b"", [("signature", "x"), ("other", "y")]), "signature") == "x"
    with pytest.raises(Rejected, match="the signature header is missing"):
        only_header(receipt(b"", [("other", "y")]), "signature")
    with pytest.raises(Rejected, match="the signature header came more than once"):
        only_header(receipt(b"", [("signature", "x"), ("signature", "x")]), "signature")
