"""Kombo's unified API: ``GET /ats/applications`` by cursor, with ``updated_after``.

Source: Kombo's OpenAPI document, read in 2026. A row may come back for a change inside it with an older ``changed_at``,
so that the time at which we began counts. Errors are told by their code, whatever the status.
"""

from handlers.enriching import Access, Api, Refused, Unavailable
from handlers.kombo import Kombo
from handlers.polling.base import Page, Pass, Polls, with_since

PER_PAGE = 250
_MILLISECONDS = "%Y-%m-%dT%H:%M:%S.000Z"
_LATER = ("RATE_LIMIT_EXCEEDED", "CONCURRENCY_LIMIT_EXCEEDED", "TASK_TIMED_OUT", "SERVICE_UNAVAILABLE", "UNKNOWN_ERROR")


class KomboPolls(Polls[Kombo]):
    vendor = "kombo"
    cost = "1, also after each webhook that says that something changed; 200 once a day"

    @property
    def account(self) -> str | None:
        return self.handler.settings.integration

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.api_key is None or settings.integration is None:
            return None
        headers = {
            "authorization": f"Bearer {settings.api_key.get_secret_value()}",
            "x-integration-id": settings.integration,
        }
        return Access(settings.api_url, headers, per_second=2.0, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        params = {"page_size": str(PER_PAGE), "include_deleted": "true", **({"cursor": cursor} if cursor else {})}
        answer = await api.get("/ats/applications", with_since(params, "updated_after", asked, _MILLISECONDS))
        if answer.text("status", sometimes=True) == "error":
            _fail(answer.node("error").text("code") or "no code")
        data = answer.need_node("data")
        return Page(self.handler.rows(answer), data.text("next"))


def _fail(code: str) -> None:
    """
    Raises:
        ApiProblem: as Kombo's code says.
    """
    if code.rpartition(".")[2] in _LATER:
        raise Unavailable(f"Kombo answered {code}")
    raise Refused(f"Kombo answered {code}")
