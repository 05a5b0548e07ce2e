"""Lever, API v1: ``GET /opportunities`` with ``updated_at_start``; the moves of an opportunity are in its row.

Source: hire.lever.co/developer/documentation (Opportunities) and recorded answers, read in 2026. Whether one that is
archived was hired is known by the type of the reason only, which is asked for where something changed.
"""

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlencode

from handlers.enriching import Api
from handlers.lever import MILLISECONDS, Lever, candidate_of, decision_now, job_of, moves_of, person_of, stage_names
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Move, Page, Pass, Polls, listed, with_history
from handlers.reading import Node
from router.schema import Application, Fact, Outcome, Stage

PER_PAGE = 100


class LeverPolls(Polls[Lever]):
    vendor = "lever"
    cost = "1, and up to 3 for reasons, postings and users that are not known by then; 500 once a day"
    usual = HOURLY
    recovers = True
    complete = True
    thin = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        params = [("expand", "applications"), ("expand", "stage"), ("limit", str(PER_PAGE))]
        if asked.since is not None:
            params.append(("updated_at_start", str(round(asked.since.timestamp() * 1000))))
        if cursor is not None:
            params.append(("offset", cursor))
        answer = await api.get(f"/opportunities?{urlencode(params)}")
        return Page(listed(answer, "data"), answer.text("next", sometimes=True) if answer.flag("hasNext") else None)

    def row_facts(self, row: Node) -> Sequence[Fact]:
        node, updated_at = row.node("stage"), row.epoch("updatedAt", unit=MILLISECONDS)
        application = Application(
            id=row.need_id("id"),
            outcome=None if row.node("archived") else Outcome.PENDING,
            stage=Stage(id=node.id("id"), name=node.text("text")) if node else None,
            created_at=row.epoch("createdAt", unit=MILLISECONDS),
            updated_at=updated_at,
            source=next(iter(row.texts("sources")), None),
            url=row.node("urls").text("show"),
        )
        candidate = candidate_of(row, row.id("contact"))
        return state_facts("opportunity", application, candidate=candidate, changed_at=updated_at)

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """What archiving means, the job, and the moves; of their stages only that of today has its name in the row."""
        application = facts[-1].application
        assert application is not None
        decision, job = await decision_now(row.node("archived"), api), await job_of(row.nodes("applications"), api)
        whole = {"application": application.model_copy(update=decision), "job": job}
        told = moves_of(row, await stage_names(row, api))
        moves = [
            Move(before, stage, at, await person_of(user, api)) for (_, before, _), (at, stage, user) in pairwise(told)
        ]
        return with_history([fact.model_copy(update=whole) for fact in facts], moves)
