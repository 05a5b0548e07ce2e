"""The command that needs neither a configuration nor a server: inspect."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import handlers
from handlers.base import Disposition
from router.cli.shared import JsonOption, app, misuse
from router.inspection import Misuse, headers_of, inspect_line, inspect_request, moment


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
    now: Annotated[float | None, typer.Option(help="When it came, in unix seconds.")] = None,
    as_json: JsonOption = False,
    batch: Annotated[bool, typer.Option(help="Read requests from standard input, a JSON object a line.")] = False,
) -> None:
    """Say offline what the router makes of a webhook: is it genuine, and which events does it become?

    Exit code 1: it was rejected.

    With --batch each line has vendor, body or body_base64, and perhaps headers, secrets (a list) and now.

    The answers come in the same order, one JSON object a line.
    """
    if batch:
        for line in sys.stdin.buffer:
            sys.stdout.write(json.dumps(inspect_line(line)) + "\n")
            sys.stdout.flush()
        return
    if vendor is None or body is None:
        misuse("give --vendor and --body, or --batch")
    try:
        given = headers_of(_headers_in(headers)) if headers else []
        answer = inspect_request(vendor, _bytes_of(body), given, [_secret(name) for name in secret or ()], moment(now))
    except Misuse as problem:
        misuse(str(problem))
    _print_inspection(answer, as_json)
    if answer["disposition"] == Disposition.REJECTED:
        raise typer.Exit(1)


def _headers_in(path: Path) -> object:
    try:
        written = json.loads(_bytes_of(path))
    except (ValueError, RecursionError) as error:
        raise Misuse(f"{path} is not JSON") from error
    # no header's value is an object, so this is a recorded request with its headers
    return written["headers"] if isinstance(written, dict) and isinstance(written.get("headers"), dict) else written


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misuse(f"{path} can't be read ({(error.strerror or 'unknown error').lower()})") from error


def _secret(name: str) -> str:
    if name.startswith("@"):
        return _bytes_of(Path(name[1:])).decode(errors="replace").rstrip("\r\n")
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
