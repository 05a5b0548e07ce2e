"""The `ats-router` command. Every command is a few lines here; what it does is in the module it calls."""

import asyncio
import errno
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop
from redis.exceptions import RedisError
from rich.console import Console

import handlers
from handlers.base import Disposition, Sample
from router import __version__, demo, supervisor
from router.client import Client, NoAnswer, checked_url
from router.config import Config, ConfigErrors, load
from router.connection import ServerProblem
from router.embedded import EmbeddedServer
from router.inspection import Misuse, headers_of, inspect_line, inspect_request, moment
from router.logs import log_as_json
from router.run import data_dir_of, open_ledger, serve, sources_of, url_of, work
from router.schema import Event, EventType, Outcome
from router.sending import send_sample
from router.story import events_of, print_story, read_story

app = typer.Typer(
    help="Takes the webhooks of applicant tracking systems, verifies and normalises them, and delivers them where your"
    " YAML file says. Begin with `ats-router demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
schema_app = typer.Typer(help="Print JSON Schemas.", no_args_is_help=True)
app.add_typer(schema_app, name="schema")

MISUSE = supervisor.WRONG_CONFIG

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="ATS_ROUTER_CONFIG", help="The configuration file.", show_default=True)
]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Where the embedded server keeps its data, instead of what the file says.")
]
HostOption = Annotated[str | None, typer.Option(help="The address to listen on, instead of what the file says.")]
PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="The port to listen on, instead of what the file says.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CONFIG = Path("config.yaml")
_PATIENCE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.1


class SampleStory(StrEnum):
    """What `send` can tell."""

    APPLIED = "applied"
    MOVED = "moved"
    DECLINED = "declined"
    HIRED = "hired"


_SAMPLE_EVENTS = {
    SampleStory.APPLIED: (EventType.APPLICATION_CREATED, Outcome.PENDING),
    SampleStory.MOVED: (EventType.STAGE_CHANGED, Outcome.PENDING),
    SampleStory.DECLINED: (EventType.OUTCOME_CHANGED, Outcome.DECLINED),
    SampleStory.HIRED: (EventType.OUTCOME_CHANGED, Outcome.HIRED),
}


@app.command()
def up(
    config: ConfigOption = CONFIG, data_dir: DataDirOption = None, host: HostOption = None, port: PortOption = None
) -> None:
    """Run everything on this machine: the receiver, a worker, and the embedded server unless redis.url is set.

    What dies is started again. Stop it with Ctrl-C: running deliveries get some seconds to end.
    """
    settings = _configured(config, data_dir, host, port)
    log_as_json()
    supervisor.exit_with_parent()
    _port_must_be_free(settings.server.host, settings.server.port)
    command = [sys.executable, "-P", "-m", "router.cli"]  # -P: not the modules of the directory that we happen to be in
    options = ["--config", str(config)] + (["--data-dir", str(data_dir)] if data_dir else [])
    listen = (["--host", host] if host else []) + (["--port", str(port)] if port else [])
    children = [
        supervisor.Child("receiver", [*command, "serve", *options, *listen]),
        supervisor.Child("worker", [*command, "work", *options]),
    ]
    embedded = data_dir_of(settings)
    server = EmbeddedServer(embedded, settings.redis.max_memory) if embedded else None
    with _told():
        raise typer.Exit(supervisor.run(children, server))


@app.command("serve")
def serve_command(
    config: ConfigOption = CONFIG, data_dir: DataDirOption = None, host: HostOption = None, port: PortOption = None
) -> None:
    """Run one receiver: it takes webhooks and keeps them. Run as many as you like."""
    settings = _configured(config, data_dir, host, port)
    log_as_json()
    supervisor.exit_with_parent()
    with _told():
        uvloop.run(serve(settings, url_of(settings)))


@app.command("work")
def work_command(config: ConfigOption = CONFIG, data_dir: DataDirOption = None) -> None:
    """Run one worker: it routes and delivers what receivers took. Run as many as you like."""
    settings = _configured(config, data_dir)
    log_as_json()
    supervisor.exit_with_parent()
    with _told():
        uvloop.run(work(settings, url_of(settings)))


@app.command()
def check(
    config: Annotated[Path, typer.Argument(envvar="ATS_ROUTER_CONFIG", help="The configuration file.")] = CONFIG,
) -> None:
    """Check a configuration file and say everything that is wrong with it."""
    settings = _configured(config)
    counts = ((settings.sources, "source"), (settings.sinks, "sink"), (settings.routes, "route"))
    parts = ", ".join(f"{len(of)} {word}{'' if len(of) == 1 else 's'}" for of, word in counts)
    typer.echo(f"{config} is good: {parts}.")


@app.command("demo")
def demo_command() -> None:
    """See it work, in a minute, without an account: real processes, signed webhooks, an endpoint that goes away."""
    raise typer.Exit(asyncio.run(demo.run(Console(highlight=False, soft_wrap=True))))


