"""The configured sinks as routes reach them: what each may get of an event, and where it goes with a route's wishes."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from router.client import Client
from router.identity import delivery_id
from router.rules import CompiledRoute, Review
from router.schema import Event
from sinks.base import Delivery, Sink, SinkSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery that is to be made, the routes that lead to it, and what the first of them wants otherwise there.
    ``target`` is never shown: it may be secret."""

    sink: str
    target: str
    routes: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    review: Review | None = None


class Destination:
    """One sink as it is configured, and as routes want it otherwise."""

    def __init__(self, name: str, sink: Sink, settings: SinkSettings, client: Client) -> None:
        self.name = name
        self.sink = sink
        self.settings = settings
        self._client = client
        self._varied: dict[str, Sink] = {}

    def plan(self, overrides: Mapping[str, Any], event: Event, route: str) -> Planned:
        """Where an event goes. Of the route's wishes those are kept that make sense for this event."""
        seen, sink = self.settings.let_through(event), self.varied(overrides)
        while overrides and (name := sink.unfit(seen)) in overrides:
            told = {"sink": self.name, "route": route, "setting": name}
            log.warning("what a route sets can't be used for this event; the sink's own setting is", extra=told)
            overrides = {key: value for key, value in overrides.items() if key != name}
            sink = self.varied(overrides)
        return Planned(self.name, sink.target(seen), (route,), overrides)

    def varied(self, overrides: Mapping[str, Any]) -> Sink:
        """The sink with some settings otherwise; made once.

        Raises:
            ValidationError: this sink can't have them.
        """
        if not overrides:
            return self.sink
        key = json.dumps(overrides, sort_keys=True)
        if key not in self._varied:
            self._varied[key] = type(self.sink)(self.settings.overridden(overrides), self._client)
        return self._varied[key]

    def as_kept(self, overrides: Mapping[str, Any], routes: Sequence[str]) -> Sink:
        """As `varied`; the sink itself where it was configured anew since, and can't have them any more."""
        try:
            return self.varied(overrides)
        except ValidationError:
            told = {"sink": self.name, "routes": list(routes), "settings": sorted(overrides)}
            log.warning("what a route set is no longer possible; the sink's own settings are used", extra=told)
            return self.sink

    def let_through(self, delivery: Delivery) -> Delivery:
        """With the event as far as this sink may get it; the same object where that is all of it."""
        if self.settings.fields is None:
            return delivery
        return replace(delivery, event_body=self.settings.let_through(delivery.event).model_dump_json().encode())

    def body(self, planned: Planned, event: Event) -> bytes:
        """What would be sent."""
        stored = Delivery(delivery_id(event.id, self.name, planned.target), event.model_dump_json().encode())
        return self.as_kept(planned.overrides, planned.routes).render(self.let_through(stored))


def plan(event: Event, matched: Sequence[CompiledRoute], destinations: Mapping[str, Destination]) -> list[Planned]:
    """One delivery per sink and target, however many routes lead there."""
    plans: dict[tuple[str, str], Planned] = {}
    for route in matched:
        for to in route.send_to:
            new = replace(destinations[to.sink].plan(to.overrides, event, route.name), review=route.review)
            if known := plans.get((new.sink, new.target)):
                review = known.review.stricter(new.review) if known.review else new.review
                new = replace(known, routes=(*known.routes, route.name), review=review)
            plans[new.sink, new.target] = new
    return list(plans.values())
