"""Teamtailor: ``GET /job-applications`` by page number, with what was updated since.

Sorted by the last move, the latest one first, as no other order is documented: what moves meanwhile comes to the front
and hides nothing. Stages, candidates, jobs and reasons stand beside the rows, once each.
Source: source/includes/job_applications, _pagination and _rate_limit of github.com/Teamtailor/docs.
"""

from handlers.enriching import Api
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Page, Pass, Polls, with_since
from handlers.polling.json_api import documents
from handlers.reading import Node
from handlers.teamtailor import Teamtailor, fetched, occurred_at
from router.schema import Application, EventType, Fact

PER_PAGE = 30
_EVENT = "job-applications"
_RELATED = ("candidate", "job", "stage", "reject-reason")


class TeamtailorPolls(Polls[Teamtailor]):
    vendor = "teamtailor"
    cost = "1; 1,700 once a day, at most 4 a second"
    usual = HOURLY
    recovers = True
    shifting = True
    complete = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        number = int(cursor or 1)
        params = {"include": ",".join(_RELATED), "sort": "-changed_stage_at"}
        params |= {"page[size]": str(PER_PAGE), "page[number]": str(number)}
        answer = await api.get("/job-applications", with_since(params, "filter[updated-at][from]", asked))
        is_last = answer.node("links").text("next", sometimes=True) is None
        total = answer.node("meta").integer("record-count")
        return Page(documents(answer, _RELATED), None if is_last else str(number + 1), total=total)

    def row_facts(self, row: Node) -> tuple[Fact, Fact]:
        data = row.need_node("data")
        bare = Application(id=data.need_id("id"))
        now = fetched(Fact(type=EventType.APPLICATION_UPDATED, vendor_event=_EVENT, application=bare), row)
        application = now.application or bare
        moved_at = data.node("attributes").time("changed-stage-at", sometimes=True)
        changed_at = occurred_at(application.updated_at, application.rejected_at, moved_at)
        version, candidate, job = now.vendor_version, now.candidate, now.job
        return state_facts(_EVENT, application, candidate=candidate, job=job, changed_at=changed_at, version=version)
