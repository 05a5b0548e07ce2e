"""Commands about the configuration and the shape of events: check, preview, schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from router.cli.shared import CONFIG, ConfigOption, app, configured, console, misuse
from router.preview import NotAnEvent, print_preview, read_event, rendered, sample_event
from router.schema import Event, EventType

schema_app = typer.Typer(help="Print JSON Schemas.", no_args_is_help=True)
app.add_typer(schema_app, name="schema")


@app.command()
def check(
    config: Annotated[Path, typer.Argument(envvar="ATS_ROUTER_CONFIG", help="The configuration file.")] = CONFIG,
) -> None:
    """Check a configuration file and say everything that is wrong with it."""
    settings = configured(config)
    counts = ((settings.sources, "source"), (settings.sinks, "sink"), (settings.rules.routes, "route"))
    parts = ", ".join(f"{len(of)} {word}{'' if len(of) == 1 else 's'}" for of, word in counts)
    typer.echo(f"{config} is good: {parts}.")


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


@schema_app.command("event")
def schema_event() -> None:
    """The JSON Schema of the common event, as every sink gets it."""
    typer.echo(json.dumps(Event.model_json_schema(mode="serialization"), indent=2))
