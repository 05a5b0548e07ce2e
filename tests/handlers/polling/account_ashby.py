"""Ashby's API: everything is a POST, errors come with status 200, changes are told since a token."""

import base64
from datetime import UTC, datetime
from typing import Any, cast

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

_STATUSES = {Outcome.PENDING: "Active", Outcome.HIRED: "Hired", Outcome.DECLINED: "Archived"}


class AshbyAccount(Account):
    vendor = "ashby"
    tells_moves_between = True

    def __init__(self, per_page: int = 3) -> None:
        super().__init__(per_page)
        self.tokens: dict[str, datetime] = {}

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        if asked.headers.get("authorization") != f"Basic {base64.b64encode(f'{self.key}:'.encode()).decode()}":
            return self.unauthorised()
        if asked.method != "POST":
            return Answers(None, 405)
        question = cast(dict[str, Any], asked.json)
        match asked.target:
            case "/application.list":
                return self._list(question)
            case "/application.info" if one := self.find(question["applicationId"]):
                return Answers({"success": True, "results": {**_row(one), "applicationHistory": _history(one)}})
            case "/user.info":
                user = {"id": "u1", "firstName": "Noor", "lastName": "Haddad", "email": "noor@example.com"}
                return Answers({"success": True, "results": user})
        return Answers({"success": False, "errors": ["application_not_found"]})

    def _list(self, question: dict[str, Any]) -> Answers:
        token = question.get("syncToken")
        if token is not None and token not in self.tokens:
            return Answers({"success": False, "errors": ["sync_token_expired"]})
        since = self.tokens[token] if token else None
        rows = [one for one in self.there if since is None or one.updated_at >= since]
        begin, size = int(question.get("cursor", "0")), min(self.per_page, question["limit"])
        rows = [one for one in rows if one.number > begin]
        answer: dict[str, Any] = {"success": True, "results": [_row(one) for one in rows[:size]]}
        if len(rows) > size:
            return Answers({**answer, "moreDataAvailable": True, "nextCursor": str(rows[size - 1].number)})
        new = f"t{len(self.tokens)}"
        # of what changed while the pages were read, the next token tells
        self.tokens[new] = min([one.updated_at for one in rows[:size]], default=datetime.now(UTC))
        return Answers({**answer, "moreDataAvailable": False, "syncToken": new})

    def unauthorised(self) -> Answers:
        return Answers({"success": False, "errors": ["missing_endpoint_permission"]})


def _stage(name: str) -> dict[str, Any]:
    return {"id": f"s-{name}", "title": name, "type": "Active", "orderInInterviewPlan": 1}


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "id": one.id,
        "createdAt": _time(one.created_at),
        "updatedAt": _time(one.updated_at),
        "status": _STATUSES[one.outcome],
        "candidate": {"id": f"c{one.number}", "name": one.first_name},
        "currentInterviewStage": _stage(one.stage),
        "job": {"id": "j1", "title": "Engineer"},
        "source": None,
        "customFields": [],
        "archivedAt": _time(one.decided_at) if one.decided_at and one.outcome is Outcome.DECLINED else None,
        "archiveReason": None,
    }


def _history(one: Applicant) -> list[dict[str, Any]]:
    return [
        {
            "stageId": f"s-{move.to}",
            "title": move.to,
            "stageNumber": number,
            "enteredStageAt": _time(move.at),
            "actorId": "u1",
        }
        for number, move in enumerate(one.moves)
    ]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
