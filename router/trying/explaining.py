"""Why an event goes where it goes: every route in its order, and the one condition that failed."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router.conditions import Finding
from router.headline import headline, plain
from router.rules import CompiledRoute, Ruleset
from router.schema import Event, EventType, Model
from router.wording import listed


class Verdict(StrEnum):
    """`NOT_REACHED`: a route above matched and stops, or for the default, another route matched."""

    MATCHED = "matched"
    FAILED = "failed"
    NOT_REACHED = "not reached"
    SWITCHED_OFF = "switched off"


_COLORS = {Verdict.MATCHED: "green", Verdict.FAILED: "red", Verdict.NOT_REACHED: "dim", Verdict.SWITCHED_OFF: "dim"}


class RouteVerdict(Model):
    """``field``, ``wanted`` and ``found`` are of the condition that failed; ``why`` says it in words. Of a group, such
    as any, ``parts`` are its conditions."""

    name: str
    verdict: Verdict
    send_to: Sequence[str]
    stop: bool
    review: bool = False
    why: str | None = None
    field: str | None = None
    wanted: str | None = None
    found: Sequence[str] | None = None
    parts: Sequence[Finding] = ()


class Explained(Model):
    """``sinks``: where it goes, with the routes that lead there. ``routed_by``: what matched when a stored event was
    routed; None for what is not stored."""

    id: str
    type: EventType
    headline: str
    routes: Sequence[RouteVerdict]
    sinks: dict[str, Sequence[str]]
    routed_by: Sequence[str] | None = None

    @property
    def matched(self) -> list[str]:
        return [route.name for route in self.routes if route.verdict is Verdict.MATCHED]

    def why_not(self, sink: str) -> list[str]:
        """Of each route to a sink why it does not lead there; first those that are about this type of event."""
        routes = [route for route in self.routes if sink in route.send_to and route.why is not None]
        routes.sort(key=lambda route: route.field in ("event", "type"))
        return [f"{route.name}: {route.why}" for route in routes]


def explain(rules: Ruleset, event: Event, routed_by: Sequence[str] | None = None) -> Explained:
    routes = [_verdict(route, reason) for route, reason in rules.explain(event)]
    sinks: dict[str, list[str]] = {}
    for route in routes:
        for sink in route.send_to if route.verdict is Verdict.MATCHED else ():
            sinks.setdefault(sink, []).append(route.name)
    return Explained(
        id=event.id, type=event.type, headline=headline(event), routes=routes, sinks=dict(sinks), routed_by=routed_by
    )


def _verdict(route: CompiledRoute, reason: Finding | str | None) -> RouteVerdict:
    told = RouteVerdict(
        name=route.name,
        verdict=Verdict.MATCHED,
        send_to=_sinks(route),
        stop=route.stop,
        review=route.review is not None,
    )
    if reason is None:
        return told
    if isinstance(reason, Finding):
        values = {} if reason.parts else {"wanted": reason.wanted, "found": reason.found}
        failed = {"field": reason.field, "parts": reason.parts, **values}
        return told.model_copy(update={"verdict": Verdict.FAILED, "why": str(reason), **failed})
    verdict = Verdict.NOT_REACHED if route.enabled else Verdict.SWITCHED_OFF
    return told.model_copy(update={"verdict": verdict, "why": reason})


def _sinks(route: CompiledRoute) -> tuple[str, ...]:
    return tuple(dict.fromkeys(to.sink for to in route.send_to))


def print_explained(explained: Explained, console: Console) -> None:
    console.print(f"[bold]{escape(explained.headline)}[/]  {explained.type}")
    table = Table("", "route", "", "", box=None, padding=(0, 2), show_header=False)
    for number, route in enumerate(explained.routes, start=1):
        color = _COLORS[route.verdict]
        told = "\n".join(escape(plain(line)) for line in _effect(route).split("\n"))
        table.add_row(str(number), escape(plain(route.name)), f"[{color}]{route.verdict}[/]", told)
    console.print(table)
    ends = [f"{sink} (by {listed(routes, 'and')})" for sink, routes in explained.sinks.items()]
    console.print(f"It goes to {escape(plain(listed(ends, 'and')))}." if ends else "It goes nowhere.")
    if explained.routed_by is not None and list(explained.routed_by) != explained.matched:
        then = escape(plain(listed(explained.routed_by, "and"))) if explained.routed_by else "no route"
        console.print(f"[yellow]The rules were others when it was routed[/]: then {then} matched.")


def _effect(route: RouteVerdict) -> str:
    """What it does with the event, or why nothing."""
    if route.parts:
        group = Finding(str(route.field), holds=False, parts=tuple(route.parts))
        return "\n".join([f"{group.heading}:", *_lines(group.parts, "  ")])
    if route.verdict is not Verdict.MATCHED:
        return "" if route.verdict is Verdict.SWITCHED_OFF else str(route.why)
    to = f"sends to {listed(route.send_to, 'and')}" if route.send_to else "sends nowhere"
    if route.review and route.send_to:
        to += ", once a person has approved it"
    return f"{to}, and stops: no route below gets its turn" if route.stop else to


def _lines(parts: Sequence[Finding], indent: str) -> Iterator[str]:
    """Each condition of a group on a line of its own."""
    for part in parts:
        mark = "✓" if part.holds else "✗"
        yield f"{indent}{mark} {part.heading}:" if part.parts else f"{indent}{mark} {part}"
        yield from _lines(part.parts, f"{indent}  ")
