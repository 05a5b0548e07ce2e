"""What the commands share: the app, options that several have, and how a problem is told."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from router.config import Config, ConfigErrors
from router.connection import ServerProblem, reason_of
from router.ledger import Ledger
from router.parts import Origin, open_ledger, servers_of
from router.supervisor import WRONG_CONFIG
from router.wording import did_you_mean, listed

T = TypeVar("T")

app = typer.Typer(
    help="Takes the webhooks of applicant tracking systems, verifies and normalises them, and delivers them where your"
    " YAML file says. Begin with `ats-router demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

MISUSE = WRONG_CONFIG

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
LimitOption = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")]
CONFIG = Path("config.yaml")

console = Console(highlight=False, soft_wrap=True, emoji=False)
wide = Console(highlight=False, soft_wrap=True, emoji=False, width=10_000)
"""For tables: columns are never squeezed, what a terminal is too narrow for it wraps."""


def counting_bar() -> Progress:
    """How many of how many, how fast, and how long it still takes; beside what is printed."""
    numbers = (MofNCompleteColumn(), TaskProgressColumn(show_speed=True), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), *numbers)
    return Progress(*columns, console=Console(stderr=True), transient=True)


def configured(path: Path, data_dir: Path | None = None, host: str | None = None, port: int | None = None) -> Config:
    try:
        return Origin(path, data_dir, host, port).load()
    except ConfigErrors as errors:
        typer.echo(errors, err=True)
        raise typer.Exit(MISUSE) from None


@contextmanager
def told() -> Iterator[None]:
    """What a person can mend is told in one sentence."""
    try:
        yield
    except (ServerProblem, RedisError) as problem:
        fail(sentence(problem))


def sentence(problem: ServerProblem | RedisError) -> str:
    """What is wrong with the server, for who has to mend it."""
    if isinstance(problem, ServerProblem):
        return str(problem)
    return f"the Redis server does not answer ({reason_of(problem)}): is it running, and is redis.url right?"


def on_ledger(config: Config, work: Callable[[Ledger], Coroutine[Any, Any, T]]) -> T:
    """What ``work`` gives with the ledger of a running server."""

    async def opened() -> T:
        async with open_ledger(config, servers_of(config), wait=False) as ledger:
            return await work(ledger)

    with told():
        return asyncio.run(opened())


def print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))


def known_name(word: str, name: str | None, known: Iterable[str]) -> str | None:
    """``name``, if there is such a thing; None where none was given."""
    names = list(known)
    if name is not None and name not in names:
        misuse(f"there is no {word} {name!r}{did_you_mean(name, names) or f'; known are: {listed(names)}'}")
    return name


def days(config: Config) -> int:
    return round(config.retention.events / 86400)


def fail(sentence: str) -> NoReturn:
    typer.echo(f"ats-router: {sentence}", err=True)
    raise typer.Exit(1)


def misuse(sentence: str) -> NoReturn:
    typer.echo(f"ats-router: {sentence}", err=True)
    raise typer.Exit(MISUSE)
