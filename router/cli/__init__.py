"""The `ats-router` command. Every command is a few lines here; what it does is in the module it calls."""

import logging
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from router import __version__

from router.cli import running, watching, mending, replaying, reviewing, drift  # isort: skip (the order of the help)
from router.cli import backfilling, connecting, config, trying, rules, offline, vendors  # isort: skip
from router.cli.shared import app
from router.logs import log_as_json

__all__ = [
    "app",
    "backfilling",
    "config",
    "connecting",
    "drift",
    "main",
    "mending",
    "offline",
    "replaying",
    "reviewing",
    "rules",
    "running",
    "trying",
    "vendors",
    "watching",
]


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
    log_as_json(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may have letters that the terminal has not
    app()
