"""The command that needs no server: inspect."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import handlers
from handlers.base import Disposition, Handler
from router.cli.shared import CONFIG, ConfigOption, JsonOption, app, configured, misuse
from router.inspection import Misuse, Request, handler_for, headers_of, inspect_line, inspect_request, moment
from router.parts import sources_of


@app.command()
def inspect(
    vendor: Annotated[str | None, typer.Option(help=f"One of: {', '.join(sorted(handlers.by_vendor()))}.")] = None,
    body: Annotated[Path | None, typer.Option(help="A file with the exact bytes of the body.")] = None,
    headers: Annotated[
        Path | None, typer.Option(help="A JSON file: names with values, or these under headers.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="@FILE, or the name of an environment variable. Twice during a rotation."),
    ] = None,
    rest: Annotated[str, typer.Option(help="What follows the source's name in the URL's path.")] = "",
    now: Annotated[float | None, typer.Option(help="When it came, in unix seconds.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Instead of --vendor: a source of --config, with its settings and secrets.")
    ] = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
    batch: Annotated[bool, typer.Option(help="Read requests from standard input, a JSON object a line.")] = False,
) -> None:
    """Say offline what the router makes of a webhook: is it genuine, and which events does it become?

    The body may also be an answer of the API of a vendor that is polled.

    Exit code 1: it was rejected. With --source it is verified where --headers or --rest are given.

    With --batch each line has vendor, body or body_base64, and perhaps headers, rest, secrets (a list), settings, now.

    The answers come in the same order, one JSON object a line.
    """
    if batch:
        for line in sys.stdin.buffer:
            sys.stdout.write(json.dumps(inspect_line(line)) + "\n")
            sys.stdout.flush()
        return
    if body is None or (vendor is None) is (source is None):
        misuse("give --body, and either --vendor or --source; or --batch")
    try:
        given = headers_of(_headers_in(headers)) if headers else []
        request = Request(bytes_of(body), given, rest, moment(now))
        if source is not None:
            answer = inspect_request(_configured(source, config), request, verify=bool(given or rest))
        else:
            secrets = [_secret(name) for name in secret or ()]
            answer = inspect_request(handler_for(str(vendor), secrets), request, verify=bool(secrets))
    except Misuse as problem:
        misuse(str(problem))
    _print_inspection(answer, as_json)
    if answer["disposition"] == Disposition.REJECTED:
        raise typer.Exit(1)


def _configured(source: str, config: Path) -> Handler:
    sources = sources_of(configured(config))
    if source not in sources:
        raise Misuse(f"there is no source {source!r} in {config}; there are: {', '.join(sources) or 'none'}")
    return sources[source].handler


def _headers_in(path: Path) -> object:
    try:
        written = json.loads(bytes_of(path))
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{path} is not JSON") from error
    # no header's value is an object, so this is a recorded request with its headers
    return written["headers"] if isinstance(written, dict) and isinstance(written.get("headers"), dict) else written


def bytes_of(path: Path) -> bytes:
    """
    Raises:
        Misuse: there is no such file, or it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misuse(f"{path} can't be read ({(error.strerror or 'unknown error').lower()})") from error


def _secret(name: str) -> str:
    if name.startswith("@"):
        return bytes_of(Path(name[1:])).decode(errors="replace").rstrip("\r\n")
    if not (value := os.environ.get(name)):
        raise Misuse(f"the environment variable {name} is not set; for a file write --secret @FILE")
    return value


def _print_inspection(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    verified = {True: "genuine", False: "not genuine", None: "not verified, no secret given"}[answer["verified"]]
    typer.echo(
        f"{answer['vendor']}: {answer['disposition']}, {verified}"
        + (f": {answer['reason']}" if answer["reason"] else "")
    )
    for event in answer["events"]:
        typer.echo(json.dumps(event, indent=2))
