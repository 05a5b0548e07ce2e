"""What a configuration would do with an event: which deliveries it makes, and what they say."""

import io
from dataclasses import dataclass
from functools import cached_property

from rich.console import Console

import sinks
from router.client import Client
from router.config import Config
from router.identity import delivery_id
from router.parts import sources_of
from router.preview import print_preview
from router.schema import Event
from sinks.base import Delivery, Sink

_FRAME = "│╭╮╰╯─ "


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery that would be made, and the routes that lead to it. ``target`` is never shown: it may be secret."""

    sink: str
    target: str
    routes: tuple[str, ...]


class Outlook:
    """One configuration, asked about events. It sends nothing, and opens no sink."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.rules = config.rules

    @cached_property
    def _sinks(self) -> dict[str, Sink]:
        by_type = sinks.by_type()
        return {name: by_type[settings.type](settings, Client()) for name, settings in self.config.sinks.items()}

    def deliveries(self, event: Event) -> list[Planned]:
        """One per sink and target, however many routes lead there."""
        routes: dict[tuple[str, str], list[str]] = {}
        for route in self.rules.match(event):
            for to in route.send_to:
                routes.setdefault((to.sink, self._sinks[to.sink].target(event)), []).append(route.name)
        return [Planned(sink, target, tuple(names)) for (sink, target), names in routes.items()]

    def body(self, planned: Planned, event: Event) -> bytes:
        """What the sink would send."""
        delivery = Delivery(delivery_id(event.id, planned.sink, planned.target), event.model_dump_json().encode())
        return self._sinks[planned.sink].render(delivery)

    def text(self, planned: Planned, event: Event) -> str:
        """What people would see of it, line by line."""
        stream = io.StringIO()
        print_preview(self.body(planned, event), Console(file=stream, width=10_000, color_system=None))
        lines = (" ".join(line.strip(_FRAME).split()) for line in stream.getvalue().splitlines())
        return "\n".join(line for line in lines if line)

    def with_kinds(self, event: Event) -> Event:
        """The same event, with the kinds of stages that this configuration knows, where nobody told one."""
        source = sources_of(self.config).get(event.source)
        if source is not None:
            event = source.handler.stage_patterns.complete(event)
        return self.config.stages.complete(event)
