"""Manatal, open API v3: ``GET /matches/`` by page number; names are in ``/candidates/{id}/`` and ``/jobs/{id}/``.

Source: clients of others, read in 2026. The filter ``updated_at__gte`` is unverified: where Manatal does not know it,
every pass reads everything, and nothing is lost.
"""

from collections.abc import Sequence

from handlers.enriching import Access, Api
from handlers.manatal import Manatal
from handlers.polling.base import Page, Pass, Polls, listed, with_since
from handlers.reading import Node
from router.schema import Fact

PER_PAGE = 100
_CACHED = 600.0


class ManatalPolls(Polls[Manatal]):
    vendor = "manatal"
    cost = "1, and 2 for the names of each one that changed; 500 once a day"
    shifting = True
    complete = True
    thin = True

    def access(self) -> Access | None:
        key = self.handler.settings.api_key
        if key is None:
            return None
        headers = {"authorization": f"Token {key.get_secret_value()}"}
        return Access(self.handler.settings.api_url, headers, per_second=1.0, at_once=1)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        number = int(cursor or 1)
        params = {"page": str(number), "page_size": str(PER_PAGE)}
        answer = await api.get("/matches/", with_since(params, "updated_at__gte", asked))
        after = str(number + 1) if answer.json("next") is not None else None
        return Page(listed(answer, "results"), after, total=answer.integer("count"))

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The row with its candidate and its job in the place of their ids."""
        whole = dict(row.raw)
        for name, path in (("candidate", "/candidates"), ("job", "/jobs")):
            if (identifier := row.id(name, sometimes=True)) is not None:
                whole[name] = (await api.get(f"{path}/{identifier}/", cache=_CACHED)).raw
        return self.handler.row_facts(Node.of(whole))
