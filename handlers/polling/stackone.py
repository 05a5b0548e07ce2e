"""StackOne's unified API: ``GET /unified/ats/applications`` by cursor, with ``filter[updated_after]``; who changed what
and when is under ``/changes``.

Source: StackOne's official TypeScript SDK, read in 2026. The history has ids of stages only, so it gives time and actor
of the present state, and no moves of its own.
"""

from collections.abc import Sequence

from handlers.enriching import Access, Api, basic
from handlers.polling.base import Page, Pass, Polls, listed, with_since
from handlers.reading import Node
from handlers.stackone import StackOne
from router.schema import Fact, Person

PER_PAGE = 100
_LIST = "/unified/ats/applications"


class StackOnePolls(Polls[StackOne]):
    vendor = "stackone"
    cost = "1, and 1 for each one that changed, also after webhooks; 500 once a day"
    complete = True

    @property
    def account(self) -> str | None:
        return self.handler.settings.account

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.api_key is None or settings.account is None:
            return None
        headers = {"authorization": basic(settings.api_key.get_secret_value()), "x-account-id": settings.account}
        return Access(settings.api_url, headers, per_second=2.0, at_once=2)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        params = {"page_size": str(PER_PAGE), **({"next": cursor} if cursor else {})}
        answer = await api.get(_LIST, with_since(params, "filter[updated_after]", asked))
        return Page(listed(answer, "data"), answer.text("next", sometimes=True))

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        changes = (await api.get(f"{_LIST}/{row.need_id('id')}/changes")).nodes("data")
        told = [(at, change) for change in changes if (at := change.time("effective_at") or change.time("created_at"))]
        if not told:
            return facts
        at, last = max(told, key=lambda one: one[0])
        actor = last.node("actor", sometimes=True)
        person = Person(id=actor.id("id"), name=actor.text("name"), email=actor.text("email")) if actor else None
        return *facts[:-1], facts[-1].model_copy(update={"occurred_at": at, "actor": person})
