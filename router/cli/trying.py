"""Commands that try rules before they count: test, explain, rehearse."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import Progress

import handlers
from handlers.base import Handler
from router.cli.filters import SinceOption, SourceOption, UntilOption, asked_moment
from router.cli.offline import bytes_of
from router.cli.shared import (
    CONFIG,
    MISUSE,
    ConfigOption,
    DataDirOption,
    JsonOption,
    app,
    configured,
    console,
    fail,
    known_name,
    misuse,
    on_ledger,
    print_json,
    sentence,
    wide,
)
from router.cli.watching import stored_story
from router.config import Config, ConfigErrors
from router.config.check import load_tests
from router.connection import ServerProblem
from router.inspection import Misuse, handler_for
from router.ledger import Ledger
from router.parts import open_ledger, servers_of, sources_of
from router.preview import NotAnEvent, read_event
from router.schema import Event
from router.trying.cases import Stored, print_results, run_case, wanted_events
from router.trying.explaining import Explained, print_explained
from router.trying.explaining import explain as explained
from router.trying.given import NoEvents, events_of_body
from router.trying.outlook import Outlook
from router.trying.rehearsing import Rehearsal, Window, print_rehearsal
from router.trying.rehearsing import rehearse as rehearsed


@app.command("test")
def run_tests(
    tests: Annotated[Path | None, typer.Option(help="A file of tests, instead of those in the configuration.")] = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tests that stand beside the rules, and tell of each that fails which route or condition is why.

    Exit code 0: all passed; 1: one failed; 2: the configuration, or a test in it, is not right.

    Only tests about stored events need the running router.
    """
    settings = configured(config, data_dir)
    try:
        cases = settings.tests if tests is None else load_tests(tests, settings)
    except ConfigErrors as errors:
        typer.echo(errors, err=True)
        raise typer.Exit(MISUSE) from None
    stored = _stored(settings, wanted_events(cases))
    outlook = Outlook(settings)
    results = [run_case(case, outlook, stored) for case in cases]
    failed = sum(not result.passed for result in results)
    if as_json:
        told = [result.model_dump(mode="json") for result in results]
        print_json({"passed": len(results) - failed, "failed": failed, "tests": told})
    elif results:
        print_results(results, str(tests or config), console)
    else:
        console.print(f"there is no test in {config}: write some below tests:, a name, fields and send_to each")
    if failed:
        raise typer.Exit(1)


def _stored(settings: Config, ids: Sequence[str]) -> Stored:
    """The stored events that tests are about, or why one can't be had: then only its tests fail."""

    async def read() -> Sequence[bytes | None]:
        async with open_ledger(settings, servers_of(settings), wait=False) as ledger:
            return await ledger.read_bodies(ids)

    try:
        bodies = asyncio.run(read()) if ids else ()
    except (ServerProblem, RedisError) as problem:
        return dict.fromkeys(ids, sentence(problem))
    missing = "no such event is stored: the id is wrong, or it is too old; copy its fields into the test"
    return {one: Event.model_validate_json(body) if body else missing for one, body in zip(ids, bodies, strict=True)}


@app.command()
def explain(
    event_id: Annotated[
        str | None, typer.Argument(help="The id of a stored event, or of one of its deliveries.")
    ] = None,
    event: Annotated[Path | None, typer.Option(help="A file with one event as JSON, as sinks get it.")] = None,
    body: Annotated[Path | None, typer.Option(help="A file with the body of a recorded webhook.")] = None,
    source: Annotated[str | None, typer.Option(help="With --body: the source that it came from.")] = None,
    vendor: Annotated[str | None, typer.Option(help="With --body, instead of --source: the vendor.")] = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of each route whether an event matches it, and if not, the one condition that fails.

    Give the id of a stored event, or --event, or --body with --source or --vendor. Nothing is sent.
    """
    if sum(given is not None for given in (event_id, event, body)) != 1:
        misuse("give the id of an event, or --event FILE, or --body FILE with --source or --vendor")
    settings = configured(config, data_dir)
    if event_id is not None:
        story = stored_story(settings, event_id)
        told = [explained(settings.rules, story.event, story.routes)]
    else:
        told = [explained(settings.rules, one) for one in _events_in(settings, event, body, source, vendor)]
    if as_json:
        print_json([one.model_dump(mode="json") for one in told])
    else:
        _print_all(told)


def _print_all(told: Sequence[Explained]) -> None:
    for position, one in enumerate(told):
        if position:
            wide.print()
        print_explained(one, wide)


def _events_in(
    settings: Config, event: Path | None, body: Path | None, source: str | None, vendor: str | None
) -> list[Event]:
    """The event, or the events, in a file."""
    try:
        if event is not None:
            return [read_event(bytes_of(event))]
        assert body is not None
        name, handler = _handler(settings, source, vendor)
        return events_of_body(handler, name, settings.stages, bytes_of(body))
    except Misuse as problem:
        misuse(str(problem))
    except NotAnEvent as problem:
        misuse(f"{event} is not an event: {problem}")
    except NoEvents as none:
        fail(f"{body}: {none}")


def _handler(settings: Config, source: str | None, vendor: str | None) -> tuple[str, Handler]:
    """Who reads the body. A vendor stands for its one source, where there is just one.

    Raises:
        Misuse: it can't be told.
    """
    if (source is None) is (vendor is None):
        raise Misuse("with --body give either --source or --vendor")
    sources = sources_of(settings)
    if source is not None:
        known_name("source", source, sources)
        return source, sources[source].handler
    assert vendor is not None
    known_name("vendor", vendor, handlers.by_vendor())
    of_vendor = [name for name, one in sources.items() if one.handler.vendor == vendor]
    if len(of_vendor) == 1:
        return of_vendor[0], sources[of_vendor[0]].handler
    return vendor, handler_for(vendor, [])


@app.command()
def rehearse(
    new: Annotated[Path, typer.Argument(help="The changed configuration.")],
    since: SinceOption = "30d",
    until: UntilOption = None,
    source: SourceOption = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a changed configuration over the stored events, and say what would go elsewhere. Nothing is sent.

    Says for each sink how many deliveries there would be more, fewer and different (to another channel or address, or
    with another text), with examples. Both files see the same events: what was delivered then, perhaps by older rules,
    is not compared.
    """
    settings, changed = configured(config, data_dir), configured(new)
    known_name("source", source, settings.sources)
    window = Window(asked_moment("--since", since), asked_moment("--until", until), source)

    async def compare(ledger: Ledger) -> Rehearsal:
        with _bar() as progress:
            return await rehearsed(ledger, Outlook(settings), Outlook(changed), window, progress)

    rehearsal = on_ledger(settings, compare)
    if as_json:
        print_json(rehearsal.model_dump(mode="json"))
    else:
        print_rehearsal(rehearsal, wide)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar beside what is printed, where somebody looks. What is only rehearsed is no matter for the log."""
    screen = Console(stderr=True)
    logging.disable(logging.WARNING)
    try:
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
            task = bar.add_task("rehearsing", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        logging.disable(logging.NOTSET)
