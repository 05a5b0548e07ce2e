"""Greenhouse, Harvest API v3: ``GET /applications`` with ``last_activity_at``, the next page by the header Link.

Harvest v1 and v2 ended on 2026-08-31. Sources, read in 2026: harvestdocs.greenhouse.io (authentication, list-endpoints,
pagination, api-rate-limiting), and of its reference what connectors made of it quote (github.com/airbytehq/airbyte
source-greenhouse, prismatic.io, and an inventory of every page): a row holds ids where webhooks have objects, its
status is ``in_process`` where those say ``active``, and what webhooks call the stage's id is ``job_interview_stage_id``
there, while ``stage_id`` names the visit of that stage. Older descriptions lack the former: the name is compared then.
Rows come by id, the newest first, all of them where the user is a site admin. None of it was tried with Greenhouse.
``/application_stages`` has a history, but one entry for each stage, whose times may be missing: it is left out.
"""

from collections.abc import Sequence

from handlers.enriching import Access, Api, basic
from handlers.greenhouse import OUTCOMES, Greenhouse, candidate_of
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Page, Pass, Polls, in_utc, listed
from handlers.reading import Node
from router.access_token import Grant
from router.schema import Application, Candidate, Fact, Job, Outcome, RejectionReason, Stage

PER_PAGE = 500
_CACHED = 600.0
_STATUSES = {**OUTCOMES, "in_process": Outcome.PENDING}


class GreenhousePolls(Polls[Greenhouse]):
    vendor = "greenhouse"
    cost = "1, and 1 for each one that is new or changed and for each job that is not known by then; 100 once a day"
    usual = HOURLY
    recovers = True
    complete = True
    thin = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.client_id is None or settings.client_secret is None:
            return None
        asked_as = {"sub": str(settings.user_id)} if settings.user_id is not None else {}
        client = basic(settings.client_id, settings.client_secret.get_secret_value())
        grant = Grant(settings.token_url, {"grant_type": "client_credentials", **asked_as}, authorization=client)
        # how many calls 30 seconds have is told by the answers only
        return Access(settings.api_url, {}, per_second=1.5, at_once=1, grant=grant)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        """What is filtered and how long a page is stands in the cursor, with which nothing else may be asked."""
        if cursor is not None:
            answer, after = await api.linked(f"/applications?{cursor}")
        else:
            since = {} if asked.since is None else {"last_activity_at": f"gte|{in_utc(asked.since)}"}
            answer, after = await api.linked("/applications", {"per_page": str(PER_PAGE), **since})
        return Page(listed(answer, "items"), after)

    def row_facts(self, row: Node) -> Sequence[Fact]:
        outcome, at = row.choice("status", _STATUSES), row.time("last_activity_at")
        rejected_at = row.time("rejected_at") if outcome is Outcome.DECLINED else None
        reason = row.id("rejection_reason_id", sometimes=True) if outcome is Outcome.DECLINED else None
        stage = Stage(id=row.id("job_interview_stage_id", sometimes=True), name=row.text("stage_name"))
        candidate, job = row.id("candidate_id"), row.id("job_id")
        application = Application(
            id=row.need_id("id"),
            outcome=outcome,
            stage=stage if stage.id or stage.name else None,
            created_at=row.time("created_at"),
            updated_at=at,
            rejected_at=rejected_at,
            rejection_reason=RejectionReason(id=reason) if reason else None,
            is_prospect=row.flag("prospect"),
        )
        return state_facts(
            "application",
            application,
            candidate=Candidate(id=candidate) if candidate else None,
            job=Job(id=job) if job else None,
            changed_at=rejected_at or at,
        )

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """Who it is, and the job, as far as the credentials may see them."""
        candidate = await _found("/candidates", row.id("candidate_id"), api)
        job = await _found("/jobs", row.id("job_id"), api, cache=_CACHED)
        known: dict[str, object] = {}
        if candidate.raw:
            known["candidate"] = candidate_of(candidate)
        if job.raw:
            requisition, status = job.text("requisition_id"), job.text("status")
            known["job"] = Job(id=job.id("id"), title=job.text("name"), requisition_id=requisition, status=status)
        return [fact.model_copy(update=known) for fact in facts]


async def _found(path: str, id_: str | None, api: Api, *, cache: float = 0.0) -> Node:
    """The object of that id, an empty one where there is none: objects are found in lists only."""
    found = listed(await api.get(path, {"ids": id_}, cache=cache), "items") if id_ else []
    return found[0] if found else Node.of({})
