"""Lists and overviews as people see them in a terminal; times are in UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.headline import headline, plain
from router.health import MEMORY_LIMIT
from router.issues import Issue
from router.lists import DeliveryRow, EventRow
from router.overview import Overview, SinkOverview, SourceOverview
from router.records import ConfigState, ListedDelivery, ReceiptRecord, RulesChange
from router.schema import Event

_ODD_SHOWN = 10
_ISSUES_SHOWN = 10
_SAID_ABOVE = ("no_worker", "config")
_COLORS = {
    "delivered": "green",
    "dead": "bold red",
    "unknown": "bold red",
    "retrying": "yellow",
    "held": "yellow",
    "skipped": "dim",
    "cancelled": "dim",
}
_EVENT_COLUMNS = (("time (UTC)", 19), ("type", 18), ("headline", 44), ("source", 12), ("deliveries", 24), ("event", 30))
_DELIVERY_COLUMNS = (
    ("time (UTC)", 19),
    ("sink", 12),
    ("state", 9),
    ("tries", 5),
    ("last reason", 16),
    ("next attempt", 19),
    ("headline", 44),
    ("delivery", 39),
)


def print_events(rows: Sequence[EventRow], console: Console, *, heading: bool = True) -> None:
    """Rows under each other; with the same widths every time where ``heading`` is false, as more rows follow."""
    cells = [(_time(row.at), row.type, _headline(row), escape(row.source), _summary(row), row.id) for row in rows]
    _print_rows(_EVENT_COLUMNS, cells, console, heading)


def print_deliveries(rows: Sequence[DeliveryRow], console: Console, *, heading: bool = True) -> None:
    cells = [
        (
            _time(row.at),
            escape(row.sink) + ("" if row.configured else " (no longer configured)"),
            _colored(row.state),
            str(row.tries),
            escape(plain(row.reason or "")),
            _time(row.next_at),
            escape(row.headline),
            row.id,
        )
        for row in rows
    ]
    _print_rows(_DELIVERY_COLUMNS, cells, console, heading)


def print_overview(overview: Overview, console: Console) -> None:
    workers = overview.workers
    if workers:
        console.print(f"[green]{workers} worker{'s' if workers > 1 else ''} at work[/], {_intake(overview)}")
    else:
        console.print(
            f"[bold red]no worker is at work[/]: start `ats-router up` or `ats-router work`; {_intake(overview)}"
        )
    for state in overview.config:
        console.print(_not_in_use(state))
    console.print(f"server memory: {_memory(overview)}\n")
    table = _table("source", "last webhook", "events", "unchanged", "ignored", "drift now", "duplicates")
    for source in overview.sources:
        last = _ago(overview.at, source.last_receipt) if source.pushes else "polled"
        table.add_row(_source_name(source), last, *_counts(source))
    console.print(table)
    console.print()
    table = _table("sink", "state", "waiting", "oldest waits", "held", "unknown", "dead", "failing since", "why")
    for sink in overview.sinks:
        table.add_row(*_sink_cells(sink, overview.at))
    console.print(table)
    for hint in _hints(overview):
        console.print(hint)
    told = [issue for issue in overview.issues if issue.kind not in _SAID_ABOVE]
    if told:
        console.print("\n[bold]What needs a person[/] (`ats-router issues` says since when):")
    for issue in told[:_ISSUES_SHOWN]:
        console.print(escape(plain(f"- {issue.about}: {issue.what}; {issue.do}")))
    if len(told) > _ISSUES_SHOWN:
        console.print(f"... and {len(told) - _ISSUES_SHOWN} more")


def print_sources(sources: Sequence[SourceOverview], console: Console) -> None:
    for source in sources:
        console.print(f"[bold]{_source_name(source)}[/]  {source.vendor}")
        facts = Table.grid(padding=(0, 2))
        facts.add_row("URL", escape(source.url))
        if source.secret_pending:
            facts.add_row("secret", "still pending: nothing is let in but handshakes")
        for number, step in enumerate(source.steps, 1):
            facts.add_row("register it" if number == 1 else "", escape(f"{number}. {step}"))
        if source.pushes:
            facts.add_row("last webhook", f"{_time(source.last_receipt)} UTC" if source.last_receipt else "none yet")
            facts.add_row(
                "webhooks",
                f"{source.verified} verified, {source.ignored} of them ignored, {source.drift} kept as drift now,"
                f" {source.rejected} rejected",
            )
        elif source.drift:
            facts.add_row("drift", f"{source.drift} rows that could not be read are kept")
        facts.add_row("vendor's API", escape(source.api))
        facts.add_row("polled", escape(source.polling))
        if source.recovered:
            facts.add_row("recovered", f"{source.recovered} events that no webhook told")
        if source.registered:
            facts.add_row("registered", f"{source.registered} by `ats-router connect`")
        if odd := sorted(source.soft_drift.items(), key=lambda path: -path[1])[:_ODD_SHOWN]:
            facts.add_row("missing or odd", escape(", ".join(f"{path} ({count} times)" for path, count in odd)))
        console.print(facts)
        console.print()


def print_issues(issues: Sequence[Issue], console: Console) -> None:
    table = _table("since (UTC)", "about", "what", "times", "what to do")
    for issue in issues:
        table.add_row(
            _time(issue.since), escape(issue.about), escape(plain(issue.what)), str(issue.times), escape(issue.do)
        )
    console.print(table)


def print_reviews(rows: Sequence[tuple[ListedDelivery, Event]], console: Console) -> None:
    table = _table("since (UTC)", "sink", "routes", "headline", "rejected at (UTC)", "delivery")
    for one, event in rows:
        routes = escape(plain(", ".join(one.record.routes)))
        since = _time(datetime.fromtimestamp(one.at, UTC))
        told = (since, escape(one.record.sink), routes, escape(headline(event)), _time(one.record.reject_at), one.id)
        table.add_row(*told)
    console.print(table)


def print_rules_log(changes: Sequence[RulesChange], console: Console) -> None:
    table = _table("since (UTC)", "rules", "what changed")
    for change in changes:
        table.add_row(_time(change.at), change.hash, escape(plain("; ".join(change.changes))))
    console.print(table)


def print_drift(rows: Sequence[tuple[str, ReceiptRecord]], console: Console) -> None:
    table = _table("time (UTC)", "source", "webhook", "reason", "receipt")
    for receipt, record in rows:
        event = escape(plain(record.vendor_event or ""))
        table.add_row(_time(record.received_at), escape(record.source), event, _reason(record), receipt)
    console.print(table)


def print_drifted(receipt: str, record: ReceiptRecord, body: bytes, console: Console) -> None:
    """One receipt with its body, which may be a candidate's data."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("receipt", receipt)
    facts.add_row("received", f"{_time(record.received_at)} UTC from {escape(record.source)} ({record.vendor})")
    facts.add_row("reason", _reason(record))
    for name, value in record.headers:
        facts.add_row(escape(name), escape(plain(value)))
    console.print(facts)
    console.print()
    for line in body.decode(errors="replace").splitlines():
        console.print(escape(plain(line)))


