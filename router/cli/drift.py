"""Commands about drift: webhooks that are genuine but could not be read."""

import base64
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from handlers.base import Disposition
from router.cli.filters import SourceOption
from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    JsonOption,
    LimitOption,
    app,
    configured,
    console,
    days,
    fail,
    known_name,
    misuse,
    on_ledger,
    print_json,
    wide,
)
from router.config import Config
from router.drift import ReplayedReceipt, replay
from router.identity import partition_in
from router.ledger import Ledger
from router.ledger_keys import drift_index
from router.parts import sources_of
from router.records import ReceiptRecord, StoredReceipt
from router.tables import print_drift, print_drifted

_ALL = 1_000_000

drift_app = typer.Typer(help="Verified webhooks that could not be read: list, look at, replay.", no_args_is_help=True)
app.add_typer(drift_app, name="drift")


@drift_app.command("list")
def drift_list(
    source: SourceOption = None,
    limit: LimitOption = 50,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List webhooks that are genuine but could not be read, the newest first."""
    settings = configured(config, data_dir)
    names = _sources(settings, source)

    async def read(ledger: Ledger) -> list[tuple[str, ReceiptRecord]]:
        entries = await ledger.listed(map(drift_index, names), limit)
        records = await ledger.read_receipt_records([entry.id for entry in entries])
        return [(entry.id, record) for entry, record in zip(entries, records, strict=True) if record]

    rows = on_ledger(settings, read)
    if as_json:
        print_json([{"id": receipt, **record.model_dump(mode="json")} for receipt, record in rows])
    elif rows:
        print_drift(rows, wide)
        console.print("\nTo look at one: `ats-router drift show RECEIPT`. Once its handler reads it: `drift replay`.")
    else:
        console.print("no drift: everything that came could be read")


@drift_app.command("show")
def drift_show(
    receipt: Annotated[str, typer.Argument(help="The id of a receipt, as `drift list` shows them.")],
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why a webhook could not be read, and its body as it came: candidates' data."""
    settings = configured(config, data_dir)
    stored = _receipt(settings, receipt)
    if not as_json:
        print_drifted(receipt, stored.record, stored.body, wide)
        return
    try:
        body = {"body": stored.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": base64.b64encode(stored.body).decode()}
    print_json({"id": receipt, **stored.record.model_dump(mode="json"), **body})


@drift_app.command("replay")
def drift_replay(
    what: Annotated[str | None, typer.Argument(help="A source, or the id of a receipt; all where left out.")] = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read webhooks that were drift again, with today's handlers, and route what they say."""
    settings = configured(config, data_dir)
    by_id = what is not None and what.startswith("rcp_")
    if what is not None and by_id:
        _receipt(settings, what)
        ids = [what]
    else:
        names = _sources(settings, what)
        entries = on_ledger(settings, lambda ledger: ledger.listed(map(drift_index, names), _ALL))
        ids = [entry.id for entry in reversed(entries)]
    results = on_ledger(settings, lambda ledger: _replay_all(ledger, ids, settings))
    if as_json:
        print_json(
            [
                {"id": one.receipt, "disposition": one.disposition, "facts": one.facts, "reason": one.reason}
                for one in results
            ]
        )
        return
    replayed = [one for one in results if one.disposition is not Disposition.DRIFT]
    if not ids:
        console.print("no drift: there is nothing to replay")
        return
    console.print(f"{len(replayed)} of {len(ids)} receipts were replayed: {sum(one.facts for one in replayed)} facts.")
    for one in results:
        if one.disposition is Disposition.DRIFT:
            console.print(f"{one.receipt} is still drift: {one.reason}", markup=False)


def _sources(settings: Config, source: str | None) -> list[str]:
    name = known_name("source", source, settings.sources)
    return [name] if name else list(settings.sources)


def _receipt(settings: Config, receipt: str) -> StoredReceipt:
    """A receipt that is drift."""
    try:
        if not receipt.startswith("rcp_"):
            raise ValueError
        partition_in(receipt)
    except ValueError:
        misuse(f"{receipt!r} is no id of a receipt: they begin with rcp_, as `ats-router drift list` shows them")
    stored = on_ledger(settings, lambda ledger: ledger.read_receipt(receipt))
    if stored is None:
        fail(f"there is no receipt {receipt}: the id is wrong, or it is older than {days(settings)} days")
    if stored.record.disposition is not Disposition.DRIFT:
        fail(f"the receipt {receipt} is no drift (any more): it is {stored.record.disposition}")
    return stored


async def _replay_all(ledger: Ledger, ids: Sequence[str], settings: Config) -> list[ReplayedReceipt]:
    handlers = sources_of(settings)
    results = []
    for i in track(ids, "Replaying", console=Console(stderr=True), transient=True):
        record = (await ledger.read_receipt_records([i]))[0]
        if record is None or record.source not in handlers:
            continue
        if (result := await replay(ledger, i, handlers[record.source])) is not None:
            results.append(result)
    return results
