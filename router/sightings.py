"""How polling saw each application lastly, in few bytes: enough to tell whether it changed, and from what.

An entry is the number of its stage (stages are kept once per source), its outcome, a digest of what else is told of it,
and a digest of the vendor's times.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from router.project import content_of
from router.records import ApplicationState
from router.schema import OUTCOME_OF_KIND, EventType, Fact, Outcome, Stage

BUCKETS = 512
"""Hashes over which a source's entries are spread: small ones take a third of the memory of large ones."""

_ENTRY = struct.Struct(">IB8s4s")
_OUTCOMES = (None, *Outcome)
_GONE, _MISSING = 0x10, 0x20
_NOTHING = bytes(8)
_TOLD = frozenset({"created", "stage", "outcome"})
_GONE_TYPES = frozenset({EventType.APPLICATION_DELETED, EventType.CANDIDATE_DELETED})


@dataclass(frozen=True, slots=True)
class Seen:
    """``is_missing``: it was not in the last pass over everything."""

    stage: Stage | None
    outcome: Outcome | None
    content: bytes
    times: bytes
    is_gone: bool = False
    is_missing: bool = False

    def same_as(self, other: "Seen") -> bool:
        """Whether nothing changed; the kind of a stage is ours and may."""
        return _key(self) == _key(other)

    def state(self, at: float) -> ApplicationState:
        """As an application state, as of ``at``, in unix seconds."""
        content = self.content.hex() if self.content != _NOTHING else None
        by_stage = OUTCOME_OF_KIND.get(self.stage.kind if self.stage else None, Outcome.PENDING)
        outcome = by_stage if self.outcome in (None, Outcome.PENDING) else self.outcome
        return ApplicationState(stage=self.stage, outcome=outcome, told=_TOLD, content=content, heard_at=at)


def _key(seen: Seen) -> tuple[object, ...]:
    stage = (seen.stage.id, seen.stage.name) if seen.stage else None
    return stage, seen.outcome, seen.content, seen.times, seen.is_gone


def seen_in(facts: Sequence[Fact]) -> Seen:
    """What the facts of a row say; the last one is its present state."""
    now = facts[-1]
    if now.type in _GONE_TYPES:
        return Seen(None, None, _NOTHING, bytes(4), is_gone=True)
    application = now.application
    assert application is not None
    content = content_of(now)
    times = f"{application.updated_at} {now.occurred_at} {now.vendor_version}"
    return Seen(
        stage=application.stage,
        outcome=application.outcome,
        content=bytes.fromhex(content) if content else _NOTHING,
        times=blake2b(times.encode(errors="replace"), digest_size=4).digest(),
    )


def bucket_of(source: str, subject: str) -> str:
    return f"polled:{source}:{crc32(subject.encode(errors='surrogatepass')) % BUCKETS}"


class Stages:
    """The stages of one source by their numbers, from 1; 0 stands for none."""

    def __init__(self, known: Sequence[Stage]) -> None:
        self._known = list(known)
        self._numbers = {stage: number for number, stage in enumerate(self._known, start=1)}

    def new_in(self, seen: Sequence[Seen]) -> list[Stage]:
        """Those that have no number yet."""
        stages = {one.stage: None for one in seen if one.stage is not None}
        return [stage for stage in stages if stage not in self._numbers]

    def learn(self, stage: Stage, number: int) -> None:
        self._known += [stage] * (number - len(self._known))
        self._numbers[stage] = number

    def pack(self, seen: Seen) -> bytes:
        number = self._numbers[seen.stage] if seen.stage is not None else 0
        flags = _OUTCOMES.index(seen.outcome) | (_GONE if seen.is_gone else 0) | (_MISSING if seen.is_missing else 0)
        return _ENTRY.pack(number, flags, seen.content, seen.times)

    def unpack(self, packed: bytes) -> Seen:
        number, flags, content, times = _ENTRY.unpack(packed)
        stage = self._known[number - 1] if 0 < number <= len(self._known) else None
        outcome = _OUTCOMES[flags & 0x0F]
        return Seen(stage, outcome, content, times, bool(flags & _GONE), bool(flags & _MISSING))
