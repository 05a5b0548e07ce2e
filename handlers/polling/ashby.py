"""Ashby: ``application.list``, whole at first, then what changed since the token that the last pass ended with.

Sources, read in 2026: developers.ashbyhq.com (pagination and incremental synchronisation, its changelog,
applicationList, applicationInfo) and answers that github.com/NangoHQ recorded. A row is what webhooks send. A token or
cursor that is not taken any more, or too many changes for a token, mean to read everything again. Who made a move
stands in the history as an id, and users are told one at a time.
"""

from collections.abc import Sequence
from itertools import pairwise

from handlers.ashby import Ashby, answered, tell_application, user_of
from handlers.enriching import Api, NotThere
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Move, Page, Pass, Polls, listed, with_history
from handlers.reading import Node
from router.schema import Fact, Stage

PER_PAGE = 100
_LIST, _WHOLE = "application.list", "whole "
"""The latter begins the cursor of a page that is asked for without a token."""


class AshbyPolls(Polls[Ashby]):
    vendor = "ashby"
    cost = "1, and for each one that changed 1 and 1 for each user who moved it; 500 once a day"
    usual = HOURLY
    recovers = True
    complete = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        token = None if asked.since is None or (cursor or "").startswith(_WHOLE) else asked.mark
        try:
            return await _page(api, (cursor or "").removeprefix(_WHOLE), token)
        except NotThere:
            if token is None:
                raise
        return await _page(api, "", None)

    def row_facts(self, row: Node) -> Sequence[Fact]:
        """As webhooks of moves say it."""
        said = tell_application(_LIST, Node.of({"application": row.raw}))
        assert said.application is not None
        updated_at, rejected_at = said.application.updated_at, said.application.rejected_at
        return state_facts(
            _LIST,
            said.application,
            candidate=said.candidate,
            job=said.job,
            changed_at=rejected_at or updated_at,
            version=updated_at.isoformat(timespec="milliseconds") if updated_at else None,
        )

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        info = await answered(api, "/application.info", {"applicationId": row.need_id("id")})
        history = info.need_node("results").nodes("applicationHistory", sometimes=True)
        entries = sorted(history, key=lambda entry: entry.integer("stageNumber") or 0)
        ids = dict.fromkeys(entry.id("actorId") for entry in entries[1:])
        people = {id_: await user_of(id_, api) for id_ in ids}
        moves = [
            Move(_stage(one), _stage(after), after.time("enteredStageAt"), people[after.id("actorId")])
            for one, after in pairwise(entries)
        ]
        return with_history(facts, moves)


async def _page(api: Api, cursor: str, token: str | None) -> Page:
    question = {"limit": PER_PAGE, "cursor": cursor or None, "syncToken": token}
    given = {key: value for key, value in question.items() if value is not None}
    answer = await answered(api, "/application.list", given)
    rows = listed(answer, "results")
    if not answer.flag("moreDataAvailable"):
        return Page(rows, mark=answer.text("syncToken", sometimes=True))
    after = answer.need_text("nextCursor")
    return Page(rows, after if token is not None else f"{_WHOLE}{after}")


def _stage(entry: Node) -> Stage:
    return Stage(id=entry.id("stageId"), name=entry.text("title"))
