"""Bullhorn: an API user's log-in in three steps, sessions that end, queries by row, no error without its message."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, Move
from tests.handlers.vendor_api import Answers, Asked

_ENDED = {Outcome.HIRED: "Placed", Outcome.DECLINED: "Rejected"}


class BullhornAccount(Account):
    vendor = "bullhorn"
    tells_moves_between = True

    def __init__(self, per_page: int = 3) -> None:
        super().__init__(per_page)
        self.url = ""
        self.sessions = 0

    def settings(self, url: str) -> dict[str, Any]:
        self.url = url
        keys = {"client_id": "cid", "client_secret": self.secret(), "user": "api.user", "password": self.secret()}
        stages = {"HIRED": ["Placed"], "REJECTED": ["Rejected"]}
        return {**keys, "auth_url": f"{url}/oauth", "api_url": f"{url}/rest-services", "stages": stages}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        form = asked.json if isinstance(asked.json, dict) else {}
        match target.path.split("/"):
            case ["", "oauth", "authorize"]:
                good = (form.get("username"), form.get("password")) == ("api.user", self.key)
                return Answers(None, 302, {"location": f"https://example.com/?code={'c0de' if good else ''}"})
            case ["", "oauth", "token"] if form.get("code") == "c0de" and form.get("client_secret") == self.key:
                return Answers({"access_token": "t0ken", "refresh_token": "once", "expires_in": 600})
            case ["", "rest-services", "login"] if form.get("access_token") == "t0ken":
                self.sessions += 1
                return Answers({"BhRestToken": f"s{self.sessions}", "restUrl": f"{self.url}/rest-services/e999/"})
            case ["", "rest-services", "e999", "query", entity]:
                if asked.headers.get("bhresttoken") != f"s{self.sessions}":
                    return self.unauthorised()
                return self._query(entity, parse_qs(target.query))
        return _error(400, "errors.badRequest")

    def _query(self, entity: str, query: dict[str, list[str]]) -> Answers:
        where, start, count = query["where"][0], int(query.get("start", ["0"])[0]), int(query["count"][0])
        if "fields" not in query or count > 500:
            return _error(400, "errors.badRequest")
        if entity == "JobSubmissionHistory":
            one = self.find(where.removeprefix("jobSubmission.id="))
            return Answers({"start": 0, "count": 1, "data": _history(one) if one else []})
        since = int(re.fullmatch(r"dateLastModified>(\d+)", where)[1])  # type: ignore[index]
        rows = sorted((one for one in self.there if _ms(one.updated_at) > since), key=lambda one: one.updated_at)
        page = rows[start : start + min(self.per_page, count)]
        return Answers({"start": start, "count": len(page), "data": [_row(one) for one in page]})

    def unauthorised(self) -> Answers:
        return _error(401, "errors.authentication.invalidRestToken")


def _error(status: int, key: str) -> Answers:
    return Answers({"errorMessage": "no", "errorMessageKey": key, "errorCode": status}, status)


def _status(one: Applicant) -> str:
    return _ENDED.get(one.outcome, one.stage)


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "id": int(one.id),
        "status": _status(one),
        "dateAdded": _ms(one.created_at),
        "dateLastModified": _ms(one.updated_at),
        "source": "LinkedIn",
        "isDeleted": False,
        "candidate": {"id": one.number, "firstName": one.first_name, "lastName": "L", "email": one.email},
        "jobOrder": {"id": 7, "title": "Engineer"},
    }


def _history(one: Applicant) -> list[dict[str, Any]]:
    moves = list(one.moves)
    if one.decided_at is not None:
        moves.append(Move(one.decided_at, one.stage, _status(one)))
    return [
        {"id": number, "status": move.to, "dateAdded": _ms(move.at), "modifyingUser": {"id": 5}}
        for number, move in enumerate(moves, 1)
    ]


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