def _print_rows(
    columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]], console: Console, heading: bool
) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=heading)
    for name, width in columns:
        table.add_column(name, no_wrap=True, min_width=None if heading else width)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _headline(row: EventRow) -> str:
    return f"{escape(row.headline)}{' [dim](test)[/]' if row.test else ''}"


def _summary(row: EventRow) -> str:
    return ", ".join(f"{escape(one.sink)} {_colored(one.state)}" for one in row.deliveries) or "no route matched"


def _reason(record: ReceiptRecord) -> str:
    return escape(plain(record.reason or ""))


def _colored(state: str) -> str:
    color = _COLORS.get(state)
    return f"[{color}]{state}[/]" if color else state


def _source_name(source: SourceOverview) -> str:
    return f"{escape(source.name)}{'' if source.enabled else ' (disabled)'}"


def _counts(source: SourceOverview) -> list[str]:
    drift = f"[bold red]{source.drift}[/]" if source.drift else "0"
    return [str(source.events), str(source.unchanged), str(source.ignored), drift, str(source.duplicates)]


def _sink_cells(sink: SinkOverview, now: datetime) -> list[str]:
    waiting = f"{sink.waiting} ({sink.retrying} retrying)" if sink.retrying else str(sink.waiting)
    oldest = _duration(now - sink.oldest_waiting) if sink.oldest_waiting else ""
    dead = f"[bold red]{sink.dead}[/]" if sink.dead else "0"
    held, unknown = (f"[yellow]{count}[/]" if count else "0" for count in (sink.held, sink.unknown))
    since = f"[bold red]{_time(sink.failing_since)}[/]" if sink.failing_since else ""
    kind = sink.type or "[bold red]no longer configured[/]"
    why = escape(plain(sink.failing_why or ""))
    return [f"{escape(sink.name)} ({kind})", _sink_state(sink, now), waiting, oldest, held, unknown, dead, since, why]


def _sink_state(sink: SinkOverview, now: datetime) -> str:
    probe = f", tried again in {_duration(sink.probe_at - now)}" if sink.probe_at else ""
    match sink.state:
        case "works" if sink.failing_since:
            return "[yellow]its last attempt failed[/]"
        case "works":
            return "[green]it works[/]"
        case "slowed":
            return f"[yellow]slowed to {sink.per_second or 0:.3g}/s[/]"
        case "open":
            return f"[bold red]it fails[/]{probe}"
        case "parked":
            return f"[bold red]it refuses us[/]{probe}"
        case "off":
            return "[yellow]switched off[/]"
    return "nobody sends"


def _intake(overview: Overview) -> str:
    return f"webhooks of {overview.to_be_routed} applications wait to be routed"


def _not_in_use(state: ConfigState) -> str:
    if state.errors:
        mistakes = f"{state.errors} error{'s' if state.errors > 1 else ''}"
        told = f"the changed configuration is not in use since {_time(state.since)} UTC: {mistakes}"
        return f"[bold red]{told}[/]; run `ats-router check {escape(plain(state.path))}`"
    return f"[yellow]{', '.join(state.restart)} changed, and is used after a restart only[/]"


def _memory(overview: Overview) -> str:
    used = f"{overview.memory_used / 1e6:.0f} MB used"
    if not overview.memory_limit:
        return f"{used}, without a limit"
    share = overview.memory_used / overview.memory_limit
    full = f"; [bold red]above {MEMORY_LIMIT:.0%} nothing new is taken[/]" if share > MEMORY_LIMIT else ""
    return f"{used} of {overview.memory_limit / 1e6:.0f} MB ({share:.0%}){full}"


def _hints(overview: Overview) -> list[str]:
    return [
        f"\n{sink.waiting} deliveries wait for the sink {escape(sink.name)}, which is no longer configured: put a sink"
        " of that name back into the file and restart, and they go out; until then they are kept."
        for sink in overview.sinks
        if sink.type is None
    ]


def _ago(now: datetime, then: datetime | None) -> str:
    return f"{_duration(now - then)} ago" if then else "none yet"


def _duration(time: timedelta) -> str:
    seconds = max(0, int(time.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else ""
