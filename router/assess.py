"""One request's verdict: did the vendor send it, and what does it say? Used by the receiver and by `inspect`."""

import hashlib
import hmac
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from handlers.base import Disposition, Handler, Normalised, Receipt, Rejected
from router import codec
from router.identity import subject_key
from router.records import WaitingFact

log = logging.getLogger(__name__)

TEST_HEADER = "ats-router-test"
"""Marks a request that one of our own commands made: ``record HEX`` or ``deliver HEX``, signed with the source's secret
so that nobody else can turn a genuine webhook into a test."""


@dataclass(frozen=True, slots=True)
class Marked:
    """``deliver``: real sinks shall get this test too."""

    deliver: bool


def make_test_mark(secret: bytes, body: bytes, *, deliver: bool) -> str:
    """The value of `TEST_HEADER` for a body."""
    mode = "deliver" if deliver else "record"
    return f"{mode} {hmac.new(secret, f'{TEST_HEADER}:{mode}:'.encode() + body, hashlib.sha256).hexdigest()}"


def read_test_mark(handler: Handler, receipt: Receipt) -> Marked | None:
    """The mark of a test request, None on an ordinary one.

    Raises:
        Rejected: there is a mark, but it was not made with a secret of this source.
    """
    if all(name != TEST_HEADER for name, _ in receipt.headers):
        return None
    value = (receipt.header(TEST_HEADER) or "").encode(errors="replace")
    for deliver in (False, True):
        for secret in handler.settings.secrets:
            if hmac.compare_digest(value, make_test_mark(secret, receipt.body, deliver=deliver).encode()):
                return Marked(deliver)
    raise Rejected(f"the {TEST_HEADER} header was not made with this source's secret")


def assess(handler: Handler, receipt: Receipt) -> Normalised:
    """Verify and normalise. Never raises; what could not be verified is `REJECTED` with the reason."""
    try:
        handler.verify(receipt)
    except Rejected as rejected:
        return Normalised(Disposition.REJECTED, reason=str(rejected))
    except Exception:
        log.exception("the %s handler failed to verify a request; it is refused", handler.vendor)
        return Normalised(Disposition.REJECTED, reason="the signature could not be checked")
    return handler.read(receipt)


def dedupe_of(normalised: Normalised, receipt: Receipt) -> str:
    """What duplicates are recognised by: an id inside the signed bytes, else the bytes themselves."""
    return normalised.dedupe or hashlib.sha256(receipt.body).hexdigest()


def waiting_facts(
    normalised: Normalised, *, receipt_id: str, source: str, vendor: str, receipt: Receipt, mark: Marked | None
) -> list[WaitingFact]:
    """The facts as they go to intake, each with its ordinal among those of its type and subject."""
    seen: dict[tuple[str, str], int] = {}
    waiting = []
    for fact in normalised.facts:
        ordinal = seen.get((fact.type, fact.subject), 0)
        seen[fact.type, fact.subject] = ordinal + 1
        waiting.append(
            WaitingFact(
                receipt=receipt_id,
                ordinal=ordinal,
                source=source,
                vendor=vendor,
                account=normalised.account,
                received_at=receipt.received_at,
                fact=fact,
                test=mark is not None,
                send_test=mark is not None and mark.deliver,
            )
        )
    return waiting


def intake_items(facts: Iterable[WaitingFact]) -> list[tuple[str, bytes]]:
    """Facts as the ledger takes them: each with the subject that its order is kept for, packed."""
    return [
        (
            subject_key(waiting.source, waiting.account, waiting.fact.subject),
            codec.pack(waiting.model_dump_json(exclude_defaults=True).encode()),
        )
        for waiting in facts
    ]
