"""Commands that mend deliveries: retry, cancel, confirm, release."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import track

from router.cli.filters import (
    ReasonOption,
    RouteOption,
    SinceOption,
    SinkOption,
    SourceOption,
    UntilOption,
    filter_of,
    of_deliveries,
)
from router.cli.shared import (
    CONFIG,
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
)
from router.config import Config
from router.delivery import SINK_OFF
from router.identity import partition_in
from router.ledger import BATCH, Ledger
from router.lists import ids_that_fit
from router.mending import Mended, cancel, confirm, retry
from router.records import Decision, DeliveryState
from router.units import Rate

_ALL = 1_000_000
_SHOWN = 20

IdsArgument = Annotated[list[str] | None, typer.Argument(help="Ids of deliveries, as `deliveries` lists them.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RateOption = Annotated[str | None, typer.Option(help="Not faster than this: 20/s, 100/m.")]
ByOption = Annotated[str | None, typer.Option(help="Who says so; the user of this machine where left out.")]
WhyOption = Annotated[str | None, typer.Option(help="Why, to be shown with the delivery.")]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Filters of deliveries, as they were typed."""

    sink: str | None = None
    reason: str | None = None
    route: str | None = None
    source: str | None = None
    since: str | None = None
    until: str | None = None


Work = Callable[[Ledger, Sequence[str]], Awaitable[list[Mended]]]


