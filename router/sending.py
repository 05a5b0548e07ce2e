"""A signed sample, posted to a running router as the vendor would post it, and marked as a test."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from http.client import responses
from typing import Any
from urllib.parse import quote

from handlers.base import Handler, Post, Sample
from handlers.connecting import Connects
from handlers.settings import ConnectSettings
from router.assess import TEST_HEADER, make_test_mark
from router.client import Client, checked_url
from router.config import Config
from router.connection import ServerProblem
from router.parts import kept_secrets, knowing, open_ledger, servers_of, sources_of
from router.schema import EventType, Outcome
from router.story import events_of

_TIMEOUT_SECONDS = 10.0
_ANSWER_KEPT = 4096
_PATIENCE_SECONDS = 5.0


class SampleStory(StrEnum):
    """What a sample can tell."""

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


class NotSent(Exception):
    """The text says what came of the sample instead of events."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the router answered. ``receipt`` is None where it kept nothing."""

    status: int
    answer: dict[str, Any]

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def receipt(self) -> str | None:
        receipt = self.answer.get("receipt")
        return receipt if isinstance(receipt, str) else None

    @property
    def words(self) -> str:
        """The disposition where it was accepted, else what the router said."""
        word = "disposition" if self.accepted else "detail"
        return str(self.answer.get(word) or responses.get(self.status, "it did not say why"))


def marked(handler: Handler, signed: Post, *, deliver: bool) -> Post:
    """A signed request, marked as a test of ours."""
    mark = make_test_mark(handler.settings.secrets[0], signed.body, deliver=deliver)
    return replace(signed, headers={**signed.headers, TEST_HEADER: mark})


async def post(client: Client, url: str, request: Post) -> Sent:
    """Post a request as it is to a source's URL."""
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in request.headers.items()}}
    to = f"{url}/{quote(request.rest)}" if request.rest else url
    answer = await client.request(
        "POST", to, body=request.body, headers=headers, timeout=_TIMEOUT_SECONDS, keep=_ANSWER_KEPT
    )
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    return Sent(answer.status, said if isinstance(said, dict) else {})


def base_url(config: Config, given: str | None) -> str:
    """Where the router answers: as given, or as the configuration says.

    Raises:
        ValueError: what was given is no URL.
    """
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
    return checked_url(given or f"http://{host}:{config.server.port}").rstrip("/")


async def send_story(
    config: Config,
    source: str,
    story: SampleStory,
    base: str,
    *,
    deliver: bool,
    elsewhere: bool,
    say: Callable[[str], None],
) -> Sequence[str]:
    """Post a sample to the router at ``base``, say what it answered, and give the ids of the events that came of it.

    ``elsewhere``: it may be a router whose ledger can't be read from here; then there are no ids.

    Raises:
        NoAnswer: nothing answers at ``base``.
        NotSent: the router did not take it, or no worker routed it.
        ServerProblem: the ledger can't be read.
    """
    event_type, outcome = _SAMPLE_EVENTS[story]
    now = datetime.now(UTC)
    step = Sample(event_type, f"{now:%H%M%S%f}", "Test Candidate", "Test Job", now, "Phone Screen", outcome)
    handler = await _signing(config, source)
    try:
        request = marked(handler, handler.sign(handler.sample(step), step.at), deliver=deliver)
    except ValueError as unable:
        raise NotSent(str(unable)) from None
    async with Client() as client:
        sent = await post(client, f"{base}/webhooks/{source}", request)
    if not sent.accepted:
        raise NotSent(f"the router answered {sent.status}: {sent.words}")
    if sent.receipt is None:
        raise NotSent(f"what answers at {base} is no router: it kept nothing")
    say(f"The router answered {sent.status}: {sent.words}, kept as {sent.receipt}.")
    try:
        async with open_ledger(config, servers_of(config), wait=False) as ledger:
            events = await events_of(ledger, sent.receipt, within=_PATIENCE_SECONDS)
    except ServerProblem:
        if not elsewhere:
            raise
        return ()
    if not events:
        raise NotSent(f"no worker has routed it in {_PATIENCE_SECONDS:.0f} seconds: does one run?")
    return events


async def _signing(config: Config, source: str) -> Handler:
    """The source's handler with a secret to sign with, which may be one that the ledger keeps.

    Raises:
        NotSent: there is none yet.
        ServerProblem: the ledger can't be read.
    """
    known = sources_of(config)[source]
    if isinstance(known.handler.settings, ConnectSettings) and not known.handler.settings.secrets:
        async with open_ledger(config, servers_of(config), wait=False) as ledger:
            known = knowing(known, kept_secrets((await ledger.hooks()).get(source, ())))
        if not known.handler.settings.secrets:
            how = f"`ats-router connect {source}` fetches it" if isinstance(known.handler, Connects) else "set it"
            raise NotSent(f"the secret of {source} is still pending: {how}")
    return known.handler
