"""JOIN, API v2: ``GET /applications`` by page number, with ``updatedAtGte``.

Source: clients of others, one of which was held against docs.join.com, read in 2026. The filter's form is unverified.
Only a page without rows is taken for the last: nothing says that JOIN never lists fewer than it is asked for.
"""

from handlers.enriching import Access, Api
from handlers.join import Join
from handlers.polling.base import Page, Pass, Polls, with_since

PER_PAGE = 50


class JoinPolls(Polls[Join]):
    vendor = "join"
    cost = "2; 1,001 once a day, as JOIN gives 50 at most"
    shifting = True
    complete = True

    def access(self) -> Access | None:
        """The token stands alone, without Bearer before it."""
        token = self.handler.settings.api_token
        if token is None:
            return None
        headers = {"authorization": token.get_secret_value()}
        return Access(self.handler.settings.api_url, headers, per_second=2.0, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        number = int(cursor or 1)
        params = {"page": str(number), "pageSize": str(PER_PAGE)}
        rows = self.handler.rows(await api.get("/applications", with_since(params, "updatedAtGte", asked)))
        return Page(rows, str(number + 1) if rows else None)
