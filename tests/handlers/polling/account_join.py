"""JOIN's API v2: a bare list, 50 rows at most, the token alone in `Authorization`. Its stage is a made-up field."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked

_ENDED = {Outcome.HIRED: "Hired!", Outcome.DECLINED: "Turned down"}


class JoinAccount(Account):
    vendor = "join"

    def settings(self, url: str) -> dict[str, Any]:
        stages = {"HIRED": ["Hired!"], "REJECTED": ["Turned down"]}
        return {"api_token": self.secret(), "api_url": url, "stage_path": "stage.name", "stages": stages}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != self.key:
            return self.unauthorised()
        if target.path != "/applications":
            return Answers({"error": {"type": "not_found", "message": "Not found"}}, 404)
        query = parse_qs(target.query)
        since = query.get("updatedAtGte", [None])[0]
        rows = [one for one in self.there if since is None or one.updated_at >= datetime.fromisoformat(since)]
        size = min(self.per_page, int(query.get("pageSize", ["50"])[0]))
        return Answers([_row(one) for one in page_of(rows, int(query.get("page", ["1"])[0]), size)])

    def unauthorised(self) -> Answers:
        return Answers({"error": {"type": "unauthorized", "message": "Invalid token"}}, 401)

    def throttled(self) -> Answers:
        return Answers({"error": {"type": "rate_limit", "message": "slow"}}, 429, {"x-ratelimit-reset": "0"})


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "id": int(one.id),
        "createdAt": f"{one.created_at:%Y-%m-%dT%H:%M:%S.000Z}",
        "candidate": {"id": one.number, "firstName": one.first_name, "lastName": "Hofer", "email": one.email},
        "job": {"id": 1, "title": "Engineer"},
        "source": {"product": "JOIN"},
        "stage": {"name": _ENDED.get(one.outcome, one.stage)},
    }
