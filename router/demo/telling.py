"""The demo's story, told: what is posted, what comes of it, and the figures in the end."""

import asyncio
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from handlers.base import Post
from router.client import Client
from router.config import Config
from router.demo.endpoint import Service, SlackStandIn
from router.demo.process import DemoFailed
from router.demo.steps import Step, story
from router.headline import headline, plain
from router.ledger import Ledger
from router.parts import sources_of
from router.preview import print_preview
from router.records import Attempt, DeliveryState
from router.sending import Sent, marked, post
from router.story import Story, events_of, read_story
from sinks.base import Result

SOURCE = "greenhouse"
SERVICE = "my-service"
DOWN_SECONDS = 3.0
_DELIVERY_SECONDS = 45.0
_LOOK_SECONDS = 0.02
_OTHER_SECRET = SecretStr("not-the-secret-of-this-source")


@dataclass(slots=True)
class Figures:
    """What is shown in the end."""

    posted: int = 0
    refused: int = 0
    duplicates: int = 0
    events: int = 0
    stories: list[Story] = field(default_factory=list)
    to_arrival_ms: list[float] = field(default_factory=list)


class Teller:
    """Posts the story's webhooks, and says what comes of each."""

    def __init__(
        self,
        console: Console,
        config: Config,
        service: Service,
        slack: SlackStandIn,
        staging: Path,
        client: Client,
        ledger: Ledger,
    ) -> None:
        """``staging`` is the SQLite file of the HRIS staging sink."""
        self._console = console
        self._handler = sources_of(config)[SOURCE].handler
        self._url = f"http://127.0.0.1:{config.server.port}/webhooks/{SOURCE}"
        self._service = service
        self._slack = slack
        self._staging = staging
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
        say(f"your service stands in at {self._service.url}, Slack at {self._slack.url}")
        say(f"HRIS staging is the database {self._staging}\n")

        say("[bold]1. An ordinary day[/]")
        for step in story("Alice Example", "Bob Sample", 1001, now):
            for event in await self._post(step):
                await self._tell(await self._delivered(event))

        say(f"\n[bold]2. The same again, while your service is down for {DOWN_SECONDS:.0f} seconds[/]")
        self._service.down = True
        say("   [yellow]your service goes down: it answers 503 and asks for a second's patience[/]")
        events = [event for step in story("Carol Example", "Dan Sample", 2001, now) for event in await self._post(step)]
        await self._catch_up(events)
        self._show_staging()
        self._sum_up(time.monotonic() - started)

    async def _post(self, step: Step) -> Sequence[str]:
        """Post one webhook as Greenhouse would, say the verdict, and give the ids of its events."""
        request = self._signed(step)
        started = time.monotonic()
        sent = await post(self._client, self._url, request)
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

    def _signed(self, step: Step) -> Post:
        body = self._handler.sample(step.sample)
        if step.forged:
            settings = self._handler.settings.model_copy(update={"secret": (_OTHER_SECRET,)})
            return type(self._handler)(settings).sign(body, step.sample.at)
        return marked(self._handler, self._handler.sign(body, step.sample.at), deliver=True)

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
            here = delivery.record.sink != SERVICE or delivery.id in self._service.arrivals
            if delivery.record.state is not DeliveryState.DELIVERED or not here:
                raise DemoFailed(f"the delivery {delivery.id} did not arrive")
        self._figures.stories.append(told)

    async def _tell(self, told: Story) -> None:
        say = self._console.print
        say(f"   event      {told.event.type}: [cyan]{escape(headline(told.event))}[/]")
        say(f"   routes     {escape(', '.join(told.routes)) or 'none matched'}")
        for delivery in told.deliveries:
            say(f"   {escape(delivery.record.sink):10} {_attempt_words(delivery.record.attempts[-1])}")
            if delivery.record.sink == SERVICE:
                waited = (self._service.arrivals[delivery.id] - self._posted_at[told.receipt_id]) * 1000
                self._figures.to_arrival_ms.append(waited)
                say(f"{'':14}arrived {waited:.0f} ms after the webhook was sent")
        for message in self._slack.take():
            print_preview(message, self._console)

    async def _catch_up(self, events: Sequence[str]) -> None:
        """Say every attempt as it is made, until all is delivered."""
        say = self._console.print
        back_at = time.monotonic() + DOWN_SECONDS
        give_up = back_at + _DELIVERY_SECONDS
        shown: Counter[str] = Counter()  # attempts, by delivery
        waiting = list(events)
        say()
        while waiting:
            for event in list(waiting):
                told = await self._story(event)
                for delivery in told.deliveries:
                    for attempt in delivery.record.attempts[shown[delivery.id] :]:
                        what = f"{escape(delivery.record.sink):11} {escape(headline(told.event))}"
                        say(f"   {what:76} {_attempt_words(attempt)}")
                        shown[delivery.id] += 1
                if _is_settled(told):
                    self._note(told)
                    waiting.remove(event)
            if self._service.down and time.monotonic() >= back_at:
                self._service.down = False
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
            ("arrived twice at your service", self._service.received - len(self._service.arrivals)),
            (
                "webhook to your service, median, while it was there",
                f"{statistics.median(figures.to_arrival_ms):.0f} ms",
            ),
            ("seconds in all", f"{seconds:.0f}"),
        ):
            table.add_row(label, str(value))
        self._console.print(table)
        self._console.print(_NEXT_STEPS)

    def _show_staging(self) -> None:
        """What HR finds: one row per application, and how many events are beside it."""
        with closing(sqlite3.connect(self._staging)) as database:
            rows = database.execute(
                "SELECT name, job_title, stage, outcome, substr(hired_at, 1, 10) AS hired_at"
                " FROM hris_staging ORDER BY name"
            )
            table = Table(title="\nhris_staging, for HR", title_justify="left", box=None, padding=(0, 2))
            for column, *_ in rows.description:
                table.add_column(column)
            for row in rows:
                table.add_row(*(escape(plain(str(value or ""))) for value in row))
            (events,) = database.execute("SELECT count(*) FROM hris_staging_events").fetchone()
        self._console.print(table, f"  and hris_staging_events: {events} rows, one per event", sep="\n")


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
        return f"[green]{attempt.code or attempt.reason}[/] in {attempt.ms} ms"
    return f"[red]{attempt.reason}[/], is tried again"