@app.command()
def send(
    source: Annotated[str, typer.Argument(help="The name of a source in the configuration.")],
    story: Annotated[SampleStory, typer.Option("--story", help="What the sample tells.")] = SampleStory.APPLIED,
    deliver: Annotated[bool, typer.Option("--deliver", help="Send it to the real sinks, too.")] = False,
    url: Annotated[str | None, typer.Option(help="The router's address, if it is not the one in the file.")] = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Post a signed sample to the running router, as the ATS would; it is marked as a test everywhere.

    Without --deliver you see what the routes would do, and no sink gets anything.
    """
    settings = _configured(config, data_dir)
    sources = sources_of(settings)
    if source not in sources:
        _misuse(f"there is no source {source!r} in {config}; known are: {', '.join(sources)}")
    event_type, outcome = _SAMPLE_EVENTS[story]
    now = datetime.now(UTC)
    step = Sample(event_type, f"{now:%H%M%S%f}", "Test Candidate", "Test Job", now, "Phone Screen", outcome)
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    try:
        base = checked_url(url or f"http://{host}:{settings.server.port}")
    except ValueError as error:
        _misuse(f"--url: {error}")
    there = f" --config {config}" + (f" --data-dir {data_dir}" if data_dir else "")

    async def post() -> None:
        async with Client() as client:
            sent = await send_sample(
                client, f"{base.rstrip('/')}/webhooks/{source}", sources[source].handler, step, deliver=deliver
            )
        if not sent.accepted:
            _fail(f"the router answered {sent.status}: {sent.words}")
        if sent.receipt is None:
            _fail(f"what answers at {base} is no router: it kept nothing")
        typer.echo(f"The router answered {sent.status}: {sent.words}, kept as {sent.receipt}.")
        try:
            async with open_ledger(settings, url_of(settings), wait=False) as ledger:
                events = await events_of(ledger, sent.receipt, within=_PATIENCE_SECONDS)
        except ServerProblem:
            if url is None:
                raise
            return  # a router elsewhere: its ledger can't be read from here
        for identifier in events:
            typer.echo(f"See what came of it: ats-router show {identifier}{there}")
        if not events:
            _fail(f"no worker has routed it in {_PATIENCE_SECONDS:.0f} seconds: does one run?")

    try:
        with _told():
            asyncio.run(post())
    except NoAnswer as none:
        _fail(f"nothing answers at {base} ({none.reason}): is `ats-router up` running there?")


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="The id of an event, or of one of its deliveries.")],
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole story of one event: where it came from, which routes it matched, every attempt to deliver it."""
    settings = _configured(config, data_dir)

    async def tell() -> None:
        async with open_ledger(settings, url_of(settings), wait=False) as ledger:
            try:
                story = await read_story(ledger, event_id)
            except ValueError:
                _misuse(f"{event_id!r} is no id of an event: they begin with evt_, as `send` and the sinks show them")
        if story is None:
            _fail(f"there is no event {event_id}: the id is wrong, or it is older than {_days(settings)} days")
        if as_json:
            typer.echo(json.dumps(story.model_dump(mode="json"), indent=2))
        else:
            print_story(story, settings.routes, Console(highlight=False, soft_wrap=True))

    with _told():
        asyncio.run(tell())


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
        _misuse("give --vendor and --body, or --batch")
    try:
        given = headers_of(_headers_in(headers)) if headers else []
        answer = inspect_request(vendor, _bytes_of(body), given, [_secret(name) for name in secret or ()], moment(now))
    except Misuse as misuse:
        _misuse(str(misuse))
    _print_inspection(answer, as_json)
    if answer["disposition"] == Disposition.REJECTED:
        raise typer.Exit(1)


@schema_app.command("event")
def schema_event() -> None:
    """The JSON Schema of the common event, as every sink gets it."""
    typer.echo(json.dumps(Event.model_json_schema(mode="serialization"), indent=2))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _global(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def _configured(path: Path, data_dir: Path | None = None, host: str | None = None, port: int | None = None) -> Config:
    try:
        config = load(path)
    except ConfigErrors as errors:
        typer.echo(errors, err=True)
        raise typer.Exit(MISUSE) from None
    listen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    keep = {} if data_dir is None else {"data_dir": data_dir}
    return config.model_copy(
        update={
            "server": config.server.model_copy(update=listen),
            "redis": config.redis.model_copy(update=keep),
        }
    )


def _port_must_be_free(host: str, port: int) -> None:
    """Said at once and once, instead of by a receiver that is started again and again."""
    give_up = time.monotonic() + _PATIENCE_SECONDS  # the receiver of an `up` that was killed is just ending
    while True:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            with socket.create_server((host, port), family=family):
                return
        except OSError as error:
            if time.monotonic() > give_up or error.errno != errno.EADDRINUSE:
                reason = (error.strerror or "unknown error").partition(" (")[0].lower()
                _fail(
                    f"can't listen on {host} port {port} ({reason}): stop what does, or choose another with --port or"
                    " server.port"
                )
        time.sleep(_LOOK_AGAIN_SECONDS)


@contextmanager
def _told() -> Iterator[None]:
    """What a person can mend is told in one sentence."""
    try:
        yield
    except ServerProblem as problem:
        _fail(str(problem))
    except RedisError as error:
        _fail(f"the Redis server does not answer ({type(error).__name__}): is it running, and is redis.url right?")


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


def _days(config: Config) -> int:
    return round(config.retention.events / 86400)


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"ats-router: {sentence}", err=True)
    raise typer.Exit(1)


def _misuse(sentence: str) -> NoReturn:
    typer.echo(f"ats-router: {sentence}", err=True)
    raise typer.Exit(MISUSE)


def main() -> None:
    log_as_json(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may have letters that the terminal has not
    app()


if __name__ == "__main__":
    main()
