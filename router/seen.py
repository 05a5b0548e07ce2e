"""What came so far, for who writes rules: the names of jobs, stages, departments and offices in stored events."""

from collections import defaultdict

from router.config.advice import KINDS, Seen
from router.fields import field_at
from router.ledger import Ledger
from router.lists import events_indexes
from router.schema import Event

LOOKED_AT = 2000
"""So many of the newest events are looked at."""

_CHUNK = 500


async def seen_in(ledger: Ledger, most: int = LOOKED_AT) -> Seen:
    """The names in the newest events; made-up ones are left out."""
    entries = await ledger.listed(await events_indexes(ledger), most)
    looked_at, names = 0, defaultdict[str, set[str]](set)
    for i in range(0, len(entries), _CHUNK):
        stored = await ledger.read_events(entry.id for entry in entries[i : i + _CHUNK])
        for kept in filter(None, stored.values()):
            event = Event.model_validate_json(kept.body)
            if event.test:
                continue
            looked_at += 1
            for kind, fields in KINDS.items():
                names[kind].update(text for name in fields for text in field_at(name).texts(event))
    return Seen(looked_at, names)
