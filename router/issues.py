"""Issues: conditions of the running system that need a person.

They are read off what the ledger knows, so they open, go on and close by themselves.
"""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from pydantic import Field

from router.config import Config
from router.ledger import INTAKE, Ledger
from router.ledger_keys import deliveries_index, drift_index
from router.records import DeliveryState, GateState
from router.remedies import meaning
from router.reviewing import under_review
from router.schema import Model

WORKER_SILENT_SECONDS = 15.0
WARNED_SECONDS = 3 * 86400.0
"""So long before something is forgotten that a person might still want to mend, or a tenth of the retention."""

_WAIT_FOR_A_PERSON = (DeliveryState.HELD, DeliveryState.UNKNOWN, DeliveryState.DEAD)
_CONFIRM = "look there, then `ats-router confirm` or `retry` each"
_RETRY = "`ats-router deliveries --state dead` lists them, `retry --dead` tries them again"
_RENEW = "renew the source's credentials in the configuration; polling and what waits go on by themselves"
_ANSWERS_AGAIN = "see `ats-router sources`; what waits goes on by itself once it answers"
_REGISTER = "look in the ATS whether the webhook is still there and on: `ats-router sources` says how to register it"
_LEAST_SILENCE = 6 * 3600.0
_LOOKED_AT = 1000
_TRIED_SECONDS = 14 * 86400.0  # no longer does it take from the first attempt to the last


class Issue(Model):
    """``about`` is the source or sink; ``since`` is null where nothing says since when."""

    kind: str
    about: str
    since: datetime | None
    times: int = Field(description="How often: probes that failed, deliveries, webhooks.")
    what: str
    do: str


async def read_issues(ledger: Ledger, config: Config) -> list[Issue]:
    """What needs a person now, what stops the most first."""
    return [issue async for issue in _issues(ledger, config)]


async def _issues(ledger: Ledger, config: Config) -> AsyncIterator[Issue]:
    if not await ledger.workers(within=WORKER_SILENT_SECONDS):
        waits = (await ledger.backlog(INTAKE)).subjects
        what = f"no worker is at work; webhooks of {waits} applications wait to be routed"
        yield Issue(
            kind="no_worker", about="", since=None, times=waits, what=what, do="start `ats-router work` or `up`"
        )
    for state in await ledger.config_states():
        if state.errors:
            what = f"the changed configuration is not in use: {state.errors} mistakes"
            do = f"run `ats-router check {state.path}`"
            yield Issue(kind="config", about="", since=state.since, times=state.errors, what=what, do=do)
    async for issue in _of_sources(ledger, config):
        yield issue
    reviews = Counter(one.record.sink for one in await under_review(ledger, config.sinks))
    for name in config.sinks:
        async for issue in _of_sink(ledger, config, name, reviews[name]):
            yield issue
    for source in config.sources:
        if kept := await ledger.how_many(drift_index(source)):
            oldest = await ledger.oldest(drift_index(source))
            what = f"{kept} genuine webhooks could not be read"
            do = "`ats-router drift list` says why; after an upgrade: `ats-router drift replay`"
            yield Issue(kind="drift", about=source, since=_moment(oldest), times=kept, what=what, do=do)


async def _of_sources(ledger: Ledger, config: Config) -> AsyncIterator[Issue]:
    """What fails at vendors, and hooks that tell less than they should."""
    for source, api in (await ledger.api_states()).items():
        if api.problem is not None:
            kind = "credentials" if api.refused else "vendor_api"
            do = _RENEW if api.refused else _ANSWERS_AGAIN
            what = f"its API: {api.problem}"
            yield Issue(kind=kind, about=source, since=api.since, times=api.times, what=what, do=do)
    heard, recovered = await ledger.last_seen(), await ledger.last_recovered()
    silences, counts, now = await ledger.silences(), await ledger.counts(), await ledger.time()
    for source in config.sources:
        last = heard.get(source)
        if recovered.get(source, 0.0) > (last or 0.0):
            times = counts.get((source, "recovered"), 0)
            what = f"only polling tells its events; no webhook came since {_said(last)}"
            yield Issue(kind="hook", about=source, since=_moment(last), times=times, what=what, do=_REGISTER)
        elif last is not None and (usual := silences.get(source)) and now - last > max(2 * usual, _LEAST_SILENCE):
            what = f"no webhook came since {_said(last)}; the longest silence before was {usual / 3600:.0f} hours"
            yield Issue(kind="silent", about=source, since=_moment(last), times=1, what=what, do=_REGISTER)


