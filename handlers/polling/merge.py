"""Merge's unified API: ``GET /applications`` by cursor, with ``modified_after``, and what rows are related to expanded.

Source: docs.merge.dev (ATS, Applications), read in 2026. The time at which we began is the next ``modified_after``, as
Merge advises.
"""

from handlers.enriching import Api
from handlers.merge import Merge
from handlers.polling.base import HOURLY, Page, Pass, Polls, listed, with_since

PER_PAGE = 100
_WHOLE = {"expand": "candidate,current_stage,job,reject_reason", "include_deleted_data": "true"}


class MergePolls(Polls[Merge]):
    vendor = "merge"
    cost = "1; 500 once a day"
    usual = HOURLY
    recovers = True

    @property
    def account(self) -> str | None:
        return self.handler.settings.linked_account

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        params = {**_WHOLE, "page_size": str(PER_PAGE), **({"cursor": cursor} if cursor else {})}
        answer = await api.get("/applications", with_since(params, "modified_after", asked))
        return Page(listed(answer, "results"), answer.text("next"))
