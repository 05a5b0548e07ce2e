"""Ids and where things live: all derived, so that the same webhook gives the same ids on every machine.

A receipt's, event's and delivery's id begins with its partition (two hex digits), so that an id is enough to find it.
"""

from functools import lru_cache
from hashlib import sha256

PARTITIONS = 16
"""Units of scale: all keys of one source's account live in one. The ledger remembers the number; it can't change."""


def _digest(*parts: str | None) -> str:
    """24 hex digits over parts of any content: each is measured, so that no two lists of parts run into one."""
    whole = sha256()
    for part in parts:
        data = b"-" if part is None else part.encode(errors="surrogatepass")
        whole.update(b"%d:%s" % (len(data) if part is not None else 0, data))
    return whole.hexdigest()[:24]


@lru_cache(maxsize=1024)
def partition_of(source: str, account: str | None) -> int:
    return int(_digest("partition", source, account), 16) % PARTITIONS


def partition_in(identifier: str) -> int:
    """The partition of a receipt, event or delivery id.

    Raises:
        ValueError: this is none of our ids.
    """
    prefix, _, rest = identifier.partition("_")
    if prefix not in ("rcp", "evt", "dlv") or len(rest) < 26 or (partition := int(rest[:2], 16)) >= PARTITIONS:
        raise ValueError(f"{identifier!r} is no id of a receipt, event or delivery")
    return partition


def receipt_id(source: str, account: str | None, dedupe: str) -> str:
    """Also what duplicates are recognised by: the same ``dedupe`` from the same source is the same receipt."""
    return f"rcp_{partition_of(source, account):02x}{_digest('receipt', source, account, dedupe)}"


def event_id(receipt: str, event_type: str, subject: str, fact_type: str, ordinal: int) -> str:
    """``ordinal`` counts the receipt's earlier facts of this type and subject, so ids survive a handler that learns
    further types."""
    return f"evt_{receipt[4:6]}{_digest('event', receipt, event_type, subject, fact_type, str(ordinal))}"


def delivery_id(event: str, sink: str, target: str, again: str = "") -> str:
    """The idempotency key of an event on its way to one target of a sink. ``again``: the replay that sends it although
    the sink has it, and so under a key of its own."""
    parts = ("delivery", sink, target, again) if again else ("delivery", sink, target)
    return f"dlv_{event[4:]}_{_digest(*parts)[:8]}"


def event_of(delivery: str) -> str:
    """The event that a delivery's id belongs to."""
    return f"evt_{delivery[4:30]}"


def subject_key(source: str, account: str | None, subject: str) -> str:
    """What order is kept for, as it stands in keys: short, and without the vendor's ids in it."""
    return _digest("subject", source, account, subject)


def about_key(kind: str, identifier: str) -> str:
    """What the events of one ``application`` or ``candidate`` are found by; the vendor's id can't be read from it."""
    return _digest("about", kind, identifier)[:16]


def target_key(target: str) -> str:
    """A target of a sink as it stands in keys: the target itself may be secret."""
    return _digest("target", target)[:16]
