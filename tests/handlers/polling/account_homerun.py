"""Homerun's ``GET /job-applications``: numbered pages, the stage only where it is asked for, 60 calls a minute."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked


class HomerunAccount(Account):
    vendor = "homerun"
    reads_everything = True

    def id_of(self, number: int) -> str:
        return f"ap_{number:04d}"

    def settings(self, url: str) -> dict[str, Any]:
        return {"api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return self.unauthorised()
        if target.path != "/job-applications":
            return Answers({"code": 404, "error": True, "message": "Not found"}, 404)
        query = parse_qs(target.query)
        number, size = int(query.get("page", ["1"])[0]), min(self.per_page, int(query.get("perPage", ["15"])[0]))
        rows = [self._row(one, query.get("include[]", [])) for one in self.there]
        meta = {"current_page": number, "last_page": max(1, -(-len(rows) // size)), "total": len(rows)}
        return Answers({"data": page_of(rows, number, size), "meta": meta})

    def unauthorised(self) -> Answers:
        return Answers({"code": 401, "error": True, "message": "Unauthenticated"}, 401)

    def throttled(self) -> Answers:
        return Answers({"code": 429, "error": True, "message": "Too Many Attempts."}, 429, {"retry-after": "0"})

    def _row(self, one: Applicant, included: list[str]) -> dict[str, Any]:
        row: dict[str, Any] = {
            "id": one.id,
            "created_at": f"{one.created_at:%Y-%m-%d %H:%M:%S}",
            "disqualified": one.outcome is Outcome.DECLINED,
            "hired_at": f"{one.decided_at:%Y-%m-%d %H:%M:%S}" if one.outcome is Outcome.HIRED else None,
            "personal_info": {
                "first_name": one.first_name,
                "last_name": "Lovelace",
                "email": one.email,
                "date_of_birth": "1990-01-01",
            },
            "vacancy_id": "job_1",
        }
        if "stage" in included:
            row["stage"] = {"name": one.stage}
        return row
