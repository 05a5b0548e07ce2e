"""The `ats-router` command. Every command is a few lines here; what it does is in the module it calls."""

from typing import Annotated

import typer

from router import __version__

from router.cli import running, watching, mending, config, offline  # isort: skip (the order of the help)
from router.cli.shared import app

__all__ = ["app", "config", "main", "mending", "offline", "running", "watching"]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _global(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main() -> None:
    app()
