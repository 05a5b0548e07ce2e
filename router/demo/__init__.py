"""`ats-router demo`: the main job in a minute, with real processes, and without an account.

It runs `ats-router up` on config.example.yaml in a directory of its own, posts signed Greenhouse webhooks over HTTP,
and stands in for the user's own service with an endpoint that for a while is not there.
"""

import asyncio
import os
import secrets
import shutil
import socket
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import Process
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from redis.exceptions import RedisError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.assess import TEST_HEADER, make_test_mark
from router.client import Client, NoAnswer
from router.config import Config, load
from router.connection import ServerProblem
from router.demo.endpoint import Endpoint
from router.demo.steps import Step, story
from router.headline import headline
from router.ledger import Ledger
from router.records import Attempt, DeliveryState
from router.run import open_ledger, sources_of, url_of
from router.sending import Sent, post_body
from router.story import Story, events_of, read_story
from router.supervisor import PARENT_VARIABLE
from sinks.base import Result

SOURCE = "greenhouse"
DOWN_SECONDS = 3.0
_START_SECONDS = 20.0
_STOP_SECONDS = 30.0
_DELIVERY_SECONDS = 45.0
_LOOK_SECONDS = 0.02
_READY_STATUS = 200
_OTHER_SECRET = SecretStr("not-the-secret-of-this-source")


class DemoFailed(Exception):
    """The text says what did not happen."""


@dataclass(slots=True)
class Figures:
    """What is shown in the end."""

    posted: int = 0
    refused: int = 0
    duplicates: int = 0
    events: int = 0
    stories: list[Story] = field(default_factory=list)
    to_arrival_ms: list[float] = field(default_factory=list)


async def run(console: Console) -> int:
    """Tell the story twice; the exit code is 0 when everything arrived. Only a failure leaves its directory behind."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="ats-router-"))
    except OSError as error:
        console.print(f"[bold red]The demo needs a directory for temporary files:[/] {escape(str(error))}")
        return 1
    try:
        await _run_in(folder, console)
    except (DemoFailed, NoAnswer, ServerProblem, RedisError, OSError) as failed:
        console.print(f"\n[bold red]The demo failed:[/] {escape(str(failed))}. What happened is in {folder / 'up.log'}")
        return 1
    except BaseException:  # Ctrl-C above all
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return 0


async def _run_in(folder: Path, console: Console) -> None:
    endpoint = Endpoint(_free_port())
    environment = {
        "GREENHOUSE_SECRET": secrets.token_hex(16),
        "MY_SERVICE_URL": endpoint.url,
        "MY_SERVICE_SECRET": f"whsec_{b64encode(secrets.token_bytes(32)).decode()}",
    }
    port = _free_port()
    try:
        config = _configured(example_config(), environment, folder, port)
        async with _router(folder, port, environment) as router, Client() as client:
            await _until_ready(client, port, router)
            async with open_ledger(config, url_of(config), wait=True) as ledger:
                await _Demo(console, config, port, endpoint, client, ledger).run()
    finally:
        await endpoint.stop()


def example_config() -> Path:
    """config.example.yaml: in an installed package beside this one's modules, in a checkout at its top."""
    package = Path(__file__).parent.parent
    installed = package / "config.example.yaml"
    return installed if installed.exists() else package.parent / "config.example.yaml"


def _configured(path: Path, environment: dict[str, str], folder: Path, port: int) -> Config:
    config = load(path, environment)
    return config.model_copy(
        update={
            "redis": config.redis.model_copy(update={"data_dir": folder}),
            "server": config.server.model_copy(update={"port": port}),
        }
    )


