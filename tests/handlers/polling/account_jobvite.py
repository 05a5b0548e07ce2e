"""Jobvite's API v2: rows from `start` on, filtered by the day, and errors that come with HTTP 200."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked


class JobviteAccount(Account):
    vendor = "jobvite"

    def id_of(self, number: int) -> str:
        return f"p{number:07d}"

    def settings(self, url: str) -> dict[str, Any]:
        return {"api_key": self.secret(), "api_secret": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if (asked.headers.get("x-jvi-api"), asked.headers.get("x-jvi-sc")) != (self.key, self.key):
            return self.unauthorised()
        if target.path != "/candidate":
            return Answers({"errors": {"code": 404, "messages": ["no such path"]}}, 404)
        query = parse_qs(target.query)
        since = query.get("datestart", [None])[0]
        if since is not None and query.get("dateFormat") != ["yyyy-MM-dd"]:
            return Answers({"errors": {"code": 400, "messages": ["dateFormat"]}})
        rows = [one for one in self.there if since is None or f"{one.updated_at:%Y-%m-%d}" >= since]
        start, size = int(query.get("start", ["1"])[0]), min(self.per_page, int(query.get("count", ["50"])[0]))
        found: dict[str, Any] = {"status": {"code": 200, "messages": []}, "total": len(rows)}
        if page := rows[start - 1 : start - 1 + size]:
            found["candidates"] = [_row(one) for one in page]
        return Answers(found)

    def unauthorised(self) -> Answers:
        return Answers({"status": "INVALID_KEY_SECRET", "responseMessage": "Invalid key or secret"})

    def failed(self) -> Answers:
        return Answers({"errors": {"code": 500, "messages": ["internal"]}})


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "eId": f"c{one.number}",
        "firstName": one.first_name,
        "lastName": "Pinto",
        "email": one.email,
        "application": {
            "eId": one.id,
            "job": {"eId": "o1", "title": "Buyer", "requisitionId": "REQ-1", "department": "Retail"},
            "workflowState": one.stage,
            "disposition": "Not a fit" if one.outcome is Outcome.DECLINED else None,
            "source": "LinkedIn",
            "lastUpdatedDate": int(one.updated_at.timestamp() * 1000),
            "hireDate": int(one.decided_at.timestamp() * 1000)
            if one.decided_at and one.outcome is Outcome.HIRED
            else None,
        },
    }
