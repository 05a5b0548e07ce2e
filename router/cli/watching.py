"""Commands that look: status, issues, sources, events, deliveries, show."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from router.cli.filters import (
    ApplicationOption,
    CandidateOption,
    ReasonOption,
    RouteOption,
    SinceOption,
    SinkOption,
    SourceOption,
    StateOption,
    TypeOption,
    UntilOption,
    filter_of,
    of_deliveries,
)
from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    JsonOption,
    LimitOption,
    app,
    configured,
    console,
    days,
    fail,
    misuse,
    on_ledger,
    print_json,
    wide,
)
from router.config import Config, ConfigErrors
from router.issues import read_issues
from router.ledger import Ledger
from router.lists import (
    DeliveryRow,
    EventRow,
    Filter,
    Found,
    follow,
    newest_deliveries,
    newest_events,
    scan_deliveries,
)
from router.overview import read_overview, read_sources
from router.parts import Origin
from router.story import Story, print_story, read_story
from router.tables import print_deliveries, print_events, print_issues, print_overview, print_sources

FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show what is new until Ctrl-C.")]


@app.command()
def status(config: ConfigOption = CONFIG, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Say on one screen how it goes: every source, every sink, the server, and whether anybody works."""
    origin = Origin(config, data_dir)
    try:
        settings = origin.load()
    except ConfigErrors as errors:  # what runs goes on with the one before
        typer.echo(errors, err=True)
        settings = origin.without_rules()
    overview = on_ledger(settings, lambda ledger: read_overview(ledger, settings))
    if as_json:
        print_json(overview.model_dump(mode="json"))
    else:
        print_overview(overview, wide)


@app.command()
def issues(config: ConfigOption = CONFIG, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Say what needs a person now: since when, how often, and what to do. What is mended is no longer listed."""
    settings = configured(config, data_dir)
    rows = on_ledger(settings, lambda ledger: read_issues(ledger, settings))
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    elif rows:
        print_issues(rows, wide)
    else:
        console.print("no issue: nothing needs a person")


@app.command()
def sources(config: ConfigOption = CONFIG, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Say for each source which URL to register in the ATS and where, and what came from it."""
    settings = configured(config, data_dir)
    rows = on_ledger(settings, lambda ledger: read_sources(ledger, settings))
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        print_sources(rows, wide)


@app.command()
def events(
    source: SourceOption = None,
    event_type: TypeOption = None,
    application: ApplicationOption = None,
    candidate: CandidateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    following: FollowOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List events, the newest first, with what became of their deliveries."""
    settings = configured(config, data_dir)
    wanted = filter_of(settings, limit, source, event_type, application, candidate, since, until)

    async def go_on(ledger: Ledger) -> None:
        async for row in follow(ledger, wanted, lambda now: newest_events(ledger, now)):
            _print_followed(row, as_json)

    if following:
        with suppress(KeyboardInterrupt):
            on_ledger(settings, go_on)
        return
    rows = on_ledger(settings, lambda ledger: newest_events(ledger, wanted))
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    elif rows:
        print_events(rows, wide)
    else:
        console.print("no event fits" if _is_filtered(wanted) else _NOTHING_YET)


@app.command()
def deliveries(
    sink: SinkOption = None,
    state: StateOption = None,
    reason: ReasonOption = None,
    route: RouteOption = None,
    source: SourceOption = None,
    event_type: TypeOption = None,
    application: ApplicationOption = None,
    candidate: CandidateOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    following: FollowOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List deliveries, first those to which something happened last."""
    settings = configured(config, data_dir)
    wanted = filter_of(settings, limit, source, event_type, application, candidate, since, until)
    wanted = of_deliveries(settings, wanted, sink, state, reason, route)

    async def go_on(ledger: Ledger) -> None:
        async def look(now: Filter) -> Sequence[DeliveryRow]:
            return (await scan_deliveries(ledger, now, settings.sinks)).rows

        async for row in follow(ledger, wanted, look):
            _print_followed(row, as_json)

    if following:
        with suppress(KeyboardInterrupt):
            on_ledger(settings, go_on)
        return
    found = on_ledger(settings, lambda ledger: newest_deliveries(ledger, wanted, settings.sinks))
    _print_found(found, wanted, as_json)


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="The id of an event, or of one of its deliveries.")],
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole story of one event: where it came from, which routes it matched, every attempt to deliver it."""
    settings = configured(config, data_dir)
    story = stored_story(settings, event_id)
    if as_json:
        print_json(story.model_dump(mode="json"))
    else:
        print_story(story, settings.rules, console, rules_hash=settings.edition.hash)


def stored_story(settings: Config, event_id: str) -> Story:
    """The story of an event that somebody asked for."""

    async def read(ledger: Ledger) -> Story | None:
        try:
            return await read_story(ledger, event_id)
        except ValueError:
            misuse(f"{event_id!r} is no id of an event: they begin with evt_, as `events` and the sinks show them")

    story = on_ledger(settings, read)
    if story is None:
        fail(f"there is no event {event_id}: the id is wrong, or it is older than {days(settings)} days")
    return story


_NOTHING_YET = "no event yet: `ats-router sources` says what to register in the ATS, `ats-router send` posts a sample"


def _print_found(found: Found, wanted: Filter, as_json: bool) -> None:
    if as_json:
        print_json([row.model_dump(mode="json") for row in found.rows])
    elif found.rows:
        print_deliveries(found.rows, wide)
    else:
        console.print(
            "no delivery fits" if _is_filtered(wanted) else "no delivery yet: `ats-router events` lists events"
        )
    if found.looked_at:
        typer.echo(f"looked at the newest {found.looked_at:,}; for older ones narrow it with --until", err=True)


def _print_followed(row: EventRow | DeliveryRow, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(row.model_dump(mode="json")))
    elif isinstance(row, EventRow):
        print_events([row], wide, heading=False)
    else:
        print_deliveries([row], wide, heading=False)


def _is_filtered(wanted: Filter) -> bool:
    return wanted != Filter(limit=wanted.limit)
