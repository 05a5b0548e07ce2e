"""Recruitee: ``GET /c/COMPANY/candidates`` by offset, with each candidate's placements, that is applications.

A placement names its job and stage by ids, and answers have both beside the candidates, as ``references``. It is read
whole each time: the list has no filter but of when candidates were created, and the search that has more
(``/search/new/candidates``) goes by the candidate, whose ``updated_at`` is not moved by a placement that is.
Sources: docs.recruitee.com/reference/candidates-get and searchnewcandidates, read in 2026; recorded answers in the
tests of public clients. Not documented, and taken so: a placement without any ``disqualify...`` is not disqualified,
and two calls a second are not too many.
"""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from handlers.enriching import Access, Api
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Page, Pass, Polls, listed
from handlers.reading import Node
from handlers.recruitee import Recruitee, application_of, is_pool, reason_of, stage_of
from router.schema import OUTCOME_OF_KIND, Fact, Outcome, Stage

PER_PAGE = 200
_EVENT = "candidates"
_SIGNS_OF_DISQUALIFYING = ("disqualified_at", "disqualify_kind", "disqualify_reason")
References = Mapping[tuple[str | None, str | None], Node]


class RecruiteePolls(Polls[Recruitee]):
    vendor = "recruitee"
    cost = "250, as Recruitee's list has no filter of what changed, at most 2 a second"
    usual = HOURLY
    recovers = True
    shifting = True
    complete = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.api_token is None or settings.company_id is None:
            return None
        headers = {"authorization": f"Bearer {settings.api_token.get_secret_value()}"}
        return Access(f"{settings.api_url.rstrip('/')}/c/{settings.company_id}", headers, per_second=2.0, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        offset = int(cursor or 0)
        params = {"limit": str(PER_PAGE), "offset": str(offset), "sort": "by_date"}
        answer = await api.get("/candidates", params)
        candidates = listed(answer, "candidates")
        references = {_named(node): node for node in answer.nodes("references", sometimes=True)}
        rows = [
            _row(candidate, placement, references)
            for candidate in candidates
            for placement in candidate.nodes("placements")
        ]
        return Page(rows, str(offset + len(candidates)) if candidates else None)

    def row_facts(self, row: Node) -> tuple[Fact, Fact]:
        placement, offer = row.need_node("placement"), row.need_node("offer")
        stage = stage_of(row.node("stage"))
        if stage is not None:
            stage = self.handler.stage_patterns.known(stage)
        updated_at = placement.time("updated_at", zone=UTC)
        told: dict[str, Any] = application_of(
            row,
            offer,
            stage=stage,
            is_prospect=is_pool(offer),
            created_at=placement.time("created_at", zone=UTC),
            updated_at=updated_at,
            **_decision(placement, stage),
        )
        # the clock of webhooks, which are made just after
        version = updated_at.isoformat(timespec="microseconds") if updated_at else None
        return state_facts(_EVENT, changed_at=updated_at, version=version, **told)


def _named(node: Node) -> tuple[str | None, str | None]:
    return node.text("type"), node.id("id")


def _row(candidate: Node, placement: Node, references: References) -> Node:
    """A placement with what a webhook tells of its candidate, its job and its stage."""
    offer_id, stage_id = placement.id("offer_id"), placement.id("stage_id")
    department = placement.text("department_name", sometimes=True)
    return Node.of(
        {
            "candidate": {key: value for key, value in candidate.raw.items() if key != "placements"},
            "placement": placement.raw,
            "offer": {**_referred(references, "Offer", offer_id), "id": offer_id, "department": {"name": department}},
            "stage": {**_referred(references, "Stage", stage_id), "id": stage_id},
        }
    )


def _referred(references: References, type_: str, id_: str | None) -> dict[str, object]:
    node = references.get((type_, id_))
    return node.raw if node is not None else {}


def _decision(placement: Node, stage: Stage | None) -> dict[str, Any]:
    """Webhooks tell a hire by the stage alone, so that ``hired_at`` says no more than when it was."""
    if any(placement.json(key, sometimes=True) for key in _SIGNS_OF_DISQUALIFYING):
        rejected_at = placement.time("disqualified_at", zone=UTC, sometimes=True)
        return {"outcome": Outcome.DECLINED, "rejected_at": rejected_at, "rejection_reason": reason_of(placement)}
    outcome = OUTCOME_OF_KIND.get(stage.kind, Outcome.PENDING) if stage is not None else Outcome.PENDING
    hired_at = placement.time("hired_at", zone=UTC) if outcome is Outcome.HIRED else None
    return {"outcome": outcome, "hired_at": hired_at}
