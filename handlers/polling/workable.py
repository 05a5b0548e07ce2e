"""Workable, API v3: ``GET /candidates`` with ``updated_after``, pages by the address that each tells.

Sources, read in 2026: workable.readme.io/reference (job-candidates-index, job-candidates-show, candidate-activities)
and answers that github.com/NangoHQ recorded. A row says what a webhook says, stages by their names too (a slug, says
the page; a name, say the answers), but no answers to questions, and of a disqualification neither when it was nor
whether the candidate withdrew. Activities come the oldest first.
"""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from handlers.enriching import Api
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Move, Page, Pass, Polls, listed, with_history, with_since
from handlers.reading import Node
from handlers.workable import Act, Workable, act_of, application_of, candidate_of, job_of, told_by
from router.schema import Fact, Outcome, Stage

PER_PAGE = 100
_MOST_PAGES = 20
"""Of the activities of one candidate; after so many its present state is told, but not each move."""


class WorkablePolls(Polls[Workable]):
    vendor = "workable"
    cost = "1, and 1 for each one that changed, 2 where it is disqualified; 500 once a day, ten in ten seconds"
    usual = HOURLY
    recovers = True
    complete = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        if cursor is None:
            answer = await api.get("/candidates", with_since({"limit": str(PER_PAGE)}, "updated_after", asked))
        else:
            answer = await api.get(f"/candidates?{cursor}")
        return Page(listed(answer, "candidates"), _next(answer))

    def row_facts(self, row: Node) -> Sequence[Fact]:
        application = application_of(row)
        at, reason = application.updated_at, application.rejection_reason
        if reason is not None and row.flag("withdrew", sometimes=True) is None:
            application = application.model_copy(update={"rejection_reason": reason.model_copy(update={"kind": None})})
        return state_facts(
            "candidate",
            application,
            candidate=candidate_of(application.id, row),
            job=job_of(row.node("job")),
            changed_at=at,
            version=at.isoformat(timespec="milliseconds") if at else None,
        )

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The activities tell the moves, and who disqualified the candidate; when and why, the candidate alone does."""
        path = f"/candidates/{quote(row.need_id('id'), safe='')}"
        acts = await _acts(f"{path}/activities", api)
        moves = [Move(act.from_stage, Stage(name=act.to), act.at, act.member) for act in acts if act.to]
        *before, now = with_history(facts, [move for move in moves if move.before])
        assert now.application is not None
        changed: dict[str, object] = {"actor": told_by(acts, now.application)["actor"]}
        if now.application.outcome is Outcome.DECLINED:
            alone = application_of((await api.get(path)).need_node("candidate"))
            if alone.outcome is Outcome.DECLINED:
                why = {"rejected_at": alone.rejected_at, "rejection_reason": alone.rejection_reason}
                changed["application"] = now.application.model_copy(update=why)
        return *before, now.model_copy(update=changed)


async def _acts(path: str, api: Api) -> list[Act]:
    """What was done with a candidate, the oldest first."""
    acts: list[Act] = []
    query: str | None = f"limit={PER_PAGE}"
    for _ in range(_MOST_PAGES):
        answer = await api.get(f"{path}?{query}")
        acts += [act for node in listed(answer, "activities") if (act := act_of(node))]
        if (query := _next(answer)) is None:
            break
    return sorted(acts, key=lambda act: act.at)


def _next(answer: Node) -> str | None:
    """The query of the page after this one, of which the address is told."""
    after = answer.node("paging", sometimes=True).text("next", sometimes=True)
    return urlsplit(after).query if after else None
