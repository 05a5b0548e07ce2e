"""What happens to a fact: project it with the application state, match the routes, append the deliveries."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from router import codec
from router.identity import about_key, delivery_id
from router.lanes import Lease
from router.ledger import INTAKE, Ledger
from router.project import project
from router.records import (
    ApplicationState,
    Claim,
    DeliveryRecord,
    DeliveryState,
    NewDelivery,
    NewEvent,
    Routed,
    WaitingFact,
)
from router.rules import CompiledRoute, matching
from router.schema import Event
from sinks.base import Sink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    claim: Claim
    state: ApplicationState


class Intake:
    """The work of the intake lane. ``on_deliveries(sink, partition)`` is called when deliveries were appended."""

    lane = INTAKE

    def __init__(
        self,
        ledger: Ledger,
        routes: Sequence[CompiledRoute],
        sinks: Mapping[str, Sink],
        on_deliveries: Callable[[str, int], None],
    ) -> None:
        self._ledger = ledger
        self._routes = routes
        self._sinks = sinks
        self._on_deliveries = on_deliveries

    async def load(self, partition: int, claims: Sequence[Claim]) -> list[Job]:
        states = await self._ledger.load_states(partition, [claim.subject for claim in claims])
        return [Job(claim, state) for claim, state in zip(claims, states, strict=True)]

    async def run(self, job: Job, lease: Lease) -> Routed:
        """No lease is checked here: nothing leaves the process, and `settle` is refused with an old token."""
        waiting = WaitingFact.model_validate_json(codec.unpack(job.claim.head))
        state, events = project(job.state, waiting)
        routed = [route_event(event, self._routes, self._sinks, job.claim.subject, waiting) for event in events]
        return Routed(job.claim, waiting.receipt, waiting.source, state, routed)

    async def settle(self, partition: int, results: Sequence[Routed]) -> list[int]:
        answers = await self._ledger.commit(partition, results)
        sinks = {
            delivery.record.sink
            for routed, answer in zip(results, answers, strict=True)
            if answer
            for event in routed.events
            for delivery in event.deliveries
            if delivery.subject is not None
        }
        for sink in sinks:
            self._on_deliveries(sink, partition)
        return answers


def route_event(
    event: Event, routes: Sequence[CompiledRoute], sinks: Mapping[str, Sink], subject: str, waiting: WaitingFact
) -> NewEvent:
    """The event as it will be stored, with one delivery per sink however many routes lead there."""
    matched = matching(routes, event)
    routes_to: dict[str, list[str]] = {}
    for route in matched:
        for sink in route.send_to:
            routes_to.setdefault(sink, []).append(route.name)
    send = waiting.send_test or not waiting.test
    deliveries = [
        NewDelivery(
            id=delivery_id(event.id, sink, sinks[sink].target(event)),
            record=DeliveryRecord(
                sink=sink,
                routes=tuple(names),
                state=DeliveryState.PENDING if send else DeliveryState.SKIPPED,
                reason=None if send else "a test event, not meant for real sinks",
            ),
            subject=subject if send else None,
        )
        for sink, names in routes_to.items()
    ]
    body = event.model_dump_json().encode()
    return NewEvent(event.id, event.type, body, [route.name for route in matched], deliveries, _about(event))


def _about(event: Event) -> list[str]:
    application, candidate = event.application, event.candidate
    found_by = [about_key("application", application.id)] if application else []
    return [*found_by, about_key("candidate", candidate.id)] if candidate and candidate.id else found_by
