"""Personio Recruiting, API v2: ``GET /v2/recruiting/applications`` with ``updated_at.gt``, and an application's moves
under ``/stage-transitions``.

Sources: developer.personio.de (the recruiting API is generally available) and clients of others, read in 2026. How the
filter writes times is unverified.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from handlers.enriching import Access, Api
from handlers.personio import Personio
from handlers.polling.base import Move, Page, Pass, Polls, with_history, with_since
from handlers.reading import Node
from router.access_token import Grant
from router.schema import Fact

PER_PAGE = 200
_LIST = "/v2/recruiting/applications"


class PersonioPolls(Polls[Personio]):
    vendor = "personio"
    cost = "1, and 1 for the moves of each one that changed; 250 once a day"
    complete = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.client_id is None or settings.client_secret is None:
            return None
        client = {"client_id": settings.client_id, "client_secret": settings.client_secret.get_secret_value()}
        grant = Grant(f"{settings.api_url.rstrip('/')}/v2/auth/token", {"grant_type": "client_credentials", **client})
        return Access(settings.api_url, {}, per_second=2.0, at_once=2, grant=grant)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        """The address of the next page is told whole; of it only the query is used."""
        if cursor is None:
            answer = await api.get(_LIST, with_since({"limit": str(PER_PAGE)}, "updated_at.gt", asked))
        else:
            answer = await api.get(f"{_LIST}?{cursor}")
        links = answer.node("_meta", sometimes=True).node("links", sometimes=True)
        after = links.node("next", sometimes=True).text("href", sometimes=True)
        return Page(self.handler.rows(answer), urlsplit(after).query if after else None)

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The moves, which come newest first, before the present state, which gets the time of the last one."""
        answer = await api.get(f"{_LIST}/{row.need_id('id')}/stage-transitions")
        moves: list[Move] = []
        before = None
        for node in reversed(answer.nodes("_data")):
            if (stage := self.handler.stage_of(node.node("stage"))) is None:
                continue
            if before is not None:
                moves.append(Move(before, stage, self.handler.time_of(node, "entered_at")))
            before = stage
        return with_history(facts, moves)
