"""What happens to a fact: complete it, project it with the application state, match the routes, append deliveries."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from handlers.stages import StageKinds
from router import codec
from router.destinations import Destination, Planned, plan
from router.enriching import Enricher, Later
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
    PutOff,
    Routed,
    WaitingFact,
)
from router.rules import Ruleset
from router.schema import Event

log = logging.getLogger(__name__)

BACKFILL = "backfill"
"""What stands for the routes of a delivery that a backfill sends to a sink by its name."""

REVIEW = "review"
"""Why deliveries are held that a person has to approve."""


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
        rules: Ruleset,
        stages: StageKinds,
        destinations: Mapping[str, Destination],
        on_deliveries: Callable[[str, int], None],
        enrichers: Mapping[str, Enricher] | None = None,
    ) -> None:
        self._ledger = ledger
        self._on_deliveries = on_deliveries
        self.use(rules, stages, destinations, enrichers)

    def use(
        self,
        rules: Ruleset,
        stages: StageKinds,
        destinations: Mapping[str, Destination],
        enrichers: Mapping[str, Enricher] | None = None,
        rules_hash: str = "",
    ) -> None:
        """Go by these from now on, with every fact that is not routed yet."""
        self._rules = rules
        self._stages = stages
        self._destinations = destinations
        self._enrichers = enrichers or {}
        self._rules_hash = rules_hash

    async def load(self, partition: int, claims: Sequence[Claim]) -> list[Job]:
        states = await self._ledger.load_states(partition, [claim.subject for claim in claims])
        return [Job(claim, state) for claim, state in zip(claims, states, strict=True)]

    async def run(self, job: Job, lease: Lease) -> Routed | PutOff:
        """No lease is checked here: nothing leaves the process, and `settle` is refused with an old token."""
        waiting = WaitingFact.model_validate_json(codec.unpack(job.claim.head))
        try:
            facts = await self._completed(waiting)
        except Later as later:
            return PutOff(job.claim, later.wait)
        state, events = job.state, []
        for fact in facts:
            fact = fact.model_copy(update={"fact": self._stages.complete(fact.fact), "known": self._known(fact)})
            state, news = project(state, fact)
            events += [route_event(event, self._rules, self._destinations, waiting) for event in news]
        return Routed(job.claim, waiting.receipt, waiting.source, state, events, self._rules_hash)

    def _known(self, waiting: WaitingFact) -> ApplicationState | None:
        """What polling saw before, with the kind of the stage."""
        if waiting.known is None or waiting.known.stage is None:
            return waiting.known
        return waiting.known.model_copy(update={"stage": self._stages.known(waiting.known.stage)})

    async def _completed(self, waiting: WaitingFact) -> list[WaitingFact]:
        """The fact as it is, or with what its vendor's API adds, which may make several of it."""
        enricher = self._enrichers.get(waiting.source)
        if enricher is None or waiting.test or not waiting.fact.needs_enrichment:
            return [waiting]
        seen: Counter[str] = Counter()
        facts = []
        for fact in await enricher.complete(waiting.fact, waiting.received_at):
            facts.append(waiting.model_copy(update={"fact": fact, "ordinal": waiting.ordinal + seen[fact.type]}))
            seen[fact.type] += 1
        return facts

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
    event: Event, rules: Ruleset, destinations: Mapping[str, Destination], waiting: WaitingFact
) -> NewEvent:
    """The event as it will be stored, with its deliveries."""
    if waiting.only_to is None:
        matched = rules.match(event)
        planned = plan(event, matched, destinations)
    else:
        matched = []
        planned = [
            replace(destinations[sink].plan({}, event, BACKFILL), review=rules.review_of(sink))
            for sink in waiting.only_to
            if sink in destinations
        ]
    send = waiting.send_test or not waiting.test
    deliveries = [new_delivery(event, one, destinations[one.sink], send=send) for one in planned]
    body, routes = event.model_dump_json().encode(), [route.name for route in matched]
    return NewEvent(event.id, event.type, body, routes, deliveries, _about(event), event.recovered)


def new_delivery(
    event: Event, planned: Planned, destination: Destination, *, send: bool, again: str = ""
) -> NewDelivery:
    """A planned delivery as it is stored at first. What a person has to approve is rendered now: that is what they see,
    and what is sent. ``again`` as in `delivery_id`."""
    identifier = delivery_id(event.id, planned.sink, planned.target, again)
    state, reason, reject_at, frozen = DeliveryState.PENDING, None, None, b""
    if not send:
        state, reason = DeliveryState.SKIPPED, "a test event, not meant for real sinks"
    elif planned.review is not None:
        state, reason, frozen = DeliveryState.HELD, REVIEW, destination.body(planned, event)
        if planned.review.reject_after is not None:
            reject_at = datetime.now(UTC) + timedelta(seconds=planned.review.reject_after)
    record = DeliveryRecord(
        sink=planned.sink,
        routes=planned.routes,
        overrides=planned.overrides,
        state=state,
        reason=reason,
        order=destination.settings.order,
        review=state is DeliveryState.HELD,
        reject_at=reject_at,
    )
    return NewDelivery(identifier, record, record.line(identifier, event) if state.in_line else None, frozen)


def _about(event: Event) -> list[str]:
    application, candidate = event.application, event.candidate
    found_by = [about_key("application", application.id)] if application else []
    return [*found_by, about_key("candidate", candidate.id)] if candidate and candidate.id else found_by
