"""Commands about the configuration and the shape of events: check, preview, schema."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from redis.exceptions import RedisError

from router.cli.shared import CONFIG, MISUSE, ConfigOption, JsonOption, app, configured, console, misuse, print_json
from router.config import Config, Seen
from router.config import check as look_at
from router.config.advice import newest
from router.config.editor import config_schema
from router.connection import ServerProblem
from router.parts import open_ledger, servers_of
from router.preview import NotAnEvent, print_preview, read_event, rendered, sample_event
from router.schema import Event, EventType
from router.seen import seen_in

schema_app = typer.Typer(help="Print JSON Schemas.", no_args_is_help=True)
app.add_typer(schema_app, name="schema")


@app.command()
def check(
    config: Annotated[Path, typer.Argument(envvar="ATS_ROUTER_CONFIG", help="The configuration file.")] = CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration file and say everything that is wrong with it, and what is hardly meant.

    While the router runs, names of stages, jobs, departments and offices are compared with those that came so far.
    """
    checked = look_at(config)
    seen = _seen(checked.config) if checked.config else None
    if seen is not None:
        checked = look_at(config, seen=seen)
    if as_json:
        print_json([problem.as_json for problem in checked.problems])
    else:
        for problem in checked.problems:
            typer.echo(problem, err=True)
    if checked.config is None:
        raise typer.Exit(MISUSE)
    if not as_json:
        typer.echo(_praise(config, checked.config, len(checked.problems), seen))


def _seen(config: Config) -> Seen | None:
    """What came so far; None where no router runs."""

    async def opened() -> Seen:
        async with open_ledger(config, servers_of(config), wait=False) as ledger:
            return await seen_in(ledger)

    try:
        return asyncio.run(opened())
    except (ServerProblem, RedisError):
        return None


def _praise(path: Path, config: Config, warnings: int, seen: Seen | None) -> str:
    parts = [(len(config.sources), "source"), (len(config.sinks), "sink"), (len(config.rules.routes), "route")]
    if warnings:
        parts.append((warnings, "warning"))
    counts = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in parts)
    told = f"{path} is good: {counts}."
    if seen is not None and seen.events:
        told += f"\nIts names were compared with those of {newest(seen.events)}."
    return told


@app.command()
def preview(
    sink: Annotated[str, typer.Argument(help="The name of a sink in the configuration.")],
    event: Annotated[Path | None, typer.Option(help="A file with one event as JSON, as sinks get it.")] = None,
    event_type: Annotated[
        EventType, typer.Option("--type", help="Without --event: which made-up event to show.")
    ] = EventType.STAGE_CHANGED,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly what would be sent.")] = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Show what a sink would send, and send nothing: a Slack message as people will see it."""
    settings = configured(config)
    if sink not in settings.sinks:
        misuse(f"there is no sink {sink!r} in {config}; known are: {', '.join(settings.sinks)}")
    try:
        shown = read_event(event.read_bytes()) if event else sample_event(event_type)
    except OSError as error:
        misuse(f"{event} can't be read ({(error.strerror or 'unknown error').lower()})")
    except NotAnEvent as problem:
        misuse(f"{event} is not an event: {problem}")
    body = rendered(sink, settings.sinks[sink], shown)
    if as_json:
        typer.echo(body)
    else:
        print_preview(body, console)


@schema_app.command("config")
def schema_config() -> None:
    """The JSON Schema of the configuration file, by which editors complete and mark it."""
    print_json(config_schema())


@schema_app.command("event")
def schema_event() -> None:
    """The JSON Schema of the common event, as every sink gets it."""
    typer.echo(json.dumps(Event.model_json_schema(mode="serialization"), indent=2))
