"""The command that tells of the time before: what an ATS account has, as events."""

import time
from typing import Annotated
from uuid import uuid4

import typer

from router.backfilling import Backfiller, CannotBackfill
from router.cli.filters import asked_moment
from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    JsonOption,
    app,
    configured,
    console,
    counting_bar,
    fail,
    known_name,
    misuse,
    on_ledger,
    print_json,
)
from router.client import Client
from router.config import Config
from router.ledger import Ledger
from router.parts import destination_of, sources_of
from router.rounds import polling_of
from router.source_records import Backfill


@app.command("backfill")
def backfill_command(
    source: Annotated[str, typer.Argument(help="The source whose ATS is read.")],
    since: Annotated[
        str | None, typer.Option(help="Applications that came or changed since: 90d, or 2026-11-01, in UTC.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Applications that came until then; until now where left out.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="Send the events to this sink, and to no other.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be told.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Go on with the backfill that was stopped.")] = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read an ATS account from some day on, and make events of what is not known yet. They go nowhere without --to.

    Ctrl-C stops it, --continue goes on; running the same again is harmless.
    """
    settings = configured(config, data_dir)
    known_name("source", source, settings.sources)
    known_name("sink", to, settings.sinks)
    if go_on:
        if since or until or to or dry_run:
            misuse("--continue goes on with what was asked for then: give nothing else")
        asked = on_ledger(settings, lambda ledger: ledger.read_backfill(source))
        if asked is None:
            misuse(f"no backfill of {source} was stopped, so there is nothing to continue")
    else:
        if since is None:
            misuse("say from when on: --since 90d, or --since 2026-11-01")
        begin, end = asked_moment("--since", since), asked_moment("--until", until) or time.time()
        asked = Backfill(id=uuid4().hex[:12], since=begin or 0.0, until=min(end, time.time()), to=to)
    try:
        done = on_ledger(settings, lambda ledger: _run(ledger, settings, source, asked, dry_run))
    except CannotBackfill as problem:
        fail(str(problem))
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    verb = "would be told" if dry_run else "were told"
    console.print(f"{source}: {done.rows} applications were read, {done.told} of that time {verb}")
    if not dry_run:
        where = f"they go to {done.to}" if done.to else "they are sent nowhere; `ats-router replay` can do that"
        console.print(f"What was known already makes no event; of the others, {where}.")


async def _run(ledger: Ledger, settings: Config, source: str, asked: Backfill, dry_run: bool) -> Backfill:
    async with Client() as client:
        polling = polling_of(sources_of(settings)[source], client, ledger)
        if polling is None:
            raise CannotBackfill(
                f"{source} can't be read: `ats-router sources` says whether its vendor can be polled, and with what"
            )
        destination = destination_of(asked.to, settings.sinks[asked.to], client) if asked.to else None
        with counting_bar() as bar:
            task = bar.add_task("Reading", total=None, completed=asked.rows)

            def told(rows: int, total: int | None, words: str) -> None:
                bar.update(task, advance=rows, description=words or "Reading")
                if total is not None:
                    bar.update(task, total=total)

            return await Backfiller(ledger, polling, told).run(asked, destination, dry_run=dry_run)
