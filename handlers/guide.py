"""What people need to know of a vendor: docs/vendors.md is made of this, `ats-router sources` shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Proof(StrEnum):
    """What shows that a webhook came from the vendor."""

    BODY = "a signature over the body"
    SENDER = "a shared secret; the body itself is not covered"
    NONE = "nothing is sent: the vendor is polled"


class Confidence(StrEnum):
    """Where the facts in a handler come from."""

    OFFICIAL = "official documentation"
    THIRD_PARTY = "third-party code"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Guide:
    """``steps``: how the URL is registered, a click or an entry each. ``events``: which ones to tick there.

    ``verified``: what is checked of each request. ``missing``: what the vendor does not tell, and what stays open.
    ``enrichment``: what credentials for the vendor's API add; empty where there is nothing to add.
    """

    proof: Proof
    confidence: Confidence
    steps: Sequence[str]
    events: Sequence[str]
    verified: str
    missing: Sequence[str] = ()
    enrichment: str = ""
