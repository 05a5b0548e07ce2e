"""Commands that run the router, or something against it: up, serve, work, demo, send.

What only one of them needs and is long to load it imports itself, so that the others answer sooner.
"""

import asyncio
import errno
import socket
import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from router import supervisor
from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    HostOption,
    PortOption,
    app,
    configured,
    fail,
    misuse,
    told,
)
from router.client import NoAnswer
from router.embedded import EmbeddedServer
from router.logs import log_as_json
from router.parts import Origin, data_dir_of, servers_of
from router.sending import NotSent, SampleStory, base_url, send_story

_PATIENCE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.1


@app.command()
def up(
    config: ConfigOption = CONFIG, data_dir: DataDirOption = None, host: HostOption = None, port: PortOption = None
) -> None:
    """Run everything on this machine: the receiver, a worker, and the embedded server unless redis.url is set.

    What dies is started again. Stop it with Ctrl-C: running deliveries get some seconds to end.
    """
    settings = configured(config, data_dir, host, port)
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
    with told():
        raise typer.Exit(supervisor.run(children, server))


@app.command("serve")
def serve_command(
    config: ConfigOption = CONFIG, data_dir: DataDirOption = None, host: HostOption = None, port: PortOption = None
) -> None:
    """Run one receiver: it takes webhooks and keeps them. Run as many as you like."""
    settings = configured(config, data_dir, host, port)
    log_as_json()
    supervisor.exit_with_parent()
    import uvloop

    from router.processes import serve

    with told():
        uvloop.run(serve(Origin(config, data_dir, host, port), settings, servers_of(settings)))


@app.command("work")
def work_command(config: ConfigOption = CONFIG, data_dir: DataDirOption = None) -> None:
    """Run one worker: it routes and delivers what receivers took. Run as many as you like."""
    settings = configured(config, data_dir)
    log_as_json()
    supervisor.exit_with_parent()
    import uvloop

    from router.processes import work

    with told():
        uvloop.run(work(Origin(config, data_dir), settings, servers_of(settings)))


@app.command("demo")
def demo_command() -> None:
    """See it work, in a minute, without an account: real processes, signed webhooks, a service that goes down."""
    from router import demo

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
    settings = configured(config, data_dir)
    if source not in settings.sources:
        misuse(f"there is no source {source!r} in {config}; known are: {', '.join(settings.sources)}")
    try:
        base = base_url(settings, url)
    except ValueError as error:
        misuse(f"--url: {error}")
    try:
        with told():
            events = asyncio.run(
                send_story(settings, source, story, base, deliver=deliver, elsewhere=url is not None, say=typer.echo)
            )
    except NoAnswer as none:
        fail(f"nothing answers at {base} ({none.reason}): is `ats-router up` running there?")
    except NotSent as problem:
        fail(str(problem))
    there = f" --config {config}" + (f" --data-dir {data_dir}" if data_dir else "")
    for identifier in events:
        typer.echo(f"See what came of it: ats-router show {identifier}{there}")


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
                fail(
                    f"can't listen on {host} port {port} ({reason}): stop what does, or choose another with --port or"
                    " server.port"
                )
        time.sleep(_LOOK_AGAIN_SECONDS)
