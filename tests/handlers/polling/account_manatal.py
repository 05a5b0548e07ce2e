"""Manatal's open API v3: matches with bare ids by page number, names in candidates and jobs of their own."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked


class ManatalAccount(Account):
    vendor = "manatal"

    def settings(self, url: str) -> dict[str, Any]:
        return {"api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Token {self.key}":
            return self.unauthorised()
        query = parse_qs(target.query)
        match target.path.split("/"):
            case ["", "matches", ""]:
                return self._list(query)
            case ["", "candidates", id_, ""]:
                return Answers({"id": int(id_), "full_name": f"Ada{id_} Okafor", "email": f"ada{id_}@example.com"})
            case ["", "jobs", id_, ""]:
                return Answers({"id": int(id_), "position_name": "Analyst"})
        return Answers({"detail": "Not found."}, 404)

    def _list(self, query: dict[str, list[str]]) -> Answers:
        since = query.get("updated_at__gte", [None])[0]
        rows = [one for one in self.there if since is None or one.updated_at >= datetime.fromisoformat(since)]
        number, size = int(query.get("page", ["1"])[0]), min(self.per_page, int(query.get("page_size", ["20"])[0]))
        if number > 1 and not page_of(rows, number, size):
            return Answers({"detail": "Invalid page."}, 404)
        more = len(rows) > number * size
        following = f"http://api.manatal.com/open/v3/matches/?page={number + 1}" if more else None
        results = [_row(one) for one in page_of(rows, number, size)]
        return Answers({"count": len(rows), "next": following, "previous": None, "results": results})

    def unauthorised(self) -> Answers:
        return Answers({"detail": "Invalid token."}, 401)

    def throttled(self) -> Answers:
        return Answers({"detail": "Request was throttled. Expected available in 1 second."}, 429)


def _row(one: Applicant) -> dict[str, Any]:
    decided = f"{one.decided_at:%Y-%m-%dT%H:%M:%S.%fZ}" if one.decided_at else None
    return {
        "id": int(one.id),
        "candidate": one.number,
        "job": 7,
        "creator": 1,
        "stage": {"id": 140000 + len(one.stage), "name": one.stage},
        "is_active": one.outcome is not Outcome.DECLINED,
        "created_at": f"{one.created_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "updated_at": f"{one.updated_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "hired_at": decided if one.outcome is Outcome.HIRED else None,
        "dropped_at": decided if one.outcome is Outcome.DECLINED else None,
    }
