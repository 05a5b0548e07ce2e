"""The command that sends stored events once more."""

import time
from typing import Annotated
from uuid import uuid4

import typer

from router.cli.filters import ApplicationOption, SourceOption, TypeOption, filter_of
from router.cli.mending import RateOption, YesOption, per_second_of
from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    JsonOption,
    app,
    configured,
    console,
    counting_bar,
    known_name,
    misuse,
    on_ledger,
    print_json,
)
from router.client import Client
from router.config import Config
from router.ledger import Ledger
from router.parts import destinations_of
from router.records import Replay
from router.replaying import Replayer
from router.rules import DEFAULT


@app.command("replay")
def replay_command(
    since: Annotated[
        str | None, typer.Option(help="Webhooks from then on: 2h, 3d, or 2026-11-20T12:00, in UTC.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Webhooks until then; as --since. Until now where left out.")
    ] = None,
    source: SourceOption = None,
    event_type: TypeOption = None,
    application: ApplicationOption = None,
    to: Annotated[str | None, typer.Option(help="To this sink, whatever the rules say.")] = None,
    route: Annotated[str | None, typer.Option(help="Only what this route of today's rules sends.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also what a sink has already, under a new key.")] = False,
    go_on: Annotated[
        bool, typer.Option("--continue", help="Go on with the last replay that did not come to its end.")
    ] = False,
    rate: RateOption = None,
    yes: YesOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send stored events through today's rules again, or to one sink, behind all live traffic.

    Nothing goes to a sink that has it already. Ctrl-C stops it, --continue goes on; running the same again is harmless.
    """
    settings = configured(config, data_dir)
    if go_on:
        if any((since, until, source, event_type, application, to, route, force)):
            misuse("--continue goes on with what was asked for then: give nothing else")
        asked = _last(settings)
    else:
        asked = _asked(settings, since, until, source, event_type, application, to, route, force)
    planned, had_it = on_ledger(settings, lambda ledger: _look(ledger, settings, asked))
    if planned and not yes:
        typer.echo("\n".join(f"{sink}: {many} deliveries" for sink, many in sorted(planned.items())), err=True)
        many = sum(planned.values())
        typer.confirm(f"{many} deliveries will be made, {had_it} are there already. Go on?", abort=True, err=True)
    done = asked
    if planned or go_on:
        done = on_ledger(settings, lambda ledger: _run(ledger, settings, asked, per_second_of(rate)))
    if as_json:
        print_json(done.model_dump(mode="json"))
    elif not done.added:
        console.print(f"nothing to replay: {had_it} deliveries are there already, and test events are left out")
    else:
        for sink, many in sorted(done.added.items()):
            console.print(f"{sink}: {many} deliveries were made")
        console.print(f"{done.had_it} were there already. `ats-router deliveries --follow` shows how they go.")


def _asked(
    settings: Config,
    since: str | None,
    until: str | None,
    source: str | None,
    event_type: str | None,
    application: str | None,
    to: str | None,
    route: str | None,
    force: bool,
) -> Replay:
    if since is None:
        misuse("say from when on: --since 3d, or --since 2026-11-20T12:00")
    if to is not None and route is not None:
        misuse("give either --to SINK or --route NAME")
    known_name("sink", to, settings.sinks)
    known_name("route", route, [*(one.name for one in settings.rules.routes), DEFAULT])
    wanted = filter_of(settings, 1, source, event_type, application, None, since, until)
    return Replay(
        id=uuid4().hex[:12],
        since=wanted.since or 0.0,
        until=wanted.until or time.time(),
        source=wanted.source,
        type=wanted.type,
        application=application,
        to=to,
        route=route,
        force=force,
    )


def _last(settings: Config) -> Replay:
    left = on_ledger(settings, Ledger.replays)
    if not left:
        misuse("no replay was broken off, so there is nothing to continue")
    asked = max(left, key=lambda one: one.until)
    known_name("sink", asked.to, settings.sinks)
    return asked


async def _look(ledger: Ledger, settings: Config, asked: Replay) -> tuple[dict[str, int], int]:
    """How many deliveries it would make by sink, and how many are there already."""
    planned: dict[str, int] = {}
    had_it = 0
    async with Client() as client:
        replayer = Replayer(ledger, settings.rules, destinations_of(settings, client), asked)
        with counting_bar() as bar:
            task = bar.add_task("Looking", total=await _total(ledger, asked))
            async for page in replayer.pages():
                for delivery in page.new:
                    planned[delivery.record.sink] = planned.get(delivery.record.sink, 0) + 1
                had_it += page.had_it
                bar.advance(task, page.receipts)
    return planned, had_it


async def _run(ledger: Ledger, settings: Config, asked: Replay, per_second: float | None) -> Replay:
    await ledger.keep_replay(asked)
    async with Client() as client:
        replayer = Replayer(ledger, settings.rules, destinations_of(settings, client), asked)
        with counting_bar() as bar:
            task = bar.add_task("Replaying", total=await _total(ledger, asked))

            def told(receipts: int, waits_for: str) -> None:
                bar.update(task, advance=receipts, description=waits_for or "Replaying")

            return await replayer.run(per_second, told)


async def _total(ledger: Ledger, asked: Replay) -> int:
    return await ledger.how_many("receipts", since=max(asked.since, asked.reached), until=asked.until)
