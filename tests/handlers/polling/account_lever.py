"""Lever's API v1: opportunities with their moves, epoch milliseconds, reasons that tell hires from rejections."""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

_REASONS = {"r-hired": ("Hired", "hired"), "r-no": ("Not a fit", "non-hired")}


class LeverAccount(Account):
    vendor = "lever"
    tells_moves_between = True

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Basic {base64.b64encode(f'{self.key}:'.encode()).decode()}":
            return self.unauthorised()
        match target.path.split("/"):
            case ["", "opportunities"]:
                return self._list(parse_qs(target.query))
            case ["", "opportunities", "deleted"]:
                return self._list_deleted(parse_qs(target.query))
            case ["", "opportunities", id_] if one := self.find(id_):
                return Answers({"data": _row(one, parse_qs(target.query).get("expand", []))})
            case ["", "stages"]:
                stages = [{"id": f"s-{stage}".replace(" ", "-"), "text": stage} for stage in self.stages]
                return Answers({"data": stages, "hasNext": False})
            case ["", "archive_reasons", id_] if id_ in _REASONS:
                text, kind = _REASONS[id_]
                return Answers({"data": {"id": id_, "text": text, "status": "active", "type": kind}})
            case ["", "postings", "p1"]:
                return Answers({"data": {"id": "p1", "text": "Engineer", "state": "published", "categories": {}}})
            case ["", "users", "u1"]:
                return Answers({"data": {"id": "u1", "name": "Noor Haddad", "email": "noor@example.com"}})
        return Answers({"code": "ResourceNotFound", "message": "No"}, 404)

    def _list(self, query: dict[str, list[str]]) -> Answers:
        since = int(query.get("updated_at_start", ["0"])[0])
        rows = [one for one in self.there if _ms(one.updated_at) >= since]
        return self._page(rows, query, lambda one: _row(one, query.get("expand", [])))

    def _list_deleted(self, query: dict[str, list[str]]) -> Answers:
        since = int(query["deleted_at_start"][0])
        rows = [one for one in self.applicants if one.deleted and _ms(one.updated_at) >= since]
        return self._page(rows, query, lambda one: {"id": one.id, "name": "", "deletedAt": _ms(one.updated_at)})

    def _page(
        self, rows: list[Applicant], query: dict[str, list[str]], row_of: Callable[[Applicant], dict[str, Any]]
    ) -> Answers:
        """``offset`` is what the page before said, which is opaque; ``next`` is there only where there is more."""
        limit, begin = int(query.get("limit", ["100"])[0]), query.get("offset", ["[0]"])[0]
        if not 1 <= limit <= 100:
            return Answers({"code": "BadRequestError", "message": "limit must be between 1 and 100"}, 400)
        rows, size = [one for one in rows if one.number > json.loads(begin)[0]], min(self.per_page, limit)
        more = {"hasNext": True, "next": f"[{rows[size - 1].number}]"} if len(rows) > size else {"hasNext": False}
        return Answers({"data": [row_of(one) for one in rows[:size]], **more})

    def unauthorised(self) -> Answers:
        return Answers({"code": "Unauthorized", "message": "No"}, 401)

    def throttled(self) -> Answers:
        return Answers({"code": "TooManyRequests", "message": "No"}, 429)


def _row(one: Applicant, expanded: list[str]) -> dict[str, Any]:
    stage = f"s-{one.stage}".replace(" ", "-")
    reason = {Outcome.HIRED: "r-hired", Outcome.DECLINED: "r-no"}.get(one.outcome)
    moves = [
        {
            "toStageId": f"s-{move.to}".replace(" ", "-"),
            "toStageIndex": number,
            "updatedAt": _ms(move.at),
            "userId": "u1",
        }
        for number, move in enumerate(one.moves)
    ]
    return {
        "id": one.id,
        "name": one.first_name,
        "emails": [one.email],
        "phones": [],
        "contact": f"c{one.number}",
        "stage": {"id": stage, "text": one.stage} if "stage" in expanded else stage,
        "stageChanges": moves,
        "archived": {"archivedAt": _ms(one.decided_at), "reason": reason} if one.decided_at else None,
        "applications": [{"id": "a1", "posting": "p1"}] if "applications" in expanded else ["a1"],
        "createdAt": _ms(one.created_at),
        "updatedAt": _ms(one.updated_at),
        "sources": ["LinkedIn"],
        "urls": {"show": "https://hire.lever.co/candidates/1"},
    }


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
