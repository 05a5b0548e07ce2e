"""Workable, API v3: ``GET /candidates`` with ``updated_after``, pages by the address that each tells.

Source: workable.readme.io (Candidates) and recorded answers, read in 2026. A row says what a webhook says, without the
answers to questions.
"""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from handlers.enriching import Api
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Move, Page, Pass, Polls, listed, with_history, with_since
from handlers.reading import Node
from handlers.workable import Workable, act_of, application_of, candidate_of, job_of
from router.schema import Fact, Stage

PER_PAGE = 100


class WorkablePolls(Polls[Workable]):
    vendor = "workable"
    cost = "1, and 1 for each one that changed; 500 once a day, ten in ten seconds"
    usual = HOURLY
    recovers = True
    complete = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        if cursor is None:
            answer = await api.get("/candidates", with_since({"limit": str(PER_PAGE)}, "updated_after", asked))
        else:
            answer = await api.get(f"/candidates?{cursor}")
        after = answer.node("paging", sometimes=True).text("next", sometimes=True)
        return Page(listed(answer, "candidates"), urlsplit(after).query if after else None)

    def row_facts(self, row: Node) -> Sequence[Fact]:
        application = application_of(row)
        at = application.updated_at
        return state_facts(
            "candidate",
            application,
            candidate=candidate_of(application.id, row),
            job=job_of(row.node("job")),
            changed_at=at,
            version=at.isoformat(timespec="milliseconds") if at else None,
        )

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The activities tell the moves, and who disqualified the candidate."""
        path = f"/candidates/{quote(row.need_id('id'), safe='')}/activities"
        acts = [act for node in (await api.get(path, {"limit": "100"})).nodes("activities") if (act := act_of(node))]
        acts.sort(key=lambda act: act.at)
        moves = [Move(act.from_stage, Stage(name=act.to), act.at, act.member) for act in acts if act.to]
        told = with_history(facts, [move for move in moves if move.before])
        decided = [act for act in acts if act.name.startswith("disqualif")]
        if decided and (not moves or moves[-1].at is None or decided[-1].at > moves[-1].at):
            told = (*told[:-1], told[-1].model_copy(update={"actor": decided[-1].member}))
        return told
