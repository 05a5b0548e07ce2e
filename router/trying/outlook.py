"""What a configuration would do with an event: which deliveries it makes, and what they say."""

import io
from functools import cached_property

from rich.console import Console

from router.client import Client
from router.config import Config
from router.destinations import Destination, Planned, plan
from router.parts import destinations_of, sources_of
from router.preview import print_preview
from router.schema import Event

_FRAME = "│╭╮╰╯─ "


class Outlook:
    """One configuration, asked about events. It sends nothing, and opens no sink."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.rules = config.rules

    @cached_property
    def _destinations(self) -> dict[str, Destination]:
        return destinations_of(self.config, Client())

    def deliveries(self, event: Event) -> list[Planned]:
        return plan(event, self.rules.match(event), self._destinations)

    def body(self, planned: Planned, event: Event) -> bytes:
        """What the sink would send."""
        return self._destinations[planned.sink].body(planned, event)

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
