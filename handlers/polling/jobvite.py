"""Jobvite, API v2: ``GET /candidate`` from a row on, with ``datestart``, which knows days only.

Source: clients of others, read in 2026. That rows are counted from 1 is what the text of API v1 says; one client begins
at 0 (unverified). Errors come with HTTP 200 as well, in three forms.
"""

from handlers.enriching import Access, Api, Refused, Unavailable
from handlers.jobvite import Jobvite
from handlers.polling.base import Page, Pass, Polls, with_since
from handlers.reading import Node

PER_PAGE = 500
_DAY = "%Y-%m-%d"
_OK, _REFUSED = ("200",), ("401", "403", "INVALID_KEY_SECRET")


class JobvitePolls(Polls[Jobvite]):
    vendor = "jobvite"
    cost = "1, with all that changed on the same day; 100 once a day"
    shifting = True
    complete = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.api_key is None or settings.api_secret is None:
            return None
        headers = {"x-jvi-api": settings.api_key.get_secret_value(), "x-jvi-sc": settings.api_secret.get_secret_value()}
        return Access(settings.api_url, headers, per_second=2.0, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        start = int(cursor or 1)
        params = {"start": str(start), "count": str(PER_PAGE), "format": "json"}
        if asked.since is not None:
            params = with_since({**params, "dateFormat": "yyyy-MM-dd"}, "datestart", asked, _DAY)
        answer = await api.get("/candidate", params)
        _check(answer)
        many, total = len(answer.nodes("candidates", sometimes=True)), answer.integer("total", sometimes=True)
        is_last = not many or (total is not None and start + many > total)
        return Page(self.handler.rows(answer), None if is_last else str(start + many), total=total)


def _check(answer: Node) -> None:
    """
    Raises:
        ApiProblem: it is an error, whatever the status of the response.
    """
    status = answer.json("status", sometimes=True)
    code = status.get("code") if isinstance(status, dict) else status
    if answer.json("errors", sometimes=True):
        code = answer.node("errors").json("code", sometimes=True) or "errors"
    if code is None or str(code) in _OK:
        return
    if str(code) in _REFUSED:
        raise Refused("the vendor's API refuses the credentials")
    raise Unavailable("the vendor's API says that it failed, with a success code")
