"""What is known of every type of sink, for people: docs/sinks.md."""

from collections.abc import Iterator

from pydantic.fields import FieldInfo

import sinks
from router.units import as_written
from sinks.base import Sink, SinkSettings

COLUMNS = ("Sink", "`type:`", "Exactly once")

_INTRODUCTION = """# Sinks

Made by `ats-router sinks --markdown`; every line comes from the sink's module in `sinks/`.

How each attempt ends decides what becomes of a delivery:

| the attempt | what happens |
| --- | --- |
| was taken | the delivery is *delivered*, and the next of its application is due |
| failed, and may succeed later | it is tried again after a growing random pause, or when the target says; 12 tries \
take about three days, then it is *dead* |
| may have arrived | it is tried again under the same key; where the target can be asked, it is asked first |
| was refused because of how we are set up (401, 403, 404, 410, a token, a missing table) | the sink is *parked*: \
all its deliveries wait, no try is used up, one probe now and then finds out whether it was mended |
| was refused for what it says | the delivery is *dead* at once, and the next one moves up |

After ten failures in a row a sink *fails*: its deliveries wait, and one probe at a time, with pauses of 1 to 12
seconds, finds out when it works again. [bad-day.md](bad-day.md) says what a person does.
"""


def rows() -> list[tuple[str, str, str]]:
    """A row of `COLUMNS` per type, by title."""
    return [(sink.title, sink.sink_type, sink.exactly_once) for sink in _by_title()]


def markdown() -> str:
    """docs/sinks.md."""
    table = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ("---",) * len(COLUMNS))]
    table += [f"| [{title}](#{kind}) | `{kind}` | {once} |" for title, kind, once in rows()]
    common = ["", "## Settings of every sink", "", *_settings(SinkSettings, {})]
    sections = [line for sink in _by_title() for line in _section(sink)]
    return "\n".join([_INTRODUCTION, *table, *common, *sections]) + "\n"


def _by_title() -> list[type[Sink]]:
    return sorted(sinks.by_type().values(), key=lambda sink: sink.title.casefold())


def _section(sink: type[Sink]) -> Iterator[str]:
    yield from ("", f"## {sink.sink_type}", "", f"**{sink.title}.** {' '.join((sink.__doc__ or '').split())}", "")
    yield from _settings(sink.Settings, SinkSettings.model_fields)


def _settings(model: type[SinkSettings], known: "dict[str, FieldInfo]") -> Iterator[str]:
    yield "| setting | default | what it is |"
    yield "| --- | --- | --- |"
    for name, field in model.model_fields.items():
        if name not in known or field.default != known[name].default:
            default = "required" if field.is_required() else as_written(field.get_default(), field.metadata)
            yield f"| `{name}` | {default} | {(field.description or '').replace('|', '/')} |"
