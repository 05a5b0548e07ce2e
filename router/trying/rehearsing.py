"""Rehearsing a changed configuration on the stored events: what would go elsewhere, before it goes live.

Both rule sets see the same events; what was really delivered, perhaps by older rules, is not compared.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.destinations import Planned
from router.headline import headline, plain
from router.ledger import Ledger
from router.ledger_keys import events_index
from router.schema import Event, EventType, Model
from router.trying.explaining import explain
from router.trying.outlook import Outlook
from router.wording import listed

BATCH = 500
"""Events that are read at once; no more of them are in memory at the same time."""

_EXAMPLES = 3


class Change(StrEnum):
    """`DIFFERENT`: to another channel or address, or with another text."""

    MORE = "more"
    FEWER = "fewer"
    DIFFERENT = "different"
    SAME = "same"


class Example(Model):
    """``why``: the routes that cause the change, in words."""

    event: str
    type: EventType
    headline: str
    why: str


class SinkChanges(Model):
    sink: str
    more: int
    fewer: int
    different: int
    same: int
    examples: dict[Change, Sequence[Example]]


class Rehearsal(Model):
    """``gone``: events that were purged while they were read."""

    events: int
    gone: int
    sinks: Sequence[SinkChanges]


@dataclass(frozen=True, slots=True)
class Window:
    """Which stored events: by when they came in, in unix seconds, and from which source; None stands for any."""

    since: float | None = None
    until: float | None = None
    source: str | None = None


@dataclass(slots=True)
class _Tally:
    counts: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    examples: dict[Change, list[Example]] = field(default_factory=dict)


class _Comparison:
    def __init__(self, before: Outlook, after: Outlook) -> None:
        self._before = before
        self._after = after
        old, new = before.config.sinks, after.config.sinks
        self.tallies = {name: _Tally() for name in (*old, *new)}
        self._unchanged = {name for name, settings in old.items() if settings == new.get(name)}

    def add(self, event: Event) -> None:
        old, new = _by_sink(self._before.deliveries(event)), _by_sink(self._after.deliveries(event))
        for sink in dict.fromkeys((*old, *new)):
            for was, will in _paired(old.get(sink, {}), new.get(sink, {})):
                self._count(sink, was, will, event)

    def _count(self, sink: str, was: Planned | None, will: Planned | None, event: Event) -> None:
        if was is None or will is None:
            change = Change.MORE if was is None else Change.FEWER
        elif was.target != will.target or not self._says_the_same(was, will, event):
            change = Change.DIFFERENT
        else:
            change = Change.SAME
        tally = self.tallies[sink]
        tally.counts[change] += 1
        examples = tally.examples.setdefault(change, [])
        if change is not Change.SAME and len(examples) < _EXAMPLES:
            why = self._why(was, will, event)
            examples.append(Example(event=event.id, type=event.type, headline=headline(event), why=why))

    def _says_the_same(self, was: Planned, will: Planned, event: Event) -> bool:
        """What a sink makes of an event hangs on its settings and on the route's wishes: mostly both are the same, and
        nothing needs to be rendered."""
        if was.sink in self._unchanged and was.overrides == will.overrides:
            return True
        return self._before.body(was, event) == self._after.body(will, event)

    def _why(self, was: Planned | None, will: Planned | None, event: Event) -> str:
        if was is not None and will is not None:
            what = "another text" if was.target == will.target else "another channel or address"
            return f"{what}, by {listed(will.routes, 'and')}"
        if will is not None:
            return f"by {listed(will.routes, 'and')}"
        assert was is not None
        now = {route.name: route for route in explain(self._after.rules, event).routes}
        return "; ".join(_why_not(name, now[name].why if name in now else None, name in now) for name in was.routes)


def _why_not(route: str, why: str | None, exists: bool) -> str:
    if not exists:
        return f"the route {route} is gone"
    return f"{route}: {why}" if why else f"{route} matches, and does not send there any more"


def _by_sink(deliveries: Sequence[Planned]) -> dict[str, dict[str, Planned]]:
    """By sink, then by target."""
    found: dict[str, dict[str, Planned]] = {}
    for planned in deliveries:
        found.setdefault(planned.sink, {})[planned.target] = planned
    return found


def _paired(old: dict[str, Planned], new: dict[str, Planned]) -> Iterator[tuple[Planned | None, Planned | None]]:
    """What was and what will be to one sink: by target, and what is left over in its order."""
    for target in old.keys() & new.keys():
        yield old[target], new[target]
    gone = [planned for target, planned in old.items() if target not in new]
    come = [planned for target, planned in new.items() if target not in old]
    for i in range(max(len(gone), len(come))):
        yield (gone[i] if i < len(gone) else None), (come[i] if i < len(come) else None)


async def rehearse(
    ledger: Ledger, before: Outlook, after: Outlook, window: Window, progress: Callable[[int, int], None]
) -> Rehearsal:
    """Compare both on the stored events; ``progress`` is told how many of how many are done."""
    comparison = _Comparison(before, after)
    indexes = await _indexes(ledger, window)
    total = sum([await ledger.how_many(index, since=window.since, until=window.until) for index in indexes])
    events = gone = 0
    progress(0, total)
    for index in indexes:
        async for ids in _batches(ledger, index, window):
            bodies = await ledger.read_bodies(ids)
            for body in filter(None, bodies):
                comparison.add(Event.model_validate_json(body))
                events += 1
            gone += bodies.count(None)
            progress(events + gone, total)
    tallies = comparison.tallies.items()
    return Rehearsal(events=events, gone=gone, sinks=[_changes(sink, tally) for sink, tally in tallies])


def _changes(sink: str, tally: _Tally) -> SinkChanges:
    examples = {change: found for change, found in tally.examples.items() if found}
    return SinkChanges(sink=sink, examples=examples, **{str(change): count for change, count in tally.counts.items()})


async def _indexes(ledger: Ledger, window: Window) -> list[str]:
    """Every event is in one of them."""
    return [
        events_index(source, what)
        for source, what in await ledger.counts()
        if what in EventType.__members__.values() and window.source in (None, source)
    ]


async def _batches(ledger: Ledger, index: str, window: Window) -> AsyncIterator[list[str]]:
    """The ids in an index, newest first. What came in the same millisecond as the last one of a batch was perhaps not
    all read with it, so it is asked for again."""
    until, border = window.until, set[str]()
    while True:
        entries = await ledger.listed([index], BATCH + len(border), since=window.since, until=until)
        ids = [entry.id for entry in entries if entry.id not in border]
        if not ids:
            return
        yield ids
        border = {entry.id for entry in entries if entry.at == entries[-1].at}
        until = entries[-1].at


def print_rehearsal(rehearsal: Rehearsal, console: Console) -> None:
    events = f"{rehearsal.events:,} stored event{'' if rehearsal.events == 1 else 's'}"
    if not rehearsal.events:
        console.print("no event of that time is stored, so there is nothing to compare")
        return
    if all(sink.more == sink.fewer == sink.different == 0 for sink in rehearsal.sinks):
        console.print(f"[green]Nothing changes[/]: {events} go where they go now, and say the same.")
        return
    console.print(f"On {events} the new file makes, for each sink,")
    table = Table("sink", "more", "fewer", "different", "the same", box=None, padding=(0, 2))
    for column in table.columns[1:]:
        column.justify = "right"
    for sink in rehearsal.sinks:
        counts = (sink.more, sink.fewer, sink.different, sink.same)
        table.add_row(escape(sink.sink), *(f"{count:,}" for count in counts))
    console.print(table)
    for sink in rehearsal.sinks:
        for change, examples in sink.examples.items():
            console.print(f"\n[bold]{escape(sink.sink)}, {change}[/], for example")
            for example in examples:
                why = escape(plain(example.why))
                console.print(f"  {escape(example.headline)}  [dim]{example.type} {example.event}[/]\n      {why}")
