"""The command that registers a source's URL at its vendor: connect."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from handlers.base import Drift
from handlers.enriching import ApiProblem
from router.cli.shared import (
    CONFIG,
    ConfigOption,
    DataDirOption,
    JsonOption,
    app,
    configured,
    fail,
    known_name,
    on_ledger,
    print_json,
)
from router.ledger import Ledger
from router.parts import sources_of
from router.registering import CannotConnect, Registrar, registrar


@app.command()
def connect(
    source: Annotated[str, typer.Argument(help="The name of a source in the configuration.")],
    check: Annotated[bool, typer.Option("--check", help="Only ask the vendor whether it is registered.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the registration back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the URL of a source through its vendor's API.

    It says first what it will do. The router must be running and reachable from outside, as some vendors try the URL.

    What the vendor makes (ids, secrets) is kept in the ledger; with `secret: pending` the receiver takes it from there.
    Registrations that end are renewed by the worker.
    """
    settings = configured(config, data_dir)
    sources = sources_of(settings)
    known_name("source", source, sources)

    async def work(ledger: Ledger) -> dict[str, Any]:
        async with registrar(settings, sources[source], ledger) as here:
            if check:
                return await _check(here)
            return await _remove(here, yes, as_json) if remove else await _connect(here, yes, as_json)

    try:
        answer = on_ledger(settings, work)
    except CannotConnect as problem:
        fail(str(problem))
    except (ApiProblem, Drift) as problem:
        fail(f"{problem}; what was done until then is kept: see `ats-router connect {source} --check`")
    if as_json:
        print_json(answer)
    if check and not answer["working"]:
        raise typer.Exit(1)


async def _connect(here: Registrar, yes: bool, as_json: bool) -> dict[str, Any]:
    if await here.hooks():
        raise CannotConnect(
            f"{here.source} is registered already: see `ats-router connect {here.source} --check`, or take it back with"
            " --remove first"
        )
    _agree(here.connects.plan(here.url), yes, as_json)
    made: dict[str, list[str]] = {}
    async for hook in here.connect():
        if hook.id not in made and not as_json:
            typer.echo(f"registered {hook.id}" + (f" for {', '.join(hook.events)}" if hook.events else ""))
        made[hook.id] = list(hook.events)
    return {"source": here.source, "url": here.url, "registered": made}


async def _check(here: Registrar) -> dict[str, Any]:
    hooks, working = await here.hooks(), await here.working()
    for kept in hooks:
        state = "works" if kept.hook.id in working else "is missing, switched off or leads elsewhere at the vendor"
        ends = f", until {kept.hook.expires_at:%Y-%m-%d %H:%M} UTC" if kept.hook.expires_at else ""
        typer.echo(f"{kept.hook.id} ({', '.join(kept.hook.events) or 'all events'}) {state}{ends}", err=True)
    if not hooks:
        typer.echo(f"nothing was registered for {here.source} by this command", err=True)
    return {
        "source": here.source,
        "working": bool(hooks) and all(kept.hook.id in working for kept in hooks),
        "registrations": [
            {"id": kept.hook.id, "events": kept.hook.events, "url": kept.url, "works": kept.hook.id in working}
            for kept in hooks
        ],
    }


async def _remove(here: Registrar, yes: bool, as_json: bool) -> dict[str, Any]:
    hooks = await here.hooks()
    _agree([f"remove {kept.hook.id} ({', '.join(kept.hook.events) or 'all events'})" for kept in hooks], yes, as_json)
    for kept in hooks:
        await here.remove(kept)
        if not as_json:
            typer.echo(f"removed {kept.hook.id}")
    return {"source": here.source, "removed": [kept.hook.id for kept in hooks]}


def _agree(plan: Sequence[str], yes: bool, as_json: bool) -> None:
    for step in plan or ["nothing to do"]:
        typer.echo(f"- {step}", err=as_json)
    if plan and not yes:
        typer.confirm("Do this?", abort=True, err=as_json)
