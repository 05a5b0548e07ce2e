"""How it goes, at a glance: every source, every sink, the server and who works."""

from collections.abc import Iterable
from datetime import UTC, datetime

from pydantic import Field

from handlers import polling
from handlers.base import Disposition, Handler
from handlers.enriching import Enriches
from handlers.guide import Proof
from handlers.settings import ConnectSettings
from router.config import Config
from router.issues import WORKER_SILENT_SECONDS, Issue, read_issues
from router.ledger import INTAKE, Ledger
from router.ledger_keys import RETRYING, deliveries_index, drift_index
from router.lists import last_reason
from router.parts import Source, kept_secrets, polls_of, sources_of
from router.records import ConfigState, DeliveryState, GateRecord, GateState
from router.schema import EventType, Model
from router.source_records import ApiState, KeptHook, PollState
from router.units import like
from sinks.base import Result, SinkSettings

_FAILED_LOOKED_AT = 200
_TYPES = frozenset(EventType)


class SourceOverview(Model):
    """``drift`` is what is kept as drift now, what is ``verified`` was kept; counts are of all time."""

    name: str
    vendor: str
    enabled: bool
    pushes: bool = Field(description="Whether the vendor sends webhooks.")
    url: str
    steps: list[str]
    secret_pending: bool
    api: str = Field(description="Whether the vendor's API may be asked, and how it answers.")
    polling: str = Field(description="Whether and how often it is polled, and what the last pass found.")
    recovered: int = Field(description="Events that only polling told, although the vendor sends webhooks.")
    registered: int = Field(description="Registrations that `connect` made.")
    last_receipt: datetime | None
    verified: int
    rejected: int
    events: int
    ignored: int
    drift: int
    duplicates: int
    unchanged: int
    soft_drift: dict[str, int] = Field(description="Paths that were missing or odd, and how often.")


class SinkOverview(Model):
    """``failing_since`` and ``failing_why``: set while the last attempt that ended failed. ``type`` is null where the
    sink is no longer configured, but deliveries still wait for it."""

    name: str
    type: str | None
    state: str = Field(description="works, slowed, open (it fails), parked (it refuses us), off, or removed.")
    per_second: float | None = Field(None, description="What it is slowed down to.")
    probe_at: datetime | None = Field(None, description="When one that fails is tried again.")
    held: int
    unknown: int
    waiting: int
    retrying: int
    oldest_waiting: datetime | None
    failing_since: datetime | None
    failing_why: str | None
    dead: int


class Overview(Model):
    """``memory_limit`` is 0 where the server has none; ``config`` is what running processes do not use of theirs."""

    at: datetime
    workers: int
    to_be_routed: int
    memory_used: int
    memory_limit: int
    config: list[ConfigState]
    issues: list[Issue]
    sources: list[SourceOverview]
    sinks: list[SinkOverview]


async def read_overview(ledger: Ledger, config: Config) -> Overview:
    used, limit = await ledger.memory()
    return Overview(
        at=_moment(await ledger.time()),
        workers=await ledger.workers(within=WORKER_SILENT_SECONDS),
        to_be_routed=(await ledger.backlog(INTAKE)).subjects,
        memory_used=used,
        memory_limit=limit,
        config=await ledger.config_states(),
        issues=await read_issues(ledger, config),
        sources=await read_sources(ledger, config),
        sinks=[
            *[await _sink(ledger, name, settings) for name, settings in config.sinks.items()],
            *[
                sink
                for name in await ledger.sinks()
                if name not in config.sinks and (sink := await _sink(ledger, name, None)).waiting
            ],
        ],
    )


async def read_sources(ledger: Ledger, config: Config) -> list[SourceOverview]:
    counts, seen, soft_drift = await ledger.counts(), await ledger.last_seen(), await ledger.soft_drift()
    apis, hooks = await ledger.api_states(), await ledger.hooks()
    polls = await ledger.read_polls(list(config.sources))
    base = config.server.public_url or "https://YOUR-HOST"
    rows = []
    for name, source in sources_of(config).items():
        mine = {what: count for (of, what), count in counts.items() if of == name}
        rows.append(
            SourceOverview(
                name=name,
                vendor=source.handler.vendor,
                enabled=source.enabled,
                pushes=source.handler.guide.proof is not Proof.NONE,
                url=_url(base, source),
                steps=[step[:1].upper() + step[1:] for step in source.handler.guide.steps],
                secret_pending=_is_pending(source.handler, hooks.get(name, ())),
                api=_api(source, apis.get(name)),
                polling=_polling(source, polls[name][0]),
                recovered=mine.get("recovered", 0),
                registered=len(hooks.get(name, ())),
                last_receipt=_moment(seen[name]) if name in seen else None,
                verified=sum(mine.get(what, 0) for what in Disposition if what is not Disposition.REJECTED),
                rejected=mine.get(Disposition.REJECTED, 0),
                events=sum(count for what, count in mine.items() if what in _TYPES),
                ignored=mine.get(Disposition.IGNORED, 0),
                drift=await ledger.how_many(drift_index(name)),
                duplicates=mine.get("duplicate", 0),
                unchanged=mine.get("unchanged", 0),
                soft_drift=soft_drift.get(name, {}),
            )
        )
    return rows


