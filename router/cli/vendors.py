"""Commands about vendors and types of sinks: which there are, and the beginnings of another one."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from router.cli.shared import JsonOption, app, misuse, print_json, wide

scaffold_app = typer.Typer(help="Write the beginnings of a new vendor or sink.", no_args_is_help=True)
app.add_typer(scaffold_app, name="scaffold")


@app.command()
def vendors(
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/vendors.md.")] = False,
) -> None:
    """List the vendors, how their webhooks arrive, and how sure we are of each."""
    from router import vendor_matrix

    if markdown:
        typer.echo(vendor_matrix.markdown(), nl=False)
        return
    rows = vendor_matrix.rows()
    if as_json:
        names = [column.strip("`:").lower().replace(" ", "_") for column in vendor_matrix.COLUMNS]
        typer.echo(json.dumps([dict(zip(["title", *names[1:]], row, strict=True)) for row in rows], indent=2))
        return
    table = Table(*[column.strip("`") for column in vendor_matrix.COLUMNS], box=None)
    for row in rows:
        table.add_row(*map(escape, row))
    wide.print(table)


@app.command()
def sinks(
    as_json: JsonOption = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/sinks.md.")] = False,
) -> None:
    """List the types of sinks, and whether each can tell a repeat."""
    from router import sink_matrix

    if markdown:
        typer.echo(sink_matrix.markdown(), nl=False)
        return
    rows = sink_matrix.rows()
    if as_json:
        print_json([{"title": title, "type": kind, "exactly_once": once} for title, kind, once in rows])
        return
    table = Table(*[column.strip("`") for column in sink_matrix.COLUMNS], box=None)
    for row in rows:
        table.add_row(*map(escape, row))
    wide.print(table)


@scaffold_app.command("vendor")
def scaffold_vendor(
    name: Annotated[str, typer.Argument(help="Its name in the configuration, such as my_ats.")],
    into: Annotated[Path, typer.Option(help="A checkout of ats-router.")] = Path(),
) -> None:
    """Write a handler, its fixtures and tests for a new vendor, to be filled in."""
    from router.scaffold import CannotScaffold
    from router.scaffold import scaffold_vendor as write

    try:
        written = write(name, into)
    except CannotScaffold as problem:
        misuse(str(problem))
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(
        f"Now run: pytest tests/handlers -k {name}\n"
        f"Then fill in handlers/{name}.py from the vendor's documentation, and put its documented payloads beside the"
        f" fixtures. CONTRIBUTING.md says how."
    )


@scaffold_app.command("sink")
def scaffold_sink(
    name: Annotated[str, typer.Argument(help="Its type in the configuration, such as my_target.")],
    into: Annotated[Path, typer.Option(help="A checkout of ats-router.")] = Path(),
) -> None:
    """Write a type of sink and its tests, to be filled in."""
    from router.scaffold import CannotScaffold
    from router.scaffold import scaffold_sink as write

    try:
        written = write(name, into)
    except CannotScaffold as problem:
        misuse(str(problem))
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(
        f"Now run: pytest tests/sinks -k {name}\nThen fill in sinks/{name}.py from the target's documentation."
        f" CONTRIBUTING.md says how."
    )