@asynccontextmanager
async def _router(folder: Path, port: int, environment: dict[str, str]) -> AsyncIterator[Process]:
    """`ats-router up`, as anyone would run it; its log goes into the directory. It ends with this process."""
    command = ["-P", "-m", "router.cli", "up", "--config", str(example_config()), "--data-dir", str(folder)]
    given = {**os.environ, **environment, PARENT_VARIABLE: str(os.getpid())}
    with (folder / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, "--port", str(port), env=given, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()


async def _until_ready(client: Client, port: int, router: Process) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        if router.returncode is not None:
            raise DemoFailed(f"the router ended with code {router.returncode}")
        try:
            url = f"http://127.0.0.1:{port}/readyz"
            if (await client.request("GET", url, headers={}, timeout=1.0, keep=0)).status == _READY_STATUS:
                return
        except NoAnswer:
            pass
        if time.monotonic() > give_up:
            raise DemoFailed(f"the router was not ready after {_START_SECONDS:.0f} seconds")
        await asyncio.sleep(_LOOK_SECONDS)


class _Demo:
    def __init__(
        self, console: Console, config: Config, port: int, endpoint: Endpoint, client: Client, ledger: Ledger
    ) -> None:
        self._console = console
        self._handler = sources_of(config)[SOURCE].handler
        self._url = f"http://127.0.0.1:{port}/webhooks/{SOURCE}"
        self._endpoint = endpoint
        self._client = client
        self._ledger = ledger
        self._figures = Figures()
        self._posted_at: dict[str, float] = {}  # by receipt

    async def run(self) -> None:
        say = self._console.print
        started = time.monotonic()
        now = datetime.now(UTC) - timedelta(days=1)
        say("[bold]The router runs: embedded server, receiver and worker, each a process of its own.[/]")
        say(f"Greenhouse posts to {self._url}")
        say(f"your service stands in at {self._endpoint.url}\n")

        say("[bold]1. An ordinary day[/]")
        await self._endpoint.start()
        for step in story("Alice Example", "Bob Sample", 1001, now):
            for event in await self._post(step):
                await self._tell(await self._delivered(event))

        say(f"\n[bold]2. The same again, while your service is away for {DOWN_SECONDS:.0f} seconds[/]")
        await self._endpoint.stop()
        say("   [yellow]your service goes away: connections are refused[/]")
        events = [event for step in story("Carol Example", "Dan Sample", 2001, now) for event in await self._post(step)]
        await self._catch_up(events)
        self._sum_up(time.monotonic() - started)

    async def _post(self, step: Step) -> Sequence[str]:
        """Post one webhook as Greenhouse would, say the verdict, and give the ids of its events."""
        body = self._handler.sample(step.sample)
        headers = self._signed(body, step)
        started = time.monotonic()
        sent = await post_body(self._client, self._url, body, headers)
        ms = (time.monotonic() - started) * 1000
        duplicate = sent.answer.get("duplicate") is True
        verdict = _verdict(sent, duplicate)
        self._console.print(f"\n[bold]{escape(step.said)}[/]\n   webhook    {sent.status} in {ms:.0f} ms: {verdict}")
        self._figures.posted += 1
        self._figures.refused += not sent.accepted
        self._figures.duplicates += duplicate
        if sent.accepted == step.forged or duplicate != step.again:
            raise DemoFailed(f"the router answered {sent.status} {sent.words}")
        if sent.receipt is None or duplicate:
            return ()
        self._posted_at[sent.receipt] = started
        events = await events_of(self._ledger, sent.receipt, within=_DELIVERY_SECONDS)
        self._figures.events += len(events)
        return events

    def _signed(self, body: bytes, step: Step) -> dict[str, str]:
        if step.forged:
            settings = self._handler.settings.model_copy(update={"secret": (_OTHER_SECRET,)})
            return type(self._handler)(settings).sign(body, step.sample.at)
        mark = make_test_mark(self._handler.settings.secrets[0], body, deliver=True)
        return {**self._handler.sign(body, step.sample.at), TEST_HEADER: mark}

    async def _story(self, event: str) -> Story:
        told = await read_story(self._ledger, event)
        if told is None:
            raise DemoFailed(f"the event {event} is not in the ledger")
        return told

    async def _delivered(self, event: str) -> Story:
        give_up = time.monotonic() + _DELIVERY_SECONDS
        while not _is_settled(told := await self._story(event)):
            if time.monotonic() > give_up:
                raise DemoFailed(f"the event {event} was not delivered in {_DELIVERY_SECONDS:.0f} seconds")
            await asyncio.sleep(_LOOK_SECONDS)
        self._note(told)
        return told

    def _note(self, told: Story) -> None:
        """Everything has to have arrived: a dead delivery fails the demo."""
        for delivery in told.deliveries:
            if delivery.record.state is not DeliveryState.DELIVERED or delivery.id not in self._endpoint.arrivals:
                raise DemoFailed(f"the delivery {delivery.id} did not arrive")
            waited = self._endpoint.arrivals[delivery.id] - self._posted_at[told.receipt_id]
            self._figures.to_arrival_ms.append(waited * 1000)
        self._figures.stories.append(told)

    async def _tell(self, told: Story) -> None:
        say = self._console.print
        say(f"   event      {told.event.type}: [cyan]{escape(headline(told.event))}[/]")
        say(f"   routes     {escape(', '.join(told.routes)) or 'none matched'}")
        for delivery in told.deliveries:
            waited = (self._endpoint.arrivals[delivery.id] - self._posted_at[told.receipt_id]) * 1000
            last = delivery.record.attempts[-1]
            say(
                f"   delivery   {escape(delivery.record.sink)}: [green]{last.code}[/] in {last.ms} ms,"
                f" arrived {waited:.0f} ms after the webhook"
            )

    async def _catch_up(self, events: Sequence[str]) -> None:
        """Say every attempt as it is made, until all is delivered."""
        say = self._console.print
        back_at = time.monotonic() + DOWN_SECONDS
        give_up = back_at + _DELIVERY_SECONDS
        back, shown = False, dict.fromkeys(events, 0)
        waiting = list(events)
        say()
        while waiting:
            for event in list(waiting):
                told = await self._story(event)
                for delivery in told.deliveries:
                    for attempt in delivery.record.attempts[shown[event] :]:
                        say(f"   {escape(headline(told.event)):56} {_attempt_words(attempt)}")
                        shown[event] += 1
                if _is_settled(told):
                    self._note(told)
                    waiting.remove(event)
            if not back and time.monotonic() >= back_at:
                await self._endpoint.start()
                back = True
                say("   [yellow]your service is back[/]")
            if time.monotonic() > give_up:
                raise DemoFailed(f"{len(waiting)} events were not delivered")
            await asyncio.sleep(_LOOK_SECONDS)

    def _sum_up(self, seconds: float) -> None:
        figures = self._figures
        deliveries = [delivery for told in figures.stories for delivery in told.deliveries]
        attempts = sum(len(delivery.record.attempts) for delivery in deliveries)
        table = Table(title="\nWhat happened", title_justify="left", show_header=False, box=None, padding=(0, 2))
        for label, value in (
            ("webhooks posted", figures.posted),
            ("refused, the signature was wrong", figures.refused),
            ("recognised as duplicates", figures.duplicates),
            ("events made of the others", figures.events),
            ("deliveries, all arrived", len(deliveries)),
            ("attempts that took", attempts),
            ("arrived twice at your service", self._endpoint.received - len(self._endpoint.arrivals)),
            ("webhook to arrival, median, the service being there", f"{self._ordinary_ms():.0f} ms"),
            ("seconds in all", f"{seconds:.0f}"),
        ):
            table.add_row(label, str(value))
        self._console.print(table)
        self._console.print(_NEXT_STEPS)

    def _ordinary_ms(self) -> float:
        """The first half of what was told is the ordinary day."""
        return statistics.median(self._figures.to_arrival_ms[: len(self._figures.to_arrival_ms) // 2])


_NEXT_STEPS = """
[bold green]Everything arrived.[/] With your own ATS:
  1. cp config.example.yaml config.yaml, and put in your sinks and routes
  2. ats-router check config.yaml
  3. export GREENHOUSE_SECRET=... and the other variables, then: ats-router up
  4. in Greenhouse: Configure > Dev Center > Web Hooks, with the URL https://YOUR-HOST/webhooks/greenhouse
  5. ats-router send greenhouse shows what your routes would do, without any sink getting it"""


def _is_settled(told: Story) -> bool:
    return all(delivery.record.state.terminal for delivery in told.deliveries)


def _verdict(sent: Sent, duplicate: bool) -> str:
    if not sent.accepted:
        return f"[red]{escape(sent.words)}[/]"
    return "[yellow]genuine, but known already[/]" if duplicate else "[green]genuine, kept[/]"


def _attempt_words(attempt: Attempt) -> str:
    if attempt.result is Result.DELIVERED:
        return f"[green]{attempt.code}[/] in {attempt.ms} ms"
    return f"[red]{attempt.reason}[/], is tried again"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
