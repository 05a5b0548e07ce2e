"""Teamtailor's ``GET /job-applications``: JSON:API, 30 rows at most, related objects beside them where asked for."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zlib import crc32
from zoneinfo import ZoneInfo

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked

_ZONE = ZoneInfo("Europe/Stockholm")
_TYPES = {"candidate": "candidates", "job": "jobs", "stage": "stages", "reject-reason": "reject-reasons"}


class TeamtailorAccount(Account):
    vendor = "teamtailor"

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Token token={self.key}":
            return self.unauthorised()
        if not asked.headers.get("x-api-version", "").isdigit():
            return _refusal(406, "Missing or invalid API version")
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        include = query.get("include", "").split(",")
        if target.path == "/job-applications":
            return self._applications(query, include)
        one = next((one for one in self.there if target.path == f"/job-applications/{one.id}"), None)
        if one is None:
            return _refusal(404, "Record not found")
        return Answers({"data": _row(one, include), "included": _included([one], include)})

    def unauthorised(self) -> Answers:
        return _refusal(401, "Invalid credentials")

    def _applications(self, query: dict[str, str], include: list[str]) -> Answers:
        ones = self.there
        if (since := query.get("filter[updated-at][from]")) is not None:
            ones = [one for one in ones if one.updated_at > datetime.fromisoformat(since)]
        if query.get("sort") == "-changed_stage_at":
            ones = sorted(ones, key=_changed_stage_at, reverse=True)
        elif "sort" in query:
            return _refusal(400, "Invalid sort criteria")
        number, size = int(query.get("page[number]", "1")), int(query.get("page[size]", "10"))
        if size > 30:
            return _refusal(400, "Invalid page value")
        size = min(size, self.per_page)
        page, pages = page_of(ones, number, size), max(1, -(-len(ones) // size))
        links = {"first": "1", "last": str(pages), **({"next": str(number + 1)} if number < pages else {})}
        url = "https://api.teamtailor.com/v1/job-applications?"
        return Answers(
            {
                "data": [_row(one, include) for one in page],
                "included": _included(page, include),
                "meta": {"record-count": len(ones), "page-count": pages},
                "links": {name: url + urlencode({"page[number]": value}) for name, value in links.items()},
            }
        )


def _refusal(status: int, title: str) -> Answers:
    return Answers({"errors": [{"title": title, "status": str(status)}]}, status)


def _row(one: Applicant, include: list[str]) -> dict[str, Any]:
    links = {"self": f"https://api.teamtailor.com/v1/job-applications/{one.id}"}
    related: dict[str, dict[str, Any]] = {name: {"links": links} for name in _TYPES}
    for name, item in _related(one).items():
        if name in include:
            related[name]["data"] = {"type": item["type"], "id": item["id"]}
    rejected_at = one.decided_at if one.outcome is Outcome.DECLINED else None
    attributes = {
        "created-at": _time(one.created_at),
        "cover-letter": "",
        "updated-at": _time(one.updated_at),
        "rejected-at": _time(rejected_at) if rejected_at else None,
        "referring-url": None,
        "referring-site": "LinkedIn",
        "sourced": False,
        "changed-stage-at": _time(_changed_stage_at(one)),
    }
    row = {"id": one.id, "type": "job-applications", "links": links}
    return {**row, "attributes": attributes, "relationships": related}


def _included(ones: Any, include: list[str]) -> list[dict[str, Any]]:
    """Each object once."""
    items = [item for one in ones for name, item in _related(one).items() if name in include]
    return list({(item["type"], item["id"]): item for item in items}.values())


def _related(one: Applicant) -> dict[str, dict[str, Any]]:
    hired = one.outcome is Outcome.HIRED
    stage = "Hired" if hired else one.stage
    type_ = "Hired" if hired else "Inbox" if stage == Account.stages[0] else "In process"
    person: dict[str, Any] = {
        "first-name": one.first_name,
        "last-name": "Lovelace",
        "email": one.email,
        "phone": None,
        "tags": [],
    }
    related = {
        "candidate": ("7" + one.id, person),
        "job": ("55", {"title": "Engineer"}),
        "stage": (stage_id(stage), {"name": stage, "stage-type": type_}),
    }
    if one.outcome is Outcome.DECLINED:
        related["reject-reason"] = ("31", {"reason": "Not a fit", "rejected-by-company": True})
    return {name: {"id": id_, "type": _TYPES[name], "attributes": said} for name, (id_, said) in related.items()}


def stage_id(name: str) -> str:
    return str(crc32(name.encode()))


def _changed_stage_at(one: Applicant) -> datetime:
    return one.decided_at if one.outcome is Outcome.HIRED and one.decided_at else one.moves[-1].at


def _time(at: datetime) -> str:
    return at.astimezone(_ZONE).isoformat(timespec="milliseconds")
