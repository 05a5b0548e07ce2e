"""Greenhouse, Harvest API v3: ``GET /applications`` with ``last_activity_at[gte]``, the next page in the header Link.

Harvest v1 and v2 ended on 2026-08-31. Of v3, texts of others say how to log in (client credentials), to filter and to
turn pages; what a row holds is read as v1 documented it (github.com/grnhse/greenhouse-api-docs), or by ids alone. All
of it is unverified.
"""

from collections.abc import Sequence

from handlers.enriching import Access, Api
from handlers.greenhouse import OUTCOMES, Greenhouse, rejection_reason_of, stage_of
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Page, Pass, Polls, listed, with_since
from handlers.reading import Node
from router.schema import Application, Candidate, Fact, Job, Outcome, Stage

PER_PAGE = 500


class GreenhousePolls(Polls[Greenhouse]):
    vendor = "greenhouse"
    cost = "1; 100 once a day"
    usual = HOURLY
    recovers = True
    complete = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        grant = settings.client_grant(settings.token_url)
        return Access(settings.api_url, {}, per_second=1.5, at_once=1, grant=grant) if grant else None

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        if cursor is None:
            params = with_since({"per_page": str(PER_PAGE)}, "last_activity_at[gte]", asked)
            answer, after = await api.linked("/applications", params)
        else:
            answer, after = await api.linked(f"/applications?{cursor}")
        return Page(listed(answer, "items"), after)

    def row_facts(self, row: Node) -> Sequence[Fact]:
        outcome, at = row.choice("status", OUTCOMES), row.time("last_activity_at")
        rejected_at, reason = row.time("rejected_at", sometimes=True), row.node("rejection_reason", sometimes=True)
        declined, candidate = outcome is Outcome.DECLINED, row.id("candidate_id")
        application = Application(
            id=row.need_id("id"),
            outcome=outcome,
            stage=_stage(row),
            created_at=row.time("applied_at", sometimes=True) or row.time("created_at", sometimes=True),
            updated_at=at,
            rejected_at=rejected_at if declined else None,
            rejection_reason=rejection_reason_of(reason) if declined and reason else None,
            is_prospect=row.flag("prospect", sometimes=True),
        )
        return state_facts(
            "application",
            application,
            candidate=Candidate(id=candidate) if candidate else None,
            job=_job(row),
            changed_at=rejected_at if declined and rejected_at else at,
        )


def _stage(row: Node) -> Stage | None:
    identifier = row.id("current_stage_id", sometimes=True) or row.id("stage_id", sometimes=True)
    return stage_of(row.node("current_stage", sometimes=True)) or (Stage(id=identifier) if identifier else None)


def _job(row: Node) -> Job | None:
    """The only one, as v1 has it in a list; of v3 the id."""
    jobs = row.nodes("jobs", sometimes=True)
    if len(jobs) == 1:
        return Job(id=jobs[0].id("id"), title=jobs[0].text("name"))
    identifier = row.id("job_id", sometimes=True)
    return Job(id=identifier) if identifier else None
