"""Workable's API v3: the next page by its address, activities, rows that say less than a candidate alone."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, Move
from tests.handlers.vendor_api import Answers, Asked

_KINDS = {"Applied": "applied", "Phone Screen": "phone-screen", "Onsite": "interview", "Final Round": "interview"}


class WorkableAccount(Account):
    vendor = "workable"
    tells_moves_between = True
    withdrew = False
    """Whether those who are declined did so themselves."""

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "subdomain": "example", "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return self.unauthorised()
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        if not 1 <= int(query.get("limit", "50")) <= 100:
            return Answers({"error": "limit is invalid"}, 400)
        match target.path.split("/"):
            case ["", "candidates"]:
                since = datetime.fromisoformat(query.get("updated_after", "2000-01-01T00:00:00Z"))
                rows = [one for one in self.there if one.updated_at > since]
                return self._page("candidates", {one.number: _row(one) for one in rows}, query, target.path)
            case ["", "candidates", id_] if one := self.find(id_):
                return Answers({"candidate": self.alone(one)})
            case ["", "candidates", id_, "activities"] if one := self.find(id_):
                return self._page("activities", dict(enumerate(self._acts(one))), query, target.path)
        return Answers({"error": "Not found"}, 404)

    def _page(self, name: str, rows: dict[int, dict[str, Any]], query: dict[str, str], path: str) -> Answers:
        """The rows by their numbers, from ``since_id`` on, which only the address of the page before tells."""
        there = [number for number in rows if number >= int(query.get("since_id", "0"), 16)]
        paging, limit = {}, min(self.per_page, int(query.get("limit", "50")))
        if len(there) > limit:
            following = {**query, "since_id": f"{there[limit]:x}"}
            paging["next"] = f"https://example.workable.com/spi/v3{path}?{urlencode(following)}"
        return Answers({name: [rows[number] for number in there[:limit]], "paging": paging})

    def _acts(self, one: Applicant) -> list[dict[str, Any]]:
        """The oldest first."""
        acts = [_act(move) for move in one.moves]
        if one.outcome is Outcome.DECLINED and one.decided_at:
            by = {"member": None if self.withdrew else {"id": "m2", "name": "Lena Hart", "type": "member"}}
            acts.append({**_act(Move(one.decided_at, one.stage, one.stage)), "action": "disqualified", **by})
            acts[-1]["target_stage"] = None
        return acts

    def alone(self, one: Applicant) -> dict[str, Any]:
        """A candidate as it is shown alone, and in webhooks."""
        declined = one.outcome is Outcome.DECLINED
        at = _seconds(one.decided_at) if declined and one.decided_at else None
        return {**_row(one), "disqualified_at": at, "withdrew": declined and self.withdrew, "tags": [], "answers": []}

    def unauthorised(self) -> Answers:
        return Answers({"error": "Not authorized"}, 401)

    def throttled(self) -> Answers:
        return Answers({"error": "Rate limit exceeded"}, 429, {"x-rate-limit-reset": "0"})


def _row(one: Applicant) -> dict[str, Any]:
    """As it is in the list."""
    return {
        "id": one.id,
        "name": f"{one.first_name} L",
        "firstname": one.first_name,
        "lastname": "L",
        "headline": None,
        "account": {"subdomain": "example", "name": "Example"},
        "job": {"shortcode": "7B3C", "title": "Engineer"},
        "stage": one.stage,
        "stage_kind": _KINDS[one.stage],
        "disqualified": one.outcome is Outcome.DECLINED,
        "disqualification_reason": "Not a fit" if one.outcome is Outcome.DECLINED else None,
        "hired_at": _seconds(one.decided_at) if one.outcome is Outcome.HIRED and one.decided_at else None,
        "sourced": False,
        "profile_url": f"https://example.workable.com/backend/jobs/1/candidates/{one.number}",
        "email": one.email,
        "phone": None,
        "address": None,
        "domain": "linkedin.com",
        "created_at": _seconds(one.created_at),
        "updated_at": _seconds(one.updated_at),
    }


def _act(move: Move) -> dict[str, Any]:
    return {
        "id": "a1",
        "action": _KINDS[move.to] if move.before else "uploaded",
        "action_stage": _stage(move.before or move.to),
        "target_stage": _stage(move.to) if move.before else None,
        "member": {"id": "m1", "name": "Noor Haddad", "type": "member"},
        "created_at": f"{move.at:%Y-%m-%dT%H:%M:%S}.{move.at.microsecond // 1000:03d}Z",
    }


def _stage(name: str) -> dict[str, Any]:
    return {"id": 5272269, "identifier": "50779f", "name": name, "slug": _KINDS[name]}


def _seconds(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
