"""Lever, API v1: ``GET /opportunities`` with ``updated_at_start``, and those that were deleted; the moves of an
opportunity are in its row.

Sources, read in 2026: hire.lever.co/developer/documentation (Opportunities) as github.com/corbaltcode's client of it
quotes it, and recorded answers. Whether one that is archived was hired is known by the type of the reason only: that is
put into the row, as Lever itself puts in what is to be expanded. Confidential ones are not listed without being asked
for; what a key without access to them gets then is not documented, but connectors ask so with any key.
"""

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlencode

from handlers.enriching import Api
from handlers.lever import (
    MILLISECONDS,
    Lever,
    application_in,
    candidate_of,
    decision_of,
    found,
    job_of,
    moves_of,
    person_of,
    stage_names,
    stage_of,
)
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Move, Page, Pass, Polls, listed, with_history
from handlers.reading import Node
from router.schema import Application, EventType, Fact, Stage

PER_PAGE = 100
_LISTED = [("expand", "applications"), ("expand", "stage"), ("confidentiality", "all")]
_DELETED = "deleted "
"""Begins the cursor of a page of those that were deleted."""


class LeverPolls(Polls[Lever]):
    vendor = "lever"
    cost = "2, and 1 for each reason, posting and user that is not known by then; 500 once a day"
    usual = HOURLY
    recovers = True
    complete = True
    thin = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        """Deletions come last, where not everything is read: what is missing in that is taken for deleted anyway."""
        since = "" if asked.since is None else str(round(asked.since.timestamp() * 1000))
        if cursor is not None and cursor.startswith(_DELETED):
            page = await _page(api, "/opportunities/deleted", [("deleted_at_start", since)], cursor[len(_DELETED) :])
            gone = [Node.of({"deleted": {key: row.raw.get(key) for key in ("id", "deletedAt")}}) for row in page.rows]
            return Page(gone, None if page.next is None else f"{_DELETED}{page.next}")
        params = [*_LISTED, ("updated_at_start", since)] if since else _LISTED
        page = await _page(api, "/opportunities", params, cursor or "")
        rows = [await _with_reason(row, api) for row in page.rows]
        return Page(rows, _DELETED if page.next is None and since else page.next)

    def row_facts(self, row: Node) -> Sequence[Fact]:
        if gone := row.node("deleted", sometimes=True):
            application, at = Application(id=gone.need_id("id")), gone.epoch("deletedAt", unit=MILLISECONDS)
            deleted, event = EventType.APPLICATION_DELETED, "deleted opportunity"
            return [Fact(type=deleted, occurred_at=at, vendor_event=event, application=application)]
        node, archived = row.node("stage"), row.node("archived")
        updated_at = row.epoch("updatedAt", unit=MILLISECONDS)
        application = Application(
            id=row.need_id("id"),
            stage=Stage(id=node.id("id"), name=node.text("text")) if node else stage_of(row.id("stage"), {}),
            created_at=application_in(row).epoch("createdAt", unit=MILLISECONDS)
            or row.epoch("createdAt", unit=MILLISECONDS),
            updated_at=updated_at,
            source=next(iter(row.texts("sources")), None),
            url=row.node("urls").text("show"),
            **decision_of(archived, archived.node("reason")),
        )
        candidate = candidate_of(row, row.id("contact"))
        return state_facts("opportunity", application, candidate=candidate, changed_at=updated_at)

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The job, and the moves, of whose stages only that of today has its name in the row."""
        job, told = await job_of(application_in(row), api), moves_of(row, await stage_names(row, api))
        moves = [
            Move(before, stage, at, await person_of(user, api)) for (_, before, _), (at, stage, user) in pairwise(told)
        ]
        return with_history([fact.model_copy(update={"job": job}) for fact in facts], moves)


async def _page(api: Api, path: str, params: Sequence[tuple[str, str]], offset: str) -> Page:
    given = [*params, ("limit", str(PER_PAGE)), *([("offset", offset)] if offset else [])]
    answer = await api.get(f"{path}?{urlencode(given)}")
    return Page(listed(answer, "data"), answer.need_text("next") if answer.flag("hasNext") else None)


async def _with_reason(row: Node, api: Api) -> Node:
    """The row with what the reason is that it was archived for, in place of its id."""
    if not (archived := row.node("archived")):
        return row
    reason = await found("archive_reasons", archived.id("reason"), api)
    return Node.of({**row.raw, "archived": {**archived.raw, "reason": reason.raw}}) if reason.raw else row