def _said(unix: float | None) -> str:
    return "it is here" if unix is None else f"{_moment(unix):%Y-%m-%d %H:%M} UTC"


async def _of_sink(ledger: Ledger, config: Config, name: str, reviews: int) -> AsyncIterator[Issue]:
    """``reviews``: how many of the deliveries that it holds wait for a review."""
    gate = await ledger.read_gate(name)
    if gate.state is not GateState.CLOSED:
        yield _failing(name, gate.state, gate.reason, gate.failures, gate.since)
    counts = {state: await ledger.how_many(deliveries_index(name, state)) for state in _WAIT_FOR_A_PERSON}
    held = counts[DeliveryState.HELD] - reviews
    for kind, many, state, what, do in (
        ("held", held, DeliveryState.HELD, "held", _release(name, config.sinks[name].enabled)),
        ("review", reviews, DeliveryState.HELD, "waiting for approval", "`ats-router review list` shows them"),
        ("unknown", counts[DeliveryState.UNKNOWN], DeliveryState.UNKNOWN, "that may have arrived", _CONFIRM),
        ("dead", counts[DeliveryState.DEAD], DeliveryState.DEAD, "given up", _RETRY),
    ):
        if many > 0:
            since = _moment(await ledger.oldest(deliveries_index(name, state)))
            yield Issue(kind=kind, about=name, since=since, times=many, what=f"{_deliveries(many)} {what}", do=do)
    if forgotten := await _soon_forgotten(ledger, name, config.retention.events):
        many, first = forgotten
        what = f"{_deliveries(many)}, dead or unknown, will soon be forgotten, the first at {first:%Y-%m-%d %H:%M} UTC"
        do = f"`ats-router retry --dead --sink {name}` or `cancel --state dead --sink {name}` before that"
        yield Issue(kind="retention", about=name, since=None, times=many, what=what, do=do)


def _deliveries(many: int) -> str:
    return "1 delivery" if many == 1 else f"{many} deliveries"


def _release(sink: str, is_on: bool) -> str:
    """What to do about what a sink held. What waits for a review is listed elsewhere."""
    return f"`ats-router release {sink}` sends it" if is_on else "switch the sink on, then `ats-router release` it"


def _failing(name: str, state: GateState, reason: str, failures: int, since: float) -> Issue:
    parked = state is GateState.PARKED
    what = f"it refuses us: {reason}" if parked else f"it fails: {reason}"
    why = meaning(reason)
    after = f"then `ats-router release {name}` tries it at once" if parked else "it is probed, and goes on by itself"
    do = f"{why}; {after}" if why else after
    return Issue(
        kind=state, about=name, since=_moment(since), times=failures, what=f"{what}; its deliveries wait", do=do
    )


async def _soon_forgotten(ledger: Ledger, sink: str, retention: float) -> tuple[int, datetime] | None:
    """How many deliveries that were given up go with their events before long, and when the first of them."""
    now = await ledger.time()
    indexes = [deliveries_index(sink, state) for state in (DeliveryState.DEAD, DeliveryState.UNKNOWN)]
    warned = min(WARNED_SECONDS, retention / 10)
    until = min(now, now - retention + warned + _TRIED_SECONDS)
    oldest = await ledger.read_listed(await ledger.listed(indexes, _LOOKED_AT, until=until, oldest=True))
    ends = [one.record.attempts[0].at + timedelta(seconds=retention) for one in oldest if one.record.attempts]
    soon = [end for end in ends if end.timestamp() - now < warned]
    return (len(soon), min(soon)) if soon else None


def _moment(unix: float | None) -> datetime | None:
    return None if unix is None else datetime.fromtimestamp(unix, UTC)
