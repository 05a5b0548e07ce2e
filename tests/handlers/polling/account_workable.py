"""Workable's API v3: the next page by its address, activities per candidate."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, Move
from tests.handlers.vendor_api import Answers, Asked


class WorkableAccount(Account):
    vendor = "workable"
    tells_moves_between = True

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "subdomain": "example", "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return self.unauthorised()
        match target.path.split("/"):
            case ["", "candidates"]:
                return self._list(parse_qs(target.query))
            case ["", "candidates", id_, "activities"] if one := self.find(id_):
                return Answers({"activities": [_act(move) for move in one.moves[::-1]], "paging": {}})
        return Answers({"error": "Not found"}, 404)

    def _list(self, query: dict[str, list[str]]) -> Answers:
        since, begin = query.get("updated_after", [None])[0], int(query.get("since_id", ["0"])[0])
        rows = [one for one in self.there if since is None or one.updated_at > datetime.fromisoformat(since)]
        rows, size = [one for one in rows if one.number > begin], min(self.per_page, int(query["limit"][0]))
        paging = {}
        if len(rows) > size:
            more = f"&updated_after={since}" if since else ""
            base = "https://example.workable.com/spi/v3/candidates"
            paging["next"] = f"{base}?limit={size}&since_id={rows[size - 1].number}{more}"
        return Answers({"candidates": [_row(one) for one in rows[:size]], "paging": paging})

    def unauthorised(self) -> Answers:
        return Answers({"error": "Not authorized"}, 401)

    def throttled(self) -> Answers:
        return Answers({"error": "Rate limit exceeded"}, 429, {"x-rate-limit-reset": "0"})


def _row(one: Applicant) -> dict[str, Any]:
    declined, hired = one.outcome is Outcome.DECLINED, one.outcome is Outcome.HIRED
    return {
        "id": one.id,
        "name": f"{one.first_name} L",
        "firstname": one.first_name,
        "lastname": "L",
        "headline": None,
        "job": {"shortcode": "7B3C", "title": "Engineer"},
        "stage": one.stage,
        "disqualified": declined,
        "disqualified_at": _time(one.decided_at) if declined and one.decided_at else None,
        "hired_at": _time(one.decided_at) if hired and one.decided_at else None,
        "sourced": False,
        "email": one.email,
        "phone": None,
        "domain": "linkedin.com",
        "created_at": _time(one.created_at),
        "updated_at": _time(one.updated_at),
    }


def _act(move: Move) -> dict[str, Any]:
    return {
        "id": "a1",
        "action": move.to.lower().replace(" ", "-"),
        "action_stage": {"id": "1", "name": move.before, "slug": "x"} if move.before else None,
        "target_stage": {"id": "2", "name": move.to, "slug": "y"},
        "member": {"id": "m1", "name": "Noor Haddad", "type": "member"},
        "created_at": _time(move.at),
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