def _url(base: str, source: Source) -> str:
    url = f"{base.rstrip('/')}/webhooks/{source.name}"
    if source.handler.guide.proof is Proof.NONE:
        return "none: this vendor sends no webhooks, it is polled"
    return f"{url}/SECRET" if source.handler.secret_in_path else url


def _is_pending(handler: Handler, hooks: Iterable[KeptHook]) -> bool:
    return isinstance(handler.settings, ConnectSettings) and not handler.settings.secrets and not kept_secrets(hooks)


def _polling(source: Source, state: PollState) -> str:
    if not source.enabled or not source.handler.settings.poll.enabled:
        return "off"
    if source.handler.vendor not in polling.by_vendor():
        return "not possible: no adapter for this vendor"
    polls = polls_of(source)
    if polls is None:
        return "no: it has no credentials for the vendor's API"
    every = f"every {like(source.handler.settings.poll.every or polls.usual, '1s')}"
    if state.running is not None and state.failures:
        times = "once" if state.failures == 1 else f"{state.failures} times"
        return f"{every}; failed {times}, next {_moment(state.next_at):%Y-%m-%d %H:%M} UTC"
    if state.running is not None:
        return f"{every}; reading now, {state.running.rows} applications so far"
    if state.last is None:
        return f"{every}; not yet"
    found = f"{state.last.changed} of {state.last.rows} applications had changed"
    return f"{every}; last {_moment(state.last.began):%Y-%m-%d %H:%M} UTC: {found}"


def _api(source: Source, state: ApiState | None) -> str:
    handler = source.handler
    if polls_of(source) is None and not isinstance(handler, Enriches):
        return "not needed"
    if isinstance(handler, Enriches) and handler.access() is None:
        return f"no credentials: {handler.guide.enrichment}" if handler.guide.enrichment else "no credentials"
    if state is None:
        return "not asked yet"
    word = "works since" if state.problem is None else f"{state.problem}, since"
    return f"{word} {state.since:%Y-%m-%d %H:%M} UTC"


async def _sink(ledger: Ledger, name: str, settings: SinkSettings | None) -> SinkOverview:
    oldest = await ledger.oldest(deliveries_index(name, DeliveryState.PENDING))
    gate = await ledger.read_gate(name)
    fails = gate.state is not GateState.CLOSED
    since, why = (_moment(gate.since), gate.reason) if fails else await _failing(ledger, name)
    return SinkOverview(
        name=name,
        type=settings.type if settings else None,
        state=_state(gate, settings),
        per_second=1 / gate.interval if gate.interval else None,
        probe_at=_moment(gate.probe_at) if fails else None,
        held=await ledger.how_many(deliveries_index(name, DeliveryState.HELD)),
        unknown=await ledger.how_many(deliveries_index(name, DeliveryState.UNKNOWN)),
        waiting=await ledger.how_many(deliveries_index(name, DeliveryState.PENDING)),
        retrying=await ledger.how_many(deliveries_index(name, RETRYING)),
        oldest_waiting=None if oldest is None else _moment(oldest),
        failing_since=since,
        failing_why=why,
        dead=await ledger.how_many(deliveries_index(name, DeliveryState.DEAD)),
    )


def _state(gate: GateRecord, settings: SinkSettings | None) -> str:
    if settings is None:
        return "removed"
    if not settings.enabled:
        return "off"
    return gate.state or ("slowed" if gate.interval else "works")


async def _failing(ledger: Ledger, sink: str) -> tuple[datetime | None, str | None]:
    """Since when and why a sink fails, from its newest failed attempts after the last one that succeeded."""
    delivered = await ledger.listed([deliveries_index(sink, DeliveryState.DELIVERED)], 1)
    since = delivered[0].at if delivered else None
    failed = [deliveries_index(sink, listing) for listing in (RETRYING, DeliveryState.DEAD)]
    entries = await ledger.read_listed(await ledger.listed(failed, _FAILED_LOOKED_AT, since=since))
    if not entries:
        return None, None
    attempts = [
        attempt.at
        for entry in entries
        for attempt in entry.record.attempts
        if attempt.result is not Result.DELIVERED and (since is None or attempt.at.timestamp() > since)
    ]
    return min(attempts, default=_moment(entries[0].at)), last_reason(entries[0].record)


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
