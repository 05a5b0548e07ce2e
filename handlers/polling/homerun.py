"""Homerun's public API v2: ``GET /job-applications``, by page number, without any filter of what changed.

Source: Homerun's OpenAPI document of its public API v2 (2023), a copy in github.com/konfig-sdks/openapi-examples.
"""

from handlers.enriching import Access, Api
from handlers.homerun import Homerun
from handlers.polling.base import SELDOM, Page, Pass, Polls

PER_PAGE = 100
_INCLUDED = "include[]=stage&include[]=sources&include[]=vacancy"  # the stage is not in the list otherwise


class HomerunPolls(Polls[Homerun]):
    vendor = "homerun"
    cost = "500, as Homerun has no filter of what changed, at most 60 a minute"
    usual = SELDOM
    shifting = True
    complete = True

    def access(self) -> Access | None:
        key = self.handler.settings.api_key
        if key is None:
            return None
        headers = {"authorization": f"Bearer {key.get_secret_value()}"}
        return Access(self.handler.settings.api_url, headers, per_second=0.9, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        number = int(cursor or 1)
        answer = await api.get(f"/job-applications?{_INCLUDED}&perPage={PER_PAGE}&page={number}")
        meta = answer.need_node("meta")
        last = meta.integer("last_page") or number
        after = str(number + 1) if number < last else None
        return Page(self.handler.rows(answer), after, total=meta.integer("total"))
