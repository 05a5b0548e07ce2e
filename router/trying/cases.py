"""Running the tests beside the rules: what each expects, what it gets, and which route or condition makes the
difference."""

from collections.abc import Mapping, Sequence

from pydantic import computed_field
from rich.console import Console
from rich.markup import escape

from router.config import Config
from router.config.settings import Case, TestSettings
from router.headline import plain
from router.parts import sources_of
from router.schema import Event, Model
from router.trying.explaining import Explained, explain
from router.trying.given import NoEvents, event_of, events_of_body
from router.trying.outlook import Outlook
from router.wording import quoted

_REASONS = 5
_NONE: Mapping[str, Sequence[str]] = {}
Reasons = Mapping[str, Sequence[str]]
Stored = Mapping[str, Event | str]
"""Events by their ids, or why one is not there."""


class LackingText(Model):
    """A text that the message to a sink should have, and the message."""

    sink: str
    text: str
    message: str


class CaseResult(Model):
    """``missing`` and ``unexpected``: sinks, with the reasons. ``untried``: why nothing could be tried at all."""

    name: str
    line: int
    file: str | None
    expected: Sequence[str]
    got: Sequence[str] = ()
    missing: Reasons = _NONE
    unexpected: Reasons = _NONE
    missing_routes: Reasons = _NONE
    unexpected_routes: Sequence[str] = ()
    lacking: Sequence[LackingText] = ()
    untried: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        different = self.missing or self.unexpected or self.missing_routes or self.unexpected_routes or self.lacking
        return not different and self.untried is None


def wanted_events(cases: Sequence[Case]) -> list[str]:
    """The ids of the stored events that tests are about."""
    return list(dict.fromkeys(case.settings.event for case in cases if case.settings.event))


def run_case(case: Case, outlook: Outlook, stored: Stored) -> CaseResult:
    test = case.settings
    result = CaseResult(name=test.name, line=case.line, file=case.file, expected=list(dict.fromkeys(test.send_to)))
    try:
        events = _events(test, outlook, stored)
    except NoEvents as none:
        # what is ignored goes nowhere, which may be what the test wants; what can't be read is never right
        if none.is_drift or test.send_to or test.routes:
            return result.model_copy(update={"untried": str(none)})
        return result
    told = [explain(outlook.rules, event) for event in events]
    return result.model_copy(
        update={**_sinks(test, told), **_routes(test, told), "lacking": _lacking(test, events, outlook)}
    )


def _events(test: TestSettings, outlook: Outlook, stored: Stored) -> list[Event]:
    """What the test is about.

    Raises:
        NoEvents: there is nothing.
    """
    if test.event is not None:
        event = stored[test.event]
        if isinstance(event, str):
            raise NoEvents(event, is_drift=True)
        return [event]
    config = outlook.config
    source = test.source or (next(iter(config.sources)) if len(config.sources) == 1 else "")
    if test.payload is not None:
        try:
            body = test.payload.read_bytes()
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            raise NoEvents(f"{test.payload} can't be read: {reason}", is_drift=True) from None
        return events_of_body(sources_of(config)[source].handler, source, config.stages, body)
    fields = test.fields or {}
    source = str(fields.get("source", source))
    return [outlook.with_kinds(event_of(fields, source, _vendor(config, source)))]


def _vendor(config: Config, source: str) -> str:
    return config.sources[source].vendor if source in config.sources else ""


def _sinks(test: TestSettings, told: Sequence[Explained]) -> dict[str, object]:
    got = list(dict.fromkeys(sink for explained in told for sink in explained.sinks))
    missing = {
        sink: _of_each(told, {explained.id: explained.why_not(sink) for explained in told})
        or [f"no route sends to {sink}"]
        for sink in dict.fromkeys(test.send_to)
        if sink not in got
    }
    unexpected = {
        sink: [f"{route} sends it there" for explained in told for route in explained.sinks.get(sink, ())]
        for sink in got
        if sink not in test.send_to
    }
    return {"got": got, "missing": missing, "unexpected": unexpected}


def _routes(test: TestSettings, told: Sequence[Explained]) -> dict[str, object]:
    if test.routes is None:
        return {}
    got = list(dict.fromkeys(name for explained in told for name in explained.matched))
    why = {
        name: _of_each(told, {one.id: [str(route.why) for route in one.routes if route.name == name] for one in told})
        for name in test.routes
        if name not in got
    }
    return {"missing_routes": why, "unexpected_routes": [name for name in got if name not in test.routes]}


def _of_each(told: Sequence[Explained], reasons: Mapping[str, Sequence[str]]) -> list[str]:
    """The reasons of each event, the first ones; with the event's type where there are several."""
    return [
        f"{explained.type}: {reason}" if len(told) > 1 else reason
        for explained in told
        for reason in reasons[explained.id][:_REASONS]
    ]


def _lacking(test: TestSettings, events: Sequence[Event], outlook: Outlook) -> list[LackingText]:
    lacking = []
    for sink, texts in test.message.items():
        messages = [
            outlook.text(planned, event)
            for event in events
            for planned in outlook.deliveries(event)
            if planned.sink == sink
        ]
        lacking += [
            LackingText(sink=sink, text=text, message="\n\n".join(messages))
            for text in texts
            if messages and not any(" ".join(text.split()) in message for message in messages)
        ]
    return lacking


def print_results(results: Sequence[CaseResult], file: str, console: Console) -> None:
    """The failures, and how many there are."""
    failed = [result for result in results if not result.passed]
    for result in failed:
        console.print(f"[bold red]FAILED[/] {escape(result.file or file)}:{result.line}: {escape(plain(result.name))}")
        for line in _lines(result):
            console.print(f"  {escape(plain(line))}")
        console.print()
    good, bad = len(results) - len(failed), len(failed)
    color = "red" if bad else "green"
    console.print(f"[{color}]{good} of {len(results)} test{'s' if len(results) > 1 else ''} passed[/]")


def _lines(result: CaseResult) -> list[str]:
    if result.untried is not None:
        return [f"not tried: {result.untried}"]
    lines = []
    if result.missing or result.unexpected:
        lines += [
            f"expected: {', '.join(result.expected) or 'nowhere'}",
            f"got:      {', '.join(result.got) or 'nowhere'}",
        ]
    for sign, sinks in (("-", result.missing), ("+", result.unexpected)):
        lines += [line for sink, reasons in sinks.items() for line in _with_reasons(f"{sign} {sink}", reasons)]
    for name, reasons in result.missing_routes.items():
        lines += _with_reasons(f"- the route {quoted(name)} does not match", reasons)
    lines += [f"+ the route {quoted(name)} matches" for name in result.unexpected_routes]
    for lack in result.lacking:
        lines.append(f"- the message to {lack.sink} lacks {quoted(lack.text)}; it is")
        lines += [f"    | {line}" for line in lack.message.splitlines()]
    return lines


def _with_reasons(what: str, reasons: Sequence[str]) -> list[str]:
    return [what, *(f"    {reason}" for reason in reasons)]
