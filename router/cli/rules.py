"""Commands about the rules as they were: rules log, rules show, rules diff."""

import difflib
from typing import Annotated

import typer
from rich.markup import escape

from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    JsonOption,
    LimitOption,
    app,
    configured,
    console,
    misuse,
    on_ledger,
    print_json,
    wide,
)
from router.config import Config
from router.edition import Edition, differences
from router.headline import plain
from router.ledger import Ledger
from router.tables import print_rules_log

rules_app = typer.Typer(help="Say by which rules the router went, and since when.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")

HashArgument = Annotated[str, typer.Argument(metavar="HASH", help="The hash of rules, or the beginning of it.")]
_COLORS = {"+": "green", "-": "red"}


@rules_app.command("log")
def log(
    limit: LimitOption = 50, config: ConfigOption = CONFIG, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """List what changed in the rules and when, the newest first."""
    settings = configured(config, data_dir)
    changes = on_ledger(settings, lambda ledger: ledger.rules_log(limit))
    if as_json:
        print_json([change.model_dump(mode="json") for change in changes])
    elif changes:
        print_rules_log(changes, wide)
    else:
        console.print("no rules yet: a worker notes them when it starts")


@rules_app.command("show")
def show(
    rules: HashArgument, config: ConfigOption = CONFIG, data_dir: DataDirOption = None, as_json: JsonOption = False
) -> None:
    """Print rules that are or were in use."""
    edition = _edition(configured(config, data_dir), rules)
    if as_json:
        print_json({"hash": edition.hash, "rules": edition.rules, "sinks": list(edition.sinks)})
    else:
        typer.echo(edition.text, nl=False)


@rules_app.command("diff")
def diff(
    rules: HashArgument,
    other: Annotated[str | None, typer.Argument(metavar="HASH", help="Without it: the rules in the file.")] = None,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how rules differ from those in the file, or from others."""
    settings = configured(config, data_dir)
    before = _edition(settings, rules)
    now = _edition(settings, other) if other else settings.edition
    lines = list(
        difflib.unified_diff(before.text.splitlines(), now.text.splitlines(), before.hash, now.hash, lineterm="")
    )
    changes = differences(before, now)
    if as_json:
        print_json({"before": before.hash, "now": now.hash, "changes": changes, "diff": lines})
        return
    for change in changes or ["nothing is different"]:
        console.print(escape(plain(change)))
    for line in lines:
        color = _COLORS.get(line[:1])
        console.print(f"[{color}]{escape(plain(line))}[/]" if color else escape(plain(line)))


def _edition(settings: Config, beginning: str) -> Edition:
    """The rules whose hash begins like this, in the log or in the file."""

    async def read(ledger: Ledger) -> Edition:
        known = {change.hash for change in await ledger.rules_log()} | {settings.edition.hash}
        found = sorted(hash_ for hash_ in known if hash_.startswith(beginning))
        if len(found) != 1:
            several = f"several rules begin with {beginning!r}: {', '.join(found)}"
            what = several if found else f"no rules begin with {beginning!r}"
            misuse(f"{what}; `ats-router rules log` lists the rules with their hashes")
        return await ledger.edition(found[0]) or settings.edition

    return on_ledger(settings, read)
