"""Pinpoint's ``GET /api/v1/applications``: JSON:API, numbered pages; a decision is in the API by the stage alone."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked

_DECIDED = {Outcome.HIRED: "Hired", Outcome.DECLINED: "Unsuccessful"}


class PinpointAccount(Account):
    vendor = "pinpoint"

    def settings(self, url: str) -> dict[str, Any]:
        stages = {"HIRED": "Hired", "REJECTED": "Unsuccessful"}
        return {"secret": self.secret(), "api_key": self.secret(), "api_url": url, "stages": stages}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("x-api-key") != self.key:
            return self.unauthorised()
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        include = query.get("include", "").split(",")
        one = next((one for one in self.there if target.path == f"/api/v1/applications/{one.id}"), None)
        if one is not None:
            return Answers({"data": _row(one), "included": _included([one], include)})
        if target.path != "/api/v1/applications":
            return _refusal(404, "Record not found")
        ones = self.there
        if query.get("sort") == "-updated_at":
            ones = sorted(ones, key=lambda one: one.updated_at, reverse=True)
        size = min(int(query.get("page[size]", "100")), self.per_page)
        page = page_of(ones, int(query.get("page[number]", "1")), size)
        return Answers({"data": [_row(one) for one in page], "included": _included(page, include)})

    def unauthorised(self) -> Answers:
        return _refusal(401, "Unauthorized")


def _refusal(status: int, title: str) -> Answers:
    return Answers({"errors": [{"status": str(status), "title": title, "detail": title}]}, status)


def _row(one: Applicant) -> dict[str, Any]:
    attributes = {
        "first_name": one.first_name,
        "last_name": "Lovelace",
        "email": one.email,
        "phone": None,
        "linkedin_url": None,
        "equality_monitoring": {"gender": "Woman"},
        "created_at": one.created_at.isoformat(),
        "updated_at": one.updated_at.isoformat(),
    }
    related = {name: {"data": {"type": item["type"], "id": item["id"]}} for name, item in _related(one).items()}
    return {"id": one.id, "type": "applications", "attributes": attributes, "relationships": related}


def _included(ones: Any, include: list[str]) -> list[dict[str, Any]]:
    """Each object once."""
    items = [item for one in ones for name, item in _related(one).items() if name in include]
    return list({(item["type"], item["id"]): item for item in items}.values())


def _related(one: Applicant) -> dict[str, dict[str, Any]]:
    stage = _DECIDED.get(one.outcome, one.stage)
    return {
        "job": {"type": "jobs", "id": "30412", "attributes": {"title": "Chef", "status": "open"}},
        "stage": {"type": "stages", "id": str(crc32(stage.encode())), "attributes": {"name": stage}},
        "candidate": {"type": "candidates", "id": f"9{one.id}", "attributes": {}},
    }
