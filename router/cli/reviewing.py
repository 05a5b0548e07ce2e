"""Commands of the review gate: list, show, approve, reject what a person has to look at first."""

from collections.abc import Sequence
from typing import Annotated

import typer

from router.cli.mending import ByOption, IdsArgument, WhyOption, YesOption, checked_ids, decision_of, in_steps, tell
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
    wide,
)
from router.config import Config
from router.identity import event_of, partition_in
from router.ledger import Ledger
from router.mending import Mended
from router.preview import print_preview
from router.records import APPROVED, ListedDelivery, StoredDelivery
from router.reviewing import approve, is_under_review, reject, under_review
from router.schema import Event
from router.tables import print_reviews

review_app = typer.Typer(
    help="What routes with `review: true` want to send: list, look at, approve, reject.", no_args_is_help=True
)
app.add_typer(review_app, name="review")

SinkOption = Annotated[str | None, typer.Option(help="Only to this sink.")]
RouteOption = Annotated[str | None, typer.Option(help="Only what this route sends.")]
AllOption = Annotated[bool, typer.Option("--all", help="All that wait, or all that fit the filters.")]


@review_app.command("list")
def review_list(
    sink: SinkOption = None,
    route: RouteOption = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits for somebody's word, the oldest first."""
    settings = configured(config, data_dir)

    async def read(ledger: Ledger) -> list[tuple[ListedDelivery, Event]]:
        found = await _waiting(ledger, settings, sink, route)
        bodies = await ledger.read_bodies([event_of(one.id) for one in found])
        return [(one, Event.model_validate_json(body)) for one, body in zip(found, bodies, strict=True) if body]

    rows = on_ledger(settings, read)
    if as_json:
        print_json([{"id": one.id, "event": event.id, **one.record.model_dump(mode="json")} for one, event in rows])
    elif rows:
        print_reviews(rows, wide)
        console.print("\nTo read one: `ats-router review show ID`; then `review approve ID` or `review reject ID`.")
    else:
        console.print("nothing waits for a review")


@review_app.command("show")
def review_show(
    delivery: Annotated[str, typer.Argument(help="The id of a delivery, as `review list` shows them.")],
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly what will be sent.")] = False,
) -> None:
    """Show exactly what will be sent if it is approved, and where to."""
    settings = configured(config, data_dir)
    [identifier] = checked_ids([delivery])

    async def read(ledger: Ledger) -> StoredDelivery | None:
        return (await ledger.load_deliveries(partition_in(identifier), [identifier]))[0]

    stored = on_ledger(settings, read)
    if stored is None:
        fail(f"there is no delivery {identifier}")
    if not is_under_review(stored.record):
        fail(f"{identifier} is {stored.record.state}, not under review")
    body = stored.frozen or stored.event
    if as_json:
        typer.echo(body)
        return
    record = stored.record
    console.print(f"to {record.sink}, by {', '.join(record.routes)}", markup=False)
    if record.reject_at is not None:
        console.print(f"rejected by itself at {record.reject_at:%Y-%m-%d %H:%M} UTC")
    print_preview(body, console)


@review_app.command("approve")
def review_approve(
    delivery: IdsArgument = None,
    every: AllOption = False,
    sink: SinkOption = None,
    route: RouteOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    yes: YesOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let deliveries be sent, as `review show` shows them."""
    settings = configured(config, data_dir)
    ids = _chosen(settings, delivery, every, sink, route)
    if every and ids and not yes:
        typer.confirm(f"{len(ids)} deliveries will be sent. Go on?", abort=True, err=True)
    decision = decision_of(APPROVED, by, why)

    async def work(ledger: Ledger, some: Sequence[str]) -> list[Mended]:
        return await approve(ledger, some, decision, settings.sinks)

    results = in_steps(settings, ids, work, "Approving", None)
    tell(results, as_json, one_by_one=not every, words="are approved", none="nothing waits for a review")


@review_app.command("reject")
def review_reject(
    delivery: IdsArgument = None,
    every: AllOption = False,
    sink: SinkOption = None,
    route: RouteOption = None,
    by: ByOption = None,
    why: WhyOption = None,
    yes: YesOption = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let deliveries never be sent."""
    settings = configured(config, data_dir)
    ids = _chosen(settings, delivery, every, sink, route)
    if every and ids and not yes:
        typer.confirm(f"{len(ids)} deliveries will never be sent. Go on?", abort=True, err=True)
    decision = decision_of("rejected", by, why)
    results = in_steps(settings, ids, lambda ledger, some: reject(ledger, some, decision), "Rejecting", None)
    tell(results, as_json, one_by_one=not every, words="are rejected", none="nothing waits for a review")


def _chosen(
    settings: Config, delivery: Sequence[str] | None, every: bool, sink: str | None, route: str | None
) -> list[str]:
    if bool(delivery) == every or (delivery and (sink or route)):
        misuse("give either ids of deliveries, or --all, perhaps with --sink NAME or --route NAME")
    if delivery:
        return checked_ids(delivery)

    async def read(ledger: Ledger) -> list[str]:
        return [one.id for one in await _waiting(ledger, settings, sink, route)]

    return on_ledger(settings, read)


async def _waiting(ledger: Ledger, settings: Config, sink: str | None, route: str | None) -> list[ListedDelivery]:
    sinks = {*settings.sinks, *await ledger.sinks()}
    asked = [sink] if known_name("sink", sink, sinks) and sink else sinks
    return [one for one in await under_review(ledger, asked) if route is None or route in one.record.routes]
