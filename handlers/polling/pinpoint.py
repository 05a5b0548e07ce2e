"""Pinpoint: ``GET /api/v1/applications`` by page number, what was updated last first.

A filter of what changed is said to exist, but not how it is called, so that a pass ends at a page with nothing new.
Whether somebody was hired or rejected is in the API by the stage alone.
Source: developers.pinpointhq.com, as far as others quote it, read in 2026; that a list is what JSON:API says, with at
most 100 rows a page where no more are asked for, is taken from there and not seen.
"""

from handlers.enriching import Api
from handlers.pinpoint import Found, Pinpoint
from handlers.polled import state_facts
from handlers.polling.base import HOURLY, Page, Pass, Polls
from handlers.polling.json_api import documents
from handlers.reading import Node
from router.schema import Application, Fact

PER_PAGE = 100
_RELATED = ("job", "stage", "candidate")
_READ = ("first_name", "last_name", "email", "phone", "linkedin_url", "created_at", "updated_at")


class PinpointPolls(Polls[Pinpoint]):
    vendor = "pinpoint"
    cost = "2, as what was updated last comes first; 501 once a day"
    usual = HOURLY
    recovers = True
    newest_first = True
    shifting = True
    complete = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        number = int(cursor or 1)
        params = {"include": ",".join(_RELATED), "sort": "-updated_at"}
        params |= {"page[size]": str(PER_PAGE), "page[number]": str(number)}
        rows = documents(await api.get("/api/v1/applications", params), _RELATED)
        return Page([_reduced(row) for row in rows], str(number + 1) if rows else None)

    def row_facts(self, row: Node) -> tuple[Fact, Fact]:
        found = Found(row)
        application = Application(id=row.node("data").need_id("id"), **found.application_fields(found.stage()))
        return state_facts(
            "applications",
            application,
            candidate=found.candidate(),
            job=found.job(None),
            changed_at=application.updated_at,
        )


def _reduced(row: Node) -> Node:
    """Without the answers on equality that Pinpoint puts among the attributes, as rows are kept."""
    data = row.node("data")
    attributes = data.node("attributes").raw
    kept = {name: attributes[name] for name in _READ if name in attributes}
    return Node.of({**row.raw, "data": {**data.raw, "attributes": kept}})