@app.command("retry")
def retry_command(
    delivery: IdsArgument = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that are dead.")] = False,
    state: Annotated[str | None, typer.Option(help="All that are dead, unknown or cancelled.")] = None,
    sink: SinkOption = None,
    reason: ReasonOption = None,
    route: RouteOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    rate: RateOption = None,
    yes: YesOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try deliveries again: they go back to the tail of their lines; one that waits for its next try is due now.

    What was attempted so far stays recorded, the tries are counted anew.
    """
    settings = configured(config, data_dir)
    state = DeliveryState.DEAD if dead else state
    known_name("state", state, [DeliveryState.DEAD, DeliveryState.UNKNOWN, DeliveryState.CANCELLED])
    narrowed = Narrowed(sink, reason, route, source, since, until)
    ids = _chosen(settings, delivery, state, narrowed, "--dead")
    if delivery is None:
        _ask(ids, f"{len(ids)} {state} deliveries will be tried again. Go on?", yes)
    on = {name: sink_settings.enabled for name, sink_settings in settings.sinks.items()}
    results = in_steps(settings, ids, lambda ledger, some: retry(ledger, some, on), "Putting them back", rate)
    tell(results, as_json, one_by_one=delivery is not None, words="are back in their lines", none=f"nothing is {state}")


@app.command("cancel")
def cancel_command(
    delivery: IdsArgument = None,
    state: Annotated[str | None, typer.Option(help="All that are pending, retrying, held, dead or unknown.")] = None,
    sink: SinkOption = None,
    reason: ReasonOption = None,
    route: RouteOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    yes: YesOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give deliveries up for good: they are not sent, and what waits behind them goes on."""
    settings = configured(config, data_dir)
    known_name("state", state, ["pending", "retrying", "held", "dead", "unknown"])
    ids = _chosen(settings, delivery, state, Narrowed(sink, reason, route, source, since, until), "--state")
    if delivery is None:
        _ask(ids, f"{len(ids)} {state} deliveries will never be sent. Go on?", yes)
    decision = decision_of("cancelled", by, why)
    results = in_steps(settings, ids, lambda ledger, some: cancel(ledger, some, decision), "Cancelling", None)
    tell(results, as_json, one_by_one=delivery is not None, words="are cancelled", none=f"nothing is {state}")


@app.command("confirm")
def confirm_command(
    delivery: Annotated[list[str], typer.Argument(help="Ids of deliveries that are unknown.")],
    by: ByOption = None,
    why: WhyOption = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that deliveries arrived, after you saw them there, whose outcome the router could not know."""
    settings = configured(config, data_dir)
    decision = decision_of("confirmed", by, why)
    ids = checked_ids(delivery)
    results = in_steps(settings, ids, lambda ledger, some: confirm(ledger, some, decision), "Confirming", None)
    tell(results, as_json, one_by_one=True)


@app.command("release")
def release_command(
    sink: Annotated[str, typer.Argument(help="A sink that was switched off, or that fails.")],
    drop: Annotated[bool, typer.Option("--cancel", help="Do not send what it held: cancel it.")] = False,
    rate: RateOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    yes: YesOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what a sink held while it was switched off, the oldest first, or cancel it; probe one that fails at once."""
    settings = configured(config, data_dir)
    known_name("sink", sink, settings.sinks)
    ids = _fitting(settings, DeliveryState.HELD, Narrowed(sink=sink, reason=SINK_OFF))
    if not settings.sinks[sink].enabled and not drop:
        fail(
            f"the sink {sink} is switched off: take `enabled: false` out of the configuration first, or drop what it"
            " holds with --cancel"
        )
    what = "will never be sent" if drop else "will be sent"
    _ask(ids, f"{len(ids)} deliveries that {sink} held {what}. Go on?", yes)
    probed = on_ledger(settings, lambda ledger: ledger.probe_now(sink))
    decision = decision_of("cancelled", by, why)

    async def work(ledger: Ledger, some: Sequence[str]) -> list[Mended]:
        return await (cancel(ledger, some, decision) if drop else retry(ledger, some, {sink: True}))

    results = in_steps(settings, ids, work, "Cancelling" if drop else "Releasing", rate)
    if probed and not as_json:
        console.print(f"{sink} failed, and is tried at once: `ats-router status` says how that ends.")
        if not results:
            return
    words = "are cancelled" if drop else "are back in their lines"
    tell(results, as_json, one_by_one=False, words=words, none=f"{sink} holds nothing")


def decision_of(word: str, by: str | None, why: str | None) -> Decision:
    return Decision(word=word, by=by or _user(), at=datetime.now(UTC), why=why)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"user {os.getuid()}"


def _chosen(
    settings: Config, delivery: Sequence[str] | None, state: str | None, narrowed: Narrowed, option: str
) -> list[str]:
    """The ids that were given, or those in a state."""
    if bool(delivery) == (state is not None) or (delivery and narrowed != Narrowed()):
        misuse(f"give either ids of deliveries, or {option}, perhaps with filters such as --sink NAME")
    return checked_ids(delivery) if delivery else _fitting(settings, state, narrowed)


def checked_ids(deliveries: Sequence[str]) -> list[str]:
    for delivery in deliveries:
        try:
            if not delivery.startswith("dlv_"):
                raise ValueError
            partition_in(delivery)
        except ValueError:
            misuse(f"{delivery!r} is no id of a delivery: they begin with dlv_, as `ats-router deliveries` lists them")
    return list(dict.fromkeys(deliveries))


def _fitting(settings: Config, state: str | None, narrowed: Narrowed) -> list[str]:
    """The oldest first: the order in which they came into this state is kept."""
    wanted = filter_of(settings, _ALL, narrowed.source, None, None, None, narrowed.since, narrowed.until)
    wanted = of_deliveries(settings, wanted, narrowed.sink, state, narrowed.reason, narrowed.route)
    return on_ledger(settings, lambda ledger: ids_that_fit(ledger, wanted, settings.sinks))


def _ask(ids: Sequence[str], question: str, yes: bool) -> None:
    if ids and not yes:
        typer.confirm(question, abort=True, err=True)


def in_steps(settings: Config, ids: Sequence[str], work: Work, title: str, rate: str | None) -> list[Mended]:
    """Batch by batch, with a bar; where it is stopped, what was done is done."""
    per_second = per_second_of(rate)

    async def go(ledger: Ledger) -> list[Mended]:
        results: list[Mended] = []
        steps = range(0, len(ids), BATCH)
        for i in track(steps, title, console=Console(stderr=True), transient=True, disable=len(ids) <= BATCH):
            results += await work(ledger, ids[i : i + BATCH])
            if per_second is not None and i + BATCH < len(ids):
                await asyncio.sleep(BATCH / per_second)
        return results

    return on_ledger(settings, go)


def per_second_of(written: str | None) -> float | None:
    """A rate as it was typed."""
    if written is None:
        return None
    try:
        return TypeAdapter[float](Rate).validate_python(written)
    except ValidationError as wrong:
        misuse(f"--rate {written!r}: {wrong.errors()[0]['msg']}")


def tell(results: Sequence[Mended], as_json: bool, *, one_by_one: bool, words: str = "", none: str = "") -> None:
    """What came of it; the exit code is 1 where something that was named was not done."""
    left = [one for one in results if not one.done]
    if as_json:
        print_json([{"id": one.delivery, "done": one.done, "words": one.words} for one in results])
    elif one_by_one:
        for one in results:
            if one.done:
                console.print(f"{one.delivery}: {one.words}")
    elif not results:
        console.print(f"{none}, so there is nothing to do")
    else:
        console.print(f"{len(results) - len(left)} of {len(results)} deliveries {words}.")
        for one in left[:_SHOWN]:
            console.print(f"{one.delivery}: {one.words}")
        if len(left) > _SHOWN:
            console.print(f"... and {len(left) - _SHOWN} more that were left as they are")
    if one_by_one and left:
        fail("; ".join(f"{one.delivery} was left as it is: {one.words}" for one in left))
