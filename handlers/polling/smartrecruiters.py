"""SmartRecruiters: ``GET /candidates``, by a token of the page after, with what was updated after some time.

A candidate comes with the status on one job, and with no more than the job of any other, so that each of those costs a
call. A candidate's ``createdOn`` is not when somebody applied, so that only the history of statuses says that.
Source, read in 2026: the SDK that was generated from SmartRecruiters' specification
(github.com/RecruitiFi/smart_recruiters, candidates_api.rb and the models Candidates, Candidate and their assignments).
Not documented, and taken so: a status that changes is an update of the candidate, and a token counts pages. All
candidates are read once a day in any case.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from handlers.enriching import Api, NotThere
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Page, Pass, Polls, listed, with_since
from handlers.reading import Node
from handlers.smartrecruiters import SmartRecruiters, Status, candidate_of, decision, history, job_of, status_of
from router.schema import Application, EventType, Fact, Job

PER_PAGE = 100
_FORM = "%Y-%m-%dT%H:%M:%S.000+00:00"
_EVENT = "candidates"
_NOTHING = Node.of({})


class SmartRecruitersPolls(Polls[SmartRecruiters]):
    vendor = "smartrecruiters"
    cost = "1, 2 for each one that changed and 1 for its job; 500 once a day, and 1 for every candidate's further job"
    usual = HOURLY
    recovers = True
    shifting = True
    complete = True
    thin = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        params = with_since({"limit": str(PER_PAGE)}, "updatedAfter", asked, _FORM)
        if cursor is not None:
            params["pageId"] = cursor
        answer = await api.get("/candidates", params)
        rows = await asyncio.gather(*(_rows(candidate, api) for candidate in listed(answer, "content")))
        after = answer.text("nextPageId", sometimes=True)
        return Page([row for some in rows for row in some], after, total=answer.integer("totalFound"))

    def row_facts(self, row: Node) -> tuple[Fact, Fact]:
        person, assignment = row.need_node("candidate"), row.need_node("assignment")
        candidate, job = candidate_of(person.need_id("id"), person), assignment.need_node("job")
        job_id = job.need_id("id")
        application = Application(
            id=f"{candidate.id}:{job_id}",
            updated_at=person.time("updatedOn"),
            **_told(status_of(assignment), assignment),
        )
        return state_facts(_EVENT, application, candidate=candidate, job=Job(id=job_id, title=job.text("title")))

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """Every status that the application was in, the reason, the source and the job."""
        now = facts[-1]
        assert now.application is not None
        job = row.node("assignment").node("job")
        path = _path(row.node("candidate"), job)
        node = await api.get(path)
        statuses = await history(path, status_of(node), api)
        application = now.application.model_copy(
            update={"source": node.text("source"), "created_at": statuses[0].since}
        )
        whole = now.model_copy(
            update={"application": application, "job": await job_of(job.need_id("id"), _path_of(job), api)}
        )
        last = statuses[-1]
        created, *moved = [_in(whole, status, node if status is last else _NOTHING) for status in statuses]
        moves = [_moved(fact, one, after) for fact, (one, after) in zip(moved, pairwise(statuses), strict=True)]
        now = _in(whole, status_of(node)._replace(since=last.since), node)
        created = _as(created, EventType.APPLICATION_CREATED).model_copy(update={"vendor_version": None})
        return [created, *moves, now]  # what is known of a creation, its clock must not hide the moves


async def _rows(candidate: Node, api: Api) -> list[Node]:
    """One for each job that a candidate is on."""
    first = candidate.node("primaryAssignment", sometimes=True)
    others = candidate.nodes("secondaryAssignments", sometimes=True)
    found = await asyncio.gather(*(_with_status(candidate, other, api) for other in others))
    assignments = [assignment for assignment in (first, *found) if assignment]
    return [Node.of({"candidate": candidate.raw, "assignment": assignment.raw}) for assignment in assignments]


async def _with_status(candidate: Node, assignment: Node, api: Api) -> Node | None:
    """None where it is gone since. Without ids it stays what it is, as such a row can't be read."""
    job = assignment.node("job")
    if not (candidate.id("id") and job.id("id")):
        return assignment
    with suppress(NotThere):
        return Node.of({**assignment.raw, **(await api.get(_path(candidate, job))).raw})
    return None


def _path(candidate: Node, job: Node) -> str:
    return f"/candidates/{quote(candidate.need_id('id'), safe='')}{_path_of(job)}"


def _path_of(job: Node) -> str:
    return f"/jobs/{quote(job.need_id('id'), safe='')}"


def _told(status: Status, node: Node) -> dict[str, Any]:
    """What a status says of an application, as webhooks tell it."""
    return {"stage": status.stage, "is_prospect": status.name == "LEAD", **decision(status, node)}


def _in(now: Fact, status: Status, node: Node) -> Fact:
    """The same in this status. The clock is that of webhooks."""
    assert now.application is not None
    nothing = {"rejection_reason": None, "rejected_at": None, "hired_at": None}
    application = now.application.model_copy(update={**nothing, **_told(status, node)})
    version = status.since.isoformat(timespec="milliseconds") if status.since else None
    return now.model_copy(update={"application": application, "occurred_at": status.since, "vendor_version": version})


def _moved(fact: Fact, before: Status, after: Status) -> Fact:
    stages = {"from_stage": before.stage, "to_stage": after.stage}
    return _as(fact, EventType.STAGE_CHANGED).model_copy(update=stages)


def _as(now: Fact, type_: EventType) -> Fact:
    return now.model_copy(update={"type": type_, "is_snapshot": False})
