"""BambooHR's applicant tracking: ``GET /applicant_tracking/applications``, what changed last first, without a filter of
what changed; who moved an application and when is in the single one.

Source: specs/public.yaml of github.com/BambooHR/bhr-api-python, read in 2026. ``paginationComplete`` means that there
is no further page, unlike what that text says. Errors come with HTTP 200 as well.
"""

from collections.abc import Sequence

from handlers.bamboohr import BambooHR
from handlers.enriching import Access, Api, Refused, Unavailable, basic
from handlers.polling.base import Page, Pass, Polls, listed
from handlers.reading import Node
from router.schema import Fact

PER_PAGE = 50
"""Not asked for: BambooHR alone decides on it."""

_LIST = "/applicant_tracking/applications"
_EVERYTHING = {"applicationStatus": "ALL", "jobStatusGroups": "ALL", "sortBy": "last_updated", "sortOrder": "DESC"}
_THROTTLED_SECONDS = 60.0


class BambooHRPolls(Polls[BambooHR]):
    vendor = "bamboohr"
    cost = "2, and 1 for each one that changed; all pages once a day"
    newest_first = True
    shifting = True
    complete = True
    thin = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.api_key is None or settings.api_url is None:
            return None
        headers = {"authorization": basic(settings.api_key.get_secret_value(), "x")}
        return Access(settings.api_url, headers, per_second=2.0, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        number = int(cursor or 1)
        answer = await api.get(_LIST, {**_EVERYTHING, "page": str(number)})
        _check(answer)
        rows = listed(answer, "applications")
        is_last = not rows or answer.flag("paginationComplete") is True
        return Page(rows, None if is_last else str(number + 1))

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        answer = await api.get(f"{_LIST}/{row.need_id('id')}")
        _check(answer)
        return self.handler.row_facts(answer)


def _check(answer: Node) -> None:
    """
    Raises:
        ApiProblem: it is an error, whatever the status of the response.
    """
    code = answer.node("error", sometimes=True).integer("code")
    if code in (401, 403):
        raise Refused("the vendor's API refuses the credentials")
    if code is not None:
        wait = _THROTTLED_SECONDS if code == 429 else None
        raise Unavailable(f"the vendor's API failed ({code}), with a success code", wait)
