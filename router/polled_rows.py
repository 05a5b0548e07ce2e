"""The rows of a page that polling read: which of them changed, and what is kept of those.

A row that changed becomes a receipt with its facts, kept in one step with how the row was seen, so that it is told once
wherever a pass breaks off.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.exceptions import RedisError

from handlers.base import Disposition, Drift, Normalised, Receipt
from handlers.enriching import NotThere
from handlers.polling.base import Polls
from handlers.reading import Node, is_not_asked_for
from router.assess import intake_items, waiting_facts
from router.identity import partition_of, receipt_id
from router.ledger import BATCH, Ledger
from router.parts import Source
from router.records import Mark, NewReceipt, ReceiptRecord
from router.schema import Fact
from router.sightings import Seen, Stages, bucket_of, seen_in
from router.source_records import PollState, RunningPass
from router.vendor_api import VendorApi

SETTLE = timedelta(minutes=2)
"""What changed so recently is left to the webhook that is on its way, where there are webhooks."""

_NEW_AT_FIRST, _NEW_LATER = timedelta(minutes=5), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Row:
    """A row, what it says, how it was seen before, and how it is now."""

    node: Node
    facts: Sequence[Fact]
    subject: str
    before: Seen | None
    now: Seen


@dataclass(frozen=True, slots=True)
class Reading:
    """What a page belongs to. ``read_at``: just before it was asked for; ``known_at``: as of when rows that were seen
    before were so, in unix seconds. ``only_to``: a backfill, whose events go to these sinks and nowhere else."""

    state: PollState
    running: RunningPass
    read_at: datetime
    only_to: tuple[str, ...] | None = None

    @property
    def known_at(self) -> float:
        return self.state.since if self.state.since is not None else self.state.first_contact


class Rows:
    """The rows of one source. ``open`` it before a pass."""

    def __init__(self, source: Source, polls: Polls[Any], api: VendorApi, ledger: Ledger) -> None:
        self._source = source
        self._polls = polls
        self._api = api
        self._ledger = ledger
        self._stages = Stages(())

    async def open(self) -> None:
        self._stages = Stages(await self._ledger.stages_of(self._source.name, self._polls.account))

    async def take(self, nodes: Sequence[Node], reading: Reading) -> tuple[int, set[str]]:
        """Keep what changed among the rows of a page: how many those are, and the subjects of all that were read."""
        rows = await self._read(nodes, reading)
        told: list[Row] = []
        known: list[Row] = []
        unsettled = 0
        for row in rows.values():
            if row.before is not None and row.before.same_as(row.now):
                if row.before.is_missing:
                    known.append(row)
            elif row.before is None and (row.now.is_gone or self._was_there_before(row, reading.state)):
                known.append(row)
            elif self._is_unsettled(row, reading.running):
                unsettled += 1
            else:
                told.append(row)
        await self.remember([(row.subject, row.now) for row in known])
        await self.tell(told, reading)
        return len(told) + unsettled, set(rows)

    async def take_since(
        self, nodes: Sequence[Node], reading: Reading, since: datetime, until: datetime, *, keep: bool
    ) -> int:
        """The rows of a page for a backfill that came or changed in that time, whether or not they were seen before:
        how many they are. ``keep``: they are told."""
        rows = await self._read(nodes, reading, keep=keep)
        wanted = [row for row in rows.values() if _is_within(row, since, until)]
        if keep:
            await self.tell([replace(row, before=None) for row in wanted], reading)
        return len(wanted)

    async def remember(self, seen: Sequence[tuple[str, Seen]]) -> None:
        """Keep how rows were seen of which nothing is to be told."""
        await self._number_stages([one for _, one in seen])
        marks = [self._mark(subject, one) for subject, one in seen]
        if marks:
            await self._ledger.keep_seen(self._source.name, self._polls.account, marks)

    async def tell(self, rows: Sequence[Row], reading: Reading) -> None:
        """Keep rows with their facts, a few at a time: what another call adds is asked for before."""
        await self._number_stages([row.now for row in rows])
        for i in range(0, len(rows), BATCH):
            some = rows[i : i + BATCH]
            told = await asyncio.gather(*(self._told(row, reading.only_to is not None) for row in some))
            pairs = zip(some, told, strict=True)
            await self._accept([self._receipt(row, facts, reading) for row, facts in pairs if facts])

    async def missing(self, present: Set[int]) -> tuple[list[tuple[str, Seen]], int]:
        """Applications that were seen before and are not among these, by the hash of their subject; and how many were
        seen in all. What is known to be gone does not count."""
        missing, total = [], 0
        async for entries in self._ledger.all_seen(self._source.name, self._polls.account):
            for subject, entry in entries.items():
                seen = self._stages.unpack(entry)
                total += not seen.is_gone
                if not seen.is_gone and hash(subject) not in present:
                    missing.append((subject, seen))
        return missing, total

    # --- what a row says --------------------------------------------------------------------------------------------

    async def _read(self, nodes: Sequence[Node], reading: Reading, *, keep: bool = True) -> dict[str, Row]:
        """Rows by subject; of one that is there twice, the last. One that can't be read is kept as drift, once."""
        read: dict[str, tuple[Node, tuple[Fact, ...]]] = {}
        odd = []
        for node in nodes:
            try:
                facts = tuple(map(self._source.handler.with_kind, self._polls.row_facts(node)))
            except Drift as drift:
                odd.append(self._drift(node, str(drift), reading.read_at))
            else:
                if facts:
                    read[facts[-1].subject] = node, facts
        if keep:
            await self._accept(odd)
        entries = await self._ledger.read_seen(self._source.name, self._polls.account, list(read))
        rows = {}
        for subject, (node, facts) in read.items():
            entry = entries.get(subject)
            before = self._stages.unpack(entry) if entry is not None else None
            rows[subject] = Row(node, facts, subject, before, seen_in(facts))
        return rows

    def _was_there_before(self, row: Row, state: PollState) -> bool:
        """Whether an application that polling sees for the first time is none that just came."""
        created_at = row.facts[0].application.created_at if row.facts[0].application else None
        if created_at is None:
            return not state.knows_all
        backfill = self._source.handler.settings.poll.backfill
        if backfill is not None and backfill.moment <= created_at:
            return False
        first_contact = datetime.fromtimestamp(state.first_contact, UTC)
        return created_at < first_contact - (_NEW_LATER if state.knows_all else _NEW_AT_FIRST)

    def _is_unsettled(self, row: Row, running: RunningPass) -> bool:
        application = row.facts[-1].application
        if not self._polls.recovers or application is None or application.updated_at is None:
            return False
        return application.updated_at > datetime.fromtimestamp(running.began, UTC) - SETTLE

    async def _told(self, row: Row, is_backfill: bool) -> Sequence[Fact]:
        """The facts of a row that changed, with what another call adds."""
        facts: Sequence[Fact] = row.facts
        if (row.before is not None or self._polls.thin) and not row.now.is_gone:
            with suppress(NotThere):  # it is gone since: the next pass sees it
                facts = await self._polls.details(row.node, facts, self._api)
            facts = tuple(map(self._source.handler.with_kind, facts))
        if self._polls.recovers and not is_backfill:
            facts = tuple(fact.model_copy(update={"recovered": True}) for fact in facts)
        return facts

    # --- what is kept -----------------------------------------------------------------------------------------------

    def _receipt(self, row: Row, facts: Sequence[Fact], reading: Reading) -> NewReceipt:
        mark = self._mark(row.subject, row.now)
        normalised = Normalised(Disposition.EVENTS, facts[-1].vendor_event, tuple(facts), self._polls.account)
        receipt = Receipt((), _body(row.node), reading.read_at)
        identifier = self._identifier(f"{reading.running.id} {row.subject} {mark.value.hex()}")
        waiting = waiting_facts(
            normalised,
            receipt_id=identifier,
            source=self._source.name,
            vendor=self._source.handler.vendor,
            receipt=receipt,
            mark=None,
        )
        known = row.before.state(reading.known_at) if row.before is not None and not row.before.is_gone else None
        polled = {"polled": True, "known": known, "only_to": reading.only_to}
        items = intake_items(one.model_copy(update=polled) for one in waiting)
        return NewReceipt(identifier, self._record(normalised, reading.read_at), receipt.body, items, mark)

    def _drift(self, node: Node, reason: str, read_at: datetime) -> NewReceipt:
        body = _body(node)
        identifier = self._identifier(f"drift {hashlib.sha256(body).hexdigest()}")
        return NewReceipt(identifier, self._record(Normalised(Disposition.DRIFT, reason=reason), read_at), body, ())

    def _identifier(self, dedupe: str) -> str:
        return receipt_id(self._source.name, self._polls.account, f"polled {dedupe}")

    def _record(self, normalised: Normalised, read_at: datetime) -> ReceiptRecord:
        return ReceiptRecord(
            source=self._source.name,
            vendor=self._source.handler.vendor,
            account=self._polls.account,
            received_at=read_at,
            disposition=normalised.disposition,
            vendor_event=normalised.vendor_event,
            reason=normalised.reason,
            polled=True,
        )

    def _mark(self, subject: str, seen: Seen) -> Mark:
        return Mark(bucket_of(self._source.name, subject), subject, self._stages.pack(seen))

    async def _number_stages(self, seen: Sequence[Seen]) -> None:
        if new := self._stages.new_in(seen):
            last = await self._ledger.add_stages(self._source.name, self._polls.account, new)
            for number, stage in enumerate(new, start=last - len(new) + 1):
                self._stages.learn(stage, number)

    async def _accept(self, receipts: Sequence[NewReceipt]) -> None:
        partition = partition_of(self._source.name, self._polls.account)
        for i in range(0, len(receipts), BATCH):
            for answer in await self._ledger.accept(partition, receipts[i : i + BATCH]):
                if isinstance(answer, RedisError):
                    raise answer


def _is_within(row: Row, since: datetime, until: datetime) -> bool:
    """Whether an application came or changed in that time, as far as its row says when."""
    application = row.facts[-1].application
    if row.now.is_gone or application is None:
        return False
    created_at = application.created_at
    changed_at = application.updated_at or row.facts[-1].occurred_at or created_at
    return (changed_at is None or changed_at >= since) and (created_at is None or created_at <= until)


def _body(node: Node) -> bytes:
    return json.dumps(_asked_for(node.raw), ensure_ascii=False).encode(errors="replace")


def _asked_for(value: object) -> object:
    """The same without what is never stored: EEO answers, birth dates and the like, by the names of their fields."""
    if isinstance(value, dict):
        return {name: _asked_for(inner) for name, inner in value.items() if not is_not_asked_for(str(name))}
    return [_asked_for(inner) for inner in value] if isinstance(value, list) else value
